//! Findings that depend on all files together: whether something selects the pods of a workload, scales it, or
//! decides about its API token.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    budget,
    object::Object,
    practices, rbac,
    report::{Located, Report},
};
use crate::policy::ControlId;
use crate::policy::FieldPath;
use crate::policy::Finding;
use crate::policy::Subject;
use crate::policy::WorkloadKind;

/// A namespace; absent where the manifest leaves it to `kubectl -n`.
type Namespace = Option<String>;

/// Names with the namespaces in which they are.
type Named = BTreeMap<String, BTreeSet<Namespace>>;

/// Labels that are compared in a run. Generated files can hold many selectors and many pods; beyond this bound there
/// are no more findings.
const MOST_COMPARED: usize = 3_000_000;

/// What cancels a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unless {
    /// The Service selects pods.
    Pods,
    /// A `NetworkPolicy` restricts who connects to the pods.
    Policy,
    /// A disruption budget selects them, or there are never several.
    Budget,
    /// There is more than one pod, or none.
    Several,
    /// A Service selects the pods.
    Served,
    /// No Service selects the pods.
    Unserved,
    /// There are more pods than the budget keeps.
    Spare,
    /// Its `ServiceAccount` mounts no token, or has a role and needs the token.
    Account,
}

/// A finding that counts unless another object cancels it.
#[derive(Debug)]
struct Question {
    unless: Unless,
    namespace: Namespace,
    /// Labels of the pods; of a Service or a budget those that it selects.
    labels: Value,
    /// `Deployment/web`, the `ServiceAccount`, or the Service.
    name: String,
    /// The replicas of a workload, or how many pods a budget keeps.
    amount: Value,
    file: usize,
    located: Located,
}

/// The labels of pods, or a selector of them, with the number of its file.
type Selecting = Vec<(usize, Value)>;

/// The pods of a workload.
#[derive(Debug)]
struct Pods {
    namespace: Namespace,
    file: usize,
    labels: Value,
}

/// A workload whose pods a budget may count.
#[derive(Debug)]
struct Workload {
    namespace: Namespace,
    /// `Deployment/web`.
    name: String,
    labels: Value,
    /// `None`: nobody can tell from the files how many there are.
    replicas: Option<i64>,
}

/// The selectors, pods and accounts of all files.
#[derive(Debug, Default)]
pub(crate) struct Selectors {
    /// Different labels of pods.
    pods: BTreeMap<Namespace, BTreeMap<String, Value>>,
    /// Labels of pods by the name of their workload, and of the Service that governs it.
    by_name: BTreeMap<String, Vec<Pods>>,
    services: BTreeMap<Namespace, Selecting>,
    /// Policies for connections to pods.
    policies: BTreeMap<Namespace, Selecting>,
    /// Files with policies for connections from pods only.
    outgoing: BTreeMap<Namespace, BTreeSet<usize>>,
    budgets: BTreeMap<Namespace, Selecting>,
    workloads: BTreeMap<Namespace, Vec<Workload>>,
    /// How far autoscalers go down, by the workload.
    scaled: BTreeMap<String, Vec<(Namespace, i64)>>,
    tokenless: Named,
    bound: Named,
    questions: Vec<Question>,
}

fn namespace(object: &Value) -> Namespace {
    object["metadata"]["namespace"].as_str().map(ToOwned::to_owned)
}

fn text(value: &Value, otherwise: &str) -> String {
    value.as_str().unwrap_or(otherwise).to_owned()
}

/// The finding for a Service that selects no pod.
pub(crate) fn of_service(service: &Value) -> Option<Finding> {
    let spec = &service["spec"];
    let has = spec["selector"].as_object().is_some_and(|labels| !labels.is_empty());
    let path = FieldPath::default().keys(&["spec", "selector"]);
    let message = "the workload of the same name has other labels: the Service selects no pod";
    (has && spec["type"] != "ExternalName")
        .then(|| Finding::new(ControlId::HbSvcSelector, path, message))
}

