//! Which watches the secrets half has, and what each of their events wakes.

use std::{collections::HashSet, sync::Arc};

use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use kube::{Api, Client, Resource, core::NamespaceResourceScope, core::PartialObjectMeta};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    Context, StoreKey, auth,
    index::News,
    stores::{Input, Store},
};
use crate::{
    api::{
        external_secret::ExternalSecret,
        secret_store::{ClusterSecretStore, SecretStore},
    },
    cluster::{Change, Listed, ObjectKey, follow, queue::Lane, until},
    telemetry::Health,
};

/// Starts every watch in a task of its own.
pub fn start(
    context: &Arc<Context>,
    client: &Client,
    namespace: Option<&str>,
    health: &Health,
    stop: &CancellationToken,
    tasks: &mut JoinSet<()>,
) -> Listed {
    let mut watches =
        Watches { context, client, namespace, health, stop, tasks, listed: Listed::default() };
    watches.namespaced("ExternalSecret", external_secret);
    watches.namespaced::<PartialObjectMeta<Secret>>("Secret", secret);
    watches.namespaced::<PartialObjectMeta<ServiceAccount>>("ServiceAccount", service_account);
    if context.config.namespaced_stores {
        watches.namespaced("SecretStore", secret_store);
    }
    if context.config.cluster_stores {
        watches.cluster("ClusterSecretStore", cluster_secret_store);
        watches.cluster::<PartialObjectMeta<Namespace>>("Namespace", namespaces);
    }
    watches.listed
}

struct Watches<'a> {
    context: &'a Arc<Context>,
    client: &'a Client,
    namespace: Option<&'a str>,
    health: &'a Health,
    stop: &'a CancellationToken,
    tasks: &'a mut JoinSet<()>,
    listed: Listed,
}

impl Watches<'_> {
    fn namespaced<K>(&mut self, kind: &'static str, sink: fn(&Context, Change<K>))
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
    {
        let api = match self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        };
        self.watch(api, kind, sink);
    }

    fn cluster<K>(&mut self, kind: &'static str, sink: fn(&Context, Change<K>))
    where
        K: Resource<DynamicType = ()>,
        K: Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
    {
        self.watch(Api::all(self.client.clone()), kind, sink);
    }

    fn watch<K>(&mut self, api: Api<K>, kind: &'static str, sink: fn(&Context, Change<K>))
    where
        K: Resource<DynamicType = ()>,
        K: Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
    {
        let health = self.health.watch(kind);
        match kind {
            "ExternalSecret" | "Secret" | "SecretStore" => self.listed.needs(Arc::clone(&health)),
            _ => self.listed.uses(Arc::clone(&health)),
        }
        let context = Arc::clone(self.context);
        let events = follow(api, None, health, move |change| sink(&context, change));
        self.tasks.spawn(until(self.stop.clone(), events));
    }
}

fn external_secret(context: &Context, change: Change<ExternalSecret>) {
    match change {
        Change::Applied(object) => {
            let key = ObjectKey::of(&object);
            let synced = object.status.as_ref().is_some_and(|status| status.refresh_time.is_some());
            match context.index.external_applied(object) {
                News::New if synced => context.wake(&key, Lane::Periodic),
                News::New | News::Edited => context.wake(&key, Lane::Urgent),
                News::Nothing => {}
            }
        }
        Change::Deleted(object) => external_gone(context, &ObjectKey::of(&object)),
        Change::Listed(present) => {
            for key in context.index.externals_listed(&present) {
                external_gone(context, &key);
            }
        }
    }
}

fn external_gone(context: &Context, key: &ObjectKey) {
    context.index.external_deleted(key);
    context.externals.forget(key);
    context.outages.forget(key);
    if let Some(objects) = &context.metrics.objects {
        objects.forget(&key.namespace, &key.name);
    }
}

fn secret(context: &Context, change: Change<PartialObjectMeta<Secret>>) {
    let woken = match change {
        Change::Applied(object) => {
            let key = ObjectKey::of(&object);
            let version = auth::secret_version(&object.metadata);
            input(context, &Input::Secret(key.clone()), &version);
            context.index.secret_applied(&key, &object.metadata)
        }
        Change::Deleted(object) => {
            let key = ObjectKey::of(&object);
            input(context, &Input::Secret(key.clone()), "");
            context.index.secret_deleted(&key, object.metadata.uid.as_deref())
        }
        Change::Listed(present) => {
            for gone in context.stores.inputs_gone(&present, true) {
                input(context, &gone, "");
            }
            context.index.secrets_listed(&present)
        }
    };
    for key in woken {
        context.wake(&key, Lane::Urgent);
    }
}

fn service_account(context: &Context, change: Change<PartialObjectMeta<ServiceAccount>>) {
    match change {
        Change::Applied(object) => {
            let version = auth::account_version(&object.metadata);
            input(context, &Input::ServiceAccount(ObjectKey::of(&object)), &version);
        }
        Change::Deleted(object) => {
            input(context, &Input::ServiceAccount(ObjectKey::of(&object)), "");
        }
        Change::Listed(present) => {
            for gone in context.stores.inputs_gone(&present, false) {
                input(context, &gone, "");
            }
        }
    }
}

/// Something that credentials are made of is in this state now: validates the stores made of another one.
fn input(context: &Context, input: &Input, version: &str) {
    for store in context.stores.input_seen(input, version) {
        context.validations.wake(&store, &store, Lane::Urgent);
        // A referent store is not validated itself: its users find out.
        for user in context.index.users_of_store(&store) {
            context.wake(&user, Lane::Urgent);
        }
    }
}

fn secret_store(context: &Context, change: Change<SecretStore>) {
    match change {
        Change::Applied(object) => store_applied(context, object.into()),
        Change::Deleted(object) => store_gone(context, &StoreKey(ObjectKey::of(&object))),
        Change::Listed(present) => stores_listed(context, false, &present),
    }
}

fn cluster_secret_store(context: &Context, change: Change<ClusterSecretStore>) {
    match change {
        Change::Applied(object) => store_applied(context, object.into()),
        Change::Deleted(object) => store_gone(context, &StoreKey(ObjectKey::of(&object))),
        Change::Listed(present) => stores_listed(context, true, &present),
    }
}

fn store_applied(context: &Context, store: Store) {
    let key = store.key.clone();
    if context.stores.applied(store) {
        context.validations.wake(&key, &key, Lane::Urgent);
    }
}

fn store_gone(context: &Context, key: &StoreKey) {
    context.stores.deleted(key);
    context.validations.forget(key);
    context.outages.forget_store(key);
}

fn stores_listed(context: &Context, cluster: bool, present: &HashSet<ObjectKey>) {
    for key in context.stores.listed(cluster, present) {
        context.validations.forget(&key);
    }
}

fn namespaces(context: &Context, change: Change<PartialObjectMeta<Namespace>>) {
    match change {
        Change::Applied(object) => {
            if context.index.namespace_applied(&object.metadata) {
                let name = object.metadata.name.as_deref().unwrap_or_default();
                for user in context.index.cluster_store_users_in(name) {
                    context.wake(&user, Lane::Urgent);
                }
            }
        }
        Change::Deleted(object) => {
            let name = object.metadata.name.as_deref().unwrap_or_default();
            context.index.namespace_deleted(name);
        }
        Change::Listed(_) => {}
    }
}
