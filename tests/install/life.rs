//! Installed, upgraded, rolled back, removed and installed again, by Helm on a real API server.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use support::{ControlPlane, Failure, Kubectl, Result, SOON, eventually};

use super::helm::{Helm, chart, objects, value_files};

/// A Helm release holds the chart and what it renders, and an object of etcd has at most 1 MiB.
const RELEASE_BYTES: usize = 400 * 1024;

/// Objects by kind, namespace and name: uid and resourceVersion.
pub type Seen = BTreeMap<String, (String, String)>;

/// What must survive: definitions, custom resources, and Secrets that are not Helm's own.
pub fn seen(kubectl: &Kubectl, kinds: &str) -> Result<Seen> {
    let all: Value = serde_json::from_str(&kubectl.run(&["get", kinds, "-A", "-o", "json"])?)?;
    let mut seen = Seen::new();
    for object in all["items"].as_array().into_iter().flatten() {
        if object["type"] == "helm.sh/release.v1" {
            continue;
        }
        let meta = &object["metadata"];
        assert!(meta["deletionTimestamp"].is_null(), "{meta} is being deleted");
        let name = format!("{} {}/{}", object["kind"], meta["namespace"], meta["name"]);
        let text = |field: &str| meta[field].as_str().unwrap_or_default().to_owned();
        seen.insert(name, (text("uid"), text("resourceVersion")));
    }
    Ok(seen)
}

/// The kinds whose uids an uninstall must leave.
pub const KEPT: &str = "crd,externalsecrets,secretstores,secrets";

/// The uids alone.
pub fn uids(seen: &Seen) -> BTreeMap<&str, &str> {
    seen.iter().map(|(name, (uid, _))| (name.as_str(), uid.as_str())).collect()
}

/// An ExternalSecret with its store, and a Secret that it owns, as an operator left them.
pub fn populate(kubectl: &Kubectl) -> Result<()> {
    kubectl.run(&["create", "namespace", "shop"])?;
    kubectl.apply_yaml(
        &json!({
            "apiVersion": "external-secrets.io/v1",
            "kind": "SecretStore",
            "metadata": {"name": "store", "namespace": "shop"},
            "spec": {"provider": {"fake": {"data": [{"key": "a", "value": "b"}]}}},
        })
        .to_string(),
    )?;
    let external = json!({
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": {"name": "app", "namespace": "shop"},
        "spec": {
            "secretStoreRef": {"name": "store"},
            "data": [{"secretKey": "a", "remoteRef": {"key": "a"}}],
        },
    });
    kubectl.apply_yaml(&external.to_string())?;
    let uid = kubectl.run(&["get", "es", "app", "-n", "shop", "-o", "jsonpath={.metadata.uid}"])?;
    kubectl.apply_yaml(
        &json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": "app",
                "namespace": "shop",
                "ownerReferences": [{
                    "apiVersion": "external-secrets.io/v1",
                    "kind": "ExternalSecret",
                    "name": "app",
                    "uid": uid.trim(),
                    "controller": true,
                    "blockOwnerDeletion": true,
                }],
            },
            "stringData": {"a": "b"},
        })
        .to_string(),
    )?;
    Ok(())
}

fn baseline(kubectl: &Kubectl) -> Result<()> {
    kubectl.apply_yaml(
        &json!({
            "apiVersion": "gabion.dev/v1alpha1",
            "kind": "HardeningBaseline",
            "metadata": {"name": "production", "finalizers": ["gabion.dev/teardown"]},
            "spec": {"namespaceSelector": {"matchLabels": {"environment": "production"}}},
        })
        .to_string(),
    )?;
    Ok(())
}

/// A control plane with nothing of ours, and Helm for its administrator.
pub fn plane() -> Result<(ControlPlane, Helm, Kubectl)> {
    let options = support::Options { crds: None, audit: false, ..support::Options::default() };
    let plane = ControlPlane::start_with(&options)?;
    let (helm, kubectl) = (Helm::with(plane.kubeconfig())?, plane.admin()?);
    Ok((plane, helm, kubectl))
}

