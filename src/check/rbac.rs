//! Roles and bindings that grant more than their holders need.

use serde_json::Value;

use crate::policy::ControlId;
use crate::policy::FieldPath;
use crate::policy::Finding;
use crate::policy::Severity;

/// Their API group.
pub(crate) const GROUP: &str = "rbac.authorization.k8s.io";

const READING: [&str; 3] = ["get", "list", "watch"];

/// What is wrong with a Role, or with a `ClusterRole`. Roles that the API server itself maintains are skipped.
pub(crate) fn of_role(role: &Value, of_cluster: bool) -> Vec<Finding> {
    if is_bootstrap(role) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let rules = role["rules"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (number, rule) in rules.iter().enumerate() {
        let rule = Rule { value: rule, at: FieldPath::default().key("rules").index(number) };
        findings.extend(rule.wildcard());
        findings.extend(rule.secrets(of_cluster));
        findings.extend(rule.escalation());
    }
    findings
}

fn is_bootstrap(object: &Value) -> bool {
    object["metadata"]["labels"]["kubernetes.io/bootstrapping"] == "rbac-defaults"
}

/// One rule of a role.
struct Rule<'v> {
    value: &'v Value,
    at: FieldPath,
}

impl Rule<'_> {
    fn words(&self, field: &str) -> impl Iterator<Item = &str> {
        self.value[field].as_array().into_iter().flatten().filter_map(Value::as_str)
    }

    fn has(&self, field: &str, wanted: &[&str]) -> bool {
        self.words(field).any(|word| wanted.contains(&word))
    }

    fn is_empty(&self, field: &str) -> bool {
        self.words(field).next().is_none()
    }

    fn is_in(&self, groups: &[&str]) -> bool {
        self.has("apiGroups", &["*"]) || self.has("apiGroups", groups)
    }

    fn finding(&self, id: ControlId, field: &str, message: impl Into<String>) -> Finding {
        Finding::new(id, self.at.key(field), message)
    }

    /// A wildcard where names are possible.
    fn wildcard(&self) -> Option<Finding> {
        // `*/scale` is one subresource of all resources: there is no other way to name it.
        if !self.is_empty("resources") && self.words("resources").all(|word| word.starts_with("*/"))
        {
            return None;
        }
        let wide: Vec<_> = ["apiGroups", "resources", "verbs"]
            .into_iter()
            .filter(|field| self.has(field, &["*"]))
            .collect();
        let first = *wide.first()?;
        let what = wide.iter().map(|field| match *field {
            "apiGroups" => "every group",
            "resources" => "every resource",
            _ => "every verb",
        });
        let what = what.collect::<Vec<_>>().join(", ");
        let message = format!("the rule allows {what}, and what later versions add");
        let finding = self.finding(ControlId::HbRbacWildcard, first, message);
        Some(Finding { severity: self.severity(), ..finding })
    }

    /// The severity of a wildcard, by what it grants.
    fn severity(&self) -> Severity {
        // Paths such as /metrics and /healthz are no objects, and are read whatever the verb.
        let paths = self.is_empty("resources") && !self.is_empty("nonResourceURLs");
        let own = !self.is_empty("apiGroups") && self.words("apiGroups").all(is_custom) || paths;
        let reads = self.words("verbs").all(|verb| READING.contains(&verb));
        if own {
            Severity::Low
        } else if !self.has("resources", &["*"]) || (reads && !self.is_in(&[""])) {
            Severity::Medium
        } else {
            Severity::High
        }
    }

    /// Secrets without names. A wildcard that includes them is a finding of its own.
    fn secrets(&self, of_cluster: bool) -> Option<Finding> {
        let reads = self.is_in(&[""])
            && self.has("resources", &["secrets"])
            && self.is_empty("resourceNames");
        let verb = self.words("verbs").find(|verb| *verb == "*" || READING.contains(verb));
        let verb = verb.filter(|_| reads)?;
        let place = if of_cluster { "of the cluster" } else { "of its namespace" };
        let message = match verb {
            "*" => format!("the rule reads and writes every Secret {place}"),
            verb => format!("the rule may {verb} every Secret {place}"),
        };
        let finding = self.finding(ControlId::HbRbacSecrets, "resources", message);
        let severity = if of_cluster { finding.severity } else { Severity::Low };
        Some(Finding { severity, ..finding })
    }

    /// Rights that let the holder gain others.
    fn escalation(&self) -> Vec<Finding> {
        let unnamed = self.is_empty("resourceNames");
        let roles = self.is_in(&[GROUP]) && self.has("resources", &["roles", "clusterroles"]);
        let whom = self.is_in(&[""])
            && self.has("resources", &["users", "groups", "serviceaccounts"])
            || self.is_in(&["authentication.k8s.io"])
                && self
                    .words("resources")
                    .any(|own| own == "uids" || own.starts_with("userextras/"));
        // Whoever may do everything with an account may act as it.
        let whom = whom && self.has("verbs", &["impersonate", "*"]);
        let tokens = self.is_in(&[""])
            && self.has("resources", &["serviceaccounts/token"])
            && self.has("verbs", &["create", "*"]);
        let nodes = self.is_in(&[""]) && self.has("resources", &["nodes/proxy"]);
        let found = [
            (roles && self.has("verbs", &["escalate", "*"]))
                .then_some(("verbs", "escalate lets the holder add any right to a role")),
            (roles && unnamed && self.has("verbs", &["bind"]))
                .then_some(("verbs", "bind lets the holder bind itself to any role")),
            (whom && unnamed)
                .then_some(("verbs", "impersonate lets the holder act as another user")),
            (tokens && unnamed)
                .then_some(("resources", "the holder can create tokens of every ServiceAccount")),
            nodes.then_some((
                "resources",
                "nodes/proxy lets the holder run commands in every pod of a node",
            )),
        ];
        let found = found.into_iter().flatten();
        found
            .map(|(field, message)| self.finding(ControlId::HbRbacEscalate, field, message))
            .collect()
    }
}

