//! The command line. Every flag has an environment variable; `docs/flags.md` is generated from here.

mod aws;
mod check;
mod eso;
mod flags;
mod generated;
mod inspect;
mod lsp;
pub mod pipe;
mod verify;

use std::fmt::Write as _;

use clap::{CommandFactory, Parser, Subcommand};

pub use check::CheckFlags;
pub(crate) use flags::RunFlags;
pub use generated::{completion, man_pages};
pub use lsp::LspFlags;
pub use verify::VerifyFlags;

use crate::{config::Config, inspect::Question, ui::Ui};

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
    /// Say what is wrong in a cluster: failing, late, unsupported or waiting objects, worst first.
    ///
    /// Reads with your own rights, and never a Secret. Examples:
    ///
    ///   gabion status                   # the whole cluster, or the namespaces that you may read
    ///   gabion status es -n shop --all  # every ExternalSecret of one namespace
    ///   gabion status -o json           # for programs
    ///   gabion status --watch           # go on, with a line for each change
    ///   gabion status es -l app=x --for=synced --timeout=2m   # wait, in a pipeline
    ///
    /// Exit code: 0 nothing is wrong, 1 something is failing, late or unsupported, or --for waited in vain,
    /// 2 nobody can tell.
    #[command(verbatim_doc_comment)]
    Status(Box<inspect::StatusFlags>),
    /// Say why one object is as it is and what to do, or what is in force in a namespace and why.
    ///
    ///   gabion explain es/app -n shop   # one object
    ///   gabion explain shop             # the values in force in a namespace
    ///
    /// Exit code: 0 it is as it should be, 1 it is not, 2 nobody can tell.
    #[command(verbatim_doc_comment)]
    Explain(Box<inspect::ExplainFlags>),
    /// Check an installation: API server, definitions, permissions, pods, what other operators left.
    ///
    /// Exit code: 0 all is in order, 1 there is a problem, 2 nobody can tell.
    #[command(verbatim_doc_comment)]
    Doctor(Box<inspect::DoctorFlags>),
    /// Show the state of a cluster as a page on this machine, until Ctrl-C.
    ///
    /// Reads with your own rights, changes nothing, and shows no value of a secret. The page answers to this
    /// machine only. It is as new as the cluster: what changes is there within about a second.
    ///
    ///   gabion ui --open                  # and open it in a browser
    ///   gabion ui --context prod --port 0 # another cluster, any free port
    ///
    /// Exit code: 0 when it is interrupted, 2 if the cluster gives no answer or the port is taken.
    #[command(verbatim_doc_comment)]
    Ui(Box<inspect::UiFlags>),
    /// Print a completion script for a shell.
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write man pages into a folder.
    Man {
        /// The folder; it must exist
        folder: std::path::PathBuf,
    },
    /// Say whether images are signed by whom TrustPolicies ask for, from an OCI layout or a bundle, without network.
    ///
    ///   gabion verify reg.example/prod/web@sha256:... --policy trust.yaml --layout ./web
    ///   gabion verify reg.example/prod/web@sha256:... --policy trust.yaml --bundle web.sigstore.json
    ///
    /// Exit code: 0 all hold, 1 some do not, 2 wrong usage, 3 nobody could look.
    #[command(verbatim_doc_comment)]
    Verify(Box<VerifyFlags>),
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
    /// `gabion status`, `explain` or `doctor`.
    Inspect(Box<Question>),
    /// `gabion ui`.
    Ui(Box<Ui>),
    /// `gabion completion`.
    Completion(clap_complete::Shell),
    /// `gabion man`.
    Man(std::path::PathBuf),
    /// `gabion verify`.
    Verify(Box<VerifyFlags>),
    /// `gabion lsp`.
    Lsp(Box<LspFlags>),
}

/// Reads the command line; prints help or an error and exits where clap says so.
pub fn parse() -> Command {
    match Cli::parse().command {
        Subcommands::Crds => Command::Crds,
        Subcommands::Check(flags) => Command::Check(flags),
        Subcommands::Verify(flags) => Command::Verify(flags),
        Subcommands::Status(flags) => Command::Inspect(Box::new(flags.question())),
        Subcommands::Explain(flags) => Command::Inspect(Box::new(flags.question())),
        Subcommands::Doctor(flags) => Command::Inspect(Box::new(flags.question())),
        Subcommands::Ui(flags) => Command::Ui(Box::new(flags.ui())),
        Subcommands::Completion { shell } => Command::Completion(shell),
        Subcommands::Man { folder } => Command::Man(folder),
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
    for (name, what) in [
        ("status", "`gabion status [FLAGS] [KIND...]`"),
        ("explain", "`gabion explain [FLAGS] KIND/NAME` or `gabion explain NAMESPACE`"),
        ("doctor", "`gabion doctor [FLAGS]`"),
    ] {
        if let Some(command) = command.find_subcommand(name) {
            let _ = writeln!(
                text,
                "\n# Flags of `gabion {name}`\n\n{what}; what it does: [Asking a cluster](status.md)."
            );
            tables(&mut text, command, "##");
        }
    }
    if let Some(ui) = command.find_subcommand("ui") {
        text.push_str(
            "\n# Flags of `gabion ui`\n\n`gabion ui [FLAGS]`; what it does: [The page](ui.md).\n",
        );
        tables(&mut text, ui, "##");
    }
    if let Some(verify) = command.find_subcommand("verify") {
        text.push_str(
            "\n# Flags of `gabion verify`\n\n`gabion verify [FLAGS] IMAGE...`; what it does: [Images](images.md).\n",
        );
        tables(&mut text, verify, "##");
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
