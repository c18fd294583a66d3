//! A control plane with an operator under the shipped rights: what most tests run in.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use crate::{
    ControlPlane, Failure, Operator, Options, Result, fetch, free_port, repository,
    secrets_manager::SecretsManager, sqs::Sqs, webhook_address,
};

/// Access key of the default chain: what the operator's own environment holds.
pub const OWN_KEY: &str = "AKIAOWNENVIRONMENT";

/// What the operator runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subsystem {
    /// External secrets, with all rights of `config/rbac` and of rotation.
    Secrets,
    /// Hardening, without the rights that only secrets need.
    Hardening,
}

impl Subsystem {
    /// The manifests of `config/` that install it, in order.
    const fn manifests(self) -> &'static [&'static str] {
        match self {
            Self::Secrets => &[
                "operator/namespace.yaml",
                "operator/service-account.yaml",
                "rbac",
                "overlays/rotation/rbac.yaml",
            ],
            Self::Hardening => &[
                "operator/namespace.yaml",
                "operator/service-account.yaml",
                "rbac/hardening.yaml",
                "rbac/policies.yaml",
                "rbac/dns.yaml",
                "rbac/events.yaml",
                "rbac/leases.yaml",
                "overlays/pull-secrets/rbac.yaml",
            ],
        }
    }

    const fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Secrets => &["--log-level=debug", "--enable-secret-rotation"],
            Self::Hardening => &[
                "--enable-secrets=false",
                "--log-level=info,gabion=debug",
                "--pull-secret-sources=platform/registry,platform/second,platform/absent",
            ],
        }
    }

    /// A variable and not a flag: a test may switch hardening on by flag.
    const fn hardening_enabled(self) -> &'static str {
        match self {
            Self::Secrets => "false",
            Self::Hardening => "true",
        }
    }

    /// The environment that the tests of this process share. It ends with the process.
    pub fn shared(self) -> Result<&'static TestEnv> {
        static SHARED: [OnceLock<Result<TestEnv, String>>; 2] = [const { OnceLock::new() }; 2];
        let flags: &[&str] = match self {
            Self::Secrets => &["--per-object-metrics"],
            Self::Hardening => &[],
        };
        let made = SHARED[self as usize].get_or_init(|| {
            let start = || {
                let plane = ControlPlane::shared()?;
                let kubeconfig = self.install(plane)?;
                TestEnv::start(self, ControlPlaneRef::Shared(plane), kubeconfig, flags)
            };
            start().map_err(|failure| failure.to_string())
        });
        made.as_ref().map_err(|why| Failure::new(why.as_str()))
    }

    /// An environment for one test, that hurts it or needs other flags.
    pub fn start(self, flags: &[&str]) -> Result<TestEnv> {
        self.start_with(&Options::default(), flags)
    }

    /// The same, with a control plane of these options.
    pub fn start_with(self, options: &Options, flags: &[&str]) -> Result<TestEnv> {
        self.start_on(self.control_plane(options)?, flags)
    }

    /// The same, on a control plane of [`Self::control_plane`].
    pub fn start_on(self, plane: ControlPlane, flags: &[&str]) -> Result<TestEnv> {
        self.start_through(plane, Ok, flags)
    }

    /// The same, whose operator reaches the API server by another kubeconfig: `through` makes it of the one that
    /// leads there directly.
    pub fn start_through(
        self,
        plane: ControlPlane,
        through: impl FnOnce(PathBuf) -> Result<PathBuf>,
        flags: &[&str],
    ) -> Result<TestEnv> {
        let kubeconfig = through(operator_kubeconfig(&plane)?)?;
        TestEnv::start(self, ControlPlaneRef::Own(Box::new(plane)), kubeconfig, flags)
    }

    /// A control plane for one test on which everything is installed and no operator runs yet.
    pub fn control_plane(self, options: &Options) -> Result<ControlPlane> {
        let plane = ControlPlane::start_with(options)?;
        self.install(&plane)?;
        Ok(plane)
    }

    /// Applies namespace, ServiceAccount and rights; a kubeconfig of that account.
    fn install(self, plane: &ControlPlane) -> Result<PathBuf> {
        let kubectl = plane.admin()?;
        for manifest in self.manifests() {
            kubectl.apply_path(&repository().join("config").join(manifest))?;
        }
        operator_kubeconfig(plane)
    }

    /// Runs the operator; also where its `/metrics` and `/readyz` are.
    fn run(
        self,
        plane: &ControlPlane,
        kubeconfig: &Path,
        (aws, sqs): (&str, &str),
        flags: &[&str],
    ) -> Result<(Operator, String, String)> {
        let metrics = format!("127.0.0.1:{}", free_port()?);
        let health = format!("127.0.0.1:{}", free_port()?);
        let mut arguments = vec![
            "run".to_owned(),
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--metrics-addr={metrics}"),
            format!("--health-addr={health}"),
        ];
        if self == Self::Secrets {
            arguments.push(format!("--webhook-generator-hosts={}", webhook_address()?));
        }
        // A flag of the test replaces ours.
        let name = |flag: &str| flag.split('=').next().map(str::to_owned);
        let is_free = |own: &&&str| !flags.iter().any(|flag| name(flag) == name(own));
        let own = self.flags().iter().filter(is_free);
        arguments.extend(own.chain(flags).map(|&flag| flag.to_owned()));
        let environment = [
            ("AWS_ENDPOINT_URL", aws),
            ("AWS_ENDPOINT_URL_SQS", sqs),
            ("AWS_ACCESS_KEY_ID", OWN_KEY),
            ("AWS_SECRET_ACCESS_KEY", "example"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("GABION_ENABLE_HARDENING", self.hardening_enabled()),
        ];
        let operator = Operator::start_in(plane.dir(), &arguments, &environment)?;
        Ok((operator, metrics, health))
    }
}

