//! Quota and container defaults of a namespace.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Container, LimitRange, LimitRangeItem, LimitRangeSpec, Pod, PodSpec, ResourceQuota,
    ResourceQuotaSpec,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;

use super::baseline::Amounts;
use super::error::Error;
use super::merge::{Limits, Merged};
use super::objects::{LIMITS, QUOTA, marked};
use crate::api::gabion::schema::STATED;
use crate::quantity::Quantity;

/// The `LimitRange` that the baselines come to.
pub(crate) fn limit_range(merged: &Merged, namespace: &str) -> Option<LimitRange> {
    let limits = merged.limits.as_ref()?;
    let item = LimitRangeItem {
        type_: "Container".into(),
        default: written(&defaulted_limits(limits)),
        default_request: written(&defaulted_requests(limits)),
        max: written(&limits.max),
        ..LimitRangeItem::default()
    };
    Some(LimitRange {
        metadata: marked(namespace, LIMITS, &merged.limits_owners),
        spec: Some(LimitRangeSpec { limits: vec![item] }),
    })
}

/// The API server fills in a missing default limit from the maximum; saying so keeps the stored object equal
/// to ours.
fn defaulted_limits(limits: &Limits) -> Amounts {
    let mut filled = limits.max.clone();
    filled.extend(limits.defaults.clone());
    filled
}

/// The API server fills in a missing default request from the default limit.
fn defaulted_requests(limits: &Limits) -> Amounts {
    let mut filled = defaulted_limits(limits);
    filled.extend(limits.request_defaults.clone());
    filled
}

/// The quota that the baselines come to.
pub(crate) fn quota(merged: &Merged, namespace: &str) -> Option<ResourceQuota> {
    (!merged.quota.is_empty()).then(|| ResourceQuota {
        metadata: marked(namespace, QUOTA, &merged.quota_owners),
        spec: Some(ResourceQuotaSpec {
            hard: written(&merged.quota),
            ..ResourceQuotaSpec::default()
        }),
        status: None,
    })
}

fn written(amounts: &Amounts) -> Option<BTreeMap<String, Written>> {
    (!amounts.is_empty())
        .then(|| amounts.iter().map(|(k, v)| (k.clone(), Written(v.to_string()))).collect())
}

/// Why the quota must wait: resources of which more is in use than it would allow. A resource whose use is not
/// known does not hold it.
pub(crate) fn below_usage(hard: &Amounts, used: &Amounts) -> Option<Error> {
    let over: Vec<String> = hard
        .iter()
        .filter_map(|(name, hard)| {
            used.get(name).filter(|used| *used > hard).map(|used| (name, used, hard))
        })
        .map(|(name, used, hard)| format!("{name} used={used} hard={hard}"))
        .collect();
    (!over.is_empty()).then(|| Error::QuotaBelowUsage(over.join(", ")))
}

/// Adds what one pod uses, by the names that a quota has for it. A pod that has ended counts for nothing, as in
/// the API server's own quota.
pub(crate) fn add_pod(used: &mut Amounts, pod: &Pod) {
    let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or_default();
    if phase == "Succeeded" || phase == "Failed" {
        return;
    }
    add(used, "pods", Quantity::whole(1));
    add(used, "count/pods", Quantity::whole(1));
    let Some(spec) = &pod.spec else { return };
    for (limits, prefix) in [(true, "limits."), (false, "requests.")] {
        for (resource, amount) in pod_total(spec, limits) {
            add(used, &format!("{prefix}{resource}"), amount);
            if !limits && ["cpu", "memory", "ephemeral-storage"].contains(&resource.as_str()) {
                add(used, &resource, amount);
            }
        }
    }
}

fn add(used: &mut Amounts, name: &str, amount: Quantity) {
    let sum = used.get(name).copied().unwrap_or(Quantity::ZERO).plus(amount);
    used.insert(name.to_owned(), sum);
}

fn add_all(used: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        add(used, name, *amount);
    }
}

/// What is kept of a `LimitRange` of a user: what may keep pods out that have our defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserLimits(Vec<UserLimit>);

#[derive(Clone, Debug, Default, PartialEq)]
struct UserLimit {
    max: Amounts,
    min: Amounts,
    default: Amounts,
}

/// Entries of one `LimitRange` that are kept.
const MOST_LIMITS: usize = 8;

impl UserLimits {
    /// Boils a `LimitRange` down.
    pub(crate) fn of(range: &LimitRange) -> Self {
        let items = range.spec.iter().flat_map(|spec| &spec.limits);
        let concerned = items.filter(|item| ["Container", "Pod"].contains(&item.type_.as_str()));
        let amounts = |written: Option<&BTreeMap<String, Written>>| -> Amounts {
            read(written).into_iter().filter(|(name, _)| STATED.contains(&name.as_str())).collect()
        };
        let limit = |item: &LimitRangeItem| UserLimit {
            max: amounts(item.max.as_ref()),
            min: amounts(item.min.as_ref()),
            default: amounts(item.default.as_ref()),
        };
        Self(concerned.take(MOST_LIMITS).map(limit).collect())
    }

