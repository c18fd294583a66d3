//! Exceptions on a real API server: who may ask, who may approve, what that opens, and how it ends.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use support::{Failure, Kubectl, Result, SOON, eventually, repository};

use crate::{
    policies::{enforced, refusal},
    scene::{PSS, Scene, pod},
};

const NAME: &str = "excused";
const IMAGE: &str = "registry.example.com/prod/app";

/// Who asks and, by mistake, may also write approvals; and who may approve.
const PEOPLE: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: excused-dev}
rules:
  - {apiGroups: [gabion.dev], resources: [baselineexceptions, baselineexceptionapprovals], verbs: ["get", "create", "update", "patch", "delete"]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: excused-dev}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: excused-dev}
subjects: [{kind: User, name: dev, apiGroup: rbac.authorization.k8s.io}, {kind: User, name: sec, apiGroup: rbac.authorization.k8s.io}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: excused-sec}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: gabion-exception-approver}
subjects: [{kind: User, name: sec, apiGroup: rbac.authorization.k8s.io}]
"#;

fn in_seconds(seconds: i64) -> String {
    let now = Timestamp::from_second(Timestamp::now().as_second()).expect("in range");
    now.checked_add(SignedDuration::from_secs(seconds)).expect("in range").to_string()
}

fn asked(name: &str, by: &str, control: &str, ends: i64) -> Value {
    json!({
        "apiVersion": "gabion.dev/v1alpha1", "kind": "BaselineException",
        "metadata": {"name": name, "namespace": NAME},
        "spec": {
            "controls": [control], "target": {"kind": "Deployment", "name": "gpu"},
            "containers": [{"name": "main", "imageRepository": IMAGE}],
            "reason": "loads a kernel module", "expiresAt": in_seconds(ends), "requestedBy": by,
        },
    })
}

fn approval(name: &str, of: &Value, by: &str, ends: i64) -> Value {
    json!({
        "apiVersion": "gabion.dev/v1alpha1", "kind": "BaselineExceptionApproval",
        "metadata": {"name": name},
        "spec": {
            "exceptionRef": {
                "namespace": NAME, "name": of["metadata"]["name"], "uid": of["metadata"]["uid"],
                "generation": of["metadata"]["generation"], "specHash": of["status"]["specHash"],
            },
            "requestedBy": of["spec"]["requestedBy"], "approver": by, "notAfter": in_seconds(ends),
        },
    })
}

struct People(Kubectl);

impl People {
    fn create(&self, user: &str, object: &Value) -> Result<()> {
        self.0.run_with_input(&["create", "--as", user, "-f", "-"], &object.to_string()).map(drop)
    }

    fn is_refused(&self, user: &str, object: &Value, words: &str) -> Result<()> {
        match self.create(user, object) {
            Err(why) if why.to_string().contains(words) => Ok(()),
            Err(why) => Err(Failure::new(format!("{words}: {why}"))),
            Ok(()) => Err(Failure::new(format!("{user} may: {object}"))),
        }
    }
}

async fn stands(scene: &Scene<'_>, name: &str, state: &str) -> Result<Value> {
    let check = |object: &Value| {
        let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
        if current && object["status"]["state"] == state {
            Ok(())
        } else {
            Err(object["status"].to_string())
        }
    };
    scene.cluster.until("BaselineException", NAME, name, check).await
}

async fn label_is(scene: &Scene<'_>, level: &str) -> Result<()> {
    let key = format!("{PSS}enforce");
    let check = |object: &Value| {
        let found = &object["metadata"]["labels"][key.as_str()];
        if found == level { Ok(()) } else { Err(found.to_string()) }
    };
    scene.cluster.until("Namespace", "", NAME, check).await.map(drop)
}

/// A privileged pod of some workload.
fn privileged(replica_set: &str) -> Value {
    let mut pod = pod(NAME, "gpu", json!({}));
    pod["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet",
        "name": replica_set, "uid": "u", "controller": true}]);
    let context = &mut pod["spec"]["containers"][0]["securityContext"];
    context["privileged"] = true.into();
    context["allowPrivilegeEscalation"] = Value::Null;
    pod
}

async fn answers(scene: &Scene<'_>, replica_set: &str, refused: Option<&str>) -> Result<()> {
    let pod = privileged(replica_set);
    eventually(SOON, &format!("{replica_set}: {refused:?}"), || async {
        let answer = refusal(&scene.cluster, &pod).await.map_err(|error| error.to_string())?;
        match (&answer, refused) {
            (None, None) => Ok(()),
            (Some(why), Some(words)) if why.contains(words) => Ok(()),
            _ => Err(format!("{answer:?}")),
        }
    })
    .await
}

