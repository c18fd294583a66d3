//! An object beside its type, as the API server reads it.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

use super::types::{Field, Fields, TYPES};
use crate::check::object::short;
use crate::check::schema::{is_filled_in_later, is_near};
use crate::policy::ControlId;
use crate::policy::FieldPath;
use crate::policy::Finding;
use crate::policy::Segment;
use crate::policy::Severity;
use crate::quantity::Quantity;

/// Findings of one object; a file in another format would have one for each field.
pub(super) const MOST: usize = 40;
/// Fields that must be given and may be empty: the API server itself as the audience of a token, and its oldest group.
const MAY_BE_EMPTY: [&str; 2] = ["audience", "group"];
/// Values within values.
const DEEPEST: usize = 100;
/// Names that are compared with one that is not known.
const MOST_NAMES: usize = 20;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
        .with_decode_allow_trailing_bits(true),
);

/// A step of the way to a value. A path is made of them where there is something to say.
#[derive(Clone, Copy)]
enum Step<'v> {
    Key(&'v str),
    Index(usize),
}

/// A walk through an object.
pub(super) struct Walk<'v> {
    pub(super) found: Vec<Finding>,
    /// The minor version of the API server.
    minor: u32,
    unknown: usize,
    way: Vec<Step<'v>>,
}

impl<'v> Walk<'v> {
    pub(super) const fn new(minor: u32) -> Self {
        Self { found: Vec::new(), minor, unknown: 0, way: Vec::new() }
    }

    /// Compares a field of the object, or all of it, with a type.
    pub(super) fn run(&mut self, number: usize, field: Option<&'v str>, value: &'v Value) {
        self.way.extend(field.map(Step::Key));
        self.object(number, value);
        self.way.clear();
    }

    fn push(&mut self, last: Option<&str>, problem: String, severity: Severity) {
        if self.found.len() < MOST {
            let steps = self.way.iter().map(|step| match step {
                Step::Key(key) => Segment::Key((*key).to_owned()),
                Step::Index(index) => Segment::Index(*index),
            });
            let last = last.map(|key| Segment::Key(key.to_owned()));
            let path = FieldPath(steps.chain(last).collect());
            let finding = Finding::new(ControlId::HbSchema, path, problem);
            self.found.push(Finding { severity, ..finding });
        }
    }

    /// What no API server takes, whoever sends it.
    fn wrong(&mut self, problem: impl Into<String>) {
        self.push(None, problem.into(), Severity::High);
    }

    fn object(&mut self, number: usize, value: &'v Value) {
        let fields = TYPES.fields(number);
        let Some(given) = value.as_object() else {
            return self.wrong("must be of type object");
        };
        for (name, value) in given {
            match fields.get(name.as_str()) {
                Some(field) if field.span.holds(self.minor) => {
                    self.step(Step::Key(name), field.shape, value);
                }
                known => self.unknown(known, fields, name),
            }
        }
        let minor = self.minor;
        let needed = fields.iter().filter(|(_, field)| field.required && field.span.holds(minor));
        for (name, _) in needed {
            let problem = match given.get(*name) {
                None | Some(Value::Null) => "is missing",
                Some(Value::String(text)) if text.is_empty() && !MAY_BE_EMPTY.contains(name) => {
                    "is empty"
                }
                Some(_) => continue,
            };
            self.push(Some(name), format!("field {name} {problem}"), Severity::High);
        }
    }

    fn unknown(&mut self, known: Option<&Field>, fields: &Fields, name: &str) {
        // Patches say by these what becomes of lists.
        if name.starts_with('$') {
            return;
        }
        let problem = match known {
            Some(field) if field.span.since > self.minor => format!(
                "field {name:?} exists since Kubernetes 1.{}, and this is for 1.{}",
                field.span.since, self.minor
            ),
            Some(field) => {
                format!("field {name:?} exists up to Kubernetes 1.{}", field.span.until)
            }
            None => {
                self.unknown += 1;
                let look = self.unknown <= MOST_NAMES;
                let near = fields.keys().find(|known| look && is_near(known, name));
                let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                format!("unknown field {:?}{hint}", short(name))
            }
        };
        self.push(Some(name), problem, ControlId::HbSchema.control().severity);
    }

    fn step(&mut self, step: Step<'v>, shape: &str, value: &'v Value) {
        if self.way.len() < DEEPEST {
            self.way.push(step);
            self.value(shape, value);
            self.way.pop();
        }
    }

    /// A value beside its type. Null is the same as nothing.
    fn value(&mut self, shape: &str, value: &'v Value) {
        if value.is_null() || value.as_str().is_some_and(is_filled_in_later) {
            return;
        }
        if let Some(shape) = shape.strip_prefix('[') {
            let Some(items) = value.as_array() else {
                return self.wrong("must be of type array");
            };
            for (index, item) in items.iter().enumerate() {
                self.step(Step::Index(index), shape, item);
            }
        } else if let Some(shape) = shape.strip_prefix('{') {
            let Some(fields) = value.as_object() else {
                return self.wrong("must be of type object");
            };
            for (name, value) in fields {
                self.step(Step::Key(name), shape, value);
            }
        } else if let Ok(number) = shape.parse() {
            self.object(number, value);
        } else {
            self.scalar(shape, value);
        }
    }

    fn scalar(&mut self, shape: &str, value: &Value) {
        let (kind, words) = shape.split_once('|').map_or((shape, None), |(k, w)| (k, Some(w)));
        if let Some(problem) = misfit(kind, value) {
            return self.wrong(problem);
        }
        let text = value.as_str().filter(|text| !text.is_empty());
        if let Some((text, words)) = text.zip(words)
            && !words.split('|').any(|word| word == text)
        {
            let words = words.split('|').filter(|word| !word.is_empty()).collect::<Vec<_>>();
            let text = short(text);
            self.wrong(format!("{text:?} is not one of {}", words.join(", ")));
        }
    }
}

fn misfit(kind: &str, value: &Value) -> Option<String> {
    let (fits, wanted) = match kind {
        "s" => (value.is_string(), "string; put it in quotes"),
        "i" => (whole(value).is_some_and(|n| i32::try_from(n).is_ok()), "integer of 32 bits"),
        "I" => (whole(value).is_some(), "integer"),
        "n" => (value.is_number(), "number"),
        "b" => (value.is_boolean(), "boolean; write true or false without quotes"),
        "x" => {
            let number = whole(value).is_some_and(|n| i32::try_from(n).is_ok());
            (number || value.is_string(), "integer or string")
        }
        "q" => return no_quantity(value),
        "t" => {
            let time = value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok());
            (time, "string with a time such as 2030-01-31T12:00:00Z, in quotes")
        }
        "y" => return no_base64(value),
        _ => (true, ""),
    };
    (!fits).then(|| format!("must be of type {wanted}"))
}

/// A whole number. kubectl writes 3.0 as 3.
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let number = value.as_f64().filter(|number| number.fract() == 0.0)?;
        #[allow(clippy::cast_possible_truncation)] // within the bounds
        (number.abs() < 9e15).then_some(number as i64)
    })
}

fn no_quantity(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return Some("must be a quantity, such as 500m or 1Gi".to_owned()),
    };
    (Quantity::parse(&text).is_none())
        .then(|| format!("{:?} is no quantity: write one such as 500m or 1Gi", short(&text)))
}

fn no_base64(value: &Value) -> Option<String> {
    let Some(text) = value.as_str() else {
        return Some("must be text in base64, in quotes".to_owned());
    };
    let bare: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    let fits = BASE64.decode(bare).is_ok();
    (!fits).then(|| "is not base64: encode it, or move it to stringData".to_owned())
}
