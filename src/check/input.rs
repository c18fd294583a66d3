//! Which files are read, and their text.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use regex::Regex;

/// Largest file that is read, in bytes.
pub(crate) const LARGEST: u64 = 10 * 1024 * 1024;

/// Folders within folders that are searched.
const DEEPEST: usize = 64;

/// Where a text comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
}

/// Something to read, or why it cannot be.
#[derive(Debug)]
pub(crate) struct Input {
    /// Its name as messages show it.
    pub(crate) name: String,
    /// Where it is, or what is wrong with it.
    pub(crate) origin: Result<Origin, String>,
    /// The folder that the user named, for what was found in one.
    pub(crate) folder: Option<PathBuf>,
}

/// What kind of text a file holds, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// A Dockerfile.
    Dockerfile,
    /// YAML or JSON.
    Data,
    /// Nothing.
    Nothing,
}

impl FileKind {
    /// The kind of a file with this name.
    pub(crate) fn of(path: &Path) -> Self {
        let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase());
        let name = name.unwrap_or_default();
        let stem = ["dockerfile", "containerfile"];
        let ends = |ends: &[&str]| {
            let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
            extension.is_some_and(|extension| ends.contains(&extension.as_str()))
        };
        if ends(&["yaml", "yml", "json", "sarif"]) {
            Self::Data
        } else if ends(&["dockerfile", "containerfile"])
            || stem.iter().any(|stem| {
                name.strip_prefix(stem).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
        {
            Self::Dockerfile
        } else {
            Self::Nothing
        }
    }
}

/// What the paths of a command line name. Folders are searched, in the order of names; what starts with a
/// dot is left out, and a folder that was seen already, through a link, is not entered again.
pub(crate) fn inputs(paths: &[PathBuf], leaves_out: &dyn Fn(&Path) -> bool) -> Inputs {
    let mut walk = Walk {
        leaves_out,
        found: Vec::new(),
        hidden: Vec::new(),
        charts: Vec::new(),
        seen: BTreeSet::new(),
        named: None,
    };
    for path in paths {
        if path.as_os_str() == "-" {
            let origin = Ok(Origin::Stdin);
            walk.found.push(Input { name: "<stdin>".to_owned(), origin, folder: None });
        } else {
            walk.named(path);
        }
    }
    Inputs { found: walk.found, hidden: walk.hidden, charts: walk.charts }
}

/// What there is to read.
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(crate) found: Vec<Input>,
    /// Folders that were not searched, because their names start with a dot.
    pub(crate) hidden: Vec<String>,
    /// Folders of charts, whose templates are no manifests.
    pub(crate) charts: Vec<PathBuf>,
}

/// Folders of tools, in which nobody keeps what is deployed.
const OF_TOOLS: [&str; 8] =
    [".git", ".hg", ".svn", ".terraform", ".venv", ".cache", ".idea", ".vscode"];

/// A pattern as a regular expression for names of files: `*` stands for what is in one name, `**` for folders, too. A
/// pattern holds for the end of a path.
pub(crate) fn glob(pattern: &str) -> Result<Regex, String> {
    let pattern = pattern.trim_start_matches("./").trim_end_matches('/');
    let mut expression = String::from("^(.*/)?");
    let mut rest = pattern.trim_start_matches('/');
    while let Some(c) = rest.chars().next() {
        let (part, length) = match c {
            _ if rest.starts_with("**/") => ("(.*/)?".to_owned(), 3),
            _ if rest.starts_with("**") => (".*".to_owned(), 2),
            '*' => ("[^/]*".to_owned(), 1),
            '?' => ("[^/]".to_owned(), 1),
            c => (regex::escape(&c.to_string()), c.len_utf8()),
        };
        expression.push_str(&part);
        rest = rest.get(length..).unwrap_or_default();
    }
    expression.push('$');
    if pattern.is_empty() {
        return Err("is empty: name a file or a folder, such as vendor or '*.tpl.yaml'".to_owned());
    }
    Regex::new(&expression).map_err(|_| "is too long".to_owned())
}

struct Walk<'e> {
    leaves_out: &'e dyn Fn(&Path) -> bool,
    found: Vec<Input>,
    hidden: Vec<String>,
    charts: Vec<PathBuf>,
    seen: BTreeSet<PathBuf>,
    /// The folder of the command line that is searched.
    named: Option<PathBuf>,
}