/// The findings for a workload, unless other objects cancel them.
pub(crate) fn of_workload(subject: &Subject<'_>, object: &Value) -> Vec<(Unless, Finding)> {
    // Policies do not apply to pods in the network of the node.
    let policy = practices::serves(subject.kind) && subject.spec["hostNetwork"] != true;
    let policy = policy.then(|| {
        let path = subject.at.keys(&["metadata", "labels"]);
        let message = "no NetworkPolicy among the files restricts who connects to these pods";
        Finding::new(ControlId::HbNpNone, path, message)
    });
    let (served, unserved) = practices::probes(subject);
    let all = [
        (Unless::Policy, policy),
        (Unless::Unserved, served),
        (Unless::Served, unserved),
        (Unless::Budget, practices::budget(subject)),
        (Unless::Several, practices::replicas(subject, object)),
        (Unless::Account, practices::token(subject)),
    ];
    all.into_iter().filter_map(|(unless, finding)| Some((unless, finding?))).collect()
}

/// Whether a policy restricts who connects to pods. One that names no type does, whatever it says of the other direction.
fn is_for_incoming(object: &Object<'_>) -> bool {
    let spec = &object.value["spec"];
    let field = if object.group() == "networking.k8s.io" { "policyTypes" } else { "types" };
    let types = spec[field].as_array().filter(|types| !types.is_empty());
    let has = |key: &str| !spec[key].is_null();
    match types {
        Some(types) => types.iter().any(|one| one == "Ingress"),
        None if object.group() == "networking.k8s.io" => true,
        // Cilium's can be told not to deny what they do not allow.
        None if spec["enableDefaultDeny"]["ingress"] == false => false,
        None => has("ingress") || has("ingressDeny") || !(has("egress") || has("egressDeny")),
    }
}

impl Selectors {
    /// Records an object that selects pods, has pods, or scales them.
    pub(crate) fn note(&mut self, object: &Object<'_>, file: usize) {
        let (spec, own) = (&object.value["spec"], namespace(object.value));
        match (object.group(), object.kind) {
            ("networking.k8s.io", "NetworkPolicy") => {
                self.policy(object, own, file, spec["podSelector"].clone());
            }
            // These policies select pods in other ways: they may select any pod.
            (
                "cilium.io"
                | "crd.projectcalico.org"
                | "projectcalico.org"
                | "policy.networking.k8s.io",
                kind,
            ) if kind.ends_with("Policy") => self.policy(object, own, file, Value::Null),
            ("gabion.dev", "HardeningBaseline") if !spec["network"].is_null() => {
                self.policies.entry(None).or_default().push((file, Value::Null));
            }
            (budget::GROUP, "PodDisruptionBudget") => {
                self.budgets.entry(own).or_default().push((file, spec["selector"].clone()));
            }
            ("autoscaling", "HorizontalPodAutoscaler") | ("keda.sh", "ScaledObject") => {
                let target = &spec["scaleTargetRef"];
                let kind = text(&target["kind"], "Deployment");
                let name = format!("{kind}/{}", text(&target["name"], ""));
                let least = match object.kind {
                    "ScaledObject" => spec["minReplicaCount"].as_i64().unwrap_or(0),
                    _ => spec["minReplicas"].as_i64().unwrap_or(1),
                };
                self.scaled.entry(name).or_default().push((own, least));
            }
            ("", "ServiceAccount") if object.value["automountServiceAccountToken"] == false => {
                let name = text(&object.value["metadata"]["name"], "");
                self.tokenless.entry(name).or_default().insert(own);
            }
            (rbac::GROUP, "RoleBinding" | "ClusterRoleBinding") => self.bind(object.value, &own),
            ("", "Service") => {
                let selector = &spec["selector"];
                if selector.as_object().is_some_and(|labels| !labels.is_empty()) {
                    let selector = serde_json::json!({ "matchLabels": selector });
                    self.services.entry(own).or_default().push((file, selector));
                }
            }
            _ => self.pods(object, own, file),
        }
    }

    fn policy(&mut self, object: &Object<'_>, own: Namespace, file: usize, selector: Value) {
        if is_for_incoming(object) {
            self.policies.entry(own).or_default().push((file, selector));
        } else {
            self.outgoing.entry(own).or_default().insert(file);
        }
    }

