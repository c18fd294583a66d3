//! Which permissions of `config/rbac` an account lacks.

use serde_json::{Value, json};

use crate::cluster::{ReadError, Reader};

/// The roles for a whole cluster, and the subsystem that needs each.
const WHOLE: [(&str, Subsystem); 8] = [
    (include_str!("../../config/rbac/events.yaml"), Subsystem::Both),
    (include_str!("../../config/rbac/secrets.yaml"), Subsystem::Secrets),
    (include_str!("../../config/rbac/cluster-external-secrets.yaml"), Subsystem::Secrets),
    (include_str!("../../config/rbac/push-secrets.yaml"), Subsystem::Secrets),
    (include_str!("../../config/rbac/cluster-push-secrets.yaml"), Subsystem::Secrets),
    (include_str!("../../config/rbac/hardening.yaml"), Subsystem::Hardening),
    (include_str!("../../config/rbac/policies.yaml"), Subsystem::Hardening),
    (include_str!("../../config/rbac/dns.yaml"), Subsystem::Hardening),
];

/// The roles of what is off by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extras {
    /// SecretRotations are served.
    pub(crate) rotation: bool,
    /// Workloads roll when their Secrets change.
    pub(crate) rollouts: bool,
    /// Registry credentials are copied.
    pub(crate) pull_secrets: bool,
}

/// The role for rollouts.
const ROLLOUTS: &str = include_str!("../../config/overlays/rollouts/rbac.yaml");

/// The role for SecretRotations.
const ROTATION: &str = include_str!("../../config/overlays/rotation/rbac.yaml");

/// The role for copies of registry credentials.
const PULL_SECRETS: &str = include_str!("../../config/overlays/pull-secrets/rbac.yaml");

/// The role for one namespace.
const ONE: &str = include_str!("../../config/overlays/namespaces/rbac.yaml");

/// The subsystems that are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subsystem {
    /// Secrets and hardening.
    Both,
    /// Secrets only.
    Secrets,
    /// Hardening only.
    Hardening,
}

/// One permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Right {
    group: String,
    resource: String,
    verb: String,
    name: String,
    namespace: String,
}

impl Right {
    /// As `docs/rbac.md` writes it.
    pub(super) fn shown(&self) -> String {
        let group = if self.group.is_empty() { String::new() } else { format!(".{}", self.group) };
        let (base, part) = self.resource.split_once('/').unwrap_or((&self.resource, ""));
        let part = if part.is_empty() { String::new() } else { format!("/{part}") };
        let name = if self.name.is_empty() { String::new() } else { format!(" {}", self.name) };
        let place = if self.namespace.is_empty() {
            String::new()
        } else {
            format!(" in {}", self.namespace)
        };
        format!("{} {base}{group}{part}{name}{place}", self.verb)
    }

    fn attributes(&self) -> Value {
        let (resource, part) = self.resource.split_once('/').unwrap_or((&self.resource, ""));
        json!({
            "group": self.group,
            "resource": resource,
            "subresource": part,
            "verb": self.verb,
            "name": self.name,
            "namespace": self.namespace,
        })
    }
}

/// Every permission that the manifests grant: in `scope` only, or in the whole cluster; with those of `extras`.
pub(super) fn wanted(
    scope: Option<&str>,
    subsystem: Subsystem,
    extras: Extras,
) -> Result<Vec<Right>, String> {
    let needed =
        |of: Subsystem| of == Subsystem::Both || subsystem == Subsystem::Both || of == subsystem;
    let mut files: Vec<_> = match scope {
        Some(_) => vec![ONE],
        None => WHOLE.iter().filter(|(_, of)| needed(*of)).map(|(file, _)| *file).collect(),
    };
    if extras.rotation {
        files.push(ROTATION);
    }
    if extras.rotation {
        files.push(ROTATION);
    }
    if extras.pull_secrets {
        files.push(PULL_SECRETS);
    }
    let rollouts = extras.rollouts.then_some(ROLLOUTS);
    files.extend(rollouts);
    let mut all = Vec::new();
    for file in files {
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(file).map_err(|error| error.to_string())?;
        for role in documents.iter().filter(|role| role["rules"].is_array()) {
            let namespace = match (scope, role["metadata"]["namespace"].as_str()) {
                // With rights in one namespace, the rules of rollouts are bound there.
                (Some(scope), None) if Some(file) == rollouts => scope,
                (Some(scope), Some(_)) => scope,
                (_, namespace) => namespace.unwrap_or_default(),
            };
            for rule in role["rules"].as_array().into_iter().flatten() {
                expand(rule, namespace, &mut all);
            }
        }
    }
    Ok(all)
}