fn operator_kubeconfig(plane: &ControlPlane) -> Result<PathBuf> {
    plane.service_account_kubeconfig("gabion-system", "gabion")
}

/// A control plane, an operator, and a Secrets Manager that counts.
pub struct TestEnv {
    /// Our binary. It ends before the control plane does.
    pub operator: Operator,
    /// Plays AWS.
    pub aws: SecretsManager,
    /// Plays its queues.
    pub sqs: Sqs,
    /// Where `/metrics` is.
    pub metrics: String,
    /// Where `/healthz` and `/readyz` are.
    pub health: String,
    subsystem: Subsystem,
    kubeconfig: PathBuf,
    plane: ControlPlaneRef,
}

enum ControlPlaneRef {
    Shared(&'static ControlPlane),
    Own(Box<ControlPlane>),
}

impl ControlPlaneRef {
    fn get(&self) -> &ControlPlane {
        match self {
            Self::Shared(plane) => plane,
            Self::Own(plane) => plane,
        }
    }
}

impl TestEnv {
    fn start(
        subsystem: Subsystem,
        plane: ControlPlaneRef,
        kubeconfig: PathBuf,
        flags: &[&str],
    ) -> Result<Self> {
        let (aws, sqs) = (SecretsManager::start(), Sqs::start());
        let urls = (&*aws.url(), &*sqs.url());
        let (operator, metrics, health) = subsystem.run(plane.get(), &kubeconfig, urls, flags)?;
        Ok(Self { operator, aws, sqs, metrics, health, subsystem, kubeconfig, plane })
    }

    /// The control plane.
    pub fn plane(&self) -> &ControlPlane {
        self.plane.get()
    }

    /// Whether other tests use it too.
    pub fn is_shared(&self) -> bool {
        matches!(self.plane, ControlPlaneRef::Shared(_))
    }

    /// A kubeconfig of the operator's ServiceAccount.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A further operator on this control plane, with ports of its own; also where its `/readyz` is.
    pub fn another(&self, flags: &[&str]) -> Result<(Operator, String)> {
        self.another_with(&self.kubeconfig, flags)
    }

    /// The same, with another kubeconfig.
    pub fn another_with(&self, kubeconfig: &Path, flags: &[&str]) -> Result<(Operator, String)> {
        let urls = (&*self.aws.url(), &*self.sqs.url());
        let (operator, _, health) = self.subsystem.run(self.plane(), kubeconfig, urls, flags)?;
        Ok((operator, health))
    }

    /// Replaces the operator by a new process with these flags. The old one is killed if it still runs.
    pub fn start_again(&mut self, flags: &[&str]) -> Result<()> {
        self.operator.kill();
        let urls = (&*self.aws.url(), &*self.sqs.url());
        let (operator, metrics, health) =
            self.subsystem.run(self.plane(), &self.kubeconfig, urls, flags)?;
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
