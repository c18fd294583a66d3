//! Paths, decoding, key conversion, rewriting.

use std::collections::{BTreeMap, HashMap};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gabion::api::external_secrets::external_secret::ConversionStrategy;
use gabion::api::external_secrets::external_secret::Rewrite;
use gabion::api::external_secrets::references::DecodingStrategy;
use gabion::gjson;
use gabion::provider::SecretBytes;
use gabion::secrets::plan::decode;
use gabion::secrets::plan::rewrite;
use gabion::secrets::plan::template::Engine;
use gotemplate::Cache;
use gotemplate::Delimiters;
use gotemplate::Environment;
use gotemplate::Failure;
use gotemplate::KeyKind;
use gotemplate::Limits;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::{Case, Outcome, read};

fn wanted(vector: &Value) -> Outcome {
    if let Some(class) = vector["error"].as_str() {
        Outcome::Failed(class.to_owned())
    } else if vector["absent"] == true {
        Outcome::Absent
    } else if let Some(text) = vector["want64"].as_str() {
        Outcome::Bytes(STANDARD.decode(text).unwrap())
    } else {
        Outcome::Bytes(vector["want"].as_str().unwrap_or_default().into())
    }
}

fn text(vector: &Value, field: &str) -> String {
    vector[field].as_str().unwrap_or_else(|| panic!("{vector} has no {field}")).to_owned()
}

pub fn paths() -> Vec<Case> {
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
            Ok(Some(found)) => Outcome::Bytes(found.expose().to_vec()),
            Ok(None) => Outcome::Absent,
            Err(gjson::PropertyError::NotJson) => Outcome::Failed("json".to_owned()),
            Err(error) => Outcome::Failed(error.to_string()),
        };
        cases.push(Case {
            name: text(&vector, "name"),
            group: text(&vector, "group"),
            text: path,
            want: wanted(&vector),
            got,
        });
    }
    cases
}

pub fn cases() -> Vec<Case> {
    let vectors: Vec<Value> = read("shaping.json");
    vectors
        .iter()
        .map(|vector| {
            let group = text(vector, "group");
            let (what, want, got) = match group.as_str() {
                "decode" => decoding(vector),
                "convert" => conversion(vector),
                "rewrite" => rewriting(vector),
                other => panic!("what is {other}?"),
            };
            Case { name: text(vector, "name"), group, text: what, want, got }
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

fn refused() -> Outcome {
    Outcome::Failed("refused".to_owned())
}

fn decoding(vector: &Value) -> (String, Outcome, Outcome) {
    let strategy = DecodingStrategy::deserialize(&vector["strategy"]).unwrap();
    let value = SecretBytes::from(text(vector, "value"));
    let got = match decode::decode("f", "k", &strategy, value) {
        Ok(bytes) => Outcome::Bytes(bytes.expose().to_vec()),
        Err(_) => refused(),
    };
    (format!("{strategy:?} {}", vector["value"]), wanted(vector), got)
}

fn conversion(vector: &Value) -> (String, Outcome, Outcome) {
    let strategy = ConversionStrategy::deserialize(&vector["strategy"]).unwrap();
    let keys = Vec::<String>::deserialize(&vector["keys"]).unwrap();
    let data = keys.iter().map(|key| (key.clone(), SecretBytes::default())).collect();
    let listed = |keys: &Vec<String>| Outcome::Bytes(serde_json::to_vec(keys).unwrap());
    let got = match decode::convert_keys("f", &strategy, data) {
        Ok(data) => listed(&data.into_keys().collect()),
        Err(_) => refused(),
    };
    let want = match Option::<Vec<String>>::deserialize(&vector["wantKeys"]).unwrap() {
        _ if vector["error"].is_string() => refused(),
        keys => listed(&keys.unwrap_or_default()),
    };
    (format!("{strategy:?} {}", vector["keys"]), want, got)
}

fn rewriting(vector: &Value) -> (String, Outcome, Outcome) {
    let operations = Vec::<Rewrite>::deserialize(&vector["operations"]).unwrap();
    let pairs = |field: &str| {
        Option::<BTreeMap<String, String>>::deserialize(&vector[field]).unwrap().unwrap_or_default()
    };
    let mapped = |map: &BTreeMap<String, String>| Outcome::Bytes(serde_json::to_vec(map).unwrap());
    let data = pairs("data").into_iter().map(|(key, value)| (key, SecretBytes::from(value)));
    let (cache, delimiters, limits) =
        (Cache::new(1 << 20), Delimiters::default(), Limits::default());
    let mut source = Nothing;
    let mut engine = Engine::new(&cache, &delimiters, &mut source, &limits);
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
