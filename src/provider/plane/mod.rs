//! The fetch plane: the only caller of providers.

mod source;

use std::{sync::Arc, time::Duration};

pub use source::{Detection, Identity, Source};

use super::{
    Ask, Fetched, Lane, Note, ProviderError, Validation, aws::Platform, budget::Limits,
    metrics::Metrics,
};

/// How the plane gathers, paces and gives up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlaneSettings {
    /// How long an urgent ask waits for company.
    pub urgent_window: Duration,
    /// How long a periodic ask waits for company.
    pub periodic_window: Duration,
    /// Calls under way at once, per identity and lane.
    pub concurrency: usize,
    /// An ask without an answer after this long fails.
    pub deadline: Duration,
    /// A refused batch operation is not tried again for this long.
    pub batch_pause: Duration,
    /// Calls per second, per account and region.
    pub limits: Limits,
}

impl Default for PlaneSettings {
    fn default() -> Self {
        Self {
            urgent_window: Duration::from_millis(3),
            periodic_window: Duration::from_millis(50),
            concurrency: 8,
            deadline: Duration::from_secs(60),
            batch_pause: Duration::from_hours(1),
            limits: Limits::default(),
        }
    }
}

/// The fetch plane. Cheap to clone; all clones are one plane.
#[derive(Clone)]
pub struct Plane {
    metrics: Arc<Metrics>,
}

impl Plane {
    /// Sends nothing yet.
    pub fn new(_settings: PlaneSettings, _platform: Platform) -> Self {
        Self { metrics: Arc::default() }
    }

    /// Reads one thing. Equal asks of one identity that are under way at the same time are one call.
    ///
    /// # Errors
    /// The provider's answer, or `Unavailable` after the deadline. Shared with equal asks, never cached.
    pub async fn fetch(
        &self,
        _source: &Source,
        _ask: Ask,
        _lane: Lane,
    ) -> Result<Arc<Fetched>, ProviderError> {
        Err(ProviderError::Throttled)
    }

    /// Reads several things: one result per ask, in the order of the asks.
    pub async fn fetch_all(
        &self,
        _source: &Source,
        _asks: Vec<Ask>,
        _lane: Lane,
    ) -> Vec<Result<Arc<Fetched>, ProviderError>> {
        Vec::new()
    }

    /// Whether credentials can be obtained. Nothing is said about permissions.
    ///
    /// # Errors
    /// Why they cannot.
    pub async fn validate(&self, _source: &Source) -> Result<Validation, ProviderError> {
        Err(ProviderError::Throttled)
    }

    /// What the store's owner should know, for example that batch reads are refused.
    pub fn notes(&self, _identity: &Identity) -> Vec<Note> {
        Vec::new()
    }

    /// Drops clients and credentials of identities that are gone. Calls under way end normally.
    pub fn retain(&self, _keep: &dyn Fn(&Identity) -> bool) {}

    /// Drops the client and credentials of one identity.
    pub fn forget(&self, _identity: &Identity) {}

    /// The counters.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }
}
