//! A policy as CEL: its variables, its conditions, its one message.

use serde_json::{Value, json};

use super::controls::ControlId;
use super::image::cel_read;
use super::literal::{all_of, any_of, bound, text as literal};
use super::probe::{PROBE, sentinel};
use super::rules::{Cel, Over, Rule};
use super::settings::Settings;
use super::subject::WorkloadKind;
use crate::policy::fast_path::holds;
use crate::policy::fast_path::of_pod;
use crate::policy::waivers::{Compiled as Waivers, Waiver};

/// One policy.
pub(super) struct Family {
    /// End of its name.
    pub(crate) suffix: &'static str,
    /// What it checks.
    pub(crate) rules: Vec<&'static Rule>,
    /// Whether its binding denies.
    pub(crate) denies: bool,
    /// The kind of its probes.
    pub(crate) probe: WorkloadKind,
}

impl Family {
    /// Value of the probe annotation that this policy refuses.
    pub(crate) fn mark(&self, revision: &str) -> String {
        format!("{revision}.{}", self.suffix)
    }

    fn templates(&self) -> bool {
        self.probe != WorkloadKind::Pod
    }

    fn checks_resizes(&self) -> bool {
        !self.templates() && self.rules.iter().any(|rule| rule.id == ControlId::HbRes)
    }
}

/// The spec of a policy, without the namespaces that it reaches.
pub(super) fn policy_spec(
    family: &Family,
    settings: &Settings,
    (baseline, revision): (&str, &str),
    waivers: &[Waiver],
) -> Value {
    let mut variables = objects(family);
    let waivers = Waivers(waivers);
    variables.extend(waivers.variables(family.templates()));
    let compiled: Vec<(&Rule, Cel)> =
        family.rules.iter().map(|rule| (*rule, (rule.cel)(settings))).collect();
    variables.extend(lists(&compiled));
    for (rule, cel) in &compiled {
        let excused = waivers.excused(rule.id);
        variables.extend(excused.iter().map(|names| (excused_by(rule.id), names.clone())));
        variables.push(kept(rule, cel, excused.is_some()));
    }
    let mark = family.mark(revision);
    variables.push(("failed".into(), failed(family, settings, &mark)));
    let variables: Vec<_> = variables
        .into_iter()
        .map(|(name, expression)| json!({ "name": name, "expression": expression }))
        .collect();
    let opening = format!("hardening baseline {baseline} (revision {revision}): ");
    json!({
        "failurePolicy": if family.denies { "Fail" } else { "Ignore" },
        "matchConstraints": { "matchPolicy": "Equivalent", "resourceRules": resources(family) },
        "matchConditions": [{
            "name": "is-to-be-evaluated",
            "expression": format!("({}) && ({} || !{})", condition(family), marked(), holds(pod_of(family), &compiled)),
        }],
        "variables": variables,
        "validations": [{
            "expression": "variables.failed.size() == 0",
            "reason": "Forbidden",
            "message": format!("{opening}the workload does not hold it"),
            "messageExpression": format!("{} + variables.failed.join('; ')", literal(&opening)),
        }],
    })
}

fn resources(family: &Family) -> Value {
    if family.templates() {
        let of = |group: &str| {
            let kinds = WorkloadKind::TEMPLATES.into_iter().filter(|kind| kind.group() == group);
            let names: Vec<_> = kinds.map(WorkloadKind::resource).collect();
            json!({ "apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
                    "resources": names, "scope": "Namespaced" })
        };
        return json!([of(""), of("apps"), of("batch")]);
    }
    let rule = |operations: &[&str], resources: &[&str]| {
        json!({ "apiGroups": [""], "apiVersions": ["v1"], "operations": operations,
                "resources": resources, "scope": "Namespaced" })
    };
    let below: &[&str] = if family.checks_resizes() {
        &["pods/ephemeralcontainers", "pods/resize"]
    } else {
        &["pods/ephemeralcontainers"]
    };
    json!([rule(&["CREATE", "UPDATE"], &["pods"]), rule(&["UPDATE"], below)])
}

/// Updates that change nothing that is checked pass, whatever the object holds: finalizers are removed, labels
/// and status are written, jobs complete. So do those of an object that is being deleted, by the same rule: nobody
/// gets an image past a policy because a finalizer holds a pod. Of a pod only its images and its list of containers can be changed, and
/// by a resize its resources; a template is compared as a whole, but only by a policy that refuses.
fn condition(family: &Family) -> String {
    if family.templates() {
        if !family.denies {
            return "!has(object.metadata.deletionTimestamp)".to_owned();
        }
        let template = |of: &str| {
            format!(
                "{of}.?template.or({of}.?spec.?jobTemplate.?spec.?template).or({of}.?spec.?template)"
            )
        };
        let changed = |field: &str| {
            format!("{}.{field} != {}.{field}", template("object"), template("oldObject"))
        };
        return format!(
            "request.operation == 'CREATE' || {} || {}",
            changed("?spec"),
            changed("?metadata.?annotations")
        );
    }
    let images = |of: &str, list: &str| {
        format!("{of}.spec.?{list}.orValue([]).map(c, c.?image.orValue(''))")
    };
    let lists = ["containers", "initContainers", "ephemeralContainers"];
    let changed =
        lists.map(|list| format!("{} != {}", images("object", list), images("oldObject", list)));
    let mut changed = changed.join(" || ");
    if family.checks_resizes() {
        let amounts =
            |of: &str, list: &str| format!("{of}.spec.?{list}.orValue([]).map(c, c.?resources)");
        let resized = ["containers", "initContainers"]
            .map(|list| format!("{} != {}", amounts("object", list), amounts("oldObject", list)));
        changed = format!(
            "request.?subResource.orValue('') == 'resize' ? ({}) : ({changed})",
            resized.join(" || ")
        );
    }
    format!("request.operation == 'CREATE' || ({changed})")
}

