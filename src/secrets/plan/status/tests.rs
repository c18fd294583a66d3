use super::*;
use crate::api::external_secrets::external_secret::WrittenTarget;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn stamp(seconds: i64) -> Stamp {
    Stamp {
        started: at(seconds),
        now: at(seconds + 1),
        generation: 1,
        version: "1-abc".to_owned(),
        heartbeat: SignedDuration::from_mins(15),
    }
}

fn written(version: &str) -> GabionStatus {
    let target = WrittenTarget { uid: "u".to_owned(), resource_version: version.to_owned() };
    GabionStatus { target: Some(target), ..GabionStatus::default() }
}

fn synced() -> Outcome<'static> {
    Outcome::Synced { name: "a", written: written("7") }
}

fn failure() -> Outcome<'static> {
    Outcome::Failed {
        headline: "could not get secret data from provider",
        cause: r#"secret "r" does not exist"#,
        retry: Retry::Backoff,
    }
}

fn ready(status: &ExternalSecretStatus) -> &Condition {
    status.conditions.iter().find(|condition| condition.type_ == READY).unwrap()
}

fn after(outcomes: &[(Outcome<'_>, i64)]) -> ExternalSecretStatus {
    outcomes.iter().fold(ExternalSecretStatus::default(), |old, (outcome, seconds)| {
        next_status(Some(&old), outcome, &stamp(*seconds)).unwrap_or(old)
    })
}

#[test]
fn a_first_success_is_told_in_full() {
    let status = next_status(None, &synced(), &stamp(0)).unwrap();
    assert_eq!(
        serde_json::to_value(status).unwrap(),
        serde_json::json!({
            "refreshTime": "2027-01-15T08:00:00Z",
            "syncedResourceVersion": "1-abc",
            "observedGeneration": 1,
            "binding": {"name": "a"},
            "gabion": {"target": {"uid": "u", "resourceVersion": "7"}},
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "SecretSynced", "message": "secret synced",
                "lastTransitionTime": "2027-01-15T08:00:01Z", "observedGeneration": 1,
            }],
        })
    );
}

#[test]
fn reasons_and_messages_are_those_that_dashboards_know() {
    for (outcome, reason, message) in [
        (synced(), "SecretSynced", "secret synced"),
        (Outcome::Deleted, "SecretDeleted", "secret deleted due to DeletionPolicy=Delete"),
        (
            Outcome::Left(Leave::AlreadyDeleted),
            "SecretDeleted",
            "secret deleted due to DeletionPolicy=Delete",
        ),
        (Outcome::Left(Leave::NothingToWrite), "SecretSynced", "secret synced"),
        (
            Outcome::Left(Leave::NothingToMergeInto),
            "SecretMissing",
            "secret will not be created due to CreationPolicy=Merge",
        ),
        (
            Outcome::Left(Leave::Retained),
            "SecretSynced",
            "secret retained due to DeletionPolicy=Retain",
        ),
        (
            failure(),
            "SecretSyncedError",
            r#"could not get secret data from provider: secret "r" does not exist; it is tried again by itself"#,
        ),
    ] {
        let status = next_status(None, &outcome, &stamp(0)).unwrap();
        let ready = ready(&status);
        assert_eq!(
            (ready.reason.as_deref(), ready.message.as_deref()),
            (Some(reason), Some(message))
        );
        assert_eq!(
            ready.status,
            if matches!(outcome, Outcome::Failed { .. }) { "False" } else { "True" }
        );
    }
}

#[test]
fn an_unchanged_refresh_is_written_once_per_heartbeat() {
    let old = after(&[(synced(), 0)]);
    assert_eq!(next_status(Some(&old), &synced(), &stamp(0)), None);
    assert_eq!(next_status(Some(&old), &synced(), &stamp(899)), None);
    let new = next_status(Some(&old), &synced(), &stamp(900)).unwrap();
    assert_eq!(new.refresh_time, Some(Time(at(900))));
    assert_eq!(ready(&new).last_transition_time, Some(Time(at(1))));
}

#[test]
fn a_clock_that_was_set_back_is_written_at_once() {
    let old = after(&[(synced(), 1000)]);
    assert_eq!(
        next_status(Some(&old), &synced(), &stamp(0)).unwrap().refresh_time,
        Some(Time(at(0)))
    );
}

