//! Our own binary, as a process of its own.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::leash::send;
use crate::programs::gabion;
use crate::{Context as _, Failure, Leash, Result};

/// How an operator ended.
#[derive(Clone, Copy, Debug)]
pub struct Stopped {
    /// Its exit code: 128 and the signal's number if a signal ended it.
    pub code: Option<i32>,
    /// Time from the signal to the end.
    pub after: Duration,
}

/// A running `gabion`. It is killed when this is dropped; if a test is failing then, the end of its log is
/// printed.
pub struct Operator {
    leash: Leash,
    dir: TempDir,
}

impl Operator {
    /// Runs `gabion ARGS` with these environment variables and next to no others: nothing of the
    /// developer's own AWS or Kubernetes configuration gets in.
    pub fn start<A, K, V>(args: &[A], environment: &[(K, V)]) -> Result<Self>
    where
        A: AsRef<str>,
        K: AsRef<str>,
        V: AsRef<str>,
    {
        Self::start_in(&std::env::temp_dir(), args, environment)
    }

    /// The same, with its files below `parent`: for an operator in a static, which nobody drops.
    pub fn start_in<A, K, V>(parent: &Path, args: &[A], environment: &[(K, V)]) -> Result<Self>
    where
        A: AsRef<str>,
        K: AsRef<str>,
        V: AsRef<str>,
    {
        let dir = tempfile::tempdir_in(parent)?;
        let (pid_file, log) = (dir.path().join("pid"), dir.path().join("log"));
        let mut command = Leash::exec(&gabion()?, &pid_file, &log)?;
        command.args(args.iter().map(AsRef::as_ref));
        command.env_clear().env("HOME", dir.path()).env("TMPDIR", dir.path());
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command.envs(environment.iter().map(|(name, value)| (name.as_ref(), value.as_ref())));
        Ok(Self { leash: Leash::start(&mut command)?, dir })
    }

    /// What it has written so far to standard output and standard error.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The file with its log. It goes with this value.
    pub fn log_path(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// Its process id, to read its memory and time from `/proc`.
    pub fn pid(&self) -> Result<u32> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Ok(text) = std::fs::read_to_string(self.dir.path().join("pid")) {
                return Ok(text.trim().parse()?);
            }
            if Instant::now() > deadline {
                return Err(Failure::new(format!("gabion does not start: {}", self.log())));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Its exit status, if it has ended by itself.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.leash.ended()
    }

    /// Waits for it to end by itself and returns its exit code.
    pub fn wait(&mut self, timeout: Duration) -> Result<Option<i32>> {
        Ok(self.leash.wait(timeout).context("gabion")?.code())
    }

    /// Sends it a signal, for instance to let it sleep (`Signal::STOP`) and wake up (`Signal::CONT`).
    pub fn signal(&self, signal: Signal) -> Result<()> {
        send(self.pid()?, signal)
    }

    /// Asks it to stop (SIGTERM) and waits until it has.
    pub fn stop(&mut self, timeout: Duration) -> Result<Stopped> {
        let start = Instant::now();
        self.signal(Signal::TERM)?;
        let status = self.leash.wait(timeout).context("gabion, after SIGTERM")?;
        Ok(Stopped { code: status.code(), after: start.elapsed() })
    }

    /// Kills it, as a crash or an empty node would.
    pub fn kill(&mut self) {
        self.leash.cut();
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let end = lines[lines.len().saturating_sub(60)..].join("\n");
            // Not `eprintln`: that is captured, per thread, and a drop may happen on another.
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                format!("--- the last lines of gabion's log\n{end}\n---\n").as_bytes(),
            );
        }
    }
}
