//! Exceptions as CEL: who is excused, and until when. An empty list excuses nobody.

use super::image::canonical_repository;
use super::literal::{any_of, text as literal};
use super::scope::{WaivedContainer, Waiver};
use super::subject::WorkloadKind;

/// Waivers in one expression; an expression has at most 100,000 characters.
const CHUNK: usize = 100;

/// Whether the whole pod is excused, in as many expressions as it takes.
pub(super) fn waived(waivers: &[&Waiver], templates: bool) -> Vec<String> {
    let whole: Vec<_> = waivers.iter().filter(|waiver| waiver.containers.is_empty()).collect();
    let chunks = whole.chunks(CHUNK);
    chunks.map(|part| any_of(part.iter().map(|waiver| applies(waiver, templates)))).collect()
}

/// Names of the containers that are excused, as lists.
pub(super) fn excused_containers(waivers: &[&Waiver], templates: bool) -> Vec<String> {
    let single: Vec<_> = waivers.iter().filter(|waiver| !waiver.containers.is_empty()).collect();
    let excused = |waiver: &Waiver| {
        let containers = any_of(waiver.containers.iter().map(is));
        format!("({} && {containers})", applies(waiver, templates))
    };
    single
        .chunks(CHUNK)
        .map(|part| {
            let names = any_of(part.iter().map(|waiver| excused(waiver)));
            format!("variables.images.filter(i, {names}).map(i, i.name)")
        })
        .collect()
}

fn is(container: &WaivedContainer) -> String {
    format!(
        "(i.name == {} && i.kind == {} && i.repo == {})",
        literal(&container.name),
        literal(&container.kind),
        literal(&canonical_repository(&container.repository))
    )
}

/// Namespace, workload and clock of one waiver.
fn applies(waiver: &Waiver, templates: bool) -> String {
    let mut conditions = vec![format!("request.namespace == {}", literal(&waiver.namespace))];
    if let Some((kind, name)) = &waiver.target {
        conditions.push(belongs(*kind, name, templates));
    }
    if let Some(until) = &waiver.until {
        // On an update the stored time would be compared: there the controller takes the waiver out.
        conditions.push(format!(
            "(request.operation != 'CREATE' || timestamp(object.metadata.creationTimestamp) < timestamp({}))",
            literal(until)
        ));
    }
    format!("({})", conditions.join(" && "))
}

/// Whether the object is the workload, or is made by it.
fn belongs(kind: WorkloadKind, name: &str, templates: bool) -> String {
    let itself = format!(
        "(request.kind.kind == {} && object.metadata.name == {})",
        literal(kind.as_str()),
        literal(name)
    );
    let owner = |owner: &str, name: String| {
        format!(
            "object.metadata.?ownerReferences.orValue([]).exists(o, o.?controller.orValue(false) && o.kind == '{owner}' && {name})"
        )
    };
    let equal = |name: &str| format!("o.name == {}", literal(name));
    // A pod of a Deployment belongs to a ReplicaSet that is named after it, one of a CronJob to a Job: the name
    // and one more word, so that `web` does not excuse what `web-admin` makes.
    let begins = |name: &str| {
        let prefix = literal(&format!("{name}-"));
        format!(
            "o.name.startsWith({prefix}) && o.name.lastIndexOf('-') == {}",
            name.chars().count()
        )
    };
    let made = match kind {
        WorkloadKind::Pod | WorkloadKind::PodTemplate => None,
        WorkloadKind::Deployment if !templates => Some(owner("ReplicaSet", begins(name))),
        WorkloadKind::CronJob if !templates => Some(owner("Job", begins(name))),
        _ => Some(owner(kind.as_str(), equal(name))),
    };
    any_of([itself].into_iter().chain(made))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_excused_without_a_waiver() {
        assert!(waived(&[], false).is_empty() && excused_containers(&[], false).is_empty());
    }

    #[test]
    fn many_waivers_are_spread_over_expressions() {
        let waiver = Waiver {
            controls: ["HB-ROFS".to_owned()].into(),
            namespace: "shop".into(),
            target: Some((WorkloadKind::Deployment, "web".into())),
            containers: Vec::new(),
            until: Some("2026-12-01T00:00:00Z".into()),
        };
        let many: Vec<_> = std::iter::repeat_n(&waiver, 250).collect();
        let parts = waived(&many, false);
        assert_eq!(parts.len(), 3);
        assert!(parts.iter().all(|part| part.len() < 60_000), "{}", parts[0].len());
    }

    #[test]
    fn a_workload_whose_name_begins_like_the_excused_one_is_not_excused() {
        let pods = belongs(WorkloadKind::Deployment, "web", false);
        assert!(
            pods.contains("o.name.startsWith('web-') && o.name.lastIndexOf('-') == 3"),
            "{pods}"
        );
        let templates = belongs(WorkloadKind::Deployment, "web", true);
        assert!(templates.contains("o.kind == 'Deployment' && o.name == 'web'"), "{templates}");
    }

    #[test]
    fn names_cannot_leave_their_literals() {
        let waiver = Waiver {
            controls: ["HB-ROFS".to_owned()].into(),
            namespace: "x' || true || '".into(),
            target: None,
            containers: Vec::new(),
            until: None,
        };
        let parts = waived(&[&waiver], false);
        assert_eq!(parts, [r"((request.namespace == 'x\u0027 || true || \u0027'))"]);
    }
}
