//! Whose a remote secret is. Only those count who may push there, or have done so: a namespace that a store refuses
//! holds nobody up.

use std::sync::Arc;

use super::super::auth::is_referent;
use super::super::context::Context;
use super::super::index::StoreKey;
use super::super::plan::push::PushError;
use super::super::plan::push::claims::{Claim, Rank, has_pushed};
use super::super::plan::push::decide::shown;
use super::super::plan::push::entries::{self, Group};
use super::super::pushes::{store_key, store_name};
use super::super::store::Store;
use super::remote::Target;
use super::{Pusher, Whose};
use crate::api::external_secrets::push_secret::PushSecret;
use crate::cluster::ObjectKey;

impl Pusher<'_> {
    /// Refuses what another object has.
    pub(super) fn check_claims(&self, target: &Target, group: &Group) -> Result<(), PushError> {
        let name = store_name(&target.store.key);
        for entry in &group.entries {
            let claim = Claim::of(&entry.record.matches.remote_ref);
            let own = Rank::of(self.object, &name, &claim);
            let claimants =
                self.context.claimants(&target.store.key, &claim, &self.key.namespace).into_iter();
            let others = claimants.filter(|other| ObjectKey::of(&**other) != *self.key);
            let ranks = others.map(|other| Rank::of(&other, &name, &claim));
            if let Some(holder) = ranks.filter(|rank| *rank < own).min() {
                let (remote, store) = (group.remote_key.clone(), shown(&group.store));
                let by = holder.key().to_string();
                return Err(PushError::Taken { remote, store, by });
            }
        }
        Ok(())
    }

    /// Whether the object, as it is now, still means all that this group puts there.
    pub(super) fn still_means(&self, target: &Target, group: &Group) -> bool {
        group.entries.iter().all(|entry| {
            let claim = Claim::of(&entry.record.matches.remote_ref);
            self.context.pushes.still_means(self.object, &target.store.key, &claim)
        })
    }

    /// Whether somebody means a place. As long as this object stays, those whom it keeps away hold nothing there: else
    /// they would keep alive what it takes back.
    pub(super) fn is_meant(&self, store: &Store, claim: &Claim, whose: Whose) -> bool {
        let name = store_name(&store.key);
        let own = Rank::of(self.object, &name, claim);
        let stays = self.object.metadata.deletion_timestamp.is_none();
        self.context.claimants(&store.key, claim, &self.key.namespace).iter().any(|object| {
            whose == Whose::OfAnybody
                || ObjectKey::of(&**object) != *self.key
                    && (!stays
                        || has_pushed(object, &name, claim)
                        || Rank::of(object, &name, claim) < own)
        })
    }
}

impl Context {
    /// Those who mean a place of a store and may have it, as a namespace sees it.
    pub(crate) fn claimants(
        &self,
        store: &StoreKey,
        claim: &Claim,
        namespace: &str,
    ) -> Vec<Arc<PushSecret>> {
        let mut all = self.pushes.claimants(store, claim);
        all.retain(|object| {
            let key = ObjectKey::of(&**object);
            self.shares(store, &key.namespace, namespace)
                && self.may_claim(object, &key, store, claim)
        });
        all
    }

    /// Whether a store means the same account for two namespaces. What is not known may.
    pub(crate) fn shares(&self, store: &StoreKey, one: &str, other: &str) -> bool {
        one == other || self.stores.find(store).is_none_or(|(store, _, _)| !is_referent(&store))
    }

    /// Whether an object has pushed to a place, or may. What is not known is no reason to take it away from it.
    fn may_claim(
        &self,
        object: &PushSecret,
        key: &ObjectKey,
        store: &StoreKey,
        claim: &Claim,
    ) -> bool {
        if has_pushed(object, &store_name(store), claim) {
            return true;
        }
        let named = entries::stores(&object.spec).unwrap_or_default();
        let mut stores = named.iter().filter_map(|name| store_key(name, &key.namespace));
        stores.all(|store| self.is_served(&store))
            && !self.refuses(store, &key.namespace, &claim.remote_key)
    }

    /// False if a store is for another controller, or of a kind that is switched off.
    pub(crate) fn is_served(&self, key: &StoreKey) -> bool {
        let config = &self.config;
        let enabled =
            if key.is_cluster() { config.cluster_stores } else { config.namespaced_stores };
        enabled && !self.is_of_others(key)
    }

    /// Whether a store is for another controller.
    pub(crate) fn is_of_others(&self, key: &StoreKey) -> bool {
        self.stores.find(key).is_some_and(|(store, _, _)| !self.is_ours(&store))
    }
}
