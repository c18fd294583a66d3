//! A process that cannot outlive its owner.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Context as _, Failure, Result, control_plane_program};

/// How long a supervisor may take to stop what it started, before it is killed itself.
const PATIENCE: Duration = Duration::from_secs(20);

/// One supervisor process: `controlplane up` or `controlplane exec`. It ends with all it started when
/// its standard input does, that is when this value is dropped or this process dies.
pub struct Leash {
    supervisor: Child,
}

impl Leash {
    /// Starts `controlplane ARGS`, with standard output and error as the command has them.
    pub fn start(command: &mut Command) -> Result<Self> {
        // A group of its own: a Ctrl-C in the terminal is for the owner, who then cleans up.
        command.stdin(Stdio::piped()).process_group(0);
        let supervisor = command.spawn().context(command.get_program().display())?;
        Ok(Self { supervisor })
    }

    /// A command that runs `program` under `controlplane exec`, which writes its process id to
    /// `pid_file`. All that it prints goes to `log`.
    pub fn exec(program: &Path, pid_file: &Path, log: &Path) -> Result<Command> {
        let mut command = Command::new(control_plane_program()?);
        command.arg("exec").arg("--pid-file").arg(pid_file).arg("--").arg(program);
        let log = File::create(log)?;
        command.stdout(log.try_clone()?).stderr(log);
        Ok(command)
    }

    /// What the supervisor prints, if the command has a pipe for it.
    pub fn output(&mut self) -> Option<ChildStdout> {
        self.supervisor.stdout.take()
    }

    /// The process id of the supervisor.
    pub fn pid(&self) -> u32 {
        self.supervisor.id()
    }

    /// The exit status of the supervisor, if it has ended. `exec` ends with the code of its command.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.supervisor.try_wait()?)
    }

    /// Sends a signal to the supervisor. `exec` passes SIGTERM, SIGINT, SIGHUP and SIGUSR1/2 on.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        send(self.pid(), signal)
    }

    /// Waits until the supervisor has ended.
    pub fn wait(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(status) = self.supervisor.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                return Err(Failure::new(format!("still running after {timeout:?}")));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends the process and what it started, at once. What has ended already is left in peace.
    pub fn cut(&mut self) {
        drop(self.supervisor.stdin.take());
        if self.wait(PATIENCE).is_err() {
            // Nothing is left to try if these fail.
            let _ = self.supervisor.kill();
            let _ = self.supervisor.wait();
        }
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.cut();
    }
}

/// Sends a signal to any process.
pub(super) fn send(pid: u32, signal: Signal) -> Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| Failure::new("not a process id"))?;
    Ok(kill_process(pid, signal)?)
}

/// Whether a process of that id runs. One that has ended and was not waited for does not.
pub fn process_exists(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    // "PID (NAME) STATE ...": the name may hold anything.
    stat.is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or("").starts_with(" Z"))
}
