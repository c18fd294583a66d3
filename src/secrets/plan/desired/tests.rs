use k8s_openapi::{
    ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::api::external_secrets::external_secret::ExternalSecretSpec;

fn object(policy: CreationPolicy) -> ExternalSecret {
    let mut object = ExternalSecret::new("a", ExternalSecretSpec::default());
    object.metadata.namespace = Some("n".to_owned());
    object.metadata.uid = Some("uid-of-a".to_owned());
    object.spec.target.creation_policy = policy;
    object
}

fn data(pairs: &[(&str, &str)]) -> BTreeMap<String, SecretBytes> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), SecretBytes::from((*v).to_owned()))).collect()
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn set(keys: &[&str]) -> BTreeSet<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

fn rendered(pairs: &[(&str, &str)]) -> Rendered {
    Rendered { data: data(pairs), ..Rendered::default() }
}

/// What the API server would return after `desired` was written by our manager.
fn stored(desired: &Desired) -> Existing {
    let written: Secret =
        serde_json::from_value(serde_json::to_value(desired.clone().into_new()).unwrap()).unwrap();
    let mut existing = Existing::new(written, "m");
    existing.ours.data = desired.data.keys().cloned().collect();
    existing.ours.labels = desired.labels.keys().cloned().collect();
    existing.ours.annotations = desired.annotations.keys().cloned().collect();
    existing
}

const POLICIES: [CreationPolicy; 4] = [
    CreationPolicy::Owner,
    CreationPolicy::Orphan,
    CreationPolicy::Merge,
    CreationPolicy::CreateOrMerge,
];

#[test]
fn a_new_secret_bears_the_marks() {
    let desired = desired(&object(CreationPolicy::Owner), rendered(&[("k", "v")]), None).unwrap();
    let secret = serde_json::to_value(desired.into_new()).unwrap();
    assert_eq!(
        secret,
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": "a", "namespace": "n",
                "labels": {
                    "reconcile.external-secrets.io/managed": "true",
                    "reconcile.external-secrets.io/created-by": hash::created_by("n", "a"),
                },
                "annotations": {"reconcile.external-secrets.io/data-hash": hash::data_hash(&data(&[("k", "v")]))},
                "ownerReferences": [{
                    "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "name": "a",
                    "uid": "uid-of-a", "controller": true, "blockOwnerDeletion": true,
                }],
            },
            "type": "Opaque",
            "data": {"k": "dg=="},
        })
    );
}

#[test]
fn only_owner_owns() {
    for policy in &POLICIES[1..] {
        let desired = desired(&object(policy.clone()), rendered(&[("k", "v")]), None).unwrap();
        assert!(desired.owners.is_empty() && !desired.labels.contains_key(CREATED_BY), "{policy}");
    }
}

#[test]
fn leaving_owner_takes_the_marks_of_ownership_off() {
    let owned =
        stored(&desired(&object(CreationPolicy::Owner), rendered(&[("k", "v")]), None).unwrap());
    let mut other = owned.clone();
    other.owners.push(OwnerReference { uid: "of another".to_owned(), ..OwnerReference::default() });
    let orphan =
        desired(&object(CreationPolicy::Orphan), rendered(&[("k", "v")]), Some(&other)).unwrap();
    assert_eq!(orphan.owners.iter().map(|o| o.uid.as_str()).collect::<Vec<_>>(), ["of another"]);
    assert!(!orphan.labels.contains_key(CREATED_BY));
    assert!(orphan.differs(&owned));
}

#[test]
fn replacing_drops_foreign_keys_and_merging_keeps_them() {
    let existing = Existing {
        data: data(&[("foreign", "f"), ("gone", "g"), ("k", "old")]),
        ours: crate::secrets::plan::existing::Written {
            data: set(&["gone", "k"]),
            ..Default::default()
        },
        ..Existing::default()
    };
    for policy in POLICIES {
        let desired =
            desired(&object(policy.clone()), rendered(&[("k", "new")]), Some(&existing)).unwrap();
        let expected = if matches!(policy, CreationPolicy::Owner | CreationPolicy::Orphan) {
            data(&[("k", "new")])
        } else {
            data(&[("foreign", "f"), ("k", "new")])
        };
        assert_eq!(desired.data, expected, "{policy}");
        assert_eq!(desired.annotations[DATA_HASH], hash::data_hash(&expected), "{policy}");
    }
}

#[test]
fn labels_of_others_stay_and_labels_we_no_longer_want_go() {
    let existing = Existing {
        labels: map(&[("theirs", "1"), ("ours", "1"), ("both", "1")]),
        annotations: map(&[
            ("theirs", "1"),
            ("kubectl.kubernetes.io/last-applied-configuration", "{}"),
        ]),
        ours: crate::secrets::plan::existing::Written {
            labels: set(&["ours", "both"]),
            annotations: set(&["kubectl.kubernetes.io/last-applied-configuration"]),
            ..Default::default()
        },
        ..Existing::default()
    };
    let rendered = Rendered { labels: map(&[("both", "2")]), ..rendered(&[("k", "v")]) };
    let desired = desired(&object(CreationPolicy::Orphan), rendered, Some(&existing)).unwrap();
    assert_eq!(desired.labels, map(&[("theirs", "1"), ("both", "2"), (MANAGED, "true")]));
    assert_eq!(desired.annotations.keys().collect::<Vec<_>>(), [DATA_HASH, "theirs"]);
}

