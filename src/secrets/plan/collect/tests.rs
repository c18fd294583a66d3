use serde_json::json;

use super::{super::template::tests::with_engine, *};

fn collect(spec: &ExternalSecretSpec, answers: &[Answer]) -> Result<Collected, PlanError> {
    with_engine(|engine| super::collect(spec, answers, &Generated::new(), engine))
}

fn spec(value: serde_json::Value) -> ExternalSecretSpec {
    let mut value = value;
    value["secretStoreRef"] = json!({"name": "store"});
    serde_json::from_value(value).unwrap()
}

/// An answer of a provider for which a property that is absent is an error, as for AWS.
fn answer(result: Result<Arc<Fetched>, ProviderError>) -> Answer {
    Answer::Read { result, absent_property_is_missing: false }
}

fn kind(store: &StoreId) -> &'static str {
    if store.cluster { "ClusterSecretStore" } else { "SecretStore" }
}

fn text(text: &str) -> Answer {
    answer(Ok(Arc::new(Fetched {
        text: Some(SecretBytes::from(text.to_owned())),
        ..Fetched::default()
    })))
}

fn binary(bytes: &[u8]) -> Answer {
    answer(Ok(Arc::new(Fetched {
        binary: Some(SecretBytes::new(bytes.to_vec())),
        ..Fetched::default()
    })))
}

fn missing() -> Answer {
    answer(Err(ProviderError::NotFound { key: "r".to_owned() }))
}

