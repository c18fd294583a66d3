//! Which watches the secrets subsystem has, and what each of their events wakes.

use std::{collections::HashSet, sync::Arc};

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Client, Resource, core::NamespaceResourceScope, core::PartialObjectMeta};

use super::{
    cluster_object,
    cluster_objects::owned_metadata,
    context::Context,
    index::{News, StoreKey},
    plan::rollout::revision::REVISION,
    plan::template::{self, InputKind},
    push, rotate,
    store::{Input, InputVersion, Store},
};
use crate::api::external_secrets::cluster_external_secret::ClusterExternalSecret;
use crate::api::external_secrets::cluster_push_secret::ClusterPushSecret;
use crate::api::external_secrets::external_secret::ExternalSecret;
use crate::api::external_secrets::secret_store::ClusterSecretStore;
use crate::api::external_secrets::secret_store::SecretStore;
use crate::cluster::{CacheSync, Change, ObjectKey, Undecodable, queue::Lane};
use crate::meta::Uid;
use crate::runtime::Dependency;
use crate::runtime::Runtime;
use crate::runtime::Watches;

/// Starts every watch.
pub(crate) fn start(context: &Arc<Context>, runtime: &mut Runtime<'_>) -> CacheSync {
    let namespace = runtime.config.namespace.as_deref();
    let mut watches = Watches::new(runtime, context);
    let client = watches.client();
    let vital = Dependency::Required;
    watches.follow("ExternalSecret", vital, within(&client, namespace), external_secret);
    watches.follow("Secret", vital, within(&client, namespace), secret);
    watches.follow(
        "ServiceAccount",
        Dependency::Optional,
        within(&client, namespace),
        service_account,
    );
    watches.follow("ConfigMap", Dependency::Optional, within(&client, namespace), config_map);
    if context.config.namespaced_stores {
        let stores = within::<SecretStore>(&client, namespace);
        watches.follow_and_tell("SecretStore", vital, stores, secret_store, store_undecodable);
    }
    if context.config.cluster_stores {
        let stores = Api::all(client.clone());
        let optional = Dependency::Optional;
        let kind = "ClusterSecretStore";
        watches.follow_and_tell(kind, optional, stores, cluster_secret_store, store_undecodable);
    }
    if context.config.cluster_external_secrets {
        let objects = Api::all(client.clone());
        let sink = cluster_object::cluster_object::<ClusterExternalSecret>;
        watches.follow_if_served("ClusterExternalSecret", objects, sink);
    }
    if context.config.cluster_push_secrets {
        let objects = Api::all(client.clone());
        let sink = cluster_object::cluster_object::<ClusterPushSecret>;
        watches.follow_if_served("ClusterPushSecret", objects, sink);
    }
    if context.config.push_secrets {
        let objects = within(&client, namespace);
        watches.follow_if_served("PushSecret", objects, push::push_secret);
    }
    if context.config.rotations {
        let objects = within(&client, namespace);
        watches.follow_if_served("SecretRotation", objects, rotate::secret_rotation);
    }
    let config = &context.config;
    if config.cluster_stores || config.cluster_external_secrets || config.cluster_push_secrets {
        watches.follow("Namespace", Dependency::Optional, Api::all(client), namespaces);
    }
    watches.caches()
}

/// One namespace, or all.
fn within<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

fn external_secret(context: &Context, change: Change<ExternalSecret>) {
    match change {
        Change::Applied(object) => {
            let key = ObjectKey::of(&object);
            let inputs = template::inputs(&object);
            let rivals = context.index.rivals(&key);
            let synced = object.status.as_ref().is_some_and(|status| status.refresh_time.is_some());
            let meta = owned_metadata(&object.metadata);
            let rolls = context.config.rollouts && context.rollout_seen(&key, &object);
            let news = context.index.external_applied(object);
            if rolls {
                context.wake_rollout(&key);
            }
            cluster_object::child_seen::<ClusterExternalSecret>(context, &key, &meta);
            if news != News::Nothing {
                context.template_inputs.used(&key, inputs);
            }
            match news {
                News::New if synced => context.wake(&key, Lane::Periodic),
                News::New | News::Edited => context.wake(&key, Lane::Urgent),
                News::Nothing => return,
            }
            // It may have let go of what they were refused.
            for rival in rivals {
                context.wake(&rival, Lane::Urgent);
            }
        }
        Change::Deleted(object) => {
            external_gone(context, &ObjectKey::of(&object), &Uid::of(&object.metadata));
        }
        Change::Replaced(present) => {
            cluster_object::children_listed::<ClusterExternalSecret>(context, &present);
            for key in context.index.externals_missing(&present) {
                external_gone(context, &key, &Uid::default());
            }
        }
    }
}

