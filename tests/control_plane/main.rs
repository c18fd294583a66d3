//! The control plane that the other tests stand on: it is the real thing, and it leaves nothing behind.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Secret, ServiceAccount};
use kube::Api;
use kube::api::{ListParams, PostParams};
use support::{
    ControlPlane, Failure, Moto, Operator, Options, Result, Server, Signal, control_plane_program,
    eventually, process_exists,
};

/// A bound for what takes a second or two.
const SOON: Duration = Duration::from_mins(1);

#[tokio::test]
async fn it_is_the_kubernetes_that_was_asked_for_with_a_default_service_account() -> Result<()> {
    let plane = ControlPlane::shared()?;
    let client = plane.client().await?;

    let version = client.apiserver_version().await?;
    assert_eq!(version.git_version, plane.version());
    if std::env::var_os("KUBEBUILDER_ASSETS").is_none() {
        assert_eq!(version.git_version, "v1.37.2");
    }
    let accounts: Api<ServiceAccount> = Api::namespaced(client, "default");
    accounts.get("default").await?;
    Ok(())
}

#[tokio::test]
async fn pod_security_refuses_a_privileged_pod_in_a_restricted_namespace() -> Result<()> {
    let plane = ControlPlane::shared()?;
    plane.admin()?.apply_yaml(
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: hard\n  labels:\n    \
         pod-security.kubernetes.io/enforce: restricted\n",
    )?;
    let pods: Api<Pod> = Api::namespaced(plane.client().await?, "hard");

    let refusal = eventually(SOON, "the pod is refused", || async {
        match pods.create(&PostParams::default(), &privileged_pod()?).await {
            // Until the namespace has its ServiceAccount, that is the reason to refuse.
            Err(kube::Error::Api(status)) if status.message.contains("PodSecurity") => Ok(status),
            Err(error) => Err(Failure::from(error)),
            Ok(_) => Err(Failure::new("the pod was admitted")),
        }
    })
    .await?;

    assert_eq!(refusal.code, 403);
    assert!(refusal.message.contains("privileged"), "{}", refusal.message);
    Ok(())
}

#[tokio::test]
async fn a_service_account_without_a_role_may_not_read_secrets() -> Result<()> {
    let plane = ControlPlane::shared()?;
    plane.kubectl(&["create", "serviceaccount", "nobody", "-n", "default"])?;
    let kubeconfig = plane.service_account_kubeconfig("default", "nobody")?;
    let secrets: Api<Secret> = Api::namespaced(plane.client_of(&kubeconfig).await?, "default");

    let Err(kube::Error::Api(status)) = secrets.list(&ListParams::default()).await else {
        panic!("the list was not refused");
    };

    assert_eq!(status.code, 403);
    let who = "system:serviceaccount:default:nobody";
    assert!(status.message.contains(who), "{}", status.message);
    Ok(())
}

#[tokio::test]
async fn the_audit_log_tells_who_did_what_and_no_value() -> Result<()> {
    let plane = ControlPlane::shared()?;
    plane.kubectl(&[
        "create",
        "secret",
        "generic",
        "audited",
        "--from-literal=key=in-the-clear",
    ])?;

    let path = plane.audit_log().ok_or_else(|| Failure::new("there is no audit log"))?;
    let log = std::fs::read_to_string(path)?;
    let entry = log
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find(|entry| entry["objectRef"]["name"] == "audited" && entry["verb"] == "create")
        .ok_or_else(|| Failure::new("the create is not in the audit log"))?;

    assert_eq!(entry["user"]["username"], "admin");
    assert_eq!(entry["level"], "Metadata");
    assert!(!log.contains("in-the-clear") && !log.contains("aW4tdGhlLWNsZWFy"));
    Ok(())
}

#[tokio::test]
async fn an_api_server_that_was_killed_comes_back_on_its_port_with_its_data() -> Result<()> {
    let plane = ControlPlane::start()?;
    plane.kubectl(&["create", "namespace", "survivor"])?;
    let before = plane.pid(Server::Apiserver)?;
    let url = plane.url().to_owned();

    plane.signal(Server::Apiserver, Signal::KILL)?;

    eventually(SOON, "the namespace is served again", || async {
        plane.kubectl(&["get", "namespace", "survivor"])
    })
    .await?;
    let after = plane.pid(Server::Apiserver)?;
    assert_ne!(before, after);
    assert!(!process_exists(before) && process_exists(after));
    assert_eq!(url, plane.config().await?.cluster_url.to_string().trim_end_matches('/'));
    Ok(())
}

#[test]
fn several_run_side_by_side_and_each_ends_without_a_trace() -> Result<()> {
    let planes = [ControlPlane::start()?, ControlPlane::start()?];
    assert_ne!(planes[0].url(), planes[1].url());
    for plane in planes {
        let (pids, dir) = (plane.pids()?, plane.dir().to_owned());
        assert_eq!(pids.len(), 4, "{pids:?}");
        assert!(pids.values().all(|pid| process_exists(*pid)), "{pids:?}");

        drop(plane);

        assert_eq!(survivors(&pids), Vec::<String>::new());
        assert!(!dir.exists());
    }
    Ok(())
}

