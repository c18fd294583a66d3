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
use gotemplate::{Cache, Delimiters, Environment, Failure, KeyKind, Limits};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::{Case, Shaped, read};

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

pub(crate) fn paths() -> Vec<Case> {
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

pub(crate) fn cases() -> Vec<Case> {
    let vectors: Vec<Value> = read("shaping.json");
    vectors
        .iter()
        .map(|vector| {
            let group = text(vector, "group");
            let (input, want, got) = match group.as_str() {
                "decode" => decoding(vector),
                "convert" => conversion(vector),
                "rewrite" => rewriting(vector),
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
