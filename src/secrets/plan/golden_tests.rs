//! `property`, decoding, key conversion and rewriting give what Go and the libraries of External Secrets give.
//!
//! `dev/golden` writes the vectors to `tests/golden/`. A case passes if both give the same bytes, or if both fail.
//! `deviations.json` lists the cases that differ on purpose; a listed case that no longer differs fails too.
//! The vectors of the templates are in `crates/gotemplate/tests/golden/`.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gotemplate::{Cache, Delimiters, Environment, Failure, KeyKind, Limits};
use jiff::Timestamp;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{decode, key::Key, rewrite, template::Engine};
use crate::{
    api::external_secrets::{
        external_secret::{ConversionStrategy, Rewrite},
        references::DecodingStrategy,
    },
    gjson,
    provider::SecretBytes,
};

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

fn wanted(vector: &Value) -> Shaped {
    if vector["error"].is_string() {
        Shaped::Failed
    } else if vector["absent"] == true {
        Shaped::Absent
    } else if let Some(text) = vector["want64"].as_str() {
        Shaped::Bytes(STANDARD.decode(text).unwrap())
    } else {
        Shaped::Bytes(vector["want"].as_str().unwrap_or_default().into())
    }
}

fn text(vector: &Value, field: &str) -> String {
    vector[field].as_str().unwrap_or_else(|| panic!("{vector} has no {field}")).to_owned()
}

fn path_cases() -> Vec<Case> {
    let vectors: Vec<Value> = read("gjson.json");
    let mut documents = HashMap::new();
    let mut cases = Vec::new();
    for vector in vectors {
        if vector["document"].is_string() {
            documents.insert(text(&vector, "document"), text(&vector, "json"));
            continue;
        }
        let path = text(&vector, "path");
        let json = &documents[vector["in"].as_str().unwrap()];
        let got = match gjson::find(json.as_bytes(), &path) {
            Ok(Some(found)) => Shaped::Bytes(found.expose().to_vec()),
            Ok(None) => Shaped::Absent,
            Err(_) => Shaped::Failed,
        };
        cases.push(Case { name: text(&vector, "name"), input: path, want: wanted(&vector), got });
    }
    cases
}

/// Documents that are no JSON, and what each path finds in them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Broken {
    Paths { paths: Vec<String> },
    Document { json: String, outcomes: Vec<String> },
}

fn broken_cases() -> Vec<Case> {
    let bytes = |text: &str| match text.strip_prefix("base64:") {
        Some(encoded) => STANDARD.decode(encoded).unwrap(),
        None => text.as_bytes().to_vec(),
    };
    let (mut cases, mut paths) = (Vec::new(), Vec::new());
    for line in read::<Vec<Broken>>("broken.json") {
        let (json, outcomes) = match line {
            Broken::Paths { paths: listed } => {
                paths = listed;
                continue;
            }
            Broken::Document { json, outcomes } => (json, outcomes),
        };
        assert_eq!(paths.len(), outcomes.len(), "{json}");
        for (path, outcome) in paths.iter().zip(&outcomes) {
            let got = match gjson::find(&bytes(&json), path) {
                Ok(Some(found)) => Shaped::Bytes(found.expose().to_vec()),
                Ok(None) => Shaped::Absent,
                Err(_) => Shaped::Failed,
            };
            let want = match outcome.strip_prefix('=') {
                Some(text) => Shaped::Bytes(text.into()),
                None if outcome == "-" => Shaped::Absent,
                None => Shaped::Bytes(bytes(outcome)),
            };
            cases.push(Case { name: json.clone(), input: path.clone(), want, got });
        }
    }
    cases
}

fn shaping_cases() -> Vec<Case> {
    let vectors: Vec<Value> = read("shaping.json");
    vectors
        .iter()
        .map(|vector| {
            let group = text(vector, "group");
            let (input, want, got) = match group.as_str() {
                "decode" => decoding(vector),
                "convert" => conversion(vector),
                "rewrite" => rewriting(vector),
                "mapping" => mapping(vector),
                other => panic!("what is {other}?"),
            };
            Case { name: text(vector, "name"), input, want, got }
        })
        .collect()
}

/// Neither time nor randomness: keys are made of keys alone.
struct Nothing;

