//! A workload as it is observed: whether it may be rolled, for which revisions its pods are, and how far it is.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde_json::Value;

use super::revision;

/// Field manager of rollouts.
pub(crate) const MANAGER: &str = "gabion-rollout";
const OPT_OUT: &str = "gabion.dev/rollout";

/// Kinds that an ExternalSecret may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Deployment,
    StatefulSet,
    DaemonSet,
    /// Nothing to do: its next run reads the new data.
    CronJob,
}

impl Kind {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let all = [Self::Deployment, Self::StatefulSet, Self::DaemonSet, Self::CronJob];
        all.into_iter().find(|kind| kind.name() == text)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::CronJob => "CronJob",
        }
    }
}

/// What the API server answers.
#[derive(Deserialize)]
pub(crate) struct Object {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    status: Value,
}

/// A workload.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) created: Timestamp,
    /// For which revision of which Secret its pods are.
    pub(crate) listed: BTreeMap<String, u64>,
    /// When it was last rolled by us.
    pub(crate) patched: Option<Timestamp>,
    meta: ObjectMeta,
    spec: Value,
    status: Value,
}

/// How far a workload is with its template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Complete,
    Rolling,
    /// It rolls when somebody resumes it.
    Paused,
    Failed(&'static str),
}

/// Why a workload is not rolled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Somebody else says when it rolls.
    Refused(String),
    /// A new template alone rolls nothing.
    NotRolling(String),
}