#[track_caller]
fn data(spec: &ExternalSecretSpec, answers: &[Answer]) -> BTreeMap<String, String> {
    let collected = collect(spec, answers).unwrap();
    collected
        .data
        .into_iter()
        .map(|(key, value)| (key, String::from_utf8_lossy(value.expose()).into_owned()))
        .collect()
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[track_caller]
fn fails(spec: &ExternalSecretSpec, answers: &[Answer], text: &str) {
    let error = collect(spec, answers).unwrap_err();
    assert_eq!(error.to_string(), text);
}

#[test]
fn questions_are_in_the_order_in_which_answers_count() {
    let spec = spec(json!({
        "data": [
            {"secretKey": "a", "remoteRef": {"key": "r1", "version": "uuid/42"}},
            {"secretKey": "b", "remoteRef": {"key": "r2", "version": "AWSPREVIOUS", "metadataPolicy": "Fetch"},
             "sourceRef": {"storeRef": {"name": "other", "kind": "ClusterSecretStore"}}},
        ],
        "dataFrom": [{"extract": {"key": "r3"}}],
    }));
    let asked: Vec<_> = lookups(&spec)
        .unwrap()
        .into_iter()
        .map(|l| {
            let Ask::Read(request) = l.ask else { panic!("{:?} is no read", l.ask) };
            let store = (kind(&l.store), l.store.name);
            (l.field, store.0, store.1, request.key, request.version, request.content)
        })
        .collect();
    let s = str::to_owned;
    assert_eq!(
        asked,
        [
            (
                s("dataFrom[0].extract"),
                "SecretStore",
                s("store"),
                s("r3"),
                Version::Current,
                Content::Value
            ),
            (
                s("data[0].remoteRef"),
                "SecretStore",
                s("store"),
                s("r1"),
                Version::Id(s("42")),
                Content::Value
            ),
            (
                s("data[1].remoteRef"),
                "ClusterSecretStore",
                s("other"),
                s("r2"),
                Version::Stage(s("AWSPREVIOUS")),
                Content::Tags
            ),
        ]
    );
}

#[test]
fn a_question_without_a_store_is_refused() {
    let mut spec = spec(json!({"data": [{"secretKey": "a", "remoteRef": {"key": "r"}}]}));
    spec.secret_store_ref = None;
    assert_eq!(
        lookups(&spec).unwrap_err().to_string(),
        "spec.data[0] names no store: set spec.secretStoreRef.name or the entry's sourceRef.storeRef.name"
    );
}

#[test]
fn nothing_is_ignored_in_silence() {
    let data = json!([{"secretKey": "a", "remoteRef": {"key": "r"}}]);
    let generator = json!({"generatorRef": {"kind": "Password", "name": "p"}});
    for (value, field) in [
        (
            json!({"data": data, "target": {"manifest": {"apiVersion": "v1", "kind": "X"}}}),
            "target.manifest",
        ),
        (
            json!({"data": [{"secretKey": "a", "remoteRef": {"key": "r"}, "sourceRef": generator}]}),
            "data[0].sourceRef.generatorRef",
        ),
    ] {
        let error = lookups(&spec(value)).unwrap_err();
        assert!(
            matches!(&error, PlanError::NotImplemented { field: f } if f == field),
            "{field}: {error}"
        );
    }
    assert!(matches!(lookups(&spec(json!({}))), Err(PlanError::Nothing)));
    let only_a_store = json!({"dataFrom": [{"sourceRef": {"storeRef": {"name": "s"}}}]});
    assert!(matches!(lookups(&spec(only_a_store)), Err(PlanError::NoSource { .. })));
}

#[test]
fn unknown_values_are_named() {
    let policy =
        json!({"data": [{"secretKey": "a", "remoteRef": {"key": "r", "metadataPolicy": "All"}}]});
    let error = lookups(&spec(policy)).unwrap_err().to_string();
    assert!(error.starts_with(r#"spec.data[0].remoteRef.metadataPolicy is "All""#), "{error}");
    let kind = json!({"data": [{"secretKey": "a", "remoteRef": {"key": "r"},
        "sourceRef": {"storeRef": {"name": "s", "kind": "Vault"}}}]});
    let error = lookups(&spec(kind)).unwrap_err().to_string();
    assert!(error.starts_with(r#"spec.data[0].sourceRef.storeRef.kind is "Vault""#), "{error}");
}

#[test]
fn the_later_entry_wins_and_data_wins_over_data_from() {
    let spec = spec(json!({
        "dataFrom": [{"extract": {"key": "r1"}}, {"extract": {"key": "r2"}}],
        "data": [{"secretKey": "c", "remoteRef": {"key": "r3"}}],
    }));
    let answers = [text(r#"{"a":"1","b":"1","c":"1"}"#), text(r#"{"b":"2","c":"2"}"#), text("3")];
    assert_eq!(data(&spec, &answers), map(&[("a", "1"), ("b", "2"), ("c", "3")]));
}

#[test]
fn extract_keeps_other_types_as_they_were_written() {
    let spec = spec(json!({"dataFrom": [{"extract": {"key": "r"}}]}));
    let json = r#"{"s":"a\"b","n":1.50,"big":12345678901234567890,"o":{ "x" : 1 },"l":[1, 2],"t":true,"z":null}"#;
    assert_eq!(
        data(&spec, &[text(json)]),
        map(&[
            ("s", "a\"b"),
            ("n", "1.50"),
            ("big", "12345678901234567890"),
            ("o", r#"{ "x" : 1 }"#),
            ("l", "[1, 2]"),
            ("t", "true"),
            ("z", ""),
        ])
    );
}

#[test]
fn extract_makes_keys_valid_and_decodes_values() {
    let spec = spec(json!({"dataFrom": [{"extract": {
        "key": "r", "property": "in", "conversionStrategy": "Unicode", "decodingStrategy": "Base64",
    }}]}));
    assert_eq!(data(&spec, &[text(r#"{"in":{"a/b":"aGk="}}"#)]), map(&[("a_U002f_b", "hi")]));
}

#[test]
fn rewritten_keys_are_checked_and_not_converted() {
    let rewrite = |target: &str| {
        spec(json!({"dataFrom": [{
            "extract": {"key": "r"},
            "rewrite": [{"regexp": {"source": "/", "target": target}}],
        }]}))
    };
    assert_eq!(data(&rewrite("."), &[text(r#"{"a/b":"1"}"#)]), map(&[("a.b", "1")]));
    assert_eq!(data(&rewrite(""), &[text(r#"{"/":"1","b":"2"}"#)]), map(&[("b", "2")]));
    let error = collect(&rewrite("@"), &[text(r#"{"a/b":"1"}"#)]).unwrap_err();
    let wanted =
        "spec.dataFrom[0]: the key at position 1 in alphabetical order (3 characters) is no valid";
    assert!(error.to_string().starts_with(wanted), "{error}");
}

#[test]
fn extract_needs_an_object() {
    let extract = spec(json!({"dataFrom": [{"extract": {"key": "r"}}]}));
    fails(
        &extract,
        &[text("[1]")],
        r#"spec.dataFrom[0].extract: secret "r" is not a JSON object, which extract needs: use data with a secretKey in its place"#,
    );
    fails(
        &extract,
        &[text("plain")],
        r#"spec.dataFrom[0].extract: secret "r" is not valid JSON, so it has no properties: remove `property`, or correct the secret"#,
    );
    let narrowed = spec(json!({"dataFrom": [{"extract": {"key": "r", "property": "s"}}]}));
    assert!(matches!(
        collect(&narrowed, &[text(r#"{"s":"x"}"#)]),
        Err(PlanError::NotAnObject { .. })
    ));
}

#[test]
fn a_whole_value_is_the_text_or_else_the_bytes() {
    let spec = spec(json!({"data": [{"secretKey": "a", "remoteRef": {"key": "r"}}]}));
    assert_eq!(data(&spec, &[text("")]), map(&[("a", "")]));
    assert_eq!(data(&spec, &[binary(b"bytes")]), map(&[("a", "bytes")]));
    let neither = answer(Ok(Arc::new(Fetched::default())));
    fails(
        &spec,
        &[neither],
        r#"spec.data[0].remoteRef: secret "r" holds neither a string nor bytes"#,
    );
}

#[test]
fn a_property_that_is_absent_is_an_error_under_every_deletion_policy() {
    for policy in ["Retain", "Delete", "Merge"] {
        let spec = spec(json!({
            "target": {"deletionPolicy": policy},
            "data": [{"secretKey": "a", "remoteRef": {"key": "r", "property": "p.q"}}],
        }));
        fails(
            &spec,
            &[text("{}")],
            r#"spec.data[0].remoteRef: key "p.q" does not exist in secret "r""#,
        );
        let Answer::Read { result, .. } = text("{}") else { panic!("it is a read") };
        let fake = Answer::Read { result, absent_property_is_missing: true };
        assert_eq!(collect(&spec, &[fake]).is_ok(), policy != "Retain", "{policy}");
    }
}

#[test]
fn a_property_of_what_is_no_json_is_an_error() {
    let spec =
        spec(json!({"data": [{"secretKey": "a", "remoteRef": {"key": "r", "property": "p"}}]}));
    assert!(matches!(collect(&spec, &[text("plain")]), Err(PlanError::NotJson { .. })));
    assert!(matches!(collect(&spec, &[binary(&[0xff])]), Err(PlanError::NotJson { .. })));
    assert_eq!(data(&spec, &[binary(br#"{"p":"v"}"#)]), map(&[("a", "v")]));
}

#[test]
fn a_missing_secret_is_an_error_under_retain_and_left_out_otherwise() {
    for policy in ["Retain", "Delete", "Merge"] {
        let spec = spec(json!({
            "target": {"deletionPolicy": policy},
            "dataFrom": [{"extract": {"key": "r"}}],
            "data": [{"secretKey": "a", "remoteRef": {"key": "r"}}, {"secretKey": "b", "remoteRef": {"key": "r"}}],
        }));
        let answers = [missing(), missing(), text("v")];
        if policy == "Retain" {
            fails(&spec, &answers, r#"spec.dataFrom[0].extract: secret "r" does not exist"#);
        } else {
            assert_eq!(data(&spec, &answers), map(&[("b", "v")]));
            let missing = collect(&spec, &answers).unwrap().missing;
            assert_eq!(missing, ["dataFrom[0].extract", "data[0].remoteRef"]);
        }
    }
}

#[test]
fn any_other_failure_is_an_error_under_every_deletion_policy() {
    for error in [
        ProviderError::Throttled,
        ProviderError::NoSuchVersion {
            key: "r".to_owned(),
            version: "v".to_owned(),
            available: Vec::new(),
        },
    ] {
        let spec = spec(json!({
            "target": {"deletionPolicy": "Delete"},
            "data": [{"secretKey": "a", "remoteRef": {"key": "r"}}],
        }));
        assert!(matches!(collect(&spec, &[answer(Err(error))]), Err(PlanError::Provider { .. })));
    }
}

#[test]
fn fewer_answers_than_questions_never_empty_a_secret() {
    let spec = spec(json!({
        "target": {"deletionPolicy": "Delete"},
        "data": [{"secretKey": "a", "remoteRef": {"key": "r"}}],
    }));
    assert!(matches!(collect(&spec, &[]), Err(PlanError::Provider { .. })));
}

#[test]
fn two_entries_of_one_key_are_refused_unless_one_may_be_missing() {
    let entries = json!([
        {"secretKey": "a", "remoteRef": {"key": "r1"}}, {"secretKey": "a", "remoteRef": {"key": "r2"}},
    ]);
    let answers = [text("1"), missing()];
    fails(
        &spec(json!({"data": entries})),
        &answers,
        r#"spec.data has two entries with secretKey "a": rename or remove one"#,
    );
    let merge = spec(json!({"data": entries, "target": {"deletionPolicy": "Merge"}}));
    assert_eq!(data(&merge, &answers), map(&[("a", "1")]));
}

#[test]
fn a_zero_byte_is_looked_for_after_decoding() {
    let spec = spec(json!({"data": [{"secretKey": "a", "remoteRef": {
        "key": "r", "decodingStrategy": "Base64", "nullBytePolicy": "Fail",
    }}]}));
    assert!(matches!(collect(&spec, &[text("AAA=")]), Err(PlanError::NullByte { .. })));
    assert_eq!(data(&spec, &[text("aGk=")]), map(&[("a", "hi")]));
}

#[test]
fn errors_never_quote_a_value() {
    let secret = "s3cr3t-value";
    let spec = |remote: serde_json::Value| {
        spec(json!({"data": [{"secretKey": "a", "remoteRef": remote}]}))
    };
    for (remote, answer) in [
        (json!({"key": "r", "property": "p"}), text(secret)),
        (json!({"key": "r", "property": "p"}), text(&format!(r#"{{"q":"{secret}"}}"#))),
        (json!({"key": "r", "decodingStrategy": "Base64"}), text(secret)),
        (json!({"key": "r", "nullBytePolicy": "Fail"}), text(&format!("{secret}\0"))),
    ] {
        let error = collect(&spec(remote), &[answer]).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(secret), "{error:?}");
    }
}

/// What was found, by full name.
fn found(pairs: &[(&str, &str)]) -> Answer {
    let fetched = |text: &str| Fetched { text: Some(text.to_owned().into()), ..Fetched::default() };
    let pair = |(name, text): &(&str, &str)| ((*name).to_owned(), Arc::new(fetched(text)));
    Answer::Found(Ok(pairs.iter().map(pair).collect()))
}

#[test]
fn what_is_found_is_keyed_by_its_full_name_converted_or_rewritten() {
    let find = json!({"name": {"regexp": "^shop/"}});
    let answers = [found(&[("shop/a b", "1"), ("shop/c", "2")])];
    let plain = spec(json!({"dataFrom": [{"find": find}]}));
    assert_eq!(data(&plain, &answers), map(&[("shop_a_b", "1"), ("shop_c", "2")]));
    let rewrite = json!([{"regexp": {"source": "^shop/(.)(.*)", "target": "$1"}}]);
    let rewritten = spec(json!({"dataFrom": [{"find": find, "rewrite": rewrite}]}));
    assert_eq!(data(&rewritten, &answers), map(&[("a", "1"), ("c", "2")]));
    let unicode = json!({"name": {"regexp": "^shop/"}, "conversionStrategy": "Unicode"});
    let unicode = spec(json!({"dataFrom": [{"find": unicode}]}));
    let expected = map(&[("shop_U002f_a_U0020_b", "1"), ("shop_U002f_c", "2")]);
    assert_eq!(data(&unicode, &answers), expected);
}

#[test]
fn names_that_become_one_key_are_named_for_they_are_no_values() {
    let spec = spec(json!({"dataFrom": [{"find": {"path": "a"}}]}));
    let error = collect(&spec, &[found(&[("a/b", "1"), ("a b", "2")])]).unwrap_err().to_string();
    assert!(error.contains(r#"two keys become the same, key "a b" and key "a/b""#), "{error}");
    let long = "a".repeat(254);
    let error = collect(&spec, &[found(&[(&long, "1")])]).unwrap_err().to_string();
    assert!(error.contains("is no valid Secret key"), "{error}");
}

#[test]
fn what_is_found_is_decoded_and_may_be_nothing() {
    let find = json!({"path": "a", "decodingStrategy": "Base64", "nullBytePolicy": "Fail"});
    let spec = spec(json!({"dataFrom": [{"find": find}]}));
    assert_eq!(data(&spec, &[found(&[("a", "aGk=")])]), map(&[("a", "hi")]));
    assert_eq!(data(&spec, &[found(&[])]), map(&[]));
    let error = collect(&spec, &[found(&[("a", "?")])]).unwrap_err();
    assert!(matches!(error, PlanError::Undecodable { .. }), "{error}");
    let error = collect(&spec, &[found(&[("a", "AA==")])]).unwrap_err();
    assert!(matches!(error, PlanError::NullByte { .. }), "{error}");
}

#[test]
fn a_find_that_failed_or_was_not_answered_makes_nothing() {
    let spec = spec(json!({"dataFrom": [{"find": {"path": "a"}}], "data": [
        {"secretKey": "b", "remoteRef": {"key": "b"}}]}));
    let failed = Answer::Found(Err(PlanError::TooManyFound {
        field: "dataFrom[0].find".to_owned(),
        count: 9,
        most: 1,
    }));
    let error = collect(&spec, &[failed, text("1")]).unwrap_err();
    assert!(matches!(error, PlanError::TooManyFound { .. }), "{error}");
    for answers in [&[][..], &[text("1")], &[found(&[]), found(&[])]] {
        let error = collect(&spec, answers).unwrap_err().to_string();
        assert!(error.contains("no answer"), "{error}");
    }
}
