//! Workflows of continuous integration: what they build or deploy is checked in them.
//!
//! GitHub Actions, and what runs its files. Other systems' files hold shell text that anything may be in.

use serde_json::Value;

use crate::policy::ControlId;
use crate::policy::FieldPath;
use crate::policy::Finding;

/// Actions that make an image.
const BUILDING_ACTIONS: [&str; 4] = [
    "docker/build-push-action",
    "docker/bake-action",
    "redhat-actions/buildah-build",
    "ko-build/setup-ko",
];

/// Commands that make an image or put manifests into a cluster.
const COMMANDS: [&str; 12] = [
    "docker build",
    "docker buildx build",
    "docker buildx bake",
    "docker image build",
    "podman build",
    "buildah bud",
    "buildah build",
    "ko build",
    "kubectl apply",
    "kubectl create -f",
    "helm upgrade",
    "helm install",
];

/// Names of programs that scan images or manifests.
const CHECKERS: [&str; 15] = [
    "gabion",
    "trivy",
    "grype",
    "docker/scout",
    "docker scout",
    "snyk",
    "clair",
    "anchore",
    "kubescape",
    "kube-score",
    "kube-linter",
    "checkov",
    "conftest",
    "kyverno",
    "kubesec",
];

/// Whether a document is a workflow. The key `on` is the boolean true to YAML.
pub(crate) fn is_workflow(document: &Value) -> bool {
    document["jobs"].is_object() && (document.get("on").is_some() || document.get("true").is_some())
}

/// How a report calls a workflow.
pub(crate) fn title(document: &Value) -> String {
    format!("workflow {}", document["name"].as_str().unwrap_or("without a name"))
}

/// What is wrong with a workflow: it builds or deploys, and nothing in it scans what.
pub(crate) fn evaluate(document: &Value) -> Vec<Finding> {
    let mut first = None;
    for (name, job) in document["jobs"].as_object().into_iter().flatten() {
        // What another workflow does is not known here.
        if job["uses"].is_string() {
            return Vec::new();
        }
        let at = FieldPath::default().keys(&["jobs", name, "steps"]);
        let steps = job["steps"].as_array().into_iter().flatten();
        for (number, step) in steps.enumerate() {
            let text = |key: &str| step[key].as_str().unwrap_or_default().to_lowercase();
            let (uses, run) = (text("uses"), one_line(&text("run")));
            if CHECKERS.iter().any(|checker| uses.contains(checker) || run.contains(checker)) {
                return Vec::new();
            }
            let action = BUILDING_ACTIONS.iter().find(|action| uses.starts_with(*action));
            let command = || COMMANDS.iter().find(|command| run.contains(*command));
            if let Some(what) = action.or_else(command).filter(|_| first.is_none()) {
                first = Some((*what, at.index(number)));
            }
        }
    }
    let findings = first.map(|(what, at)| {
        let message =
            format!("the workflow runs {what}, and nothing in it checks images or manifests");
        Finding::new(ControlId::HbCi, at, message)
    });
    findings.into_iter().collect()
}

/// Words with one space between, lines that go on joined.
fn one_line(text: &str) -> String {
    text.replace("\\\n", " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn evaluated(steps: &Value) -> Vec<String> {
        let workflow = json!({"true": "push", "jobs": {"test": {"steps": [{"run": "make"}]}, "image": {"steps": steps}}});
        assert!(is_workflow(&workflow));
        evaluate(&workflow)
            .iter()
            .map(|finding| format!("{}: {}", finding.path, finding.message))
            .collect()
    }

    #[test]
    fn what_is_built_or_deployed_unchecked_is_named() {
        for (step, what) in [
            (json!({"uses": "docker/build-push-action@v6"}), "docker/build-push-action"),
            (json!({"run": "docker \\\n  build -t x ."}), "docker build"),
            (json!({"run": "kubectl apply -f deploy/"}), "kubectl apply"),
        ] {
            let wanted = format!(
                "jobs.image.steps[1]: the workflow runs {what}, and nothing in it checks images or manifests"
            );
            assert_eq!(evaluated(&json!([{"uses": "actions/checkout@v4"}, step])), [wanted]);
        }
    }

    #[test]
    fn what_is_checked_or_not_known_is_in_order() {
        let build = json!({"uses": "docker/build-push-action@v6"});
        for check in [
            json!({"run": "gabion check deploy/"}),
            json!({"uses": "aquasecurity/trivy-action@0.28.0"}),
            json!({"run": "docker run --rm \"$GABION\" check ."}),
        ] {
            assert_eq!(evaluated(&json!([build, check])), [""; 0], "{check}");
        }
        assert_eq!(evaluated(&json!([{"run": "cargo test"}, {}, "odd"])), [""; 0]);
        assert_eq!(evaluated(&json!("odd")), [""; 0]);
        let calls =
            json!({"on": "push", "jobs": {"a": {"uses": "./x.yaml"}, "b": {"steps": [build]}}});
        assert!(is_workflow(&calls) && evaluate(&calls).is_empty());
        assert!(!is_workflow(&json!({"jobs": {}})) && !is_workflow(&json!({"on": 1, "jobs": []})));
        assert!(!is_workflow(&json!([])));
    }
}
