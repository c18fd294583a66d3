use proptest::prelude::*;
use serde_json::json;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn settings(seconds: i64) -> Settings {
    let heartbeat = SignedDuration::from_mins(15);
    Settings { now: at(seconds), heartbeat, class: "default".into() }
}

fn condition(status: &str, reason: &str, message: &str) -> Value {
    let time = at(0).to_string();
    json!({"type": "Ready", "status": status, "reason": reason, "message": message, "lastTransitionTime": time})
}

/// An object that was read at second 0.
fn external(interval: &str, ready: &str) -> Value {
    json!({
        "metadata": {"namespace": "shop", "name": "app", "creationTimestamp": at(0).to_string()},
        "spec": {"refreshInterval": interval, "secretStoreRef": {"name": "aws"}},
        "status": {
            "refreshTime": at(0).to_string(),
            "conditions": [condition(ready, "SecretSyncedError", "data[0]: no such secret")],
        },
    })
}

fn state_of(object: &Value, seconds: i64) -> State {
    row(Kind::ExternalSecret, object, &settings(seconds), &mut Stores::default()).state
}

fn store_in(stores: &mut Stores, controller: &str, ready: &str, reason: &str) -> State {
    let object = json!({
        "metadata": {"namespace": "shop", "name": "aws", "creationTimestamp": at(0).to_string()},
        "spec": {"controller": controller},
        "status": {"conditions": [condition(ready, reason, "")]},
    });
    row(Kind::SecretStore, &object, &settings(0), stores).state
}

#[test]
fn an_object_in_step_becomes_due_and_then_late() {
    let hourly = external("1h", "True");
    assert_eq!(state_of(&hourly, 60), State::Synced);
    assert_eq!(state_of(&hourly, 3550), State::Due);
    assert_eq!(state_of(&hourly, 3600 + 350), State::Due);
    assert_eq!(state_of(&hourly, 3600 + 361), State::Late);
    let found = row(Kind::ExternalSecret, &hourly, &settings(7200), &mut Stores::default());
    assert_eq!((found.next, found.since), (Some(at(3600)), Some(at(3600))));
    assert!(found.why.contains("its interval is 1h"), "{}", found.why);
}

#[test]
fn an_interval_within_the_heartbeat_is_not_late_before_the_heartbeat_is_over() {
    let often = external("1m", "True");
    assert_eq!(state_of(&often, 900), State::Synced);
    assert_eq!(state_of(&often, 900 + 90), State::Synced);
    assert_eq!(state_of(&often, 900 + 91), State::Late);
}

#[test]
fn an_object_whose_change_is_not_in_force_waits() {
    let mut object = external("1h", "True");
    for (generation, status, state) in [
        (2, json!({"observedGeneration": 2}), State::Synced),
        (3, json!({"observedGeneration": 2}), State::Waiting),
        (2, json!({"syncedResourceVersion": "2-abc"}), State::Synced),
        (3, json!({"syncedResourceVersion": "2-abc"}), State::Waiting),
        (3, json!({"syncedResourceVersion": "odd"}), State::Synced),
        (3, json!({}), State::Synced),
    ] {
        object["metadata"]["generation"] = json!(generation);
        for field in ["observedGeneration", "syncedResourceVersion"] {
            object["status"][field] = status[field].clone();
        }
        assert_eq!(state_of(&object, 60), state, "{generation} {status}");
    }
    object["status"]["observedGeneration"] = json!(2);
    assert_eq!(state_of(&object, 1_000_000), State::Late);
    object["spec"]["refreshPolicy"] = json!("CreatedOnce");
    assert_eq!(state_of(&object, 60), State::Manual);
}

#[test]
fn what_is_not_read_again_by_itself_is_manual_and_a_window_may_hold_a_refresh_back() {
    assert_eq!(state_of(&external("0", "True"), 1_000_000), State::Manual);
    let mut once = external("1h", "True");
    once["spec"]["refreshPolicy"] = json!("CreatedOnce");
    assert_eq!(state_of(&once, 1_000_000), State::Manual);
    let mut held = external("1h", "True");
    held["spec"]["syncWindows"] = json!({"windows": []});
    assert_eq!(state_of(&held, 1_000_000), State::Waiting);
}