/// Whether a group is not one of Kubernetes.
fn is_custom(group: &str) -> bool {
    group.contains('.') && !group.ends_with(".k8s.io")
}

/// What is wrong with a `RoleBinding`, or with a `ClusterRoleBinding`.
pub(crate) fn of_binding(binding: &Value, of_cluster: bool) -> Vec<Finding> {
    if is_bootstrap(binding) {
        return Vec::new();
    }
    let control = ControlId::HbRbacAdmin;
    let mut findings = Vec::new();
    let subjects = binding["subjects"].as_array().map(Vec::as_slice).unwrap_or_default();
    let role = &binding["roleRef"];
    if role["kind"] == "ClusterRole"
        && role["name"] == "cluster-admin"
        && let Some(first) = subjects.first()
    {
        let path = FieldPath::default().keys(&["roleRef", "name"]);
        let more = match subjects.len() {
            1 => String::new(),
            number => format!(" and {} more", number - 1),
        };
        let place = if of_cluster { "" } else { ", in one namespace" };
        let message = format!("cluster-admin is bound to {}{more}{place}", named(first));
        let finding = Finding::new(control, path, message);
        let severity = if of_cluster { finding.severity } else { Severity::Medium };
        findings.push(Finding { severity, ..finding });
    }
    for (number, subject) in subjects.iter().enumerate() {
        let path = FieldPath::default().key("subjects").index(number).key("name");
        let message = match subject["name"].as_str() {
            Some("system:masters") => "the API server checks no request of system:masters",
            Some("system:anonymous" | "system:unauthenticated") if !is_public(role) => {
                "the binding is for unauthenticated users"
            }
            _ => continue,
        };
        findings.push(Finding::new(control, path, message));
    }
    findings
}

/// Roles that exist for unauthenticated users.
fn is_public(role: &Value) -> bool {
    matches!(
        role["name"].as_str(),
        Some(
            "system:public-info-viewer"
                | "system:discovery"
                | "system:service-account-issuer-discovery"
                | "kubeadm:bootstrap-signer-clusterinfo"
        )
    )
}

