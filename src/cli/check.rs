//! The flags of `gabion check`.

use std::{env, ffi::OsStr, io::IsTerminal, path::PathBuf};

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use regex::Regex;

use crate::check::{Fix, Options, baseline, input::glob, output::Format};
use crate::policy::{ControlId, Severity};

/// Flags of `gabion check`.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // each is a flag of its own
pub struct CheckFlags {
    /// Files and folders to check: manifests (YAML or JSON), Dockerfiles, and reports of scanners; - reads standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Evaluate by the HardeningBaseline in this file, the one that the cluster has
    #[arg(long, value_name = "FILE", conflicts_with = "profile", help_heading = "Rules")]
    baseline: Option<PathBuf>,
    /// Evaluate by built-in rules: baseline and restricted are the Pod Security Standards, guide is everything that the hardening guide asks for
    #[arg(long, value_name = "NAME", default_value = "guide", value_parser = ["baseline", "restricted", "guide"], help_heading = "Rules")]
    profile: String,
    /// Leave out files and folders whose path ends with this pattern: * matches within a name, ** across folders. Can be repeated
    #[arg(long, value_name = "PATTERN", value_parser = glob, help_heading = "Rules")]
    exclude: Vec<Regex>,
    /// Do not evaluate this control. Can be repeated
    #[arg(long, value_name = "CONTROL", value_parser = control, help_heading = "Rules")]
    skip: Vec<ControlId>,
    /// Ignore suppressions in files, for a gate that authors must not bypass
    #[arg(long, help_heading = "Rules")]
    no_suppress: bool,
    /// Critical vulnerabilities that a scanner's report may contain; by default the baseline's value, or 0
    #[arg(long, value_name = "NUMBER", help_heading = "Rules")]
    max_critical: Option<u32>,
    /// High vulnerabilities that a scanner's report may contain; by default the baseline's value, or any number
    #[arg(long, value_name = "NUMBER", help_heading = "Rules")]
    max_high: Option<u32>,

    /// Add to the manifests what is missing and has one right answer: security contexts, volumes beside a read-only root, requests and limits. Comments and order stay
    #[arg(long, help_heading = "Repair")]
    fix: bool,
    /// With --fix: show the change as a diff and write nothing
    #[arg(long, requires = "fix", help_heading = "Repair")]
    dry_run: bool,

    /// Output format: text for people, json for programs, sarif for code scanning, junit for test reports
    #[arg(
        short = 'o',
        long,
        value_name = "FORMAT",
        default_value = "text",
        help_heading = "Result"
    )]
    format: FormatWord,
    /// Exit with 1 if there is a finding of this severity or worse; never: findings do not change the exit code
    #[arg(long, value_name = "SEVERITY", default_value = "low", help_heading = "Result")]
    fail_on: FailOn,
    /// Print findings and errors only, no summary
    #[arg(short, long, help_heading = "Result")]
    quiet: bool,
    /// Colour in text: auto is on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", default_value = "auto", help_heading = "Result")]
    color: When,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatWord {
    Text,
    Json,
    Sarif,
    Junit,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FailOn {
    Low,
    Medium,
    High,
    Critical,
    Never,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

impl CheckFlags {
    /// Reads the rules, and says what is to be done; the error is for the user.
    pub fn options(self) -> Result<Options, String> {
        let mut rules = match &self.baseline {
            Some(path) => baseline::from_file(path)?,
            None => baseline::built_in(&self.profile)?,
        };
        rules.vulnerabilities.critical = self.max_critical.or(rules.vulnerabilities.critical);
        rules.vulnerabilities.high = self.max_high.or(rules.vulnerabilities.high);
        rules.now = Timestamp::now();
        if self.fix && self.paths.iter().any(|path| path.as_os_str() == "-") {
            return Err(
                "--fix writes files and cannot write standard input: name a file".to_owned()
            );
        }
        if self.dry_run && !matches!(self.format, FormatWord::Text) {
            return Err("--dry-run shows a diff, which only --format text has room for".to_owned());
        }
        Ok(Options {
            expects_scan: self.max_critical.or(self.max_high).is_some(),
            paths: self.paths,
            rules,
            format: match self.format {
                FormatWord::Text => Format::Text,
                FormatWord::Json => Format::Json,
                FormatWord::Sarif => Format::Sarif,
                FormatWord::Junit => Format::Junit,
            },
            fail_on: match self.fail_on {
                FailOn::Low => Some(Severity::Low),
                FailOn::Medium => Some(Severity::Medium),
                FailOn::High => Some(Severity::High),
                FailOn::Critical => Some(Severity::Critical),
                FailOn::Never => None,
            },
            quiet: self.quiet,
            colour: colour(self.color),
            terminal: std::io::stdout().is_terminal(),
            exclude: self.exclude,
            skip: self.skip,
            no_suppress: self.no_suppress,
            fix: match (self.fix, self.dry_run) {
                (false, _) => Fix::No,
                (true, true) => Fix::DryRun,
                (true, false) => Fix::Write,
            },
        })
    }
}

/// The control that a user names.
fn control(id: &str) -> Result<ControlId, String> {
    ControlId::parse(id).ok_or_else(|| {
        let near = ControlId::ALL.iter().find(|known| {
            strsim::osa_distance(&known.as_str().to_lowercase(), &id.to_lowercase()) <= 2
        });
        let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        format!("is no control{hint} (docs/controls.md lists them)")
    })
}

fn colour(when: When) -> bool {
    let refused = env::var_os("NO_COLOR");
    let terminal = env::var_os("TERM");
    let shown = std::io::stdout().is_terminal();
    wants_colour(when, refused.as_deref(), terminal.as_deref(), shown)
}

/// Whether to colour, by `NO_COLOR`, `TERM`, and whether a terminal shows it.
fn wants_colour(when: When, no_color: Option<&OsStr>, term: Option<&OsStr>, shown: bool) -> bool {
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto => {
            // An empty value counts as unset: https://no-color.org.
            let refused = no_color.is_some_and(|value| !value.is_empty());
            shown && !refused && term.is_none_or(|term| term != "dumb")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_for_terminals_that_have_it_and_people_who_want_it() {
        let auto = |no_color: Option<&str>, term: &str, shown| {
            wants_colour(When::Auto, no_color.map(OsStr::new), Some(OsStr::new(term)), shown)
        };
        assert!(auto(None, "xterm", true) && auto(Some(""), "xterm", true));
        assert!(!auto(Some("1"), "xterm", true) && !auto(None, "dumb", true));
        assert!(!auto(None, "xterm", false));
        assert!(wants_colour(When::Always, Some(OsStr::new("1")), None, false));
        assert!(!wants_colour(When::Never, None, None, true));
    }
}