/// Scenarios 10, 13 and 14 in one: each needs what the one before it left.
#[tokio::test]
async fn hardening_13_an_exception_needs_somebody_else_and_ends_when_it_is_edited_or_over()
-> Result<()> {
    let scene = Scene::new(NAME).await?;
    let people = People(scene.env.plane().admin()?);
    for file in ["exceptions.yaml", "people.yaml"] {
        people.0.apply_path(&repository().join("config/rbac").join(file))?;
    }
    people.0.apply_yaml(PEOPLE)?;
    scene.baseline(NAME, json!({"podSecurity": {"level": "restricted"}})).await?;
    enforced(&scene, NAME).await?;
    label_is(&scene, "restricted").await?;

    // Who asks.
    let day = 86_400;
    let words = "spec.requestedBy must be the user";
    people.is_refused("dev", &asked("gpu", "sec", "PSS-privileged", day), words)?;
    let words = "spec.expiresAt must be after";
    people.is_refused("dev", &asked("gpu", "dev", "PSS-privileged", -60), words)?;
    people.is_refused("dev", &asked("gpu", "dev", "PSS-privileged", 91 * day), words)?;
    people.create("dev", &asked("unknown", "dev", "PSS-nothing", day))?;
    let rejected = stands(&scene, "unknown", "Rejected").await?;
    let message = rejected["status"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("PSS-nothing is no control"), "{message}");
    let mut gpu = asked("gpu", "dev", "PSS-privileged", day);
    gpu["spec"]["controls"] = json!(["PSS-privileged", "PSS-allowPrivilegeEscalation"]);
    people.create("dev", &gpu)?;
    let gpu = stands(&scene, "gpu", "Requested").await?;
    answers(&scene, "gpu-5d4f", Some("violates PodSecurity")).await?;

    // Who approves.
    let words = "nobody approves a request of their own";
    people
        .is_refused("dev", &approval("own", &gpu, "dev", day), "must not be requestedBy")
        .or_else(|_| people.is_refused("dev", &approval("own", &gpu, "dev", day), words))?;
    let words = "spec.approver must be the user";
    people.is_refused("dev", &approval("forged", &gpu, "sec", day), words)?;
    let words = "approving needs the verb approve";
    let mut of_another = approval("forged", &gpu, "dev", day);
    of_another["spec"]["requestedBy"] = "else".into();
    people.is_refused("dev", &of_another, words)?;
    let words = "spec.notAfter must be after";
    people.is_refused("sec", &approval("long", &gpu, "sec", 91 * day), words)?;
    let mut wrong = approval("wrong", &gpu, "sec", day);
    wrong["spec"]["exceptionRef"]["specHash"] = "0".repeat(64).into();
    people.create("sec", &wrong)?;
    stands(&scene, "gpu", "ApprovalMismatch").await?;
    label_is(&scene, "restricted").await?;
    people.create("sec", &approval("right", &gpu, "sec", day))?;
    stands(&scene, "gpu", "Active").await?;

    // What it opens: this workload, and nothing else.
    label_is(&scene, "privileged").await?;
    answers(&scene, "gpu-5d4f", None).await?;
    answers(&scene, "gpu-x-5d4f", Some("PSS-privileged")).await?;
    let row = scene
        .effective(NAME, |found| found["values"].to_string().contains("lowered for exception gpu"))
        .await?;
    assert!(row.to_string().contains("restricted, lowered for exception gpu until"), "{row}");

    // An edit voids it.
    let wider = json!({"spec": {"containers": [
        {"name": "main", "imageRepository": IMAGE}, {"name": "more", "imageRepository": IMAGE}]}});
    // Nobody writes into a request of another what they then approve.
    let edit = |user: &str| {
        let change = wider.to_string();
        let patch =
            ["patch", "bex", "gpu", "-n", NAME, "--as", user, "--type=merge", "-p", &change];
        people.0.run(&patch)
    };
    let why = edit("sec").expect_err("it is dev's").to_string();
    assert!(why.contains("only spec.requestedBy may change the spec"), "{why}");
    edit("dev")?;
    let gpu = stands(&scene, "gpu", "ApprovalMismatch").await?;
    label_is(&scene, "restricted").await?;
    answers(&scene, "gpu-5d4f", Some("violates PodSecurity")).await?;

    // What is over is over.
    people.create("sec", &approval("short", &gpu, "sec", 8))?;
    stands(&scene, "gpu", "Active").await?;
    label_is(&scene, "privileged").await?;
    stands(&scene, "gpu", "Expired").await?;
    label_is(&scene, "restricted").await?;
    answers(&scene, "gpu-5d4f", Some("violates PodSecurity")).await
}
