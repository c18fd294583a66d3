//! Exceptions in force: the evaluator and the API server excuse the same containers of the same pods.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use gabion::api::gabion::baseline_exception::{ExemptContainerType, WorkloadTargetKind};
use gabion::api::gabion::hardening_baseline::Verdict;
use gabion::policy::waivers::{ExemptOne, Request, Waiver};
use gabion::policy::{ControlId, Settings, Subject, WorkloadKind, evaluate_excused};
use jiff::{Span, Timestamp};
use serde_json::{Value, json};
use support::Result;

use crate::{
    live::{Api, plane},
    ours,
    pods::{Case, Generator},
    test_random::TestRandom,
};

const NAMESPACE: &str = "excused";
const PODS: usize = 400;
const AT_ONCE: usize = 32;
const CONTROLS: [ControlId; 12] = [
    ControlId::PssPrivileged,
    ControlId::PssHostNamespaces,
    ControlId::PssHostPorts,
    ControlId::PssSeccompProfileRestricted,
    ControlId::PssCapabilitiesRestricted,
    ControlId::PssAllowPrivilegeEscalation,
    ControlId::PssRunAsNonRoot,
    ControlId::PssRestrictedVolumes,
    ControlId::HbRofs,
    ControlId::HbRes,
    ControlId::HbImgRegistry,
    ControlId::HbSecretLiteral,
];

fn settings() -> Settings {
    Settings {
        templates: Verdict::Ignore,
        allowed_registries: vec!["registry.corp.example/other".to_owned()],
        ..Settings::built_in("guide").expect("a built-in name")
    }
}

fn hours(hours: i64) -> Timestamp {
    Timestamp::now().checked_add(Span::new().hours(hours)).expect("in range")
}

/// Waivers that differ from one that fits in one thing each, and some that fit.
fn waivers(random: &mut TestRandom) -> Vec<Waiver> {
    let lists = [
        (ExemptContainerType::Container, "app"),
        (ExemptContainerType::Container, "helper"),
        (ExemptContainerType::InitContainer, "start"),
        (ExemptContainerType::InitContainer, "sidecar"),
        (ExemptContainerType::Ephemeral, "debugger"),
        (ExemptContainerType::Ephemeral, "second"),
        (ExemptContainerType::InitContainer, "app"),
    ];
    let targets = [
        (WorkloadTargetKind::Deployment, "gpu"),
        (WorkloadTargetKind::ReplicaSet, "gpu-5d4f"),
        (WorkloadTargetKind::CronJob, "nightly"),
        (WorkloadTargetKind::Job, "nightly-28"),
        (WorkloadTargetKind::Pod, "evaluated"),
        (WorkloadTargetKind::Pod, "base-0"),
        (WorkloadTargetKind::Pod, "base-1"),
    ];
    let made = (0..24).map(|nth| {
        let (kind, name) = targets[nth % targets.len()];
        let everybody = random.below(3) == 0;
        let some: Vec<_> = lists.iter().filter(|_| everybody || random.below(2) == 0).collect();
        let repositories = [
            "registry.corp.example/prod/app",
            "registry.corp.example",
            "registry.corp.example/prod/ap",
        ];
        let repository =
            if random.below(4) == 0 { *random_of(nth, &repositories) } else { repositories[0] };
        let containers = some.into_iter().map(|(list, name)| ExemptOne {
            list: *list,
            name: (*name).to_owned(),
            repository: repository.to_owned(),
        });
        let containers: Vec<_> = containers.collect();
        let controls = CONTROLS.into_iter().filter(|_| random.below(2) == 0).collect();
        Waiver {
            namespace: if random.below(6) == 0 { "else" } else { NAMESPACE }.to_owned(),
            exception: format!("e{nth}"),
            controls,
            kind,
            name: name.to_owned(),
            containers,
            until: hours(if random.below(6) == 0 { -1 } else { 1 }),
        }
    });
    made.collect()
}

fn random_of<T>(nth: usize, of: &[T]) -> &T {
    &of[nth % of.len()]
}

/// A pod of some workload.
fn owned(mut case: Case, random: &mut TestRandom) -> Case {
    if case.is_ephemeral() {
        return case;
    }
    let owners = [
        ("apps/v1", "ReplicaSet", "gpu-5d4f", true),
        ("apps/v1", "ReplicaSet", "gpu-5d4f", true),
        ("apps/v1", "ReplicaSet", "gpu-x-5d4f", true),
        ("apps/v1", "ReplicaSet", "gpu-5d4f", false),
        ("apps/v1beta1", "ReplicaSet", "gpu-5d4f", true),
        ("batch/v1", "Job", "nightly-28", true),
        ("batch/v1", "Job", "nightly-x", true),
        ("", "", "", false),
    ];
    let (api, kind, name, controller) = *random.one_of(&owners);
    if !api.is_empty() {
        case.pod["metadata"]["ownerReferences"] = json!([
            {"apiVersion": api, "kind": kind, "name": name, "uid": "u", "controller": controller}]);
    }
    case
}

