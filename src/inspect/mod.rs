//! What people ask a cluster: `gabion status`, `gabion explain` and `gabion doctor`. Reads only, with the rights of
//! whoever asks, and never a Secret.

mod definitions;
mod doctor;
mod explain;
mod follow;
mod guards;
pub(crate) mod help;
mod leftovers;
mod rights;
mod status;
pub(crate) mod text;

use std::io::{self, Write};

pub(crate) use doctor::Doctor;
pub(crate) use explain::Explain;
pub(crate) use rights::{Extras, Subsystem};
pub(crate) use status::{Format, Looks, Status};

use crate::cluster::ReadError;

/// One of the questions.
#[derive(Debug)]
pub enum Question {
    /// What is wrong.
    Status(Status),
    /// Why one object is as it is.
    Explain(Explain),
    /// Whether the installation is in order.
    Doctor(Doctor),
}

impl Question {
    /// Whether it is answered until somebody interrupts it, or reads no more.
    pub const fn is_endless(&self) -> bool {
        matches!(self, Self::Status(Status { looks: Looks::Endless, .. }))
    }
}

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// All is well.
    Fine,
    /// Something is wrong.
    Problem,
    /// Nobody can tell.
    Unknown,
}

impl ExitStatus {
    /// The exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Problem => 1,
            Self::Unknown => 2,
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The cluster gave none.
    #[error("{0}")]
    Read(String),
    /// It cannot be written.
    #[error("the answer cannot be written: {0}")]
    Write(#[from] io::Error),
}

impl From<ReadError> for InspectError {
    fn from(error: ReadError) -> Self {
        Self::Read(error.to_string())
    }
}

/// Answers.
///
/// # Errors
/// If the cluster cannot be asked, or the answer cannot be written.
pub async fn answer(question: Question, out: &mut dyn Write) -> Result<ExitStatus, InspectError> {
    // Without a provider TLS cannot begin. It fails only if there is one already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match question {
        Question::Status(status) => follow::run(&status, out).await,
        Question::Explain(explain) => explain::run(&explain, out).await,
        Question::Doctor(doctor) => doctor::run(&doctor, out).await,
    }
}
