//! What a project says of itself: the file `.gabion.yaml` at its root.
//!
//! It leaves out files, names the rules for folders, and says which findings the project lives with, why, and until
//! when. What is wrong with it is an error before anything is evaluated: a slip must not let findings pass.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use regex::Regex;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    baseline, catalogue,
    input::{self, glob},
    position::{Lines, Position},
    report::{Accepted, By, Diagnostic, FileReport, Located},
    rules::Rules,
    schema::misfits,
    schemas::Schemas,
    yaml::{self, Node},
};
use crate::policy::ControlId;
use crate::policy::FieldPath;

/// The name of the file.
pub(crate) const NAME: &str = ".gabion.yaml";

/// Folders that are searched for the file, from the inside out.
const HIGHEST: usize = 64;

/// What a project says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    /// The file, as messages show it.
    pub(crate) name: String,
    /// The folder that its patterns and files are relative to.
    pub(crate) folder: PathBuf,
    /// The rules for all files, unless the command line names others.
    pub(crate) rules: Option<Rules>,
    /// The file of known findings.
    pub(crate) known: Option<PathBuf>,
    exclude: Vec<Regex>,
    skips: Vec<Skip>,
    overrides: Vec<Override>,
    remarks: Vec<Diagnostic>,
}

/// Findings that the project lives with.
#[derive(Clone, Debug)]
struct Skip {
    control: ControlId,
    reason: String,
}

/// What holds for some files only.
#[derive(Clone, Debug)]
struct Override {
    paths: Vec<Regex>,
    rules: Option<Rules>,
    skips: Vec<Skip>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    #[serde(default)]
    exclude: Vec<String>,
    baseline_file: Option<String>,
    #[serde(default)]
    overrides: Vec<WrittenOverride>,
    #[serde(flatten)]
    scope: Scope,
}

#[derive(Deserialize)]
struct WrittenOverride {
    paths: Vec<String>,
    #[serde(flatten)]
    scope: Scope,
}

/// What can be said of all files and of some.
#[derive(Deserialize)]
struct Scope {
    profile: Option<String>,
    baseline: Option<String>,
    #[serde(default)]
    skip: Vec<WrittenSkip>,
}

#[derive(Deserialize)]
struct WrittenSkip {
    control: String,
    reason: String,
    until: Option<String>,
}

impl Project {
    /// Reads a file; what is wrong with it is said with file, line and column.
    pub(crate) fn read(path: &Path, now: Timestamp) -> Result<Self, String> {
        let name = input::shown(path);
        let origin = input::Origin::File(path.to_owned());
        let text = input::read(&origin, &mut std::io::empty());
        let text = text.map_err(|problem| format!("configuration {name} {problem}"))?.text;
        let folder = absolute(path).parent().map_or_else(PathBuf::new, Path::to_owned);
        Reader { name, folder, lines: Lines::of(&text), now, remarks: Vec::new() }.project(&text)
    }

    /// The file of a project: in the folder that holds all that is named, or in one above it, no further up than the
    /// root of a repository. Without a repository only that folder, and the working folder, are looked at.
    pub(crate) fn find(paths: &[PathBuf]) -> Option<PathBuf> {
        let here = std::env::current_dir().unwrap_or_default();
        let folders = paths.iter().map(|path| {
            if path.as_os_str() == "-" {
                return here.clone();
            }
            let path = absolute(path);
            if path.is_dir() { path } else { path.parent().map_or(path.clone(), Path::to_owned) }
        });
        let start = folders.reduce(|one, other| common(&one, &other))?;
        let up: Vec<_> = start.ancestors().take(HIGHEST).collect();
        let root = up.iter().position(|folder| folder.join(".git").exists());
        let within = up.get(..=root.unwrap_or_default()).unwrap_or_default();
        let here = Some(here.as_path()).filter(|here| start.starts_with(here));
        let found = within
            .iter()
            .copied()
            .chain(here)
            .map(|folder| folder.join(NAME))
            .find(|file| file.is_file())?;
        // Shorter, and as the user thinks of it.
        let short = std::env::current_dir()
            .ok()
            .and_then(|here| found.strip_prefix(here).ok().map(Path::to_owned));
        Some(short.unwrap_or(found))
    }

    /// Whether a file or folder is left out.
    pub(crate) fn leaves_out(&self, path: &Path) -> bool {
        !self.exclude.is_empty() && covers(&self.exclude, &self.relative(path))
    }