/// The pod of a Deployment, where the API server itself would admit or deny it.
async fn pod_is_admitted(kubectl: &Kubectl, namespace: &str, deployment: &str) -> Result<()> {
    let found = kubectl.run(&["get", "deployment", deployment, "-n", namespace, "-o", "json"])?;
    let found: Value = serde_json::from_str(&found)?;
    let template = &found["spec"]["template"];
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "try", "namespace": namespace, "labels": template["metadata"]["labels"]},
        "spec": template["spec"],
    })
    .to_string();
    eventually(SOON, "the pod is admitted", || async {
        kubectl.run_with_input(&["create", "--dry-run=server", "-f", "-"], &pod)
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn it_lives_and_goes_and_leaves_what_is_yours() -> Result<()> {
    let (_plane, helm, kubectl) = plane()?;
    let chart = chart()?;
    kubectl.run(&["create", "namespace", "eso"])?;
    kubectl.run(&["label", "namespace", "eso", "pod-security.kubernetes.io/enforce=restricted"])?;
    helm.run(&["install", "gabion", &chart, "-n", "eso"])?;
    pod_is_admitted(&kubectl, "eso", "gabion").await?;

    let release = ["get", "secrets", "-n", "eso", "-o", "jsonpath={.items[0].data.release}"];
    let bytes = kubectl.run(&release)?.len();
    assert!(bytes > 10_000 && bytes < RELEASE_BYTES, "the release has {bytes} bytes");

    populate(&kubectl)?;
    baseline(&kubectl)?;
    let kinds = format!("{KEPT},hardeningbaselines");
    let before = seen(&kubectl, &kinds)?;
    let args = || {
        let path = "jsonpath={.spec.replicas} {.spec.template.spec.containers[0].args}";
        kubectl.run(&["get", "deployment", "gabion", "-n", "eso", "-o", path])
    };
    helm.run(&["upgrade", "gabion", &chart, "-n", "eso", "--set=replicaCount=2"])?;
    assert_eq!(args()?, r#"2 ["run","--enable-leader-election"]"#);
    helm.run(&["rollback", "gabion", "1", "-n", "eso"])?;
    assert_eq!(args()?, r#"1 ["run"]"#);

    helm.run(&["uninstall", "gabion", "-n", "eso"])?;
    assert!(args().is_err());
    assert_eq!(uids(&seen(&kubectl, &kinds)?), uids(&before));
    let rest = kubectl.run(&["get", "clusterroles,clusterrolebindings", "-o", "name"])?;
    assert!(!rest.contains("gabion"), "{rest}");

    // The namespace of the probes is on its way out, and a release cannot take one that goes.
    eventually(SOON, "the probe namespace is gone", || async {
        match kubectl.run(&["get", "namespace", "gabion-probe"]) {
            Ok(_) => Err(Failure::new("it is there")),
            Err(_) => Ok(()),
        }
    })
    .await?;
    helm.run(&["install", "gabion", &chart, "-n", "eso"])?;
    let after = seen(&kubectl, &kinds)?;
    assert_eq!(uids(&after), uids(&before));
    for (name, version) in after.iter().filter(|(name, _)| !name.contains("CustomResource")) {
        assert_eq!(version, &before[name], "{name} was written");
    }
    Ok(())
}

/// The API server's own schema and field validation, on everything that the value files render.
#[tokio::test]
async fn the_api_server_takes_every_field_of_every_render() -> Result<()> {
    let (_plane, helm, kubectl) = plane()?;
    for namespace in ["openshift-dns", "team-a"] {
        kubectl.run(&["create", "namespace", namespace])?;
    }
    for (name, file) in value_files()? {
        let (release, namespace) = (format!("r-{name}"), format!("n-{name}"));
        kubectl.run(&["create", "namespace", &namespace])?;
        let more = ["-f", &file, "--api-versions=security.openshift.io/v1"];
        let yaml = helm.render(&release, &namespace, &more)?;
        // A pod is refused without its account, and some values say that somebody else makes that.
        let pods = objects(&yaml)?.into_iter().filter(|object| object["kind"] == "Pod");
        for account in
            pods.filter_map(|pod| Some(pod["spec"]["serviceAccountName"].as_str()?.to_owned()))
        {
            let create = [
                "create",
                "serviceaccount",
                &account,
                "-n",
                &namespace,
                "-o",
                "yaml",
                "--dry-run=client",
            ];
            kubectl.apply_yaml(&kubectl.run(&create)?)?;
        }
        kubectl.run_with_input(
            &["apply", "--server-side", "--force-conflicts", "--validate=strict", "-f", "-"],
            &yaml,
        )?;
    }
    Ok(())
}
