//! Quota and container defaults of a namespace.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    LimitRange, LimitRangeItem, LimitRangeSpec, ResourceQuota, ResourceQuotaSpec,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;

use super::amounts::read;
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
pub(super) fn defaulted_limits(limits: &Limits) -> Amounts {
    let mut filled = limits.max.clone();
    filled.extend(limits.defaults.clone());
    filled
}

/// The API server fills in a missing default request from the default limit.
pub(super) fn defaulted_requests(limits: &Limits) -> Amounts {
    let mut filled = defaulted_limits(limits);
    filled.extend(limits.request_defaults.clone());
    filled
}

/// The quota that the baselines come to, as far as it can be in force.
pub(crate) fn quota(merged: &Merged, hard: &Amounts, namespace: &str) -> Option<ResourceQuota> {
    (!hard.is_empty()).then(|| ResourceQuota {
        metadata: marked(namespace, QUOTA, &merged.quota_owners),
        spec: Some(ResourceQuotaSpec { hard: written(hard), ..ResourceQuotaSpec::default() }),
        status: None,
    })
}

fn written(amounts: &Amounts) -> Option<BTreeMap<String, Written>> {
    (!amounts.is_empty())
        .then(|| amounts.iter().map(|(k, v)| (k.clone(), Written(v.to_string()))).collect())
}

/// What is kept of a `LimitRange` of a user: what may keep pods out that have our defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserLimits(pub(super) Vec<UserLimit>);

/// One entry of a `LimitRange` of a user.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct UserLimit {
    /// Whether it is about whole pods, and not about their containers.
    pub(super) of_pods: bool,
    pub(super) max: Amounts,
    pub(super) min: Amounts,
    pub(super) default: Amounts,
    pub(super) default_request: Amounts,
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
            of_pods: item.type_ == "Pod",
            max: amounts(item.max.as_ref()),
            min: amounts(item.min.as_ref()),
            default: amounts(item.default.as_ref()),
            default_request: amounts(item.default_request.as_ref()),
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

/// A resource that a quota counts by the requests or limits of pods: whether by limits, and which. Only of these does
/// it demand that every container states them.
pub(super) fn demanded(name: &str) -> Option<(bool, &str)> {
    let (of_limits, resource) = match name.split_once('.') {
        Some(("limits", resource)) => (true, resource),
        Some(("requests", resource)) => (false, resource),
        _ => (false, name),
    };
    ["cpu", "memory"].contains(&resource).then_some((of_limits, resource))
}

/// Resources that a quota counts and a pod may leave out: those for which the quota refuses every pod that does.
/// The `LimitRange` fills them in, unless it has no default either.
pub(crate) fn unstated(merged: &Merged) -> Vec<String> {
    let nothing = Limits::default();
    let limits = merged.limits.as_ref().unwrap_or(&nothing);
    let (given_limits, given_requests) = (defaulted_limits(limits), defaulted_requests(limits));
    let is_missing = |name: &&String| {
        demanded(name).is_some_and(|(of_limits, resource)| {
            let given = if of_limits { &given_limits } else { &given_requests };
            !given.contains_key(resource)
        })
    };
    merged.quota.keys().filter(is_missing).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn amounts(pairs: &[(&str, &str)]) -> Amounts {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), Quantity::parse(v).expect("quantity")))
            .collect()
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
    fn f_a_quota_names_what_pods_must_state_and_nothing_fills_in() {
        let limits = Limits { defaults: amounts(&[("memory", "1Gi")]), ..Limits::default() };
        let quota =
            amounts(&[("cpu", "4"), ("limits.memory", "8Gi"), ("memory", "8Gi"), ("pods", "5")]);
        let merged = Merged { quota, limits: Some(limits), ..Merged::default() };
        assert_eq!(unstated(&merged), ["cpu"]);
        // The API server demands amounts of cpu and memory only.
        let quota =
            amounts(&[("limits.ephemeral-storage", "8Gi"), ("requests.nvidia.com/gpu", "1")]);
        assert_eq!(unstated(&Merged { quota, ..Merged::default() }), [""; 0]);
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
