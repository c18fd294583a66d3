use jiff::Timestamp;
use serde_json::{Value as Json, json};
use zeroize::Zeroizing;

use super::*;
use crate::api::external_secrets::external_secret::ExternalSecretSpec;
use gotemplate::Failure;
use gotemplate::KeyKind;

/// A clock that stands still, and no randomness.
struct Still;

impl Environment for Still {
    fn now(&mut self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Failure> {
        buffer.fill(7);
        Ok(())
    }

    fn private_key(&mut self, _: KeyKind) -> Result<Zeroizing<Vec<u8>>, Failure> {
        Err(Failure::function("none here"))
    }
}

/// Runs what renders templates, at a time that stands still.
pub(crate) fn with_engine<T>(work: impl FnOnce(&mut Engine<'_>) -> T) -> T {
    let (cache, delimiters) = (Cache::new(1 << 20), Delimiters::default());
    work(&mut Engine::new(&cache, &delimiters, &mut Still, &Limits::default()))
}

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, SecretBytes> {
    let owned = |text: &str| SecretBytes::from(text.to_owned());
    pairs.iter().map(|(key, text)| ((*key).to_owned(), owned(text))).collect()
}

fn object(template: &Json) -> ExternalSecret {
    let spec = json!({"target": {"template": template}});
    let spec: ExternalSecretSpec = serde_json::from_value(spec).unwrap();
    ExternalSecret::new("es", spec)
}

fn rendered_with(template: &Json, contents: &Contents) -> Result<Rendered, PlanError> {
    let object = object(template);
    let data = texts(&[("user", "app"), ("key", "s3cret")]);
    with_engine(|engine| render(&object, data, contents, engine))
}

fn rendered(template: &Json) -> Result<Rendered, PlanError> {
    rendered_with(template, &Contents::new())
}

fn data(template: &Json) -> Vec<(String, String)> {
    let rendered = rendered(template).unwrap();
    let text = |value: &SecretBytes| String::from_utf8(value.expose().to_vec()).unwrap();
    rendered.data.iter().map(|(key, value)| (key.clone(), text(value))).collect()
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

#[test]
fn the_data_read_stays_unless_something_is_templated_under_replace() {
    let read = [pair("key", "s3cret"), pair("user", "app")];
    assert_eq!(data(&json!({})), read);
    assert_eq!(data(&json!({"metadata": {"labels": {"a": "b"}}})), read);
    assert_eq!(data(&json!({"data": {"x": "{{ .user }}"}})), [pair("x", "app")]);
    let label = json!([{"target": "Labels", "literal": "a: b"}]);
    assert_eq!(data(&json!({"templateFrom": label})), []);
    let merged = json!({"mergePolicy": "Merge", "data": {"user": "{{ .user | len }}"}});
    assert_eq!(data(&merged), [pair("key", "s3cret"), pair("user", "3")]);
}

#[test]
fn the_later_template_wins_and_the_objects_own_most() {
    let from = json!([{"literal": "a: 1\nb: 1\nc: 1"}, {"literal": "b: 2\nc: 2"}]);
    let template = json!({"templateFrom": from, "data": {"c": "3"}});
    assert_eq!(data(&template), [pair("a", "1"), pair("b", "2"), pair("c", "3")]);
}

/// Finding B of the public reports: one conversion of scalars, the one that `fromYaml` has.
#[test]
fn reports_2_scalars_of_keys_and_values_become_the_text_that_go_makes() {
    let literal = "pin: 0123\nversion: 1.0\nbig: 1000000.0\noff: x";
    let expected =
        [pair("big", "1e+06"), pair("false", "x"), pair("pin", "83"), pair("version", "1")];
    let from = json!([{"literal": literal}]);
    assert_eq!(data(&json!({"templateFrom": from})), expected);
    // A label cannot hold a plus sign.
    let (literal, expected) = ("pin: 0123\nversion: 1.0\noff: x", &expected[1..]);
    for target in ["Labels", "Annotations"] {
        let from = json!([{"target": target, "literal": literal}]);
        let rendered = rendered(&json!({"templateFrom": from})).unwrap();
        let made = if target == "Labels" { rendered.labels } else { rendered.annotations };
        let made: Vec<_> = made.into_iter().filter(|(key, _)| !key.contains('/')).collect();
        assert_eq!(made, expected, "{target}");
    }
}

#[test]
fn inside_one_source_the_literal_wins_over_the_secret_over_the_config_map() {
    let reference = json!({"name": "o", "items": [{"key": "a"}, {"key": "b"}]});
    let from = json!([{"literal": "b: literal", "configMap": reference,
        "secret": {"name": "o", "items": [{"key": "a"}]}}]);
    let contents = Contents::from([
        ((InputKind::ConfigMap, "o".to_owned()), Some(texts(&[("a", "map"), ("b", "map")]))),
        ((InputKind::Secret, "o".to_owned()), Some(texts(&[("a", "{{ .user }}")]))),
    ]);
    let rendered = rendered_with(&json!({"templateFrom": from}), &contents).unwrap();
    assert_eq!(rendered.data, texts(&[("a", "app"), ("b", "literal")]));
}

#[test]
fn what_is_wrong_is_said_without_a_value() {
    let map = |items: Json| json!([{"configMap": {"name": "m", "items": items}}]);
    for (template, wanted) in [
        (
            json!({"data": {"a": "{{ .key }}\n{{ .usr }}"}}),
            "spec.target.template.data[a]: template a:2:",
        ),
        (json!({"data": {"a": "{{ .key "}}), "spec.target.template.data[a]: template a:1:"),
        (
            json!({"templateFrom": [{"literal": "{{ .key }}"}]}),
            "spec.target.template.templateFrom[0].literal: the output is no YAML map",
        ),
        (
            json!({"templateFrom": [{"literal": "a: [1]"}]}),
            "spec.target.template.templateFrom[0].literal: the output is no YAML map",
        ),
        (
            json!({"templateFrom": [{"literal": "a/b: x"}]}),
            "spec.target.template.templateFrom[0].literal: the key at position 1 in alphabetical order (3 characters) is no valid Secret key",
        ),
        (
            json!({"templateFrom": [{"literal": "a: b", "target": "spec"}]}),
            "spec.target.template.templateFrom[0].target is \"spec\"",
        ),
        (
            json!({"templateFrom": map(json!([{"key": "k"}]))}),
            "spec.target.template.templateFrom[0].configMap: ConfigMap \"m\" does not exist",
        ),
        (
            json!({"metadata": {"labels": {"a": "{{ .key }} "}}}),
            "spec.target.template (labels): key \"a\": its value may have",
        ),
        (json!({"engineVersion": "v1"}), "spec.target.template.engineVersion is \"v1\""),
        (json!({"mergePolicy": "Mix"}), "spec.target.template.mergePolicy is \"Mix\""),
    ] {
        let error = rendered(&template).unwrap_err().to_string();
        assert!(error.starts_with(wanted), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}

#[test]
fn of_a_template_in_a_secret_no_word_is_repeated() {
    let from = json!([{"secret": {"name": "o", "items": [{"key": "a"}]}}]);
    for text in
        ["x\n{{ hunter2 }}", "x\n{{ .hunter2 }}", "x\n{{ len .user.hunter2 }}", "x\n{{ hunter2"]
    {
        let held = Some(texts(&[("a", text)]));
        let contents = Contents::from([((InputKind::Secret, "o".to_owned()), held)]);
        let error =
            rendered_with(&json!({"templateFrom": from}), &contents).unwrap_err().to_string();
        assert!(
            error.starts_with("spec.target.template.templateFrom[0].secret: template a:"),
            "{error}"
        );
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_scalar_that_is_no_text_becomes_its_text() {
    let literal = "a: 3\nb: true\nc: 1.5\nd:\ne: \"007\"\n";
    assert_eq!(
        data(&json!({"templateFrom": [{"literal": literal}]})),
        [pair("a", "3"), pair("b", "true"), pair("c", "1.5"), pair("d", ""), pair("e", "007")]
    );
}

#[test]
fn type_and_finalizers_are_taken_as_they_stand() {
    let template = json!({"type": "kubernetes.io/tls", "metadata": {"finalizers": ["a/b"]}});
    let rendered = rendered(&template).unwrap();
    assert_eq!(rendered.type_.as_deref(), Some("kubernetes.io/tls"));
    assert_eq!(rendered.finalizers, ["a/b"]);
}