    fn bind(&mut self, binding: &Value, own: &Namespace) {
        let subjects = binding["subjects"].as_array().into_iter().flatten();
        for account in subjects.filter(|subject| subject["kind"] == "ServiceAccount") {
            let stated = account["namespace"].as_str().map(ToOwned::to_owned);
            let place = stated.or_else(|| own.clone());
            self.bound.entry(text(&account["name"], "")).or_default().insert(place);
        }
    }

    /// Records the labels of an object's pods. Custom resources such as a Rollout have templates too.
    fn pods(&mut self, object: &Object<'_>, own: Namespace, file: usize) {
        let subject = object.subject();
        let metadata = subject
            .as_ref()
            .map_or(&object.value["spec"]["template"]["metadata"], |subject| subject.metadata);
        if !metadata["labels"].is_object() {
            return;
        }
        let labels = &metadata["labels"];
        let governing = &object.value["spec"]["serviceName"];
        let names = [&object.value["metadata"]["name"], governing];
        for name in names.into_iter().filter_map(Value::as_str).filter(|_| subject.is_some()) {
            let same = self.by_name.entry(name.to_owned()).or_default();
            same.push(Pods { namespace: own.clone(), file, labels: labels.clone() });
        }
        let replicas = match subject.as_ref().map(|subject| subject.kind) {
            Some(
                WorkloadKind::Deployment | WorkloadKind::StatefulSet | WorkloadKind::ReplicaSet,
            ) => Some(object.value["spec"]["replicas"].as_i64().unwrap_or(1)),
            Some(WorkloadKind::Pod) => Some(1),
            _ => None,
        };
        let name = format!("{}/{}", object.kind, text(&object.value["metadata"]["name"], ""));
        let workload = Workload { namespace: own.clone(), name, labels: labels.clone(), replicas };
        self.workloads.entry(own.clone()).or_default().push(workload);
        self.pods.entry(own).or_default().insert(labels.to_string(), labels.clone());
    }

    /// Records a finding that other objects can cancel.
    pub(crate) fn ask(
        &mut self,
        object: &Object<'_>,
        file: usize,
        unless: Unless,
        found: Vec<Located>,
    ) {
        let subject = object.subject();
        let spec = &object.value["spec"];
        let name = text(&object.value["metadata"]["name"], "");
        for located in found {
            let (labels, name, amount) = match &subject {
                Some(subject) if unless == Unless::Account => {
                    let account = text(&subject.spec["serviceAccountName"], "default");
                    (Value::Null, account, Value::Null)
                }
                Some(subject) => (
                    subject.metadata["labels"].clone(),
                    format!("{}/{name}", object.kind),
                    spec["replicas"].clone(),
                ),
                None => (spec["selector"].clone(), name.clone(), spec["minAvailable"].clone()),
            };
            let namespace = namespace(object.value);
            let question = Question { unless, namespace, labels, name, amount, file, located };
            self.questions.push(question);
        }
    }

    /// Adds to a report what could only be known at the end.
    pub(crate) fn finish(mut self, report: &mut Report) {
        let questions = std::mem::take(&mut self.questions);
        let folders: Vec<_> = report.files.iter().map(|file| folder(&file.name)).collect();
        let mut add = |file: usize, located: Located| {
            if let Some(file) = report.files.get_mut(file) {
                file.findings.push(located);
            }
        };
        let mut left = MOST_COMPARED;
        let mut without = BTreeMap::<Namespace, (usize, Located, usize)>::new();
        for question in questions {
            if self.is_cancelled(&question, &folders, &mut left) {
                continue;
            }
            let is_scaled = self.scaled_to(&question.name, &question.namespace).is_some();
            let Question { unless, namespace, file, mut located, .. } = question;
            if unless == Unless::Several && is_scaled {
                "the autoscaler goes down to one replica: an eviction is an outage"
                    .clone_into(&mut located.finding.message);
            }
            if unless == Unless::Policy && !self.has_policies(&namespace, file) {
                // The cluster may have policies: this is a note, once for the namespace.
                without.entry(namespace).or_insert((file, located, 0)).2 += 1;
            } else {
                add(file, located);
            }
        }
        for (file, mut located, count) in without.into_values() {
            located.finding = located.finding.noted();
            if count > 1 {
                let others = count - 1;
                located.finding.message = format!(
                    "no NetworkPolicy among the files restricts who connects to these pods, nor to those of {others} more workloads"
                );
            }
            add(file, located);
        }
    }

