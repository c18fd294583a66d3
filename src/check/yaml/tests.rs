use serde_json::{Value, json};

use super::*;
use crate::policy::FieldPath;
use crate::policy::Segment;

/// The path that is written like this, without keys that hold dots.
fn path(text: &str) -> FieldPath {
    let steps = text.split(['.', '[']).filter(|step| !step.is_empty());
    FieldPath(
        steps
            .map(|step| match step.trim_end_matches(']').parse() {
                Ok(index) => Segment::Index(index),
                Err(_) => Segment::Key(step.to_owned()),
            })
            .collect(),
    )
}

fn one(text: &str) -> Node {
    let mut documents = read(text);
    assert_eq!(documents.len(), 1, "{documents:?}");
    documents.remove(0).unwrap().root.unwrap()
}

fn value(text: &str) -> Value {
    one(text).to_value()
}

/// The text from where a path is pointed at, to the end of its line.
fn pointed<'t>(text: &'t str, at: &str) -> &'t str {
    let place = one(text).offset(&path(at));
    text[place..].lines().next().unwrap_or_default()
}

fn fault(text: &str) -> Fault {
    read(text).into_iter().find_map(Result::err).unwrap_or_else(|| panic!("accepted: {text}"))
}

#[test]
fn scalars_mean_what_they_mean_to_kubectl() {
    let cases = [
        ("yes", json!(true)),
        ("Off", json!(false)),
        ("'yes'", json!("yes")),
        ("!!str yes", json!("yes")),
        ("0777", json!(511)),
        ("0o17", json!(15)),
        ("0x1F", json!(31)),
        ("-0x10", json!(-16)),
        ("1_000", json!(1000)),
        ("089", json!(89.0)),
        ("1.5", json!(1.5)),
        (".5", json!(0.5)),
        ("1e3", json!(1000.0)),
        ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
        ("~", Value::Null),
        ("", Value::Null),
        ("1.2.3", json!("1.2.3")),
        ("2001-01-01", json!("2001-01-01")),
        (".inf", json!(".inf")),
        ("500m", json!("500m")),
        ("-", json!([null])),
        ("+", json!("+")),
        ("e", json!("e")),
    ];
    for (text, wanted) in cases {
        let found = value(&format!("k: {text}\n").replace("k: -\n", "k:\n-\n"));
        assert_eq!(found["k"], wanted, "{text}");
    }
    assert_eq!(value("on: 1\n1: x\n"), json!({"true": 1, "1": "x"}));
}

#[test]
fn places_are_exact_in_block_style() {
    let text =
        "apiVersion: v1\nspec:\n  containers:\n  - name: app\n    image: \"x:1\"\n  -   name: b\n";
    assert_eq!(pointed(text, "spec.containers[0].image"), "image: \"x:1\"");
    assert_eq!(pointed(text, "spec.containers[1]"), "name: b");
    assert_eq!(pointed(text, "spec.containers[0].securityContext.privileged"), "name: app");
    assert_eq!(pointed(text, "spec.volumes[0]"), "spec:");
    assert_eq!(pointed(text, "metadata.name"), "apiVersion: v1");
}

#[test]
fn places_are_exact_in_flow_style_and_json() {
    let text = "spec: {containers: [{name: a}, {\"name\": b, 'image': c}]}\n";
    assert_eq!(pointed(text, "spec.containers[1]"), "{\"name\": b, 'image': c}]}");
    assert_eq!(pointed(text, "spec.containers[1].image"), "'image': c}]}");
    let json = "{\n\t\"spec\": {\n\t\t\"a\": [1, {\"b\": \"\\u00e9\\/\"}]\n\t}\n}\n";
    assert_eq!(pointed(json, "spec.a[1].b"), "\"b\": \"\\u00e9\\/\"}]");
    assert_eq!(value(json), json!({"spec": {"a": [1, {"b": "é/"}]}}));
}

#[test]
fn places_survive_wide_letters_windows_lines_and_comments() {
    let text = "# ü€😀\r\na: \"ü€😀\"\r\nb: # note\r\n  - x # why\r\n\r\n  # here\r\n  - z\r\n";
    assert_eq!(pointed(text, "b[1]"), "z");
    assert_eq!(pointed(text, "a"), "a: \"ü€😀\"");
    assert_eq!(value(text), json!({"a": "ü€😀", "b": ["x", "z"]}));
    let comments = read(text).remove(0).unwrap().comments;
    let found: Vec<_> = comments.iter().map(|comment| comment.text.trim()).collect();
    assert_eq!(found, ["ü€😀", "note", "why", "here"]);
    assert!(comments.iter().all(|comment| text[comment.at..].starts_with('#')));
}