#[test]
fn a_failure_of_the_store_is_told_once_and_what_reads_from_it_waits() {
    let failing = external("1h", "False");
    for (controller, ready, reason, store, object) in [
        ("", "True", "Valid", State::Synced, State::Failing),
        ("default", "True", "Valid", State::Synced, State::Failing),
        ("other", "True", "Valid", State::Foreign, State::Foreign),
        ("", "False", "InvalidProviderConfig", State::Failing, State::Waiting),
        ("", "False", "ProviderNotSupported", State::Unsupported, State::Unsupported),
    ] {
        let mut stores = Stores::default();
        assert_eq!(
            store_in(&mut stores, controller, ready, reason),
            store,
            "{controller} {reason}"
        );
        let found = row(Kind::ExternalSecret, &failing, &settings(1), &mut stores);
        assert_eq!(found.state, object, "{controller} {reason}");
        assert_eq!(found.store, "ss/aws");
    }
    let alone = row(Kind::ExternalSecret, &failing, &settings(1), &mut Stores::default());
    assert_eq!((alone.state, alone.why.as_str()), (State::Failing, "data[0]: no such secret"));
}

#[test]
fn an_object_that_nothing_looked_at_is_late_after_two_minutes() {
    let mut object = external("1h", "True");
    object["status"] = Value::Null;
    assert_eq!(state_of(&object, 119), State::Waiting);
    assert_eq!(state_of(&object, 121), State::Late);
}

#[test]
fn a_namespace_waits_for_what_is_held_and_a_baseline_for_its_end() {
    let mut object = json!({
        "metadata": {"namespace": "shop", "name": "effective"},
        "status": {"conditions": [condition("True", "Applied", "")], "heldCount": 1},
    });
    let of = |object: &Value| {
        row(Kind::NamespaceHardening, object, &settings(0), &mut Stores::default())
    };
    assert_eq!(of(&object).state, State::Waiting);
    assert!(of(&object).why.starts_with("1 items are held"));
    object["status"]["heldCount"] = json!(0);
    assert_eq!(of(&object).state, State::Synced);
    object["metadata"]["deletionTimestamp"] = json!(at(5).to_string());
    assert_eq!((of(&object).state, of(&object).since), (State::Waiting, Some(at(5))));
}

#[test]
fn kinds_are_known_by_all_the_names_that_kubectl_knows() {
    for word in ["es", "ExternalSecret", "externalsecrets", "externalsecrets.external-secrets.io"] {
        assert_eq!(Kind::parse(word), Some(Kind::ExternalSecret), "{word}");
    }
    for kind in Kind::ALL {
        assert_eq!(Kind::parse(kind.short()), Some(kind));
        assert_eq!(Kind::parse(kind.plural()), Some(kind));
    }
    assert_eq!(Kind::parse("pods"), None);
}

#[test]
fn the_worst_come_first_and_the_longest_of_them() {
    let mut rows: Vec<_> =
        [(State::Synced, 1), (State::Failing, 5), (State::Late, 0), (State::Failing, 2)]
            .into_iter()
            .map(|(state, since)| {
                let object = json!({"metadata": {"name": since.to_string()}});
                let mut row = Row::named(Kind::ExternalSecret, &object);
                (row.state, row.since) = (state, Some(at(since)));
                row
            })
            .collect();
    rows.sort_by(Row::order);
    let order: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(order, ["2", "5", "0", "1"]);
}

proptest! {
    /// Objects of any shape: older definitions, hostile texts, times far away.
    #[test]
    fn no_object_is_too_odd(
        status in ".{0,20}", reason in ".{0,20}", message in ".{0,4000}", interval in ".{0,10}",
        time in prop::option::of(any::<i32>()), now in any::<i32>(), list in any::<bool>(),
    ) {
        let mut object = external(&interval, &status);
        object["status"]["conditions"] = json!([condition(&status, &reason, &message)]);
        if list { object["status"]["conditions"] = json!({"not": ["a list"]}); }
        object["status"]["refreshTime"] = json!(time.map(|time| at(i64::from(time)).to_string()));
        for kind in Kind::ALL {
            let found = row(kind, &object, &settings(i64::from(now)), &mut Stores::default());
            prop_assert!(found.why.len() <= MAX_WHY + 100);
        }
    }
}
