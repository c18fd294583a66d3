//! What Go makes of templates, paths and keys is what Gabion makes of them.
//!
//! `dev/golden` writes the vectors in `tests/golden/`; a case passes when the bytes are the same, or when both
//! fail with the same class of error. Where Gabion differs on purpose, `deviations.json` says so, and a case in it
//! that no longer differs fails as well. The counts go to the terminal past the test runner, which would keep them.
#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::unwrap_in_result,
    clippy::explicit_write
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use serde::{Deserialize, de::DeserializeOwned};

#[path = "golden/render.rs"]
mod render;
#[path = "golden/shape.rs"]
mod shape;
#[path = "golden/table.rs"]
mod table;

/// What came of a case.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Bytes, with maps written as JSON.
    Bytes(Vec<u8>),
    /// There is nothing at the path.
    Absent,
    /// A failure of this class.
    Failed(String),
}

impl Outcome {
    fn shown(&self) -> String {
        match self {
            Self::Bytes(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
            Self::Absent => "nothing".to_owned(),
            Self::Failed(class) => format!("an error of class {class}"),
        }
    }
}

/// One case: what it is called in `deviations.json`, and both outcomes.
pub struct Case {
    /// Group and number or title.
    pub name: String,
    /// What it is about.
    pub group: String,
    /// The template, the path or whatever else says what the case is.
    pub text: String,
    /// Go's outcome.
    pub want: Outcome,
    /// Ours.
    pub got: Outcome,
}

/// A case in which Gabion differs, and why that is better.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deviation {
    file: String,
    /// The template or path, or the name of the case.
    case: String,
    why: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// A file of vectors. `GOLDEN` names a folder with others, such as those that `dev/golden -random` makes.
fn read<T: DeserializeOwned>(file: &str) -> T {
    let others = std::env::var_os("GOLDEN").map(|folder| Path::new(&folder).join(file));
    let path = others.filter(|path| path.exists()).unwrap_or_else(|| folder().join(file));
    let text = std::fs::read(path).unwrap();
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Compares all cases of a file with the table of deviations, and prints how many there are of what.
fn judge(file: &str, cases: &[Case]) {
    let deviations: Vec<Deviation> = read("deviations.json");
    let deviations: BTreeMap<_, _> = deviations
        .iter()
        .filter(|deviation| deviation.file == file)
        .map(|deviation| (deviation.case.as_str(), deviation.why.as_str()))
        .collect();
    let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut wrong, mut used) = (String::new(), BTreeSet::new());
    for case in cases {
        *groups.entry(&case.group).or_default() += 1;
        let listed = [case.text.as_str(), case.name.as_str()]
            .into_iter()
            .find(|name| deviations.contains_key(name));
        let same = case.want == case.got;
        if let Some(name) = listed {
            used.insert(name);
        }
        if same == listed.is_some() {
            let (want, got) = (case.want.shown(), case.got.shown());
            let why = if same { " (listed as a deviation, but there is none)" } else { "" };
            let _ = write!(
                wrong,
                "\n{}: {}{why}\n   Go:     {want}\n   Gabion: {got}",
                case.name, case.text
            );
        }
    }
    let unknown: Vec<_> = deviations.keys().filter(|name| !used.contains(**name)).collect();
    assert!(unknown.is_empty(), "{file} has no such cases: {unknown:?}");
    let failures = wrong.matches("\n   Go:").count();
    report(file, cases.len(), failures, deviations.len(), &groups);
    assert!(wrong.is_empty(), "{failures} of {} cases in {file} fail:{wrong}", cases.len());
}

fn report(
    file: &str,
    cases: usize,
    failures: usize,
    deviations: usize,
    groups: &BTreeMap<&str, usize>,
) {
    let mut text = format!(
        "golden {file}: {cases} cases, {failures} failures, {deviations} deviations, {} groups",
        groups.len()
    );
    if groups.len() < 40 {
        let groups: Vec<_> = groups.iter().map(|(name, count)| format!("{name} {count}")).collect();
        let _ = write!(text, " ({})", groups.join(", "));
    }
    writeln!(std::io::stderr(), "{text}").unwrap();
}

#[test]
fn the_language_is_gos() {
    let cases = render::cases("language.json");
    assert!(cases.len() >= 250);
    judge("language.json", &cases);
}

#[test]
fn the_functions_are_those_of_external_secrets() {
    let cases = render::cases("functions.json");
    assert!(cases.len() >= 300);
    judge("functions.json", &cases);
}

#[test]
fn functions_do_with_every_kind_of_text_what_go_does() {
    let cases = table::cases();
    assert!(cases.len() >= 1000);
    judge("tables.json", &cases);
}

#[test]
fn documents_come_out_byte_for_byte() {
    let cases = render::cases("documents.json");
    assert!(cases.len() >= 40);
    judge("documents.json", &cases);
}

#[test]
fn paths_find_what_gjson_finds() {
    let cases = shape::paths();
    assert!(cases.len() >= 120);
    judge("gjson.json", &cases);
}

#[test]
fn data_is_decoded_and_rewritten_as_external_secrets_does() {
    let cases = shape::cases();
    assert!(cases.len() >= 60);
    judge("shaping.json", &cases);
}

#[test]
fn every_deviation_has_a_reason() {
    let deviations: Vec<Deviation> = read("deviations.json");
    for deviation in deviations {
        assert!(deviation.why.len() > 20, "{}: {}", deviation.case, deviation.why);
    }
}

#[test]
fn the_vectors_are_what_go_makes_now() {
    let out = Command::new("go")
        .args(["run", ".", "-check"])
        .arg(folder())
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("dev/golden"))
        .env("GOFLAGS", "-mod=readonly -buildvcs=false")
        .output()
        .expect("Go is a prerequisite: dev/prerequisites.sh");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}
