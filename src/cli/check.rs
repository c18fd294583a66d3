//! The flags of `gabion check`.

use std::{env, ffi::OsStr, io::IsTerminal, path::PathBuf, sync::Arc};

use clap::{Args, CommandFactory, ValueEnum};
use jiff::Timestamp;

use regex::Regex;

use super::{Cli, eso::EsoFlags, inspect::TargetFlags};
use crate::check::{
    Fix, Options, baseline, catalogue,
    eso::Switch,
    input::glob,
    known::Known,
    output::Format,
    project::Project,
    schemas::{self, Schemas, minor_version},
};
use crate::policy::{ControlId, Severity};

/// Flags of `gabion check`.
#[derive(Clone, Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // each is a flag of its own
pub struct CheckFlags {
    /// Files and folders to check: manifests (YAML or JSON), Dockerfiles, and reports of scanners; - reads standard input
    #[arg(required_unless_present_any = ["list", "explain", "cluster"], value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Print the controls that files are evaluated by, and check nothing
    #[arg(long, help_heading = "Help")]
    list: bool,
    /// Print what is known of a control, and check nothing
    #[arg(long, value_name = "CONTROL", value_parser = catalogue::named, help_heading = "Help")]
    explain: Option<ControlId>,

    /// Evaluate by the HardeningBaseline in this file, the one that the cluster has
    #[arg(long, value_name = "FILE", conflicts_with = "profile", help_heading = "Rules")]
    baseline: Option<PathBuf>,
    /// Evaluate by built-in rules: baseline and restricted are the Pod Security Standards, guide is everything that the hardening guide asks for. By default what .gabion.yaml says, or guide
    #[arg(long, value_name = "NAME", value_parser = ["baseline", "restricted", "guide"], help_heading = "Rules")]
    profile: Option<String>,
    /// Configuration file of the project; by default the .gabion.yaml in the folder of what is checked, or above it in the same repository
    #[arg(long, value_name = "FILE", help_heading = "Rules")]
    config: Option<PathBuf>,
    /// Leave out files and folders whose path ends with this pattern: * matches within a name, ** across folders. Can be repeated
    #[arg(long, value_name = "PATTERN", value_parser = glob, help_heading = "Rules")]
    exclude: Vec<Regex>,
    /// Do not evaluate this control. Can be repeated, or be a list with commas
    #[arg(long, value_name = "CONTROL", value_delimiter = ',', value_parser = catalogue::named, help_heading = "Rules")]
    skip: Vec<ControlId>,
    /// Evaluate this control and no other. Can be repeated, or be a list with commas
    #[arg(long, value_name = "CONTROL", value_delimiter = ',', value_parser = catalogue::named, help_heading = "Rules")]
    only: Vec<ControlId>,
    /// Version of Kubernetes that the manifests are for, such as 1.35; by default the newest one that is known
    #[arg(long, value_name = "VERSION", value_parser = minor_version, help_heading = "Rules")]
    kubernetes_version: Option<u32>,
    /// Folder with CustomResourceDefinitions, or JSON schemas as kubeconform reads them, of kinds beyond those of Kubernetes, Gabion and External Secrets. The word cluster reads them from the cluster of your kubeconfig. Can be repeated
    #[arg(long, value_name = "DIR", help_heading = "Rules")]
    schema: Vec<PathBuf>,
    /// Ignore suppressions in files, and any .gabion.yaml but that of --config, for a gate that authors must not bypass
    #[arg(long, help_heading = "Rules")]
    no_suppress: bool,
    /// Findings that are listed in this file are known: only others fail the run
    #[arg(long, value_name = "FILE", help_heading = "Rules")]
    baseline_file: Option<PathBuf>,
    /// Write all findings into this file, as known from now on
    #[arg(long, value_name = "FILE", conflicts_with_all = ["baseline_file", "fix"], help_heading = "Rules")]
    write_baseline_file: Option<PathBuf>,
    /// Critical vulnerabilities that a scanner's report may contain; by default the baseline's value, or 0
    #[arg(long, value_name = "NUMBER", help_heading = "Rules")]
    max_critical: Option<u32>,
    /// High vulnerabilities that a scanner's report may contain; by default the baseline's value, or any number
    #[arg(long, value_name = "NUMBER", help_heading = "Rules")]
    max_high: Option<u32>,

    /// Say which objects of External Secrets Operator do not work under Gabion, or work differently. Nothing else is evaluated
    #[arg(long, conflicts_with_all = ["baseline", "profile", "max_critical", "max_high", "fix"], help_heading = "Switching from External Secrets Operator")]
    eso: bool,
    /// With --eso: look at the objects of a cluster, with your own rights, and at no Secret
    #[arg(long, requires = "eso", conflicts_with_all = ["paths", "watch", "exclude"], help_heading = "Switching from External Secrets Operator")]
    cluster: bool,
    #[command(flatten, next_help_heading = "Switching from External Secrets Operator")]
    target: TargetFlags,

    /// Add to the manifests what is missing and has one right answer: security contexts, volumes beside a read-only root, requests and limits. Comments and order stay
    #[arg(long, help_heading = "Repair")]
    fix: bool,
    /// With --fix: show the change as a diff and write nothing
    #[arg(long, requires = "fix", help_heading = "Repair")]
    dry_run: bool,