#[test]
fn stamps_on_the_external_secret_stay_there() {
    let mut object = object(CreationPolicy::Owner);
    *object.labels_mut() =
        map(&[("team", "a"), ("argocd.argoproj.io/instance", "x"), (MANAGED, "false")]);
    *object.annotations_mut() = map(&[
        ("note", "v"),
        ("argocd.argoproj.io/tracking-id", "x"),
        ("kubectl.kubernetes.io/last-applied-configuration", "{}"),
        ("force-sync", "1"),
        ("external-secrets.io/force-sync", "1"),
        ("gabion.dev/adopt", "true"),
        (DATA_HASH, "forged"),
    ]);
    let rendered = Rendered::without_template(&object, data(&[("k", "v")]));
    assert_eq!(rendered.labels, map(&[("team", "a")]));
    assert_eq!(rendered.annotations, map(&[("note", "v")]));
}

#[test]
fn the_data_of_an_immutable_secret_is_written_once() {
    let mut object = object(CreationPolicy::Owner);
    object.spec.target.immutable = Some(true);
    let first = desired(&object, rendered(&[("k", "1")]), None).unwrap();
    assert!(first.immutable);
    let existing = stored(&first);
    let second = desired(&object, rendered(&[("k", "2")]), Some(&existing)).unwrap();
    assert_eq!(second.data, data(&[("k", "1")]));
    assert!(!second.differs(&existing));
    object.spec.target.immutable = None;
    let error = desired(&object, rendered(&[("k", "2")]), Some(&existing)).unwrap_err();
    assert!(matches!(error, PlanError::Immutable { .. }));
    assert!(
        desired(&object, rendered(&[("k", "1")]), Some(&existing)).is_ok(),
        "the same data is no change"
    );
}

#[test]
fn a_type_is_set_once_and_never_one_that_the_cluster_acts_on() {
    let typed = |type_: &str| Rendered { type_: Some(type_.to_owned()), ..rendered(&[("k", "v")]) };
    let object = object(CreationPolicy::Owner);
    let made = desired(&object, typed("kubernetes.io/tls"), None).unwrap();
    assert_eq!(made.type_, "kubernetes.io/tls");
    let existing = stored(&made);
    assert_eq!(
        desired(&object, rendered(&[]), Some(&existing)).unwrap().type_,
        "kubernetes.io/tls"
    );
    let error = desired(&object, typed("Opaque"), Some(&existing)).unwrap_err();
    assert!(error.to_string().contains("cannot become \"Opaque\""), "{error}");
    let merging = self::object(CreationPolicy::Merge);
    for type_ in FORBIDDEN_TYPES {
        let token = Existing { type_: Some(type_.to_owned()), ..Existing::default() };
        let merging = desired(&merging, rendered(&[("k", "v")]), Some(&token));
        assert!(matches!(merging, Err(PlanError::ForbiddenType { .. })));
        assert!(matches!(
            desired(&object, typed(type_), None),
            Err(PlanError::ForbiddenType { .. })
        ));
    }
}

#[test]
fn more_than_a_secret_holds_is_refused_before_the_api_server_does() {
    let value = "v".repeat(MAX_BYTES);
    let object = object(CreationPolicy::Owner);
    assert!(desired(&object, rendered(&[("k", &value)]), None).is_ok());
    let error = desired(&object, rendered(&[("k", &value), ("l", "1")]), None).unwrap_err();
    assert!(error.to_string().contains("has 1048577 bytes"), "{error}");
}

#[test]
fn ten_thousand_keys_are_an_ordinary_secret() {
    let data =
        (0..10_000).map(|n| (format!("key-{n}"), SecretBytes::from(n.to_string()))).collect();
    let desired =
        desired(&object(CreationPolicy::Owner), Rendered { data, ..Rendered::default() }, None)
            .unwrap();
    assert_eq!(desired.data.len(), 10_000);
}

#[test]
fn an_update_keeps_what_is_not_decided_here() {
    let current: Secret = serde_json::from_value(json!({
        "metadata": {
            "name": "a", "namespace": "n", "uid": "u", "resourceVersion": "7",
            "creationTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["x/y"],
            "managedFields": [{"manager": "m"}],
        },
        "type": "Opaque",
    }))
    .unwrap();
    let existing = Existing::new(current.clone(), "m");
    let rendered = Rendered {
        finalizers: vec!["x/y".to_owned(), "x/z".to_owned()],
        ..rendered(&[("k", "v")])
    };
    let secret = desired(&object(CreationPolicy::Merge), rendered, Some(&existing))
        .unwrap()
        .into_secret(current);
    assert_eq!(secret.metadata.resource_version.as_deref(), Some("7"));
    assert_eq!(secret.metadata.uid.as_deref(), Some("u"));
    assert_eq!(secret.metadata.finalizers, Some(vec!["x/y".to_owned(), "x/z".to_owned()]));
    assert!(
        secret.metadata.creation_timestamp.is_some() && secret.metadata.managed_fields.is_none()
    );
}

