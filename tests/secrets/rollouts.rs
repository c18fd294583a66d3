//! Workloads roll when the data of their Secret changes: once, in order, and never otherwise.
//!
//! There is no kubelet: a workload without replicas is complete at once, one with replicas never is.

use serde_json::{Value, json};
use support::{
    Failure, Result, SOON, Subsystem, TestEnv, audit, condition, eventually, repository,
};

use crate::scene::{MARK, Scene, value};

const LIST: &str = "gabion.dev/secrets";

/// An operator with rollouts, their rights and their guard.
fn environment() -> Result<TestEnv> {
    let env = Subsystem::Secrets.start(&["--enable-rollouts", "--rollout-settle=100ms"])?;
    let kubectl = env.plane().admin()?;
    for file in ["guard", "rbac"] {
        let file = format!("config/overlays/rollouts/{file}.yaml");
        kubectl.apply_path(&repository().join(file))?;
    }
    Ok(env)
}

fn workload(kind: &str, name: &str, spec: Value) -> Value {
    let pod = json!({"containers": [{"name": "app", "image": "registry.example/app:1"}]});
    let labels = json!({"app": name});
    let mut object = json!({
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "labels": labels},
        "spec": {"selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod}},
    });
    if kind != "DaemonSet" {
        object["spec"]["replicas"] = 0.into();
    }
    for (field, value) in spec.as_object().into_iter().flatten() {
        object["spec"][field] = value.clone();
    }
    object
}

impl Scene<'_> {
    /// Creates an ExternalSecret with annotations `gabion.dev/rollout...`.
    async fn rolls(&self, name: &str, notes: &[(&str, &str)]) -> Result<()> {
        self.put(name, &value("old"));
        let mut object = self.external(name, json!({}));
        for (key, text) in notes {
            object["metadata"]["annotations"][format!("gabion.dev/{key}")] = (*text).into();
        }
        self.create(object).await?;
        Ok(())
    }

    /// Waits until the condition RolloutComplete has this status and reason; its message.
    async fn rollout(&self, name: &str, status: &str, reason: &str) -> Result<String> {
        eventually(SOON, &format!("RolloutComplete of {name}: {reason}"), || async {
            let object = self.get("ExternalSecret", name).await?.unwrap_or_default();
            let told = condition(&object, "RolloutComplete");
            if told["status"] == status && told["reason"] == reason {
                assert_ne!(condition(&object, "Ready")["status"], "False", "it is never touched");
                return Ok(told["message"].as_str().unwrap_or_default().to_owned());
            }
            Err(Failure::new(format!("it is {told}")))
        })
        .await
    }

    /// The list of revisions in a pod template, and the generation of the workload.
    async fn template(&self, kind: &str, name: &str) -> Result<(Value, i64)> {
        let object = self.get(kind, name).await?.expect("the workload");
        let list = object["spec"]["template"]["metadata"]["annotations"][LIST].clone();
        Ok((list, object["metadata"]["generation"].as_i64().unwrap_or_default()))
    }

    async fn change(&self, names: &[&str], text: &str) -> Result<()> {
        for name in names {
            self.put(name, &value(text));
            self.force(name, text).await?;
        }
        Ok(())
    }
}

