//! The new value, made of what a generator made and of the present value.

use std::collections::BTreeMap;

use gotemplate::Data;

use super::super::push::json;
use super::super::template::Engine;
use super::error::RotationError;
use crate::api::gabion::secret_rotation::NewValue;
use crate::provider::SecretBytes;

/// AWS's limit of one value.
const MOST_BYTES: usize = 65_536;

type Texts = BTreeMap<String, SecretBytes>;

/// Makes the new value: a JSON object.
pub(crate) fn compose(
    spec: &NewValue,
    made: &Texts,
    current: Option<&SecretBytes>,
    engine: &mut Engine<'_>,
) -> Result<SecretBytes, RotationError> {
    let wrong = |field, problem: &str| RotationError::Field { field, problem: problem.to_owned() };
    let value = match (&spec.property, &spec.template) {
        (Some(_), Some(_)) => {
            return Err(wrong("value", "has property and template: remove one of them"));
        }
        (Some(property), None) => replaced(property, made, current)?,
        (None, Some(template)) => rendered(template, made, current, engine)?,
        (None, None) => merged(made, current)?,
    };
    if value.len() > MOST_BYTES {
        return Err(wrong("value", "makes more than 65536 bytes, which AWS does not take"));
    }
    if Some(&value) == current {
        return Err(wrong("value", "makes the present value again: nothing would be rotated"));
    }
    Ok(value)
}

fn text(value: &SecretBytes) -> Result<&str, RotationError> {
    std::str::from_utf8(value.expose()).map_err(|_| RotationError::Field {
        field: "value.generatorRef",
        problem: "makes a value that is not text: choose another generator".to_owned(),
    })
}

fn not_an_object(field: &'static str) -> RotationError {
    let problem = "needs a present value that is a JSON object: use value.template".to_owned();
    RotationError::Field { field, problem }
}

fn replaced(
    property: &str,
    made: &Texts,
    current: Option<&SecretBytes>,
) -> Result<SecretBytes, RotationError> {
    let (Some(value), 1) = (made.values().next(), made.len()) else {
        let problem = format!(
            "needs a generator with one output, and this one has {}: use value.template",
            made.len()
        );
        return Err(RotationError::Field { field: "value.property", problem });
    };
    let current = current.ok_or_else(|| not_an_object("value.property"))?;
    json::set(current.expose(), property, text(value)?).map_err(|_| not_an_object("value.property"))
}

/// Without property and template: each output is a property of its own name.
fn merged(made: &Texts, current: Option<&SecretBytes>) -> Result<SecretBytes, RotationError> {
    let mut object = current.cloned().ok_or_else(|| not_an_object("value"))?;
    for (key, value) in made {
        let property = key.replace('.', "\\.");
        object = json::set(object.expose(), &property, text(value)?)
            .map_err(|_| not_an_object("value"))?;
    }
    Ok(object)
}

fn rendered(
    template: &BTreeMap<String, String>,
    made: &Texts,
    current: Option<&SecretBytes>,
    engine: &mut Engine<'_>,
) -> Result<SecretBytes, RotationError> {
    let present = fields(current);
    let bytes = |texts: &Texts| -> Vec<(String, Vec<u8>)> {
        texts.iter().map(|(key, value)| (key.clone(), value.expose().to_vec())).collect()
    };
    let dot =
        Data::nested([("new".to_owned(), bytes(made)), ("current".to_owned(), bytes(&present))]);
    let mut fields = Vec::with_capacity(template.len());
    for (key, text) in template {
        let output =
            engine.render(&format!("value.template[{key}]"), key, text, &dot).map_err(|error| {
                RotationError::Field { field: "value.template", problem: error.to_string() }
            })?;
        fields.push((key.as_str(), output));
    }
    let mut texts = Vec::with_capacity(fields.len());
    for (key, value) in &fields {
        texts.push((*key, text(value)?));
    }
    Ok(json::object(texts))
}

/// The present value as templates see it: its properties, or the whole of it as `value`.
fn fields(current: Option<&SecretBytes>) -> Texts {
    let Some(current) = current else { return Texts::new() };
    match serde_json::from_slice::<serde_json::Value>(current.expose()) {
        Ok(serde_json::Value::Object(members)) => members
            .into_iter()
            .map(|(key, value)| match value {
                serde_json::Value::String(text) => (key, SecretBytes::from(text)),
                other => (key, SecretBytes::from(other.to_string())),
            })
            .collect(),
        _ => Texts::from([("value".to_owned(), current.clone())]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::external_secrets::external_secret::{GeneratorKind, GeneratorRef};
    use crate::secrets::plan::template::tests::with_engine;

    fn made(pairs: &[(&str, &str)]) -> Texts {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned().into())).collect()
    }

    fn compose(
        property: Option<&str>,
        template: &[(&str, &str)],
        new: &[(&str, &str)],
        current: &str,
    ) -> Result<String, String> {
        let template: BTreeMap<_, _> =
            template.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let spec = NewValue {
            generator_ref: GeneratorRef {
                api_version: None,
                kind: GeneratorKind::Password,
                name: "a".to_owned(),
            },
            property: property.map(ToOwned::to_owned),
            template: (!template.is_empty()).then_some(template),
        };
        let current = SecretBytes::from(current.to_owned());
        let value = with_engine(|engine| super::compose(&spec, &made(new), Some(&current), engine));
        value
            .map(|value| String::from_utf8(value.expose().to_vec()).unwrap())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_property_a_template_or_all_outputs_make_the_new_value() {
        let current = r#"{"host":"db","password":"old","port":5432}"#;
        let new = [("password", "n\"ew")];
        assert_eq!(
            compose(Some("password"), &[], &new, current).unwrap(),
            r#"{"host":"db","password":"n\"ew","port":5432}"#
        );
        assert_eq!(
            compose(None, &[], &new, current).unwrap(),
            r#"{"host":"db","password":"n\"ew","port":5432}"#
        );
        let template = [("key", "{{ .new.password }}"), ("previous", "{{ .current.password }}")];
        assert_eq!(
            compose(None, &template, &new, current).unwrap(),
            r#"{"key":"n\"ew","previous":"old"}"#
        );
        let whole = [("key", "{{ .new.password }}"), ("previous", "{{ .current.value }}")];
        assert_eq!(
            compose(None, &whole, &new, "plain").unwrap(),
            r#"{"key":"n\"ew","previous":"plain"}"#
        );
    }

    #[test]
    fn what_makes_no_new_value_is_refused_without_a_word_of_it() {
        let new = [("password", "hunter2")];
        for (property, template, new, current, expected) in [
            (Some("password"), &[][..], &new[..], "hunter1", "JSON object"),
            (None, &[], &new, "[1]", "JSON object"),
            (Some("a"), &[], &[("a", "1"), ("b", "2")], "{}", "one output"),
            (Some("password"), &[], &new, r#"{"password":"hunter2"}"#, "present value again"),
            (Some("a"), &[("a", "b")], &new, "{}", "remove one of them"),
            (None, &[("a", "{{ .new.missing }}")], &new, "{}", "value.template"),
        ] {
            let problem = compose(property, template, new, current).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
            assert!(!problem.contains("hunter"), "{problem}");
        }
        let long = "x".repeat(70_000);
        let problem = compose(Some("a"), &[], &[("a", &long)], "{}").unwrap_err();
        assert!(problem.contains("65536"), "{problem}");
    }
}
