//! The verdict on a manifest, without an API server.

use super::controls::{ControlId, Severity};
use super::finding::{FieldPath, Finding};
use super::rules::{Pod, all, asked};
use super::settings::Settings;
use super::subject::Subject;
use super::waivers::{Excuse, Request, Waiver};

/// Everything that a workload breaks, in the order of the table and then of the object.
///
/// What the API server fills in before it evaluates counts as filled in: a volume without a source is an emptyDir,
/// a limit stands in for its request, and in a pod on the host's network every container port is a host port.
pub fn evaluate(settings: &Settings, subject: &Subject<'_>) -> Vec<Finding> {
    let pod = Pod::new(subject);
    let (mut findings, mut violations) = (Vec::new(), Vec::new());
    for (rule, verdict) in asked(settings) {
        (rule.evaluate)(settings, &pod, &mut violations);
        let replaced = replaced(rule.id, settings, &pod);
        findings.extend(violations.drain(..).map(|(path, message)| {
            let finding = Finding::new(rule.id, path, message);
            let worse = replaced.iter().filter(|(_, at)| finding.path.0.starts_with(&at.0));
            let severity = worse.map(|(severity, _)| *severity).max();
            Finding {
                severity: severity.map_or(finding.severity, |worse| worse.max(finding.severity)),
                remedy: rule.remedy(settings),
                verdict,
                ..finding
            }
        }));
    }
    findings
}

/// The same for a request, without what approved exceptions excuse.
pub fn evaluate_excused(
    settings: &Settings,
    subject: &Subject<'_>,
    request: &Request<'_>,
    waivers: &[Waiver],
) -> Vec<Finding> {
    let (pod, excuse) = (Pod::new(subject), Excuse::of(waivers, request));
    let mut findings = evaluate(settings, subject);
    findings.retain(|finding| !excuse.covers(finding.control.id, &finding.path, &pod));
    findings
}

/// What a pod breaks of the baseline check in whose place a restricted one stands: the stricter profile is never
/// milder about it.
fn replaced(id: ControlId, settings: &Settings, pod: &Pod<'_>) -> Vec<(Severity, FieldPath)> {
    let baseline = match id {
        ControlId::PssRestrictedVolumes => ControlId::PssHostPathVolumes,
        ControlId::PssCapabilitiesRestricted => ControlId::PssCapabilitiesBaseline,
        ControlId::PssSeccompProfileRestricted => ControlId::PssSeccompProfileBaseline,
        ControlId::PssProcMountRestricted => ControlId::PssProcMount,
        _ => return Vec::new(),
    };
    let mut violations = Vec::new();
    for rule in all().filter(|rule| rule.id == baseline) {
        (rule.evaluate)(settings, pod, &mut violations);
    }
    violations.into_iter().map(|(path, _)| (baseline.control().severity, path)).collect()
}