/// Workloads and the ExternalSecrets that roll them.
async fn prepare(scene: &Scene<'_>) -> Result<()> {
    let (stuck, late) =
        (json!({"replicas": 1}), json!({"replicas": 1, "progressDeadlineSeconds": 1}));
    for (name, spec) in [
        ("api", json!({})),
        (
            "used",
            json!({"template": {"metadata": {"labels": {"app": "used"}}, "spec": {"containers": [
            {"name": "app", "image": "registry.example/app:1", "envFrom": [{"secretRef": {"name": "auto"}}]}]}}}),
        ),
        ("held", json!({})),
        ("paused", json!({"paused": true})),
        ("crash", late),
        ("after", json!({})),
        ("fought", stuck),
    ] {
        scene.create(workload("Deployment", name, spec)).await?;
    }
    let manual = json!({"updateStrategy": {"type": "OnDelete"}});
    scene.create(workload("DaemonSet", "manual", manual)).await?;
    scene.create(workload("DaemonSet", "agent", json!({}))).await?;
    scene.create(workload("StatefulSet", "db", json!({"serviceName": "db"}))).await?;
    for (name, notes) in [
        ("one", vec![("rollout", "Deployment/api, CronJob/report")]),
        ("two", vec![("rollout", "selector: app=api")]),
        ("auto", vec![("rollout", "auto-env")]),
        ("sets", vec![("rollout", "StatefulSet/db, DaemonSet/agent"), ("rollout-parallel", "2")]),
        (
            "shut",
            vec![
                ("rollout", "Deployment/held"),
                ("rollout-window", "0 0 30 2 * / 1h / Europe/Berlin"),
            ],
        ),
        ("rest", vec![("rollout", "Deployment/paused")]),
        ("hand", vec![("rollout", "DaemonSet/manual")]),
        ("lost", vec![("rollout", "Deployment/nowhere")]),
        ("bad", vec![("rollout", "Deployment/crash, Deployment/after")]),
        ("fight", vec![("rollout", "Deployment/fought")]),
        ("wrong", vec![("rollout", "Job/api")]),
        ("evict", vec![("rollout", "Deployment/api"), ("rollout-method", "evict")]),
    ] {
        scene.rolls(name, &notes).await?;
    }
    Ok(())
}

const ALL: [&str; 10] =
    ["one", "two", "auto", "sets", "shut", "rest", "hand", "lost", "bad", "fight"];

#[tokio::test]
async fn workloads_roll_once_for_each_change_and_never_otherwise() -> Result<()> {
    let mut env = environment()?;
    let scene = Scene::within(&env, "rollouts").await?;
    prepare(&scene).await?;

    // T9: a first sync and a restart roll nothing.
    for name in ["one", "two", "auto", "shut", "rest", "bad", "fight"] {
        scene.rollout(name, "True", "NoChange").await?;
    }
    scene.rollout("hand", "False", "NotRolling").await?;
    let text = scene.rollout("lost", "False", "TargetMissing").await?;
    assert!(text.contains("Deployment/nowhere"), "{text}");
    for (name, part) in
        [("wrong", "gabion.dev/rollout is"), ("evict", "gabion.dev/rollout-method is")]
    {
        let text = scene.rollout(name, "False", "InvalidRollout").await?;
        assert!(text.contains(part), "{text}");
    }
    drop(scene);
    env.operator.kill();
    env.start_again(&["--enable-rollouts", "--rollout-settle=100ms"])?;
    let scene = Scene::enter(&env, "rollouts").await?;
    scene.settle().await?;
    for name in ["api", "used", "held", "paused", "crash", "after", "fought"] {
        assert_eq!(scene.template("Deployment", name).await?, (Value::Null, 1), "{name}");
    }

    // T10, T11: the Secret first, then one rollout for two Secrets.
    scene.change(&ALL, "new").await?;
    for name in ["one", "two", "auto"] {
        scene.rollout(name, "True", "Complete").await?;
        scene.holds(name, &value("new")).await?;
    }
    assert_eq!(scene.template("Deployment", "api").await?, (json!("one=2,two=2"), 2));
    assert_eq!(scene.template("Deployment", "used").await?, (json!("auto=2"), 2));
    scene.event("one", "RolloutComplete").await?;

    // T13: the first failure stops the wave.
    let text = scene.rollout("bad", "False", "RolloutFailed").await?;
    assert!(text.contains("Deployment/crash: ProgressDeadlineExceeded"), "{text}");
    assert_eq!(scene.template("Deployment", "after").await?, (Value::Null, 1));

    // T15: what is held, paused or rolled by hand.
    scene.rollout("shut", "Unknown", "Held").await?;
    assert_eq!(scene.template("Deployment", "held").await?, (Value::Null, 1));
    let text = scene.rollout("rest", "Unknown", "Paused").await?;
    assert!(text.contains("Deployment/paused"), "{text}");
    assert_eq!(scene.template("Deployment", "paused").await?, (json!("rest=2"), 2));
    scene.rollout("hand", "False", "NotRolling").await?;
    assert_eq!(scene.template("DaemonSet", "manual").await?, (Value::Null, 1));

    sets(&scene).await?;
    fights_end(&scene).await?;
    no_image_changes(&scene)?;
    let metric =
        env.counter("gabion_rollouts_total{kind=\"Deployment\",outcome=\"started\"}").await?;
    assert_eq!(metric, 5, "api, used, paused, crash and fought");
    assert!(!env.operator.log().contains(MARK), "a value in the log");
    for kind in ["deployments", "statefulsets", "daemonsets"] {
        for verb in ["get", "list", "patch"] {
            let all = audit::requests(env.plane());
            assert!(all.iter().any(|r| r.resource == kind && r.verb == verb), "{verb} {kind}");
        }
    }
    Ok(())
}

