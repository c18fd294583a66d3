//! API versions that are gone, deprecated, not yet there, or served only where somebody enables them.

use super::types::{Kind, TYPES};
use crate::check::object::{Object, short};
use crate::check::schema::is_near;
use crate::policy::ControlId;
use crate::policy::FieldPath;
use crate::policy::Finding;
use crate::policy::Severity;

/// What API servers served before the versions that are known, and the minor version that serves it no longer. A kind
/// that is named stands before the rest of its version.
const REMOVED: [(&str, &str, u32); 34] = [
    ("extensions/v1beta1", "Ingress", 22),
    ("extensions/v1beta1", "", 16),
    ("apps/v1beta1", "", 16),
    ("apps/v1beta2", "", 16),
    ("admissionregistration.k8s.io/v1beta1", "MutatingWebhookConfiguration", 22),
    ("admissionregistration.k8s.io/v1beta1", "ValidatingWebhookConfiguration", 22),
    ("apiextensions.k8s.io/v1beta1", "", 22),
    ("apiregistration.k8s.io/v1beta1", "", 22),
    ("authentication.k8s.io/v1beta1", "TokenReview", 22),
    ("authorization.k8s.io/v1beta1", "", 22),
    ("certificates.k8s.io/v1beta1", "CertificateSigningRequest", 22),
    ("coordination.k8s.io/v1beta1", "Lease", 22),
    ("networking.k8s.io/v1beta1", "Ingress", 22),
    ("networking.k8s.io/v1beta1", "IngressClass", 22),
    ("rbac.authorization.k8s.io/v1beta1", "", 22),
    ("rbac.authorization.k8s.io/v1alpha1", "", 23),
    ("scheduling.k8s.io/v1beta1", "PriorityClass", 22),
    ("scheduling.k8s.io/v1alpha1", "PriorityClass", 23),
    ("storage.k8s.io/v1beta1", "CSIDriver", 22),
    ("storage.k8s.io/v1beta1", "CSINode", 22),
    ("storage.k8s.io/v1beta1", "StorageClass", 22),
    ("storage.k8s.io/v1beta1", "VolumeAttachment", 22),
    ("storage.k8s.io/v1beta1", "CSIStorageCapacity", 27),
    ("batch/v2alpha1", "CronJob", 21),
    ("batch/v1beta1", "", 25),
    ("discovery.k8s.io/v1beta1", "", 25),
    ("events.k8s.io/v1beta1", "", 25),
    ("node.k8s.io/v1beta1", "", 25),
    ("policy/v1beta1", "", 25),
    ("autoscaling/v2beta1", "", 25),
    ("autoscaling/v2beta2", "", 26),
    ("networking.k8s.io/v1alpha1", "ClusterCIDR", 29),
    ("flowcontrol.apiserver.k8s.io/v1beta2", "", 29),
    ("flowcontrol.apiserver.k8s.io/v1beta3", "", 32),
];

/// Kinds that are served and should no longer be used: since when, and what to use.
const DEPRECATED: [(&str, &str, &str); 2] = [
    ("/v1/Endpoints", "1.33", "write an EndpointSlice of discovery.k8s.io/v1"),
    ("/v1/ComponentStatus", "1.19", "ask /readyz of the API server"),
];

/// What to say of the version of an object, if it is one of Kubernetes.
pub(super) fn evaluate(object: &Object<'_>, minor: u32) -> Option<Finding> {
    let key = key(object);
    match TYPES.kinds.get(key.as_str()) {
        Some(kind) if kind.span.holds(minor) => served(object, &key, *kind),
        Some(kind) => Some(outside(object, *kind, minor)),
        None => unserved(object, minor),
    }
}

/// `group/version/Kind`.
pub(super) fn key(object: &Object<'_>) -> String {
    format!("{}/{}/{}", object.group(), version(object), object.kind)
}

fn version<'v>(object: &Object<'v>) -> &'v str {
    object.api_version.rsplit('/').next().unwrap_or_default()
}

