//! What package managers install: without questions, without extras, by version.

use super::{Model, caches::is_pip, finding};
use crate::check::shell::Step;
use crate::policy::ControlId;
use crate::policy::Finding;

/// What is wrong with the installations of the final stage and of those that it starts from.
pub(crate) fn evaluate(model: &Model<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    model.walk(&mut |number, step, _| {
        let steps = model.steps(number, step);
        let mut asked = steps.iter().enumerate().filter(|(at, _)| !is_answered(steps, *at));
        if let Some((message, remedy)) = asked.find_map(|(_, step)| careless(step)) {
            findings.push(finding(ControlId::HbDfInstall, number, message).with_remedy(remedy));
        }
        if let Some((package, remedy)) = steps.iter().find_map(unpinned) {
            let message = format!("{package:?} is installed without a version");
            findings.push(finding(ControlId::HbDfPin, number, message).noted().with_remedy(remedy));
        }
    });
    findings
}

/// Whether `yes` answers what the command asks.
fn is_answered(steps: &[Step], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| steps.get(before));
    before.is_some_and(|before| before.piped && before.program() == "yes")
}

/// Flags whose value is the next word.
const VALUED: [&str; 34] = [
    "-t",
    "--target-release",
    "-o",
    "--virtual",
    "-X",
    "--repository",
    "--repositories-file",
    "--root",
    "--keys-dir",
    "--target",
    "--prefix",
    "-i",
    "--index-url",
    "--extra-index-url",
    "-f",
    "--find-links",
    "--platform",
    "--python-version",
    "--implementation",
    "--abi",
    "--src",
    "--upgrade-strategy",
    "--progress-bar",
    "--timeout",
    "--retries",
    "--cache-dir",
    "--trusted-host",
    "--proxy",
    "--log",
    "--registry",
    "--loglevel",
    "--install-dir",
    "--bindir",
    "--source",
];

/// The program of a command, its verb, and what follows it without flags. `python -m pip` is pip.
fn verb(step: &Step) -> Option<(&str, &str, Vec<&str>)> {
    let (program, arguments) = step.arguments();
    let mut words = Vec::new();
    let mut all = arguments.iter().map(String::as_str);
    while let Some(word) = all.next() {
        if VALUED.contains(&word) {
            all.next();
        } else if !word.starts_with('-') {
            words.push(word);
        }
    }
    let (verb, packages) = words.split_first()?;
    if program.starts_with("python") && *verb == "pip" && step.has("-m") {
        let (verb, packages) = packages.split_first()?;
        return Some(("pip", verb, packages.to_vec()));
    }
    Some((program, verb, packages.to_vec()))
}

/// Whether one of these letters is among the short flags.
fn has_short(step: &Step, letters: [char; 2]) -> bool {
    let short = |word: &&String| word.starts_with('-') && !word.starts_with("--");
    step.arguments().1.iter().filter(short).any(|word| word.contains(letters))
}

/// An installation that asks a question, or installs what nobody named.
fn careless(step: &Step) -> Option<(String, &'static str)> {
    let (program, verb, _) = verb(step)?;
    let has = |flags: &[&str]| flags.iter().any(|flag| step.has(flag));
    let mentions = |option: &str| step.words.iter().any(|word| word.contains(option));
    let is_silent = match (program, verb) {
        ("apt-get" | "apt", "install" | "upgrade" | "dist-upgrade" | "full-upgrade") => {
            has_short(step, ['y', 'y'])
                || has(&["-qq", "--yes", "--assume-yes"])
                || mentions("Assume-Yes")
        }
        ("yum" | "dnf" | "microdnf", "install" | "update" | "upgrade") => {
            has_short(step, ['y', 'y']) || has(&["--assumeyes"])
        }
        ("zypper", "install" | "in" | "update" | "up") => {
            has_short(step, ['n', 'y']) || has(&["--non-interactive", "--no-confirm"])
        }
        _ => return None,
    };
    if !is_silent {
        return Some((format!("{program} {verb} asks before it goes on"), "add -y"));
    }
    let recommends = matches!((program, verb), ("apt-get" | "apt", "install"))
        && !has(&["--no-install-recommends"])
        && !mentions("Install-Recommends");
    recommends.then(|| {
        let message = format!("{program} install adds recommended packages that nobody named");
        (message, "add --no-install-recommends")
    })
}

/// The first package without a version, and how to name one.
fn unpinned(step: &Step) -> Option<(&str, &'static str)> {
    let (program, verb, packages) = verb(step)?;
    let (signs, remedy): (&[&str], _) = match (program, verb) {
        ("apt-get" | "apt", "install") => (&["="], "write package=version"),
        ("apk", "add") => (&["=", "~", "<", ">"], "write package=version or package~version"),
        ("npm", "install" | "i") if step.has("-g") || step.has("--global") => {
            (&["@"], "write package@version")
        }
        ("gem", "install") if !step.has("-v") && !step.has("--version") => {
            (&[":"], "write package:version")
        }
        (program, "install") if is_pip(program) => {
            let listed = ["-r", "--requirement", "-c", "--constraint", "-e"];
            if listed.iter().any(|flag| step.has(flag)) {
                return None;
            }
            (&["==", "@", "~=", ">=", "<"], "write package==version")
        }
        ("go", "install") => {
            let moving = packages.into_iter().find(|package| package.ends_with("@latest"))?;
            return Some((moving, "write module@version"));
        }
        _ => return None,
    };
    let mut named = packages.into_iter().filter(|package| is_name(package));
    let bare = named.find(|package| {
        let rest = package.get(1..).unwrap_or_default();
        !signs.iter().any(|sign| rest.contains(sign))
    })?;
    Some((bare, remedy))
}

/// Whether a word names a package, and is no file, address, variable or redirection.
fn is_name(word: &str) -> bool {
    let first = word.chars().next().unwrap_or_default();
    (first.is_ascii_alphanumeric() || first == '@') && !word.contains("://") && !word.contains('>')
}