fn external_gone(context: &Context, key: &ObjectKey, uid: &Uid) {
    let rivals = context.index.rivals(key);
    context.index.external_deleted(key);
    cluster_object::child_gone::<ClusterExternalSecret>(context, key, uid);
    for rival in rivals {
        context.wake(&rival, Lane::Urgent);
    }
    context.template_inputs.unused(key);
    context.wakes.forget(key);
    context.externals.forget(key);
    context.rollout_gone(key);
    context.rolling.forget(key);
    context.outages.forget(key);
    if let Some(objects) = &context.metrics.objects {
        objects.forget(key);
    }
}

fn secret(context: &Context, change: Change<PartialObjectMeta<Secret>>) {
    let woken = match change {
        Change::Applied(object) => {
            let key = ObjectKey::of(&object);
            let version = InputVersion::of_secret(&object.metadata);
            input(context, &Input::Secret(key.clone()), &version);
            seen_by_pushes(context, InputKind::Secret, &key, &object.metadata);
            let mut woken = context.template_inputs.seen(InputKind::Secret, &key, &object.metadata);
            woken.extend(context.index.secret_applied(&key, &object.metadata));
            if object.metadata.annotations.iter().flatten().any(|(key, _)| key == REVISION) {
                for writer in context.index.writers(&key) {
                    context.wake_rollout(&writer);
                }
            }
            woken
        }
        Change::Deleted(object) => {
            let key = ObjectKey::of(&object);
            input(context, &Input::Secret(key.clone()), &InputVersion::Absent);
            wake_pushes(context, context.pushes.inputs.gone(InputKind::Secret, &key));
            let mut woken = context.template_inputs.gone(InputKind::Secret, &key);
            woken.extend(context.index.secret_deleted(&key, &Uid::of(&object.metadata)));
            woken
        }
        Change::Replaced(present) => {
            for gone in context.stores.inputs_gone(&present, Input::Secret) {
                input(context, &gone, &InputVersion::Absent);
            }
            wake_pushes(context, context.pushes.inputs.listed(InputKind::Secret, &present));
            let mut woken = context.template_inputs.listed(InputKind::Secret, &present);
            woken.extend(context.index.secrets_listed(&present));
            woken
        }
    };
    for key in woken {
        context.wake(&key, Lane::Urgent);
    }
}

fn config_map(context: &Context, change: Change<PartialObjectMeta<ConfigMap>>) {
    let kind = InputKind::ConfigMap;
    let woken = match change {
        Change::Applied(object) => {
            let key = ObjectKey::of(&object);
            let version = InputVersion::of_secret(&object.metadata);
            input(context, &Input::ConfigMap(key.clone()), &version);
            seen_by_pushes(context, kind, &key, &object.metadata);
            context.template_inputs.seen(kind, &key, &object.metadata)
        }
        Change::Deleted(object) => {
            let key = ObjectKey::of(&object);
            input(context, &Input::ConfigMap(key.clone()), &InputVersion::Absent);
            wake_pushes(context, context.pushes.inputs.gone(kind, &key));
            context.template_inputs.gone(kind, &key)
        }
        Change::Replaced(present) => {
            for gone in context.stores.inputs_gone(&present, Input::ConfigMap) {
                input(context, &gone, &InputVersion::Absent);
            }
            wake_pushes(context, context.pushes.inputs.listed(kind, &present));
            context.template_inputs.listed(kind, &present)
        }
    };
    for key in woken {
        context.wake(&key, Lane::Urgent);
    }
}

/// A Secret or ConfigMap that PushSecrets are made of may have changed.
fn seen_by_pushes(context: &Context, kind: InputKind, key: &ObjectKey, meta: &ObjectMeta) {
    wake_pushes(context, context.pushes.inputs.seen(kind, key, meta));
}

