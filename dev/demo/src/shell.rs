//! The shell in which the shown commands really run.

use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::screen::Screen;
use support::{Context as _, Failure, Result, python_environment, repository};

/// No command of the story takes longer on a machine that works.
const PATIENCE: Duration = Duration::from_mins(2);

/// bash in the root of the repository, with kubectl and a kubeconfig.
pub struct Shell {
    path: String,
    kubeconfig: PathBuf,
    cache: PathBuf,
}

/// What a command printed, and whether it succeeded.
struct Answer {
    text: String,
    success: bool,
}

impl Shell {
    /// A shell for the user in `kubeconfig`; what kubectl remembers goes below `dir`.
    pub fn new(kubeconfig: &Path, dir: &Path) -> Result<Self> {
        let own = python_environment()?.join("bin");
        let rest = std::env::var("PATH").unwrap_or_default();
        Ok(Self {
            path: format!("{}:{rest}", own.display()),
            kubeconfig: kubeconfig.to_owned(),
            cache: dir.join("kubectl-cache"),
        })
    }

    /// Shows a command, runs it, shows what it prints and returns that. The command must succeed.
    pub async fn show(&self, screen: &mut Screen, command: &str) -> Result<String> {
        self.show_end(screen, command, usize::MAX).await
    }

    /// As [`Self::show`], with only the first lines of what is printed.
    pub async fn show_end(
        &self,
        screen: &mut Screen,
        command: &str,
        most: usize,
    ) -> Result<String> {
        screen.command(command)?;
        let answer = self.run(command).await?;
        let lines: Vec<_> = answer.text.lines().collect();
        // One line more is shown rather than counted.
        let shown = if lines.len() <= most.saturating_add(1) { lines.len() } else { most };
        screen.output(&lines[..shown].join("\n"))?;
        if shown < lines.len() {
            screen.output(&format!("(and {} more lines)", lines.len() - shown))?;
        }
        succeeded(command, answer)
    }

    /// Shows a command that must be refused, and returns the refusal.
    pub async fn show_refused(&self, screen: &mut Screen, command: &str) -> Result<String> {
        screen.command(command)?;
        let answer = self.run(command).await?;
        screen.output(&answer.text)?;
        if answer.success {
            return Err(Failure::new(format!("this should have been refused: {command}")));
        }
        Ok(answer.text)
    }

    /// Runs a command that is not shown. It must succeed.
    pub async fn quietly(&self, command: &str) -> Result<String> {
        succeeded(command, self.run(command).await?)
    }

    async fn run(&self, command: &str) -> Result<Answer> {
        let mut output = tempfile::tempfile()?;
        let mut bash = Command::new("bash");
        bash.args(["-o", "pipefail", "-c", command]).current_dir(repository());
        bash.env("PATH", &self.path).env("LC_ALL", "C.UTF-8");
        bash.env("KUBECONFIG", &self.kubeconfig).env("KUBECACHEDIR", &self.cache);
        // Both in one file, in the order in which a terminal would show them.
        bash.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output.try_clone()?);
        let mut child = bash.kill_on_drop(true).spawn().context("bash")?;
        let Ok(status) = tokio::time::timeout(PATIENCE, child.wait()).await else {
            let time = PATIENCE.as_secs();
            return Err(Failure::new(format!("still running after {time} s: {command}")));
        };
        let mut text = String::new();
        output.rewind()?;
        output.read_to_string(&mut text)?;
        Ok(Answer { text, success: status?.success() })
    }
}

fn succeeded(command: &str, answer: Answer) -> Result<String> {
    if answer.success {
        return Ok(answer.text);
    }
    Err(Failure::new(format!("this failed: {command}\n{}", answer.text.trim_end())))
}
