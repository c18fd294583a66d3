//! kubectl, as a user has it.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Context as _, Failure, Result, python_environment};

/// kubectl with one user's kubeconfig.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    cache: PathBuf,
}

impl Kubectl {
    /// kubectl for the user in `kubeconfig`. What it remembers of the API server goes below `dir`,
    /// not to the home directory: another control plane may get the same port later.
    pub fn new(kubeconfig: &Path, dir: &Path) -> Result<Self> {
        Ok(Self {
            program: python_environment()?.join("bin/kubectl"),
            kubeconfig: kubeconfig.to_owned(),
            cache: dir.join("kubectl-cache"),
        })
    }

    /// Runs it and returns what it prints. If it fails, so does this, with its message.
    pub fn run(&self, args: &[&str]) -> Result<String> {
        self.run_with_input(args, "")
    }

    /// Runs it with text on standard input (`-f -`).
    pub fn run_with_input(&self, args: &[&str], input: &str) -> Result<String> {
        let mut command = Command::new(&self.program);
        command.arg("--kubeconfig").arg(&self.kubeconfig).arg("--cache-dir").arg(&self.cache);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context(self.program.display())?;
        if let Some(mut stdin) = child.stdin.take() {
            // A kubectl that does not want it closes the pipe, and says why on standard error.
            let _ = stdin.write_all(input.as_bytes());
        }
        let output = child.wait_with_output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let mut why = format!("kubectl {}: {}", args.join(" "), output.status);
        let _ = write!(why, "\n{}", String::from_utf8_lossy(&output.stderr).trim_end());
        Err(Failure::new(why))
    }

    /// Replaces an object as strictly as kubectl can. kubectl sends the version that it has just read: a status
    /// written in between is a conflict, and says nothing about the object sent, so that is tried again.
    pub fn replace_strictly(&self, object: &str) -> Result<String> {
        let replace = || self.run_with_input(&["replace", "--validate=strict", "-f", "-"], object);
        let met = |answer: &Result<String>| match answer {
            Err(why) => why.to_string().contains("(Conflict)"),
            Ok(_) => false,
        };
        (0..20).map(|_| replace()).find(|answer| !met(answer)).unwrap_or_else(replace)
    }

    /// Applies objects on the server side.
    pub fn apply_yaml(&self, yaml: &str) -> Result<String> {
        self.run_with_input(&["apply", "--server-side", "--force-conflicts", "-f", "-"], yaml)
    }

    /// Applies a file, or a directory: as a kustomization if it is one, else every file in it and below.
    pub fn apply_path(&self, path: &Path) -> Result<String> {
        let text = path.to_str().ok_or_else(|| Failure::new("a path that is not UTF-8"))?;
        let mut args = vec!["apply", "--server-side", "--force-conflicts"];
        if path.join("kustomization.yaml").exists() {
            args.extend(["-k", text]);
        } else {
            args.extend(["-R", "-f", text]);
        }
        self.run(&args)
    }
}