#[test]
fn an_alias_points_to_the_text_that_it_repeats() {
    let text = "a: &x {k: 1}\nb: *x\nc:\n  <<: *x\n  m: 2\nd:\n  <<: [{k: 9}, *x]\n  k: 3\n";
    assert_eq!(
        value(text),
        json!({"a": {"k": 1}, "b": {"k": 1}, "c": {"m": 2, "k": 1}, "d": {"k": 3}})
    );
    assert_eq!(pointed(text, "b.k"), "k: 1}");
    assert!(one(text).at(&path("b.k")).unwrap().shared);
    assert!(one(text).at(&path("c.k")).unwrap().shared);
    assert!(!one(text).at(&path("c.m")).unwrap().shared);
    assert!(!one(text).at(&path("a.k")).unwrap().shared);
}

#[test]
fn keys_with_dots_are_found() {
    let text = "metadata:\n  annotations:\n    example.com/a.b: x\n";
    let at = FieldPath::default().keys(&["metadata", "annotations", "example.com/a.b"]);
    assert_eq!(&text[one(text).offset(&at)..], "example.com/a.b: x\n");
}

#[test]
fn a_key_given_twice_is_refused_with_both_places() {
    let text = "a: 1\nb:\n  c: 1\n  d: 2\n  \"c\": 3\n";
    let fault = fault(text);
    assert!(text[fault.at..].starts_with("\"c\": 3"), "{fault:?}");
    assert!(text[fault.first.unwrap()..].starts_with("c: 1"));
    let many: Vec<_> = (0..40).map(|i| format!("k{i}: {i}\n")).collect();
    let many = many.concat();
    assert!(read(&many)[0].is_ok());
    assert!(read(&(many + "k7: again\n"))[0].is_err());
}

#[test]
fn what_cannot_be_read_does_not_hide_the_next_document() {
    let text = "a: 1\n---\na: [1\n---\nb: 1\nb: 2\n---\nc: 3\n";
    let documents = read(text);
    let good: Vec<_> = documents
        .iter()
        .filter_map(|d| d.as_ref().ok())
        .filter_map(|d| d.root.as_ref().map(Node::to_value))
        .collect();
    assert_eq!(good, [json!({"a": 1}), json!({"c": 3})]);
    assert_eq!(documents.iter().filter(|d| d.is_err()).count(), 2, "{documents:?}");
}

#[test]
fn bombs_are_refused_before_they_grow() {
    let levels = (1..12).map(|i| {
        let list = vec![format!("*a{}", i - 1); 10].join(",");
        format!("a{i}: &a{i} [{list}]\n")
    });
    let start = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    let bomb: Vec<_> = std::iter::once(start).chain(levels).collect();
    let found = fault(&bomb.concat());
    assert!(found.message.contains("aliases are expanded"), "{found:?}");
    assert!(
        fault(&format!("a: {}{}", "[".repeat(5000), "]".repeat(5000))).message.contains("deep")
            || !fault(&"[".repeat(5000)).message.is_empty()
    );
    assert!(fault("a: &x [*x]\n").message.contains("inside the value"));
    assert!(fault("a: *nowhere\n").message.starts_with("not YAML"));
    assert!(fault("? [a, b]\n: c\n").message.contains("key"));
    assert!(fault("a:\n  <<: 3\n").message.contains("<<"));
}

#[test]
fn a_long_block_of_comments_is_read() {
    let text = format!("a:\n{}- b\n", "# word\n".repeat(5000));
    assert_eq!(value(&text), json!({"a": ["b"]}));
}

#[test]
fn empty_documents_hold_nothing() {
    for text in ["", "\n", "# only a comment\n", "---\n", "---\n# x\n---\n"] {
        let documents = read(text);
        assert!(documents.iter().all(|d| d.as_ref().is_ok_and(|d| d.root.is_none())), "{text:?}");
    }
}

#[test]
fn json_that_yaml_does_not_know_is_read_as_json() {
    let text = "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"a\": \"x\u{7f}y\"}";
    assert_eq!(one(text).to_value()["a"], "x\u{7f}y");
    let long = format!("{{\"{}\": 1}}", "k".repeat(3000));
    assert_eq!(one(&long).to_value()["k".repeat(3000)], 1);
    // A key that is there twice is still an error.
    assert!(read("{\"a\": 1, \"a\": 2}")[0].is_err());
}
