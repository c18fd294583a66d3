//! What `gabion status`, `explain` and `doctor` say of a real API server, and without one.

use std::io::Read as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{DynamicObject, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use serde_json::{Value, json};
use support::{ControlPlane, Failure, Kubectl, Result, SOON, eventually, gabion, repository};

/// What the program said, and how it ended.
pub struct Answered {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

pub fn ask(kubeconfig: &Path, arguments: &[&str]) -> Result<Answered> {
    let output = Command::new(gabion()?)
        .args(arguments)
        .env("KUBECONFIG", kubeconfig)
        .env_remove("KUBERNETES_SERVICE_HOST")
        .output()?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Answered { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) })
}

/// A kubeconfig for a server that is none of ours.
fn kubeconfig_for(folder: &Path, server: &str) -> Result<std::path::PathBuf> {
    let path = folder.join("kubeconfig");
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "clusters": [{"name": "it", "cluster": {"server": server}}],
        "users": [{"name": "it", "user": {}}],
    });
    std::fs::write(&path, config.to_string())?;
    Ok(path)
}

#[test]
fn without_an_answer_there_is_one_sentence_and_the_code_of_not_knowing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let stalled = TcpListener::bind("127.0.0.1:0")?;
    let there = format!("http://{}", stalled.local_addr()?);
    std::thread::spawn(move || {
        for mut stream in stalled.incoming().flatten() {
            // Reads, and never answers.
            std::thread::spawn(move || stream.read_to_end(&mut Vec::new()));
        }
    });
    let closed = TcpListener::bind("127.0.0.1:0")?;
    let gone = format!("http://{}", closed.local_addr()?);
    drop(closed);
    let none = folder.path().join("none");
    for verb in [&["status"][..], &["explain", "es/app"], &["doctor"]] {
        for (server, sentence) in [
            (None, "error: no cluster: "),
            (Some(&gone), "cannot be reached: "),
            (Some(&there), "did not answer within 1 s: raise --request-timeout"),
        ] {
            let kubeconfig = match server {
                Some(server) => kubeconfig_for(folder.path(), server)?,
                None => none.clone(),
            };
            let said = ask(&kubeconfig, &[verb, &["--request-timeout=1s"]].concat())?;
            assert_eq!(said.code, Some(2), "{verb:?} {sentence}: {}", said.err);
            assert_eq!(said.err.lines().count(), 1, "{}", said.err);
            assert!(said.err.contains(sentence) && said.out.is_empty(), "{}{}", said.err, said.out);
        }
    }
    Ok(())
}

#[test]
fn wrong_usage_says_what_is_right() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let kubeconfig = kubeconfig_for(folder.path(), "http://127.0.0.1:1")?;
    for (arguments, sentence) in [
        (&["status", "pods"][..], "use one of ss, css, es, hb, nsh"),
        (&["status", "-n", "../x"], "is no name of a namespace"),
        (&["explain", "es/../../secrets"], "is no name of an object"),
        (&["explain", "po/x"], "there is no kind \"po\""),
        (&["doctor", "--account", "gabion"], "write gabion-system/gabion"),
        (&["status", "--context", "other"], "no cluster"),
    ] {
        let said = ask(&kubeconfig, arguments)?;
        assert_eq!(said.code, Some(2), "{arguments:?}");
        assert!(said.err.contains(sentence), "{arguments:?}: {}", said.err);
    }
    Ok(())
}

fn external(name: &str) -> Value {
    json!({
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "secretStoreRef": {"name": "store"},
            "refreshInterval": "1h",
            "data": [{"secretKey": "a", "remoteRef": {"key": "a"}}],
        },
    })
}

/// A status as the operator writes it.
pub fn say(kubectl: &Kubectl, object: &str, ready: &str, message: &str, read: &str) -> Result<()> {
    let (kind, name) = object.split_once('/').unwrap_or((object, ""));
    let now = jiff::Timestamp::now().to_string();
    let reason = if ready == "True" { "SecretSynced" } else { "SecretSyncedError" };
    let status = json!({"status": {
        "refreshTime": if read.is_empty() { &now } else { read },
        "conditions": [{"type": "Ready", "status": ready, "reason": reason, "message": message, "lastTransitionTime": now}],
    }});
    kubectl.run(&[
        "patch",
        kind,
        name,
        "-n",
        "shop",
        "--subresource=status",
        "--type=merge",
        "-p",
        &status.to_string(),
    ])?;
    Ok(())
}

