//! What the hardening guide asks of security contexts, resources and ports.

use super::super::controls::ControlId;
use super::super::literal::{all_of, bound, text as literal, texts};
use super::super::settings::{Range, Settings};
use super::pod::{Pod, Violations, at, flag, list, number, text};
use super::{Cel, Over, Rule};
use crate::api::gabion::hardening_baseline::Verdict;
use crate::quantity::Quantity;

const WINDOWS: &str = "spec.?os.?name.orValue('') == 'windows'";

pub(super) static RULES: [Rule; 6] = [
    Rule {
        id: ControlId::HbRofs,
        when: |s| deny_if(s.read_only_root),
        evaluate: read_only_root,
        cel: |_| {
            Cel::each(Over::Containers, "own.?readOnlyRootFilesystem.orValue(false)")
                .unless(Some(WINDOWS))
        },
        remedy: None,
    },
    Rule {
        id: ControlId::HbUid,
        when: |s| deny_if(s.user_ids.is_some()),
        evaluate: |s, pod, violations| ids(s.user_ids, "runAsUser", pod, violations),
        cel: |s| ids_cel(s.user_ids, "runAsUser"),
        remedy: Some(|s| range_remedy("runAsUser", s.user_ids)),
    },
    Rule {
        id: ControlId::HbGid,
        when: |s| deny_if(s.group_ids.is_some()),
        evaluate: groups,
        cel: |s| {
            let more = s.group_ids.map(|range| {
                let inside = in_range("g", range);
                format!("whole.?supplementalGroups.orValue([]).all(g, {inside})")
            });
            Cel { pod: more, ..ids_cel(s.group_ids, "runAsGroup") }
        },
        remedy: Some(|s| range_remedy("runAsGroup", s.group_ids)),
    },
    Rule {
        id: ControlId::HbFsg,
        when: |s| deny_if(s.fs_groups.is_some()),
        evaluate: fs_group,
        cel: |s| {
            let Some(range) = s.fs_groups else { return Cel::default() };
            let group = "whole.?fsGroup";
            let inside = in_range(&format!("{group}.orValue({})", range.min), range);
            Cel::pod(inside)
        },
        remedy: Some(|s| range_remedy("fsGroup", s.fs_groups)),
    },
    Rule {
        id: ControlId::HbSeccompLocal,
        when: |s| deny_if(!s.seccomp_profiles.is_empty()),
        evaluate: local_profiles,
        cel: |s| {
            let listed = |of: &str| {
                let profile = format!("{of}.?seccompProfile.?localhostProfile");
                let names = s.seccomp_profiles.iter().map(String::as_str);
                format!("(!{profile}.hasValue() || {profile}.orValue('') in {})", texts(names))
            };
            Cel::pod(listed("whole")).and_each(Over::Containers, listed("own"))
        },
        remedy: None,
    },
    Rule {
        id: ControlId::HbRes,
        when: |s| deny_if(!s.required_resources.is_empty()),
        evaluate: resources,
        cel: |s| Cel::each(Over::Lasting, resources_cel(s)),
        remedy: Some(|s| {
            let names: Vec<_> = s.required_resources.iter().map(|r| r.as_str()).collect();
            format!("set resources.{} in every container", names.join(", "))
        }),
    },
];

pub(super) fn deny_if(asked: bool) -> Verdict {
    if asked { Verdict::Deny } else { Verdict::Ignore }
}

fn read_only_root(_: &Settings, pod: &Pod<'_>, violations: &mut Violations) {
    const KEYS: [&str; 2] = ["securityContext", "readOnlyRootFilesystem"];
    if pod.windows() {
        return;
    }
    for c in pod.containers.iter().filter(|c| flag(c.value, &KEYS) != Some(true)) {
        let message = format!("{} can write to its root filesystem", c.called());
        violations.push((c.path.keys(&KEYS), message));
    }
}

fn range_remedy(field: &str, range: Option<Range>) -> String {
    let Some(Range { min, max }) = range else { return String::new() };
    format!("set securityContext.{field} to an id from {min} to {max}")
}

fn in_range(value: &str, range: Range) -> String {
    format!("({value} >= {} && {value} <= {})", range.min, range.max)
}

impl Range {
    fn holds(self, id: i64) -> bool {
        (self.min..=self.max).contains(&id)
    }
}

/// The id that a container runs with must be stated, by it or by the pod, and lie in the range.
fn ids(range: Option<Range>, key: &str, pod: &Pod<'_>, violations: &mut Violations) {
    let Some(range) = range else { return };
    if pod.windows() {
        return;
    }
    let keys = ["securityContext", key];
    let whole = number(pod.spec(), &keys);
    for c in &pod.containers {
        let own = number(c.value, &keys);
        let message = match own.or(whole) {
            Some(id) if range.holds(id) => continue,
            Some(id) => format!("{} has {key} {id}", c.called()),
            None => format!("neither the pod nor {} sets {key}", c.called()),
        };
        let from_pod = own.is_none() && whole.is_some();
        let path = if from_pod { pod.path(&keys) } else { c.path.keys(&keys) };
        violations.push((path, format!("{message}; allowed is {} to {}", range.min, range.max)));
    }
}