impl Workload {
    pub(crate) fn new(kind: Kind, object: Object) -> Self {
        let Object { metadata: meta, spec, status } = object;
        let notes = spec.pointer("/template/metadata/annotations");
        let listed = notes.and_then(|notes| notes.get(revision::SECRETS)).and_then(Value::as_str);
        let entries = meta.managed_fields.iter().flatten();
        let ours = entries.filter(|entry| entry.manager.as_deref() == Some(MANAGER));
        Self {
            kind,
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
            labels: meta.labels.clone().unwrap_or_default(),
            created: meta.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0),
            listed: listed.map(revision::listed).unwrap_or_default(),
            patched: ours.filter_map(|entry| entry.time.as_ref().map(|time| time.0)).max(),
            meta,
            spec,
            status,
        }
    }

    /// It is not to be rolled, whoever asks.
    pub(crate) fn is_opted_out(&self) -> bool {
        self.note(OPT_OUT).is_some_and(|value| value == "never")
    }

    fn note(&self, key: &str) -> Option<&String> {
        self.meta.annotations.as_ref().and_then(|notes| notes.get(key))
    }

    /// Why it is not rolled, although somebody asks.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        let owners = self.meta.owner_references.iter().flatten();
        if let Some(owner) = owners.into_iter().find(|owner| owner.controller == Some(true)) {
            let text = format!("{self} is controlled by {} {:?}", owner.kind, owner.name);
            return Some(Refusal::Refused(format!("{text}, which would undo a change of it")));
        }
        let of_others = |key: &&String| {
            let (prefix, name) = key.split_once('/').unwrap_or_default();
            prefix.ends_with("stakater.com") && (name == "auto" || name.ends_with("reload"))
                || key.starts_with("vso.secrets.hashicorp.com/")
        };
        let template = self.spec.pointer("/template/metadata/annotations");
        let of_template = template.and_then(Value::as_object).into_iter().flatten();
        let own = self.meta.annotations.iter().flatten();
        let keys = own.map(|(key, _)| key).chain(of_template.map(|(key, _)| key));
        if let Some(key) = keys.into_iter().find(of_others) {
            return Some(Refusal::Refused(format!(
                "{self} has the annotation {key}, so another reloader restarts it; remove one of the two"
            )));
        }
        if self.text("/updateStrategy/type") == Some("OnDelete") {
            let text =
                "has updateStrategy OnDelete, so a new template rolls nothing; use RollingUpdate";
            return Some(Refusal::NotRolling(format!("{self} {text}")));
        }
        None
    }

    fn text(&self, pointer: &str) -> Option<&str> {
        self.spec.pointer(pointer).and_then(Value::as_str)
    }

    fn number(from: &Value, pointer: &str) -> Option<i64> {
        from.pointer(pointer).and_then(Value::as_i64)
    }

    /// How far it is.
    pub(crate) fn progress(&self) -> Progress {
        if self.spec.get("paused") == Some(&Value::Bool(true)) {
            return Progress::Paused;
        }
        let status = |field: &str| Self::number(&self.status, field).unwrap_or_default();
        let observed = status("/observedGeneration");
        if observed < self.meta.generation.unwrap_or_default() {
            return Progress::Rolling;
        }
        let replicas = Self::number(&self.spec, "/replicas").unwrap_or(1);
        let updated = status("/updatedReplicas");
        let complete = match self.kind {
            Kind::CronJob => true,
            Kind::Deployment => {
                let (all, available) = (status("/replicas"), status("/availableReplicas"));
                [updated, all, available].iter().all(|number| *number == replicas)
            }
            Kind::StatefulSet => {
                let kept = Self::number(&self.spec, "/updateStrategy/rollingUpdate/partition");
                updated >= replicas.saturating_sub(kept.unwrap_or_default())
                    && status("/readyReplicas") == replicas
            }
            Kind::DaemonSet => {
                let wanted = status("/desiredNumberScheduled");
                let of = ["/updatedNumberScheduled", "/numberAvailable"];
                of.iter().all(|field| status(field) >= wanted)
            }
        };
        if complete {
            return Progress::Complete;
        }
        let conditions = self.status.pointer("/conditions").and_then(Value::as_array);
        let late = conditions.into_iter().flatten().any(|condition| {
            condition.get("reason").and_then(Value::as_str) == Some("ProgressDeadlineExceeded")
        });
        if late { Progress::Failed("ProgressDeadlineExceeded") } else { Progress::Rolling }
    }

    /// Who wrote the template last, beside us.
    pub(crate) fn last_author(&self) -> Option<&str> {
        let entries = self.meta.managed_fields.iter().flatten().filter(|entry| {
            let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
            entry.manager.as_deref() != Some(MANAGER)
                && entry.subresource.as_deref().unwrap_or_default().is_empty()
                && fields.is_some_and(|fields| fields.pointer("/f:spec/f:template").is_some())
        });
        entries.max_by_key(|entry| entry.time.as_ref().map(|time| time.0))?.manager.as_deref()
    }

    /// Whether the pod template refers to a Secret; with `env_only`, in a way that a running container does not follow.
    pub(crate) fn uses(&self, secret: &str, env_only: bool) -> bool {
        let none = Value::Null;
        let pod = self.spec.pointer("/template/spec").unwrap_or(&none);
        let items = |from: &Value, field: &str| -> Vec<Value> {
            from.get(field).and_then(Value::as_array).cloned().unwrap_or_default()
        };
        let is =
            |from: &Value, path: &str| from.pointer(path).and_then(Value::as_str) == Some(secret);
        let containers = [items(pod, "containers"), items(pod, "initContainers")].concat();
        let in_env = containers.iter().any(|container| {
            items(container, "env").iter().any(|env| is(env, "/valueFrom/secretKeyRef/name"))
                || items(container, "envFrom").iter().any(|env| is(env, "/secretRef/name"))
        });
        let volumes: Vec<Value> = items(pod, "volumes")
            .into_iter()
            .filter(|volume| {
                let projected = volume.get("projected").unwrap_or(&none);
                is(volume, "/secret/secretName")
                    || items(projected, "sources").iter().any(|source| is(source, "/secret/name"))
            })
            .collect();
        let is_fixed = |volume: &Value| {
            containers.iter().flat_map(|container| items(container, "volumeMounts")).any(|mount| {
                mount.get("name") == volume.get("name")
                    && (mount.get("subPath").is_some() || mount.get("subPathExpr").is_some())
            })
        };
        in_env || volumes.iter().any(|volume| !env_only || is_fixed(volume))
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.name(), self.name)
    }
}
