//! `docs/migrate-from-eso.md`, command by command, on a real API server with objects as External Secrets Operator leaves
//! them.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use support::{
    Cluster, Context as _, ControlPlane, Failure, Kubectl, Operator, Options, Result, answers,
    free_port, gabion, repository,
};

const PAGE: &str = include_str!("../../docs/migrate-from-eso.md");
const PAIRS: [&str; 3] = ["owner", "merge", "orphan"];
const FINALIZER: &str = "externalsecrets.external-secrets.io/ces-everywhere";

/// The blocks of commands of the page, in order, each with the headline above it.
fn blocks() -> Vec<(String, String)> {
    let (mut blocks, mut headline) = (Vec::new(), String::new());
    let mut block: Option<String> = None;
    for line in PAGE.lines() {
        match (&mut block, line) {
            (None, "```sh") => block = Some(String::new()),
            (Some(_), "```") => blocks.push((headline.clone(), block.take().unwrap_or_default())),
            (Some(text), line) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, line) => {
                assert!(!line.starts_with("```"), "a block that nobody runs: {line}");
                if let Some(title) = line.strip_prefix("## ") {
                    title.clone_into(&mut headline);
                }
            }
        }
    }
    blocks
}

/// A shell in a working directory that is like the repository, with kubectl and gabion in its PATH. What gabion says is
/// kept; a finding is no failure here.
struct Shell {
    folder: tempfile::TempDir,
    kubeconfig: std::path::PathBuf,
}

impl Shell {
    fn new(plane: &ControlPlane) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let bin = folder.path().join("bin");
        fs::create_dir(&bin)?;
        symlink(repository().join("config"), folder.path().join("config"))?;
        symlink(repository().join("crds"), folder.path().join("crds"))?;
        symlink(repository().join("tests/fixtures/takeover"), folder.path().join("deploy"))?;
        symlink(support::python_environment()?.join("bin/kubectl"), bin.join("kubectl"))?;
        let wrapper = format!(
            "#!/bin/sh\n'{}' \"$@\" >>'{folder}/said' 2>&1\ncode=$?\necho \"exit $code\" >>'{folder}/said'\n[ $code -le 1 ]\n",
            gabion()?.display(),
            folder = folder.path().display(),
        );
        fs::write(bin.join("gabion"), wrapper)?;
        fs::set_permissions(bin.join("gabion"), fs::Permissions::from_mode(0o755))?;
        Ok(Self { folder, kubeconfig: plane.kubeconfig().to_owned() })
    }

    fn run(&self, script: &str) -> Result<String> {
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", script])
            .current_dir(self.folder.path())
            .env("PATH", format!("{}:{path}", self.folder.path().join("bin").display()))
            .env("KUBECONFIG", &self.kubeconfig)
            .env("KUBECACHEDIR", self.folder.path().join("cache"))
            .output()
            .context("bash")?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            return Ok(text(&output.stdout));
        }
        Err(Failure::new(format!("{script}\n{}{}", text(&output.stdout), text(&output.stderr))))
    }

    /// What gabion said in the last block.
    fn said(&self) -> Result<String> {
        let path = self.folder.path().join("said");
        let said = fs::read_to_string(&path)?;
        fs::remove_file(&path)?;
        Ok(said)
    }
}

/// A definition as ESO has it: without what only Gabion has in a status, and with a conversion webhook.
fn definition(name: &str) -> Result<Value> {
    let text = fs::read_to_string(
        repository().join("crds").join(format!("{name}.external-secrets.io.yaml")),
    )?;
    let mut definition: Value = serde_saphyr::from_str(&text)?;
    for version in definition["spec"]["versions"].as_array_mut().into_iter().flatten() {
        let status = &mut version["schema"]["openAPIV3Schema"]["properties"]["status"];
        for field in ["gabion", "observedGeneration"] {
            status["properties"].as_object_mut().map(|fields| fields.remove(field));
        }
    }
    let service = json!({"name": "external-secrets-webhook", "namespace": "external-secrets", "path": "/convert"});
    definition["spec"]["conversion"] = json!({"strategy": "Webhook",
        "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": {"service": service}}});
    Ok(definition)
}

fn deployment(name: &str, arguments: &[&str]) -> Value {
    let labels =
        json!({"app.kubernetes.io/name": name, "app.kubernetes.io/instance": "external-secrets"});
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": "external-secrets", "labels": labels},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
            "spec": {"containers": [{"name": "c", "image": "example.com/operator:1", "args": arguments}]}}}})
}