impl Walk<'_> {
    fn named(&mut self, path: &Path) {
        if (self.leaves_out)(path) {
            return;
        }
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                self.named = Some(path.to_owned());
                self.folder(path, 0);
                self.named = None;
            }
            Ok(_) => match chart_of(path) {
                Some(chart) if self.charts.contains(&chart) => {}
                Some(chart) => self.charts.push(chart),
                None => self.file(path),
            },
            Err(error) => self.fault(path, &error),
        }
    }

    fn folder(&mut self, path: &Path, depth: usize) {
        let new = match fs::canonicalize(path) {
            Ok(real) => self.seen.insert(real),
            Err(error) => return self.fault(path, &error),
        };
        if !new {
            return;
        }
        let mut entries = match fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>)
        {
            Ok(entries) => entries,
            Err(error) => return self.fault(path, &error),
        };
        entries.sort_by_key(fs::DirEntry::file_name);
        let is_chart = entries.iter().any(|entry| entry.file_name() == "Chart.yaml");
        if is_chart {
            self.charts.push(path.to_owned());
            // Helm renders these, and the charts within together with this one.
            entries
                .retain(|entry| entry.file_name() != "templates" && entry.file_name() != "charts");
        }
        for entry in entries {
            let path = entry.path();
            let name = entry.file_name();
            if (self.leaves_out)(&path) {
                continue;
            }
            if name.as_encoded_bytes().starts_with(b".") {
                let of_tools = OF_TOOLS.iter().any(|known| name == *known);
                if path.is_dir() && !of_tools {
                    self.hidden.push(shown(&path));
                }
                continue;
            }
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() && depth < DEEPEST => {
                    self.folder(&path, depth + 1);
                }
                Ok(metadata) if metadata.is_dir() => {
                    let problem =
                        format!("folders are nested more than {DEEPEST} deep; name it by itself");
                    self.unreadable(&path, problem);
                }
                // Pipes and devices in a folder would block or never end.
                Ok(metadata) if metadata.is_file() && FileKind::of(&path) != FileKind::Nothing => {
                    self.file(&path);
                }
                Err(error) if FileKind::of(&path) != FileKind::Nothing => self.fault(&path, &error),
                Ok(_) | Err(_) => {}
            }
        }
    }

    fn file(&mut self, path: &Path) {
        let origin = Ok(Origin::File(path.to_owned()));
        self.found.push(Input { name: shown(path), origin, folder: self.named.clone() });
    }

    fn fault(&mut self, path: &Path, error: &io::Error) {
        self.unreadable(path, problem(error));
    }

    fn unreadable(&mut self, path: &Path, problem: String) {
        self.found.push(Input { name: shown(path), origin: Err(problem), folder: None });
    }
}

/// The chart that a file is a template of.
fn chart_of(file: &Path) -> Option<PathBuf> {
    let within =
        file.ancestors().filter(|folder| folder.file_name().is_some_and(|n| n == "templates"));
    let mut charts =
        within.filter_map(Path::parent).filter(|chart| chart.join("Chart.yaml").is_file());
    let chart = charts.next()?;
    Some(if chart.as_os_str().is_empty() { PathBuf::from(".") } else { chart.to_owned() })
}

/// A path as messages show it.
pub(crate) fn shown(path: &Path) -> String {
    path.strip_prefix("./").unwrap_or(path).display().to_string()
}

fn problem(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "does not exist: correct the path".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "may not be read: grant this user read access".to_owned()
        }
        _ => format!("cannot be read: {error}"),
    }
}

/// A text as it is evaluated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Text {
    /// The text, without the mark.
    pub(crate) text: String,
    /// The file starts with a byte order mark.
    pub(crate) mark: bool,
}

/// The text of an input.
pub(crate) fn read(origin: &Origin, stdin: &mut dyn Read) -> Result<Text, String> {
    let bytes = match origin {
        Origin::Stdin => bounded(stdin),
        Origin::File(path) => fs::File::open(path).and_then(bounded),
    };
    decode(bytes.map_err(|error| problem(&error))?)
}

fn bounded(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(LARGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn decode(mut bytes: Vec<u8>) -> Result<Text, String> {
    if bytes.len() as u64 > LARGEST {
        return Err(format!(
            "larger than {} MiB, which is more than is read: split it",
            LARGEST >> 20
        ));
    }
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err("is UTF-16: save it as UTF-8".to_owned());
    }
    let mark = bytes.starts_with("\u{FEFF}".as_bytes());
    if mark {
        bytes.drain(.."\u{FEFF}".len());
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(Text { text, mark }),
        Ok(_) => Err("is a binary file: it holds zero bytes".to_owned()),
        Err(error) => Err(format!(
            "is not text in UTF-8: byte {} cannot be read",
            error.utf8_error().valid_up_to() + 1
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_shows_what_is_inside() {
        for (name, kind) in [
            ("a/web.yaml", FileKind::Data),
            ("a.YML", FileKind::Data),
            ("trivy.sarif", FileKind::Data),
            ("Dockerfile", FileKind::Dockerfile),
            ("web.Dockerfile", FileKind::Dockerfile),
            ("Dockerfile.dev", FileKind::Dockerfile),
            ("Containerfile", FileKind::Dockerfile),
            ("dockerfile.yaml", FileKind::Data),
            ("Dockerfiles", FileKind::Nothing),
            ("README.md", FileKind::Nothing),
        ] {
            assert_eq!(FileKind::of(Path::new(name)), kind, "{name}");
        }
    }

    #[test]
    fn patterns_hold_for_the_end_of_a_path() {
        for (pattern, path, holds) in [
            ("vendor", "a/vendor", true),
            ("vendor/", "vendor", true),
            ("vendor", "a/vendors", false),
            ("*.tpl.yaml", "a/b/x.tpl.yaml", true),
            ("a/*.yaml", "a/b/x.yaml", false),
            ("a/**/x.yaml", "z/a/b/c/x.yaml", true),
            ("a/**/x.yaml", "a/x.yaml", true),
            ("./a/?.yaml", "a/x.yaml", true),
            ("a.b", "axb", false),
        ] {
            assert_eq!(glob(pattern).unwrap().is_match(path), holds, "{pattern} {path}");
        }
        assert!(glob("").is_err() && glob("/").is_err());
    }

    #[test]
    fn what_is_no_text_is_refused_with_what_to_do() {
        let of = |bytes: &[u8]| decode(bytes.to_vec());
        assert_eq!(of(b"\xEF\xBB\xBFa: 1"), Ok(Text { text: "a: 1".into(), mark: true }));
        assert!(of(b"\xFF\xFEa\0").is_err_and(|e| e.contains("UTF-8")));
        assert!(of(b"ab\0").is_err_and(|e| e.contains("binary")));
        assert!(of(b"ab\xC3").is_err_and(|e| e.contains("byte 3")));
        let large = vec![b' '; usize::try_from(LARGEST).unwrap() + 1];
        assert!(decode(large).is_err_and(|e| e.contains("10 MiB")));
    }
}
