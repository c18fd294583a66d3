//! What stays in the layers of the image, and which ports it opens.

use parse_dockerfile::{Instruction, RunInstruction};

use super::{Model, finding, shell};
use crate::policy::ControlId;
use crate::policy::Finding;
use crate::policy::Settings;

/// Ports below need a privilege, unless the rules say otherwise.
const UNPRIVILEGED: i32 = 1024;

/// What is wrong with the final stage and those that it starts from.
pub(crate) fn evaluate(model: &Model<'_, '_>, settings: &Settings) -> Vec<Finding> {
    let least = settings.min_container_port.unwrap_or(UNPRIVILEGED);
    let mut findings = Vec::new();
    for (number, step) in model.lineage().iter().flat_map(|stage| stage.steps()) {
        match step {
            Instruction::Expose(expose) => {
                let ports = expose.arguments.iter().map(|port| port.value.as_ref());
                let low = ports.filter(|port| is_below(port, least));
                findings.extend(low.map(|port| {
                    let message = format!("EXPOSE {port} is below {least}");
                    finding(ControlId::HbPort, number, message)
                }));
            }
            Instruction::Run(run) => {
                let left = leftovers(run);
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

fn is_below(port: &str, least: i32) -> bool {
    let number = port.split(['/', '-']).next().unwrap_or_default();
    number.parse().is_ok_and(|number: i32| number < least)
}

/// What a package manager leaves behind, and how it would not.
fn leftovers(run: &RunInstruction<'_>) -> Option<(&'static str, &'static str)> {
    // A mounted cache is not part of the image.
    let mounted = run.options.iter().any(|option| {
        let value = option.value.as_ref().map(|value| value.value.as_ref()).unwrap_or_default();
        option.name.value == "mount" && value.contains("type=cache")
    });
    if mounted {
        return None;
    }
    let text = shell::text(run);
    let steps = shell::steps(&text);
    let does = |programs: &[&str], verb: &str| {
        steps.iter().any(|step| programs.contains(&step.program()) && step.has(verb))
    };
    let apk =
        |step: &shell::Step| step.program() == "apk" && step.has("add") && !step.has("--no-cache");
    let pip = |step: &shell::Step| {
        let (program, arguments) = step.arguments();
        let module = program.starts_with("python") && arguments.iter().any(|word| word == "pip");
        (program.starts_with("pip") || module) && step.has("install") && !step.has("--no-cache-dir")
    };
    if does(&["apt-get", "apt"], "install") && !text.contains("/var/lib/apt/lists") {
        let remedy = "end the same RUN with rm -rf /var/lib/apt/lists/*";
        return Some(("the package lists of apt stay in the image", remedy));
    }
    if steps.iter().any(apk) && !text.contains("/var/cache/apk") {
        return Some((
            "the package index of apk stays in the image",
            "install with apk add --no-cache",
        ));
    }
    if does(&["yum", "dnf", "microdnf"], "install") && !text.contains("clean all") {
        let remedy = "end the same RUN with clean all of the same program";
        return Some(("the package cache of yum or dnf stays in the image", remedy));
    }
    if steps.iter().any(pip) && !text.contains("PIP_NO_CACHE_DIR") {
        return Some((
            "the cache of pip stays in the image",
            "install with pip install --no-cache-dir",
        ));
    }
    None
}
