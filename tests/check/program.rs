//! The program, run on files of a folder of its own.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// How a run ended.
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Run {
    /// Everything that was printed.
    pub fn all(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.all()))
    }

    /// Controls that fail somewhere, each once, in the order of positions.
    pub fn controls(&self) -> Vec<String> {
        let report = self.json();
        let files = report["files"].as_array().unwrap().clone();
        let mut found = Vec::new();
        for finding in files.iter().flat_map(|file| file["findings"].as_array().unwrap()) {
            let id = finding["control"].as_str().unwrap().to_owned();
            let counts = finding["suppressed"].is_null() && finding["note"] == false;
            if counts && !found.contains(&id) {
                found.push(id);
            }
        }
        found
    }
}

/// Runs `gabion check` in a folder.
pub fn check_in(folder: &Path, arguments: &[&str], stdin: &[u8]) -> Run {
    check_with(Command::new(env!("CARGO_BIN_EXE_gabion")), folder, arguments, stdin)
}

/// Runs `gabion check` by a command that is prepared.
pub fn check_with(mut command: Command, folder: &Path, arguments: &[&str], stdin: &[u8]) -> Run {
    command.arg("check").args(arguments).current_dir(folder).env_remove("NO_COLOR");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let bytes = stdin.to_vec();
    // A program that does not read its input closes it: that is no failure of the test.
    let writer = std::thread::spawn(move || input.write_all(&bytes).unwrap_or_default());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// A folder with files.
pub struct Folder(TempDir);

impl Folder {
    pub fn of(files: &[(&str, &str)]) -> Self {
        let folder = Self(TempDir::new().unwrap());
        for (name, text) in files {
            folder.write(name, text.as_bytes());
        }
        folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn check(&self, arguments: &[&str]) -> Run {
        check_in(self.0.path(), arguments, b"")
    }
}

/// A pod that keeps everything that the guide asks.
pub const GOOD: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: good, namespace: shop}
spec:
  automountServiceAccountToken: false
  securityContext:
    runAsNonRoot: true
    runAsUser: 1001
    runAsGroup: 1001
    fsGroup: 1001
    seccompProfile: {type: RuntimeDefault}
  containers:
    - name: app
      image: registry.example/app:1.2
      env:
        - {name: LOG_LEVEL, value: INFO}
        - {name: LOG_FORMAT, value: json}
      resources:
        limits: {memory: 512Mi, cpu: 500m, ephemeral-storage: 1Gi}
        requests: {memory: 256Mi, cpu: 250m, ephemeral-storage: 500Mi}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
  volumes:
    - {name: tmp, emptyDir: {}}
";

/// The good pod with the line of a writable root.
pub fn writable() -> String {
    GOOD.replace("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false")
}
