//! A control plane, a Secrets Manager server and, when wanted, the operator.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use gabion::api::external_secrets::external_secret::ExternalSecret;
use kube::{Api, Client, api::ListParams};
use support::{
    ControlPlane, Failure, Operator, Options, Result, Server, free_port, repository,
    secrets_manager::SecretsManager,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::sleep,
};

use crate::{audit::Mark, machine, population::Population};

/// Whose requests are counted.
pub const OPERATOR: &str = "system:serviceaccount:gabion-system:gabion";
const NAMESPACE: &str = "gabion-system";

/// Where a workload happens. Everything in it ends with it.
pub struct World {
    plane: ControlPlane,
    kubeconfig: PathBuf,
    /// The administrator's client, set up as the operator's is.
    pub client: Client,
    /// The provider.
    pub aws: SecretsManager,
    /// What was made in it.
    pub population: Population,
}

/// The operator as it runs.
pub struct Running {
    operator: Operator,
    /// When it was started.
    pub started: Instant,
    /// Its process id.
    pub pid: u32,
    metrics: u16,
    health: u16,
}

/// Processor seconds by process.
#[derive(Clone, Debug)]
pub struct Spent(BTreeMap<String, f64>);

impl Spent {
    /// What was spent after `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        Self(self.0.iter().map(|(name, now)| (name.clone(), now - earlier.by(name))).collect())
    }

    /// By one process.
    pub fn by(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// All of it.
    pub fn sum(&self) -> f64 {
        self.0.values().sum()
    }

    /// Each process with its seconds.
    pub fn describe(&self) -> String {
        let each = self.0.iter().map(|(name, seconds)| format!("{name} {seconds:.1} s"));
        each.collect::<Vec<_>>().join(", ")
    }
}

impl World {
    /// A fresh control plane with our definitions and rights, and a population in it.
    pub async fn populated(population: &Population) -> Result<Self> {
        let words = std::env::var("GABION_BENCH_APISERVER_ARGS").unwrap_or_default();
        let apiserver = words.split_whitespace().map(ToOwned::to_owned).collect();
        let plane = ControlPlane::start_with(&Options { apiserver, ..Options::default() })?;
        let admin = plane.admin()?;
        let config = repository().join("config");
        for file in ["namespace.yaml", "service-account.yaml"] {
            admin.apply_path(&config.join("operator").join(file))?;
        }
        let rights = config.join("rbac").display().to_string();
        admin.run(&["apply", "--server-side", "-k", &rights])?;
        let kubeconfig = plane.service_account_kubeconfig(NAMESPACE, "gabion")?;
        let mut config = plane.config().await?;
        config.default_retry = false;
        let client = Client::try_from(config)?;
        let aws = SecretsManager::start_at(([127, 0, 0, 1], 0).into());
        population.create(&client, &aws).await?;
        Ok(Self { plane, kubeconfig, client, aws, population: population.clone() })
    }

    /// A populated world in which the operator has synchronised everything.
    pub async fn synced(population: &Population) -> Result<(Self, Running)> {
        let world = Self::populated(population).await?;
        let operator = world.start_operator()?;
        world.until_all_ready(&operator).await?;
        Ok((world, operator))
    }

    /// Starts the operator under its own rights, with the settings of `config/`.
    pub fn start_operator(&self) -> Result<Running> {
        self.start_operator_with(&[], &[])
    }

    /// The same with more arguments and variables.
    pub fn start_operator_with(
        &self,
        more: &[String],
        variables: &[(&str, &str)],
    ) -> Result<Running> {
        let (metrics, health) = (free_port()?, free_port()?);
        let kubeconfig = self.kubeconfig.display().to_string();
        let arguments = [
            "run",
            "--kubeconfig",
            &kubeconfig,
            "--metrics-addr",
            &format!("127.0.0.1:{metrics}"),
            "--health-addr",
            &format!("127.0.0.1:{health}"),
        ]
        .map(ToOwned::to_owned);
        let extra = std::env::var("GABION_BENCH_ARGS").unwrap_or_default();
        let extra = extra.split_whitespace().map(ToOwned::to_owned);
        let arguments: Vec<_> =
            arguments.into_iter().chain(extra).chain(more.iter().cloned()).collect();
        let url = self.aws.url();
        let environment = [
            ("AWS_ENDPOINT_URL", url.as_str()),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("LOG_LEVEL", "info"),
            ("LOG_FORMAT", "json"),
            // Each would be one more write, at a time of its own.
            ("GABION_ROUTINE_EVENTS", "false"),
        ];
        let environment: Vec<_> = environment.iter().chain(variables).copied().collect();
        let started = Instant::now();
        let operator = Operator::start(&arguments, &environment)?;
        let pid = operator.pid()?;
        Ok(Running { operator, started, pid, metrics, health })
    }

    /// Processor seconds that etcd, kube-apiserver and kube-controller-manager have used so far, and a process
    /// that works with them.
    pub fn spent(&self, client: &str, pid: u32) -> Result<Spent> {
        let servers = self.plane.pids()?.into_iter().filter(|(name, _)| name != "supervisor");
        let all = servers.chain([(client.to_owned(), pid)]);
        let seconds = all.map(|(name, pid)| Ok((name, machine::cpu_seconds(pid)?)));
        Ok(Spent(seconds.collect::<Result<_>>()?))
    }

