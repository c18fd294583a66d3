//! A manifest as the rules see it: null is unset, and what the API server fills in is filled in.

use serde_json::Value;

use super::super::finding::FieldPath;
use super::super::subject::{Subject, WorkloadKind};

/// What a rule found: where, and what is wrong there.
pub(crate) type Violations = Vec<(FieldPath, String)>;

/// Which of the three lists a container is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContainerKind {
    /// `initContainers`
    Init,
    /// `containers`
    Main,
    /// `ephemeralContainers`
    Ephemeral,
}

/// A container and its place.
#[derive(Clone, Debug)]
pub(crate) struct Container<'a> {
    /// The list that it is in.
    pub(crate) kind: ContainerKind,
    /// Its path from the object.
    pub(crate) path: FieldPath,
    /// Its fields.
    pub(crate) value: &'a Value,
    /// Its name; empty when it has none.
    pub(crate) name: &'a str,
}

impl Container<'_> {
    /// How messages call it.
    pub(crate) fn called(&self) -> String {
        let kind = match self.kind {
            ContainerKind::Init => "init container",
            ContainerKind::Main => "container",
            ContainerKind::Ephemeral => "ephemeral container",
        };
        format!("{kind} {:?}", self.name)
    }
}

/// A pod, or the pod of a template.
#[derive(Clone, Debug)]
pub(crate) struct Pod<'a> {
    /// Where it comes from.
    pub(crate) subject: &'a Subject<'a>,
    /// Init containers, containers, ephemeral containers.
    pub(crate) containers: Vec<Container<'a>>,
}

impl<'a> Pod<'a> {
    /// The pod of a subject.
    pub(crate) fn new(subject: &'a Subject<'a>) -> Self {
        let lists = [
            ("initContainers", ContainerKind::Init),
            ("containers", ContainerKind::Main),
            ("ephemeralContainers", ContainerKind::Ephemeral),
        ];
        let mut containers = Vec::new();
        for (key, kind) in lists {
            let path = subject.in_spec(&[key]);
            for (index, value) in list(subject.spec, &[key]).iter().enumerate() {
                let name = text(value, &["name"]).unwrap_or_default();
                containers.push(Container { kind, path: path.index(index), value, name });
            }
        }
        Self { subject, containers }
    }

    /// The pod's spec.
    pub(crate) fn spec(&self) -> &'a Value {
        self.subject.spec
    }

    /// An annotation of the pod.
    pub(crate) fn annotation(&self, key: &str) -> Option<&'a str> {
        text(self.subject.metadata, &["annotations", key])
    }

    /// Path of the pod's annotations.
    pub(crate) fn annotations_path(&self) -> FieldPath {
        self.subject.at.keys(&["metadata", "annotations"])
    }

    /// Path of a field of the pod's spec.
    pub(crate) fn path(&self, keys: &[&str]) -> FieldPath {
        self.subject.in_spec(keys)
    }

    /// Containers and init containers.
    pub(crate) fn lasting(&self) -> impl Iterator<Item = &Container<'a>> {
        self.containers.iter().filter(|c| c.kind != ContainerKind::Ephemeral)
    }

    /// Containers that run as long as the pod: those of the main list, and init containers that restart.
    pub(crate) fn running(&self) -> impl Iterator<Item = &Container<'a>> {
        self.containers.iter().filter(|c| match c.kind {
            ContainerKind::Main => true,
            ContainerKind::Init => text(c.value, &["restartPolicy"]) == Some("Always"),
            ContainerKind::Ephemeral => false,
        })
    }

    /// Whether the pod says that it is for Windows.
    pub(crate) fn windows(&self) -> bool {
        text(self.spec(), &["os", "name"]) == Some("windows")
    }

    /// Whether the pod runs in a user namespace of its own.
    pub(crate) fn user_namespace(&self) -> bool {
        flag(self.spec(), &["hostUsers"]) == Some(false)
    }

    /// Whether every container port of the pod becomes a host port. The API server does that for pods, not for
    /// templates.
    pub(crate) fn ports_on_host(&self) -> bool {
        self.subject.kind == WorkloadKind::Pod && flag(self.spec(), &["hostNetwork"]) == Some(true)
    }
}

/// The value at a path of keys; null counts as absent.
pub(crate) fn at<'a>(value: &'a Value, keys: &[&str]) -> Option<&'a Value> {
    let found = keys.iter().try_fold(value, |value, key| value.get(key))?;
    (!found.is_null()).then_some(found)
}

/// The text at a path of keys.
pub(crate) fn text<'a>(value: &'a Value, keys: &[&str]) -> Option<&'a str> {
    at(value, keys)?.as_str()
}

/// The boolean at a path of keys.
pub(crate) fn flag(value: &Value, keys: &[&str]) -> Option<bool> {
    at(value, keys)?.as_bool()
}

/// The whole number at a path of keys.
pub(crate) fn number(value: &Value, keys: &[&str]) -> Option<i64> {
    at(value, keys)?.as_i64()
}

/// The list at a path of keys; empty when there is none.
pub(crate) fn list<'a>(value: &'a Value, keys: &[&str]) -> &'a [Value] {
    at(value, keys).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