/// Other kinds; the test plays their controllers.
async fn sets(scene: &Scene<'_>) -> Result<()> {
    let kinds = [
        (
            "StatefulSet",
            "db",
            json!({"observedGeneration": 2, "replicas": 0, "updatedReplicas": 0}),
        ),
        (
            "DaemonSet",
            "agent",
            json!({"observedGeneration": 2, "currentNumberScheduled": 0,
            "desiredNumberScheduled": 0, "numberMisscheduled": 0, "numberReady": 0}),
        ),
    ];
    for (kind, name, status) in kinds {
        let what = format!("{kind} {name} rolls");
        eventually(SOON, &what, || async {
            let template = scene.template(kind, name).await?;
            if template == (json!("sets=2"), 2) {
                Ok(())
            } else {
                Err(Failure::new(format!("{template:?}")))
            }
        })
        .await?;
        scene.patch_status(kind, name, status).await?;
    }
    scene.rollout("sets", "True", "Complete").await?;
    Ok(())
}

/// T14: an annotation that somebody takes away is not fought for.
async fn fights_end(scene: &Scene<'_>) -> Result<()> {
    scene.rollout("fight", "Unknown", "InProgress").await?;
    let kubectl = scene.env.plane().admin()?;
    let manifest = workload("Deployment", "fought", json!({"replicas": 1})).to_string();
    let ns = format!("--namespace={}", scene.ns);
    kubectl.run_with_input(&["apply", &ns, "-f", "-"], &manifest)?;
    assert_eq!(scene.template("Deployment", "fought").await?.0, "fight=2", "it survives an apply");
    let none = json!({"spec": {"template": {"metadata": {"annotations": {LIST: null}}}}});
    scene.patch("Deployment", "fought", none).await?;

    let text = scene.rollout("fight", "False", "RolloutReverted").await?;
    assert!(text.contains("Deployment/fought") && text.contains("ignoreDifferences"), "{text}");
    let before = scene.template("Deployment", "fought").await?;
    scene.force("fight", "again").await?;
    scene.settle().await?;
    assert_eq!(scene.template("Deployment", "fought").await?, before);
    Ok(())
}

/// R13: the operator's token changes one annotation and nothing else.
fn no_image_changes(scene: &Scene<'_>) -> Result<()> {
    let plane = scene.env.plane();
    let config = plane.service_account_kubeconfig("gabion-system", "gabion")?;
    let kubectl = plane.kubectl_of(&config)?;
    let ns = format!("--namespace={}", scene.ns);
    let patch = |body: Value| {
        kubectl.run(&["patch", "deployment", "held", &ns, "--type=merge", "-p", &body.to_string()])
    };
    let template = |body: Value| json!({"spec": {"template": body}});
    let container = json!([{"name": "app", "image": "registry.example/evil:1"}]);
    for (body, part) in [
        (template(json!({"spec": {"containers": container}})), "but its metadata"),
        (template(json!({"spec": {"hostNetwork": true}})), "but its metadata"),
        (template(json!({"metadata": {"labels": {"more": "x"}}})), "but its annotations"),
        (template(json!({"metadata": {"annotations": {"more": "x"}}})), "but gabion.dev/secrets"),
        (json!({"spec": {"replicas": 5}}), "but its pod template"),
        (json!({"spec": {"paused": true}}), "but its pod template"),
        (json!({"metadata": {"labels": {"more": "x"}}}), "no metadata"),
        (json!({"metadata": {"annotations": {"more": "x"}}}), "no metadata"),
        (json!({"metadata": {"finalizers": ["x.example/x"]}}), "no metadata"),
    ] {
        let error = patch(body.clone()).expect_err("it is denied").to_string();
        assert!(error.contains(part), "{body}: {error}");
    }
    let list = |text: Value| template(json!({"metadata": {"annotations": {LIST: text}}}));
    patch(list(json!("x=1")))?;
    patch(list(json!("x=2")))?;
    patch(list(Value::Null))?;
    Ok(())
}

