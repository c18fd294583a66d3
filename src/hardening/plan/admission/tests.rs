#![allow(clippy::needless_pass_by_value, reason = "tables of cases read better with values")]

use serde_json::json;

use super::digest::canonical;
use super::*;

fn wanted(kind: AdmissionKind, name: &str, spec: Value) -> Wanted {
    let body = json!({"metadata": {"name": name, "labels": {"app.kubernetes.io/managed-by": "gabion"},
        "annotations": {"gabion.dev/owner": "u"}}, "spec": spec});
    let digest = Mark(&body).digest();
    Wanted { key: AdmissionKey { kind, name: name.to_owned() }, body, digest }
}

fn trial(policy: &str) -> Trial {
    Trial {
        binding: wanted(
            AdmissionKind::Binding,
            &format!("{policy}-probe"),
            json!({"policyName": policy}),
        )
        .body,
        kind: WorkloadKind::Pod,
        passes: json!({"metadata": {"name": "p"}}),
        denied: json!({"metadata": {"name": "p"}}),
        sentinel: format!("says {policy}"),
    }
}

fn desired(revision: &str, stage: Stage) -> Desired {
    let policy = format!("gabion-prod-{revision}");
    let actions = if stage == Stage::Enforce { json!(["Deny", "Audit"]) } else { json!(["Audit"]) };
    let binding = json!({"policyName": policy, "validationActions": actions});
    Desired {
        revision: revision.to_owned(),
        stage,
        policies: vec![wanted(AdmissionKind::Policy, &policy, json!({"validations": [revision]}))],
        bindings: vec![wanted(AdmissionKind::Binding, &policy, binding)],
        trials: vec![trial(&policy)],
    }
}

/// An API server that keeps what is written, and a log of the moves.
#[derive(Default)]
struct World {
    live: Live,
    proof: Proof,
    moves: Vec<String>,
    serial: i64,
}

impl World {
    fn store(&mut self, wanted: &Wanted) {
        self.serial += 1;
        let before = self.live.get(&wanted.key);
        let uid = before.map_or(format!("uid-{}", self.serial).into(), |seen| seen.uid.clone());
        let seen = Seen {
            uid,
            resource_version: self.serial.to_string().into(),
            generation: before.map_or(1, |seen| seen.generation + 1),
            digest: wanted.digest.clone(),
            owner: "u".into(),
            ours: true,
            manager: "gabion".to_owned(),
            types: Types::Clean,
        };
        self.live.insert(wanted.key.clone(), seen);
    }

    /// Does moves until there is none; whatever is tried succeeds.
    fn settle(&mut self, desired: Option<&Desired>) -> Result<(), Error> {
        for _ in 0..50 {
            let step = next(desired, &"u".into(), &self.live, &self.proof)?;
            let word = match &step {
                Move::Create(wanted) => format!("create {}", wanted.key),
                Move::Replace(wanted, _) => format!("replace {}", wanted.key),
                Move::Delete(key, _) => format!("delete {key}"),
                Move::AwaitTypes(policy) => format!("await {policy}"),
                Move::TryCompiled(_) => "try compiled".to_owned(),
                Move::TryEnforced(_) => "try enforced".to_owned(),
                Move::Rest => return Ok(()),
            };
            self.moves.push(word.replace("ValidatingAdmissionPolicy", "Policy"));
            match step {
                Move::Create(wanted) | Move::Replace(wanted, _) => self.store(&wanted),
                Move::Delete(key, _) => {
                    self.live.remove(&key);
                }
                Move::AwaitTypes(name) => {
                    let key = AdmissionKey { kind: AdmissionKind::Policy, name };
                    self.live.get_mut(&key).unwrap().types = Types::Clean;
                }
                Move::TryCompiled(_) => {
                    self.proof.compiled = Some(compiled_stamp(desired.unwrap(), &self.live));
                }
                Move::TryEnforced(stamp) => self.proof.enforced = Some(stamp),
                Move::Rest => {}
            }
        }
        panic!("no end: {:#?}", self.moves);
    }
}

#[test]
fn a_revision_is_proved_before_it_is_bound_and_again_after() {
    let mut world = World::default();
    world.settle(Some(&desired("one", Stage::Enforce))).unwrap();
    assert_eq!(
        world.moves,
        [
            "create Policy/gabion-prod-one",
            "create PolicyBinding/gabion-prod-one-probe",
            "try compiled",
            "create PolicyBinding/gabion-prod-one",
            "replace PolicyBinding/gabion-prod-one-probe",
            "try enforced",
        ]
    );
    world.moves.clear();
    world.settle(Some(&desired("one", Stage::Enforce))).unwrap();
    assert_eq!(world.moves, Vec::<String>::new());
}

#[test]
fn the_revision_before_goes_only_when_the_new_one_is_in_force() {
    let mut world = World::default();
    world.settle(Some(&desired("one", Stage::Enforce))).unwrap();
    world.moves.clear();
    world.settle(Some(&desired("two", Stage::Enforce))).unwrap();
    let proved = world.moves.iter().position(|word| word == "try enforced").unwrap();
    let deleted: Vec<_> =
        world.moves.iter().enumerate().filter(|(_, word)| word.starts_with("delete")).collect();
    assert!(deleted.iter().all(|(position, _)| *position > proved), "{:#?}", world.moves);
    let deleted: Vec<_> = deleted.into_iter().map(|(_, word)| word.as_str()).collect();
    assert_eq!(
        deleted,
        [
            "delete PolicyBinding/gabion-prod-one",
            "delete PolicyBinding/gabion-prod-one-probe",
            "delete Policy/gabion-prod-one",
        ]
    );
}

