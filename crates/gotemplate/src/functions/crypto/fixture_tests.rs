//! Against files and results of other programs: see `dev/crypto`, which makes the fixtures.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;

use super::testing::{bytes, call, called, text};
use crate::{ErrorKind, Failure, List, Type, Value, value::UintType};

#[derive(Deserialize)]
struct Fixtures {
    texts: BTreeMap<String, String>,
    files: Vec<File>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct File {
    made_by: String,
    password: String,
    content: String,
    key: String,
    certificates: String,
}

#[derive(Deserialize)]
struct Case {
    function: String,
    note: String,
    args: Option<Vec<String>>,
    want: Option<String>,
}

fn fixtures() -> Fixtures {
    serde_json::from_str(include_str!("../../../tests/fixtures/crypto.json")).unwrap()
}

/// The name of a text stands for the text itself.
fn decoded(fixtures: &Fixtures, value: &str) -> Vec<u8> {
    if let Some(base64) = value.strip_prefix('=') {
        return STANDARD.decode(base64).unwrap();
    }
    if let Some(number) = value.strip_prefix('#') {
        let number: usize = number.parse().unwrap();
        return STANDARD.decode(&fixtures.files[number].content).unwrap();
    }
    let mut text = value.strip_prefix('\'').unwrap().to_owned();
    for (name, whole) in &fixtures.texts {
        text = text.replace(&format!("<{name}>"), whole);
    }
    text.into_bytes()
}

#[test]
fn every_file_that_go_reads_is_read_alike_and_no_other() {
    let fixtures = fixtures();
    for File { made_by, password, content, key, certificates } in &fixtures.files {
        let file = STANDARD.decode(content).unwrap();
        let args = [password.as_bytes(), &file];
        for (function, want) in [("pkcs12keyPass", key), ("pkcs12certPass", certificates)] {
            let (got, want) = (called(function, &args), decoded(&fixtures, want));
            match got {
                Ok(got) => assert_eq!(got, want, "{function} {made_by}"),
                Err(failure) => assert!(want.is_empty(), "{function} {made_by}: {failure:?}"),
            }
        }
    }
}

/// On purpose: a point that does not belong to the secret number is refused, where Go writes both down.
fn deviates(case: &Case) -> bool {
    case.function == "jwkPrivateKeyPem"
        && ["p256, damaged d", "p384, damaged d", "p521, damaged d"].contains(&&case.note[..])
}

/// Calls a function with arguments of the types that it takes, and gives its result as bytes.
fn result(function: &str, args: &[Vec<u8>]) -> Result<Vec<u8>, Failure> {
    let number = |at: usize| Value::int(str::from_utf8(&args[at]).unwrap().parse().unwrap());
    let list = |at: usize| {
        let parts = args[at].split(|byte| *byte == b',').filter(|part| !part.is_empty());
        Value::List(List::new(&Type::Any, parts.map(text).collect()))
    };
    let plain = |at: usize| text(&args[at]);
    let values = match function {
        "derivePassword" => {
            let counter = Value::Uint(UintType::Uint32, 7);
            [counter].into_iter().chain(args.iter().map(text)).collect()
        }
        "genCAWithKey" => vec![plain(0), number(1), plain(2)],
        "genSelfSignedCertWithKey" => vec![plain(0), list(1), list(2), number(3), plain(4)],
        "genSignedCertWithKey" => {
            let pair = args[4..6].iter().map(|part| text(STANDARD.encode(part)));
            let authority = call("buildCustomCert", &pair.collect::<Vec<_>>())?;
            vec![plain(0), list(1), list(2), number(3), authority, plain(6)]
        }
        _ => args.iter().map(text).collect(),
    };
    Ok(match call(function, &values)? {
        Value::List(list) => list.iter().map(bytes).collect::<Vec<_>>().join(&b"\n"[..]),
        Value::Object(pair) if function == "buildCustomCert" => {
            pair.fields().iter().flat_map(|(_, text)| bytes(text)).collect()
        }
        Value::Object(pair) => bytes(&pair.fields()[0].1),
        value => bytes(&value),
    })
}

fn contains(message: &str, part: &[u8]) -> bool {
    message.as_bytes().windows(part.len()).any(|window| window == part)
}

#[test]
fn every_call_gives_what_go_gives() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    let fixtures = fixtures();
    for case in &fixtures.cases {
        let args = case.args.iter().flatten().map(|arg| decoded(&fixtures, arg));
        let args: Vec<_> = args.collect();
        let got = result(&case.function, &args);
        let want = case.want.as_deref().map(|want| decoded(&fixtures, want));
        if let Err(failure) = &got {
            let told = args.iter().find(|arg| arg.len() > 5 && contains(&failure.message, arg));
            assert!(told.is_none(), "{} tells its argument: {}", case.function, failure.message);
        }
        let same = match (&got, &want) {
            (Ok(got), Some(want)) => got == want,
            (Err(failure), None) => failure.kind == ErrorKind::Function,
            _ => false,
        };
        count += 1;
        if !same && !deviates(case) {
            let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            wrong.push(format!(
                "{} ({}): {:?} instead of {:?}",
                case.function,
                case.note,
                got.map(|got| shown(&got)).map_err(|failure| failure.message),
                want.map(|want| shown(&want)),
            ));
        }
    }
    assert!(count > 500, "{count} cases");
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// A file of the fixtures.
pub(super) fn file(made_by: &str) -> Vec<u8> {
    let fixtures = fixtures();
    let file = fixtures.files.iter().find(|file| file.made_by == made_by).unwrap();
    STANDARD.decode(&file.content).unwrap()
}

/// A key or certificate of the fixtures.
pub(super) fn text_of(name: &str) -> String {
    fixtures().texts.remove(name).unwrap()
}
