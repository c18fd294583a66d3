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
}
