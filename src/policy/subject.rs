//! The object that is evaluated: a pod, or one of the eight kinds that make pods.

use serde_json::Value;

use super::finding::FieldPath;

/// A kind that holds a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkloadKind {
    /// v1
    Pod,
    /// v1
    PodTemplate,
    /// v1
    ReplicationController,
    /// apps/v1
    ReplicaSet,
    /// apps/v1
    Deployment,
    /// apps/v1
    StatefulSet,
    /// apps/v1
    DaemonSet,
    /// batch/v1
    Job,
    /// batch/v1
    CronJob,
}

impl WorkloadKind {
    /// The kinds that make pods.
    pub const TEMPLATES: [Self; 8] = [
        Self::PodTemplate,
        Self::ReplicationController,
        Self::ReplicaSet,
        Self::Deployment,
        Self::StatefulSet,
        Self::DaemonSet,
        Self::Job,
        Self::CronJob,
    ];

    /// The kind as it is written in a manifest.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::PodTemplate => "PodTemplate",
            Self::ReplicationController => "ReplicationController",
            Self::ReplicaSet => "ReplicaSet",
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
        }
    }

    /// API group, empty for the core group.
    pub const fn group(self) -> &'static str {
        match self {
            Self::Pod | Self::PodTemplate | Self::ReplicationController => "",
            Self::ReplicaSet | Self::Deployment | Self::StatefulSet | Self::DaemonSet => "apps",
            Self::Job | Self::CronJob => "batch",
        }
    }

    /// Name of the resource, in the plural.
    pub const fn resource(self) -> &'static str {
        match self {
            Self::Pod => "pods",
            Self::PodTemplate => "podtemplates",
            Self::ReplicationController => "replicationcontrollers",
            Self::ReplicaSet => "replicasets",
            Self::Deployment => "deployments",
            Self::StatefulSet => "statefulsets",
            Self::DaemonSet => "daemonsets",
            Self::Job => "jobs",
            Self::CronJob => "cronjobs",
        }
    }

    /// Keys that lead from the object to what holds the pod's metadata and spec.
    pub const fn pod(self) -> &'static [&'static str] {
        match self {
            Self::Pod => &[],
            Self::PodTemplate => &["template"],
            Self::CronJob => &["spec", "jobTemplate", "spec", "template"],
            _ => &["spec", "template"],
        }
    }

    /// The kind with this name in this group.
    pub fn named(group: &str, kind: &str) -> Option<Self> {
        let mut kinds = Self::TEMPLATES.into_iter().chain([Self::Pod]);
        kinds.find(|known| known.as_str() == kind && known.group() == group)
    }
}

/// What is evaluated.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// The kind of the object.
    pub(crate) kind: WorkloadKind,
    /// Path from the object to what holds the pod's metadata and spec.
    pub(crate) at: FieldPath,
    /// Metadata of the pod or of the template; null when there is none.
    pub(crate) metadata: &'a Value,
    /// The pod's spec; null when there is none.
    pub(crate) spec: &'a Value,
}

impl<'a> Subject<'a> {
    /// The subject in an object whose kind is known, for lists whose items do not say it.
    pub fn of_kind(kind: WorkloadKind, object: &'a Value) -> Self {
        const NOTHING: &Value = &Value::Null;
        let holder =
            kind.pod().iter().try_fold(object, |value, key| value.get(key)).unwrap_or(NOTHING);
        Self {
            kind,
            at: FieldPath::default().keys(kind.pod()),
            metadata: holder.get("metadata").unwrap_or(NOTHING),
            spec: holder.get("spec").unwrap_or(NOTHING),
        }
    }

    /// Path of a field of the pod's spec.
    pub(crate) fn in_spec(&self, keys: &[&str]) -> FieldPath {
        self.at.key("spec").keys(keys)
    }
}
