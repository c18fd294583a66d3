use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::*;
use crate::api::external_secrets::external_secret::ExternalSecretSpec;
use crate::provider::SecretBytes;
use crate::secrets::plan::existing::{DATA_HASH, MANAGED};

const UID: &str = "uid-of-a";

fn object(creation: CreationPolicy, deletion: DeletionPolicy) -> ExternalSecret {
    let mut object = ExternalSecret::new("a", ExternalSecretSpec::default());
    object.metadata.namespace = Some("n".to_owned());
    object.metadata.uid = Some(UID.to_owned());
    object.spec.target.creation_policy = creation;
    object.spec.target.deletion_policy = deletion;
    object
}

fn foreign() -> Existing {
    Existing { name: "a".to_owned(), ..Existing::default() }
}

fn managed() -> Existing {
    Existing { labels: BTreeMap::from([(MANAGED.to_owned(), "true".to_owned())]), ..foreign() }
}

fn owned_by(kind: &str, name: &str, uid: &str) -> Existing {
    let owner = OwnerReference {
        api_version: "external-secrets.io/v1".to_owned(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
        controller: Some(true),
        ..OwnerReference::default()
    };
    Existing { owners: vec![owner], ..managed() }
}

fn ours() -> Existing {
    owned_by("ExternalSecret", "a", UID)
}

fn shown(action: &Action) -> String {
    match action {
        Action::Leave(why) => format!("{why:?}"),
        Action::Refuse(error) => error.headline().to_owned(),
        other => format!("{other:?}"),
    }
}

fn done(
    creation: CreationPolicy,
    deletion: DeletionPolicy,
    existing: Option<&Existing>,
    empty: bool,
) -> String {
    shown(&decide(&object(creation, deletion), existing, empty, false))
}

#[test]
fn every_creation_policy_does_what_it_says() {
    use CreationPolicy as C;
    let take_over = "failed to take ownership of target secret";
    for (policy, missing, of_ours, of_nobody) in [
        (C::Owner, "Create", "Update", take_over),
        (C::Orphan, "Create", "Update", take_over),
        (C::CreateOrMerge, "Create", "Update", "Update"),
        (C::Merge, "NothingToMergeInto", "Update", "Update"),
        (C::None, "NothingToWrite", "NothingToWrite", "NothingToWrite"),
    ] {
        for (existing, expected) in
            [(None, missing), (Some(ours()), of_ours), (Some(foreign()), of_nobody)]
        {
            let done = done(policy.clone(), DeletionPolicy::Retain, existing.as_ref(), false);
            assert_eq!(done, expected, "{policy} {existing:?}");
        }
    }
}

#[test]
fn every_deletion_policy_does_what_it_says_when_nothing_is_left() {
    use CreationPolicy as C;
    use DeletionPolicy as D;
    for policy in [C::Owner, C::Orphan, C::Merge, C::CreateOrMerge, C::None] {
        assert_eq!(done(policy.clone(), D::Retain, Some(&ours()), true), "Retained", "{policy}");
        let expected = if policy == C::Owner { "Delete" } else { "could not delete secret" };
        assert_eq!(done(policy.clone(), D::Delete, Some(&ours()), true), expected, "{policy}");
        let expected = if policy == C::None { "NothingToWrite" } else { "Update" };
        assert_eq!(done(policy.clone(), D::Merge, Some(&ours()), true), expected, "{policy}");
    }
    assert_eq!(done(C::Owner, D::Delete, None, true), "AlreadyDeleted");
}

#[test]
fn data_decides_before_the_deletion_policy() {
    for deletion in [DeletionPolicy::Retain, DeletionPolicy::Delete, DeletionPolicy::Merge] {
        assert_eq!(done(CreationPolicy::Owner, deletion, Some(&ours()), false), "Update");
    }
}

#[test]
fn a_secret_that_is_not_ours_is_never_deleted() {
    for existing in
        [foreign(), managed(), owned_by("ExternalSecret", "b", "u"), owned_by("Database", "d", "u")]
    {
        let mut object = object(CreationPolicy::Owner, DeletionPolicy::Delete);
        object.annotations_mut().insert(ADOPT.to_owned(), "true".to_owned());
        let action = decide(&object, Some(&existing), true, true);
        assert!(matches!(action, Action::Refuse(_)), "{existing:?}: {action:?}");
    }
}

#[test]
fn a_secret_owned_by_someone_else_is_left_alone() {
    for policy in [CreationPolicy::Owner, CreationPolicy::Orphan] {
        for (existing, text) in [
            (owned_by("ExternalSecret", "b", "u"), r#"Secret "a" belongs to ExternalSecret "b""#),
            (
                owned_by("ExternalSecret", "a", "earlier"),
                r#"Secret "a" belongs to ExternalSecret "a""#,
            ),
            (owned_by("Database", "d", UID), r#"Secret "a" belongs to Database "d""#),
        ] {
            let mut object = object(policy.clone(), DeletionPolicy::Retain);
            object.annotations_mut().insert(ADOPT.to_owned(), "true".to_owned());
            let error = check_ownership(&object, Some(&existing), true).unwrap_err();
            assert!(error.to_string().starts_with(text), "{error}");
        }
    }
}

#[test]
fn a_foreign_secret_is_taken_over_only_when_asked() {
    let mut asking = object(CreationPolicy::Owner, DeletionPolicy::Retain);
    let error = check_ownership(&asking, Some(&foreign()), false).unwrap_err();
    assert!(error.to_string().contains(r#"gabion.dev/adopt: "true""#), "{error}");
    assert!(check_ownership(&asking, Some(&foreign()), true).is_ok(), "by flag");
    asking.annotations_mut().insert(ADOPT.to_owned(), "yes".to_owned());
    assert!(check_ownership(&asking, Some(&foreign()), false).is_err());
    asking.annotations_mut().insert(ADOPT.to_owned(), "true".to_owned());
    assert!(check_ownership(&asking, Some(&foreign()), false).is_ok(), "by annotation");
}

/// A Secret whose key `k` some `ExternalSecret` wrote.
fn written() -> Existing {
    let mut secret = managed();
    secret.data.insert("k".to_owned(), SecretBytes::from("v".to_owned()));
    secret.annotations.insert(DATA_HASH.to_owned(), hash::data_hash(&secret.data));
    secret
}

#[test]
fn the_label_alone_makes_no_secret_ours() {
    for policy in [CreationPolicy::Owner, CreationPolicy::Orphan] {
        let object = object(policy, DeletionPolicy::Retain);
        assert!(check_ownership(&object, Some(&managed()), false).is_err());
    }
}

#[test]
fn a_secret_that_bears_our_mark_is_ours() {
    let object = object(CreationPolicy::Owner, DeletionPolicy::Delete);
    let mut marked = managed();
    marked.labels.insert(CREATED_BY.to_owned(), hash::created_by("n", "a"));
    assert!(is_made_by(&object, &marked));
    assert_eq!(shown(&decide(&object, Some(&marked), true, false)), "Delete");
    marked.labels.insert(CREATED_BY.to_owned(), hash::created_by("n", "b"));
    assert!(!is_made_by(&object, &marked));
}

#[test]
fn owner_follows_another_policy_of_the_same_object_if_nobody_loses_a_key() {
    let object = object(CreationPolicy::Owner, DeletionPolicy::Retain);
    let mut secret = written();
    assert!(
        check_ownership(&object, Some(&secret), false).is_err(),
        "written by another ExternalSecret"
    );
    secret.ours.data.insert("k".to_owned());
    secret.ours.annotations.insert(DATA_HASH.to_owned());
    assert!(check_ownership(&object, Some(&secret), false).is_ok());
    secret.data.insert("foreign".to_owned(), SecretBytes::default());
    assert!(
        check_ownership(&object, Some(&secret), false).is_err(),
        "the foreign key would be lost"
    );
}

#[test]
fn orphan_writes_what_any_external_secret_wrote() {
    let object = object(CreationPolicy::Orphan, DeletionPolicy::Retain);
    assert!(check_ownership(&object, Some(&written()), false).is_ok());
}

#[test]
fn what_counts_as_in_order_depends_on_the_policy() {
    use CreationPolicy as C;
    let intact = written();
    let mut edited = intact.clone();
    edited.data.insert("k".to_owned(), SecretBytes::from("w".to_owned()));
    let mut unlabelled = intact.clone();
    unlabelled.labels.clear();
    for (policy, when_missing, when_edited) in [
        (C::Owner, false, false),
        (C::CreateOrMerge, false, false),
        (C::Merge, true, false),
        (C::Orphan, true, true),
        (C::None, true, true),
    ] {
        let object = object(policy.clone(), DeletionPolicy::Retain);
        assert!(is_in_order(&object, Some(&intact)), "{policy}");
        assert_eq!(is_in_order(&object, None), when_missing, "{policy}");
        assert_eq!(is_in_order(&object, Some(&edited)), when_edited, "{policy}");
        assert_eq!(is_in_order(&object, Some(&unlabelled)), when_edited, "{policy}");
    }
}

#[test]
fn a_secret_that_was_deleted_on_purpose_is_not_missed() {
    let mut object = object(CreationPolicy::Owner, DeletionPolicy::Delete);
    let status = |reason: &str| {
        serde_json::from_value(serde_json::json!({
            "conditions": [{"type": "Ready", "status": "True", "reason": reason}],
        }))
        .unwrap()
    };
    object.status = Some(status("SecretDeleted"));
    assert!(is_in_order(&object, None));
    object.status = Some(status("SecretSynced"));
    assert!(!is_in_order(&object, None));
}

#[test]
fn policies_of_a_later_release_are_named() {
    let creation = object(CreationPolicy::Other("Share".to_owned()), DeletionPolicy::Retain);
    let Action::Refuse(error) = decide(&creation, None, false, false) else {
        panic!("not refused")
    };
    assert!(error.to_string().contains("target.creationPolicy is \"Share\""), "{error}");
    let deletion = object(CreationPolicy::Owner, DeletionPolicy::Other("Hide".to_owned()));
    let Action::Refuse(error) = decide(&deletion, None, true, false) else { panic!("not refused") };
    assert!(error.to_string().contains("target.deletionPolicy is \"Hide\""), "{error}");
}

#[test]
fn q9_owner_takes_what_another_external_secret_let_go() {
    let object = object(CreationPolicy::Owner, DeletionPolicy::Retain);
    let mut released = written();
    released.all_by_externals = true;
    assert!(check_ownership(&object, Some(&released), false).is_ok());
    let mut held = released.clone();
    held.holder = Some("b".to_owned());
    assert!(check_ownership(&object, Some(&held), false).is_err(), "somebody has it");
    let mut marked = released.clone();
    marked.labels.insert(CREATED_BY.to_owned(), hash::created_by("n", "b"));
    assert!(check_ownership(&object, Some(&marked), false).is_err(), "it bears another's mark");
    let mut shared = released;
    shared.all_by_externals = false;
    assert!(check_ownership(&object, Some(&shared), false).is_err(), "a key would be lost");
}
