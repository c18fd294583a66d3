//! What is fetched while building, and whether anybody verifies it.

use std::path::Path;

use super::{Model, finding};
use crate::check::shell::{self, Step};
use crate::policy::ControlId;
use crate::policy::Finding;
use crate::policy::Severity;

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
pub(crate) fn evaluate(model: &Model<'_>) -> Vec<Finding> {
    let control = ControlId::HbDfFetch;
    let mut findings = Vec::new();
    for (number, own) in model.instructions.iter().enumerate() {
        let own = own.kept();
        let sources = if own.name == "ADD" { own.sources() } else { Vec::new() };
        if let Some(url) = sources.iter().find(|source| is_url(source) && !is_commit(source))
            && own.flag("checksum").is_none()
        {
            let message = format!("ADD fetches {url} unchecked", url = without_query(url));
            let remedy =
                "add --checksum=sha256:<digest>, or download in RUN and compare a checksum";
            findings.push(finding(control, number, message).with_remedy(remedy));
        }
    }
    for (number, steps) in model.commands() {
        findings.extend(trusting(steps).map(|message| {
            let finding = finding(control, number, message);
            let severity = if message == KEPT { Severity::Low } else { finding.severity };
            Finding { severity, ..finding }
        }));
    }
    findings
}

fn is_url(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    lower.starts_with("http://") || lower.starts_with("https://")
}

/// `https://host/repository.git#<commit>`: the commit is a checksum of all that is fetched.
fn is_commit(url: &str) -> bool {
    let Some((repository, of)) = url.split_once('#') else { return false };
    let commit = of.split(':').next().unwrap_or_default();
    Path::new(repository).extension().is_some_and(|end| end == "git")
        && matches!(commit.len(), 40 | 64)
        && commit.chars().all(|c| c.is_ascii_hexdigit())
}

/// A query can hold a token, and so can what stands before the host.
fn without_query(url: &str) -> String {
    let plain = url.split(['?', '#']).next().unwrap_or(url);
    match plain.split_once("://") {
        Some((scheme, rest)) => {
            let host = rest.split('/').next().unwrap_or_default();
            let own = host.rsplit_once('@').map_or(0, |(before, _)| before.len() + 1);
            format!("{scheme}://{}", rest.get(own..).unwrap_or_default())
        }
        None => plain.to_owned(),
    }
}

/// What commands do with a download that nobody verifies.
fn trusting(steps: &[Step]) -> Option<&'static str> {
    if feeds(steps) {
        return Some("RUN feeds a download straight to an interpreter");
    }
    if steps.iter().any(careless) {
        return Some("RUN downloads without checking the server's certificate");
    }
    let is_verified = steps.iter().any(|step| {
        VERIFIERS.contains(&step.program())
            || step.words.iter().any(|word| word.starts_with("--") && word.contains("sha256"))
    });
    if is_verified {
        return None;
    }
    if runs(steps) {
        return Some("RUN runs a download without comparing a checksum or a signature");
    }
    is_kept(steps).then_some(KEPT)
}

/// Whether what is fetched is a program as it comes: through any number of pipes, as in `curl URL | gunzip | sh`, or in
/// place of a command or of the file of a shell.
fn feeds(steps: &[Step]) -> bool {
    let mut flowing = false;
    steps.iter().any(|step| {
        if flowing && step.reads_program() {
            return true;
        }
        flowing = step.piped && (flowing || fetches(step));
        let (program, arguments) = step.arguments();
        let is_run = step.is_shell() || matches!(program, "source" | ".") || step.reads_program();
        is_substituted(step.command())
            || is_run && arguments.iter().any(|word| word.starts_with("<(") && is_substituted(word))
            || is_run && step.has("<<<") && arguments.iter().any(|word| is_substituted(word))
    })
}

/// `$(curl ...)`, `<(wget ...)`, in quotes or not.
fn is_substituted(word: &str) -> bool {
    let word = word.trim_matches('"');
    let inner = ["$(", "<(", "`"].iter().find_map(|sign| word.strip_prefix(sign));
    inner.is_some_and(|inner| shell::steps(inner).first().is_some_and(fetches))
}