fn found(message: String, remedy: &str) -> Finding {
    let path = FieldPath::default().key("apiVersion");
    Finding::new(ControlId::HbApi, path, message).with_remedy(remedy)
}

fn name(object: &Object<'_>) -> String {
    format!("{} of {}", short(object.kind), short(object.api_version))
}

fn served(object: &Object<'_>, key: &str, kind: Kind) -> Option<Finding> {
    if let Some((_, since, remedy)) = DEPRECATED.iter().find(|(known, ..)| *known == key) {
        let message = format!("{} is deprecated since Kubernetes {since}", name(object));
        return Some(found(message, remedy).noted());
    }
    if kind.span.until < TYPES.newest {
        let message = format!("{} is gone in Kubernetes 1.{}", name(object), kind.span.until + 1);
        return Some(Finding {
            severity: Severity::Low,
            ..found(message, &replacement(object, TYPES.newest))
        });
    }
    is_preview(version(object)).then(|| {
        let message = format!("{} is served only by API servers that enable it", name(object));
        found(message, "make sure that the cluster serves it, with kubectl api-resources").noted()
    })
}

fn is_preview(version: &str) -> bool {
    version.contains("alpha") || version.contains("beta")
}

fn outside(object: &Object<'_>, kind: Kind, minor: u32) -> Finding {
    let (since, until) = (kind.span.since, kind.span.until);
    let message = if minor < since {
        format!("{} exists since Kubernetes 1.{since}, and this is for 1.{minor}", name(object))
    } else {
        format!("{} is gone since Kubernetes 1.{}", name(object), until + 1)
    };
    found(message, &replacement(object, minor))
}

/// What is said of a kind of a group of Kubernetes that is in no table.
fn unserved(object: &Object<'_>, minor: u32) -> Option<Finding> {
    let (group, kind) = (object.group(), object.kind);
    let is_own = |key: &str| key.rsplitn(3, '/').nth(2) == Some(group);
    if kind.ends_with("List") || (group.is_empty() && version(object).is_empty()) {
        return None;
    }
    let gone = REMOVED
        .iter()
        .find(|(api, known, _)| *api == object.api_version && (known.is_empty() || *known == kind));
    let remedy = replacement(object, minor);
    if let Some((.., gone)) = gone {
        return Some(found(format!("{} is gone since Kubernetes 1.{gone}", name(object)), &remedy));
    }
    let mut own = TYPES.kinds.keys().filter(|key| is_own(key)).peekable();
    own.peek()?;
    let near = own.find(|key| is_near(kind_of(key), kind) && kind_of(key) != kind);
    let message = format!("no known version of Kubernetes serves {}", name(object));
    match near {
        _ if TYPES.kinds.keys().any(|key| kind_of(key) == kind) => Some(found(message, &remedy)),
        Some(near) => {
            let remedy = format!("write kind: {}", kind_of(near));
            Some(found(message, &remedy))
        }
        // Others have kinds without a group, too: kubeconfigs, OpenShift.
        None if group.is_empty() => None,
        None => Some(found(message, &remedy)),
    }
}

fn kind_of(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or_default()
}

/// What to write in place of a version: of the same group if it is there, and a stable one if there is one.
fn replacement(object: &Object<'_>, minor: u32) -> String {
    let group = object.group();
    let same = TYPES
        .kinds
        .iter()
        .filter(|(key, kind)| kind_of(key) == object.kind && kind.span.holds(minor));
    let apis = same.filter_map(|(key, _)| key.rsplit_once('/').map(|(api, _)| api));
    let best = apis.max_by_key(|api| {
        let (own, version) = api.rsplit_once('/').unwrap_or_default();
        (own == group, !is_preview(version), own != "events.k8s.io", version.to_owned())
    });
    best.map_or_else(
        || "remove the object: no API server serves this kind any more".to_owned(),
        |api| format!("write apiVersion: {}, and compare the fields", api.trim_start_matches('/')),
    )
}