/// Workloads that never become complete, one for each name and with an ExternalSecret each.
async fn hogs(scene: &Scene<'_>, names: &[String]) -> Result<()> {
    for name in names {
        scene.create(workload("Deployment", name, json!({"replicas": 1}))).await?;
        scene.rolls(name, &[("rollout", &format!("Deployment/{name}"))]).await?;
    }
    for name in names {
        scene.rollout(name, "True", "NoChange").await?;
    }
    Ok(())
}

#[tokio::test]
async fn t12_no_namespace_and_no_broken_workload_holds_up_the_rollouts_of_others() -> Result<()> {
    let env = environment()?;
    let hog = Scene::within(&env, "rollouts-hog").await?;
    let quiet = Scene::within(&env, "rollouts-quiet").await?;
    let names: Vec<_> = (0..8).map(|nth| format!("hog{nth}")).collect();
    hogs(&hog, &names).await?;
    for (name, spec) in [
        ("app", json!({})),
        ("later", json!({})),
        ("crash", json!({"replicas": 1, "progressDeadlineSeconds": 1})),
    ] {
        quiet.create(workload("Deployment", name, spec)).await?;
    }
    let broken = ["bad1", "bad2", "bad3"];
    for name in broken {
        quiet.rolls(name, &[("rollout", "Deployment/crash")]).await?;
    }
    for name in ["app", "later"] {
        quiet.rolls(name, &[("rollout", &format!("Deployment/{name}"))]).await?;
    }
    for name in broken.iter().chain(&["app", "later"]) {
        quiet.rollout(name, "True", "NoChange").await?;
    }

    // Eight that never end: five roll, and three say that they wait for a place.
    let all: Vec<_> = names.iter().map(String::as_str).collect();
    hog.change(&all, "new").await?;
    eventually(SOON, "five roll and three wait for a place", || async {
        let (mut roll, mut wait) = (0, 0);
        for name in &names {
            let object = hog.get("ExternalSecret", name).await?.unwrap_or_default();
            let told = condition(&object, "RolloutComplete");
            let text = told["message"].as_str().unwrap_or_default();
            roll += usize::from(told["reason"] == "InProgress");
            wait += usize::from(told["reason"] == "Pending" && text.contains("waits for a place"));
        }
        let gauge = env.counter("gabion_rollouts_waiting{why=\"place\"}").await?;
        let ok = (roll, wait, gauge) == (5, 3, 3);
        if ok { Ok(()) } else { Err(Failure::new(format!("{roll} roll, {wait} wait, {gauge}"))) }
    })
    .await?;

    // Another namespace rolls meanwhile, and one workload that fails for three of it holds nothing.
    quiet.change(&["app"], "new").await?;
    quiet.rollout("app", "True", "Complete").await?;
    quiet.change(&broken, "new").await?;
    for name in broken {
        quiet.rollout(name, "False", "RolloutFailed").await?;
    }
    quiet.change(&["later"], "new").await?;
    quiet.rollout("later", "True", "Complete").await?;
    assert_eq!(env.counter("gabion_rollouts_waiting{why=\"failures\"}").await?, 0);

    // A place that becomes free goes to one that waits.
    let rolled = || async {
        let mut rolled = Vec::new();
        for name in &names {
            if hog.template("Deployment", name).await?.0 != Value::Null {
                rolled.push(name.clone());
            }
        }
        Ok::<_, Failure>(rolled)
    };
    let first = rolled().await?;
    assert_eq!(first.len(), 5, "{first:?}");
    hog.delete("ExternalSecret", &first[0]).await?;
    eventually(SOON, "the next one rolls", || async {
        let rolled = rolled().await?;
        if rolled.len() == 6 { Ok(()) } else { Err(Failure::new(format!("{rolled:?}"))) }
    })
    .await?;
    Ok(())
}