fn ids_cel(range: Option<Range>, key: &str) -> Cel {
    let Some(range) = range else { return Cel::default() };
    // Zero is in no range: an id that nobody states is refused.
    let id = format!("own.?{key}.or(whole.?{key}).orValue(0)");
    Cel::each(Over::Containers, in_range(&id, range)).unless(Some(WINDOWS))
}

fn groups(settings: &Settings, pod: &Pod<'_>, violations: &mut Violations) {
    const MORE: [&str; 2] = ["securityContext", "supplementalGroups"];
    ids(settings.group_ids, "runAsGroup", pod, violations);
    let Some(range) = settings.group_ids.filter(|_| !pod.windows()) else { return };
    for (index, group) in list(pod.spec(), &MORE).iter().enumerate() {
        if !group.as_i64().is_some_and(|id| range.holds(id)) {
            let message = format!("the pod has the supplemental group {group}");
            violations.push((pod.path(&MORE).index(index), message));
        }
    }
}

fn fs_group(settings: &Settings, pod: &Pod<'_>, violations: &mut Violations) {
    const KEYS: [&str; 2] = ["securityContext", "fsGroup"];
    let Some(range) = settings.fs_groups else { return };
    if let Some(id) = number(pod.spec(), &KEYS).filter(|id| !range.holds(*id)) {
        let message =
            format!("the pod has fsGroup {id}; allowed is {} to {}", range.min, range.max);
        violations.push((pod.path(&KEYS), message));
    }
}

fn local_profiles(settings: &Settings, pod: &Pod<'_>, violations: &mut Violations) {
    const KEYS: [&str; 3] = ["securityContext", "seccompProfile", "localhostProfile"];
    let listed = |profile: &str| settings.seccomp_profiles.iter().any(|known| known == profile);
    if let Some(profile) = text(pod.spec(), &KEYS).filter(|profile| !listed(profile)) {
        let message = format!("the pod uses the seccomp profile {profile:?}");
        violations.push((pod.path(&KEYS), message));
    }
    for c in &pod.containers {
        if let Some(profile) = text(c.value, &KEYS).filter(|profile| !listed(profile)) {
            let message = format!("{} uses the seccomp profile {profile:?}", c.called());
            violations.push((c.path.keys(&KEYS), message));
        }
    }
}

/// Whether an amount is stated: zero, which means "no limit", does not count.
fn stated(amount: Option<&serde_json::Value>) -> bool {
    let amount = match amount {
        Some(serde_json::Value::String(amount)) => amount.clone(),
        Some(serde_json::Value::Number(amount)) => amount.to_string(),
        _ => return false,
    };
    Quantity::parse(amount.trim()).is_some_and(|amount| amount > Quantity::ZERO)
}

fn resources(settings: &Settings, pod: &Pod<'_>, violations: &mut Violations) {
    for c in pod.lasting() {
        for required in &settings.required_resources {
            let Some((section, name)) = required.as_str().split_once('.') else { continue };
            // A limit of the whole pod bounds each of its containers. A request that is absent is made equal to the
            // limit; requests of the whole pod do not count, for the API server fills them in by itself.
            let limit = at(c.value, &["resources", "limits", name])
                .or_else(|| at(pod.spec(), &["resources", "limits", name]));
            let amount = match section {
                "requests" => at(c.value, &["resources", "requests", name]).or(limit),
                _ => limit,
            };
            if !stated(amount) {
                let message = format!("{} states no {section}.{name}", c.called());
                violations.push((c.path.keys(&["resources", section, name]), message));
            }
        }
    }
}

/// An amount that begins with a digit other than zero is more than zero; only of others is the number read, which costs
/// more than all other rules.
fn resources_cel(settings: &Settings) -> String {
    let stated = settings.required_resources.iter().filter_map(|required| {
        let (section, name) = required.as_str().split_once('.')?;
        let name = literal(name);
        let limit = format!("limits[?{name}].or(spec.?resources.?limits[?{name}])");
        let amount = match section {
            "requests" => format!("requests[?{name}].or({limit})"),
            _ => limit,
        };
        let amount = format!("{amount}.orValue('0')");
        Some(format!("({amount} >= '1' || quantity({amount}).isGreaterThan(quantity('0')))"))
    });
    let stated = bound("limits", "c.?resources.?limits", &all_of(stated));
    bound("requests", "c.?resources.?requests", &stated)
}
