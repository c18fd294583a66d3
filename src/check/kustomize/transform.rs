//! What a kustomization does to all objects alike: namespace, names, labels, annotations, images, replicas.

use std::ops::Range;

use serde_json::json;

use super::{
    super::yaml::{Content, Node},
    tree,
};

/// An object while it is put together.
#[derive(Clone, Debug)]
pub(super) struct Resource {
    pub(super) root: Node,
    /// Names and namespaces that it had: patches may name it by each of them.
    pub(super) former: Vec<(String, Option<String>)>,
}

impl Resource {
    pub(super) fn kind(&self) -> &str {
        tree::text_at(&self.root, &["kind"]).unwrap_or_default()
    }

    /// Group and version.
    pub(super) fn api(&self) -> (&str, &str) {
        let api = tree::text_at(&self.root, &["apiVersion"]).unwrap_or_default();
        api.split_once('/').unwrap_or(("", api))
    }

    pub(super) fn name(&self) -> &str {
        tree::text_at(&self.root, &["metadata", "name"]).unwrap_or_default()
    }

    pub(super) fn namespace(&self) -> Option<&str> {
        tree::text_at(&self.root, &["metadata", "namespace"])
    }

    /// Whether its schema is Kubernetes' own.
    pub(super) fn is_known(&self) -> bool {
        let (group, _) = self.api();
        !group.contains('.') || group.ends_with(".k8s.io")
    }

    fn remember(&mut self) {
        let former = (self.name().to_owned(), self.namespace().map(ToOwned::to_owned));
        if !self.former.contains(&former) {
            self.former.push(former);
        }
    }
}

/// Kinds that belong to no namespace.
const OF_THE_CLUSTER: [&str; 19] = [
    "APIService",
    "CertificateSigningRequest",
    "ClusterRole",
    "ClusterRoleBinding",
    "CSIDriver",
    "CSINode",
    "CustomResourceDefinition",
    "FlowSchema",
    "IngressClass",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "RuntimeClass",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingWebhookConfiguration",
];

/// Puts everything that has a namespace into this one.
pub(super) fn namespace(all: &mut [Resource], namespace: &str, at: &Range<usize>) {
    let accounts = all.iter().filter(|one| one.kind() == "ServiceAccount");
    let accounts: Vec<_> = accounts
        .map(|one| (one.name().to_owned(), one.namespace().map(ToOwned::to_owned)))
        .collect();
    for one in all {
        one.remember();
        let kind = one.kind().to_owned();
        if kind == "Namespace" {
            tree::set_below(&mut one.root, &["metadata", "name"], at, tree::text(namespace, at));
        } else if !OF_THE_CLUSTER.contains(&kind.as_str())
            && kind != "ValidatingAdmissionPolicyBinding"
        {
            tree::set_below(
                &mut one.root,
                &["metadata", "namespace"],
                at,
                tree::text(namespace, at),
            );
        }
        if matches!(kind.as_str(), "RoleBinding" | "ClusterRoleBinding")
            && let Some(subjects) = tree::get_mut(&mut one.root, "subjects")
        {
            for subject in tree::items_mut(subjects) {
                let own = |key: &str| tree::text_at(subject, &[key]).map(ToOwned::to_owned);
                let (name, within) = (own("name").unwrap_or_default(), own("namespace"));
                let is_ours = name == "default" || accounts.contains(&(name, within));
                if is_ours && own("kind").as_deref() == Some("ServiceAccount") {
                    tree::set(subject, "namespace", at, tree::text(namespace, at));
                }
            }
        }
    }
}

/// Puts texts around the names of objects.
pub(super) fn names(all: &mut [Resource], prefix: &str, suffix: &str, at: &Range<usize>) {
    const FIXED: [&str; 3] = ["APIService", "CustomResourceDefinition", "Namespace"];
    for one in all.iter_mut().filter(|one| !FIXED.contains(&one.kind())) {
        one.remember();
        let name = format!("{prefix}{}{suffix}", one.name());
        tree::set_below(&mut one.root, &["metadata", "name"], at, tree::text(&name, at));
    }
}

/// Where labels and annotations go beside the object's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Nowhere else.
    Object,
    /// Templates of pods too.
    Templates,
    /// Templates and selectors.
    Selectors,
}

/// Kinds that hold the template of a pod at `spec.template`.
const TEMPLATES: [&str; 6] =
    ["DaemonSet", "Deployment", "Job", "ReplicaSet", "ReplicationController", "StatefulSet"];

/// Adds labels or annotations.
pub(super) fn metadata(all: &mut [Resource], field: &str, pairs: &Node, reach: Reach) {
    let Content::Mapping(pairs) = &pairs.content else { return };
    for one in all {
        let kind = one.kind().to_owned();
        let mut places: Vec<Vec<&str>> = vec![vec!["metadata", field]];
        if reach != Reach::Object {
            if TEMPLATES.contains(&kind.as_str()) {
                places.push(vec!["spec", "template", "metadata", field]);
            } else if kind == "CronJob" {
                places.push(vec!["spec", "jobTemplate", "metadata", field]);
                places.push(vec!["spec", "jobTemplate", "spec", "template", "metadata", field]);
            }
        }
        if reach == Reach::Selectors {
            places.extend(selector(&kind, &one.root));
        }
        for place in places {
            for pair in pairs {
                let keys: Vec<&str> = place.iter().copied().chain([pair.key.as_str()]).collect();
                tree::set_below(&mut one.root, &keys, &pair.key_span, pair.value.clone());
            }
        }
    }
}