impl Environment for Nothing {
    fn now(&mut self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn fill(&mut self, _: &mut [u8]) -> Result<(), Failure> {
        Err(Failure::function("no randomness here"))
    }

    fn private_key(&mut self, _: KeyKind) -> Result<Zeroizing<Vec<u8>>, Failure> {
        Err(Failure::function("no keys here"))
    }
}

fn refused() -> Shaped {
    Shaped::Failed
}

fn decoding(vector: &Value) -> (String, Shaped, Shaped) {
    let strategy = DecodingStrategy::deserialize(&vector["strategy"]).unwrap();
    let value = SecretBytes::from(text(vector, "value"));
    let got = match decode::decode("f", "k", &strategy, value) {
        Ok(bytes) => Shaped::Bytes(bytes.expose().to_vec()),
        Err(_) => refused(),
    };
    (format!("{strategy:?} {}", vector["value"]), wanted(vector), got)
}

fn conversion(vector: &Value) -> (String, Shaped, Shaped) {
    let strategy = ConversionStrategy::deserialize(&vector["strategy"]).unwrap();
    let keys = Vec::<String>::deserialize(&vector["keys"]).unwrap();
    let data = keys.iter().map(|key| (key.clone(), SecretBytes::default())).collect();
    let listed = |keys: &Vec<String>| Shaped::Bytes(serde_json::to_vec(keys).unwrap());
    let got =
        match decode::convert_keys("f", &strategy, data, |nth, key| Key::made(nth, key).name()) {
            Ok(data) => listed(&data.into_keys().collect()),
            Err(_) => refused(),
        };
    let want = match Option::<Vec<String>>::deserialize(&vector["wantKeys"]).unwrap() {
        _ if vector["error"].is_string() => refused(),
        keys => listed(&keys.unwrap_or_default()),
    };
    (format!("{strategy:?} {}", vector["keys"]), want, got)
}

fn mapping(vector: &Value) -> (String, Shaped, Shaped) {
    let mapped = |map: &BTreeMap<String, String>| Shaped::Bytes(serde_json::to_vec(map).unwrap());
    let (cache, delimiters, limits) =
        (Cache::new(1 << 20), Delimiters::default(), Limits::default());
    let mut environment = Nothing;
    let mut engine = Engine::new(&cache, &delimiters, &mut environment, &limits);
    let yaml = text(vector, "yaml");
    let got = match engine.pairs("f", "literal", &SecretBytes::from(yaml.clone())) {
        Ok(pairs) => mapped(
            &pairs
                .into_iter()
                .map(|(key, value)| (key, String::from_utf8(value.expose().to_vec()).unwrap()))
                .collect(),
        ),
        Err(_) => refused(),
    };
    let want = match Option::<BTreeMap<String, String>>::deserialize(&vector["wantData"]).unwrap() {
        _ if vector["error"].is_string() => refused(),
        pairs => mapped(&pairs.unwrap_or_default()),
    };
    (yaml, want, got)
}

fn rewriting(vector: &Value) -> (String, Shaped, Shaped) {
    let operations = Vec::<Rewrite>::deserialize(&vector["operations"]).unwrap();
    let pairs = |field: &str| {
        Option::<BTreeMap<String, String>>::deserialize(&vector[field]).unwrap().unwrap_or_default()
    };
    let mapped = |map: &BTreeMap<String, String>| Shaped::Bytes(serde_json::to_vec(map).unwrap());
    let data = pairs("data").into_iter().map(|(key, value)| (key, SecretBytes::from(value)));
    let (cache, delimiters, limits) =
        (Cache::new(1 << 20), Delimiters::default(), Limits::default());
    let mut environment = Nothing;
    let mut engine = Engine::new(&cache, &delimiters, &mut environment, &limits);
    let got = match rewrite::rewrite("f", &operations, data.collect(), &mut engine) {
        Ok(data) => mapped(
            &data
                .into_iter()
                .map(|(key, value)| (key, String::from_utf8(value.expose().to_vec()).unwrap()))
                .collect(),
        ),
        Err(_) => refused(),
    };
    let want = if vector["error"].is_string() { refused() } else { mapped(&pairs("wantData")) };
    (format!("{} of {}", vector["operations"], vector["data"]), want, got)
}

#[test]
fn paths_find_what_gjson_finds() {
    let cases = path_cases();
    assert!(cases.len() >= 120);
    compare("gjson.json", &cases);
}

#[test]
fn paths_find_in_broken_documents_what_gjson_finds() {
    let cases = broken_cases();
    assert!(cases.len() >= 10_000);
    compare("broken.json", &cases);
}

#[test]
fn data_is_decoded_and_rewritten_as_external_secrets_does() {
    let cases = shaping_cases();
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
