//! What `examples/ci` shows is what it says: few rights, versions that can become digests, a hook that runs.

use std::{fs, path::Path};

use regex::Regex;
use serde_json::Value;

use super::program::{Folder, GOOD, check_in, writable};

fn example(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ci").join(name);
    serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn steps(job: &Value) -> impl Iterator<Item = &Value> {
    job["steps"].as_array().unwrap().iter()
}

#[test]
fn the_workflow_gives_each_job_only_the_rights_that_it_uses() {
    let workflow = example("workflow.yaml");
    assert_eq!(workflow["permissions"], serde_json::json!({}), "nothing for all");
    for (name, job) in workflow["jobs"].as_object().unwrap() {
        let rights = job["permissions"].as_object().unwrap_or_else(|| panic!("{name} inherits"));
        let text = job.to_string();
        for (right, level) in rights {
            let used = match (right.as_str(), level.as_str().unwrap()) {
                ("contents", "read") => true,
                ("security-events", "write") => text.contains("upload-sarif"),
                ("packages", "write") => text.contains("docker push"),
                ("id-token", "write") => text.contains("cosign sign"),
                _ => false,
            };
            assert!(used, "{name} has {right}: {level}");
        }
        assert!(job["timeout-minutes"].is_number(), "{name} may run for ever");
        for step in steps(job)
            .filter(|step| step["uses"].as_str().is_some_and(|uses| uses.contains("checkout")))
        {
            assert_eq!(step["with"]["persist-credentials"], false, "{name} keeps the token");
        }
    }
}

#[test]
fn the_workflow_builds_scans_checks_uploads_and_signs_by_version() {
    let workflow = example("workflow.yaml");
    let pinned = Regex::new(r"^[\w.-]+/[\w./-]+@(v\d+(\.\d+)*|\d+(\.\d+)+|[0-9a-f]{40})$").unwrap();
    let jobs = workflow["jobs"].as_object().unwrap();
    let (mut uses, mut runs) = (Vec::new(), String::new());
    for step in jobs.values().flat_map(steps) {
        uses.extend(step["uses"].as_str());
        runs += step["run"].as_str().unwrap_or_default();
        runs.push('\n');
        // What comes from outside is given to a shell by variables, never written into it.
        assert!(!step["run"].as_str().unwrap_or_default().contains("${{"), "{step}");
    }
    for action in &uses {
        assert!(pinned.is_match(action), "{action} is not pinned by a version");
    }
    for part in ["build-push-action", "trivy-action", "upload-sarif", "cosign-installer"] {
        assert!(uses.iter().any(|action| action.contains(part)), "{part}");
    }
    for part in ["--format sarif", "--max-critical 0", "cosign sign --yes"] {
        assert!(runs.contains(part), "{part}");
    }
    assert!(
        jobs["publish"]["needs"].to_string().contains("check"),
        "nothing is published unchecked"
    );
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let run = check_in(root, &["examples/ci/workflow.yaml"], b"");
    assert_eq!(run.code, 0, "it keeps HB-CI: {}", run.all());
}

#[test]
fn the_hook_runs_on_the_files_that_it_names() {
    let hooks = example("pre-commit-config.yaml");
    let hook = &hooks["repos"][0]["hooks"][0];
    let words: Vec<_> = hook["entry"].as_str().unwrap().split(' ').collect();
    let ["gabion", "check", flags @ ..] = words.as_slice() else { panic!("{words:?}") };
    let (files, exclude) = (hook["files"].as_str().unwrap(), hook["exclude"].as_str().unwrap());
    let (files, exclude) = (Regex::new(files).unwrap(), Regex::new(exclude).unwrap());
    for (name, taken) in [
        ("deploy/web.yaml", true),
        ("a.yml", true),
        ("Dockerfile", true),
        ("web/Dockerfile.dev", true),
        ("README.md", false),
        (".pre-commit-config.yaml", false),
    ] {
        assert_eq!(files.is_match(name) && !exclude.is_match(name), taken, "{name}");
    }
    let folder = Folder::of(&[
        ("good.yaml", GOOD),
        ("bad.yaml", &writable()),
        ("values.yaml", "replicas: 3\n"),
    ]);
    let run = |names: &[&str]| folder.check(&[flags, names].concat());
    let passes = run(&["good.yaml", "values.yaml"]);
    assert_eq!((passes.code, passes.out.as_str()), (0, ""), "{}", passes.all());
    assert_eq!(run(&["good.yaml", "bad.yaml"]).code, 1);
    // A commit of nothing that can be evaluated passes.
    let passes = run(&["values.yaml"]);
    assert_eq!((passes.code, passes.out.as_str()), (0, ""), "{}", passes.all());
}

/// A file at the root of the repository.
fn own(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_hooks_of_the_repository_run_on_the_files_that_they_name() {
    for hook in own(".pre-commit-hooks.yaml").as_array().unwrap() {
        for field in ["id", "name", "description", "entry", "language", "files"] {
            assert!(hook[field].is_string(), "{field} of {hook}");
        }
        let words: Vec<_> = hook["entry"].as_str().unwrap().split(' ').collect();
        let ["gabion", "check", flags @ ..] = words.as_slice() else { panic!("{words:?}") };
        let files = Regex::new(hook["files"].as_str().unwrap()).unwrap();
        let exclude = Regex::new(hook["exclude"].as_str().unwrap()).unwrap();
        for (name, taken) in [
            ("deploy/web.yml", true),
            ("web/Containerfile", true),
            ("web.Dockerfile", true),
            ("Dockerfile.dev", true),
            ("Dockerfiles", false),
            ("package.json", false),
            (".gabion.yaml", false),
            ("team/.gabion.yaml", false),
            (".github/workflows/a.yaml", false),
        ] {
            assert_eq!(files.is_match(name) && !exclude.is_match(name), taken, "{name}");
        }
        let folder = Folder::of(&[("bad.yaml", &writable()), ("values.yaml", "replicas: 3\n")]);
        assert_eq!(folder.check(&[flags, &["bad.yaml"]].concat()).code, 1);
        assert_eq!(folder.check(&[flags, &["values.yaml"]].concat()).code, 0);
    }
}

#[test]
fn the_action_runs_what_its_inputs_say_and_nothing_that_is_written_in_them() {
    let action = own("action.yml");
    let step = action["runs"]["steps"].as_array().unwrap().last().unwrap().clone();
    let script = step["run"].as_str().unwrap();
    assert!(!script.contains("${{"), "inputs come as variables");
    let folder = Folder::of(&[("a b.yaml", &writable()), ("good.yaml", GOOD)]);
    let run = |set: &[(&str, &str)]| {
        let mut command = std::process::Command::new("bash");
        // As the runner starts it.
        command.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script]);
        command.current_dir(folder.path("")).env("RUNNER_TEMP", "/nowhere");
        for (name, value) in step["env"].as_object().unwrap() {
            let input = value.as_str().unwrap().split(['.', ' ']).nth(2).unwrap();
            let default = action["inputs"][input]["default"].as_str().unwrap();
            let given = set.iter().find(|(set, _)| *set == input).map(|(_, value)| *value);
            let own = if input == "gabion" { env!("CARGO_BIN_EXE_gabion") } else { default };
            command.env(name, given.unwrap_or(own));
        }
        let output = command.output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, out) = run(&[]);
    assert!(code == 1 && out.starts_with("::error file=a b.yaml,line="), "{out}");
    assert_eq!(run(&[("paths", "good.yaml")]), (0, String::new()));
    let two =
        [("paths", "a b.yaml\ngood.yaml\n"), ("arguments", "--fail-on=never\n--only\nHB-ROFS")];
    assert_eq!(run(&two).0, 0);
    assert_eq!(run(&[("paths", "$(touch made); `touch made`")]).0, 2);
    assert!(!folder.path("made").exists());
    assert_eq!(run(&[("format", "sarif"), ("output", "out.sarif")]), (1, String::new()));
    assert!(folder.read("out.sarif").contains("HB-ROFS"));
}

#[test]
fn the_configuration_to_copy_is_read() {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ci/gabion.yaml"));
    let quiet = GOOD.replace("        - {name: LOG_LEVEL, value: INFO}\n", "");
    let folder = Folder::of(&[
        (".gabion.yaml", &text.unwrap()),
        ("a.yaml", &quiet),
        ("vendor/a.yaml", "a: ["),
    ]);
    let run = folder.check(&["."]);
    assert!(run.code == 0 && run.out.contains("1 skipped finding"), "{}", run.all());
    // The last line is a comment, and true.
    let whole = folder.read(".gabion.yaml").replace("# baselineFile", "baselineFile");
    folder.write(".gabion.yaml", whole.as_bytes());
    folder.write("bad.yaml", writable().as_bytes());
    assert!(folder.check(&["."]).err.contains("known-findings.json does not exist"));
    assert_eq!(folder.check(&["--write-baseline-file", "known-findings.json", "."]).code, 0);
    assert_eq!(folder.check(&["."]).code, 0);
}