/// The selector of a kind, where it has one: those that are optional are left alone where they are absent.
fn selector(kind: &str, root: &Node) -> Option<Vec<&'static str>> {
    let (keys, optional): (&[&'static str], bool) = match kind {
        "Service" | "ReplicationController" => (&["spec", "selector"], false),
        "DaemonSet" | "Deployment" | "ReplicaSet" | "StatefulSet" => {
            (&["spec", "selector", "matchLabels"], false)
        }
        "Job" | "PodDisruptionBudget" => (&["spec", "selector", "matchLabels"], true),
        "NetworkPolicy" => (&["spec", "podSelector", "matchLabels"], true),
        _ => return None,
    };
    (!optional || tree::at(root, keys).is_some()).then(|| keys.to_vec())
}

/// Replaces the image of containers.
pub(super) fn image(all: &mut [Resource], change: &Node) {
    let text = |key: &str| match change.get(key).map(Node::to_value) {
        Some(serde_json::Value::String(text)) => Some(text),
        Some(serde_json::Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let Some(name) = text("name") else { return };
    let change = Change {
        name,
        new: text("newName"),
        tag: text("newTag"),
        digest: text("digest"),
        at: change.span.clone(),
    };
    for one in all {
        change.containers(&mut one.root);
    }
}

struct Change {
    name: String,
    new: Option<String>,
    tag: Option<String>,
    digest: Option<String>,
    at: Range<usize>,
}

impl Change {
    fn containers(&self, node: &mut Node) {
        match &mut node.content {
            Content::Scalar(_) => {}
            Content::Sequence(items) => items.iter_mut().for_each(|item| self.containers(item)),
            Content::Mapping(entries) => {
                for entry in entries {
                    if matches!(entry.key.as_str(), "containers" | "initContainers") {
                        for container in tree::items_mut(&mut entry.value) {
                            self.container(container);
                        }
                    } else {
                        self.containers(&mut entry.value);
                    }
                }
            }
        }
    }

    fn container(&self, container: &mut Node) {
        let Some(image) = tree::text_at(container, &["image"]) else { return };
        let (rest, digest) = image.split_once('@').map_or((image, None), |(a, b)| (a, Some(b)));
        let slash = rest.rfind('/').unwrap_or_default();
        let colon = rest.get(slash..).and_then(|end| end.find(':')).map(|at| at + slash);
        let (name, tag) = colon.map_or((rest, None), |at| (&rest[..at], rest.get(at + 1..)));
        if name != self.name {
            return;
        }
        let mut new = self.new.clone().unwrap_or_else(|| name.to_owned());
        let (tag, digest) = match (&self.tag, &self.digest) {
            (None, None) => (tag.map(ToOwned::to_owned), digest.map(ToOwned::to_owned)),
            (tag, digest) => (tag.clone(), digest.clone()),
        };
        new += &tag.map(|tag| format!(":{tag}")).unwrap_or_default();
        new += &digest.map(|digest| format!("@{digest}")).unwrap_or_default();
        tree::set(container, "image", &self.at, tree::text(&new, &self.at));
    }
}

/// Sets how many replicas there are of what is called so.
pub(super) fn replicas(all: &mut [Resource], change: &Node) {
    const COUNTED: [&str; 4] = ["Deployment", "ReplicaSet", "ReplicationController", "StatefulSet"];
    let (Some(name), Some(count)) = (tree::text_at(change, &["name"]), change.get("count")) else {
        return;
    };
    let called =
        |one: &Resource| one.name() == name || one.former.iter().any(|(former, _)| former == name);
    for one in all.iter_mut().filter(|one| COUNTED.contains(&one.kind())).filter(|one| called(one))
    {
        tree::set_below(&mut one.root, &["spec", "replicas"], &change.span, count.clone());
    }
}

/// An object that a generator makes. Values from files are not read: they are not for the eyes of who reads a report.
pub(super) fn generated(kind: &str, generator: &Node) -> Option<Resource> {
    let name = tree::text_at(generator, &["name"])?;
    let at = &generator.span;
    let mut root =
        tree::node(&json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}), at);
    if let Some(namespace) = generator.get("namespace") {
        tree::set_below(&mut root, &["metadata", "namespace"], at, namespace.clone());
    }
    if let Some(kind) = generator.get("type") {
        tree::set(&mut root, "type", at, kind.clone());
    }
    let field = if kind == "Secret" { "stringData" } else { "data" };
    for literal in generator.get("literals").map(Node::items).unwrap_or_default() {
        if let Some((key, value)) = literal.as_str().and_then(|text| text.split_once('=')) {
            let value = value.trim_matches(['"', '\'']);
            tree::set_below(
                &mut root,
                &[field, key],
                &literal.span,
                tree::text(value, &literal.span),
            );
        }
    }
    Some(Resource { root, former: Vec::new() })
}
