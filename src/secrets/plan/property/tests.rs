use super::*;

fn found(json: &str, path: &str) -> Option<String> {
    let found = find(json.as_bytes(), path).unwrap();
    found.map(|bytes| String::from_utf8_lossy(bytes.expose()).into_owned())
}

#[test]
fn a_key_with_dots_is_looked_for_as_it_is_first() {
    let json = r#"{"a.b":"flat","a":{"b":"deep","c":"only deep"}}"#;
    assert_eq!(found(json, "a.b").as_deref(), Some("flat"));
    assert_eq!(found(json, "a.c").as_deref(), Some("only deep"));
}