/// Whether the server is not asked who it is.
fn careless(step: &Step) -> bool {
    let short = |word: &String| cluster(word).contains('k');
    match step.program() {
        "curl" => step.has("--insecure") || step.arguments().1.iter().any(short),
        "wget" => step.has("--no-check-certificate"),
        _ => false,
    }
}

/// The short flags of curl in a word: the first that has a value ends them, and the rest is that.
fn cluster(word: &str) -> &str {
    const VALUED: &str = "AbcCdDeEFHKmoPQrtTuUwxXyYz";
    let Some(letters) = word.strip_prefix('-').filter(|rest| !rest.starts_with('-')) else {
        return "";
    };
    match letters.find(|letter| VALUED.contains(letter)) {
        Some(at) => letters.get(..=at).unwrap_or(letters),
        None => letters,
    }
}

/// Whether a file that was fetched is run later.
fn runs(steps: &[Step]) -> bool {
    steps.iter().enumerate().any(|(number, step)| {
        let Some(file) = written(step).filter(|_| fetches(step)) else { return false };
        let own = |word: &str| {
            let word = shell::plain(word);
            word.trim_start_matches("./") == file.trim_start_matches("./")
        };
        steps.iter().skip(number + 1).any(|later| {
            let (program, arguments) = later.arguments();
            let mut operands = arguments.iter().filter(|word| !word.starts_with('-'));
            let is_interpreter = later.is_shell()
                || matches!(program, "source" | "." | "perl" | "ruby" | "node" | "php")
                || program.starts_with("python");
            own(later.command()) || is_interpreter && operands.next().is_some_and(|word| own(word))
        })
    })
}

/// The file that a download is written to, if it is named.
fn written(step: &Step) -> Option<String> {
    let (program, arguments) = step.arguments();
    let flags: &[&str] = match program {
        "curl" => &["-o", "--output"],
        _ => &["-O", "--output-document"],
    };
    let ends = |word: &str| {
        let is_short = word.starts_with('-') && !word.starts_with("--");
        flags.contains(&word) || is_short && word.ends_with(flags[0].trim_start_matches('-'))
    };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let stated = flags.iter().find_map(|flag| word.strip_prefix(flag)?.strip_prefix('='));
        if let Some(file) = stated {
            return Some(shell::plain(file));
        }
        if ends(word) || matches!(word.as_str(), ">" | "1>") {
            return words.next().map(|file| shell::plain(file));
        }
        if let Some(file) = word.strip_prefix('>').filter(|file| !file.starts_with(['>', '&'])) {
            return Some(shell::plain(file));
        }
    }
    // Without a name, it is the last part of the address.
    let by_address = program == "wget"
        || arguments
            .iter()
            .any(|word| word.starts_with('-') && !word.starts_with("--") && word.contains('O'));
    let address = arguments.iter().map(|word| shell::plain(word)).find(|word| is_url(word));
    address.filter(|_| by_address).and_then(|url| {
        without_query(&url)
            .rsplit('/')
            .next()
            .map(ToOwned::to_owned)
            .filter(|name| !name.is_empty())
    })
}

fn fetches(step: &Step) -> bool {
    matches!(step.program(), "curl" | "wget") && !step.only_tells()
}

/// Whether a download becomes a file, or is unpacked as it comes.
fn is_kept(steps: &[Step]) -> bool {
    steps.iter().enumerate().any(|(number, step)| {
        if !fetches(step) {
            return false;
        }
        let unpacks = |step: &Step| matches!(step.program(), "tar" | "unzip" | "bsdtar" | "cpio");
        let follows = steps.iter().skip(number + 1).take(3);
        if step.piped && follows.clone().any(unpacks) {
            return true;
        }
        keeps(step)
    })
}

/// Whether it is written to a file. A key with which something else is verified is fetched so.
fn keeps(step: &Step) -> bool {
    let (program, arguments) = step.arguments();
    let short = |letter: char| arguments.iter().any(|word| cluster(word).contains(letter));
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