#[test]
fn every_change_that_a_user_or_a_restart_would_miss_is_written_at_once() {
    let old = after(&[(synced(), 0)]);
    let edited = Stamp { version: "1-def".to_owned(), ..stamp(1) };
    let newer = Stamp { generation: 2, ..stamp(1) };
    let elsewhere = Outcome::Synced { name: "b", written: written("7") };
    let rewritten = Outcome::Synced { name: "a", written: written("8") };
    assert!(next_status(Some(&old), &synced(), &edited).is_some());
    assert!(next_status(Some(&old), &synced(), &newer).is_some());
    assert!(next_status(Some(&old), &elsewhere, &stamp(1)).is_some());
    assert!(next_status(Some(&old), &rewritten, &stamp(1)).is_some());
    assert!(next_status(Some(&old), &failure(), &stamp(1)).is_some());
}

#[test]
fn a_failure_keeps_what_the_last_success_said() {
    let old = after(&[(synced(), 0)]);
    let new =
        next_status(Some(&old), &failure(), &Stamp { version: "2-x".to_owned(), ..stamp(3600) })
            .unwrap();
    assert_eq!(new.refresh_time, old.refresh_time);
    assert_eq!(new.synced_resource_version, old.synced_resource_version);
    assert_eq!(new.binding, old.binding);
    assert_eq!(new.gabion, old.gabion);
}

#[test]
fn a_failure_that_lasts_is_told_once() {
    let old = after(&[(failure(), 0)]);
    assert_eq!(old.refresh_time, None);
    assert_eq!(next_status(Some(&old), &failure(), &stamp(100_000)), None);
    let other = Outcome::Failed { headline: "x", cause: "y", retry: Retry::OnChange };
    assert!(next_status(Some(&old), &other, &stamp(1)).is_some());
}

#[test]
fn the_transition_time_moves_only_when_the_status_flips() {
    let times =
        |outcomes: &[(Outcome<'_>, i64)]| ready(&after(outcomes)).last_transition_time.clone();
    let other = Outcome::Failed { headline: "x", cause: "y", retry: Retry::OnChange };
    assert_eq!(times(&[(synced(), 0), (synced(), 5000)]), Some(Time(at(1))));
    assert_eq!(times(&[(synced(), 0), (failure(), 10)]), Some(Time(at(11))));
    assert_eq!(times(&[(synced(), 0), (failure(), 10), (other, 20)]), Some(Time(at(11))));
    assert_eq!(times(&[(failure(), 10), (synced(), 30)]), Some(Time(at(31))));
}

#[test]
fn conditions_of_other_types_are_left_alone() {
    let foreign =
        Condition { type_: "Deleted".to_owned(), ..ready(&after(&[(synced(), 0)])).clone() };
    let old = ExternalSecretStatus { conditions: vec![foreign.clone()], ..Default::default() };
    let new = next_status(Some(&old), &synced(), &stamp(0)).unwrap();
    assert_eq!(new.conditions.len(), 2);
    assert_eq!(new.conditions[0], foreign);
}

#[test]
fn a_binding_does_not_outlive_the_secret() {
    let old = after(&[(synced(), 0)]);
    for outcome in [Outcome::Deleted, Outcome::Left(Leave::NothingToWrite)] {
        let new = next_status(Some(&old), &outcome, &stamp(1)).unwrap();
        assert_eq!((new.binding, new.gabion), (None, None));
    }
}

#[test]
fn an_empty_binding_of_another_operator_is_not_rewritten() {
    let mut old = after(&[(Outcome::Left(Leave::NothingToWrite), 0)]);
    old.binding = Some(Binding::default());
    assert_eq!(next_status(Some(&old), &Outcome::Left(Leave::NothingToWrite), &stamp(1)), None);
}

#[test]
fn a_message_is_cut_between_characters() {
    let cause = "é".repeat(5000);
    let outcome = Outcome::Failed { headline: "x", cause: &cause, retry: Retry::Backoff };
    let message = outcome.message();
    assert!(message.len() <= MAX_MESSAGE && message.ends_with("é..."), "{}", message.len());
}
