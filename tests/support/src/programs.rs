//! Finds the programs that tests need, and has them built on first use.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::{Context as _, Failure, Result};

/// The root of the repository.
pub fn repository() -> &'static Path {
    // This crate is two folders below.
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The supervisor, which is also etcd, kube-apiserver and kube-controller-manager. The first call on
/// a machine builds it, which takes minutes and says so on standard error.
pub fn control_plane_program() -> Result<&'static Path> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    once(&PROGRAM, "dev/controlplane/build.sh")
}

/// The virtual environment with kubectl and moto. The first call on a machine installs it.
pub fn python_environment() -> Result<&'static Path> {
    static ENVIRONMENT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    once(&ENVIRONMENT, "dev/python.sh")
}

/// Helm. The first call on a machine builds it.
pub fn helm_program() -> Result<&'static Path> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    once(&PROGRAM, "dev/helm/build.sh")
}

/// promtool. The first call on a machine builds it.
pub fn promtool_program() -> Result<&'static Path> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    once(&PROGRAM, "dev/promtool/build.sh")
}

/// The binary under test: where cargo says, or in the folder of the profile, which holds demo and benchmark, in a
/// folder of their own or not.
pub fn gabion() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CARGO_BIN_EXE_gabion") {
        return Ok(path.into());
    }
    let own = std::env::current_exe()?;
    let candidates: Vec<_> =
        own.ancestors().skip(1).take(2).map(|dir| dir.join("gabion")).collect();
    candidates.iter().find(|path| path.is_file()).cloned().ok_or_else(|| {
        Failure::new(format!(
            "there is no gabion at {candidates:?}: run `cargo build --bin gabion` first, with the cargo profile \
             that this program was built with"
        ))
    })
}

fn once(
    cell: &'static OnceLock<Result<PathBuf, String>>,
    script: &'static str,
) -> Result<&'static Path> {
    let outcome = cell.get_or_init(|| printed_path(script).map_err(|failure| failure.to_string()));
    outcome.as_deref().map_err(|why| Failure::new(why.as_str()))
}

/// Runs a script of ours, which prints a path on standard output and its progress on standard error.
fn printed_path(script: &str) -> Result<PathBuf> {
    let output = Command::new(repository().join(script))
        .stderr(Stdio::inherit())
        .output()
        .context(script)?;
    if !output.status.success() {
        return Err(Failure::new(format!("{script} failed ({}); see above", output.status)));
    }
    Ok(String::from_utf8(output.stdout)?.trim_end().into())
}
