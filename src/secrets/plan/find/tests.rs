use proptest::prelude::*;
use serde_json::json;

use super::*;

fn find(value: serde_json::Value) -> Find {
    serde_json::from_value(value).unwrap()
}

fn listing(prefix: &str, keys: &[&str]) -> Listing {
    let keys = keys.iter().map(|key| (*key).to_owned()).collect();
    Listing { prefix: prefix.to_owned(), keys }
}

fn matches(regexp: &str, listing: &Listing) -> Result<Vec<String>, PlanError> {
    let search = search("dataFrom[0].find", &find(json!({"name": {"regexp": regexp}})))?;
    let pattern = pattern("dataFrom[0].find", &search)?;
    matching("dataFrom[0].find", (pattern.as_ref(), None), listing, || true)
}

#[test]
fn an_expression_sees_the_full_name_and_the_key_is_below_the_prefix() {
    let listing = listing("prod/", &["db", "web", "old-db"]);
    assert_eq!(matches("^prod/db$", &listing).unwrap(), ["db"]);
    assert_eq!(matches("db", &listing).unwrap(), ["db", "old-db"]);
    assert_eq!(matches("", &listing).unwrap(), ["db", "web", "old-db"]);
}

#[test]
fn a_find_that_names_nothing_is_refused() {
    for nothing in [json!({}), json!({"path": ""}), json!({"tags": {}})] {
        let error = search("dataFrom[0].find", &find(nothing)).unwrap_err().to_string();
        assert!(error.contains("spec.dataFrom[0].find names nothing to find"), "{error}");
    }
    for something in [json!({"path": "a"}), json!({"name": {}}), json!({"tags": {"a": ""}})] {
        assert!(search("dataFrom[0].find", &find(something)).is_ok());
    }
}

#[test]
fn more_tags_than_a_secret_has_are_refused() {
    let tags = |count: usize| {
        let tags: BTreeMap<_, _> = (0..count).map(|nth| (format!("t{nth}"), "v")).collect();
        search("dataFrom[0].find", &find(json!({"tags": tags})))
    };
    assert!(tags(50).is_ok());
    let error = tags(100).unwrap_err().to_string();
    assert!(error.contains("has 100 tags, and no secret has more than 50"), "{error}");
}

#[test]
fn an_expression_that_is_none_or_explodes_is_named() {
    let names = listing("", &["a"]);
    let error = matches("(", &names).unwrap_err().to_string();
    assert!(error.contains("spec.dataFrom[0].find.name.regexp is \"(\""), "{error}");
    let error = matches("(((a{100}){100}){100})", &names).unwrap_err().to_string();
    assert!(error.contains("too costly a regular expression"), "{error}");
    assert!(!error.contains("a{100}"), "{error}");
}

#[test]
fn matching_ends_when_its_time_is_over() {
    let names = listing("", &["a", "b", "c"]);
    let search = search("dataFrom[0].find", &find(json!({"name": {"regexp": "."}}))).unwrap();
    let pattern = pattern("dataFrom[0].find", &search).unwrap();
    let mut left = 2;
    let in_time = || {
        left -= 1;
        left >= 0
    };
    let error =
        matching("dataFrom[0].find", (pattern.as_ref(), None), &names, in_time).unwrap_err();
    assert!(matches!(error, PlanError::CostlyRegexp { .. }), "{error}");
}

#[test]
fn ten_thousand_matches_are_refused_with_the_number() {
    let keys = (0..10_000).map(|nth| format!("k{nth}")).collect();
    let all = Listing { prefix: String::new(), keys };
    let error = matches("^k", &all).unwrap_err().to_string();
    assert!(
        error.contains("matches 10000 secrets, and one ExternalSecret finds at most 5000"),
        "{error}"
    );
    assert_eq!(matches("^k1234$", &all).unwrap(), ["k1234"]);
}

#[test]
fn values_are_texts_or_bytes_and_nothing_is_an_error() {
    let fetched = |text: Option<&str>, bytes: Option<&[u8]>| {
        let text = text.map(|text| SecretBytes::from(text.to_owned()));
        let binary = bytes.map(|bytes| SecretBytes::new(bytes.to_vec()));
        Arc::new(Fetched { text, binary, ..Fetched::default() })
    };
    let found = vec![
        ("a/text".to_owned(), fetched(Some("x"), None)),
        ("a/bytes".to_owned(), fetched(None, Some(&[0, 255]))),
    ];
    let values = values("f", found).unwrap();
    assert_eq!(values["a/text"].expose(), b"x");
    assert_eq!(values["a/bytes"].expose(), [0, 255]);
    let empty = vec![("a/none".to_owned(), fetched(None, None))];
    let error = super::values("f", empty).unwrap_err().to_string();
    assert!(error.contains("\"a/none\" holds neither"), "{error}");
}

/// What an expression of letters, `.`, `*` and the two anchors means, by backtracking over every place.
fn naive(pattern: &[u8], text: &[u8]) -> bool {
    fn here(pattern: &[u8], text: &[u8]) -> bool {
        match pattern {
            [] => true,
            [b'$'] => text.is_empty(),
            [one, b'*', rest @ ..] => {
                let is_it = |byte: &u8| *one == b'.' || byte == one;
                let most = text.iter().take_while(|byte| is_it(byte)).count();
                (0..=most).any(|used| here(rest, &text[used..]))
            }
            [one, rest @ ..] => {
                text.first().is_some_and(|byte| *one == b'.' || byte == one)
                    && here(rest, &text[1..])
            }
        }
    }
    match pattern {
        [b'^', rest @ ..] => here(rest, text),
        _ => (0..=text.len()).any(|from| here(pattern, &text[from..])),
    }
}

proptest! {
    #[test]
    fn the_names_that_a_naive_matcher_picks_are_those_that_are_found(
        pattern in r"\^?([ab/.]\*?){0,5}\$?",
        prefix in "[ab/]{0,2}",
        keys in prop::collection::vec("[ab/]{0,6}", 0..20),
    ) {
        let listing = Listing { prefix: prefix.clone(), keys: keys.clone() };
        let expected: Vec<_> = keys
            .into_iter()
            .filter(|key| naive(pattern.as_bytes(), format!("{prefix}{key}").as_bytes()))
            .collect();
        prop_assert_eq!(matches(&pattern, &listing).unwrap(), expected);
    }
}
