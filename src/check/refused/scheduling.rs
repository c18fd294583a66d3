//! Where pods run: tolerations, affinities, and how they are spread.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Found, items, listed, quoted, text, workload};
use crate::policy::FieldPath;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

pub(super) fn evaluate(spec: &Value, at: &FieldPath, found: &mut Found) {
    for (toleration, at) in listed(spec, at, "tolerations") {
        self::toleration(toleration, &at, found);
    }
    spread(spec, at, found);
    let (affinity, at) = (&spec["affinity"], at.key("affinity"));
    nodes(&affinity["nodeAffinity"], &at.key("nodeAffinity"), found);
    for kind in ["podAffinity", "podAntiAffinity"] {
        let (affinity, at) = (&affinity[kind], at.key(kind));
        for (one, at) in listed(affinity, &at, REQUIRED) {
            term(one, &at, found);
        }
        for (one, at) in listed(affinity, &at, PREFERRED) {
            found.bounded(one, &at, "weight", (1, 100));
            term(&one["podAffinityTerm"], &at.key("podAffinityTerm"), found);
        }
    }
}

fn toleration(toleration: &Value, at: &FieldPath, found: &mut Found) {
    let is = |field: &str, word: &str| toleration[field].as_str().unwrap_or_default() == word;
    if is("key", "") && !is("operator", "Exists") {
        found.add(at.key("operator"), "must be Exists, as there is no key");
    }
    if is("operator", "Exists") && !is("value", "") {
        found.add(at.key("value"), "must be left out, as the operator is Exists");
    }
    if toleration["tolerationSeconds"].is_i64() && !is("effect", "NoExecute") {
        found.add(at.key("effect"), "must be NoExecute, as there are tolerationSeconds");
    }
}

fn spread(spec: &Value, at: &FieldPath, found: &mut Found) {
    let mut known = BTreeSet::new();
    for (constraint, at) in listed(spec, at, "topologySpreadConstraints") {
        if constraint["maxSkew"].as_i64().is_some_and(|skew| skew < 1) {
            found.add(at.key("maxSkew"), "must be 1 or more");
        }
        if constraint["minDomains"].as_i64().is_some_and(|least| least < 1) {
            found.add(at.key("minDomains"), "must be 1 or more");
        }
        let otherwise = text(&constraint["whenUnsatisfiable"]);
        one_of(
            otherwise,
            &["DoNotSchedule", "ScheduleAnyway"],
            &at.key("whenUnsatisfiable"),
            found,
        );
        if constraint["minDomains"].is_i64() && otherwise == Some("ScheduleAnyway") {
            let message = "must be left out, as whenUnsatisfiable is ScheduleAnyway";
            found.add(at.key("minDomains"), message);
        }
        let key = text(&constraint["topologyKey"]);
        if constraint["topologyKey"] == "" {
            found.add(at.key("topologyKey"), "must not be empty");
        }
        if key.zip(otherwise).is_some_and(|pair| !known.insert(pair)) {
            found.add(at.clone(), "a second constraint has this topologyKey and whenUnsatisfiable");
        }
        workload::selector(&constraint["labelSelector"], &at.key("labelSelector"), found);
    }
}

fn nodes(affinity: &Value, at: &FieldPath, found: &mut Found) {
    let (required, path) = (&affinity[REQUIRED], at.key(REQUIRED));
    if required.is_object() && items(&required["nodeSelectorTerms"]).is_empty() {
        found.add(path.key("nodeSelectorTerms"), "a term is needed");
    }
    for (one, at) in listed(required, &path, "nodeSelectorTerms") {
        expressions(one, &at, found);
    }
    for (one, at) in listed(affinity, at, PREFERRED) {
        found.bounded(one, &at, "weight", (1, 100));
        expressions(&one["preference"], &at.key("preference"), found);
    }
}

/// What is asked of the labels of a node.
fn expressions(term: &Value, at: &FieldPath, found: &mut Found) {
    const OPERATORS: [&str; 6] = ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"];
    for (expression, at) in listed(term, at, "matchExpressions") {
        let values = items(&expression["values"]);
        let operator = text(&expression["operator"]);
        one_of(operator, &OPERATORS, &at.key("operator"), found);
        let problem = match operator {
            Some("In" | "NotIn") if values.is_empty() => "values are needed for In and NotIn",
            Some("Exists" | "DoesNotExist") if !values.is_empty() => {
                "must be left out for Exists and DoesNotExist"
            }
            Some("Gt" | "Lt") if values.len() != 1 => "one value is needed for Gt and Lt",
            _ => continue,
        };
        found.add(at.key("values"), problem);
    }
}

/// What is asked of other pods.
fn term(term: &Value, at: &FieldPath, found: &mut Found) {
    if term["topologyKey"] == "" {
        found.add(at.key("topologyKey"), "must not be empty");
    }
    for selector in ["labelSelector", "namespaceSelector"] {
        workload::selector(&term[selector], &at.key(selector), found);
    }
}

/// A word that must be one of some.
pub(super) fn one_of(word: Option<&str>, known: &[&str], at: &FieldPath, found: &mut Found) {
    if let Some(word) = word.filter(|word| !known.contains(word)) {
        found.add(at.clone(), format!("{} is not one of {}", quoted(word), known.join(", ")));
    }
}
