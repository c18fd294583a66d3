//! What the page keeps of an object. Everything else is dropped at the door: annotations, labels, templates,
//! `last-applied`. What is not in these lists can be shown by no page.

use serde_json::{Map, Value};

use crate::survey::Kind;
use crate::text::shortened;

/// Longest text of one field that is kept.
const MAX_TEXT: usize = 1024;
/// Most entries of one list that are kept.
const MAX_ENTRIES: usize = 64;

/// Fields of every object.
const COMMON: &[&str] = &[
    "/metadata/namespace",
    "/metadata/name",
    "/metadata/uid",
    "/metadata/creationTimestamp",
    "/metadata/deletionTimestamp",
];
/// Fields of one condition.
const CONDITION: &[&str] = &["type", "status", "reason", "message", "lastTransitionTime"];

/// Fields of a kind: single values.
const fn fields(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::ExternalSecret => &[
            "/spec/secretStoreRef/name",
            "/spec/secretStoreRef/kind",
            "/spec/refreshInterval",
            "/spec/refreshPolicy",
            "/status/refreshTime",
        ],
        Kind::SecretStore | Kind::ClusterSecretStore => &["/spec/controller"],
        Kind::HardeningBaseline => &[
            "/spec/enforcement/stage",
            "/status/level",
            "/status/stage",
            "/status/policyRevision",
            "/status/pinnedVersion",
            "/status/namespaces/selected",
            "/status/namespaces/applied",
            "/status/namespaces/held",
            "/status/violations",
            "/status/exceptions/requested",
            "/status/exceptions/active",
            "/status/exceptions/expiringSoon",
            "/status/nextPromotionAfter",
            "/status/heldCount",
            "/status/conflictCount",
        ],
        Kind::NamespaceHardening => {
            &["/status/level", "/status/stage", "/status/heldCount", "/status/conflictCount"]
        }
    }
}

/// Lists of a kind: where, and which fields of an entry. No field: the entries are texts.
const fn lists(kind: Kind) -> &'static [(&'static str, &'static [&'static str])] {
    match kind {
        Kind::HardeningBaseline => &[
            ("/status/conditions", CONDITION),
            ("/status/topViolators", &["namespace", "violations"]),
            ("/status/conflicts", &["namespace", "object", "manager"]),
        ],
        Kind::NamespaceHardening => &[
            ("/status/conditions", CONDITION),
            ("/status/baselines", &["name", "priority", "stage"]),
            ("/status/held", &[]),
            ("/status/conflicts", &["object", "manager", "message"]),
        ],
        Kind::ExternalSecret | Kind::SecretStore | Kind::ClusterSecretStore => {
            &[("/status/conditions", CONDITION)]
        }
    }
}

/// A plain value, cut if it is long. No object and no list.
fn plain(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => Some(Value::String(shortened(text, MAX_TEXT))),
        Value::Bool(_) | Value::Number(_) => Some(value.clone()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn put(into: &mut Map<String, Value>, pointer: &str, value: Value) {
    let (first, rest) = pointer.trim_start_matches('/').split_once('/').unwrap_or((pointer, ""));
    let first = first.trim_start_matches('/');
    if rest.is_empty() {
        into.insert(first.to_owned(), value);
    } else if let Value::Object(inner) =
        into.entry(first.to_owned()).or_insert_with(|| Value::Object(Map::new()))
    {
        put(inner, rest, value);
    }
}

fn entry(value: &Value, fields: &[&str]) -> Option<Value> {
    if fields.is_empty() {
        return plain(value);
    }
    let kept =
        fields.iter().filter_map(|field| Some(((*field).to_owned(), plain(&value[*field])?)));
    Some(Value::Object(kept.collect()))
}

/// What is kept of an object.
pub(super) fn slim(kind: Kind, object: &Value) -> Value {
    let mut kept = Map::new();
    for pointer in COMMON.iter().chain(fields(kind)) {
        if let Some(value) = object.pointer(pointer).and_then(plain) {
            put(&mut kept, pointer, value);
        }
    }
    for (pointer, fields) in lists(kind) {
        let Some(list) = object.pointer(pointer).and_then(Value::as_array) else { continue };
        let entries = list.iter().filter_map(|value| entry(value, fields)).take(MAX_ENTRIES);
        put(&mut kept, pointer, Value::Array(entries.collect()));
    }
    // That there are windows matters, and not which.
    if object.pointer("/spec/syncWindows").is_some_and(|windows| !windows.is_null()) {
        put(&mut kept, "/spec/syncWindows", Value::Bool(true));
    }
    if matches!(kind, Kind::SecretStore | Kind::ClusterSecretStore) {
        let provider = object.pointer("/spec/provider").and_then(Value::as_object);
        if let Some(name) = provider.and_then(|provider| provider.keys().next()) {
            put(&mut kept, "/spec/provider", Value::String(shortened(name, 64)));
        }
    }
    Value::Object(kept)
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};
    use serde_json::json;

    use super::*;
    use crate::survey::{self, Settings, Stores};

    /// An object with a canary in each place where a value could be.
    fn full() -> Value {
        let canary = "canary-7d1f";
        json!({
            "apiVersion": "external-secrets.io/v1",
            "metadata": {
                "name": "app", "namespace": "shop", "uid": "1", "creationTimestamp": "2026-01-01T00:00:00Z",
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": canary, "a": canary},
                "labels": {"a": canary}, "managedFields": [{"manager": canary}], "finalizers": [canary],
            },
            "data": {"password": canary},
            "spec": {
                "secretStoreRef": {"name": "aws", "other": canary}, "refreshInterval": "1h",
                "target": {"template": {"data": {"x": canary}, "metadata": {"annotations": {"a": canary}}}},
                "syncWindows": [{"schedule": canary}],
                "provider": {"aws": {"auth": {"secret": canary}}},
            },
            "status": {
                "refreshTime": "2026-01-01T00:00:00Z", "binding": {"name": canary}, "previous": [{"value": canary}],
                "conditions": [{"type": "Ready", "status": "True", "reason": "SecretSynced", "extra": canary,
                    "lastTransitionTime": "2026-01-01T00:00:00Z"}],
                "held": ["quota"], "conflicts": [{"object": "a", "manager": "b", "message": "c", "value": canary}],
            },
        })
    }

    #[test]
    fn nothing_but_the_listed_fields_passes_and_the_survey_says_the_same() {
        for kind in Kind::ALL {
            let (whole, kept) = (full(), slim(kind, &full()));
            assert!(!kept.to_string().contains("canary"), "{kind:?}: {kept}");
            let settings = Settings {
                now: "2026-01-01T00:30:00Z".parse::<Timestamp>().unwrap(),
                heartbeat: SignedDuration::from_mins(15),
                class: "default".to_owned(),
            };
            let row = |object| survey::row(kind, object, &settings, &mut Stores::default()).json();
            assert_eq!(row(&whole), row(&kept), "{kind:?}");
        }
    }

    #[test]
    fn an_object_is_kept_small_however_large_it_is() {
        let mut object = full();
        object["status"]["conditions"] = (0..1000)
            .map(|_| json!({"type": "Ready", "message": "x".repeat(5000)}))
            .collect::<Vec<_>>()
            .into();
        let kept = slim(Kind::ExternalSecret, &object);
        assert!(
            kept.to_string().len() < MAX_ENTRIES * (MAX_TEXT + 100),
            "{}",
            kept.to_string().len()
        );
        let ordinary = slim(Kind::ExternalSecret, &full());
        assert!(ordinary.to_string().len() <= 600, "{ordinary}");
    }
}
