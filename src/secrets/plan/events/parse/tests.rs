use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/db-AbCd12";

fn envelope_of(source: &str, kind: &str, resources: &[&str], detail: &Value) -> Value {
    json!({"version": "0", "id": "1", "detail-type": kind, "source": source,
        "account": "123456789012", "time": "2026-01-02T03:04:05Z", "region": "eu-west-1",
        "resources": resources, "detail": detail})
}

fn native_event(label: &str) -> Value {
    let detail = json!({"name": "shop/db", "labelUpdated": label, "versionId": "v1"});
    envelope_of("aws.secretsmanager", "Secret Label Updated", &[ARN], &detail)
}

fn call(name: &str, change: &Value) -> Value {
    let mut detail = json!({"eventSource": "secretsmanager.amazonaws.com", "eventName": name});
    for (key, value) in change.as_object().unwrap() {
        detail[key] = value.clone();
    }
    envelope_of("aws.secretsmanager", "AWS API Call via CloudTrail", &[], &detail)
}

fn service(name: &str, change: &Value) -> Value {
    let mut event = call(name, change);
    event["detail-type"] = json!("AWS Service Event via CloudTrail");
    event
}

fn parsed(event: &Value) -> Event {
    match parse(&event.to_string()) {
        Parsed::Event(event) => *event,
        other => panic!("{event}: {other:?}"),
    }
}

#[test]
fn the_native_shape_names_secret_label_and_version() {
    let event = parsed(&native_event("AWSCURRENT"));
    assert_eq!(event.source, Source::Native);
    assert_eq!(event.secret.arn.as_deref(), Some(ARN));
    assert_eq!(event.secret.names, ["shop/db"]);
    assert_eq!(event.change, Change::Label("AWSCURRENT".into()));
    assert_eq!(event.version.as_deref(), Some("v1"));
    assert_eq!(event.time.unwrap().to_string(), "2026-01-02T03:04:05Z");
    let own = parse(&native_event("GABION-a").to_string());
    assert_eq!(own, Parsed::Quiet(Source::Native));
}

#[test]
fn calls_by_way_of_cloudtrail_name_the_secret_in_their_answer_or_in_what_was_asked() {
    for answer in ["arn", "aRN"] {
        let event = parsed(&call("PutSecretValue", &json!({"responseElements": {answer: ARN}})));
        assert_eq!((event.secret.arn.as_deref(), event.change), (Some(ARN), Change::Any));
        assert_eq!(event.secret.names, ["shop/db"]);
    }
    let asked = |id: &str| json!({"requestParameters": {"secretId": id}, "responseElements": null});
    let event = parsed(&call("UpdateSecret", &asked("shop/db")));
    assert_eq!((event.secret.arn, event.secret.names), (None, vec!["shop/db".to_owned()]));
    // Nobody says whether it is complete.
    let event = parsed(&call("UpdateSecret", &asked(ARN)));
    assert_eq!(event.secret.names, ["shop/db-AbCd12", "shop/db"]);
    assert!(event.secret.is_meant_by(ARN) && event.secret.is_meant_by("shop/db"));
    let moved = json!({"requestParameters": {"secretId": ARN, "versionStage": "blue"}});
    let event = parsed(&call("UpdateSecretVersionStage", &moved));
    assert_eq!(event.change, Change::Label("blue".into()));
    let created = json!({"requestParameters": {"name": "shop/db"}});
    assert_eq!(parsed(&call("CreateSecret", &created)).secret.names, ["shop/db"]);
    assert_eq!(parsed(&call("TagResource", &asked(ARN))).change, Change::Tags);
}

#[test]
fn what_changes_no_value_is_understood_and_wakes_nobody() {
    let failed = json!({"errorCode": "AccessDenied", "requestParameters": {"secretId": ARN}});
    for event in [
        call("PutSecretValue", &failed),
        call("GetSecretValue", &json!({"requestParameters": {"secretId": ARN}})),
        service("RotationStarted", &json!({"additionalEventData": {"SecretId": ARN}})),
        service("RotationFailed", &json!({"additionalEventData": {"SecretId": ARN}})),
        service("RotationAbandoned", &json!({})),
    ] {
        assert!(matches!(parse(&event.to_string()), Parsed::Quiet(_)), "{event}");
    }
}

