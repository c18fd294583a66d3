//! `property`, decoding, key conversion and rewriting give what Go and the libraries of External Secrets give.
//!
//! `dev/golden` writes the vectors beside this file. A case passes if both give the same bytes, or if both fail.
//! `deviations.json` lists the cases that differ on purpose; a listed case that no longer differs fails too.
//! The vectors of the templates are in `crates/gotemplate/tests/golden/`.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, clippy::unwrap_in_result)]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use serde::{Deserialize, de::DeserializeOwned};

mod shaping;

/// The result of one case.
#[derive(Debug, PartialEq, Eq)]
enum Shaped {
    /// Bytes, with maps written as JSON.
    Bytes(Vec<u8>),
    /// There is nothing at the path.
    Absent,
    Failed,
}

impl Shaped {
    fn shown(&self) -> String {
        match self {
            Self::Bytes(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
            Self::Absent => "nothing".to_owned(),
            Self::Failed => "an error".to_owned(),
        }
    }
}

struct Case {
    /// Group and number or title.
    name: String,
    /// The path, or the operation and its input.
    input: String,
    /// Go's result.
    want: Shaped,
    /// Ours.
    got: Shaped,
}

/// A case that differs from Go on purpose.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Deviation {
    file: String,
    case: String,
    why: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of vectors. `GOLDEN` may name a folder with others, such as the random ones of `dev/golden -random`.
fn read<T: DeserializeOwned>(file: &str) -> T {
    let others = std::env::var_os("GOLDEN").map(|folder| PathBuf::from(folder).join(file));
    let path = others
        .filter(|path| path.exists())
        .unwrap_or_else(|| root().join("tests/golden").join(file));
    let text = std::fs::read(path).unwrap();
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Fails if a case differs without being listed as a deviation, or is listed without differing.
fn compare(file: &str, cases: &[Case]) {
    let deviations: Vec<Deviation> = read("deviations.json");
    let listed: BTreeMap<_, _> = deviations
        .iter()
        .filter(|deviation| deviation.file == file)
        .map(|deviation| (deviation.case.as_str(), deviation.why.len()))
        .collect();
    let (mut wrong, mut used) = (Vec::new(), BTreeSet::new());
    for case in cases {
        let deviation = listed.get_key_value(case.input.as_str());
        used.extend(deviation.map(|(name, _)| *name));
        if (case.want == case.got) == deviation.is_some() {
            let (want, got) = (case.want.shown(), case.got.shown());
            let listed = if deviation.is_some() { " (listed as a deviation)" } else { "" };
            let Case { name, input, .. } = case;
            wrong.push(format!("{name}: {input}{listed}\n   Go:     {want}\n   Gabion: {got}"));
        }
    }
    println!("golden {file}: {} cases, {} deviations", cases.len(), listed.len());
    let unknown: Vec<_> = listed.keys().filter(|name| !used.contains(**name)).collect();
    assert!(unknown.is_empty(), "{file} has no such cases: {unknown:?}");
    assert!(listed.values().all(|why| *why > 20), "every deviation has a reason");
    let (failed, all) = (wrong.len(), cases.len());
    assert!(failed == 0, "{failed} of {all} cases in {file} fail:\n{}", wrong.join("\n"));
}

#[test]
fn paths_find_what_gjson_finds() {
    let cases = shaping::paths();
    assert!(cases.len() >= 120);
    compare("gjson.json", &cases);
}

#[test]
fn data_is_decoded_and_rewritten_as_external_secrets_does() {
    let cases = shaping::cases();
    assert!(cases.len() >= 60);
    compare("shaping.json", &cases);
}

#[test]
fn the_vectors_are_what_go_makes_now() {
    let out = Command::new("go")
        .args(["run", ".", "-check"])
        .arg(root())
        .current_dir(root().join("dev/golden"))
        .env("GOFLAGS", "-mod=readonly -buildvcs=false")
        .output()
        .expect("Go is a prerequisite: dev/prerequisites.sh");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}
