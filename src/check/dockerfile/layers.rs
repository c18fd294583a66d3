//! What stays in the layers of the image, and which ports it opens.

use parse_dockerfile::Instruction;

use super::{Model, caches, finding, run};
use crate::check::shell;
use crate::policy::ControlId;
use crate::policy::Finding;
use crate::policy::Settings;

/// Ports below need a privilege, unless the rules say otherwise.
const UNPRIVILEGED: i32 = 1024;

/// What is wrong with the final stage and those that it starts from.
pub(crate) fn evaluate(model: &Model<'_, '_>, settings: &Settings) -> Vec<Finding> {
    let least = settings.min_container_port.unwrap_or(UNPRIVILEGED);
    let mut findings = Vec::new();
    for (number, step, variables) in model.walk() {
        match step {
            Instruction::Expose(expose) => {
                let ports = expose.arguments.iter();
                for port in ports.filter_map(|port| variables.expand(&port.value)) {
                    findings.extend(port_of(&port, least).map(|(control, problem)| {
                        finding(control, number, format!("EXPOSE {port} {problem}"))
                    }));
                }
            }
            Instruction::Run(run) => {
                let left = caches::leftovers(run, &shell::steps(&run::text(run)), &variables);
                findings.extend(left.map(|(message, remedy)| {
                    finding(ControlId::HbDfClean, number, message).with_remedy(remedy)
                }));
            }
            Instruction::Healthcheck(check) if !check.is_none() => {
                let message = "HEALTHCHECK is for Docker: Kubernetes does not run it";
                findings.push(finding(ControlId::HbDfHealth, number, message).noted());
            }
            _ => {}
        }
    }
    findings
}

trait IsNone {
    fn is_none(&self) -> bool;
}

impl IsNone for parse_dockerfile::HealthcheckInstruction<'_> {
    fn is_none(&self) -> bool {
        matches!(self.arguments, parse_dockerfile::HealthcheckArguments::None { .. })
    }
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