/// More objects than a page has, each in step.
async fn many(plane: &ControlPlane, count: usize) -> Result<()> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(
        "external-secrets.io",
        "v1",
        "ExternalSecret",
    ));
    let api = kube::Api::<DynamicObject>::namespaced_with(plane.client().await?, "shop", &resource);
    let now = jiff::Timestamp::now().to_string();
    futures::stream::iter(0..count)
        .map(|number| {
            let (api, now) = (&api, &now);
            async move {
                let name = format!("app-{number:04}");
                let object: DynamicObject = serde_json::from_value(external(&name))?;
                api.create(&PostParams::default(), &object).await?;
                let status = json!({"status": {"refreshTime": now, "conditions": [
                    {"type": "Ready", "status": "True", "reason": "SecretSynced", "lastTransitionTime": now},
                ]}});
                api.patch_status(&name, &kube::api::PatchParams::default(), &kube::api::Patch::Merge(&status)).await?;
                Ok::<_, Failure>(())
            }
        })
        .buffer_unordered(16)
        .try_collect::<Vec<()>>()
        .await?;
    Ok(())
}

#[tokio::test]
async fn the_worst_come_first_each_with_its_cause_and_nothing_else() -> Result<()> {
    let plane = ControlPlane::start_with(&support::Options { audit: false, ..Default::default() })?;
    let kubectl = plane.admin()?;
    super::life::populate(&kubectl)?;
    many(&plane, 520).await?;
    say(&kubectl, "ss/store", "True", "", "")?;
    say(&kubectl, "es/app", "True", "", "")?;
    let all_is_well = ask(plane.kubeconfig(), &["status"])?;
    assert_eq!(all_is_well.code, Some(0), "{}{}", all_is_well.out, all_is_well.err);
    assert_eq!(all_is_well.out, "522 objects: 522 Synced\n");

    say(&kubectl, "es/app-0001", "False", "data[0]: AccessDenied: \u{1b}[31mno\u{1b}[0m", "")?;
    say(&kubectl, "es/app-0002", "True", "", "2020-01-01T00:00:00Z")?;
    let said = ask(plane.kubeconfig(), &["status"])?;
    assert_eq!(said.code, Some(1));
    let lines: Vec<_> = said.out.lines().collect();
    assert_eq!(lines[0], "522 objects: 1 Failing, 1 Late, 520 Synced");
    assert!(lines[1].starts_with("NAMESPACE  OBJECT       STATE"), "{}", lines[1]);
    assert!(
        lines[2].contains("es/app-0001  Failing") && lines[2].contains("ss/store"),
        "{}",
        lines[2]
    );
    assert!(
        lines[3].contains("es/app-0002  Late") && lines[3].contains("its interval is 1h"),
        "{}",
        lines[3]
    );
    assert_eq!(lines.len(), 4, "{}", said.out);
    assert!(said.out.chars().all(|c| c == '\n' || !c.is_control()), "{:?}", said.out);

    let json: Value =
        serde_json::from_str(&ask(plane.kubeconfig(), &["status", "-o", "json"])?.out)?;
    assert_eq!((&json["kind"], &json["counts"]["Failing"]), (&json!("GabionStatus"), &json!(1)));
    assert_eq!(json["items"].as_array().map(Vec::len), Some(2));
    let whole: Value =
        serde_json::from_str(&ask(plane.kubeconfig(), &["status", "es", "-a", "-o", "json"])?.out)?;
    assert_eq!(whole["items"].as_array().map(Vec::len), Some(521));

    let why = ask(plane.kubeconfig(), &["explain", "es/app-0001", "-n", "shop"])?;
    assert_eq!(why.code, Some(1));
    for part in
        ["ExternalSecret shop/app-0001: Failing", "ss/store: Synced", "extend its IAM policy"]
    {
        assert!(why.out.contains(part), "{part}: {}", why.out);
    }
    assert!(why.out.chars().all(|c| c == '\n' || !c.is_control()));

    // A store that fails is one problem, and what reads from it waits.
    say(&kubectl, "ss/store", "False", "no credentials", "")?;
    let said = ask(plane.kubeconfig(), &["status", "-n", "shop"])?;
    assert!(said.out.contains("ss/store     Failing"), "{}", said.out);
    assert!(said.out.contains("es/app-0001  Waiting"), "{}", said.out);
    rights_in_one_namespace(&plane, &kubectl).await
}

/// A user of one namespace sees it, and no name of another.
async fn rights_in_one_namespace(plane: &ControlPlane, kubectl: &Kubectl) -> Result<()> {
    kubectl.apply_path(&repository().join("config/rbac/people.yaml"))?;
    kubectl.run(&["create", "namespace", "team"])?;
    kubectl.run(&["create", "serviceaccount", "dev", "-n", "team"])?;
    kubectl.run(&[
        "create",
        "rolebinding",
        "dev",
        "-n",
        "team",
        "--clusterrole=gabion-viewer",
        "--serviceaccount=team:dev",
    ])?;
    let mut object = external("own");
    object["metadata"]["namespace"] = json!("team");
    kubectl.apply_yaml(&object.to_string())?;
    let kubeconfig = plane.service_account_kubeconfig("team", "dev")?;
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&kubeconfig)?)?;
    config["contexts"][0]["context"]["namespace"] = json!("team");
    std::fs::write(&kubeconfig, config.to_string())?;
    let said = eventually(SOON, "the rights are in force", || async {
        let said = ask(&kubeconfig, &["status", "-a"])?;
        if said.code == Some(0) { Ok(said) } else { Err(Failure::new(said.out + &said.err)) }
    })
    .await?;
    assert!(said.out.contains("es/own") && !said.out.contains("shop"), "{}", said.out);
    for note in ["only those in team are here", "you may not list clustersecretstores: ask for"] {
        assert!(said.out.contains(note), "{note}: {}", said.out);
    }
    Ok(())
}

