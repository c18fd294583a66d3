//! What stays in the layers of the image, and which ports it opens.

use parse_dockerfile::{Instruction, RunInstruction};

use super::{super::table::rule, Draft, Recipe, shell};
use crate::policy::Settings;

/// Ports below need a privilege, unless the rules say otherwise.
const UNPRIVILEGED: i32 = 1024;

/// What is wrong with the final stage and those that it starts from.
pub(crate) fn evaluate(recipe: &Recipe<'_, '_>, settings: &Settings) -> Vec<Draft> {
    let least = settings.min_container_port.unwrap_or(UNPRIVILEGED);
    let mut drafts = Vec::new();
    for (number, step) in recipe.lineage().iter().flat_map(|stage| stage.steps()) {
        match step {
            Instruction::Expose(expose) => {
                let ports = expose.arguments.iter().map(|port| port.value.as_ref());
                let low = ports.filter(|port| is_below(port, least));
                drafts.extend(low.map(|port| {
                    let message = format!("EXPOSE {port} is below {least}");
                    Draft::new(rule("HB-PORT"), number, message)
                }));
            }
            Instruction::Run(run) => {
                let left = leftovers(run);
                drafts.extend(left.map(|(message, remedy)| {
                    Draft::new(rule("HB-DF-CLEAN"), number, message).remedy(remedy)
                }));
            }
            Instruction::Healthcheck(check) if !check.is_none() => {
                let message = "HEALTHCHECK is for Docker: Kubernetes does not run it";
                drafts.push(Draft::new(rule("HB-DF-HEALTH"), number, message).noted());
            }
            _ => {}
        }
    }
    drafts
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
