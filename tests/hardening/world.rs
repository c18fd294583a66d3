//! What tests run in: a control plane with an operator under the shipped rights.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use crate::support::{ControlPlane, Failure, Operator, Options, Result, free_port, repository};

/// A bound for what takes a second or two on a quiet machine.
pub const SOON: Duration = Duration::from_secs(40);

/// The manifests of `config/` that the hardening half needs: those of the secrets half are not among them.
const INSTALLED: [&str; 7] = [
    "operator/namespace.yaml",
    "operator/service-account.yaml",
    "rbac/hardening.yaml",
    "rbac/policies.yaml",
    "rbac/dns.yaml",
    "rbac/events.yaml",
    "rbac/leases.yaml",
];

/// A control plane with an operator.
pub struct World {
    /// Our binary. It ends before the control plane does.
    pub operator: Operator,
    /// Where `/metrics` is.
    pub metrics: String,
    /// Where `/healthz` and `/readyz` are.
    pub health: String,
    kubeconfig: PathBuf,
    plane: Plane,
}

enum Plane {
    Shared(&'static ControlPlane),
    Own(Box<ControlPlane>),
}

impl World {
    /// The one that tests share.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<World, String>> = OnceLock::new();
        let made = SHARED.get_or_init(|| {
            let plane = ControlPlane::shared().map_err(|failure| failure.to_string())?;
            installed(plane).map_err(|failure| failure.to_string())?;
            Self::on(Plane::Shared(plane), &[]).map_err(|failure| failure.to_string())
        });
        made.as_ref().map_err(|why| Failure::new(why.as_str()))
    }

    /// One of its own.
    pub fn own(flags: &[&str]) -> Result<Self> {
        let plane = ControlPlane::start()?;
        installed(&plane)?;
        Self::over(plane, flags)
    }

    /// A control plane of its own, before the operator starts.
    pub fn plane_without_operator(options: &Options) -> Result<ControlPlane> {
        let plane = ControlPlane::start_with(options)?;
        installed(&plane)?;
        Ok(plane)
    }

    /// Starts an operator on such a control plane.
    pub fn over(plane: ControlPlane, flags: &[&str]) -> Result<Self> {
        Self::on(Plane::Own(Box::new(plane)), flags)
    }

    fn on(plane: Plane, flags: &[&str]) -> Result<Self> {
        let control_plane = match &plane {
            Plane::Shared(plane) => plane,
            Plane::Own(plane) => &**plane,
        };
        let kubeconfig = control_plane.service_account_kubeconfig("gabion-system", "gabion")?;
        let (operator, metrics, health) = run(&kubeconfig, flags)?;
        Ok(Self { operator, metrics, health, kubeconfig, plane })
    }

    /// The control plane.
    pub fn plane(&self) -> &ControlPlane {
        match &self.plane {
            Plane::Shared(plane) => plane,
            Plane::Own(plane) => plane,
        }
    }

    /// A further operator on this control plane; also where its `/readyz` is.
    pub fn another(kubeconfig: &Path, flags: &[&str]) -> Result<(Operator, String)> {
        let (operator, _, health) = run(kubeconfig, flags)?;
        Ok((operator, health))
    }

    /// Kills the operator, as a crash would.
    pub fn kill(&mut self) {
        self.operator.kill();
    }

    /// Starts the operator again, after it has ended.
    pub fn start_again(&mut self, flags: &[&str]) -> Result<()> {
        let (operator, metrics, health) = run(&self.kubeconfig, flags)?;
        (self.operator, self.metrics, self.health) = (operator, metrics, health);
        Ok(())
    }

    /// The sum over all labels of a counter in `/metrics`.
    pub async fn counter(&self, name: &str) -> Result<u64> {
        let page = fetch(&self.metrics, "/metrics").await?.1;
        let samples = page.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
        });
        let values = samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Ok(values.sum::<f64>() as u64)
    }
}

/// Status and body of a GET.
pub async fn fetch(address: &str, path: &str) -> Result<(u16, String)> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    let code = code.ok_or_else(|| Failure::new(format!("no HTTP answer: {answer}")))?;
    Ok((code, answer))
}

/// Namespace, ServiceAccount and rights as a cluster gets them.
fn installed(plane: &ControlPlane) -> Result<()> {
    let kubectl = plane.admin()?;
    for file in INSTALLED {
        kubectl.apply_path(&repository().join("config").join(file))?;
    }
    Ok(())
}

fn run(kubeconfig: &Path, flags: &[&str]) -> Result<(Operator, String, String)> {
    let (metrics, health) = (free_port()?, free_port()?);
    let (metrics, health) = (format!("127.0.0.1:{metrics}"), format!("127.0.0.1:{health}"));
    let mut arguments = vec![
        "run".to_owned(),
        "--enable-secrets=false".to_owned(),
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--metrics-addr={metrics}"),
        format!("--health-addr={health}"),
        "--log-level=info,gabion=debug".to_owned(),
    ];
    arguments.extend(flags.iter().map(|&flag| flag.to_owned()));
    let operator = Operator::start(&arguments, &[("GABION_TEST", "1")])?;
    Ok((operator, metrics, health))
}
