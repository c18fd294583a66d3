//! What makes the difference every day: lists, totals, one word where one is enough, runs that go on.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    time::Duration,
};

use super::program::{Folder, GOOD, writable};

#[test]
fn a_field_that_all_containers_inherit_is_missed_once() {
    let two = GOOD
        .replace("    runAsNonRoot: true\n    runAsUser: 1001\n    runAsGroup: 1001\n", "")
        .replace("    seccompProfile: {type: RuntimeDefault}\n", "")
        .replace("  volumes:", "    - {name: side, image: 'registry.example/side:1.0', securityContext: {readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}, env: [{name: LOG_LEVEL, value: a}, {name: LOG_FORMAT, value: b}], resources: {limits: {memory: 1Gi, cpu: 1, ephemeral-storage: 1Gi}}}\n  volumes:");
    let folder = Folder::of(&[("a.yaml", &two)]);
    let run = folder.check(&["-o", "json", "a.yaml"]);
    let findings = run.json()["files"][0]["findings"].as_array().unwrap().clone();
    let fields: Vec<_> = findings.iter().map(|hit| hit["field"].as_str().unwrap()).collect();
    let wanted = ["runAsNonRoot", "seccompProfile", "runAsUser", "runAsGroup"]
        .map(|field| format!("spec.securityContext.{field}"));
    assert_eq!(fields, wanted, "{}", run.out);
    assert_eq!(
        findings[0]["message"],
        "neither the pod nor its containers \"app\", \"side\" set securityContext.runAsNonRoot"
    );
    assert_eq!(findings[0]["line"], 6, "at the security context of the pod");
    // What one container says itself can only be put right there.
    let own = two.replace("{name: side,", "{name: third, image: 'registry.example/side:1.0', securityContext: {runAsNonRoot: false}}\n    - {name: side,");
    let run = Folder::of(&[("a.yaml", &own)]).check(&[
        "-o",
        "json",
        "--only",
        "PSS-runAsNonRoot",
        "a.yaml",
    ]);
    assert_eq!(run.json()["summary"]["findings"], 2, "{}", run.out);
    // The repair writes that one line.
    assert_eq!(folder.check(&["--fix", "a.yaml"]).code, 0);
    assert_eq!(folder.read("a.yaml").matches("runAsNonRoot").count(), 1);
    // A suppression at one container leaves the other one.
    let suppressed = two.replace(
        "    - name: app\n",
        "    # gabion:ignore PSS-runAsNonRoot starts as root\n    - name: app\n",
    );
    let run = Folder::of(&[("a.yaml", &suppressed)]).check(&[
        "-o",
        "json",
        "--only",
        "PSS-runAsNonRoot",
        "a.yaml",
    ]);
    let summary = run.json()["summary"].clone();
    assert_eq!(
        (summary["findings"].as_u64(), summary["suppressed"].as_u64()),
        (Some(1), Some(1)),
        "{}",
        run.out
    );
}

#[test]
fn totals_come_by_control_most_frequent_first() {
    let text =
        writable().replace("allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true");
    let folder = Folder::of(&[("a.yaml", &text), ("b.yaml", &writable())]);
    let run = folder.check(&["--summary", "."]);
    let lines: Vec<_> = run.out.lines().collect();
    assert!(lines[0].starts_with("       2  high      HB-ROFS  "), "{}", run.out);
    assert!(lines[0].ends_with("The root filesystem of containers is read-only"), "{}", run.out);
    assert!(
        lines[1].starts_with("       1  high      PSS-allowPrivilegeEscalation"),
        "{}",
        run.out
    );
    assert!(
        run.out.contains("3 findings (3 high) in 2 objects") && !run.out.contains("a.yaml"),
        "{}",
        run.out
    );
    // A few findings are counted at a glance.
    assert!(!folder.check(&["."]).out.contains("       2  high"));
}

#[test]
fn controls_are_listed_and_explained_without_files() {
    let folder = Folder::of(&[]);
    let list = folder.check(&["--list"]);
    assert_eq!(list.code, 0, "{}", list.all());
    assert!(list.out.lines().count() > 40 && list.out.contains("HB-DF-USER"), "{}", list.out);
    let run = folder.check(&["--explain", "HB-ROFS"]);
    assert_eq!(run.code, 0, "{}", run.all());
    for part in [
        "HB-ROFS: The root filesystem of containers is read-only (high)",
        "readOnlyRootFilesystem",
        "5.7.3",
        "gabion.dev/ignore-HB-ROFS",
    ] {
        assert!(run.out.contains(part), "{part}: {}", run.out);
    }
}

/// How long a program may take to say the next line.
const PATIENCE: Duration = Duration::from_mins(1);

/// A program that goes on. It ends with the test, however that ends.
struct Watching(Child, Receiver<String>);

impl Watching {
    fn of(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, receiver) = mpsc::channel();
        // A read from a pipe has no time limit, so a thread of its own waits for it.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self(child, receiver)
    }

    /// Waits for a line with this text.
    #[track_caller]
    fn says(&self, part: &str) {
        let mut said = Vec::new();
        loop {
            match self.1.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(part) => return,
                Ok(line) => said.push(line),
                Err(error) => panic!("it never said {part:?} ({error}), but {said:#?}"),
            }
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_watch_checks_again_after_a_change() {
    let folder = Folder::of(&[("a.yaml", &writable())]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_gabion"));
    command.args(["check", "--watch", "."]).current_dir(folder.path(""));
    let watching = Watching::of(&mut command);
    watching.says("1 finding (1 high)");
    folder.write("a.yaml", GOOD.as_bytes());
    watching.says("Changed: a.yaml");
    watching.says("No findings in 1 object");
    // The configuration is read anew, and a slip in it ends nothing.
    folder.write("a.yaml", writable().as_bytes());
    watching.says("1 finding (1 high)");
    folder.write("a.yaml", format!("{GOOD}# end\n").as_bytes());
    watching.says("No findings");
    drop(watching);
    for (arguments, said) in [
        (["--watch", "--fix", "."], "cannot be used with"),
        (["--watch", "-q", "-"], "name a file"),
    ] {
        let run = folder.check(&arguments);
        assert!(run.code == 2 && run.err.contains(said), "{}", run.all());
    }
}
