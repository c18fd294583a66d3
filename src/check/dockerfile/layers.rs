//! What stays in the layers of the image, and which ports it opens.

use super::{Model, caches, finding};
use crate::policy::ControlId;
use crate::policy::Finding;
use crate::policy::Settings;

/// Ports below need a privilege, unless the rules say otherwise.
const UNPRIVILEGED: i32 = 1024;

/// What is wrong with the final stage and those that it starts from.
pub(crate) fn evaluate(model: &Model<'_>, settings: &Settings) -> Vec<Finding> {
    let least = settings.min_container_port.unwrap_or(UNPRIVILEGED);
    let mut findings = Vec::new();
    model.walk(&mut |number, step, variables| match step.name.as_str() {
        "EXPOSE" => {
            let known = |word: String| variables.expand(&word, step.escape);
            for port in step.words().into_iter().filter_map(known) {
                findings.extend(port_of(&port, least).map(|(control, problem)| {
                    finding(control, number, format!("EXPOSE {port} {problem}"))
                }));
            }
        }
        "RUN" => {
            let left = caches::leftovers(step, model.steps(number, step), variables);
            findings.extend(left.map(|(message, remedy)| {
                finding(ControlId::HbDfClean, number, message).with_remedy(remedy)
            }));
        }
        "HEALTHCHECK" if !step.text.eq_ignore_ascii_case("none") => {
            let message = "HEALTHCHECK is for Docker: Kubernetes does not run it";
            findings.push(finding(ControlId::HbDfHealth, number, message).noted());
        }
        _ => {}
    });
    findings
}

/// What is wrong with a port, or a range of ports, and its protocol. An empty one is a variable that nothing sets.
fn port_of(port: &str, least: i32) -> Option<(ControlId, String)> {
    let invalid = |problem: &str| Some((ControlId::HbDfExpose, problem.to_owned()));
    if port.is_empty() {
        return None;
    }
    let (ports, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
    if !["tcp", "udp", "sctp"].iter().any(|known| protocol.eq_ignore_ascii_case(known)) {
        return invalid("has an unknown protocol: write tcp, udp or sctp");
    }
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let number = |text: &str| text.parse::<i32>().ok().filter(|n| (1..=65_535).contains(n));
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first > last => {
            invalid("is a range that ends before it begins")
        }
        (Some(first), Some(_)) if first < least => {
            Some((ControlId::HbPort, format!("is below {least}")))
        }
        (Some(_), Some(_)) => None,
        _ => invalid("is not a port: write a number from 1 to 65535"),
    }
}