fn webhook(name: &str, resource: &str) -> Value {
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [{"name": format!("validate.{resource}.external-secrets.io"),
            "rules": [{"apiGroups": ["external-secrets.io"], "apiVersions": ["v1"], "operations": ["DELETE"], "resources": [resource]}],
            "clientConfig": {"service": {"name": "external-secrets-webhook", "namespace": "external-secrets"}},
            "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Fail"}]})
}

/// A kind that Gabion lacks stays as it is.
fn of_tomorrow() -> Value {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "tomorrows.external-secrets.io"},
        "spec": {"group": "external-secrets.io", "scope": "Namespaced",
            "names": {"kind": "Tomorrow", "plural": "tomorrows", "singular": "tomorrow"},
            "versions": [{"name": "v1alpha1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}})
}

/// ESO's installation, and what it made in the namespace `shop`.
async fn eso(plane: &ControlPlane, kubectl: &Kubectl) -> Result<()> {
    let create =
        |object: &Value| kubectl.run_with_input(&["create", "-f", "-"], &object.to_string());
    for kind in ["externalsecrets", "secretstores", "clustersecretstores", "clusterexternalsecrets"]
    {
        create(&definition(kind)?)?;
    }
    create(&of_tomorrow())?;
    kubectl.run(&["wait", "crd", "--all", "--for=condition=Established", "--timeout=1m"])?;
    kubectl.run(&["create", "namespace", "external-secrets"])?;
    create(
        &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "finalizers": [FINALIZER]}}),
    )?;
    create(&deployment("external-secrets", &["--concurrent=5", "--tomorrow"]))?;
    create(&deployment("external-secrets-webhook", &["webhook"]))?;
    let cluster = Cluster::new(plane).await?;
    cluster
        .create(json!({"kind": "SecretStore", "metadata": {"name": "aws", "namespace": "shop"},
        "spec": {"provider": {"fake": {"data": [{"key": "taken/owner", "value": "rotated"}]}}}}))
        .await?;
    cluster
        .create(json!({"kind": "SecretStore", "metadata": {"name": "vault", "namespace": "shop"},
        "spec": {"provider": {"vault": {"server": "https://vault.example.com"}}}}))
        .await?;
    create(&json!({"apiVersion": "external-secrets.io/v1alpha1", "kind": "Tomorrow",
        "metadata": {"name": "later", "namespace": "shop"}}))?;
    for name in PAIRS {
        pair(&cluster, name).await?;
    }
    create(&webhook("externalsecret-validate", "externalsecrets"))?;
    create(&webhook("secretstore-validate", "secretstores"))?;
    Ok(())
}

/// An ExternalSecret with its Secret, refreshed just now.
async fn pair(cluster: &Cluster, name: &str) -> Result<()> {
    let text =
        fs::read_to_string(repository().join(format!("tests/fixtures/takeover/{name}.yaml")))?;
    let mut documents: Vec<Value> = serde_saphyr::from_multiple(&text)?;
    let (Some(mut secret), Some(mut object)) = (documents.pop(), documents.pop()) else {
        return Err(Failure::new("a pair has two documents"));
    };
    let mut status = object["status"].take();
    let object = cluster.create_in("shop", object, "kubectl-client-side-apply").await?;
    if secret["metadata"]["ownerReferences"].is_array() {
        secret["metadata"]["ownerReferences"][0]["uid"] = object["metadata"]["uid"].clone();
    }
    let manager = format!("externalsecrets.external-secrets.io/{name}");
    if secret["data"]["foreign"].is_string() {
        let first = json!({"kind": "Secret", "metadata": {"name": name}, "data": {"foreign": secret["data"]["foreign"]}});
        cluster.create_in("shop", first, "kubectl-create").await?;
        cluster.replace_in("shop", secret, &manager).await?;
    } else {
        cluster.create_in("shop", secret, &manager).await?;
    }
    let now = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second())?;
    status["refreshTime"] = now.to_string().into();
    cluster.patch_status("ExternalSecret", "shop", name, json!({"status": status})).await?;
    Ok(())
}