fn expand(rule: &Value, namespace: &str, all: &mut Vec<Right>) {
    let texts = |field: &str| -> Vec<String> {
        let list = rule[field].as_array().into_iter().flatten();
        list.filter_map(Value::as_str).map(ToOwned::to_owned).collect()
    };
    let names = match texts("resourceNames") {
        names if names.is_empty() => vec![String::new()],
        names => names,
    };
    for group in texts("apiGroups") {
        for resource in texts("resources") {
            for verb in texts("verbs") {
                all.extend(names.iter().map(|name| Right {
                    group: group.clone(),
                    resource: resource.clone(),
                    verb: verb.clone(),
                    name: name.clone(),
                    namespace: namespace.to_owned(),
                }));
            }
        }
    }
}

/// Whom to ask about: oneself, or a ServiceAccount as `NAMESPACE/NAME`.
pub(super) async fn has(
    reader: &Reader,
    account: Option<(&str, &str)>,
    right: &Right,
) -> Result<bool, ReadError> {
    let (kind, path) = match account {
        None => ("SelfSubjectAccessReview", "selfsubjectaccessreviews"),
        Some(_) => ("SubjectAccessReview", "subjectaccessreviews"),
    };
    let mut question = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": kind,
        "spec": {"resourceAttributes": right.attributes()},
    });
    if let Some((namespace, name)) = account {
        question["spec"]["user"] = json!(format!("system:serviceaccount:{namespace}:{name}"));
        question["spec"]["groups"] = json!([
            "system:serviceaccounts",
            format!("system:serviceaccounts:{namespace}"),
            "system:authenticated"
        ]);
    }
    let answer = reader.ask(&format!("/apis/authorization.k8s.io/v1/{path}"), &question).await?;
    Ok(answer["status"]["allowed"] == true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permission_of_the_manifests_is_asked_for() {
        let none = Extras::default();
        let all = wanted(None, Subsystem::Both, none).unwrap();
        let shown: Vec<_> = all.iter().map(Right::shown).collect();
        for right in [
            "get secrets",
            "patch externalsecrets.external-secrets.io/status",
            "create serviceaccounts/token",
            "create pods in gabion-probe",
            "list services in kube-system",
            "get customresourcedefinitions.apiextensions.k8s.io hardeningbaselines.gabion.dev",
        ] {
            assert!(shown.iter().any(|found| found == right), "{right}: {shown:#?}");
        }
        let one = wanted(Some("shop"), Subsystem::Both, none).unwrap();
        assert!(one.iter().all(|right| right.namespace == "shop") && one.len() > 20);
        let secrets = wanted(None, Subsystem::Secrets, none).unwrap();
        let hardening = wanted(None, Subsystem::Hardening, none).unwrap();
        let with = Extras { rotation: true, rollouts: true, pull_secrets: false };
        let rotation = wanted(None, Subsystem::Both, with).unwrap();
        let patches = |right: &Right| right.shown() == "patch secretrotations.gabion.dev/status";
        assert!(rotation.iter().any(patches) && !all.iter().any(patches));
        let rolls = |right: &Right| right.shown() == "patch deployments.apps";
        assert!(rotation.iter().any(rolls) && !all.iter().any(rolls));
        let one = wanted(Some("shop"), Subsystem::Both, with).unwrap();
        assert!(one.iter().any(|right| right.shown() == "patch deployments.apps in shop"));
        let with = Extras { pull_secrets: true, ..none };
        let copies = wanted(None, Subsystem::Hardening, with).unwrap();
        let creates = |right: &Right| right.shown() == "create secrets";
        assert!(copies.iter().any(creates) && !hardening.iter().any(creates));
        assert!(secrets.len() < all.len() && hardening.len() < all.len());
        assert!(all.iter().all(|right| secrets.contains(right) || hardening.contains(right)));
    }
}
