//! Templates render the same bytes here as in Go.
//!
//! The vectors beside this file hold what Go's own engine rendered (`dev/golden` in the repository writes them).
//! A case passes if both render the same bytes, or if both fail with the same class of error. `deviations.json`
//! lists the cases that differ on purpose; a listed case that no longer differs fails too. The counts go straight
//! to stderr, because the test runner would hide them.
#![allow(
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
    path::Path,
};

use serde::{Deserialize, de::DeserializeOwned};

mod render;
mod table;

/// The result of one rendering.
#[derive(Debug, PartialEq, Eq)]
enum Rendered {
    Bytes(Vec<u8>),
    /// The class of the error.
    Failed(String),
}

impl Rendered {
    fn shown(&self) -> String {
        match self {
            Self::Bytes(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
            Self::Failed(class) => format!("an error of class {class}"),
        }
    }
}

struct Case {
    /// Group and number or title.
    name: String,
    group: String,
    template: String,
    /// Go's result.
    want: Rendered,
    /// Ours.
    got: Rendered,
}

/// A case that differs from Go on purpose.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deviation {
    file: String,
    /// The template, or the name of the case.
    case: String,
    why: String,
}

/// A file of vectors. `GOLDEN` may name a folder with others, such as the random ones of `dev/golden -random`.
fn read<T: DeserializeOwned>(file: &str) -> T {
    let others = std::env::var_os("GOLDEN").map(|folder| Path::new(&folder).join(file));
    let path = others
        .filter(|path| path.exists())
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file));
    let text = std::fs::read(path).unwrap();
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Fails if a case differs without being listed as a deviation, or is listed without differing.
fn compare(file: &str, cases: &[Case]) {
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
        let listed = [case.template.as_str(), case.name.as_str()]
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
                "\n{}: {}{why}\n   Go:   {want}\n   Here: {got}",
                case.name, case.template
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
fn the_language_renders_as_in_go() {
    let cases = render::cases("language.json");
    assert!(cases.len() >= 250);
    compare("language.json", &cases);
}

#[test]
fn functions_return_what_go_returns() {
    let cases = render::cases("functions.json");
    assert!(cases.len() >= 300);
    compare("functions.json", &cases);
}

#[test]
fn functions_treat_every_kind_of_text_as_go_does() {
    let cases = table::cases();
    assert!(cases.len() >= 1000);
    compare("tables.json", &cases);
}

#[test]
fn whole_documents_are_equal_byte_for_byte() {
    let cases = render::cases("documents.json");
    assert!(cases.len() >= 40);
    compare("documents.json", &cases);
}

#[test]
fn every_deviation_has_a_reason() {
    let deviations: Vec<Deviation> = read("deviations.json");
    for deviation in deviations {
        assert!(deviation.why.len() > 20, "{}: {}", deviation.case, deviation.why);
    }
}
