//! How many of the evaluated pods would notice a fault in our own controls. The judge is the compiled policy: a fault in
//! the evaluator is noticed when its answer is no longer what the API server answered.

use std::collections::BTreeSet;

use gabion::api::gabion::hardening_baseline::Tags;
use gabion::policy::Settings;
use gabion::policy::settings::Range;
use serde_json::Value;

use crate::{
    fields::set,
    mutation::{has_details, without},
    ours,
    pods::GROUPS,
};

/// A pod and every control that the API server named for it.
type Evaluated = (Value, BTreeSet<String>);
/// The faulty evaluator's answer; `None` where it cannot differ.
type Fault = (String, Box<dyn Fn(&Value) -> Option<BTreeSet<String>>>);

/// A part of the settings.
type Part<T> = fn(&mut Settings) -> &mut T;

const POD_FIELDS: [&[&str]; 8] = [
    &["automountServiceAccountToken"],
    &["volumes"],
    &["resources"],
    &["securityContext", "fsGroup"],
    &["securityContext", "runAsGroup"],
    &["securityContext", "runAsUser"],
    &["securityContext", "seccompProfile"],
    &["securityContext", "supplementalGroups"],
];
const CONTAINER_FIELDS: [&[&str]; 10] = [
    &["env"],
    &["envFrom"],
    &["image"],
    &["ports"],
    &["resources"],
    &["securityContext", "readOnlyRootFilesystem"],
    &["securityContext", "runAsGroup"],
    &["securityContext", "runAsUser"],
    &["securityContext", "seccompProfile"],
    &["volumeMounts"],
];

/// The settings with something changed, each with what it is.
fn altered(settings: &Settings) -> Vec<(String, Settings)> {
    let mut all = Vec::new();
    let mut with = |what: String, change: &dyn Fn(&mut Settings)| {
        let mut other = settings.clone();
        change(&mut other);
        all.push((what, other));
    };
    let ranges: [(&str, Part<Option<Range>>); 3] = [
        ("runAsUser", |s| &mut s.user_ids),
        ("runAsGroup", |s| &mut s.group_ids),
        ("fsGroup", |s| &mut s.fs_groups),
    ];
    for (name, range) in ranges {
        for step in [-1, 1] {
            let moved = |s: &mut Settings, end: fn(&mut Range) -> &mut i64| {
                if let Some(range) = range(s).as_mut() {
                    *end(range) += step;
                }
            };
            with(format!("least {name} off by {step}"), &|s| moved(s, |range| &mut range.min));
            with(format!("largest {name} off by {step}"), &|s| moved(s, |range| &mut range.max));
        }
    }
    for step in [-1, 1] {
        with(format!("least port off by {step}"), &|s| {
            s.min_container_port = s.min_container_port.map(|port| port + step);
        });
    }
    let lists: [(&str, Part<Vec<String>>); 4] = [
        ("registry", |s| &mut s.allowed_registries),
        ("repository", |s| &mut s.denied_repositories),
        ("profile", |s| &mut s.seccomp_profiles),
        ("variable", |s| &mut s.required_env),
    ];
    for (name, list) in lists {
        for nth in 0..list(&mut settings.clone()).len() {
            with(format!("one {name} is another: {nth}"), &|s| list(s)[nth] += "-other");
        }
    }
    for (nth, required) in settings.required_resources.iter().enumerate() {
        with(format!("does not require {}", required.as_str()), &|s| {
            s.required_resources.remove(nth);
        });
    }
    for tags in [Tags::Any, Tags::RequireDigest] {
        with(format!("tags: {tags}"), &|s| s.tags = tags);
    }
    all
}

fn faults(settings: &Settings) -> Vec<Fault> {
    let mut faults: Vec<Fault> = Vec::new();
    for (what, other) in altered(settings) {
        faults.push((what, Box::new(move |pod| Some(ours::found_controls(&other, pod)))));
    }
    let mut blind = |name: String, take: Box<dyn Fn(&mut Value)>| {
        let settings = settings.clone();
        let evaluate = move |pod: &Value| {
            without(pod, &take).map(|less| ours::found_controls(&settings, &less))
        };
        faults.push((format!("blind to {name}"), Box::new(evaluate)));
    };
    for path in POD_FIELDS {
        let whole = [&["spec"], path].concat();
        blind(whole.join("."), Box::new(move |pod| set(pod, &whole, None)));
    }
    for path in CONTAINER_FIELDS {
        blind(
            format!("container {}", path.join(".")),
            Box::new(move |pod| {
                for group in GROUPS {
                    let list = pod["spec"].get_mut(group).and_then(Value::as_array_mut);
                    for container in list.into_iter().flatten() {
                        set(container, path, None);
                    }
                }
            }),
        );
    }
    for group in ["initContainers", "containers"] {
        blind(group.to_owned(), Box::new(move |pod| set(pod, &["spec", group], None)));
        blind(
            format!("{group} after the first"),
            Box::new(move |pod| {
                if let Some(list) = pod["spec"].get_mut(group).and_then(Value::as_array_mut) {
                    list.truncate(1);
                }
            }),
        );
    }
    faults
}

/// Prints the score; the faults that nothing noticed.
pub fn score(settings: &Settings, evaluated: &[&Evaluated]) -> Vec<String> {
    let (mut survivors, mut all) = (Vec::new(), 0);
    let mut count = |name: String, noticed: usize| {
        all += 1;
        if has_details() {
            say!("{noticed:6} of {} pods notice: {name}", evaluated.len());
        }
        if noticed == 0 {
            say!("survives: {name}");
            survivors.push(name);
        }
    };
    let ids = gabion::policy::rules::asked(settings).map(|(rule, _)| rule.id.as_str());
    for id in ids.filter(|id| id.starts_with("HB-")) {
        count(
            format!("drop {id}"),
            evaluated.iter().filter(|(_, named)| named.contains(id)).count(),
        );
        let alone = evaluated.iter().filter(|(_, named)| named.iter().all(|other| other == id));
        count(format!("invert {id}"), alone.count());
    }
    let enough = if has_details() { usize::MAX } else { 10 };
    for (name, evaluate) in faults(settings) {
        let notices = evaluated
            .iter()
            .filter(|(pod, named)| evaluate(pod).is_some_and(|found| found != *named));
        count(name, notices.take(enough).count());
    }
    say!(
        "mutation score of our own controls: {} of {all} faults are noticed",
        all - survivors.len()
    );
    survivors
}
