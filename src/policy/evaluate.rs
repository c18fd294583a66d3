//! The verdict on a manifest, without an API server.

use super::finding::Finding;
use super::rules::{Pod, asked};
use super::settings::Settings;
use super::subject::Subject;

/// Everything that a workload breaks, in the order of the table and then of the object.
///
/// What the API server fills in before it evaluates counts as filled in: a volume without a source is an emptyDir,
/// a limit stands in for its request, and in a pod on the host's network every container port is a host port.
pub fn evaluate(settings: &Settings, subject: &Subject<'_>) -> Vec<Finding> {
    let pod = Pod::new(subject);
    let (mut findings, mut violations) = (Vec::new(), Vec::new());
    for (rule, verdict) in asked(settings) {
        (rule.evaluate)(settings, &pod, &mut violations);
        findings.extend(violations.drain(..).map(|(path, message)| Finding {
            remedy: rule.remedy(settings),
            verdict,
            ..Finding::new(rule.id, path, message)
        }));
    }
    findings
}
