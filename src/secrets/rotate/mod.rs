//! The controller of SecretRotations: a new value at the source, in force only when nobody else interferes, and taken
//! back if consumers do not get it.
//!
//! What is next is decided in [`attempt`](super::plan::rotation::attempt). Here it is done, one step at a time: a phase
//! is written before its first effect, and an effect whose answer is lost makes the next step ask where the labels are.

mod begin;
mod consumers;
mod drive;
mod reconcile;
mod remote;
mod report;
mod watches;

pub(crate) use reconcile::reconcile;
pub(crate) use watches::secret_rotation;

use std::sync::Arc;

use super::context::Context;
use super::error::Error;
use super::plan::rotation::attempt::{Proved, Stages};
use super::plan::rotation::error::{Refusal, RotationError};
use super::plan::rotation::schedule::Schedule;
use crate::api::gabion::secret_rotation::SecretRotation;
use crate::cluster::{ObjectKey, write::ApiError};
use crate::provider::SecretBytes;

const KIND: &str = "SecretRotation";
/// Field manager of writes.
const MANAGER: &str = "gabion";

/// What one reconcile of one object is about.
struct Rotator<'a> {
    context: &'a Context,
    key: &'a ObjectKey,
    /// As this process left it.
    object: Arc<SecretRotation>,
    /// Where the labels are, and `None` after anything that may have changed it.
    seen: Option<Stages>,
    /// What AWS answered in the present phase.
    proved: Proved,
    /// The new value.
    prepared: Option<SecretBytes>,
    schedule: Option<Schedule>,
}

/// Why nothing goes on for now.
enum Trouble {
    /// A rotation may not begin.
    Refused(Refusal),
    /// The object asks for what cannot be.
    Wrong(RotationError),
    /// A store or the provider.
    Failed(Error),
    /// The API server.
    Cluster(ApiError),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        match error {
            Error::Cluster(error) => Self::Cluster(error),
            other => Self::Failed(other),
        }
    }
}

impl From<ApiError> for Trouble {
    fn from(error: ApiError) -> Self {
        Self::Cluster(error)
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<RotationError> for Trouble {
    fn from(error: RotationError) -> Self {
        Self::Wrong(error)
    }
}
