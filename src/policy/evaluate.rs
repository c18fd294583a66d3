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
    let (mut findings, mut hits) = (Vec::new(), Vec::new());
    for (rule, verdict) in asked(settings) {
        (rule.evaluate)(settings, &pod, &mut hits);
        let Some(control) = rule.control() else { continue };
        findings.extend(hits.drain(..).map(|(path, message)| Finding {
            control,
            path,
            message,
            remedy: rule.remedy.map_or_else(|| control.remedy.to_owned(), |r| r(settings)),
            verdict,
        }));
    }
    findings
}
