//! Templates.

use std::collections::{BTreeMap, HashMap};

use base64::{Engine, engine::general_purpose::STANDARD};
use gotemplate::{Data, Delimiters, Environment, ErrorKind, Failure, KeyKind, Limits, Template};
use jiff::Timestamp;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{Case, Rendered, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    name: String,
    group: String,
    template: String,
    #[serde(default)]
    delims: Vec<String>,
    #[serde(default)]
    data: BTreeMap<String, String>,
    #[serde(default)]
    data64: BTreeMap<String, String>,
    #[serde(default)]
    fixtures: BTreeMap<String, String>,
    #[serde(default)]
    fixtures64: BTreeMap<String, String>,
    want: Option<String>,
    want64: Option<String>,
    error: Option<String>,
    /// Go's, for whoever reads the file.
    #[serde(rename = "message")]
    _message: Option<String>,
}

/// Renders every template of a file.
pub(crate) fn cases(file: &str) -> Vec<Case> {
    let vectors: Vec<Vector> = read(file);
    let fixtures: HashMap<String, String> = read("fixtures.json");
    vectors.into_iter().map(|vector| vector.case(&fixtures)).collect()
}

impl Vector {
    fn case(self, fixtures: &HashMap<String, String>) -> Case {
        let got = self.render(fixtures);
        let want = match (self.want, self.want64, self.error) {
            (Some(text), None, None) => Rendered::Bytes(text.into_bytes()),
            (None, Some(text), None) => Rendered::Bytes(STANDARD.decode(text).unwrap()),
            (None, None, Some(class)) => Rendered::Failed(class),
            _ => panic!("{} wants either bytes or an error", self.name),
        };
        Case { name: self.name, group: self.group, template: self.template, want, got }
    }

    fn render(&self, fixtures: &HashMap<String, String>) -> Rendered {
        let delimiters = match self.delims.as_slice() {
            [left, right] => Delimiters { left: left.clone(), right: right.clone() },
            _ => Delimiters::default(),
        };
        let rendered =
            Template::parse("golden", self.template.as_bytes(), &delimiters).and_then(|template| {
                let mut environment = Fixed::new(fixtures);
                template.render(&self.data(fixtures), &mut environment, &Limits::default())
            });
        match rendered {
            Ok(bytes) => Rendered::Bytes(bytes.to_vec()),
            Err(error) => Rendered::Failed(class(error.kind)),
        }
    }

    fn data(&self, fixtures: &HashMap<String, String>) -> Data {
        let decoded = |text: &String| STANDARD.decode(text).unwrap();
        let plain = self.data.iter().map(|(key, text)| (key, text.clone().into_bytes()));
        let binary = self.data64.iter().map(|(key, text)| (key, decoded(text)));
        let texts =
            self.fixtures.iter().map(|(key, name)| (key, fixtures[name].clone().into_bytes()));
        let files = self.fixtures64.iter().map(|(key, name)| (key, decoded(&fixtures[name])));
        let all = plain.chain(binary).chain(texts).chain(files);
        all.map(|(key, bytes)| (key.as_str(), bytes)).collect()
    }
}

/// The name of a kind in the vectors.
pub(crate) fn class(kind: ErrorKind) -> String {
    match kind {
        ErrorKind::Parse => "parse",
        ErrorKind::MissingKey => "missing",
        ErrorKind::Type | ErrorKind::Exec => "type",
        ErrorKind::Function => "function",
        ErrorKind::Bound => "bound",
    }
    .to_owned()
}

/// A fixed clock, pseudo-random numbers, and the keys of the fixtures: making new ones would take minutes.
pub(crate) struct Fixed<'f> {
    fixtures: &'f HashMap<String, String>,
    state: u64,
}

impl<'f> Fixed<'f> {
    pub(crate) fn new(fixtures: &'f HashMap<String, String>) -> Self {
        Self { fixtures, state: 0x9e37_79b9_7f4a_7c15 }
    }
}

impl Environment for Fixed<'_> {
    fn now(&mut self) -> Timestamp {
        Timestamp::constant(1_790_000_000, 0)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Failure> {
        for byte in buffer {
            // xorshift64
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            *byte = self.state.to_be_bytes()[0];
        }
        Ok(())
    }

    fn private_key(&mut self, kind: KeyKind) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let name = match kind {
            KeyKind::Rsa(_) => "leaf.key",
            KeyKind::EcdsaP256 => "ec.key",
            KeyKind::Ed25519 => "ed25519.key",
        };
        let body: String =
            self.fixtures[name].lines().filter(|line| !line.starts_with("---")).collect();
        Ok(Zeroizing::new(STANDARD.decode(body).unwrap()))
    }
}
