//! Rollouts against tables, and against a model of a cluster in which anything may be killed at any time.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    ask::{Ask, Targets},
    revision::{self, ROLLOUT, SECRETS},
    wave::{self, Change, Wave},
    workload::{Kind, Object, Progress, Refusal, Workload},
};
use crate::api::external_secrets::external_secret::{
    ExternalSecret, ExternalSecretSpec, ExternalSecretStatus, GabionStatus, RolloutStatus,
};

fn notes(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs.iter().map(|(key, value)| (format!("gabion.dev/{key}"), (*value).to_owned()));
    pairs.collect()
}

fn workload(kind: Kind, body: Value) -> Workload {
    Workload::new(kind, serde_json::from_value::<Object>(body).unwrap())
}

#[test]
fn annotations_say_what_rolls_and_when() {
    assert_eq!(Ask::read(&notes(&[("other", "x")])), Ok(None));
    let ask = Ask::read(&notes(&[("rollout", "StatefulSet/db, Deployment/api")])).unwrap().unwrap();
    let named = vec![(Kind::StatefulSet, "db".to_owned()), (Kind::Deployment, "api".to_owned())];
    assert_eq!(ask.targets, Targets::Named(named));
    assert_eq!((ask.parallel, ask.timeout), (1, SignedDuration::from_mins(15)));
    assert_eq!(ask.min_interval, SignedDuration::from_mins(5));
    let ask = Ask::read(&notes(&[
        ("rollout", "selector: app=api, tier=web"),
        ("rollout-method", "patch"),
        ("rollout-window", "0 2 * * 1-5 / 3h / Europe/Berlin; 0 0 * * sun / 1h"),
        ("rollout-min-interval", "30s"),
        ("rollout-parallel", "10"),
        ("rollout-retry", "1"),
    ]));
    let ask = ask.unwrap().unwrap();
    assert!(matches!(&ask.targets, Targets::Selected(labels) if labels.len() == 2));
    assert_eq!((ask.parallel, ask.windows.len(), &*ask.retry), (10, 2, "1"));
}

#[test]
fn annotations_that_cannot_be_followed_are_named_with_their_grammar() {
    let long = "x".repeat(5000);
    let many: Vec<_> = (0..65).map(|nth| format!("Deployment/a{nth}")).collect();
    for (key, value) in [
        ("rollout", ""),
        ("rollout", "Deployment"),
        ("rollout", "Deployment/"),
        ("rollout", "Deployment/Api"),
        ("rollout", "Deployment/a,,Deployment/b"),
        ("rollout", "Deployment/a, Deployment/a"),
        ("rollout", "Job/a"),
        ("rollout", "Rollout/a"),
        ("rollout", "other/Deployment/a"),
        ("rollout", "selector:"),
        ("rollout", "selector: app"),
        ("rollout", "selector: app=a, app=b"),
        ("rollout", "selector: app!=a"),
        ("rollout", &many.join(",")),
        ("rollout", &long),
        ("rollout-method", "evict"),
        ("rollout-window", "0 2 * * *"),
        ("rollout-window", "0 2 * * * / 3h / Middle/Earth"),
        ("rollout-min-interval", "29s"),
        ("rollout-timeout", "169h"),
        ("rollout-parallel", "0"),
        ("rollout-parallel", "11"),
        ("rollout-parallel", "+1"),
        ("rollout-retry", &long),
    ] {
        let mut all = notes(&[("rollout", "Deployment/a")]);
        all.insert(format!("gabion.dev/{key}"), value.to_owned());
        let text = Ask::read(&all).unwrap_err().to_string();
        assert!(text.contains(&format!("gabion.dev/{key} is")), "{text}");
        assert!(text.contains("should be") && text.len() < 600, "{text}");
    }
}

proptest! {
    #[test]
    fn any_annotation_is_read_or_refused_in_few_words(
        texts in prop::collection::vec("[-a-zA-Z0-9/,.:;=* ]{0,40}|.{0,40}", 7),
    ) {
        let keys = ["", "-method", "-window", "-min-interval", "-timeout", "-parallel", "-retry"];
        let all = keys.iter().zip(&texts);
        let all = all.map(|(key, text)| (format!("{ROLLOUT}{key}"), text.clone())).collect();
        match Ask::read(&all) {
            Ok(ask) => prop_assert!((1..=10).contains(&ask.unwrap().parallel)),
            Err(invalid) => prop_assert!(invalid.to_string().len() < 1200),
        }
    }

    #[test]
    fn lists_are_read_as_they_were_written(
        entries in prop::collection::btree_map("[a-z]{1,8}(-[a-z]{1,4})?", 0..1_u64 << 53, 0..20),
    ) {
        prop_assert_eq!(revision::listed(&revision::list(&entries)), entries);
    }
}