    /// Whether there is nothing to remember.
    pub(crate) fn is_nothing(&self) -> bool {
        self.0.is_empty()
    }
}

/// Which `LimitRange` of a user refuses what ours fills in, or the other way round.
pub(crate) fn excluding(merged: &Merged, users: &[(String, UserLimits)]) -> Vec<Error> {
    let Some(limits) = &merged.limits else { return Vec::new() };
    let (given, requested) = (defaulted_limits(limits), defaulted_requests(limits));
    let above = |ours: &Amounts, theirs: &Amounts, what: &str| {
        let over = |(name, most): (&String, &Quantity)| {
            let ours = ours.get(name).filter(|ours| *ours > most)?;
            Some(format!("{name}: {what} ({ours} and {most})"))
        };
        theirs.iter().find_map(over)
    };
    let problem = |(name, theirs): &(String, UserLimits)| {
        let why = theirs.0.iter().find_map(|item| {
            above(&given, &item.max, "our default limit is above its maximum")
                .or_else(|| {
                    above(&item.default, &limits.max, "its default limit is above our maximum")
                })
                .or_else(|| above(&item.min, &limits.max, "its minimum is above our maximum"))
                .or_else(|| {
                    above(&item.min, &requested, "its minimum is above our default request")
                })
        });
        why.map(|why| Error::LimitsExclude { object: format!("LimitRange/{name}"), why })
    };
    users.iter().filter_map(problem).collect()
}

/// What one pod counts for: its containers and sidecars together, or its largest init container with the
/// sidecars started before it, whichever is more; plus its overhead.
fn pod_total(spec: &PodSpec, limits: bool) -> Amounts {
    let mut running = Amounts::new();
    let mut starting = Amounts::new();
    for container in spec.init_containers.iter().flatten() {
        let own = stated(container, limits);
        if container.restart_policy.as_deref() == Some("Always") {
            add_all(&mut running, &own);
            raise(&mut starting, &running);
        } else {
            let mut together = running.clone();
            add_all(&mut together, &own);
            raise(&mut starting, &together);
        }
    }
    for container in &spec.containers {
        add_all(&mut running, &stated(container, limits));
    }
    raise(&mut running, &starting);
    // What the pod states as a whole stands for what its containers state.
    if let Some(whole) = &spec.resources {
        let stated = if limits { whole.limits.as_ref() } else { whole.requests.as_ref() };
        running.extend(read(stated));
    }
    for (name, amount) in spec.overhead.iter().flatten() {
        if let Some(amount) = Quantity::parse(&amount.0)
            && (!limits || running.contains_key(name))
        {
            add(&mut running, name, amount);
        }
    }
    running
}

fn raise(amounts: &mut Amounts, least: &Amounts) {
    for (name, amount) in least {
        let entry = amounts.entry(name.clone()).or_insert(*amount);
        *entry = (*entry).max(*amount);
    }
}

fn stated(container: &Container, limits: bool) -> Amounts {
    let resources = container.resources.as_ref();
    let stated =
        resources.and_then(|r| if limits { r.limits.as_ref() } else { r.requests.as_ref() });
    read(stated)
}

fn read(stated: Option<&BTreeMap<String, Written>>) -> Amounts {
    let read =
        |(name, amount): (&String, &Written)| Quantity::parse(&amount.0).map(|q| (name.clone(), q));
    stated.into_iter().flatten().filter_map(read).collect()
}

