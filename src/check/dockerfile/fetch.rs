//! What is fetched while building, and whether anybody verifies it.

use parse_dockerfile::{Instruction, Source};

use super::{Model, finding, run};
use crate::check::shell;
use crate::policy::ControlId;
use crate::policy::Finding;

const SHELLS: [&str; 8] = ["sh", "bash", "dash", "ash", "zsh", "python", "python3", "perl"];

/// Which instructions trust what they fetch.
pub(crate) fn evaluate(model: &Model<'_, '_>) -> Vec<Finding> {
    let control = ControlId::HbDfFetch;
    let mut findings = Vec::new();
    for (number, instruction) in model.instructions.iter().enumerate() {
        match instruction {
            Instruction::Add(add) => {
                let checked = add.options.iter().any(|option| option.name.value == "checksum");
                let url = add.src.iter().find_map(|source| match source {
                    Source::Path(path) if is_url(&path.value) => Some(&path.value),
                    _ => None,
                });
                if let Some(url) = url.filter(|_| !checked) {
                    let message = format!("ADD fetches {url} unchecked", url = without_query(url));
                    let remedy =
                        "add --checksum=sha256:<digest>, or download in RUN and compare a checksum";
                    findings.push(finding(control, number, message).with_remedy(remedy));
                }
            }
            Instruction::Run(run) => {
                let text = run::text(run);
                findings.extend(trusting(&text).map(|message| finding(control, number, message)));
            }
            _ => {}
        }
    }
    findings
}

fn is_url(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    lower.starts_with("http://") || lower.starts_with("https://")
}

/// A query can hold a token.
fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

fn trusting(text: &str) -> Option<&'static str> {
    let steps = shell::steps(text);
    let fetches = |step: &shell::Step| matches!(step.program(), "curl" | "wget");
    // Through any number of pipes: `curl URL | gunzip | sh`.
    let mut flowing = false;
    for step in &steps {
        if flowing && SHELLS.contains(&step.program()) {
            return Some("RUN feeds a download straight to an interpreter");
        }
        flowing = step.piped && (flowing || fetches(step));
    }
    let substituted = steps.iter().any(|step| {
        let all = step.words.join(" ");
        let inner = ["$(curl", "$(wget", "`curl", "`wget", "<(curl", "<(wget"];
        let runs =
            SHELLS.contains(&step.program()) || matches!(step.program(), "eval" | "source" | ".");
        runs && inner.iter().any(|inner| all.contains(inner))
    });
    if substituted {
        return Some("RUN feeds a download straight to an interpreter");
    }
    let careless = steps.iter().any(|step| {
        let short =
            |word: &String| word.starts_with('-') && !word.starts_with("--") && word.contains('k');
        match step.program() {
            "curl" => step.has("--insecure") || step.arguments().1.iter().any(short),
            "wget" => step.has("--no-check-certificate"),
            _ => false,
        }
    });
    careless.then_some("RUN downloads without checking the server's certificate")
}