fn wake_pushes(context: &Context, woken: Vec<ObjectKey>) {
    for key in woken {
        context.wake_push(&key, Lane::Urgent);
    }
}

fn service_account(context: &Context, change: Change<PartialObjectMeta<ServiceAccount>>) {
    match change {
        Change::Applied(object) => {
            let version = InputVersion::of_account(&object.metadata);
            input(context, &Input::ServiceAccount(ObjectKey::of(&object)), &version);
        }
        Change::Deleted(object) => {
            input(context, &Input::ServiceAccount(ObjectKey::of(&object)), &InputVersion::Absent);
        }
        Change::Replaced(present) => {
            for gone in context.stores.inputs_gone(&present, Input::ServiceAccount) {
                input(context, &gone, &InputVersion::Absent);
            }
        }
    }
}

/// Something that credentials are made of is in this state now: validates the stores made of another one.
fn input(context: &Context, input: &Input, version: &InputVersion) {
    for store in context.stores.input_seen(input, version) {
        context.validations.wake(&store, &store, Lane::Urgent);
        // A referent store is not validated itself: its users find out.
        for user in context.index.users_of_store(&store) {
            context.wake(&user, Lane::Urgent);
        }
        wake_pushes(context, context.pushes.users_of_store(&store));
    }
}

fn secret_store(context: &Context, change: Change<SecretStore>) {
    match change {
        Change::Applied(object) => store_applied(context, object.into()),
        Change::Deleted(object) => store_gone(context, &StoreKey(ObjectKey::of(&object))),
        Change::Replaced(present) => stores_listed(context, false, &present),
    }
}

fn cluster_secret_store(context: &Context, change: Change<ClusterSecretStore>) {
    match change {
        Change::Applied(object) => store_applied(context, object.into()),
        Change::Deleted(object) => store_gone(context, &StoreKey(ObjectKey::of(&object))),
        Change::Replaced(present) => stores_listed(context, true, &present),
    }
}

fn store_applied(context: &Context, store: Store) {
    let key = store.key.clone();
    if context.stores.applied(store) {
        context.validations.wake(&key, &key, Lane::Urgent);
    }
}

/// Its users are told that it is there. True if it is ours, and its status may say so.
fn store_undecodable(context: &Context, object: &Undecodable) -> bool {
    let key = StoreKey(object.identity.key.clone());
    context.stores.undecodable(&key, &object.problem);
    context.is_our_class(&object.controller)
}

fn store_gone(context: &Context, key: &StoreKey) {
    context.stores.deleted(key);
    context.event_queues.withdraw(key);
    context.validations.forget(key);
    context.outages.forget_store(key);
    context.pushes.store_gone(key);
    // One that is being deleted may wait for nothing but this store.
    wake_pushes(context, context.pushes.users_of_store(key));
}

fn stores_listed(context: &Context, cluster: bool, present: &HashSet<ObjectKey>) {
    for key in context.stores.listed(cluster, present) {
        context.event_queues.withdraw(&key);
        context.validations.forget(&key);
        context.pushes.store_gone(&key);
        wake_pushes(context, context.pushes.users_of_store(&key));
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
                for push in context.pushes.all_in(name) {
                    // Others wait for what this one may not have any more.
                    wake_pushes(context, context.pushes.rivals(&push));
                    wake_pushes(context, vec![push]);
                }
                cluster_object::namespace_seen::<ClusterExternalSecret>(context, name);
                cluster_object::namespace_seen::<ClusterPushSecret>(context, name);
            }
        }
        Change::Deleted(object) => {
            let name = object.metadata.name.as_deref().unwrap_or_default();
            context.index.namespace_deleted(name);
            cluster_object::namespace_gone::<ClusterExternalSecret>(context, name);
            cluster_object::namespace_gone::<ClusterPushSecret>(context, name);
        }
        Change::Replaced(present) => {
            context.index.namespaces_listed(&present);
            cluster_object::wake_every::<ClusterExternalSecret>(context);
            cluster_object::wake_every::<ClusterPushSecret>(context);
        }
    }
}