/// Resources that a quota counts and a pod may leave out: those for which the quota refuses every pod that does.
/// The `LimitRange` fills them in, unless it has no default either.
pub(crate) fn unstated(merged: &Merged) -> Vec<String> {
    let nothing = Limits::default();
    let limits = merged.limits.as_ref().unwrap_or(&nothing);
    let (given_limits, given_requests) = (defaulted_limits(limits), defaulted_requests(limits));
    let is_missing = |name: &&String| {
        let (of_limits, resource) = match name.split_once('.') {
            Some(("limits", resource)) => (true, resource),
            Some(("requests", resource)) => (false, resource),
            _ => (false, name.as_str()),
        };
        let computed = ["cpu", "memory", "ephemeral-storage"].contains(&resource);
        let given = if of_limits { &given_limits } else { &given_requests };
        computed && !given.contains_key(resource)
    };
    merged.quota.keys().filter(is_missing).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn amounts(pairs: &[(&str, &str)]) -> Amounts {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), Quantity::parse(v).expect("quantity")))
            .collect()
    }

    fn pod(spec: &Value, phase: &str) -> Pod {
        serde_json::from_value(
            json!({ "metadata": {}, "spec": spec, "status": { "phase": phase } }),
        )
        .expect("a pod")
    }

    #[test]
    fn a_quota_below_usage_is_held_with_the_resource_and_both_amounts() {
        let hard = amounts(&[("limits.memory", "64Gi"), ("pods", "20")]);
        let used = amounts(&[("limits.memory", "80Gi"), ("pods", "3")]);
        let held = below_usage(&hard, &used).expect("held").to_string();
        assert!(
            held.contains("limits.memory used=80Gi hard=64Gi") && !held.contains("pods"),
            "{held}"
        );
        assert_eq!(below_usage(&hard, &amounts(&[("limits.memory", "64Gi")])), None);
    }

    #[test]
    fn usage_counts_what_the_api_server_would_charge() {
        let memory = |amount: &str| json!({ "limits": { "memory": amount }, "requests": { "memory": amount } });
        let pods = [
            pod(
                &json!({ "containers": [{ "name": "a", "resources": memory("1Gi") }, { "name": "b", "resources": memory("512Mi") }],
                "initContainers": [
                    { "name": "sidecar", "restartPolicy": "Always", "resources": memory("1Gi") },
                    { "name": "setup", "resources": memory("4Gi") }] }),
                "Running",
            ),
            pod(&json!({ "containers": [{ "name": "a" }] }), "Pending"),
            pod(
                &json!({ "containers": [{ "name": "a", "resources": memory("100Gi") }] }),
                "Succeeded",
            ),
        ];
        let mut used = Amounts::new();
        for pod in &pods {
            add_pod(&mut used, pod);
        }
        assert_eq!(used["pods"], Quantity::whole(2));
        assert_eq!(
            used["limits.memory"].to_string(),
            "5Gi",
            "the init container beside the sidecar is more"
        );
        assert_eq!(used["memory"], used["requests.memory"]);
    }

    #[test]
    fn g_a_limit_range_of_the_team_that_ours_cannot_live_with_is_named() {
        let limits = Limits { defaults: amounts(&[("memory", "256Mi")]), ..Limits::default() };
        let merged = Merged { limits: Some(limits), ..Merged::default() };
        let theirs = |kind: &str, most: &str| {
            let range = json!({ "metadata": {}, "spec": { "limits": [{ "type": kind, "max": { "memory": most } }] } });
            let range = serde_json::from_value(range).expect("a LimitRange");
            [("team".to_owned(), UserLimits::of(&range))]
        };
        for (kind, most, excluded) in [
            ("Pod", "100Mi", true),
            ("Container", "100Mi", true),
            ("Pod", "256Mi", false),
            ("PersistentVolumeClaim", "1Mi", false),
        ] {
            let found = excluding(&merged, &theirs(kind, most));
            assert_eq!(found.len(), usize::from(excluded), "{kind} {most}");
            for found in found {
                let text = found.to_string();
                for word in ["LimitRange/team", "memory", "256Mi", "100Mi"] {
                    assert!(text.contains(word), "{word}: {text}");
                }
            }
        }
    }

    #[test]
    fn i_amounts_of_the_pod_stand_for_those_of_its_containers() {
        let whole = pod(
            &json!({ "resources": { "requests": { "memory": "1Gi" } },
                "containers": [{ "name": "a", "resources": { "requests": { "memory": "100Mi", "cpu": "1" } } }] }),
            "Running",
        );
        let mut used = Amounts::new();
        add_pod(&mut used, &whole);
        assert_eq!(used["requests.memory"].to_string(), "1Gi");
        assert_eq!(used["requests.cpu"].to_string(), "1");
        let held = below_usage(&amounts(&[("requests.memory", "512Mi")]), &used).expect("held");
        assert!(held.to_string().contains("used=1Gi hard=512Mi"), "{held}");
    }

    #[test]
    fn f_a_quota_names_what_pods_must_state_and_nothing_fills_in() {
        let limits = Limits { defaults: amounts(&[("memory", "1Gi")]), ..Limits::default() };
        let quota =
            amounts(&[("cpu", "4"), ("limits.memory", "8Gi"), ("memory", "8Gi"), ("pods", "5")]);
        let merged = Merged { quota, limits: Some(limits), ..Merged::default() };
        assert_eq!(unstated(&merged), ["cpu"]);
    }

    #[test]
    fn what_the_api_server_would_fill_in_is_said() {
        let limits = Limits {
            request_defaults: amounts(&[("cpu", "100m")]),
            defaults: amounts(&[("memory", "512Mi")]),
            max: amounts(&[("memory", "1Gi"), ("cpu", "2")]),
        };
        let merged = Merged { limits: Some(limits), ..Merged::default() };
        let range =
            limit_range(&merged, "shop").and_then(|range| range.spec).expect("a LimitRange");
        assert_eq!(
            serde_json::to_value(&range.limits[0]).expect("JSON"),
            json!({ "type": "Container", "max": { "cpu": "2", "memory": "1Gi" },
                "default": { "cpu": "2", "memory": "512Mi" }, "defaultRequest": { "cpu": "100m", "memory": "512Mi" } })
        );
    }
}
