//! What is fetched while building, and whether anybody verifies it.

use parse_dockerfile::{Instruction, Source};

use super::{Model, finding, run};
use crate::check::shell;
use crate::policy::ControlId;
use crate::policy::Finding;
use crate::policy::Severity;

const SHELLS: [&str; 8] = ["sh", "bash", "dash", "ash", "zsh", "python", "python3", "perl"];

/// Programs that compare a download with what it ought to be.
const VERIFIERS: [&str; 14] = [
    "sha256sum",
    "sha512sum",
    "sha384sum",
    "sha1sum",
    "md5sum",
    "shasum",
    "b2sum",
    "gpg",
    "gpgv",
    "cosign",
    "minisign",
    "signify",
    "openssl",
    "rhash",
];

/// Less severe than the others: HTTPS still verifies the server.
const KEPT: &str = "RUN keeps a download without comparing a checksum or a signature";

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
                findings.extend(trusting(&text).map(|message| {
                    let finding = finding(control, number, message);
                    let severity = if message == KEPT { Severity::Low } else { finding.severity };
                    Finding { severity, ..finding }
                }));
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
    if careless {
        return Some("RUN downloads without checking the server's certificate");
    }
    let is_verified = steps.iter().any(|step| {
        VERIFIERS.contains(&step.program()) || step.words.iter().any(|word| word.contains("sha256"))
    });
    (!is_verified && is_kept(&steps)).then_some(KEPT)
}

fn fetches(step: &shell::Step) -> bool {
    matches!(step.program(), "curl" | "wget")
}

/// Whether a download becomes a file, or is unpacked as it comes.
fn is_kept(steps: &[shell::Step]) -> bool {
    steps.iter().enumerate().any(|(number, step)| {
        if !fetches(step) {
            return false;
        }
        let unpacks =
            |step: &shell::Step| matches!(step.program(), "tar" | "unzip" | "bsdtar" | "cpio");
        let follows = steps.iter().skip(number + 1).take(3);
        if step.piped && follows.clone().any(unpacks) {
            return true;
        }
        keeps(step)
    })
}

/// Whether it is written to a file. A key with which something else is verified is fetched so.
fn keeps(step: &shell::Step) -> bool {
    let (program, arguments) = step.arguments();
    let short = |letter: char| {
        arguments
            .iter()
            .any(|word| word.starts_with('-') && !word.starts_with("--") && word.contains(letter))
    };
    let all = step.words.join(" ");
    let apart = [
        "/dev/null",
        ".asc",
        ".gpg",
        ".sha256",
        ".sig",
        ".pem",
        ".crt",
        "keyring",
        "-o -",
        "-O -",
        "-O-",
        "-qO-",
    ];
    if apart.iter().any(|part| all.contains(part)) {
        return false;
    }
    let redirected = step.words.iter().any(|word| word.starts_with('>'));
    match program {
        "curl" => {
            redirected
                || short('o')
                || short('O')
                || arguments
                    .iter()
                    .any(|word| word.starts_with("--output") || word.starts_with("--remote-name"))
        }
        // It writes a file unless it is told otherwise.
        "wget" => !step.piped && !step.has("--spider"),
        _ => false,
    }
}