#[test]
fn a_workload_is_complete_when_all_of_its_pods_are_new_and_ready() {
    let of = |kind, spec: Value, status: Value| {
        let body =
            json!({"metadata": {"name": "w", "generation": 2}, "spec": spec, "status": status});
        workload(kind, body).progress()
    };
    let deployment = |replicas: i64, updated: i64, available: i64, observed: i64| {
        let status = json!({"observedGeneration": observed, "replicas": replicas, "updatedReplicas": updated,
            "availableReplicas": available});
        of(Kind::Deployment, json!({"replicas": 2}), status)
    };
    assert_eq!(deployment(2, 2, 2, 2), Progress::Complete);
    assert_eq!(deployment(2, 2, 2, 1), Progress::Rolling, "seen before the change");
    assert_eq!(deployment(3, 2, 2, 2), Progress::Rolling, "old pods");
    assert_eq!(deployment(2, 2, 1, 2), Progress::Rolling);
    let seen = json!({"observedGeneration": 2});
    assert_eq!(of(Kind::Deployment, json!({"replicas": 0}), seen.clone()), Progress::Complete);
    assert_eq!(of(Kind::Deployment, json!({"paused": true}), seen), Progress::Paused);
    let late =
        json!({"observedGeneration": 2, "conditions": [{"reason": "ProgressDeadlineExceeded"}]});
    assert!(matches!(of(Kind::Deployment, json!({}), late), Progress::Failed(_)));
    let partition = json!({"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 2}}});
    let status = json!({"observedGeneration": 2, "updatedReplicas": 1, "readyReplicas": 3});
    assert_eq!(of(Kind::StatefulSet, partition, status.clone()), Progress::Complete);
    assert_eq!(of(Kind::StatefulSet, json!({"replicas": 3}), status), Progress::Rolling);
    let status = json!({"observedGeneration": 2, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2,
        "numberAvailable": 1});
    assert_eq!(of(Kind::DaemonSet, json!({}), status), Progress::Rolling);
}

#[test]
fn t15_what_others_roll_is_refused() {
    let of = |metadata: Value, spec: Value| {
        workload(Kind::StatefulSet, json!({"metadata": metadata, "spec": spec})).refusal()
    };
    let owner =
        json!([{"kind": "Db", "name": "d", "uid": "u", "apiVersion": "v1", "controller": true}]);
    let owned = of(json!({"name": "w", "ownerReferences": owner}), json!({}));
    assert!(matches!(owned, Some(Refusal::Refused(text)) if text.contains("Db \"d\"")));
    for key in ["reloader.stakater.com/auto", "secret.reloader.stakater.com/reload"] {
        let note = json!({"name": "w", "annotations": {key: "x"}});
        assert!(matches!(of(note, json!({})), Some(Refusal::Refused(text)) if text.contains(key)));
    }
    let deleted = json!({"updateStrategy": {"type": "OnDelete"}});
    assert!(matches!(of(json!({"name": "w"}), deleted), Some(Refusal::NotRolling(_))));
    assert_eq!(of(json!({"name": "w"}), json!({})), None);
}

#[test]
fn auto_finds_every_way_to_use_a_secret() {
    let of = |pod: Value| {
        workload(Kind::Deployment, json!({"metadata": {}, "spec": {"template": {"spec": pod}}}))
    };
    let volume = json!({"name": "v", "secret": {"secretName": "s"}});
    let projected = json!({"name": "v", "projected": {"sources": [{"secret": {"name": "s"}}]}});
    let mounted = |mount: Value| json!([{"volumeMounts": [mount]}]);
    for (pod, all, env_only) in [
        (
            json!({"containers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "s"}}}]}]}),
            true,
            true,
        ),
        (json!({"initContainers": [{"envFrom": [{"secretRef": {"name": "s"}}]}]}), true, true),
        (json!({"volumes": [volume], "containers": mounted(json!({"name": "v"}))}), true, false),
        (
            json!({"volumes": [projected], "containers": mounted(json!({"name": "v", "subPath": "p"}))}),
            true,
            true,
        ),
        (json!({"imagePullSecrets": [{"name": "s"}]}), false, false),
        (json!({"containers": [{"envFrom": [{"secretRef": {"name": "t"}}]}]}), false, false),
        (json!("nonsense"), false, false),
    ] {
        let found = of(pod.clone());
        assert_eq!((found.uses("s", false), found.uses("s", true)), (all, env_only), "{pod}");
    }
}

/// A cluster of one ExternalSecret and some workloads, and a controller that may die between any two requests.
struct World {
    object: ExternalSecret,
    secret: Option<u64>,
    changed: i64,
    now: i64,
    /// By workload: created, list in the template, rolled for which revision, how often.
    workloads: Vec<(i64, Option<String>, Vec<u64>)>,
    memory: Wave,
}

impl World {
    fn status(&mut self) -> &mut Option<Box<RolloutStatus>> {
        let status = self.object.status.get_or_insert_with(ExternalSecretStatus::default);
        &mut status.gabion.get_or_insert_with(GabionStatus::default).rollout
    }

    fn write(&mut self) {
        self.secret = revision::next(&self.object, self.secret);
        self.changed = self.now;
    }

    fn observed(&self) -> Vec<Workload> {
        let all = self.workloads.iter().enumerate().map(|(nth, (created, list, _))| {
            workload(Kind::Deployment, json!({
                "metadata": {"name": format!("w{nth}"), "uid": format!("u{nth}"),
                    "creationTimestamp": Timestamp::from_second(*created).unwrap().to_string()},
                "spec": {"replicas": 0, "template": {"metadata": {"annotations": {SECRETS: list}}}},
            }))
        });
        all.collect()
    }

    /// One look that dies after `requests` writes.
    fn look(&mut self, ask: &Ask, mut requests: usize) {
        let revision = self.secret.unwrap_or_default();
        let status = revision::stored(&self.object).cloned();
        let status = status.unwrap_or(RolloutStatus { done: revision, ..Default::default() });
        if wave::is_settled(&status, revision) {
            return;
        }
        if self.memory.revision != revision {
            self.memory = Wave { revision, ..Wave::default() };
        }
        let (at, now) = (
            Timestamp::from_second(self.changed).unwrap(),
            Timestamp::from_second(self.now).unwrap(),
        );
        let change = Change { secret: "s", revision, at };
        let standing =
            wave::standing(ask, change, status.done, &self.observed(), &self.memory, now);
        assert_eq!(standing.failed, None);
        for nth in &standing.next {
            if requests == 0 {
                self.memory = Wave::default();
                return;
            }
            requests -= 1;
            let list = BTreeMap::from([("s".to_owned(), revision)]);
            self.workloads[*nth].1 = Some(revision::list(&list));
            self.workloads[*nth].2.push(revision);
            self.memory.rolled.insert(format!("u{nth}"));
        }
        if requests > 0 && standing.next.is_empty() && standing.rolling.is_empty() {
            let new = RolloutStatus { done: revision, revision: Some(revision), ..status };
            *self.status() = Some(Box::new(new));
        }
    }
}

proptest! {
    #[test]
    fn every_change_rolls_each_workload_once_and_nothing_else_does(
        steps in prop::collection::vec((0..7_u8, 0..4_usize), 1..60),
    ) {
        let ask = Ask::read(&notes(&[("rollout", "auto"), ("rollout-parallel", "2")])).unwrap().unwrap();
        let mut object = ExternalSecret::new("es", ExternalSecretSpec::default());
        object.annotations_mut().insert(ROLLOUT.to_owned(), "auto".to_owned());
        let mut world = World {
            object, secret: None, changed: 0, now: 100, memory: Wave::default(),
            workloads: vec![(1, None, Vec::new()), (2, None, Vec::new())],
        };
        world.look(&ask, 9); // the baseline
        world.write();
        world.look(&ask, 0);
        let mut changes = 1;
        for (step, size) in steps {
            world.now += 1;
            match step {
                0 => { world.write(); changes += 1; }
                1..=3 => world.look(&ask, size),
                4 => world.memory = Wave::default(), // a restart
                5 if world.workloads.len() < 6 => { let now = world.now + 1; world.workloads.push((now, None, Vec::new())); }
                // Deleted and made anew with the same data.
                6 if revision::again(&world.object) == world.secret => world.secret = revision::again(&world.object),
                _ => {}
            }
        }
        for _ in 0..20 {
            world.look(&ask, 9);
        }
        let revision = world.secret.unwrap();
        for (created, list, rolled) in &world.workloads {
            let different: BTreeSet<_> = rolled.iter().collect();
            prop_assert_eq!(different.len(), rolled.len(), "twice for one change: {:?}", rolled);
            prop_assert!(rolled.len() <= changes);
            if *created <= world.changed {
                prop_assert_eq!(list.as_deref(), Some(&*format!("s={revision}")), "a change was forgotten");
            }
        }
        let before: Vec<_> = world.workloads.iter().map(|(_, _, rolled)| rolled.len()).collect();
        world.memory = Wave::default();
        world.look(&ask, 9);
        let after: Vec<_> = world.workloads.iter().map(|(_, _, rolled)| rolled.len()).collect();
        prop_assert_eq!(before, after, "a restart rolled something");
    }

    #[test]
    fn a_first_sync_rolls_nothing_wherever_it_is_killed(secret in prop::option::of(0..9_u64), killed in 0..3_usize) {
        let ask = Ask::read(&notes(&[("rollout", "auto")])).unwrap().unwrap();
        let mut object = ExternalSecret::new("es", ExternalSecretSpec::default());
        object.annotations_mut().insert(ROLLOUT.to_owned(), "auto".to_owned());
        let workloads = vec![(1, None, Vec::new())];
        let mut world = World { object, secret, changed: 0, now: 100, workloads, memory: Wave::default() };
        world.write();
        world.look(&ask, killed);
        world.memory = Wave::default();
        world.look(&ask, 9);
        world.look(&ask, 9);
        prop_assert!(world.workloads[0].2.is_empty());
    }
}