    fn is_cancelled(&self, question: &Question, folders: &[String], left: &mut usize) -> bool {
        let known = |of: &Named| {
            let own = &question.namespace;
            of.get(&question.name)
                .is_some_and(|all| own.is_none() || all.contains(&None) || all.contains(own))
        };
        match question.unless {
            Unless::Pods => self.selects_pods(question, folders, left),
            Unless::Policy => is_selected(question, &self.policies, left),
            Unless::Budget => {
                self.least(question) < 2 || is_selected(question, &self.budgets, left)
            }
            Unless::Several => self.least(question) != 1,
            Unless::Unserved => !self.is_served(question, left),
            Unless::Served => self.is_served(question, left),
            Unless::Spare => self.spares(question, left),
            Unless::Account => known(&self.tokenless) || known(&self.bound),
        }
    }

    /// Beyond the bound of comparisons, no Service selects the pods.
    fn is_served(&self, question: &Question, left: &mut usize) -> bool {
        is_selected(question, &self.services, left) && *left > 0
    }

    /// How far an autoscaler takes a workload down.
    fn scaled_to(&self, name: &str, namespace: &Namespace) -> Option<i64> {
        let all = self.scaled.get(name)?.iter();
        all.filter(|(own, _)| together(own, namespace)).map(|(_, least)| *least).min()
    }

    /// The fewest replicas that the workload of a question has.
    fn least(&self, question: &Question) -> i64 {
        let stated = question.amount.as_i64().unwrap_or(1);
        self.scaled_to(&question.name, &question.namespace).unwrap_or(stated)
    }

    /// Whether a budget lets pods go, or may: it keeps less than the workloads that it selects have.
    fn spares(&self, budget: &Question, left: &mut usize) -> bool {
        let mut all = 0_i64;
        for workload in near(&self.workloads, &budget.namespace).flatten() {
            if !spend(left, &budget.labels) {
                return true;
            }
            if !selects(&budget.labels, &workload.labels) {
                continue;
            }
            let scaled = self.scaled_to(&workload.name, &workload.namespace);
            let Some(own) = workload.replicas.map(|stated| scaled.unwrap_or(stated)) else {
                return true;
            };
            all = all.saturating_add(own);
        }
        let kept = budget::kept(&budget.amount, all);
        all == 0 || kept.is_none_or(|kept| kept < all)
    }

    /// Whether there are policies for this namespace: they name it, or they are in the same file.
    fn has_policies(&self, namespace: &Namespace, file: usize) -> bool {
        let there = self.policies.get(namespace);
        let outgoing = self.outgoing.get(namespace);
        there.is_some_and(|all| namespace.is_some() || all.iter().any(|(own, _)| *own == file))
            || outgoing.is_some_and(|all| namespace.is_some() || all.contains(&file))
    }

    /// Whether a Service selects pods, or may select some. Pods that an operator creates are in no file, and labels
    /// that a program sets on its own pods are in no template. So only the workload of the same name can contradict.
    fn selects_pods(&self, service: &Question, folders: &[String], left: &mut usize) -> bool {
        let same = self.by_name.get(&service.name).map(Vec::as_slice).unwrap_or_default();
        let mut own = same.iter().filter(|pods| {
            // Without namespaces, two workloads of one name are two projects unless they are in one folder.
            let near = folders.get(pods.file) == folders.get(service.file);
            match (&pods.namespace, &service.namespace) {
                (None, None) => near,
                (one, other) => together(one, other),
            }
        });
        let is_contradicted =
            own.any(|pods| spend(left, &service.labels) && differs(&service.labels, &pods.labels));
        !is_contradicted
            || near(&self.pods, &service.namespace)
                .flat_map(BTreeMap::values)
                .any(|labels| !spend(left, &service.labels) || equal(&service.labels, labels))
    }
}

/// The folder of a file.
fn folder(name: &str) -> String {
    name.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned()
}

/// Whether labels contradict a selector: one has another value, or none is equal.
fn differs(wanted: &Value, labels: &Value) -> bool {
    let wanted = wanted.as_object().into_iter().flatten();
    let (mut same, mut other) = (0, 0);
    for (key, value) in wanted {
        match labels.get(key) {
            Some(own) if own == value => same += 1,
            Some(_) => other += 1,
            None => {}
        }
    }
    other > 0 || same == 0
}