#[test]
fn a_restart_writes_nothing_and_tries_again() {
    let mut world = World::default();
    world.settle(Some(&desired("one", Stage::Enforce))).unwrap();
    world.proof = Proof::default();
    world.moves.clear();
    world.settle(Some(&desired("one", Stage::Enforce))).unwrap();
    assert_eq!(world.moves, ["try compiled", "try enforced"]);
}

#[test]
fn whatever_is_changed_or_deleted_is_put_back_and_proved_again() {
    for (what, kind, name) in [
        ("binding", AdmissionKind::Binding, "gabion-prod-one"),
        ("policy", AdmissionKind::Policy, "gabion-prod-one"),
        ("probe", AdmissionKind::Binding, "gabion-prod-one-probe"),
    ] {
        for delete in [true, false] {
            let desired = desired("one", Stage::Enforce);
            let mut world = World::default();
            world.settle(Some(&desired)).unwrap();
            world.moves.clear();
            let key = AdmissionKey { kind, name: name.to_owned() };
            if delete {
                world.live.remove(&key);
            } else {
                let seen = world.live.get_mut(&key).unwrap();
                (seen.digest, seen.generation) = ("other".to_owned(), seen.generation + 1);
            }
            world.settle(Some(&desired)).unwrap();
            let first = world.moves.first().unwrap();
            assert!(first.ends_with(name), "{what}: {:?}", world.moves);
            assert!(
                !world.moves.iter().any(|word| word.starts_with("delete")),
                "{:?}",
                world.moves
            );
            if what != "probe" {
                assert!(world.moves.contains(&"try enforced".to_owned()), "{:?}", world.moves);
            }
        }
    }
}

#[test]
fn a_complaint_about_types_keeps_the_revision_before() {
    let mut world = World::default();
    world.settle(Some(&desired("one", Stage::Enforce))).unwrap();
    let two = desired("two", Stage::Enforce);
    world.store(&two.policies[0]);
    world.live.get_mut(&two.policies[0].key).unwrap().types =
        Types::Warned("undefined field".into());
    let error = world.settle(Some(&two)).unwrap_err();
    assert_eq!(error.class().0, "TypeCheckWarning");
    assert!(world.live.contains_key(&desired("one", Stage::Enforce).bindings[0].key));
    assert!(!world.live.contains_key(&two.bindings[0].key));
}

#[test]
fn types_that_are_not_checked_yet_are_waited_for() {
    let one = desired("one", Stage::Audit);
    let mut world = World::default();
    world.store(&one.policies[0]);
    world.live.get_mut(&one.policies[0].key).unwrap().types = Types::Pending;
    let step = next(Some(&one), &"u".into(), &world.live, &world.proof).unwrap();
    assert_eq!(step, Move::AwaitTypes("gabion-prod-one".to_owned()));
}

#[test]
fn below_enforce_nothing_needs_to_be_denied_by_the_bindings() {
    let mut world = World::default();
    world.settle(Some(&desired("one", Stage::Audit))).unwrap();
    assert_eq!(
        world.moves,
        [
            "create Policy/gabion-prod-one",
            "create PolicyBinding/gabion-prod-one-probe",
            "try compiled",
            "create PolicyBinding/gabion-prod-one",
        ]
    );
    world.moves.clear();
    world.settle(Some(&desired("one", Stage::Enforce))).unwrap();
    assert_eq!(
        world.moves,
        [
            "replace PolicyBinding/gabion-prod-one",
            "replace PolicyBinding/gabion-prod-one-probe",
            "try enforced",
        ]
    );
}

#[test]
fn all_goes_with_its_bindings_first() {
    let mut world = World::default();
    world.settle(Some(&desired("one", Stage::Enforce))).unwrap();
    world.moves.clear();
    world.settle(None).unwrap();
    assert_eq!(world.moves.last().unwrap(), "delete Policy/gabion-prod-one");
    assert!(world.live.is_empty());
}

#[test]
fn an_object_of_somebody_else_is_left_alone() {
    let one = desired("one", Stage::Enforce);
    let mut world = World::default();
    world.store(&one.policies[0]);
    let seen = world.live.get_mut(&one.policies[0].key).unwrap();
    (seen.ours, seen.manager, seen.owner) = (false, "kubectl".to_owned(), Uid::default());
    let error = next(Some(&one), &"u".into(), &world.live, &world.proof).unwrap_err();
    assert!(matches!(error, Error::NameTaken { manager, .. } if manager == "kubectl"));
}

#[test]
fn what_the_api_server_fills_in_means_nothing() {
    let ours = json!({"policyName": "a", "matchResources": {"namespaceSelector": {}}});
    let stored = json!({"policyName": "a", "validationActions": [],
        "matchResources": {"namespaceSelector": {}, "objectSelector": {}, "matchPolicy": "Equivalent"}});
    assert_eq!(canonical(&ours), canonical(&stored));
    let open = json!({"failurePolicy": "Ignore"});
    assert_ne!(canonical(&open), canonical(&json!({"failurePolicy": "Fail"})));
}

#[test]
fn answers_to_a_probe_are_told_apart() {
    let refused = |words: &str| outcome(&Tried::Refused(words.to_owned()), "policy-probe x");
    assert_eq!(outcome(&Tried::Taken, "policy-probe x"), ProbeOutcome::NotYet);
    assert_eq!(refused("denied request: policy-probe x"), ProbeOutcome::Denied);
    assert_eq!(
        refused("... evaluation error: actual cost limit exceeded"),
        ProbeOutcome::TooExpensive
    );
    assert!(matches!(refused("denied by a webhook"), ProbeOutcome::Failed(_)));
}
