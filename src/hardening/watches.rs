//! Which watches the hardening half has, and what each of their events wakes.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use k8s_openapi::api::{
    apps::v1::DaemonSet,
    core::v1::{Namespace, Service, ServiceAccount},
};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    Context,
    index::last_writer,
    plan::{
        dns::{DNS_SERVICES, DnsService, NODE_LOCAL, node_local_addresses},
        objects::{Generated, ObjectKey as Named, ObjectKind, ObservedObject},
        widening::opens,
    },
    stored::Stored,
};
use crate::{
    api::namespace_hardening::{EFFECTIVE, NamespaceHardening},
    cluster::{
        Change, Listed, ObjectKey, WatchHealth, follow, follow_if_allowed, queue::Lane, until,
    },
    telemetry::Health,
};

/// Starts every watch in a task of its own.
pub fn start(
    context: &Arc<Context>,
    client: &Client,
    health: &Health,
    stop: &CancellationToken,
    tasks: &mut JoinSet<()>,
) -> Listed {
    let mut watches = Watches { context, client, health, stop, tasks, listed: Vec::new() };
    watches.all("HardeningBaseline", baseline);
    watches.all("Namespace (hardening)", namespace);
    watches.all("NetworkPolicy", |context, change| {
        object(context, ObjectKind::NetworkPolicy, change, Generated::NetworkPolicy);
    });
    watches.all("LimitRange", |context, change| {
        object(context, ObjectKind::LimitRange, change, Generated::LimitRange);
    });
    watches.all("ResourceQuota", |context, change| {
        object(context, ObjectKind::ResourceQuota, change, Generated::ResourceQuota);
    });
    watches.all("ServiceAccount (hardening)", service_account);
    watches.all("NamespaceHardening", effective);
    let (namespace, _) = NODE_LOCAL;
    watches.named("Service (DNS)", namespace, move |context, change| {
        dns_service(context, namespace, change);
    });
    watches.named("DaemonSet (DNS)", namespace, node_local);
    for (elsewhere, _) in DNS_SERVICES.into_iter().filter(|(other, _)| *other != namespace) {
        watches.if_allowed("Service (DNS elsewhere)", elsewhere, move |context, change| {
            dns_service(context, elsewhere, change);
        });
    }
    Listed::new(watches.listed)
}

struct Watches<'a> {
    context: &'a Arc<Context>,
    client: &'a Client,
    health: &'a Health,
    stop: &'a CancellationToken,
    tasks: &'a mut JoinSet<()>,
    listed: Vec<Arc<WatchHealth>>,
}

impl Watches<'_> {
    fn all<K>(&mut self, kind: &'static str, sink: impl Fn(&Context, Change<K>) + Send + 'static)
    where
        K: Resource<DynamicType = ()>,
        K: Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
    {
        self.watch(Api::all(self.client.clone()), kind, sink);
    }

    fn named<K>(
        &mut self,
        kind: &'static str,
        namespace: &str,
        sink: impl Fn(&Context, Change<K>) + Send + 'static,
    ) where
        K: Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
        K: Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
    {
        self.watch(Api::namespaced(self.client.clone(), namespace), kind, sink);
    }

    /// For what only some clusters have, and only some installations may see.
    fn if_allowed<K>(
        &mut self,
        kind: &'static str,
        namespace: &str,
        sink: impl Fn(&Context, Change<K>) + Send + 'static,
    ) where
        K: Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
        K: Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
    {
        let api = Api::namespaced(self.client.clone(), namespace);
        let context = Arc::clone(self.context);
        let events = follow_if_allowed(api, kind, move |change| sink(&context, change));
        self.tasks.spawn(until(self.stop.clone(), events));
    }

    fn watch<K>(
        &mut self,
        api: Api<K>,
        kind: &'static str,
        sink: impl Fn(&Context, Change<K>) + Send + 'static,
    ) where
        K: Resource<DynamicType = ()>,
        K: Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
    {
        let health = self.health.watch(kind);
        self.listed.push(Arc::clone(&health));
        let context = Arc::clone(self.context);
        let events = follow(api, None, health, move |change| sink(&context, change));
        self.tasks.spawn(until(self.stop.clone(), events));
    }
}

fn names(present: &HashSet<ObjectKey>) -> HashSet<Arc<str>> {
    present.iter().map(|key| Arc::clone(&key.name)).collect()
}

fn baseline(context: &Context, change: Change<Stored>) {
    match change {
        Change::Applied(object) => {
            let name: Arc<str> = object.name_any().into();
            if context.index.baseline_applied(object) {
                context.baselines.wake(&name, &(), Lane::Urgent);
            }
        }
        Change::Deleted(object) => baseline_gone(context, &object.name_any().into()),
        Change::Listed(present) => {
            for name in context.index.baselines_missing(&names(&present)) {
                baseline_gone(context, &name);
            }
        }
    }
}

/// It went: in order, or, where somebody removed our finalizer by force, at once. Either way it is over, unless
/// its teardown was paused: then what it made stays until it is there again.
fn baseline_gone(context: &Context, name: &Arc<str>) {
    context.baselines.forget(name);
    if context.index.baseline_deleted(name) {
        context.wake_all(Lane::Urgent);
    } else {
        tracing::warn!(baseline = &**name, "gone while its teardown was paused: kept in force");
    }
}