fn is_selected(pods: &Question, by: &BTreeMap<Namespace, Selecting>, left: &mut usize) -> bool {
    let mut selectors = near(by, &pods.namespace).flatten();
    // Beyond the bound, one of them may select the pods.
    selectors.any(|(_, selector)| !spend(left, selector) || selects(selector, &pods.labels))
}

/// What may be in a namespace. An object without one may be in any.
fn near<'m, T>(
    by: &'m BTreeMap<Namespace, T>,
    namespace: &Namespace,
) -> impl Iterator<Item = &'m T> {
    let all = namespace.is_none().then(|| by.values()).into_iter().flatten();
    let own = namespace.is_some().then(|| [by.get(&None), by.get(namespace)]);
    all.chain(own.into_iter().flatten().flatten())
}

fn together(one: &Namespace, other: &Namespace) -> bool {
    one.is_none() || other.is_none() || one == other
}

/// Subtracts the cost of a comparison from what is left. False if that is not enough.
fn spend(left: &mut usize, selector: &Value) -> bool {
    let parts = |value: &Value| match value {
        Value::Object(fields) => fields.len(),
        Value::Array(items) => items.len(),
        _ => 0,
    };
    let values = selector["matchExpressions"].as_array().into_iter().flatten();
    let values: usize = values.map(|expression| parts(&expression["values"])).sum();
    let labels = parts(selector) + parts(&selector["matchLabels"]);
    let cost = 1 + labels + parts(&selector["matchExpressions"]) + values;
    let rest = left.checked_sub(cost);
    *left = rest.unwrap_or_default();
    rest.is_some()
}

fn equal(wanted: &Value, labels: &Value) -> bool {
    let mut wanted = wanted.as_object().into_iter().flatten();
    wanted.all(|(key, value)| labels[key] == *value)
}

/// Whether a selector of labels and expressions selects labels; an empty one selects all.
fn selects(selector: &Value, labels: &Value) -> bool {
    let expressions = selector["matchExpressions"].as_array();
    equal(&selector["matchLabels"], labels)
        && expressions.into_iter().flatten().all(|expression| {
            let found = expression["key"].as_str().and_then(|key| labels.get(key));
            let values = expression["values"].as_array();
            let listed = found.is_some_and(|found| values.is_some_and(|all| all.contains(found)));
            match expression["operator"].as_str() {
                Some("In") => listed,
                Some("NotIn") => !listed,
                Some("Exists") => found.is_some(),
                Some("DoesNotExist") => found.is_none(),
                _ => false,
            }
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selectors_follow_the_rules_of_kubernetes() {
        let labels = json!({"app": "web", "tier": "front"});
        let of = |selector: Value| selects(&selector, &labels);
        assert!(of(json!({})) && of(json!(null)) && of(json!({"matchLabels": {"app": "web"}})));
        assert!(!of(json!({"matchLabels": {"app": "web", "x": "y"}})));
        let expression = |operator: &str, values: Value| {
            let one = json!({"key": "tier", "operator": operator, "values": values});
            of(json!({"matchExpressions": [one]}))
        };
        assert!(expression("In", json!(["front"])) && !expression("NotIn", json!(["front"])));
        assert!(expression("Exists", json!(null)) && !expression("DoesNotExist", json!(null)));
        assert!(!expression("Odd", json!(null)));
    }

    #[test]
    fn only_contradicting_labels_are_wrong() {
        let labels = json!({"app": "db", "tier": "back"});
        for (selector, wanted) in [
            (json!({"app": "dbs"}), true),
            (json!({"app": "dbs", "tier": "back"}), true),
            (json!({"name": "db"}), true),
            (json!({"app": "db"}), false),
            // The program sets this label on the pod that writes.
            (json!({"app": "db", "role": "primary"}), false),
        ] {
            assert_eq!(differs(&selector, &labels), wanted, "{selector}");
        }
    }

    #[test]
    fn comparisons_are_bounded() {
        let mut left = 4;
        let selector = json!({"matchLabels": {"app": "web"}});
        assert!(spend(&mut left, &selector) && !spend(&mut left, &selector) && left == 0);
    }
}
