//! Structured logs: one line per outcome, names and reasons, never values.

use std::{fmt, str::FromStr};

use tracing_subscriber::{EnvFilter, fmt::format::FmtSpan};

/// The format of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// For a person at a terminal.
    Text,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            other => Err(format!("{other:?} is not a log format: use json or text")),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "json",
            Self::Text => "text",
        })
    }
}

/// Starts logging to standard error. `level` is a level (`info`) or a filter (`info,gabion=debug`).
///
/// `kube_client` may quote the body of an answer it cannot decode, and the AWS SDK quotes requests at trace
/// level: both stay at `error` and `warn` whatever the level is.
pub fn init(level: &str, format: LogFormat) -> Result<(), String> {
    let level = level.to_ascii_lowercase();
    let filter = EnvFilter::try_new(&level)
        .map_err(|error| format!("{level:?} is not a log level or filter: {error}"))?;
    let quiet = [
        "kube_client=error",
        "hyper=warn",
        "h2=warn",
        "rustls=warn",
        "tower=warn",
        "aws_config=warn",
        "aws_runtime=warn",
        "aws_sdk_secretsmanager=warn",
        "aws_sdk_sts=warn",
        "aws_smithy_runtime=warn",
        "aws_smithy_runtime_api=warn",
        "aws_smithy_http_client=warn",
    ];
    let filter = quiet
        .iter()
        .filter_map(|directive| directive.parse().ok())
        .fold(filter, EnvFilter::add_directive);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE)
        .with_writer(std::io::stderr)
        .with_target(false);
    let started = match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_ansi(false).try_init(),
    };
    started.map_err(|error| error.to_string())
}