fn named(subject: &Value) -> String {
    let text = |key: &str| super::object::short(subject[key].as_str().unwrap_or_default());
    format!("{} {}", text("kind"), text("name"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(findings: &[Finding]) -> Vec<String> {
        let one = |f: &Finding| format!("{} {} {}", f.control.id, f.severity, f.path);
        findings.iter().map(one).collect()
    }

    /// Findings in a `ClusterRole` with one rule.
    fn rule(groups: &[&str], resources: &[&str], verbs: &[&str]) -> Vec<String> {
        let rule = json!({"apiGroups": groups, "resources": resources, "verbs": verbs});
        shown(&of_role(&json!({"rules": [rule]}), true))
    }

    #[test]
    fn the_severity_of_a_wildcard_depends_on_what_it_grants() {
        for (groups, resources, verbs, wanted) in [
            (&["apps"][..], &["deployments"][..], &["get", "create"][..], None),
            (&["*"], &["*"], &["*"], Some("high rules[0].apiGroups")),
            (&["*"], &["*"], &["get"], Some("high rules[0].apiGroups")),
            (&[""], &["*"], &["list"], Some("high rules[0].resources")),
            (&["apps"], &["*"], &["get"], Some("medium rules[0].resources")),
            (&["apps"], &["*"], &["create"], Some("high rules[0].resources")),
            (&[""], &["pods"], &["*"], Some("medium rules[0].verbs")),
            (&["*"], &["pods"], &["get"], Some("medium rules[0].apiGroups")),
            (&["gateway.networking.k8s.io"], &["*"], &["*"], Some("high rules[0].resources")),
            (&["cluster.x-k8s.io"], &["*"], &["*"], Some("low rules[0].resources")),
            (&["example.com"], &["widgets"], &["*"], Some("low rules[0].verbs")),
            (&["*"], &["*/scale"], &["get", "update"], None),
            (&[""], &["pods/*"], &["get"], None),
        ] {
            let wanted: Vec<_> =
                wanted.iter().map(|rest| format!("HB-RBAC-WILDCARD {rest}")).collect();
            assert_eq!(
                rule(groups, resources, verbs),
                wanted,
                "{groups:?} {resources:?} {verbs:?}"
            );
        }
    }

    #[test]
    fn rights_to_secrets_and_to_more_rights_are_found() {
        let rbac = GROUP;
        for (groups, resources, verbs, wanted) in [
            (&[""][..], &["secrets"][..], &["list"][..], Some("SECRETS medium rules[0].resources")),
            (&[""], &["secrets"], &["create", "patch"], None),
            (&["example.com"], &["secrets"], &["list"], None),
            (&[rbac], &["roles"], &["escalate"], Some("ESCALATE high rules[0].verbs")),
            (&[rbac], &["clusterroles"], &["bind"], Some("ESCALATE high rules[0].verbs")),
            (&[rbac], &["rolebindings"], &["create", "bind"], None),
            (&[rbac], &["roles"], &["get", "create", "update"], None),
            (&[""], &["users"], &["impersonate"], Some("ESCALATE high rules[0].verbs")),
            (
                &[""],
                &["serviceaccounts/token"],
                &["create"],
                Some("ESCALATE high rules[0].resources"),
            ),
            (&[""], &["nodes/proxy"], &["get"], Some("ESCALATE high rules[0].resources")),
        ] {
            let wanted: Vec<_> = wanted.iter().map(|rest| format!("HB-RBAC-{rest}")).collect();
            assert_eq!(
                rule(groups, resources, verbs),
                wanted,
                "{groups:?} {resources:?} {verbs:?}"
            );
        }
        // Every verb includes impersonate.
        let all_verbs = [
            (&[""][..], "serviceaccounts"),
            (&[""], "users"),
            (&[""], "groups"),
            (&["*"], "serviceaccounts"),
            (&["authentication.k8s.io"], "userextras/scopes"),
            (&["authentication.k8s.io"], "uids"),
        ];
        for (groups, resource) in all_verbs {
            let found = rule(groups, &[resource], &["*"]);
            let escalates = "HB-RBAC-ESCALATE high rules[0].verbs".to_owned();
            assert!(found.contains(&escalates), "{groups:?} {resource} {found:?}");
        }
        assert_eq!(rule(&["example.com"], &["groups"], &["*"]).len(), 1);
        let roles = rule(&[rbac], &["roles"], &["*"]);
        assert_eq!(
            roles,
            ["HB-RBAC-WILDCARD medium rules[0].verbs", "HB-RBAC-ESCALATE high rules[0].verbs"]
        );
        let own =
            json!({"rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]});
        assert_eq!(shown(&of_role(&own, false)), ["HB-RBAC-SECRETS low rules[0].resources"]);
    }

    #[test]
    fn every_verb_on_paths_is_little() {
        for paths in [json!(["/metrics"]), json!(["/healthz", "/healthz/*"]), json!(["*"])] {
            let role = json!({"rules": [{"nonResourceURLs": paths, "verbs": ["*"]}]});
            assert_eq!(shown(&of_role(&role, true)), ["HB-RBAC-WILDCARD low rules[0].verbs"]);
        }
        let read = json!({"rules": [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]});
        assert_eq!(shown(&of_role(&read, true)), [""; 0]);
        let both = json!({"rules": [
            {"nonResourceURLs": ["/x"], "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
        ]});
        assert_eq!(shown(&of_role(&both, true)), ["HB-RBAC-WILDCARD high rules[0].apiGroups"]);
    }

    #[test]
    fn names_and_the_roles_of_the_api_server_are_fine() {
        let named = json!({"rules": [
            {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a"], "verbs": ["get", "list"]},
            {"apiGroups": [GROUP], "resources": ["roles"], "resourceNames": ["a"], "verbs": ["bind"]},
            {"apiGroups": [""], "resources": ["serviceaccounts/token"], "resourceNames": ["a"], "verbs": ["create"]},
        ]});
        assert_eq!(shown(&of_role(&named, true)), [""; 0]);
        let all = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]);
        let labels = json!({"kubernetes.io/bootstrapping": "rbac-defaults"});
        let bootstrap = json!({"metadata": {"labels": labels}, "rules": all});
        assert_eq!(shown(&of_role(&bootstrap, true)), [""; 0]);
        // The control plane fills in the rules of an aggregated ClusterRole.
        let aggregated = json!({"aggregationRule": {"clusterRoleSelectors": []}, "rules": []});
        assert_eq!(shown(&of_role(&aggregated, true)), [""; 0]);
        for odd in [json!({"rules": "x"}), json!({"rules": [1, {"verbs": "get"}]}), json!(null)] {
            assert_eq!(shown(&of_role(&odd, true)), [""; 0], "{odd}");
        }
    }

    #[test]
    fn bindings_to_cluster_admin_are_found() {
        let binding = |role: &str, subject: &str, of_cluster: bool| {
            let binding = json!({
                "roleRef": {"kind": "ClusterRole", "name": role},
                "subjects": [{"kind": "Group", "name": subject}],
            });
            shown(&of_binding(&binding, of_cluster))
        };
        assert_eq!(binding("cluster-admin", "ops", true), ["HB-RBAC-ADMIN high roleRef.name"]);
        assert_eq!(binding("cluster-admin", "ops", false), ["HB-RBAC-ADMIN medium roleRef.name"]);
        let first = ["HB-RBAC-ADMIN high subjects[0].name"];
        assert_eq!(binding("view", "system:masters", true), first);
        assert_eq!(binding("view", "system:unauthenticated", true), first);
        let discovery = "system:service-account-issuer-discovery";
        assert_eq!(binding(discovery, "system:unauthenticated", true), [""; 0]);
        assert_eq!(binding("view", "ops", true), [""; 0]);
        let nobody = json!({"roleRef": {"kind": "ClusterRole", "name": "cluster-admin"}});
        assert_eq!(shown(&of_binding(&nobody, true)), [""; 0]);
    }
}
