//! Everything that runs during the story: a control plane, AWS as moto plays it, Gabion itself.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use tokio::time::sleep;

use gabion::api::external_secrets::external_secret::ExternalSecret;

use super::audit::Audit;
use super::screen::{Screen, spoken};
use super::shell::Shell;
use super::witness::Witness;
use support::{
    Context as _, ControlPlane, Failure, Moto, Operator, Options, Result, eventually, free_port,
    process_exists,
};

/// The namespace of the story.
pub const NAMESPACE: &str = "shop";
/// Where `examples/guide/rotation.yaml` looks for the secret.
pub const REGION: &str = "us-west-2";
/// How long Gabion may take until it is ready, on a slow machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// What runs. All of it ends when this is dropped, Gabion first.
pub struct Stage {
    /// ExternalSecrets of the namespace.
    pub external_secrets: Witness<ExternalSecret>,
    /// Secrets of the namespace.
    pub secrets: Witness<Secret>,
    /// Gabion.
    pub operator: Operator,
    /// Its `/metrics`, `HOST:PORT`.
    pub metrics: String,
    /// Plays AWS.
    pub moto: Moto,
    /// Runs what is shown, as an administrator.
    pub shell: Shell,
    /// A client of the administrator.
    pub client: kube::Client,
    /// etcd, kube-apiserver, kube-controller-manager.
    pub plane: ControlPlane,
    /// When all this began.
    pub began: Instant,
}

impl Stage {
    /// Starts everything, and shows how a user would.
    pub async fn start(screen: &mut Screen) -> Result<Self> {
        let began = Instant::now();
        screen.heading("A cluster, and Gabion in it")?;
        screen.awaiting("starting etcd, kube-apiserver, kube-controller-manager and moto")?;
        // Their start is a wait for processes, which blocks.
        let plane = tokio::task::spawn_blocking(|| {
            // The definitions come with `kubectl apply -k config/`, as in any cluster.
            ControlPlane::start_with(&Options { crds: None, ..Options::default() })
        });
        let moto = tokio::task::spawn_blocking(Moto::start);
        let (plane, moto) = (plane.await??, moto.await??);
        let version = plane.version();
        screen.done(&format!(
            "Kubernetes {version} (etcd, kube-apiserver, kube-controller-manager; no nodes) and Secrets \
             Manager (moto), started in {}",
            spoken(began.elapsed())
        ))?;
        let shell = Shell::new(plane.kubeconfig(), plane.dir())?;
        let client = plane.client().await?;
        dns(&shell).await?;
        shell.show_end(screen, "kubectl apply -k config/", 6).await?;
        let (operator, metrics) = run_gabion(screen, &plane, &moto).await?;
        Ok(Self {
            external_secrets: Witness::start(Api::namespaced(client.clone(), NAMESPACE)),
            secrets: Witness::start(Api::namespaced(client.clone(), NAMESPACE)),
            operator,
            metrics,
            moto,
            shell,
            client,
            plane,
            began,
        })
    }

    /// A client of Secrets Manager in the region of the story.
    pub async fn secrets_manager(&self) -> aws_sdk_secretsmanager::Client {
        let keys = Credentials::new("AKIAEXAMPLE", "example", None, None, "demo");
        let config = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::from_static(REGION))
            .endpoint_url(self.moto.url())
            .credentials_provider(keys)
            .load()
            .await;
        aws_sdk_secretsmanager::Client::new(&config)
    }

    /// The audit log from now on.
    pub fn audit(&self) -> Result<Audit> {
        Audit::from_now(&self.audit_log()?)
    }

    /// The file with the audit log.
    pub fn audit_log(&self) -> Result<PathBuf> {
        let log = self.plane.audit_log().ok_or_else(|| Failure::new("there is no audit log"))?;
        Ok(log.to_owned())
    }

    /// The body of a page of Gabion's `/metrics` server.
    pub fn metrics(&self) -> Result<String> {
        page(&self.metrics, "/metrics")
    }

    /// What `story` gives, or a failure as soon as Gabion is not there any more.
    pub async fn alive_during<T>(&self, story: impl Future<Output = Result<T>>) -> Result<T> {
        let pid = self.operator.pid()?;
        let ended = async {
            while process_exists(pid) {
                sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::select! {
            outcome = story => outcome,
            () = ended => Err(Failure::new("Gabion ended")),
        }
    }

    /// The last lines of Gabion's log, and whether it still runs.
    pub fn obituary(&mut self) -> String {
        let log = self.operator.log();
        let lines: Vec<_> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(15)..].join("\n");
        let state = match self.operator.ended() {
            Ok(Some(status)) => format!("Gabion has ended ({status})"),
            _ => "Gabion still runs".to_owned(),
        };
        format!("{state}. The end of its log:\n{end}")
    }
}

/// DNS, which every cluster has: what the default deny must keep reachable.
async fn dns(shell: &Shell) -> Result<()> {
    let ports = "--tcp=53:53";
    shell
        .quietly(&format!("kubectl create service clusterip kube-dns -n kube-system {ports}"))
        .await?;
    shell
        .quietly("kubectl set selector service kube-dns -n kube-system k8s-app=kube-dns")
        .await
        .map(drop)
}

/// Runs our binary under the rights that `config/` gives it, and no others.
async fn run_gabion(
    screen: &mut Screen,
    plane: &ControlPlane,
    moto: &Moto,
) -> Result<(Operator, String)> {
    screen.say(
        "There is no node to run its pod, so the same program runs beside the cluster, with a token of the \
         pod's ServiceAccount. It has no AWS keys.",
    )?;
    screen.command(
        "gabion run --kubeconfig=(token of gabion-system/gabion)   # AWS_ENDPOINT_URL leads to moto",
    )?;
    let kubeconfig = plane.service_account_kubeconfig("gabion-system", "gabion")?;
    let metrics = format!("127.0.0.1:{}", free_port()?);
    let health = format!("127.0.0.1:{}", free_port()?);
    let arguments = [
        "run".to_owned(),
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--metrics-addr={metrics}"),
        format!("--health-addr={health}"),
    ];
    let environment = [
        ("LOG_FORMAT", "json"),
        ("LOG_LEVEL", "info"),
        ("AWS_ENDPOINT_URL", moto.url()),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    let start = Instant::now();
    screen.awaiting("Gabion lists what is in the cluster")?;
    let mut operator = Operator::start(&arguments, &environment)?;
    let ready = eventually(PATIENCE, "Gabion is ready", || async {
        let text = page(&health, "/readyz")?;
        if text.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(Failure::new(text)) }
    })
    .await;
    if let Err(failure) = ready {
        let log = operator.log();
        operator.kill();
        return Err(Failure::new(format!("{failure}\nGabion's log:\n{log}")));
    }
    let log = operator.log_path();
    screen.done(&format!(
        "ready after {}; it logs JSON to {}",
        spoken(start.elapsed()),
        log.display()
    ))?;
    Ok((operator, metrics))
}

/// What a plain HTTP server answers, head and all.
fn page(address: &str, path: &str) -> Result<String> {
    let mut connection = TcpStream::connect(address).context(address)?;
    connection.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(connection, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer)
}
