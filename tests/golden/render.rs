//! Templates.

use std::collections::{BTreeMap, HashMap};

use base64::{Engine, engine::general_purpose::STANDARD};
use gotemplate::Class;
use gotemplate::Delimiters;
use gotemplate::Entries;
use gotemplate::Environment;
use gotemplate::Failure;
use gotemplate::KeyKind;
use gotemplate::Limits;
use gotemplate::Map;
use gotemplate::Template;
use gotemplate::Text;
use gotemplate::Type;
use gotemplate::Value;
use jiff::Timestamp;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{Case, Outcome, read};

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
pub fn cases(file: &str) -> Vec<Case> {
    let vectors: Vec<Vector> = read(file);
    let fixtures: HashMap<String, String> = read("fixtures.json");
    vectors.into_iter().map(|vector| vector.case(&fixtures)).collect()
}

impl Vector {
    fn case(self, fixtures: &HashMap<String, String>) -> Case {
        let got = self.render(fixtures);
        let want = match (self.want, self.want64, self.error) {
            (Some(text), None, None) => Outcome::Bytes(text.into_bytes()),
            (None, Some(text), None) => Outcome::Bytes(STANDARD.decode(text).unwrap()),
            (None, None, Some(class)) => Outcome::Failed(class),
            _ => panic!("{} wants either bytes or an error", self.name),
        };
        Case { name: self.name, group: self.group, text: self.template, want, got }
    }

    fn render(&self, fixtures: &HashMap<String, String>) -> Outcome {
        let delimiters = match self.delims.as_slice() {
            [left, right] => Delimiters { left: left.clone(), right: right.clone() },
            _ => Delimiters::default(),
        };
        let rendered =
            Template::parse("golden", self.template.as_bytes(), &delimiters).and_then(|template| {
                let mut source = Fixed::new(fixtures);
                template.render(self.dot(fixtures), &mut source, &Limits::default())
            });
        match rendered {
            Ok(bytes) => Outcome::Bytes(bytes.to_vec()),
            Err(error) => Outcome::Failed(class(error.class)),
        }
    }

    /// What the template sees: a `map[string]string`.
    fn dot(&self, fixtures: &HashMap<String, String>) -> Value {
        let decoded = |text: &String| STANDARD.decode(text).unwrap();
        let plain = self.data.iter().map(|(key, text)| (key, text.clone().into_bytes()));
        let binary = self.data64.iter().map(|(key, text)| (key, decoded(text)));
        let texts =
            self.fixtures.iter().map(|(key, name)| (key, fixtures[name].clone().into_bytes()));
        let files = self.fixtures64.iter().map(|(key, name)| (key, decoded(&fixtures[name])));
        let entries: Entries = plain
            .chain(binary)
            .chain(texts)
            .chain(files)
            .map(|(key, bytes)| (Text::from(key.as_str()), Value::String(Text::new(bytes))))
            .collect();
        Value::Map(Map::new(&Type::String, entries))
    }
}

/// The class in the words of the vectors: what has no name there is a matter of types to Go.
pub fn class(class: Class) -> String {
    match class {
        Class::Parse => "parse",
        Class::MissingKey => "missing",
        Class::Type | Class::Exec => "type",
        Class::Function => "function",
        Class::Bound => "bound",
    }
    .to_owned()
}

/// A clock that stands still, and numbers that only look random. Keys are those of the fixtures: making some
/// would take minutes, and the vectors ask for nothing but their form.
pub struct Fixed<'f> {
    fixtures: &'f HashMap<String, String>,
    state: u64,
}

impl<'f> Fixed<'f> {
    pub fn new(fixtures: &'f HashMap<String, String>) -> Self {
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