#[tokio::test]
async fn nothing_is_left_when_the_owner_is_killed() -> Result<()> {
    // The shell owns the writing end of the pipe, as a test process does; `exec 3>` opens it.
    let dir = tempfile::tempdir()?;
    let script = "mkfifo pipe && { \"$0\" up <pipe & } && exec 3>pipe && wait";
    let mut owner = Command::new("sh")
        .args(["-c", script])
        .arg(control_plane_program()?)
        .current_dir(dir.path())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = owner.stdout.take().ok_or_else(|| Failure::new("no output"))?;
    let (pids, plane_dir) = announced(output)?;

    owner.kill()?;
    owner.wait()?;

    gone(&pids).await?;
    eventually(SOON, "the directory is removed", || async {
        if plane_dir.exists() { Err("it exists") } else { Ok(()) }
    })
    .await
}

#[tokio::test]
async fn nothing_is_left_when_the_supervisor_is_killed() -> Result<()> {
    let plane = ControlPlane::start_with(&Options { crds: None, ..Options::default() })?;
    let (pids, dir) = (plane.pids()?, plane.dir().to_owned());

    Command::new("sh").args(["-c", &format!("kill -9 {}", pids["supervisor"])]).status()?;

    gone(&pids).await?;
    // It could not remove its directory; the next one does.
    drop(plane);
    let next = ControlPlane::start_with(&Options { crds: None, ..Options::default() })?;
    assert!(!dir.exists() && next.dir().exists());
    Ok(())
}

#[tokio::test]
async fn an_argument_that_a_server_does_not_know_is_reported() {
    let options = Options { apiserver: vec!["--no-such-flag".into()], ..Options::default() };

    let failure = ControlPlane::start_with(&options).err().expect("it is refused");

    assert!(failure.to_string().contains("--no-such-flag"), "{failure}");
}

#[test]
fn a_binary_of_ours_runs_by_itself_and_gives_its_exit_code() -> Result<()> {
    let mut operator = Operator::start(&["--help"], &[("GABION_TEST", "1")])?;

    assert_eq!(operator.wait(SOON)?, Some(0), "{}", operator.log());
    Ok(())
}

#[tokio::test]
async fn moto_keeps_a_secret_and_ends_with_its_owner() -> Result<()> {
    let moto = Moto::start()?;
    let secrets = moto.secrets_manager().await;
    secrets.create_secret().name("app/db").secret_string("first").send().await?;

    secrets.put_secret_value().secret_id("app/db").secret_string("second").send().await?;

    let read = secrets.get_secret_value().secret_id("app/db").send().await?;
    assert_eq!(read.secret_string(), Some("second"));
    let address = moto.url().trim_start_matches("http://").to_owned();
    drop(moto);
    assert!(TcpStream::connect(address).is_err());
    Ok(())
}

#[tokio::test]
async fn a_sleeping_api_server_answers_nobody_until_it_is_woken() -> Result<()> {
    let plane = ControlPlane::start_with(&Options { crds: None, ..Options::default() })?;
    let accounts: Api<ServiceAccount> = Api::namespaced(plane.client().await?, "default");
    plane.signal(Server::Apiserver, Signal::STOP)?;

    let asleep = tokio::time::timeout(Duration::from_millis(500), accounts.get("default")).await;
    plane.signal(Server::Apiserver, Signal::CONT)?;

    assert!(asleep.is_err(), "it answered");
    eventually(SOON, "it answers", || accounts.get("default")).await?;
    Ok(())
}

fn privileged_pod() -> Result<Pod> {
    Ok(serde_json::from_value(serde_json::json!({
        "metadata": { "name": "privileged" },
        "spec": { "containers": [{
            "name": "main",
            "image": "registry.example.com/main:1",
            "securityContext": { "privileged": true },
        }]},
    }))?)
}

/// What a supervisor printed: process ids and directory.
fn announced(output: impl std::io::Read) -> Result<(BTreeMap<String, u32>, PathBuf)> {
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    let state: serde_json::Value = serde_json::from_str(&line)?;
    let dir = state["dir"].as_str().unwrap_or_default().into();
    Ok((serde_json::from_value(state["pids"].clone())?, dir))
}

fn survivors(pids: &BTreeMap<String, u32>) -> Vec<String> {
    pids.iter().filter(|(_, pid)| process_exists(**pid)).map(|(name, _)| name.clone()).collect()
}

async fn gone(pids: &BTreeMap<String, u32>) -> Result<()> {
    eventually(SOON, "every process ends", || async {
        match survivors(pids) {
            left if left.is_empty() => Ok(()),
            left => Err(format!("{left:?} run")),
        }
    })
    .await
}
