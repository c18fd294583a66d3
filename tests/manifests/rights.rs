//! `docs/rbac.md` explains every right in `config/`, and there is none that it does not explain.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::yaml::{below, document, documents, is, read, table_rows, texts};

/// Roles that people get through the built-in ones. Gabion's account is bound to none of them.
const FOR_PEOPLE: &str = "config/rbac/people.yaml";

/// Resource (`name.group/subresource`, or `name.group object`) and verb.
type Rights = BTreeSet<(String, String)>;

/// Every role in `config/`, by the heading it has in the page.
fn roles() -> BTreeMap<String, Value> {
    let mut roles = BTreeMap::new();
    for path in below("config").iter().filter(|path| path.contains("rbac")) {
        for document in documents(path) {
            let kind = document["kind"].as_str().unwrap();
            if kind == "Role" || kind == "ClusterRole" {
                let before = roles.insert(heading(&document), document.clone());
                assert!(before.is_none(), "{} twice", heading(&document));
            }
        }
    }
    roles
}

fn heading(role: &Value) -> String {
    let (kind, name) = (role["kind"].as_str().unwrap(), role["metadata"]["name"].as_str().unwrap());
    match role["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("{kind} {name} in {namespace}"),
        None => format!("{kind} {name}"),
    }
}

fn granted(role: &Value) -> Rights {
    let mut rights = Rights::new();
    for rule in role["rules"].as_array().unwrap() {
        let names = texts(&rule["resourceNames"]);
        let (groups, resources) = (texts(&rule["apiGroups"]), texts(&rule["resources"]));
        for (group, resource) in groups.iter().flat_map(|g| resources.iter().map(move |r| (g, r))) {
            let (base, part) = resource.split_once('/').unwrap_or((resource, ""));
            let group = if group.is_empty() { String::new() } else { format!(".{group}") };
            let part = if part.is_empty() { String::new() } else { format!("/{part}") };
            let full = format!("{base}{group}{part}");
            for verb in texts(&rule["verbs"]) {
                if names.is_empty() {
                    rights.insert((full.clone(), verb.clone()));
                }
                rights.extend(names.iter().map(|name| (format!("{full} {name}"), verb.clone())));
            }
        }
    }
    rights
}

/// The rights in the table of each section of the page.
fn explained() -> BTreeMap<String, Rights> {
    let page = read("docs/rbac.md");
    let sections = page.split("\n## ").skip(1).filter(|section| section.contains("Role "));
    let of = |section: &str| {
        let mut rights = Rights::new();
        for row in table_rows(section, &["resource", "verbs", "why"]) {
            assert!(row[2].len() > 10, "{row:?} does not say why");
            for verb in row[1].split(", ") {
                let new = rights.insert((row[0].trim_matches('`').to_owned(), verb.to_owned()));
                assert!(new, "{row:?} explains {verb} again");
            }
        }
        rights
    };
    sections.map(|section| (section.lines().next().unwrap().to_owned(), of(section))).collect()
}

#[test]
fn the_page_explains_every_right_and_no_other() {
    let (roles, explained) = (roles(), explained());
    assert!(roles.len() >= 6);
    assert_eq!(roles.keys().collect::<Vec<_>>(), explained.keys().collect::<Vec<_>>());
    for (heading, role) in &roles {
        assert_eq!(granted(role), explained[heading], "{heading}");
    }
}

#[test]
fn no_right_is_a_wildcard_or_leads_to_others() {
    for (heading, role) in roles() {
        for (resource, verb) in granted(&role) {
            assert!(!resource.contains('*') && verb != "*", "{heading}: {resource} {verb}");
            let grows =
                ["escalate", "bind", "impersonate", "deletecollection"].contains(&verb.as_str());
            assert!(!grows, "{heading}: {resource} {verb}");
            assert!(!resource.contains("rbac.authorization.k8s.io"), "{heading}: {resource}");
        }
    }
}

#[test]
fn every_role_is_bound_to_our_account_and_to_nobody_else() {
    let account =
        json!([{"kind": "ServiceAccount", "name": "gabion", "namespace": "gabion-system"}]);
    let ours = |path: &&String| path.contains("rbac") && is(path, "yaml") && *path != FOR_PEOPLE;
    for path in below("config").iter().filter(ours) {
        let all = documents(path);
        let of = |kind: &str| -> BTreeSet<String> {
            let those =
                all.iter().filter(|document| document["kind"].as_str().unwrap().ends_with(kind));
            those.map(|document| heading(document).replace("Binding ", " ")).collect()
        };
        assert_eq!(of("Role"), of("RoleBinding"), "{path}");
        for binding in all.iter().filter(|document| !document["subjects"].is_null()) {
            assert_eq!(binding["subjects"], account, "{path}");
            assert_eq!(binding["roleRef"]["name"], binding["metadata"]["name"], "{path}");
            let kind = binding["kind"].as_str().unwrap().trim_end_matches("Binding");
            assert_eq!(binding["roleRef"]["kind"], kind, "{path}");
        }
    }
}

#[test]
fn in_one_namespace_the_rights_are_those_of_the_cluster_without_its_own_kinds() {
    let one = granted(&document("config/overlays/namespaces/rbac.yaml", "Role", "gabion"));
    let mut whole = granted(&document("config/rbac/secrets.yaml", "ClusterRole", "gabion-secrets"));
    whole.extend(granted(&document("config/rbac/events.yaml", "ClusterRole", "gabion-events")));
    let of_pushes = document("config/rbac/push-secrets.yaml", "ClusterRole", "gabion-push-secrets");
    whole.extend(granted(&of_pushes));
    let cluster_scoped =
        |resource: &str| resource.starts_with("cluster") || resource == "namespaces";
    whole.retain(|(resource, _)| !cluster_scoped(resource));
    assert_eq!(one, whole);
}

#[test]
fn what_people_get_is_bound_to_nobody_and_leaves_cluster_wide_objects_to_administrators() {
    for role in documents(FOR_PEOPLE) {
        assert_eq!(role["kind"], "ClusterRole");
        for (resource, verb) in granted(&role) {
            let reads = ["get", "list", "watch"].contains(&verb.as_str());
            let namespaced = ["externalsecrets", "pushsecrets", "secretstores"]
                .iter()
                .any(|kind| resource == format!("{kind}.external-secrets.io"));
            let asks = resource == "baselineexceptions.gabion.dev" && verb != "approve";
            // A role of its own, which is part of no built-in one.
            let approves = role["metadata"]["name"] == "gabion-exception-approver"
                && role["metadata"]["labels"].as_object().is_some_and(|labels| labels.len() == 1)
                && resource.starts_with("baselineexception");
            assert!(reads || namespaced || asks || approves, "{resource} {verb}");
            assert!(
                resource.ends_with(".external-secrets.io") || resource.ends_with(".gabion.dev")
            );
        }
    }
}
