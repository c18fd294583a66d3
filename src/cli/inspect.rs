//! The flags of `gabion status`, `explain`, `doctor` and `ui`. They have kubectl's names.

use std::{env, io::IsTerminal, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use jiff::SignedDuration;

use crate::{
    cluster::Target,
    duration,
    inspect::{Doctor, Explain, Extras, Format, Looks, Question, Status, Subsystem},
    survey::Kind,
    ui::Ui,
};

/// Whom to ask.
#[derive(Clone, Debug, Args)]
pub(crate) struct TargetFlags {
    /// Kubeconfig file; without it the usual one, or the account of the pod
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig; without it the current one
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// How long one answer of the API server may take
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration::unsigned)]
    request_timeout: Duration,
}

impl TargetFlags {
    /// Whether it says where the cluster is.
    pub(super) fn is_given(&self) -> bool {
        self.kubeconfig.is_some() || self.context.is_some()
    }

    pub(super) fn target(self) -> Target {
        Target {
            kubeconfig: self.kubeconfig,
            context: self.context,
            timeout: self.request_timeout.max(Duration::from_millis(100)),
        }
    }
}

/// How the operator that is asked about runs.
#[derive(Debug, Args)]
pub(crate) struct OperatorFlags {
    /// --controller-class of the operator
    #[arg(long, value_name = "CLASS", default_value = "default")]
    controller_class: String,
    /// --refresh-heartbeat of the operator: an object is not late before it is over
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = duration::unsigned)]
    refresh_heartbeat: Duration,
}

impl OperatorFlags {
    fn heartbeat(&self) -> SignedDuration {
        SignedDuration::try_from(self.refresh_heartbeat).unwrap_or(SignedDuration::MAX)
    }
}

/// Flags of `gabion status`.
#[derive(Debug, Args)]
pub(crate) struct StatusFlags {
    /// Kinds to look at: es, ss, css, hb, nsh, or their long names; without one all
    #[arg(value_name = "KIND", value_parser = kind)]
    kinds: Vec<Kind>,
    /// Only this namespace
    #[arg(short, long, value_name = "NAME", value_parser = name)]
    namespace: Option<String>,
    /// Only objects with these labels: app=x,tier!=db
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
    /// Show every object, not only those that need a look
    #[arg(short, long)]
    all: bool,
    /// Go on, with a line for each object whose state changes, until it is interrupted
    #[arg(short, long, conflicts_with = "until")]
    watch: bool,
    /// Wait until every object is in this state, and show only what is missing if --timeout is over
    #[arg(long = "for", value_name = "STATE")]
    until: Option<UntilWord>,
    /// How long --for waits
    #[arg(long, value_name = "DURATION", default_value = "5m", requires = "until", value_parser = duration::unsigned)]
    timeout: Duration,
    /// How the answer is shown: text fits the terminal, wide cuts nothing, json is for programs
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: FormatWord,
    /// Colour in text: auto is on a terminal, unless NO_COLOR is set
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: ColourWord,
    #[command(flatten)]
    operator: OperatorFlags,
    #[command(flatten)]
    target: TargetFlags,
}

/// Formats.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatWord {
    Text,
    Wide,
    Json,
}

/// What can be waited for.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum UntilWord {
    Synced,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ColourWord {
    Auto,
    Always,
    Never,
}

fn kind(text: &str) -> Result<Kind, String> {
    Kind::parse(text).ok_or_else(|| {
        let known: Vec<_> = Kind::ALL.iter().map(|kind| kind.short()).collect();
        format!("{text:?} is no kind of Gabion's: use one of {}", known.join(", "))
    })
}

/// A name becomes part of a path.
fn name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.is_empty() || text.len() > 63 || !text.chars().all(fits) {
        return Err(format!("{text:?} is no name of a namespace"));
    }
    Ok(text.to_owned())
}

