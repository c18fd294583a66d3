//! What one line of the pod puts right is said once, and not once for each container.

use super::{position::Lines, report::Located, yaml::Node};
use crate::policy::ControlId;
use crate::policy::FieldPath;
use crate::policy::Finding;
use crate::policy::Segment;

/// Containers that are named; the rest is counted.
const NAMED: usize = 5;

/// The field of the pod's security context that all its containers inherit.
const fn inherited(id: ControlId) -> Option<&'static str> {
    match id {
        ControlId::PssRunAsNonRoot => Some("runAsNonRoot"),
        ControlId::PssSeccompProfileRestricted => Some("seccompProfile"),
        ControlId::HbUid => Some("runAsUser"),
        ControlId::HbGid => Some("runAsGroup"),
        _ => None,
    }
}

/// Puts findings of one object together that are about a field which neither the pod nor several of its containers
/// set. What a container sets itself stays a finding of its own: only there it can be put right.
pub(crate) fn once(located: &mut Vec<Located>, root: &Node, lines: &Lines<'_>) {
    for id in ControlId::ALL.iter().copied().filter(|id| inherited(*id).is_some()) {
        let same: Vec<_> = located.iter().filter_map(|located| place(located, id, root)).collect();
        let [(pod, _), _, ..] = same.as_slice() else { continue };
        let (pod, names) =
            (pod.clone(), same.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>());
        let Some(first) = located.iter().position(|located| place(located, id, root).is_some())
        else {
            continue;
        };
        let merged = together(&located[first], &pod, &names, root, lines);
        let mut nth = 0;
        located.retain(|located| {
            let kept = nth == first || place(located, id, root).is_none();
            nth += 1;
            kept
        });
        located[first] = merged;
    }
}

/// The pod and the name of the container, for a finding of this control about a field that neither sets.
fn place(located: &Located, id: ControlId, root: &Node) -> Option<(FieldPath, String)> {
    let field = inherited(id)?;
    let path = &located.finding.path;
    let counts = located.finding.control.id == id
        && located.suppressed.is_none()
        && !located.finding.note
        && root.at(path).is_none();
    let list =
        path.0.iter().rposition(|step| matches!(step, Segment::Index(_))).filter(|_| counts)?;
    let cut = |end: usize| path.0.get(..end).map(|steps| FieldPath(steps.to_vec()));
    let (pod, container) = (cut(list.checked_sub(1)?)?, cut(list + 1)?);
    root.at(&pod.keys(&["securityContext", field])).is_none().then_some(())?;
    let name = root.at(&container.key("name")).and_then(Node::as_str).unwrap_or("without a name");
    Some((pod, name.to_owned()))
}

fn together(
    first: &Located,
    pod: &FieldPath,
    names: &[&str],
    root: &Node,
    lines: &Lines<'_>,
) -> Located {
    let field = inherited(first.finding.control.id).unwrap_or_default();
    let path = pod.keys(&["securityContext", field]);
    let named: Vec<_> =
        names.iter().take(NAMED).map(|name| format!("{:?}", super::object::short(name))).collect();
    let more = names.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let message = format!(
        "neither the pod nor its containers {}{more} set securityContext.{field}",
        named.join(", ")
    );
    Located {
        position: lines.position(root.offset(&path)),
        // Of the containers together, so that one more is not a new finding.
        anchor: format!("securityContext.{field} of the pod"),
        finding: Finding { path, message, ..first.finding.clone() },
        ..first.clone()
    }
}
