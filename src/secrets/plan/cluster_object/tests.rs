use proptest::prelude::*;

use super::*;
use crate::api::external_secrets::cluster_external_secret::ClusterExternalSecret;
use crate::api::external_secrets::cluster_external_secret::ClusterExternalSecretSpec;
use crate::api::external_secrets::cluster_push_secret::ClusterPushSecret;
use crate::api::external_secrets::external_secret::ExternalSecret;
use crate::api::external_secrets::push_secret::PushSecret;

fn object(spec: &Value) -> ClusterExternalSecret {
    let mut whole = json!({"externalSecretSpec": {"data": [
        {"secretKey": "a", "remoteRef": {"key": "r"}},
    ]}});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let spec: ClusterExternalSecretSpec = serde_json::from_value(whole).unwrap();
    let mut object = ClusterExternalSecret::new("all", spec);
    object.metadata.uid = Some("u-1".to_owned());
    object
}

/// The ExternalSecret that a step creates, as the API server has it.
fn created(object: &ClusterExternalSecret) -> ExternalSecret {
    let wanted = Wanted::new(object).unwrap();
    let Step::Create(body) = step(object, &wanted, &ManagedKeys::default(), None) else { panic!() };
    let mut child: ExternalSecret = serde_json::from_value(body).unwrap();
    child.metadata.resource_version = Some("7".to_owned());
    child
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn next(object: &ClusterExternalSecret, child: &ExternalSecret) -> Step {
    let wanted = Wanted::new(object).unwrap();
    step(object, &wanted, &wanted.keys(), Some(child))
}

#[test]
fn ces_what_was_created_is_in_order() {
    let object = object(&json!({"externalSecretMetadata": {
        "labels": {"team": "core"}, "annotations": {"note": "x"}}}));
    assert_eq!(next(&object, &created(&object)), Step::InOrder);
}

#[test]
fn ces_selectors_and_names_are_alternatives() {
    let object = object(&json!({
        "namespaceSelector": {"matchLabels": {"a": "1"}},
        "namespaceSelectors": [{"matchLabels": {"b": "1"}},
            {"matchExpressions": [{"key": "c", "operator": "In", "values": ["1", "2"]}]}],
        "namespaces": ["named"],
    }));
    let wanted = Wanted::new(&object).unwrap();
    for labels in [map(&[("a", "1")]), map(&[("b", "1"), ("a", "2")]), map(&[("c", "2")])] {
        assert!(wanted.selects("any", &labels), "{labels:?}");
    }
    assert!(wanted.selects("named", &map(&[])));
    assert!(!wanted.selects("any", &map(&[("a", "2")])));
}

#[test]
fn ces_an_empty_selector_selects_all_and_none_selects_nothing() {
    let all = Wanted::new(&object(&json!({"namespaceSelectors": [{}]}))).unwrap();
    let none = Wanted::new(&object(&json!({}))).unwrap();
    assert!(all.selects("any", &map(&[])));
    assert!(!none.selects("any", &map(&[("a", "1")])));
}

#[test]
fn ces_a_broken_selector_is_named() {
    let broken = json!([{}, {"matchExpressions": [{"key": "a", "operator": "Maybe"}]}]);
    let error = Wanted::new(&object(&json!({"namespaceSelectors": broken}))).unwrap_err();
    assert_eq!(error.field, "namespaceSelectors[1]");
}

#[test]
fn ces_one_that_is_not_ours_is_left_alone() {
    let object = object(&json!({}));
    let mut child = created(&object);
    child.metadata.owner_references = None;
    assert_eq!(next(&object, &child), Step::Taken(None));
    let mut child = created(&object);
    let owners = child.metadata.owner_references.as_mut().unwrap();
    owners[0].uid = "u-2".to_owned();
    let other = "ClusterExternalSecret \"all\"".to_owned();
    assert_eq!(next(&object, &child), Step::Taken(Some(other)), "a namesake that is gone");
    let owners = child.metadata.owner_references.as_mut().unwrap();
    owners[0].uid = "u-1".to_owned();
    owners[0].kind = "Deployment".to_owned();
    assert_eq!(next(&object, &child), Step::Taken(Some("Deployment \"all\"".to_owned())));
}

#[test]
fn ces_one_that_is_going_is_waited_for() {
    let object = object(&json!({}));
    let mut child = created(&object);
    child.metadata.deletion_timestamp =
        Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
    assert_eq!(next(&object, &child), Step::Leaving);
}

#[test]
fn ces_force_sync_is_copied_and_taken_away() {
    let mut forced = object(&json!({}));
    forced.annotations_mut().insert(FORCE_SYNC.to_owned(), "1".to_owned());
    let child = created(&forced);
    assert_eq!(child.annotations(), &map(&[(FORCE_SYNC, "1")]));
    let calm = object(&json!({}));
    let managed = Wanted::new(&forced).unwrap().keys();
    let wanted = Wanted::new(&calm).unwrap();
    let Step::Patch(patch) = step(&calm, &wanted, &managed, Some(&child)) else { panic!() };
    let wanted = json!({"op": "add", "path": "/metadata/annotations", "value": {}});
    assert_eq!(patch[1], wanted);
    // One that somebody put on the ExternalSecret itself stays.
    let mut own = created(&calm);
    own.annotations_mut().insert(FORCE_SYNC.to_owned(), "2".to_owned());
    assert_eq!(next(&calm, &own), Step::InOrder);
}

#[test]
fn ces_an_interval_that_is_none_is_an_hour() {
    for (text, hours) in [("30m", 0.5), ("0", 1.0), ("-5m", 1.0), ("soon", 1.0)] {
        let object = object(&json!({"refreshTime": text}));
        assert_eq!(refresh(&object), SignedDuration::from_secs_f64(hours * 3600.0), "{text}");
    }
}

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    proptest::collection::btree_map("[a-d]", "[0-1]", 0..4)
}

