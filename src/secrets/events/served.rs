//! For whom a queue is read: whose ExternalSecrets its events may wake, and who is told how it stands.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::api::external_secrets::aws::{AwsProvider, AwsService};
use crate::cluster::{ObjectKey, queue::Lane};
use crate::provider::aws::QueueArn;
use crate::secrets::context::Context;
use crate::secrets::index::StoreKey;
use crate::secrets::plan::collect::StoreId;
use crate::secrets::plan::events::asks::{Reader, StoreFacts};
use crate::secrets::plan::events::assign::Owner;
use crate::secrets::plan::events::condition::QueueState;
use crate::secrets::plan::events::parse::Change;
use crate::secrets::plan::events::secret::{EventSecret, Holder};

/// For whom a queue is read.
#[derive(Default)]
pub(crate) struct Served(Mutex<BTreeSet<Owner<StoreKey>>>);

impl Served {
    pub(super) fn set(&self, owners: Vec<Owner<StoreKey>>) {
        *self.lock() = owners.into_iter().collect();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Owner<StoreKey>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn owners(&self) -> Vec<Owner<StoreKey>> {
        self.lock().iter().cloned().collect()
    }

    /// Whether events of the queue count for users of a store. Those of the operator count for all.
    pub(super) fn covers(&self, store: &StoreKey) -> bool {
        let owners = self.lock();
        owners.contains(&Owner::Operator) || owners.contains(&Owner::Store(store.clone()))
    }
}

impl Context {
    /// The ExternalSecrets that read a secret by what changed of it, among the users of the stores that count.
    pub(crate) fn readers(
        &self,
        (secret, change): (&EventSecret, &Change),
        counts: impl Fn(&StoreKey) -> bool,
    ) -> Vec<Reader> {
        let prefixes = self.stores.prefixes();
        let facts = |store: &StoreId, object: &ObjectKey| {
            let key = store_key(store, object);
            counts(&key).then(|| self.facts(&key))?
        };
        self.index.readers(|asks| asks.readers(secret, change, &prefixes, facts))
    }

    /// Notes how it stands with a queue. If that is news, the store's status says so.
    pub(super) fn note_queue(
        &self,
        owner: &Owner<StoreKey>,
        arn: Option<&QueueArn>,
        state: &QueueState,
    ) {
        let Some(counts) = self.event_queues.set_state(owner, arn, state) else { return };
        for (reason, count) in counts {
            self.metrics.events.queues(reason, count);
        }
        let (_, reason, message) = state.condition();
        match owner {
            Owner::Operator => tracing::info!(reason, message, "a queue of --events-queue"),
            Owner::Store(key) => {
                tracing::info!(store = ?key, reason, message, "the queue of a store");
                self.validations.wake(key, key, Lane::Urgent);
            }
        }
    }

    /// Where a store reads, if it is one of ours and of AWS.
    fn facts(&self, key: &StoreKey) -> Option<StoreFacts> {
        let is_enabled = if key.is_cluster() {
            self.config.cluster_stores
        } else {
            self.config.namespaced_stores
        };
        let (store, _, _) = self.stores.find(key).filter(|_| is_enabled)?;
        let aws = store.spec.provider.aws.as_ref().filter(|_| self.is_ours(&store))?;
        let holder = match aws.service {
            AwsService::SecretsManager => Holder::SecretsManager,
            AwsService::ParameterStore => Holder::ParameterStore,
            AwsService::CertificateManager | AwsService::Other(_) => return None,
        };
        Some(StoreFacts {
            holder,
            region: aws.region.trim().to_owned(),
            prefix: aws.prefix.clone().unwrap_or_default(),
            account: account(aws),
        })
    }
}

fn store_key(store: &StoreId, object: &ObjectKey) -> StoreKey {
    let namespace = if store.cluster { "" } else { &*object.namespace };
    StoreKey(ObjectKey::new(namespace, &store.name))
}

/// The account of the last role.
fn account(aws: &AwsProvider) -> Option<String> {
    let role = aws.role.as_ref().filter(|role| !role.is_empty());
    let account = role.or(aws.additional_roles.last())?.split(':').nth(4)?;
    (!account.is_empty()).then(|| account.to_owned())
}