async fn start(plane: &ControlPlane) -> Result<Operator> {
    let kubeconfig = plane.service_account_kubeconfig("gabion-system", "gabion")?;
    let health = format!("127.0.0.1:{}", free_port()?);
    let flags = [
        "run".to_owned(),
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--metrics-addr=127.0.0.1:{}", free_port()?),
        format!("--health-addr={health}"),
    ];
    let operator = Operator::start(&flags, &[("AWS_EC2_METADATA_DISABLED", "true")])?;
    answers(&health, "/readyz", "200").await?;
    Ok(operator)
}

/// Checks what a block promises. A block that is not here is one that nobody checks.
fn after(step: &str, script: &str, shell: &Shell, kubectl: &Kubectl) -> Result<()> {
    match step {
        "1. See what would differ" => seen(&shell.said()?, kubectl)?,
        "2. Keep what there is" => {
            let kept = fs::read_to_string(shell.folder.path().join("before.txt"))?;
            assert_eq!(kept.lines().count(), 1 + PAIRS.len(), "{kept}");
            let secrets = fs::read_to_string(shell.folder.path().join("secrets-before.txt"))?;
            assert!(secrets.lines().count() > 1, "{secrets}");
        }
        "3. Stop ESO" => {
            let left = kubectl.run(&["get", "validatingwebhookconfiguration", "-o", "name"])?;
            assert_eq!(left.trim(), "");
            let replicas = [
                "get",
                "deployment",
                "-n",
                "external-secrets",
                "-o",
                "jsonpath={.items[*].spec.replicas}",
            ];
            assert_eq!(kubectl.run(&replicas)?, "0 0");
        }
        "4. Install Gabion" => {
            assert!(kubectl.run(&["get", "tomorrow", "later", "-n", "shop"]).is_ok(), "it is kept");
        }
        "5. Look" if script.contains("doctor") => {
            let said = shell.said()?;
            for line in [
                "ok       definitions: ",
                "ok       permissions: ",
                "ok       webhooks: ",
                "ok       other operators: ",
            ] {
                assert!(said.contains(line), "{said}");
            }
            assert!(said.contains("vault"), "{said}");
        }
        "5. Look" => {
            let data = kubectl.run(&[
                "get",
                "secret",
                "owner",
                "-n",
                "shop",
                "-o",
                "jsonpath={.data.value}",
            ])?;
            assert_eq!(data, "cm90YXRlZA==", "Gabion refreshed it");
        }
        "6. Remove what ESO leaves" => {
            let left = kubectl.run(&[
                "get",
                "namespace",
                "shop",
                "-o",
                "jsonpath={.metadata.finalizers}",
            ])?;
            assert!(!left.contains("ces-"), "{left}");
        }
        "The way back" => {
            let replicas = |namespace: &str| {
                kubectl.run(&[
                    "get",
                    "deployment",
                    "-n",
                    namespace,
                    "-o",
                    "jsonpath={.items[*].spec.replicas}",
                ])
            };
            assert_eq!(
                (replicas("gabion-system")?, replicas("external-secrets")?),
                ("0".to_owned(), "1 1".to_owned())
            );
            let secret = kubectl.run(&["get", "secret", "owner", "-n", "shop", "-o", "json"])?;
            let secret: Value = serde_json::from_str(&secret)?;
            assert_eq!(
                secret["metadata"]["labels"]["reconcile.external-secrets.io/managed"],
                "true"
            );
            assert!(
                secret["metadata"]["annotations"]["reconcile.external-secrets.io/data-hash"]
                    .is_string()
            );
        }
        other => return Err(Failure::new(format!("nobody checks {other:?}"))),
    }
    Ok(())
}

/// What `gabion check --eso` names of a cluster, and where.
fn seen(said: &str, kubectl: &Kubectl) -> Result<()> {
    for named in [
        "cluster/shop/secretstore/vault",
        "Gabion has no provider vault",
        "Gabion has no kind Tomorrow",
        "--concurrent has no effect",
        "does not know --tomorrow",
        "cluster/validatingwebhookconfiguration/secretstore-validate",
        "cluster/customresourcedefinition/externalsecrets.external-secrets.io",
        "only ESO removes this finalizer",
    ] {
        assert!(said.contains(named), "{named} is missing:\n{said}");
    }
    // The files have no store, so nobody can tell whether it works; the cluster has.
    assert_eq!(said.matches("exit 1").count(), 2, "{said}");
    let unknown = "SecretStore aws is not among what is checked";
    let (cluster, files) = said.split_once("exit 1").unwrap_or_default();
    assert!(!cluster.contains(unknown) && files.contains(unknown), "{said}");
    // The line is that of what kubectl shows.
    let at = said.split("cluster/shop/secretstore/vault\n").nth(1).unwrap_or_default();
    let line = at.trim().split(':').next().and_then(|line| line.parse::<usize>().ok());
    let shown = kubectl.run(&["get", "secretstore", "vault", "-n", "shop", "-o", "json"])?;
    let line = shown.lines().nth(line.unwrap_or_default().saturating_sub(1)).unwrap_or_default();
    assert!(line.contains("\"vault\": {"), "{line}\n{shown}");
    Ok(())
}

