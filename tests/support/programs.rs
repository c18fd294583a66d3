//! Finds the programs that tests need, and has them built on first use.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::{Context as _, Failure, Result};

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
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

/// The binary under test. A test is told by cargo where it is; the demo, an example, looks beside
/// its own directory.
pub fn gabion() -> Result<PathBuf> {
    if let Some(path) = option_env!("CARGO_BIN_EXE_gabion") {
        return Ok(path.into());
    }
    let own = std::env::current_exe()?;
    let profile = own.parent().and_then(Path::parent).unwrap_or(Path::new("."));
    let path = profile.join("gabion");
    if path.exists() {
        return Ok(path);
    }
    Err(Failure::new(format!(
        "there is no {}: build it first, with the cargo profile that this program was built with",
        path.display()
    )))
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