/// Takes a right, a field and a guard away, and leaves something behind.
fn spoil(kubectl: &Kubectl) -> Result<()> {
    let rule = json!([{"op": "replace", "path": "/rules/0/verbs", "value": ["watch", "patch"]}])
        .to_string();
    kubectl.run(&["patch", "clusterrole", "gabion-secrets", "--type=json", "-p", &rule])?;
    let field = json!([{"op": "remove", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/refreshPolicy"}]);
    kubectl.run(&[
        "patch",
        "crd",
        "externalsecrets.external-secrets.io",
        "--type=json",
        "-p",
        &field.to_string(),
    ])?;
    kubectl.apply_yaml(
        &json!({
            "apiVersion": "gabion.dev/v1alpha1",
            "kind": "HardeningBaseline",
            "metadata": {"name": "production", "finalizers": ["gabion.dev/teardown"]},
            "spec": {"namespaceSelector": {"matchLabels": {"environment": "production"}}},
        })
        .to_string(),
    )?;
    kubectl.apply_yaml(
        &json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "externalsecret-validate"},
        })
        .to_string(),
    )?;
    let toothless = json!({"spec": {"validationActions": ["Audit"]}}).to_string();
    kubectl.run(&[
        "patch",
        "validatingadmissionpolicybinding",
        "gabion-guard-approvals",
        "--type=merge",
        "-p",
        &toothless,
    ])?;
    Ok(())
}

#[tokio::test]
async fn the_doctor_names_what_is_missing_old_or_left_over() -> Result<()> {
    let (plane, _helm, kubectl) = super::life::plane()?;
    let nothing = ask(plane.kubeconfig(), &["status"])?;
    assert_eq!(nothing.code, Some(2));
    assert!(
        nothing.out.contains("the cluster has no definition of ExternalSecret; install it"),
        "{}",
        nothing.out
    );

    kubectl.run(&["apply", "-k", &super::folder("config")?])?;
    let doctor = ["doctor", "--account=gabion-system/gabion", "--before-uninstall"];
    let says = |code: i32, parts: &'static [&'static str]| {
        let said = ask(plane.kubeconfig(), &doctor);
        async move {
            let said = said?;
            for part in parts {
                if said.code != Some(code) || !said.out.contains(part) {
                    return Err(Failure::new(format!(
                        "{part}: {:?} {}{}",
                        said.code, said.out, said.err
                    )));
                }
            }
            Ok(())
        }
    };
    eventually(SOON, "no pod", || says(1, &["gabion-system/gabion has no pod that is available"]))
        .await?;
    // There is no kubelet, so somebody has to say that the pod runs.
    let now = jiff::Timestamp::now().to_string();
    let running = json!({"status": {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": now}],
    }})
    .to_string();
    eventually(SOON, "the pod runs", || async {
        let names = ["get", "pods", "-n", "gabion-system", "-o", "name"];
        let pod = kubectl.run(&names)?;
        let patch = ["patch", pod.trim(), "-n", "gabion-system", "--subresource=status"];
        kubectl.run(&[&patch[..], &["--type=merge", "-p", &running]].concat())
    })
    .await?;
    eventually(SOON, "all is well", || {
        says(
            0,
            &[
                "versions are served in full",
                "of docs/rbac.md",
                "who approves them is checked",
                "nothing would hang",
                "none is left over",
            ],
        )
    })
    .await?;

    spoil(&kubectl)?;
    eventually(SOON, "every problem is named", || {
        says(
            1,
            &[
                "1 are missing: list externalsecrets.external-secrets.io",
                "it lacks spec.refreshPolicy",
                "HardeningBaseline production has a finalizer",
                "kubectl patch hb production --type merge",
                "the webhook externalsecret-validate",
                "the policy gabion-guard-approvals is missing, changed, or no binding lets it deny",
            ],
        )
    })
    .await
}

#[test]
fn completion_and_man_pages_know_every_command() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let said = ask(folder.path(), &["completion", shell])?;
        assert_eq!(said.code, Some(0));
        assert!(said.out.contains("doctor") && said.out.contains("request-timeout"), "{shell}");
    }
    let text = super::helm::text(folder.path())?;
    assert_eq!(ask(folder.path(), &["man", &text])?.code, Some(0));
    for command in ["", "-run", "-check", "-crds", "-status", "-explain", "-doctor", "-ui"] {
        let page = std::fs::read_to_string(folder.path().join(format!("gabion{command}.1")))?;
        assert!(page.contains(".SH NAME"), "{command}");
    }
    Ok(())
}
