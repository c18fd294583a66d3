use super::*;
use crate::api::external_secrets::cluster_external_secret::{
    ClusterExternalSecret, ClusterExternalSecretSpec,
};
use crate::api::external_secrets::cluster_push_secret::{ClusterPushSecret, ClusterPushSecretSpec};
use crate::secrets::plan::cluster_kinds::ClusterKind;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn progress(provisioned: usize, failed: &[(&str, &str)]) -> Progress {
    Progress {
        provisioned: (0..provisioned).map(|nth| format!("ok-{nth:05}")).collect(),
        failed: failed.iter().map(|(n, cause)| ((*n).to_owned(), (*cause).to_owned())).collect(),
        name: "all".to_owned(),
        ..Progress::default()
    }
}

#[test]
fn ces_a_status_that_says_so_already_is_not_written_again() {
    let all = progress(3, &[]);
    let first = next_status(None, &all, 1, at(0)).unwrap();
    assert_eq!(next_status(Some(&first), &all, 1, at(60)), None);
    assert!(next_status(Some(&first), &all, 2, at(60)).is_some(), "another generation");
    assert!(next_status(Some(&first), &progress(4, &[]), 1, at(60)).is_some());
}

#[test]
fn ces_a_status_of_external_secrets_operator_is_taken_over_as_it_is() {
    let mut object = ClusterExternalSecret::new("all", ClusterExternalSecretSpec::default());
    object.status = serde_json::from_value(serde_json::json!({
        "externalSecretName": "all",
        "provisionedNamespaces": ["ok-00000", "ok-00001"],
        "conditions": [{"type": "Ready", "status": "True"}],
    }))
    .unwrap();
    let theirs = ClusterKind::status(&object).unwrap();
    let mut same = progress(2, &[]);
    same.managed.labels = vec!["team".to_owned()];
    assert_eq!(next_status(Some(&theirs), &same, 4, at(0)), None);
    assert!(next_status(Some(&theirs), &progress(1, &[]), 4, at(0)).is_some());
    let failed = progress(1, &[("ok-00001", "x")]);
    assert!(next_status(Some(&theirs), &failed, 4, at(0)).is_some());
}

#[test]
fn ces_the_transition_time_moves_only_when_ready_flips() {
    let first = next_status(None, &progress(1, &[("a", "x")]), 1, at(0)).unwrap();
    let second = next_status(Some(&first), &progress(1, &[("a", "y")]), 1, at(60)).unwrap();
    assert_eq!(second.conditions[0].last_transition_time, Some(Time(at(0))));
    let third = next_status(Some(&second), &progress(2, &[]), 1, at(120)).unwrap();
    assert_eq!(third.conditions[0].last_transition_time, Some(Time(at(120))));
}

#[test]
fn ces_causes_are_grouped_and_the_most_frequent_comes_first() {
    let failed = [("a", "rare"), ("b", "often"), ("c", "often")];
    let message = progress(1, &failed).condition().2.unwrap();
    assert_eq!(message, "one or more namespaces failed: 3 of 4; b, c: often; a: rare");
    let everywhere = progress(0, &[("a", "x"), ("b", "x")]).condition().2.unwrap();
    assert_eq!(everywhere, "one or more namespaces failed: 2 of 2; in every namespace: x");
}

#[test]
fn ces_lists_and_messages_are_bounded() {
    let long = "x".repeat(10_000);
    let names: Vec<_> = (0..20_000).map(|nth| format!("bad-{nth:05}")).collect();
    let failed: Vec<_> = names.iter().map(|name| (name.as_str(), long.as_str())).collect();
    let many = progress(20_000, &failed);
    let status = next_status(None, &many, 1, at(0)).unwrap();
    assert_eq!(status.provisioned.len(), 5000);
    assert_eq!(status.failed.len(), 100);
    let message = status.conditions[0].message.clone().unwrap();
    assert!(message.contains("20000 of 40000") && message.len() < 2048, "{message}");
    let mut object = ClusterExternalSecret::new("all", ClusterExternalSecretSpec::default());
    object.set_status(status);
    assert!(serde_json::to_vec(&object).unwrap().len() < 512 << 10);
}

#[test]
fn ces_what_is_not_done_is_not_ready() {
    let pending = Progress { pending: 2, ..progress(1, &[]) };
    let (ready, reason, message) = pending.condition();
    assert_eq!((ready, reason), (false, "Provisioning"));
    assert_eq!(message.as_deref(), Some("2 of 3 namespaces are not done yet"));
}

#[test]
fn cps_a_status_is_the_same_after_it_was_read_back() {
    let status = next_status(None, &progress(2, &[("a", "x")]), 1, at(0)).unwrap();
    let mut external = ClusterExternalSecret::new("all", ClusterExternalSecretSpec::default());
    external.set_status(status.clone());
    assert_eq!(ClusterKind::status(&external), Some(status.clone()));
    let mut push = ClusterPushSecret::new("all", ClusterPushSecretSpec::default());
    push.set_status(status.clone());
    assert_eq!(ClusterKind::status(&push), Some(status));
    assert_eq!(serde_json::to_value(&push).unwrap()["status"]["pushSecretName"], "all");
}
