//! The command line. Every flag has an environment variable; `docs/flags.md` is generated from here.

mod aws;
mod check;
mod eso;
mod flags;
mod lsp;
pub mod pipe;

use std::fmt::Write as _;

use clap::{CommandFactory, Parser, Subcommand};

pub use check::CheckFlags;
pub(crate) use flags::RunFlags;
pub use lsp::LspFlags;

use crate::config::Config;

/// Keeps a cluster's secrets in step with AWS Secrets Manager and its namespaces hardened.
///
/// Gabion reconciles ExternalSecrets (a drop-in for External Secrets Operator) and HardeningBaselines.
/// Install the CRDs once, then run it with access to the cluster:
///
///   gabion crds | kubectl apply --server-side -f -
///   gabion run
#[derive(Debug, Parser)]
#[command(name = "gabion", version, verbatim_doc_comment, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Run the controllers until SIGTERM.
    #[command(args_override_self = true)]
    Run(Box<RunFlags>),
    /// Print the CustomResourceDefinitions as YAML.
    Crds,
    /// Check manifests, Dockerfiles and scanner reports against a baseline, without a cluster.
    ///
    /// Says what is wrong, where, and how to put it right. The verdict on a pod is the one that admission
    /// would give. Examples:
    ///
    ///   gabion check deploy/                        # a folder, by the hardening guide
    ///   helm template . | gabion check -            # what a chart renders
    ///   gabion check --baseline prod.yaml deploy/   # by the baseline that the cluster has
    ///   gabion check --format sarif . > out.sarif   # for code scanning
    ///
    /// Exit code: 0 nothing found, 1 findings, 2 wrong usage or something that could not be read.
    #[command(verbatim_doc_comment)]
    Check(Box<CheckFlags>),
    /// Show findings and quick fixes in an editor, by the Language Server Protocol over standard input and output.
    Lsp(Box<LspFlags>),
}

/// What the user asked for.
#[derive(Debug)]
pub enum Command {
    /// `gabion run`.
    Run(Box<Config>),
    /// `gabion crds`.
    Crds,
    /// `gabion check`.
    Check(Box<CheckFlags>),
    /// `gabion lsp`.
    Lsp(Box<LspFlags>),
}

/// Reads the command line; prints help or an error and exits where clap says so.
pub fn parse() -> Command {
    match Cli::parse().command {
        Subcommands::Crds => Command::Crds,
        Subcommands::Check(flags) => Command::Check(flags),
        Subcommands::Lsp(flags) => Command::Lsp(flags),
        Subcommands::Run(flags) => match flags.config() {
            Ok(config) => Command::Run(Box::new(config)),
            Err(message) => {
                Cli::command().error(clap::error::ErrorKind::ValueValidation, message).exit()
            }
        },
    }
}

/// `docs/flags.md`.
pub fn flags_markdown() -> String {
    let mut text = String::from(
        "# Flags of `gabion run`\n\nGenerated from the program (`make crds` rewrites it). \
         Every flag of `run` has an environment variable.\n",
    );
    let command = Cli::command();
    if let Some(run) = command.find_subcommand("run") {
        tables(&mut text, run, "##");
    }
    if let Some(check) = command.find_subcommand("check") {
        text.push_str(
            "\n# Flags of `gabion check`\n\n`gabion check [FLAGS] PATH...`; what it does: \
             [Checking files](check.md). Apart from `NO_COLOR` it reads no variables.\n",
        );
        tables(&mut text, check, "##");
    }
    if let Some(lsp) = command.find_subcommand("lsp") {
        text.push_str(
            "\n# Flags of `gabion lsp`\n\nWhat it does: [In an editor](check.md#in-an-editor).\n",
        );
        tables(&mut text, lsp, "##");
    }
    text
}

/// One table for each section of a command's flags.
fn tables(text: &mut String, command: &clap::Command, level: &str) {
    let mut heading = None;
    let has_env = command.get_arguments().any(|argument| argument.get_env().is_some());
    for argument in command.get_arguments().filter(|argument| argument.get_long().is_some()) {
        let section = argument.get_help_heading().unwrap_or("General");
        let (head, rule) = if has_env { (" environment |", "---|") } else { ("", "") };
        if heading != Some(section) {
            let _ = write!(
                text,
                "\n{level} {section}\n\n| flag |{head} default | meaning |\n|---|{rule}---|---|\n"
            );
            heading = Some(section);
        }
        let env = argument.get_env().and_then(|name| name.to_str()).unwrap_or_default();
        let env = if has_env { format!(" `{env}` |") } else { String::new() };
        let defaults: Vec<_> =
            argument.get_default_values().iter().filter_map(|value| value.to_str()).collect();
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let (long, default) = (argument.get_long().unwrap_or_default(), defaults.join(","));
        let is_switch = !argument.get_action().takes_values();
        let default =
            if default.is_empty() || is_switch { String::new() } else { format!("`{default}`") };
        let _ = writeln!(text, "| `--{long}` |{env} {default} | {} |", help.replace('|', "\\|"));
    }
}

#[cfg(test)]
mod tests;
