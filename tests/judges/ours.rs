//! Our two judges: the evaluator in this process, and the policies that the same rules are compiled into.

use std::collections::{BTreeMap, BTreeSet};

use gabion::api::gabion::hardening_baseline::Level;
use gabion::api::gabion::hardening_baseline::Selector;
use gabion::api::gabion::hardening_baseline::Stage;
use gabion::api::gabion::hardening_baseline::Verdict;
use gabion::policy;
use gabion::policy::Control;
use gabion::policy::ControlId;
use gabion::policy::Finding;
use gabion::policy::PolicySet;
use gabion::policy::Scope;
use gabion::policy::Settings;
use gabion::policy::Subject;
use gabion::policy::WorkloadKind;
use gabion::policy::compile;
use gabion::policy::selection::Protected;
use gabion::policy::selection::Selection;
use gabion::policy::version::PssVersion;
use gabion::policy::waivers::Waiver;
use serde_json::Value;

use crate::{live::Answer, plugin::Bar};

/// The settings that are nothing but a level and version of the standards.
pub fn settings(bar: Bar) -> Settings {
    let level = if bar.level == "restricted" { Level::Restricted } else { Level::Baseline };
    Settings {
        pod_security: Some((level, PssVersion::Pinned(bar.minor))),
        templates: Verdict::Ignore,
        ..Settings::default()
    }
}

/// What the evaluator finds in a pod.
pub fn findings(settings: &Settings, pod: &Value) -> Vec<Finding> {
    policy::evaluate(settings, &Subject::of_kind(WorkloadKind::Pod, pod))
}

/// The controls that a pod breaks and is refused for, by the evaluator.
pub fn broken_controls(settings: &Settings, pod: &Value) -> BTreeSet<String> {
    let findings = findings(settings, pod);
    let refused = findings.iter().filter(|found| found.verdict == Verdict::Deny);
    refused.map(|found| found.control.id.to_string()).collect()
}

/// The checks that a pod fails, by the evaluator.
pub fn evaluate(bar: Bar, pod: &Value) -> BTreeSet<String> {
    let findings = findings(&settings(bar), pod);
    findings.iter().map(|found| check(found.control)).collect()
}

/// The check of the standards that a control is, or the control.
fn check(control: &Control) -> String {
    control.check.map_or_else(|| control.id.to_string(), str::to_owned)
}

/// The policies of these settings for namespaces with the label `bar: name`.
pub fn compiled(settings: &Settings, name: &str) -> PolicySet {
    compiled_with(settings, name, &[])
}

/// The same with exceptions in force.
pub fn compiled_with(settings: &Settings, name: &str, waivers: &[Waiver]) -> PolicySet {
    let labels: BTreeMap<_, _> = [("bar".to_owned(), name.to_owned())].into();
    let selector = Selector { match_labels: labels, ..Selector::default() };
    let scope = Scope {
        name: name.to_owned(),
        uid: "judges".into(),
        selection: Selection { selector, ..Selection::default() },
        protected: Protected::new("gabion-system", []),
        behind: BTreeSet::new(),
        waivers: waivers.to_vec(),
    };
    compile(settings, &scope, Stage::Enforce).expect("settings that some pod can hold")
}

/// Policies and bindings, each with the address to create it at.
pub fn objects(set: &PolicySet) -> Vec<(String, Value)> {
    let group = "/apis/admissionregistration.k8s.io/v1";
    let policies =
        set.policies.iter().map(|p| (format!("{group}/validatingadmissionpolicies"), p.clone()));
    let bindings = set
        .bindings
        .iter()
        .map(|b| (format!("{group}/validatingadmissionpolicybindings"), b.clone()));
    policies.chain(bindings).collect()
}

/// The controls that a refusal of ours names.
pub fn denied_controls(message: &str) -> Option<BTreeSet<String>> {
    let (_, text) = message.split_once("denied request: hardening baseline ")?;
    named_controls(text)
}

/// The controls that an answer names, in its refusal and in its warnings.
pub fn all_controls(answer: &Answer) -> BTreeSet<String> {
    let warned = answer
        .warnings
        .iter()
        .filter_map(|warning| named_controls(warning.split_once(": hardening baseline ")?.1));
    let warned = warned.flatten();
    if answer.is_yes() {
        return warned.collect();
    }
    let message = answer.message();
    let denied = denied_controls(&message).unwrap_or_else(|| BTreeSet::from([message]));
    warned.chain(denied).collect()
}

/// The controls that a pod breaks, by the evaluator.
pub fn found_controls(settings: &Settings, pod: &Value) -> BTreeSet<String> {
    let findings = findings(settings, pod);
    findings.iter().map(|found| found.control.id.to_string()).collect()
}

fn named_controls(text: &str) -> Option<BTreeSet<String>> {
    let (_, text) = text.split_once("): ")?;
    let ids = text.split("; ").filter_map(|part| part.split_once(": ")).map(|(id, _)| id);
    Some(ids.filter(|id| ControlId::parse(id).is_some()).map(str::to_owned).collect())
}

/// The checks of the standards that a refusal of ours names.
pub fn denied_checks(message: &str) -> Option<BTreeSet<String>> {
    let controls = denied_controls(message)?;
    let of =
        |id: &String| ControlId::parse(id).map_or_else(|| id.clone(), |id| check(id.control()));
    Some(controls.iter().map(of).collect())
}