impl StatusFlags {
    pub(super) fn question(self) -> Question {
        let terminal = std::io::stdout().is_terminal();
        let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || env::var("TERM").is_ok_and(|term| term == "dumb");
        let width = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let heartbeat = self.operator.heartbeat();
        Question::Status(Status {
            target: self.target.target(),
            namespace: self.namespace,
            labels: self.selector,
            kinds: if self.kinds.is_empty() { Kind::ALL.to_vec() } else { self.kinds },
            all: self.all,
            looks: match (self.watch, self.until) {
                (true, _) => Looks::Endless,
                (false, Some(UntilWord::Synced)) => Looks::UntilSynced(self.timeout),
                (false, None) => Looks::Once,
            },
            format: match self.output {
                FormatWord::Text => Format::Text,
                FormatWord::Wide => Format::Wide,
                FormatWord::Json => Format::Json,
            },
            colour: match self.color {
                ColourWord::Auto => terminal && !plain,
                ColourWord::Always => true,
                ColourWord::Never => false,
            },
            width: width.filter(|_| terminal),
            class: self.operator.controller_class,
            heartbeat,
        })
    }
}

/// Flags of `gabion explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainFlags {
    /// The object, such as es/app; or a namespace
    #[arg(value_name = "OBJECT")]
    object: String,
    /// Namespace of the object; without it that of the context
    #[arg(short, long, value_name = "NAME", value_parser = name)]
    namespace: Option<String>,
    #[command(flatten)]
    operator: OperatorFlags,
    #[command(flatten)]
    target: TargetFlags,
}

impl ExplainFlags {
    pub(super) fn question(self) -> Question {
        let heartbeat = self.operator.heartbeat();
        Question::Explain(Explain {
            target: self.target.target(),
            namespace: self.namespace,
            object: self.object,
            class: self.operator.controller_class,
            heartbeat,
        })
    }
}

/// Flags of `gabion doctor`.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // each is a flag of its own
pub(crate) struct DoctorFlags {
    /// ServiceAccount of the operator, as NAMESPACE/NAME: its permissions are checked; without it your own
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = account)]
    account: Option<(String, String)>,
    /// The operator is restricted to this namespace (scopedNamespace, --namespace)
    #[arg(long, value_name = "NAME", value_parser = name)]
    scope: Option<String>,
    /// The operator runs with --enable-hardening=false: the permissions of hardening are not needed
    #[arg(long, conflicts_with = "hardening_only")]
    secrets_only: bool,
    /// The operator runs with --enable-secrets=false: the permissions of secrets are not needed
    #[arg(long)]
    hardening_only: bool,
    /// The operator runs with --enable-secret-rotation: the permissions of rotation are needed
    #[arg(long)]
    rotation: bool,
    /// The operator runs with --enable-rollouts: the permissions of rollouts are needed
    #[arg(long)]
    rollouts: bool,
    /// The operator runs with --pull-secret-sources: the permissions of copies of registry credentials are needed
    #[arg(long)]
    pull_secrets: bool,
    /// Name every object that would hang after an uninstall
    #[arg(long)]
    before_uninstall: bool,
    /// Look again for this long until all is in order
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = duration::unsigned)]
    wait: Duration,
    #[command(flatten)]
    target: TargetFlags,
}

fn account(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((namespace, account)) if !account.is_empty() => {
            Ok((name(namespace)?, account.to_owned()))
        }
        _ => Err(format!("{text:?} is not NAMESPACE/NAME: write gabion-system/gabion")),
    }
}

impl DoctorFlags {
    pub(super) fn question(self) -> Question {
        Question::Doctor(Doctor {
            target: self.target.target(),
            account: self.account,
            scope: self.scope,
            subsystem: match (self.secrets_only, self.hardening_only) {
                (true, _) => Subsystem::Secrets,
                (_, true) => Subsystem::Hardening,
                _ => Subsystem::Both,
            },
            extras: Extras {
                rotation: self.rotation,
                rollouts: self.rollouts,
                pull_secrets: self.pull_secrets,
            },
            before_uninstall: self.before_uninstall,
            wait: self.wait,
        })
    }
}

/// Flags of `gabion ui`.
#[derive(Debug, Args)]
pub(crate) struct UiFlags {
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 8090)]
    port: u16,
    /// Open the page in a browser
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    operator: OperatorFlags,
    #[command(flatten)]
    target: TargetFlags,
}

impl UiFlags {
    pub(super) fn ui(self) -> Ui {
        let heartbeat = self.operator.heartbeat();
        Ui {
            target: self.target.target(),
            port: self.port,
            open: self.open,
            class: self.operator.controller_class,
            heartbeat,
        }
    }
}