    /// Processor seconds of the API server so far.
    pub fn apiserver_cpu_seconds(&self) -> Result<f64> {
        machine::cpu_seconds(self.plane.pid(Server::Apiserver)?)
    }

    /// A client with the operator's own credentials and rights: authorization by rules costs the API server
    /// more than waving an administrator through.
    pub async fn as_operator(&self) -> Result<Client> {
        let mut config = ControlPlane::config_of(&self.kubeconfig).await?;
        config.default_retry = false;
        Ok(Client::try_from(config)?)
    }

    /// The end of the audit log.
    pub fn mark(&self) -> Result<Mark> {
        let log = self.plane.audit_log().ok_or_else(|| Failure::new("there is no audit log"))?;
        Mark::here(log)
    }

    /// Waits until the operator has written every status, and proves that all are Ready. Returns the time
    /// since the operator's start.
    pub async fn until_all_ready(&self, operator: &Running) -> Result<Duration> {
        self.watched_until_all_ready(operator, |_| {}).await
    }

    /// The same, and reports from time to time how many objects are being reconciled.
    pub async fn watched_until_all_ready(
        &self,
        operator: &Running,
        mut under_way: impl FnMut(u64),
    ) -> Result<Duration> {
        let wanted = self.population.objects as u64;
        let deadline = Instant::now() + Duration::from_mins(10);
        // Looking costs the operator some time, more with more objects.
        let tick = Duration::from_millis(wanted / 50).clamp(ONE_TICK, ONE_TICK * 20);
        loop {
            let text = get(operator.metrics, "/metrics").await.unwrap_or_default();
            let written = value(&text, STATUS_WRITTEN).unwrap_or_default();
            under_way(value(&text, UNDER_WAY).unwrap_or_default());
            let elapsed = operator.started.elapsed();
            if written >= wanted {
                let ready = self.ready().await?;
                if ready >= self.population.objects {
                    return Ok(elapsed);
                }
                sleep(Duration::from_millis(100)).await;
            }
            if Instant::now() > deadline {
                let log = operator.operator.log();
                let end: Vec<_> = log.lines().rev().take(5).collect();
                let text = format!("{written} of {wanted} after {elapsed:?}: {end:?}");
                return Err(Failure::new(text));
            }
            sleep(tick).await;
        }
    }

    /// How many ExternalSecrets are Ready.
    pub async fn ready(&self) -> Result<usize> {
        let all = Api::<ExternalSecret>::all(self.client.clone());
        let list = all.list(&ListParams::default()).await?;
        Ok(list.items.iter().filter(|object| is_ready(object)).count())
    }
}

/// Statuses of ExternalSecrets that were written.
pub const STATUS_WRITTEN: &str =
    r#"gabion_api_requests_total{verb="patch-status",kind="ExternalSecret",outcome="ok"}"#;

/// How often progress is polled where that is cheap.
const ONE_TICK: Duration = Duration::from_millis(10);
const UNDER_WAY: &str = r#"gabion_queue_running{queue="externalsecret"}"#;
/// Successful reconciles of ExternalSecrets.
pub const SYNCED: &str = r#"gabion_reconciles_total{kind="ExternalSecret",reason="SecretSynced"}"#;

/// Whether the Ready condition is True.
pub fn is_ready(object: &ExternalSecret) -> bool {
    let conditions = object.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().any(|one| one.type_ == "Ready" && one.status == "True")
}

impl Running {
    /// One metric now; 0 while it is not there.
    pub async fn metric(&self, name: &str) -> u64 {
        let text = get(self.metrics, "/metrics").await.unwrap_or_default();
        value(&text, name).unwrap_or_default()
    }

    /// Known, waiting and running ExternalSecrets in the queue.
    pub async fn queue(&self) -> [u64; 3] {
        let text = get(self.metrics, "/metrics").await.unwrap_or_default();
        ["known", "waiting", "running"].map(|name| {
            let series = format!(r#"gabion_queue_{name}{{queue="externalsecret"}}"#);
            value(&text, &series).unwrap_or_default()
        })
    }

    /// Whether `/readyz` says yes.
    pub async fn is_ready(&self) -> bool {
        get(self.health, "/readyz").await.is_ok_and(|answer| answer.contains(" 200 "))
    }

    /// Processor seconds used so far.
    pub fn cpu_seconds(&self) -> Result<f64> {
        machine::cpu_seconds(self.pid)
    }

    /// Largest resident memory so far, MiB.
    pub fn peak_mib(&self) -> Result<f64> {
        machine::peak_mib(self.pid)
    }

    /// Resident memory now, MiB.
    pub fn resident_mib(&self) -> Result<f64> {
        machine::resident_mib(self.pid)
    }

    /// Stops it in order.
    pub fn stop(mut self) -> Result<()> {
        self.operator.stop(Duration::from_secs(30))?;
        Ok(())
    }

    /// Stops its clock, and starts it again.
    pub fn signal(&self, signal: support::Signal) -> Result<()> {
        self.operator.signal(signal)
    }

    /// Bytes of log written so far.
    pub fn log_bytes(&self) -> u64 {
        std::fs::metadata(self.operator.log_path()).map_or(0, |meta| meta.len())
    }
}

/// The value of a series in a text of metrics.
fn value(text: &str, series: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value?.trim().parse().ok()
}

/// A bare GET, so that scraping costs almost nothing.
async fn get(port: u16, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