proptest! {
    /// Against the naive reading: ours as wanted, those that we once put there gone, others as they were.
    #[test]
    fn ces_labels_are_ours_or_somebody_elses(
        now in labels(), wanted in labels(), managed in proptest::collection::btree_set("[a-d]", 0..4),
    ) {
        let managed: Vec<_> = managed.into_iter().collect();
        let then = merged(&now, &wanted, &managed);
        for key in ["a", "b", "c", "d"] {
            let expected = match wanted.get(key) {
                Some(value) => Some(value),
                None if managed.iter().any(|one| one == key) => None,
                None => now.get(key),
            };
            prop_assert_eq!(then.get(key), expected);
        }
        prop_assert_eq!(merged(&then, &wanted, &managed), then, "and then it is in order");
    }
}

#[test]
fn cps_what_was_created_is_in_order_and_belongs_to_no_other_kind() {
    let spec = json!({
        "namespaceSelectors": [{}],
        "pushSecretName": "pushed",
        "pushSecretMetadata": {"labels": {"team": "core"}},
        "pushSecretSpec": {"secretStoreRefs": [{"name": "aws"}],
            "selector": {"secret": {"name": "source"}},
            "dataTo": [{"storeRef": {"name": "aws"}}]},
    });
    let mut object = ClusterPushSecret::new("all", serde_json::from_value(spec).unwrap());
    object.metadata.uid = Some("u-1".to_owned());
    let wanted = Wanted::new(&object).unwrap();
    let Step::Create(body) = step(&object, &wanted, &ManagedKeys::default(), None) else {
        panic!()
    };
    assert_eq!(
        (&body["kind"], &body["apiVersion"]),
        (&json!("PushSecret"), &json!("external-secrets.io/v1alpha1"))
    );
    let mut child: PushSecret = serde_json::from_value(body).unwrap();
    assert_eq!(child.metadata.name.as_deref(), Some("pushed"));
    assert_eq!(step(&object, &wanted, &wanted.keys(), Some(&child)), Step::InOrder);
    assert!(owner::<ClusterPushSecret>(&child.metadata).is_some());
    assert!(owner::<ClusterExternalSecret>(&child.metadata).is_none());
    child.spec.refresh_interval = Some("5m".to_owned());
    assert!(matches!(step(&object, &wanted, &wanted.keys(), Some(&child)), Step::Patch(_)));
    child.metadata.owner_references = None;
    assert_eq!(step(&object, &wanted, &wanted.keys(), Some(&child)), Step::Taken(None));
}
