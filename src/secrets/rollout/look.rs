//! What one look at the workloads of an ExternalSecret knows.

use std::sync::Arc;

use jiff::Timestamp;

use super::{known::Known, limits::Place};
use crate::api::external_secrets::external_secret::RolloutStatus;
use crate::cluster::ObjectKey;
use crate::secrets::context::Context;
use crate::secrets::index::Tracked;
use crate::secrets::plan::rollout::{ask::Ask, wave::Change, workload::Workload};

/// One look at the workloads of one ExternalSecret.
pub(super) struct Look<'a> {
    pub(super) context: &'a Context,
    pub(super) key: &'a ObjectKey,
    pub(super) tracked: &'a Tracked,
    pub(super) known: &'a Known,
    pub(super) ask: &'a Ask,
    pub(super) status: RolloutStatus,
    pub(super) change: Change<'a>,
    pub(super) now: Timestamp,
}

impl Look<'_> {
    /// Which workload of the cluster it is.
    pub(super) fn place(&self, workload: &Workload) -> Place {
        (Arc::clone(&self.key.namespace), workload.kind, workload.name.clone())
    }
}