fn namespace(context: &Context, change: Change<Namespace>) {
    match change {
        Change::Applied(object) => {
            if context.index.namespace_applied(&object) {
                context.namespaces.wake(&object.name_any().into(), &(), Lane::Urgent);
                context.tell_baselines();
            }
        }
        Change::Deleted(object) => namespace_gone(context, &object.name_any().into()),
        Change::Listed(present) => {
            for name in context.index.namespaces_listed(&names(&present)) {
                namespace_gone(context, &name);
            }
        }
    }
}

fn namespace_gone(context: &Context, name: &Arc<str>) {
    context.index.namespace_deleted(name);
    context.namespaces.forget(name);
    context.tell_baselines();
}

/// Objects of a generated kind: ours, and others under names of ours. Of all others nothing is kept.
fn object<K: Resource>(
    context: &Context,
    kind: ObjectKind,
    change: Change<K>,
    wrap: fn(K) -> Generated,
) {
    match change {
        Change::Applied(object) => {
            let wrapped = wrap(object);
            let mut seen = ObservedObject::of(&wrapped);
            let key = wrapped.key();
            let namespace = wrapped.meta().namespace.clone().unwrap_or_default();
            if let Generated::NetworkPolicy(policy) = &wrapped {
                let opened = if seen.ours { BTreeSet::new() } else { opens(policy) };
                if context.index.widening_seen(&namespace, &key.name, opened) {
                    context.namespaces.wake(&namespace.as_str().into(), &(), Lane::Urgent);
                }
            }
            if !seen.ours && !key.name.starts_with("gabion-") {
                return;
            }
            if seen.ours {
                seen.manager = last_writer(wrapped.meta().managed_fields.as_deref());
            }
            if context.index.object_seen(&namespace, &key, Some(seen)) {
                context.namespaces.wake(&namespace.into(), &(), Lane::Urgent);
            }
        }
        Change::Deleted(object) => {
            let namespace = object.meta().namespace.clone().unwrap_or_default();
            let key = Named::new(kind, object.name_any());
            let gone = context.index.widening_seen(&namespace, &key.name, BTreeSet::new());
            if context.index.object_seen(&namespace, &key, None) || gone {
                context.namespaces.wake(&namespace.into(), &(), Lane::Urgent);
            }
        }
        Change::Listed(present) => {
            for namespace in context.index.objects_listed(kind, &present) {
                context.namespaces.wake(&namespace, &(), Lane::Urgent);
            }
        }
    }
}

fn service_account(context: &Context, change: Change<ServiceAccount>) {
    match change {
        Change::Applied(object) => {
            if context.index.account_applied(&object) {
                let namespace = object.namespace().unwrap_or_default();
                context.namespaces.wake(&namespace.into(), &(), Lane::Urgent);
            }
        }
        Change::Deleted(object) => {
            let namespace = object.namespace().unwrap_or_default();
            context.index.account_deleted(&namespace, &object.name_any());
        }
        Change::Listed(present) => context.index.accounts_listed(&present),
    }
}

fn effective(context: &Context, change: Change<NamespaceHardening>) {
    let (namespace, seen) = match change {
        Change::Applied(object) if object.name_any() == EFFECTIVE => {
            (object.namespace().unwrap_or_default(), Some(object))
        }
        Change::Deleted(object) if object.name_any() == EFFECTIVE => {
            (object.namespace().unwrap_or_default(), None)
        }
        Change::Listed(present) => {
            for namespace in context.index.effectives_listed(&present) {
                context.namespaces.wake(&namespace, &(), Lane::Urgent);
            }
            return;
        }
        _ => return,
    };
    if context.index.effective_seen(&namespace, seen) {
        context.namespaces.wake(&namespace.into(), &(), Lane::Urgent);
    }
}

fn dns_service(context: &Context, namespace: &'static str, change: Change<Service>) {
    let (_, name) =
        DNS_SERVICES.into_iter().find(|(place, _)| *place == namespace).unwrap_or_default();
    let seen = match change {
        Change::Applied(object) if object.name_any() == name => DnsService::of(&object),
        Change::Deleted(object) if object.name_any() == name => None,
        Change::Listed(present) if !present.contains(&ObjectKey::new(namespace, name)) => None,
        _ => return,
    };
    if context.index.dns_service_seen((namespace.to_owned(), name.to_owned()), seen) {
        context.wake_all(Lane::Periodic);
    }
}

fn node_local(context: &Context, change: Change<DaemonSet>) {
    let (namespace, name) = NODE_LOCAL;
    let seen = match change {
        Change::Applied(object) if object.name_any() == name => node_local_addresses(&object),
        Change::Deleted(object) if object.name_any() == name => None,
        Change::Listed(present) if !present.contains(&ObjectKey::new(namespace, name)) => None,
        _ => return,
    };
    if context.index.node_local_seen(seen) {
        context.wake_all(Lane::Periodic);
    }
}
