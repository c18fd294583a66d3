//! What all tests share: a control plane, an operator and a Secrets Manager.

use std::{path::PathBuf, sync::OnceLock, time::Duration};

use crate::{
    secrets_manager::SecretsManager,
    support::{ControlPlane, Failure, Operator, Options, Result, free_port, repository},
};

/// A bound for what takes a second or two on a quiet machine.
pub const SOON: Duration = Duration::from_secs(40);

/// Part of every value that a test gives to Secrets Manager: it must turn up nowhere but in Secrets.
pub const MARK: &str = "vAlu3-0f-t3st";

/// A value with the mark in it.
pub fn value(text: &str) -> String {
    format!("{MARK}:{text}")
}

/// Access key of the default chain: what the operator's own environment holds.
pub const OWN_KEY: &str = "AKIAOWNENVIRONMENT";

/// A control plane with an operator under the shipped rights.
pub struct World {
    /// The API server and its kin. `None` once it is taken out.
    plane: Plane,
    /// Plays AWS.
    pub aws: SecretsManager,
    /// Our binary.
    pub operator: Operator,
    /// Where `/metrics` is.
    pub metrics: String,
    /// Where `/healthz` and `/readyz` are.
    pub health: String,
    kubeconfig: PathBuf,
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
            let world = Self::on(Plane::Shared(plane), &["--per-object-metrics"]);
            world.map_err(|failure| failure.to_string())
        });
        made.as_ref().map_err(|why| Failure::new(why.as_str()))
    }

    /// One of its own, for a test that hurts it or needs other flags.
    pub fn own(flags: &[&str]) -> Result<Self> {
        Self::own_with(&Options::default(), flags)
    }

    /// One of its own, with a control plane set up as told.
    pub fn own_with(options: &Options, flags: &[&str]) -> Result<Self> {
        Self::on(Plane::Own(Box::new(ControlPlane::start_with(options)?)), flags)
    }

    /// One of its own, whose operator reaches the API server by another kubeconfig: `through` makes it of the
    /// one that leads there directly.
    pub fn own_through(
        through: impl FnOnce(PathBuf) -> Result<PathBuf>,
        flags: &[&str],
    ) -> Result<Self> {
        let plane = Plane::Own(Box::new(ControlPlane::start()?));
        let kubeconfig = through(installed(plane.get())?)?;
        Self::by(plane, kubeconfig, flags)
    }

    fn on(plane: Plane, flags: &[&str]) -> Result<Self> {
        let kubeconfig = installed(plane.get())?;
        Self::by(plane, kubeconfig, flags)
    }

    fn by(plane: Plane, kubeconfig: PathBuf, flags: &[&str]) -> Result<Self> {
        let control_plane = plane.get();
        let aws = SecretsManager::start();
        let (metrics, health) = (free_port()?, free_port()?);
        let operator = run(control_plane, &kubeconfig, &aws.url(), (metrics, health), flags)?;
        Ok(Self {
            aws,
            operator,
            metrics: format!("127.0.0.1:{metrics}"),
            health: format!("127.0.0.1:{health}"),
            kubeconfig,
            plane,
        })
    }

    /// The control plane.
    pub fn plane(&self) -> &ControlPlane {
        self.plane.get()
    }

    /// A kubeconfig of the operator's ServiceAccount.
    pub fn kubeconfig(&self) -> &PathBuf {
        &self.kubeconfig
    }

    /// A further operator on this control plane, with ports of its own; also where its `/readyz` is.
    pub fn another(&self, flags: &[&str]) -> Result<(Operator, String)> {
        let (metrics, health) = (free_port()?, free_port()?);
        let ports = (metrics, health);
        let operator = run(self.plane(), &self.kubeconfig, &self.aws.url(), ports, flags)?;
        Ok((operator, format!("127.0.0.1:{health}")))
    }

    /// Replaces the operator by a new process with these flags. The old one must have ended.
    pub fn start_again(&mut self, flags: &[&str]) -> Result<()> {
        let (metrics, health) = (free_port()?, free_port()?);
        let ports = (metrics, health);
        self.operator = run(self.plane(), &self.kubeconfig, &self.aws.url(), ports, flags)?;
        self.metrics = format!("127.0.0.1:{metrics}");
        self.health = format!("127.0.0.1:{health}");
        Ok(())
    }
}

impl Plane {
    fn get(&self) -> &ControlPlane {
        match self {
            Self::Shared(plane) => plane,
            Self::Own(plane) => plane,
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        crate::audit::collect(self.plane());
    }
}

/// Namespace, ServiceAccount and rights as a cluster gets them, and a kubeconfig of that account.
pub fn installed(plane: &ControlPlane) -> Result<PathBuf> {
    let kubectl = plane.admin()?;
    let config = repository().join("config");
    kubectl.apply_path(&config.join("operator/namespace.yaml"))?;
    kubectl.apply_path(&config.join("operator/service-account.yaml"))?;
    let rights = config.join("rbac");
    let rights = rights.to_str().ok_or_else(|| Failure::new("a path that is not UTF-8"))?;
    kubectl.run(&["apply", "--server-side", "-k", rights])?;
    plane.service_account_kubeconfig("gabion-system", "gabion")
}

fn run(
    plane: &ControlPlane,
    kubeconfig: &std::path::Path,
    aws: &str,
    (metrics, health): (u16, u16),
    flags: &[&str],
) -> Result<Operator> {
    let mut arguments = vec![
        "run".to_owned(),
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--metrics-addr=127.0.0.1:{metrics}"),
        format!("--health-addr=127.0.0.1:{health}"),
        "--log-level=debug".to_owned(),
    ];
    arguments.extend(flags.iter().map(|&flag| flag.to_owned()));
    let environment = [
        ("AWS_ENDPOINT_URL", aws),
        ("AWS_ACCESS_KEY_ID", OWN_KEY),
        ("AWS_SECRET_ACCESS_KEY", "example"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("GABION_ENABLE_HARDENING", "false"),
    ];
    Operator::start_in(plane.dir(), &arguments, &environment)
}
