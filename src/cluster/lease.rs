//! Leader election over a `Lease`, as client-go does it.
//!
//! A contender never compares its clock with the holder's: it remembers when *it* last saw the record
//! change. Every take-over and renewal is a PUT with the resourceVersion that was read, so of two
//! contenders one gets a conflict. The leader's fence stays open for the renew deadline counted from the
//! moment a successful renewal was *sent*, which is shorter than the time others wait.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{Api, Client, api::PostParams};
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::Fence;
use crate::retry::Pauses;

/// Name and times of a lease.
#[derive(Clone, Debug)]
pub struct LeaseSettings {
    /// Namespace of the `Lease`.
    pub namespace: String,
    /// Name of the `Lease`.
    pub name: String,
    /// This process's name; unique among replicas.
    pub identity: String,
    /// How long others wait after the last renewal they saw.
    pub lease_duration: Duration,
    /// How long the leader keeps writing without a successful renewal.
    pub renew_deadline: Duration,
    /// Pause between tries.
    pub retry_period: Duration,
}

/// The lease is lost: the process must stop.
#[derive(Debug, thiserror::Error)]
#[error("lost the lease {namespace}/{name}: it was not renewed within {deadline:?}")]
pub struct LeaseLost {
    namespace: String,
    name: String,
    deadline: Duration,
}

/// What a contender knows of the record: its content, and when it last saw that change.
#[derive(Clone, Debug)]
struct Observed {
    spec: LeaseSpec,
    changed: Instant,
}

/// Takes part in one election.
pub struct Election {
    api: Api<Lease>,
    settings: LeaseSettings,
    fence: Fence,
    observed: Option<Observed>,
}

impl Election {
    /// An election that opens and closes `fence`.
    pub fn new(client: Client, settings: LeaseSettings, fence: Fence) -> Self {
        let api = Api::namespaced(client, &settings.namespace);
        Self { api, settings, fence, observed: None }
    }

    /// Waits until this process leads, or `stop`.
    pub async fn win(&mut self, stop: &CancellationToken) {
        for tries in 1.. {
            if stop.is_cancelled() {
                return;
            }
            if self.attempt().await {
                tracing::info!(lease = self.settings.name, "leading");
                return;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = time::sleep(self.pause(tries)) => {}
            }
        }
    }

    /// Renews until `stop`. Fails once the lease is lost.
    pub async fn keep(&mut self, stop: &CancellationToken) -> Result<(), LeaseLost> {
        let mut last_success = Instant::now();
        let mut failures = 0;
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = time::sleep(self.pause(failures)) => {}
            }
            if self.attempt().await {
                (last_success, failures) = (Instant::now(), 0);
            } else if last_success.elapsed() >= self.settings.renew_deadline
                || self.held_by_another()
            {
                self.fence.close();
                return Err(LeaseLost {
                    namespace: self.settings.namespace.clone(),
                    name: self.settings.name.clone(),
                    deadline: self.settings.renew_deadline,
                });
            } else {
                failures = failures.saturating_add(1);
            }
        }
    }

    /// Never longer than the retry period, and another one for each replica.
    fn pause(&self, failures: u32) -> Duration {
        Pauses::of(self.settings.retry_period).after(&self.settings.identity, failures)
    }

    /// One try to take or renew the lease.
    async fn attempt(&mut self) -> bool {
        let sent = Instant::now();
        let attempt =
            time::timeout(self.settings.retry_period.max(Duration::from_secs(1)), self.put());
        match attempt.await {
            Ok(Ok(true)) => {
                self.fence.extend(sent, self.settings.renew_deadline);
                true
            }
            Ok(Ok(false)) => false,
            Ok(Err(error)) => {
                tracing::warn!(
                    lease = self.settings.name,
                    error = explain(&error),
                    "lease not updated"
                );
                false
            }
            Err(_) => {
                tracing::warn!(lease = self.settings.name, "lease not updated: no answer in time");
                false
            }
        }
    }

    /// Reads the record and, where it may be ours, writes it. `Ok(false)`: somebody else holds it.
    async fn put(&mut self) -> Result<bool, kube::Error> {
        let Some(mut lease) = self.api.get_opt(&self.settings.name).await? else {
            let lease = self.record(None);
            let created = self.api.create(&PostParams::default(), &lease).await?;
            self.observe(created.spec.unwrap_or_default());
            return Ok(true);
        };
        self.observe(lease.spec.clone().unwrap_or_default());
        if self.held_by_another() && !self.expired() {
            return Ok(false);
        }
        lease.spec = self.record(lease.spec.as_ref()).spec;
        let written = self.api.replace(&self.settings.name, &PostParams::default(), &lease).await?;
        self.observe(written.spec.unwrap_or_default());
        Ok(true)
    }

    /// Stops writing and gives the lease back, so that another replica need not wait it out.
    pub(crate) async fn release(&mut self) {
        self.fence.close();
        if self.held_by_another() {
            return;
        }
        let Ok(Some(mut lease)) = self.api.get_opt(&self.settings.name).await else { return };
        if let Some(spec) = lease.spec.as_mut()
            && spec.holder_identity.as_deref() == Some(&self.settings.identity)
        {
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            if let Err(error) =
                self.api.replace(&self.settings.name, &PostParams::default(), &lease).await
            {
                tracing::warn!(error = explain(&error), "lease not released; others wait it out");
            }
        }
    }

    fn observe(&mut self, spec: LeaseSpec) {
        if self.observed.as_ref().is_none_or(|observed| observed.spec != spec) {
            self.observed = Some(Observed { spec, changed: Instant::now() });
        }
    }

    fn held_by_another(&self) -> bool {
        let holder =
            self.observed.as_ref().and_then(|observed| observed.spec.holder_identity.as_deref());
        !matches!(holder, None | Some("")) && holder != Some(&self.settings.identity)
    }

    fn expired(&self) -> bool {
        self.observed.as_ref().is_none_or(|observed| {
            let seconds = observed.spec.lease_duration_seconds.unwrap_or(0).max(0);
            let duration = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
            observed.changed.elapsed() > duration.max(self.settings.lease_duration)
        })
    }

    fn record(&self, present: Option<&LeaseSpec>) -> Lease {
        let now = MicroTime(Timestamp::now());
        let ours =
            present.filter(|spec| spec.holder_identity.as_deref() == Some(&self.settings.identity));
        let transitions = present.and_then(|spec| spec.lease_transitions).unwrap_or(0);
        let seconds = self.settings.lease_duration.as_secs().max(1);
        let mut lease = Lease::default();
        lease.metadata.name = Some(self.settings.name.clone());
        lease.metadata.namespace = Some(self.settings.namespace.clone());
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.settings.identity.clone()),
            lease_duration_seconds: Some(i32::try_from(seconds).unwrap_or(i32::MAX)),
            acquire_time: ours.and_then(|s| s.acquire_time.clone()).or(Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(match (ours, present) {
                (None, Some(_)) => transitions.saturating_add(1),
                _ => transitions,
            }),
            ..LeaseSpec::default()
        });
        lease
    }
}

fn explain(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{} ({})", status.message, status.code),
        other => other.to_string(),
    }
}
