//! Findings that were known before: only new ones fail a run.
//!
//! A finding is recognised by its file, its control, its object and the field in it, items of lists by their names:
//! not by its line, so that an edit elsewhere in the file changes nothing. The file holds no values.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    input,
    project::absolute,
    report::{Accepted, By, FileReport, KnownBefore, Located, Report},
};

/// Largest file that is read, in bytes: some hundred thousand findings.
const LARGEST: u64 = 64 * 1024 * 1024;

/// What a finding is recognised by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Key {
    file: String,
    control: String,
    object: String,
    /// The field, or what was said where there are none.
    at: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    findings: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    key: Key,
    /// How often: one object can stand in a file twice.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    count: usize,
}

const fn once() -> usize {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde asks for it
const fn is_once(count: &usize) -> bool {
    *count == 1
}

/// Findings that are known, and where that is written.
#[derive(Debug)]
pub(crate) struct Known {
    name: String,
    /// The file itself, which is no input.
    path: PathBuf,
    /// What files are called relative to: that of the list.
    folder: PathBuf,
    findings: BTreeMap<Key, usize>,
}

impl Known {
    /// Reads a file of known findings.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let name = input::shown(path);
        let wrong = |problem: &str| format!("baseline file {name} {problem}");
        let mut bytes = Vec::new();
        File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)).map_err(
            |error| match error.kind() {
                std::io::ErrorKind::NotFound => {
                    wrong("does not exist: make it with --write-baseline-file")
                }
                _ => wrong(&format!("cannot be read: {error}")),
            },
        )?;
        if bytes.len() as u64 > LARGEST {
            return Err(wrong(&format!("is larger than {} MiB: check fewer files", LARGEST >> 20)));
        }
        let stored: Stored = serde_json::from_slice(&bytes).map_err(|error| {
            wrong(&format!("is none: {error}; make it with --write-baseline-file"))
        })?;
        if stored.version != 1 {
            return Err(wrong("is of another version: make it anew with --write-baseline-file"));
        }
        let mut findings = BTreeMap::new();
        for Entry { key, count } in stored.findings {
            let sum: &mut usize = findings.entry(key).or_default();
            *sum = sum.saturating_add(count);
        }
        Ok(Self { folder: folder(path), path: absolute(path), name, findings })
    }

    /// Whether a path is that of the list.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        self.path.file_name() == path.file_name() && self.path == absolute(path)
    }

    /// Marks what is known, and says what is known and no longer there.
    pub(crate) fn apply(&self, report: &mut Report) {
        let mut unseen = self.findings.clone();
        for file in &mut report.files {
            let name = within(&self.folder, &file.name);
            for located in file.findings.iter_mut().filter(|located| counts(located)) {
                let left = unseen.get_mut(&key(&name, located)).filter(|left| **left > 0);
                if let Some(left) = left {
                    *left -= 1;
                    let reason = format!("known since {} was written", self.name);
                    located.suppressed = Some(Accepted { reason, by: By::Known });
                }
            }
        }
        let evaluated =
            |file: &FileReport| (within(&self.folder, &file.name), file.faults.is_empty());
        let files: BTreeMap<_, _> = report.files.iter().map(evaluated).collect();
        // What was not looked at this time is not gone.
        let is_gone = |file: &str| match files.get(file) {
            Some(readable) => *readable,
            None => !self.folder.join(file).exists(),
        };
        let gone = unseen.iter().filter(|(key, left)| **left > 0 && is_gone(&key.file));
        let gone = gone.map(|(key, _)| format!("{} {} {}", key.file, key.control, key.object));
        report.known =
            Some(KnownBefore { name: self.name.clone(), gone: gone.collect(), written: false });
    }
}

/// Writes down all findings that count, in the place of what was written before. The error is the name of the file
/// and what is wrong with it.
pub(crate) fn write(path: &Path, report: &Report) -> Result<Known, (String, String)> {
    let (folder, name) = (folder(path), input::shown(path));
    let mut findings: BTreeMap<Key, usize> = BTreeMap::new();
    for file in &report.files {
        let name = within(&folder, &file.name);
        for located in file.findings.iter().filter(|located| counts(located)) {
            *findings.entry(key(&name, located)).or_default() += 1;
        }
    }
    match replace(path, &folder, &findings) {
        Ok(()) => Ok(Known { name, folder, path: absolute(path), findings }),
        Err(error) => Err((name, format!("cannot be written: {error}"))),
    }
}

fn replace(path: &Path, folder: &Path, findings: &BTreeMap<Key, usize>) -> std::io::Result<()> {
    let entries = findings.iter().map(|(key, count)| Entry { key: key.clone(), count: *count });
    let stored = Stored { version: 1, findings: entries.collect() };
    let mut file = tempfile::Builder::new().prefix(".gabion-").tempfile_in(folder)?;
    readable(file.as_file())?;
    let mut text = serde_json::to_vec_pretty(&stored)?;
    text.push(b'\n');
    file.write_all(&text)?;
    file.persist(path)?;
    Ok(())
}

/// A temporary file is for its owner only, and this one is for everybody who has the repository.
#[cfg(unix)]
fn readable(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable(_: &File) -> std::io::Result<()> {
    Ok(())
}

fn counts(located: &Located) -> bool {
    located.suppressed.is_none() && !located.finding.note
}

fn folder(path: &Path) -> PathBuf {
    absolute(path).parent().map_or_else(PathBuf::new, Path::to_owned)
}

/// The name of a file, from the folder of the list, which is the same wherever the run is started.
fn within(folder: &Path, name: &str) -> String {
    if name.starts_with('<') {
        return name.to_owned();
    }
    let path = absolute(Path::new(name));
    path.strip_prefix(folder).unwrap_or(&path).display().to_string().replace('\\', "/")
}

fn key(file: &str, located: &Located) -> Key {
    Key {
        file: file.to_owned(),
        control: located.finding.control.id.to_string(),
        object: located.object.clone(),
        at: located.anchor.clone(),
    }
}