    /// Has all of its rules compare objects with these.
    pub(crate) fn use_schemas(&mut self, schemas: &Arc<Schemas>) {
        let overrides = self.overrides.iter_mut().filter_map(|own| own.rules.as_mut());
        for rules in self.rules.iter_mut().chain(overrides) {
            rules.schemas = Arc::clone(schemas);
        }
    }

    /// The rules for a file, where other ones hold for it than for the rest.
    pub(crate) fn rules_for(&self, file: &str) -> Option<&Rules> {
        let path = self.relative(Path::new(file));
        let own = self.overrides.iter().rev().filter(|own| own.rules.is_some());
        own.filter(|own| covers(&own.paths, &path)).find_map(|own| own.rules.as_ref())
    }

    /// Marks the findings that the project lives with in a file, or in what a kustomization makes of several.
    pub(crate) fn accept(&self, file: &str, findings: &mut [Located]) {
        let path = self.relative(Path::new(file));
        let own = self.overrides.iter().filter(|own| covers(&own.paths, &path));
        let skips: Vec<_> = self.skips.iter().chain(own.flat_map(|own| &own.skips)).collect();
        for located in findings.iter_mut().filter(|located| located.suppressed.is_none()) {
            let skip = skips.iter().find(|skip| skip.control == located.finding.control.id);
            located.suppressed =
                skip.map(|skip| Accepted { reason: skip.reason.clone(), by: By::Project });
        }
    }

    /// What its author may want to know.
    pub(crate) fn remarks(&self) -> Option<FileReport> {
        let remarks = self.remarks.clone();
        (!remarks.is_empty()).then(|| FileReport {
            name: self.name.clone(),
            remarks,
            ..FileReport::default()
        })
    }

    /// With `/` at the start, for patterns that hold from the folder of the file.
    fn relative(&self, path: &Path) -> String {
        let path = absolute(path);
        let path = path.strip_prefix(&self.folder).unwrap_or(&path);
        format!("/{}", path.display()).replace('\\', "/")
    }
}

/// A path or a folder that holds it.
fn covers(patterns: &[Regex], path: &str) -> bool {
    let path = path.trim_start_matches("//");
    let ends = path.match_indices('/').skip(1).map(|(at, _)| at).chain([path.len()]);
    ends.filter_map(|end| path.get(..end)).any(|part| patterns.iter().any(|p| p.is_match(part)))
}

/// A pattern of the file: one that begins with `/` holds from its folder, any other for the end of a path.
fn pattern(text: &str) -> Result<Regex, String> {
    let relative = glob(text)?;
    if !text.starts_with('/') {
        return Ok(relative);
    }
    let anchored = relative.as_str().replacen("^(.*/)?", "^/", 1);
    Regex::new(&anchored).map_err(|_| "is too long".to_owned())
}

/// From the root, without `.` and `..`; links stay, for patterns are about the names that people see.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