/// What the evaluator refuses a pod for, as the API server stores it.
fn refused_for(stored: &Value, waivers: &[Waiver]) -> BTreeSet<String> {
    let subject = Subject::of_kind(WorkloadKind::Pod, stored);
    let created = stored["metadata"]["creationTimestamp"].as_str().unwrap_or_default();
    let created = created.parse().expect("a time");
    let request = Request::created(&subject, stored, NAMESPACE, created);
    let found = evaluate_excused(&settings(), &subject, &request, waivers);
    let refused = found.iter().filter(|found| found.verdict == Verdict::Deny);
    refused.map(|found| found.control.id.to_string()).collect()
}

/// A case, and what it is refused for: without exceptions and with them by the evaluator, and by the API server.
type Judged = (Case, BTreeSet<String>, BTreeSet<String>, BTreeSet<String>);

/// `None` if it is invalid whoever judges it.
async fn judge(api: &Api, case: Case, waivers: &[Waiver]) -> Result<Option<Judged>> {
    let plain = api.evaluate("excused-plain", &case).await?;
    if !plain.is_yes() {
        return Ok(None);
    }
    let answer = api.evaluate(NAMESPACE, &case).await?;
    let mut stored = plain.json();
    stored["apiVersion"] = "v1".into();
    let denied = if answer.is_yes() {
        BTreeSet::new()
    } else {
        let message = answer.message();
        ours::denied_controls(&message).unwrap_or_else(|| [message].into())
    };
    Ok(Some((case, refused_for(&stored, &[]), refused_for(&stored, waivers), denied)))
}

#[tokio::test]
async fn hardening_10_and_means_and_by_both_judges() -> Result<()> {
    let api = Api(plane()?.client().await?);
    tokio::try_join!(api.populated_namespace(NAMESPACE), api.populated_namespace("excused-plain"))?;
    let seed = crate::agreement::number("GABION_JUDGES_SEED", 0x0e5c);
    let mut random = TestRandom::new(seed);
    let waivers = waivers(&mut random);
    let set = ours::compiled_with(&settings(), NAMESPACE, &waivers);
    api.label(NAMESPACE, &json!({"bar": NAMESPACE})).await?;
    api.put_in_force(&set, NAMESPACE).await?;
    let generator = Generator::new();
    let cases: Vec<_> = (0..PODS)
        .map(|_| owned(generator.changed(random.next(), 1 + random.below(3)), &mut random))
        .collect();
    let (api, waivers) = (&api, &waivers);
    let answers: Vec<_> = stream::iter(cases)
        .map(|case| judge(api, case, waivers))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let judged: Vec<_> = answers.into_iter().flatten().collect();
    for (case, _, ours, theirs) in &judged {
        assert_eq!(ours, theirs, "seed {seed:#x}: {} {}", case.story, case.pod);
    }
    let excused = judged.iter().filter(|(_, strict, ours, _)| strict != ours).count();
    let passed = judged.iter().filter(|(_, strict, ours, _)| !strict.is_empty() && ours.is_empty());
    let passed = passed.count();
    say!(
        "{} pods with exceptions in force, {excused} excused from something, {passed} let in",
        judged.len()
    );
    assert!(judged.len() > PODS / 2 && excused > 20, "{} {excused}", judged.len());
    Ok(())
}

/// Nobody but the API server is there, so nobody recompiles anything.
#[tokio::test]
async fn hardening_9_an_exception_ends_by_the_api_servers_clock_alone() -> Result<()> {
    const CLOCK: &str = "excused-clock";
    let api = Api(plane()?.client().await?);
    api.namespace(CLOCK).await?;
    api.label(CLOCK, &json!({"bar": CLOCK})).await?;
    let waiver = Waiver {
        namespace: CLOCK.to_owned(),
        exception: "clock".to_owned(),
        controls: [ControlId::PssHostNamespaces, ControlId::HbImgTag].into(),
        kind: WorkloadTargetKind::Pod,
        name: "evaluated".to_owned(),
        containers: vec![ExemptOne {
            list: ExemptContainerType::Container,
            name: "app".to_owned(),
            repository: "registry.corp.example/prod/app".to_owned(),
        }],
        until: Timestamp::from_second(Timestamp::now().as_second() + 8).expect("in range"),
    };
    let settings = ours::settings(crate::plugin::Bar { level: "restricted", minor: 37 });
    let until = waiver.until;
    api.put_in_force(&ours::compiled_with(&settings, CLOCK, &[waiver]), CLOCK).await?;
    let mut pod = crate::pods::bases()[1].1.clone();
    pod["spec"]["hostPID"] = true.into();
    let before = api.try_pod(CLOCK, &pod).await?;
    assert!(before.is_yes(), "{}", before.message());
    let left = until.duration_since(Timestamp::now()).unsigned_abs();
    tokio::time::sleep(left).await;
    let after = api.try_pod(CLOCK, &pod).await?;
    assert!(after.message().contains("PSS-hostNamespaces"), "{} {}", after.code, after.message());
    Ok(())
}
