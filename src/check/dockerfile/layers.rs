//! What stays in the layers of the image, and which ports it opens.

use parse_dockerfile::{Instruction, RunInstruction};

use super::{Model, Variables, finding, run};
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
                let left = leftovers(run, &variables);
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

/// A package manager and how it leaves nothing behind.
struct Manager {
    programs: &'static [&'static str],
    installs: &'static [&'static str],
    /// Flags with which an installation leaves nothing.
    flags: &'static [&'static str],
    /// Text of a later command that cleans up: what it removes, or its arguments.
    cleaned: &'static [&'static str],
    /// A variable that switches the cache off.
    variable: Option<&'static str>,
    message: &'static str,
    remedy: &'static str,
}

const MANAGERS: [Manager; 4] = [
    Manager {
        programs: &["apt-get", "apt"],
        installs: &["install"],
        flags: &[],
        cleaned: &["/var/lib/apt/lists", "dist-clean", "distclean"],
        variable: None,
        message: "the package lists of apt stay in the image",
        remedy: "end the same RUN with rm -rf /var/lib/apt/lists/*",
    },
    Manager {
        programs: &["apk"],
        installs: &["add"],
        flags: &["--no-cache"],
        cleaned: &["/var/cache/apk", "apk cache purge"],
        variable: None,
        message: "the package index of apk stays in the image",
        remedy: "install with apk add --no-cache",
    },
    Manager {
        programs: &["yum", "dnf", "microdnf"],
        installs: &["install"],
        flags: &[],
        cleaned: &["clean all", "/var/cache/dnf", "/var/cache/yum", "/var/cache/libdnf5"],
        variable: None,
        message: "the package cache of yum or dnf stays in the image",
        remedy: "end the same RUN with clean all of the same program",
    },
    Manager {
        programs: &["pip"],
        installs: &["install"],
        flags: &["--no-cache-dir"],
        cleaned: &["cache purge", ".cache"],
        variable: Some("PIP_NO_CACHE_DIR"),
        message: "the cache of pip stays in the image",
        remedy: "install with pip install --no-cache-dir",
    },
];

/// What a package manager leaves behind, and how it would not. What is removed before an installation, or by another
/// RUN, is still there after it.
fn leftovers(
    run: &RunInstruction<'_>,
    variables: &Variables,
) -> Option<(&'static str, &'static str)> {
    // A mounted cache is not part of the image.
    let mounted = run.options.iter().any(|option| {
        let value = option.value.as_ref().map(|value| value.value.as_ref()).unwrap_or_default();
        option.name.value == "mount" && value.contains("type=cache")
    });
    if mounted {
        return None;
    }
    let steps = shell::steps(&run::text(run));
    let left = MANAGERS.iter().find(|manager| {
        let leaving = |step: &shell::Step| manager.is_left_by(step, variables);
        let last = steps.iter().rposition(leaving);
        last.is_some_and(|last| {
            !steps.iter().skip(last + 1).any(|step| manager.is_cleaned_by(step))
        })
    });
    left.map(|manager| (manager.message, manager.remedy))
}

impl Manager {
    fn is_left_by(&self, step: &shell::Step, variables: &Variables) -> bool {
        let (program, arguments) = step.arguments();
        let module = program.starts_with("python") && arguments.iter().any(|word| word == "pip");
        let named = self.programs.iter().any(|own| match *own {
            "pip" => module || program.starts_with("pip"),
            own => own == program,
        });
        named
            && self.installs.iter().any(|verb| step.has(verb))
            && !self.flags.iter().any(|flag| step.has(flag))
            && !self.variable.is_some_and(|name| is_on(name, step, variables))
    }

    fn is_cleaned_by(&self, step: &shell::Step) -> bool {
        let text = step.words.join(" ");
        self.cleaned.iter().any(|mark| text.contains(mark))
    }
}

/// Whether a variable is set, by the command itself or before it, and does not say no.
fn is_on(name: &str, step: &shell::Step, variables: &Variables) -> bool {
    let own = step.words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let value = own.map(|value| value.trim_matches(['"', '\'']).to_lowercase());
    let value = value.or_else(|| variables.value(name).map(str::to_lowercase)).unwrap_or_default();
    !matches!(value.as_str(), "" | "0" | "false" | "no" | "off")
}