/// The innermost folder that holds both.
fn common(one: &Path, other: &Path) -> PathBuf {
    one.components().zip(other.components()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
}

fn definition() -> Value {
    let text = json!({"type": "string", "minLength": 1, "maxLength": 1000});
    let patterns = json!({"type": "array", "maxItems": 1000, "items": text});
    let skip = json!({"type": "array", "maxItems": 1000, "items": {
        "type": "object",
        "required": ["control", "reason"],
        "properties": {"control": text, "reason": text, "until": text},
    }});
    let rules = |more: Value| {
        let mut all = json!({
            "profile": {"type": "string", "enum": ["baseline", "restricted", "guide"]},
            "baseline": text,
            "skip": skip,
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            all[key] = value.clone();
        }
        all
    };
    let overrides = json!({"type": "array", "maxItems": 200, "items": {
        "type": "object",
        "required": ["paths"],
        "properties": rules(json!({"paths": patterns})),
    }});
    let more = json!({"exclude": patterns, "baselineFile": text, "overrides": overrides});
    json!({"type": "object", "properties": rules(more)})
}

/// A file while it is read.
struct Reader<'t> {
    name: String,
    folder: PathBuf,
    lines: Lines<'t>,
    now: Timestamp,
    remarks: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn position(&self, root: &Node, path: &FieldPath) -> Position {
        self.lines.position(root.offset(path))
    }

    fn wrong(&self, root: &Node, path: &FieldPath, problem: &str) -> String {
        let Position { line, column } = self.position(root, path);
        format!("{}:{line}:{column}: {path}: {problem}", self.name)
    }

    fn project(mut self, text: &str) -> Result<Project, String> {
        let mut documents = yaml::read(text).into_iter();
        let root = match documents.next() {
            None => None,
            Some(Ok(document)) => document.root,
            Some(Err(fault)) => {
                let Position { line, column } = self.lines.position(fault.at);
                return Err(format!("{}:{line}:{column}: {}", self.name, fault.message));
            }
        };
        if documents.next().is_some() {
            return Err(format!("{} holds several documents: keep the first", self.name));
        }
        let Some(root) = root.filter(|root| !root.is_null()) else {
            return Err(format!("{} is empty: write what it is to say, or delete it", self.name));
        };
        let value = root.to_value();
        let wrong = misfits(&definition(), &value);
        if !wrong.is_empty() {
            let said = wrong.iter().map(|misfit| self.wrong(&root, &misfit.path, &misfit.problem));
            return Err(said.collect::<Vec<_>>().join("\n"));
        }
        let written: Written =
            serde_json::from_value(value).map_err(|error| format!("{}: {error}", self.name))?;
        self.compile(&root, written)
    }

    fn compile(&mut self, root: &Node, written: Written) -> Result<Project, String> {
        let whole = FieldPath::default();
        let rules = self.rules(root, &whole, &written.scope)?;
        let skips = self.skips(root, &whole, written.scope.skip)?;
        let exclude = self.patterns(root, &whole.key("exclude"), &written.exclude)?;
        let mut overrides = Vec::new();
        for (index, own) in written.overrides.into_iter().enumerate() {
            let at = whole.key("overrides").index(index);
            overrides.push(Override {
                paths: self.patterns(root, &at.key("paths"), &own.paths)?,
                rules: self.rules(root, &at, &own.scope)?,
                skips: self.skips(root, &at, own.scope.skip)?,
            });
        }
        Ok(Project {
            name: self.name.clone(),
            known: written.baseline_file.map(|file| relative(&self.folder.join(file))),
            folder: self.folder.clone(),
            rules,
            exclude,
            skips,
            overrides,
            remarks: std::mem::take(&mut self.remarks),
        })
    }

    fn patterns(
        &self,
        root: &Node,
        at: &FieldPath,
        written: &[String],
    ) -> Result<Vec<Regex>, String> {
        let each = written.iter().enumerate().map(|(index, text)| {
            pattern(text).map_err(|problem| self.wrong(root, &at.index(index), &problem))
        });
        each.collect()
    }

    fn rules(&self, root: &Node, at: &FieldPath, scope: &Scope) -> Result<Option<Rules>, String> {
        let rules = match (&scope.profile, &scope.baseline) {
            (Some(_), Some(_)) => {
                let problem = "profile and baseline exclude each other: remove one";
                return Err(self.wrong(root, &at.key("profile"), problem));
            }
            (Some(name), None) => baseline::built_in(name),
            (None, Some(file)) => baseline::from_file(&relative(&self.folder.join(file))),
            (None, None) => return Ok(None),
        };
        rules.map(|rules| Some(Rules { now: self.now, ..rules }))
    }

    fn skips(
        &mut self,
        root: &Node,
        at: &FieldPath,
        written: Vec<WrittenSkip>,
    ) -> Result<Vec<Skip>, String> {
        let mut skips = Vec::new();
        for (index, skip) in written.into_iter().enumerate() {
            let at = at.key("skip").index(index);
            let control = catalogue::named(&skip.control).map_err(|problem| {
                self.wrong(root, &at.key("control"), &format!("{:?} {problem}", skip.control))
            })?;
            if skip.reason.trim().is_empty() {
                return Err(self.wrong(root, &at.key("reason"), "is empty: say why"));
            }
            let until = match &skip.until {
                Some(text) => Some(text.parse::<Date>().map_err(|_| {
                    let problem = format!("{text:?} is no date: write it like 2027-03-31");
                    self.wrong(root, &at.key("until"), &problem)
                })?),
                None => None,
            };
            match until.filter(|until| *until < TimeZone::UTC.to_datetime(self.now).date()) {
                Some(past) => {
                    let message = format!(
                        "the skip of {control} ended on {past} and no longer counts: repair its findings, or set a later date"
                    );
                    let position = Some(self.position(root, &at.key("until")));
                    self.remarks.push(Diagnostic { position, message });
                }
                None => skips.push(Skip { control, reason: skip.reason.trim().to_owned() }),
            }
        }
        Ok(skips)
    }
}

/// From the working folder, where it is in it.
fn relative(path: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder whose configuration is this text.
    fn written(text: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(NAME), text).unwrap();
        folder
    }

    fn now() -> Timestamp {
        "2026-06-15T23:00:00Z".parse().unwrap()
    }

    fn read(text: &str) -> Result<Project, String> {
        let folder = written(text);
        let shown = folder.path().display().to_string();
        Project::read(&folder.path().join(NAME), now()).map_err(|error| error.replace(&shown, ""))
    }

    #[test]
    fn a_slip_is_an_error_with_its_place_and_the_nearest_word() {
        for (text, said) in [
            (
                "exclud: [a]\n",
                "/.gabion.yaml:1:1: exclud: unknown field \"exclud\"; did you mean exclude?",
            ),
            (
                "skip:\n- {control: HB-ROFS, reson: x}\n",
                "reson: unknown field \"reson\"; did you mean reason?",
            ),
            (
                "skip:\n- {control: HB-ROFS}\n",
                ".gabion.yaml:2:3: skip[0].reason: field reason is missing",
            ),
            (
                "skip:\n- {control: HB-ROSF, reason: x}\n",
                "2:4: skip[0].control: \"HB-ROSF\" is no control; did you mean HB-ROFS?",
            ),
            ("skip:\n- {control: HB-ROFS, reason: ' '}\n", "skip[0].reason: is empty"),
            (
                "skip:\n- {control: HB-ROFS, reason: x, until: soon}\n",
                "\"soon\" is no date: write it like 2027-03-31",
            ),
            ("profile: strict\n", "profile: \"strict\" is not one of baseline, restricted, guide"),
            (
                "profile: guide\nbaseline: b.yaml\n",
                "1:1: profile: profile and baseline exclude each other",
            ),
            ("overrides:\n- {profile: guide}\n", "field paths is missing"),
            ("exclude: ['/']\n", "1:11: exclude[0]: is empty"),
            ("a: [\n", "not YAML"),
            ("\n", "is empty: write what it is to say"),
            ("- a\n", "must be of type object"),
            ("{}\n---\n{}\n", "several documents"),
            ("baseline: gone.yaml\n", "does not exist"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn a_skip_counts_to_the_end_of_its_last_day() {
        let skip = |until: &str| {
            read(&format!("skip: [{{control: HB-ROFS, reason: x, until: {until}}}]\n")).unwrap()
        };
        for until in ["2026-06-15", "2026-06-16", "2030-01-01"] {
            assert_eq!((skip(until).skips.len(), skip(until).remarks.len()), (1, 0), "{until}");
        }
        let past = skip("2026-06-14");
        assert!(past.skips.is_empty());
        assert!(past.remarks[0].message.contains("ended on 2026-06-14"), "{:?}", past.remarks);
    }

    #[test]
    fn patterns_hold_for_folders_and_what_is_in_them() {
        let project = read("exclude: [vendor, /target, '*.tpl.yaml']\n").unwrap();
        let out = |path: &str| project.leaves_out(&project.folder.join(path));
        for path in ["vendor", "a/vendor/b/c.yaml", "target/x", "a/b.tpl.yaml"] {
            assert!(out(path), "{path}");
        }
        for path in ["a/target/x", "vendors/x", "a/b.yaml", ""] {
            assert!(!out(path), "{path}");
        }
    }

    #[test]
    fn the_last_override_that_names_rules_wins() {
        let text = "overrides:\n- {paths: [/a], profile: baseline}\n- {paths: [/a/b], profile: restricted}\n- {paths: [/a], skip: []}\n";
        let project = read(text).unwrap();
        let name = |path: &str| {
            let path = project.folder.join(path);
            project.rules_for(&path.display().to_string()).map(|rules| rules.name.clone())
        };
        assert_eq!(name("a/x.yaml").as_deref(), Some("baseline"));
        assert_eq!(name("a/b/x.yaml").as_deref(), Some("restricted"));
        assert_eq!(name("x.yaml"), None);
    }
}