    /// Output format: text for people, json for programs, sarif for code scanning, junit for test reports, github for workflows of GitHub Actions, gitlab for GitLab Code Quality
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
    /// Exit with 0 if there is nothing to evaluate, for a hook that passes whatever has changed
    #[arg(long, help_heading = "Result")]
    allow_empty: bool,
    /// Check again whenever a file changes, until it is stopped
    #[arg(long, conflicts_with_all = ["fix", "write_baseline_file"], help_heading = "Result")]
    watch: bool,
    /// Print totals by control in place of each finding
    #[arg(long, conflicts_with = "quiet", help_heading = "Result")]
    summary: bool,
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
    Github,
    Gitlab,
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

impl FormatWord {
    const fn format(self) -> Format {
        match self {
            Self::Text => Format::Text,
            Self::Json => Format::Json,
            Self::Sarif => Format::Sarif,
            Self::Junit => Format::Junit,
            Self::Github => Format::Github,
            Self::Gitlab => Format::Gitlab,
        }
    }
}

impl FailOn {
    const fn severity(self) -> Option<Severity> {
        match self {
            Self::Low => Some(Severity::Low),
            Self::Medium => Some(Severity::Medium),
            Self::High => Some(Severity::High),
            Self::Critical => Some(Severity::Critical),
            Self::Never => None,
        }
    }
}

impl CheckFlags {
    /// Whether to check again and again.
    pub fn watches(&self) -> bool {
        self.watch
    }

    /// What is printed in place of a check.
    pub fn text(&self) -> Option<String> {
        let explained = self.explain.map(catalogue::explain);
        explained.or_else(|| self.list.then(catalogue::list))
    }

    /// Reads the rules, and says what is to be done; the error is for the user.
    pub fn options(self) -> Result<Options, String> {
        let now = Timestamp::now();
        let mut project = self.project(now)?;
        let own = project.as_ref().and_then(|project| project.rules.clone());
        let mut rules = match (&self.baseline, &self.profile, own) {
            (Some(path), ..) => baseline::from_file(path)?,
            (None, Some(name), _) => baseline::built_in(name)?,
            (None, None, Some(own)) => own,
            (None, None, None) => baseline::built_in("guide")?,
        };
        rules.vulnerabilities.critical = self.max_critical.or(rules.vulnerabilities.critical);
        rules.vulnerabilities.high = self.max_high.or(rules.vulnerabilities.high);
        rules.now = now;
        if self.eso {
            rules.switch = Some(Arc::new(switch()?));
            "External Secrets Operator compared with Gabion".clone_into(&mut rules.name);
        }
        self.fits_together()?;
        rules.schemas = Arc::new(self.schemas()?);
        if let Some(project) = &mut project {
            project.use_schemas(&rules.schemas);
        }
        let known = self.baseline_file.as_ref();
        let known = known.or(project.as_ref().and_then(|project| project.known.as_ref()));
        let known = known.filter(|_| self.write_baseline_file.is_none());
        Ok(Options {
            known: known.map(|path| Known::read(path)).transpose()?,
            write_known: self.write_baseline_file,
            same_rules: self.eso || self.baseline.is_some() || self.profile.is_some(),
            project,
            only: self.only,
            summary: self.summary,
            allow_empty: self.allow_empty,
            watched: std::io::stderr().is_terminal(),
            expects_scan: self.max_critical.or(self.max_high).is_some(),
            paths: self.paths,
            rules,
            format: self.format.format(),
            fail_on: self.fail_on.severity(),
            quiet: self.quiet,
            colour: colour(self.color),
            terminal: std::io::stdout().is_terminal(),
            exclude: self.exclude,
            skip: self.skip,
            no_suppress: self.no_suppress,
            cluster: self.cluster.then(|| self.target.target()),
            fix: match (self.fix, self.dry_run) {
                (false, _) => Fix::No,
                (true, true) => Fix::DryRun,
                (true, false) => Fix::Write,
            },
        })
    }

    /// What clap does not know of flags that exclude each other.
    fn fits_together(&self) -> Result<(), String> {
        let asks_cluster = self.schema.iter().any(|folder| folder.as_os_str() == schemas::CLUSTER);
        if self.target.is_given() && !self.cluster && !asks_cluster {
            return Err(
                "--kubeconfig and --context need --eso --cluster, or --schema cluster".to_owned()
            );
        }
        let reads_stdin = self.paths.iter().any(|path| path.as_os_str() == "-");
        if self.watch && reads_stdin {
            return Err(
                "--watch waits for files, and standard input is none: name a file".to_owned()
            );
        }
        if self.fix && reads_stdin {
            return Err(
                "--fix writes files and cannot write standard input: name a file".to_owned()
            );
        }
        if self.dry_run && !matches!(self.format, FormatWord::Text) {
            return Err("--dry-run shows a diff, which only --format text has room for".to_owned());
        }
        Ok(())
    }

    fn schemas(&self) -> Result<Schemas, String> {
        Schemas::new(self.kubernetes_version, &self.schema, &self.target.clone().target())
    }

    /// What the project says of itself. A gate that authors must not open reads no file that they could bring.
    fn project(&self, now: Timestamp) -> Result<Option<Project>, String> {
        let found = || Project::find(&self.paths).filter(|_| !self.no_suppress);
        let file = self.config.clone().or_else(found);
        file.map(|file| Project::read(&file, now)).transpose()
    }
}

/// What objects of External Secrets Operator are compared with.
fn switch() -> Result<Switch, String> {
    let command = Cli::command();
    let run = command.find_subcommand("run");
    let flags = run.into_iter().flat_map(clap::Command::get_arguments);
    let names = flags.filter_map(|flag| flag.get_long()).map(ToOwned::to_owned);
    Switch::new(names, EsoFlags::ALL.iter().map(|flag| (*flag).to_owned()))
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