#[test]
fn a_rotation_by_aws_names_the_secret_in_either_place() {
    for place in [
        json!({"requestParameters": null, "additionalEventData": {"SecretId": ARN}}),
        json!({"serviceEventDetails": {"secretId": ARN}}),
    ] {
        let event = parsed(&service("RotationSucceeded", &place));
        assert_eq!(event.secret.arn.as_deref(), Some(ARN));
        assert_eq!(event.change, Change::Label("AWSCURRENT".into()));
    }
}

#[test]
fn a_parameter_is_meant_by_its_name_and_its_arn() {
    let arn = "arn:aws:ssm:eu-west-1:123456789012:parameter/shop/db";
    let detail = json!({"operation": "Update", "name": "/shop/db", "type": "String"});
    let event = parsed(&envelope_of("aws.ssm", "Parameter Store Change", &[arn], &detail));
    assert_eq!(event.secret.holder, Holder::ParameterStore);
    assert!(event.secret.is_meant_by("/shop/db") && event.secret.is_meant_by(arn));
    assert!(!event.secret.is_meant_by("/shop"));
}

#[test]
fn a_notification_is_unwrapped_once() {
    let wrap = |inner: &Value| json!({"Type": "Notification", "Message": inner.to_string()});
    let once = wrap(&native_event("AWSCURRENT"));
    assert_eq!(parsed(&once), parsed(&native_event("AWSCURRENT")));
    assert_eq!(parse(&wrap(&once).to_string()), Parsed::Unknown);
}

#[test]
fn e8_what_is_no_event_of_a_secret_is_told_from_what_is_no_json() {
    for text in ["{}", "[]", "1", "\"x\"", r#"{"Records":[{"s3":{}}]}"#, r#"{"source":1}"#] {
        assert_eq!(parse(text), Parsed::Unknown, "{text}");
    }
    for text in ["", "hello", "{", "{\"a\":}", "\u{feff}{}"] {
        assert_eq!(parse(text), Parsed::Malformed, "{text}");
    }
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(parse(&nested(DEEPEST)), Parsed::Unknown);
    assert_eq!(parse(&nested(DEEPEST + 1)), Parsed::Malformed);
    assert_eq!(parse(&"[".repeat(1_000_000)), Parsed::Malformed);
    assert_eq!(parse(&" ".repeat(MOST_BYTES + 1)), Parsed::Malformed);
}

/// Depth as one would count it with a stack.
fn naive_depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(naive_depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(naive_depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        r#"[a-zA-Z"\\\[\]{}:-]{0,12}"#.prop_map(Value::from),
        Just(json!(ARN)),
        Just(json!("secretsmanager.amazonaws.com")),
    ];
    leaf.prop_recursive(40, 60, 3, |inner| {
        let key = prop_oneof![
            Just("detail".to_owned()),
            Just("source".to_owned()),
            Just("resources".to_owned()),
            Just("eventName".to_owned()),
            Just("requestParameters".to_owned()),
            "[a-z]{1,3}".prop_map(|key| key),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        parse(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_json_is_never_called_malformed_unless_it_is_too_deep(value in any_json()) {
        let malformed = parse(&value.to_string()) == Parsed::Malformed;
        prop_assert_eq!(malformed, naive_depth(&value) > DEEPEST);
    }

    /// Fields of known shapes that hold anything.
    #[test]
    fn a_known_shape_with_any_content_is_read_without_a_panic(
        kind in 0..4_usize, detail in any_json(), resources in any_json(), cut in 0..500_usize,
    ) {
        let kinds = ["Secret Label Updated", "AWS API Call via CloudTrail",
            "AWS Service Event via CloudTrail", "Parameter Store Change"];
        let mut event = envelope_of("aws.secretsmanager", kinds[kind], &[], &detail);
        event["resources"] = resources;
        let text = event.to_string();
        parse(&text);
        let cut = (0..=cut.min(text.len() - 1)).rev().find(|at| text.is_char_boundary(*at)).unwrap();
        prop_assert_eq!(parse(&text[..cut]), Parsed::Malformed);
    }

    #[test]
    fn no_shape_carries_more_than_names(secret in "[a-z]{30}") {
        let mut event = native_event("AWSCURRENT");
        event["detail"]["SecretString"] = json!(secret);
        event["secretString"] = json!(secret);
        let shown = format!("{:?}", parse(&event.to_string()));
        prop_assert!(!shown.contains(&secret), "{}", shown);
    }
}
