//! etcd, kube-apiserver and kube-controller-manager, as `dev/controlplane` starts them.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use kube::config::{KubeConfigOptions, Kubeconfig};
use rustix::process::Signal;
use serde::Deserialize;

use crate::leash::send;
use crate::{Context as _, Failure, Kubectl, Leash, Result, control_plane_program, repository};

/// How a control plane is to be set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Directory of CRDs to install before the controller manager starts: its garbage collector
    /// learns of later ones up to 30 s late.
    pub crds: Option<PathBuf>,
    /// Whether to write an audit log.
    pub audit: bool,
    /// Further arguments for kube-apiserver, such as `--feature-gates=...`.
    pub apiserver: Vec<String>,
    /// Further arguments for kube-controller-manager.
    pub controller_manager: Vec<String>,
}

impl Default for Options {
    /// With the CRDs of this repository and an audit log.
    fn default() -> Self {
        let crds = repository().join("crds");
        Self {
            crds: crds.is_dir().then_some(crds),
            audit: true,
            apiserver: Vec::new(),
            controller_manager: Vec::new(),
        }
    }
}

/// One of the processes, for tests that hurt it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The store.
    Etcd,
    /// The API server.
    Apiserver,
    /// The controllers.
    ControllerManager,
}

impl Server {
    const fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Apiserver => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
        }
    }
}

/// What the supervisor says about itself.
#[derive(Clone, Debug, Deserialize)]
struct State {
    dir: PathBuf,
    kubeconfig: PathBuf,
    url: String,
    etcd_url: String,
    audit_log: Option<PathBuf>,
    version: String,
    pids: BTreeMap<String, u32>,
}

/// A running control plane. It ends when this is dropped.
pub struct ControlPlane {
    leash: Leash,
    state: State,
}

impl ControlPlane {
    /// Starts one with the default [`Options`]; takes about three seconds.
    pub fn start() -> Result<Self> {
        Self::start_with(&Options::default())
    }

    /// Starts one. When this returns, the default `ServiceAccount` exists and all CRDs are served.
    pub fn start_with(options: &Options) -> Result<Self> {
        let mut command = Command::new(control_plane_program()?);
        command.arg("up").arg(format!("--audit={}", options.audit));
        if let Some(crds) = &options.crds {
            command.arg("--crds").arg(crds);
        }
        for argument in &options.apiserver {
            command.arg("--apiserver-arg").arg(argument);
        }
        for argument in &options.controller_manager {
            command.arg("--controller-manager-arg").arg(argument);
        }
        let mut stderr = tempfile::tempfile()?;
        command.stdout(Stdio::piped()).stderr(stderr.try_clone()?);
        let mut leash = Leash::start(&mut command)?;
        let output = leash.output().ok_or_else(|| Failure::new("the output is not captured"))?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        if line.is_empty() {
            let mut why = String::new();
            stderr.rewind()?;
            stderr.read_to_string(&mut why)?;
            return Err(Failure::new(format!("the control plane did not start; it says:\n{why}")));
        }
        let state = serde_json::from_str(&line).context("what the supervisor printed")?;
        Ok(Self { leash, state })
    }

    /// The control plane that all tests of this process share. It ends with the process.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<ControlPlane, String>> = OnceLock::new();
        let outcome = SHARED.get_or_init(|| Self::start().map_err(|failure| failure.to_string()));
        outcome.as_ref().map_err(|why| Failure::new(why.as_str()))
    }

    /// Its directory: keys, logs (`NAME.log`), data. Files put there go with it.
    pub fn dir(&self) -> &Path {
        &self.state.dir
    }

    /// A kubeconfig whose user may do everything (group `system:masters`).
    pub fn kubeconfig(&self) -> &Path {
        &self.state.kubeconfig
    }

    /// Where the API server listens, `https://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.state.url
    }

    /// Where etcd listens, without TLS.
    pub fn etcd_url(&self) -> &str {
        &self.state.etcd_url
    }

    /// The audit log, one JSON object a line, if there is one.
    pub fn audit_log(&self) -> Option<&Path> {
        self.state.audit_log.as_deref()
    }

    /// The version that the API server gives, such as `v1.37.2`.
    pub fn version(&self) -> &str {
        &self.state.version
    }

    /// The client configuration of the administrator.
    pub async fn config(&self) -> Result<kube::Config> {
        Self::config_of(self.kubeconfig()).await
    }

    /// The client configuration in a kubeconfig.
    pub async fn config_of(kubeconfig: &Path) -> Result<kube::Config> {
        let file = Kubeconfig::read_from(kubeconfig)?;
        Ok(kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?)
    }

    /// A client of the administrator. It belongs to the runtime of the test that asks, so that tests
    /// cannot share one.
    pub async fn client(&self) -> Result<kube::Client> {
        Ok(kube::Client::try_from(self.config().await?)?)
    }

    /// A client of the user in a kubeconfig, as [`Self::service_account_kubeconfig`] makes one.
    pub async fn client_of(&self, kubeconfig: &Path) -> Result<kube::Client> {
        Ok(kube::Client::try_from(Self::config_of(kubeconfig).await?)?)
    }

    /// kubectl as the administrator.
    pub fn admin(&self) -> Result<Kubectl> {
        self.kubectl_of(self.kubeconfig())
    }

    /// kubectl as the user in a kubeconfig.
    pub fn kubectl_of(&self, kubeconfig: &Path) -> Result<Kubectl> {
        Kubectl::new(kubeconfig, self.dir())
    }

    /// Runs kubectl as the administrator and returns what it prints.
    pub fn kubectl(&self, args: &[&str]) -> Result<String> {
        self.admin()?.run(args)
    }

    /// Writes a kubeconfig with a token for a `ServiceAccount`, good for a day, and returns its path: a
    /// client that uses it has the rights of that account and no others.
    pub fn service_account_kubeconfig(&self, namespace: &str, name: &str) -> Result<PathBuf> {
        let token = self.kubectl(&["create", "token", name, "-n", namespace, "--duration=24h"])?;
        let mut config: serde_json::Value =
            serde_saphyr::from_str(&std::fs::read_to_string(self.kubeconfig())?)?;
        config["users"][0]["user"] = serde_json::json!({ "token": token.trim() });
        let path = self.dir().join(format!("{namespace}.{name}.kubeconfig"));
        std::fs::write(&path, serde_json::to_string(&config)?)?;
        Ok(path)
    }

    /// The process ids now: of `supervisor` and of each server by the name of its program.
    pub fn pids(&self) -> Result<BTreeMap<String, u32>> {
        let text = std::fs::read_to_string(self.dir().join("state.json"))?;
        Ok(serde_json::from_str::<State>(&text)?.pids)
    }

    /// The process id of one server now.
    pub fn pid(&self, server: Server) -> Result<u32> {
        let pids = self.pids()?;
        let pid = pids.get(server.name()).copied();
        pid.ok_or_else(|| Failure::new(format!("{} does not run", server.name())))
    }

    /// Sends a signal to one server. One that is killed is started again, on the same port.
    pub fn signal(&self, server: Server, signal: Signal) -> Result<()> {
        send(self.pid(server)?, signal)
    }

    /// Ends everything at once, and returns when nothing runs any more.
    pub fn stop(mut self) {
        self.leash.cut();
    }
}