type Variables = Vec<(String, String)>;

/// The pod, wherever the kind keeps it.
fn pod_of(family: &Family) -> &'static str {
    if family.templates() {
        "request.kind.kind == 'CronJob' ? object.spec.jobTemplate.spec.template \
         : request.kind.kind == 'PodTemplate' ? object.template : object.spec.template"
    } else {
        "object"
    }
}

/// Whether the object is one that is made to be refused.
fn marked() -> String {
    format!("object.metadata.?annotations[?{}].hasValue()", literal(PROBE))
}

fn objects(family: &Family) -> Variables {
    let named = |name: &str, expression: &str| (name.to_owned(), expression.to_owned());
    vec![
        named("pod", pod_of(family)),
        named("spec", "variables.pod.spec"),
        named("annotations", "variables.pod.?metadata.?annotations.orValue({})"),
        named(
            "lasting",
            "variables.spec.?initContainers.orValue([]) + variables.spec.?containers.orValue([])",
        ),
        named("containers", "variables.lasting + variables.spec.?ephemeralContainers.orValue([])"),
    ]
}

/// Lists that only some rules walk.
fn lists(compiled: &[(&Rule, Cel)]) -> Variables {
    let mut variables = Variables::new();
    let walks = |wanted| {
        compiled.iter().any(|(_, cel)| cel.each.as_ref().is_some_and(|(over, _)| *over == wanted))
    };
    if walks(Over::Images) {
        variables.push(("images".into(), images("")));
    }
    variables
}

/// The images of those containers that a filter leaves, and of volumes.
fn images(filter: &str) -> String {
    let of = |list: &str| {
        format!("variables.spec.?{list}.orValue([]){filter}.map(c, string(c.?image.orValue('')))")
    };
    let volumes = "variables.spec.?volumes.orValue([]).filter(v, has(v.image))\
                   .map(v, string(v.image.?reference.orValue('')))";
    format!(
        "({} + {} + {} + {volumes}).filter(i, i != '')",
        of("initContainers"),
        of("containers"),
        of("ephemeralContainers")
    )
}

/// Id of a control as part of a variable's name.
fn word(id: ControlId) -> String {
    id.as_str().replace('-', "_")
}

/// Name of the variable that holds the names of the containers that are excused from a control.
fn excused_by(id: ControlId) -> String {
    format!("excused_{}", word(id))
}

/// Whether one rule is kept: by every item that is not excused, and by the pod as a whole unless every container is.
fn kept(rule: &Rule, cel: &Cel, waived: bool) -> (String, String) {
    let names = waived.then(|| format!("variables.{}", excused_by(rule.id)));
    let each = cel.each.as_ref().map(|(over, ok)| walk(*over, ok, names.as_deref()));
    let whole = cel.pod.iter().map(|pod| match &names {
        Some(names) => format!("(({pod}) || variables.containers.all(c, c.name in {names}))"),
        None => format!("({pod})"),
    });
    let kept = all_of(whole.chain(each));
    let kept = any_of([kept].into_iter().chain(cel.unless.clone()));
    let kept = of_pod("variables.spec", "variables.annotations", &kept);
    (format!("kept_{}", word(rule.id)), kept)
}

fn walk(over: Over, ok: &str, excused: Option<&str>) -> String {
    let (list, item) = match over {
        Over::Containers => ("variables.containers", "c"),
        Over::Lasting => ("variables.lasting", "c"),
        Over::Main => ("spec.?containers.orValue([])", "c"),
        Over::Images => ("variables.images", "image"),
    };
    let ok = match over {
        Over::Containers => bound("own", "c.?securityContext", &format!("({ok})")),
        Over::Lasting | Over::Main => format!("({ok})"),
        Over::Images => cel_read(&format!("({ok})")),
    };
    match (over, excused) {
        (_, None) => format!("{list}.all({item}, {ok})"),
        (Over::Images, Some(names)) => {
            format!("{}.all({item}, {ok})", images(&format!(".filter(c, !(c.name in {names}))")))
        }
        (_, Some(names)) => format!("{list}.all({item}, {ok} || c.name in {names})"),
    }
}

/// What is not kept: id and remedy of each control, and the sentinel when it is asked for.
fn failed(family: &Family, settings: &Settings, mark: &str) -> String {
    let annotation = format!("object.metadata.?annotations[?{}].orValue('')", literal(PROBE));
    let mut parts =
        vec![format!("({annotation} == {} ? [{}] : [])", literal(mark), literal(&sentinel(mark)))];
    for rule in &family.rules {
        // A resize changes nothing but resources; the rest was evaluated when the pod came.
        let resize = if family.checks_resizes() && rule.id != ControlId::HbRes {
            "request.?subResource.orValue('') == 'resize' || "
        } else {
            ""
        };
        parts.push(format!(
            "({resize}variables.kept_{} ? [] : [{}])",
            word(rule.id),
            literal(&violation(rule, settings))
        ));
    }
    parts.join(" + ")
}

/// Id and remedy in one line; messages are joined by semicolons, so it has none.
fn violation(rule: &Rule, settings: &Settings) -> String {
    let remedy = rule.remedy(settings);
    let plain = |c: char| if c.is_control() || c == ';' { ' ' } else { c };
    let line: String = remedy.chars().map(plain).collect();
    format!("{}: {line}", rule.id)
}