#[tokio::test]
async fn every_command_of_the_page_does_what_the_page_says() -> Result<()> {
    let plane =
        ControlPlane::start_with(&Options { crds: None, audit: false, ..Options::default() })?;
    let kubectl = plane.admin()?;
    eso(&plane, &kubectl).await?;
    let shell = Shell::new(&plane)?;
    let mut operator = None;
    let blocks = blocks();
    assert!(blocks.len() >= 7, "{blocks:?}");
    for (step, script) in &blocks {
        if step == "The way back" {
            drop(operator.take());
        }
        shell.run(script)?;
        after(step, script, &shell, &kubectl)?;
        if step == "4. Install Gabion" {
            // The pod of the Deployment, which no kubelet runs here.
            operator = Some(start(&plane).await?);
            tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        }
    }
    Ok(())
}

/// Whoever may not read everything is told so, and what is not read is not taken for fine.
#[tokio::test]
async fn what_may_not_be_read_is_an_error_and_not_fine() -> Result<()> {
    let plane =
        ControlPlane::start_with(&Options { crds: None, audit: true, ..Options::default() })?;
    let kubectl = plane.admin()?;
    let ask = |kubeconfig: &Path| -> Result<(Option<i32>, String)> {
        let output = Command::new(gabion()?)
            .args(["check", "--eso", "--cluster", "--kubeconfig"])
            .arg(kubeconfig)
            .output()?;
        let text =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        Ok((output.status.code(), text.into_owned()))
    };
    let (code, said) = ask(plane.kubeconfig())?;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("is ESO in this cluster?"), "{said}");

    kubectl.run_with_input(&["create", "-f", "-"], &definition("secretstores")?.to_string())?;
    kubectl.run(&["wait", "crd", "--all", "--for=condition=Established", "--timeout=1m"])?;
    kubectl.run(&["create", "serviceaccount", "reader", "-n", "default"])?;
    let (code, said) = ask(&plane.service_account_kubeconfig("default", "reader")?)?;
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("cannot be read: secretstores.external-secrets.io is forbidden"),
        "{said}"
    );
    assert!(said.contains("secretstores.external-secrets.io"), "{said}");

    // With findings beside what could not be read: findings win, and the error is shown.
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "reader"},
        "rules": [{"apiGroups": ["external-secrets.io"], "resources": ["*"], "verbs": ["list"]}]});
    kubectl.apply_yaml(&role.to_string())?;
    kubectl.run(&[
        "create",
        "clusterrolebinding",
        "reader",
        "--clusterrole=reader",
        "--serviceaccount=default:reader",
    ])?;
    kubectl.apply_yaml(
        &json!({"apiVersion": "external-secrets.io/v1", "kind": "SecretStore",
        "metadata": {"name": "vault", "namespace": "default"}, "spec": {"provider": {"vault": {}}}})
        .to_string(),
    )?;
    let reader = plane.service_account_kubeconfig("default", "reader")?;
    support::eventually(super::SOON, "the rights are in force", || async {
        match ask(&reader)? {
            (Some(1), said) if said.contains("no provider vault") && said.contains("forbidden") => {
                Ok(())
            }
            (code, said) => Err(Failure::new(format!("{code:?}: {said}"))),
        }
    })
    .await?;
    // Never a Secret.
    let asked = support::audit::requests_of(&plane, "system:serviceaccount:default:reader");
    assert!(
        !asked.is_empty() && asked.iter().all(|request| request.resource != "secrets"),
        "{asked:?}"
    );
    assert!(asked.iter().all(|request| !request.is_write()), "{asked:?}");
    Ok(())
}