#[test]
fn an_owner_reference_in_the_old_version_is_not_rewritten() {
    let object = object(CreationPolicy::Owner);
    let mut existing = stored(&desired(&object, rendered(&[("k", "v")]), None).unwrap());
    existing.owners[0].api_version = "external-secrets.io/v1beta1".to_owned();
    assert!(
        !desired(&object, rendered(&[("k", "v")]), Some(&existing)).unwrap().differs(&existing)
    );
    existing.owners[0].uid = "another".to_owned();
    assert!(desired(&object, rendered(&[("k", "v")]), Some(&existing)).unwrap().differs(&existing));
}

proptest! {
    #[test]
    fn writing_twice_is_writing_once(
        policy in prop::sample::select(&POLICIES[..]),
        old in prop::collection::btree_map("[a-e]", "[a-z]{0,3}", 0..5),
        new in prop::collection::btree_map("[a-e]", "[a-z]{0,3}", 0..5),
        labels in prop::collection::btree_map("[a-e]", "[a-z]{0,3}", 0..5),
    ) {
        let bytes = |map: BTreeMap<String, String>| {
            map.into_iter().map(|(k, v)| (k, SecretBytes::from(v))).collect::<BTreeMap<_, _>>()
        };
        let object = object(policy);
        let existing = Existing { data: bytes(old), labels: labels.clone(), ..Existing::default() };
        let rendered = Rendered { data: bytes(new), labels, ..Rendered::default() };
        let first = desired(&object, rendered.clone(), Some(&existing)).unwrap();
        let mut after = stored(&first);
        // What was there before and is kept belongs to others.
        after.ours.data = rendered.data.keys().cloned().collect();
        let second = desired(&object, rendered, Some(&after)).unwrap();
        prop_assert!(!second.differs(&after));
    }
}

impl Desired {
    /// The object to create.
    fn into_new(self) -> Secret {
        self.into_secret(Secret::default())
    }

    /// The object to put in place of `current`, which keeps whatever is not decided here.
    fn into_secret(self, current: Secret) -> Secret {
        let data =
            self.data.iter().map(|(k, v)| (k.clone(), ByteString(v.expose().to_vec()))).collect();
        Secret {
            metadata: ObjectMeta {
                name: Some(self.name),
                namespace: Some(self.namespace),
                labels: Some(self.labels),
                annotations: Some(self.annotations),
                owner_references: Some(self.owners).filter(|owners| !owners.is_empty()),
                finalizers: Some(self.finalizers).filter(|finalizers| !finalizers.is_empty()),
                managed_fields: None,
                ..current.metadata
            },
            type_: Some(self.type_),
            data: Some(data),
            immutable: self.immutable.then_some(true).or(current.immutable),
            ..current
        }
    }
}

#[test]
fn the_revision_grows_with_the_data_and_with_nothing_else() {
    use crate::api::external_secrets::external_secret::{
        ExternalSecretStatus, GabionStatus, RolloutStatus,
    };
    let plain = object(CreationPolicy::Merge);
    let mut asks = plain.clone();
    asks.annotations_mut().insert("gabion.dev/rollout".to_owned(), "auto".to_owned());
    let number = |desired: &Desired| revision::present(&desired.annotations);
    let write = |object: &ExternalSecret, value: &str, existing: Option<&Existing>| {
        let mut new = rendered(&[("k", value)]);
        // A template sets no revision.
        new.annotations = map(&[(REVISION, "99"), ("note", value)]);
        desired(object, new, existing).unwrap()
    };
    assert_eq!(number(&write(&plain, "a", None)), None, "nobody asked");
    let first = write(&asks, "a", None);
    assert_eq!(number(&first), Some(1));
    let mut existing = stored(&first);
    assert!(!write(&asks, "a", Some(&existing)).differs(&existing));
    existing.annotations.insert("theirs".to_owned(), "x".to_owned());
    existing.annotations.insert("note".to_owned(), "b".to_owned());
    let repaired = write(&asks, "a", Some(&existing));
    assert!(repaired.differs(&existing));
    assert_eq!(number(&repaired), Some(1), "metadata only");
    assert_eq!(number(&write(&asks, "b", Some(&existing))), Some(2));
    assert_eq!(
        number(&write(&plain, "b", Some(&existing))),
        Some(1),
        "it spares what others count"
    );
    existing.annotations.insert(REVISION.to_owned(), "nonsense".to_owned());
    assert_eq!(number(&write(&asks, "b", Some(&existing))), Some(1));

    // A Secret that is made anew counts on.
    let rollout = RolloutStatus { done: 7, revision: Some(8), ..RolloutStatus::default() };
    let gabion = GabionStatus { rollout: Some(Box::new(rollout)), ..GabionStatus::default() };
    asks.status = Some(ExternalSecretStatus { gabion: Some(gabion), ..Default::default() });
    assert_eq!(number(&write(&asks, "c", None)), Some(9));
    assert_eq!(revision::again(&asks), Some(8));
}
