//! Whether a pod holds everything, in one expression.
//!
//! The API server evaluates the variables of a policy twice, for the verdict and for a message that is not needed when
//! the verdict is good. So the condition under which a policy is asked at all is that this expression is false: a good
//! pod is inspected once, in as few walks as can be. It may be false for a pod that holds everything, which
//! is then evaluated the long way: what that excuses (resizes), and what is rare (ephemeral containers
//! without resources, images as volumes), is not known here. It is never true for one that does not.

use super::image::{CEL_PLAIN, cel_read};
use super::literal::{all_of, any_of, bound};
use super::rules::{Cel, Over, Rule};

/// Every container, in one list.
const CONTAINERS: &str = "(spec.?initContainers.orValue([]) + spec.?containers.orValue([]) \
                          + spec.?ephemeralContainers.orValue([]))";
const MAIN: &str = "spec.?containers.orValue([])";
const NO_IMAGE_VOLUMES: &str = "spec.?volumes.orValue([]).all(v, !has(v.image))";

/// A condition on a pod with the names that rules use for its parts.
pub(super) fn of_pod(spec: &str, annotations: &str, condition: &str) -> String {
    let condition = bound("whole", "spec.?securityContext", condition);
    bound("spec", spec, &bound("annotations", annotations, &condition))
}

/// Whether all of these rules are kept by the pod in `pod`.
pub(super) fn holds(pod: &str, rules: &[(&Rule, Cel)]) -> String {
    let wholes = rules.iter().filter_map(|(_, cel)| Some(or_unless(cel, cel.pod.as_ref()?)));
    let mut parts: Vec<_> = wholes.collect();
    let images = of_images(rules);
    parts.extend(images.iter().map(|_| NO_IMAGE_VOLUMES.to_owned()));
    let mut of_each = over(Over::Containers, rules);
    of_each.extend(over(Over::Lasting, rules));
    of_each.extend(images);
    if !of_each.is_empty() {
        let kept = bound("own", "c.?securityContext", &all_of(of_each));
        parts.push(format!("{CONTAINERS}.all(c, {kept})"));
    }
    let of_main = over(Over::Main, rules);
    if !of_main.is_empty() {
        parts.push(format!("{MAIN}.all(c, {})", all_of(of_main)));
    }
    let all = of_pod("pod.spec", "pod.?metadata.?annotations.orValue({})", &all_of(parts));
    bound("pod", pod, &all)
}

/// What has to hold for each item of a kind.
fn over(wanted: Over, rules: &[(&Rule, Cel)]) -> Vec<String> {
    let kept = |(_, cel): &(&Rule, Cel)| {
        let (over, condition) = cel.each.as_ref()?;
        (*over == wanted).then(|| or_unless(cel, condition))
    };
    rules.iter().filter_map(kept).collect()
}

/// What has to hold for the image of `c`: a plain one need not be read.
fn of_images(rules: &[(&Rule, Cel)]) -> Option<String> {
    let read = over(Over::Images, rules);
    if read.is_empty() {
        return None;
    }
    let plain = rules.iter().filter(|(_, cel)| matches!(cel.each, Some((Over::Images, _))));
    let plain: Option<Vec<_>> = plain.map(|(_, cel)| cel.plain.clone()).collect();
    let plain = plain.map(|all| all_of([CEL_PLAIN.to_owned()].into_iter().chain(all)));
    let unnamed = "image == ''".to_owned();
    let kept = any_of(plain.into_iter().chain([unnamed, cel_read(&all_of(read))]));
    Some(bound("image", "c.?image.orValue('')", &kept))
}

fn or_unless(cel: &Cel, condition: &str) -> String {
    match &cel.unless {
        Some(unless) => any_of([format!("({condition})"), unless.clone()]),
        None => format!("({condition})"),
    }
}
