//! Which watches the hardening subsystem has, and what each of their events wakes.

use std::{collections::HashSet, sync::Arc};

use k8s_openapi::api::{
    apps::v1::DaemonSet,
    core::v1::{Namespace, Service, ServiceAccount},
};
use kube::{Api, Resource, ResourceExt};

use super::Context;
use super::admission;
use super::credentials;
use super::exceptions;
use super::index::last_writer;
use super::plan::dns::DNS_SERVICES;
use super::plan::dns::DnsService;
use super::plan::dns::NODE_LOCAL;
use super::plan::dns::node_local_addresses;
use super::plan::objects::Generated;
use super::plan::objects::GeneratedKey;
use super::plan::objects::ObjectKind;
use super::plan::objects::ObservedObject;
use super::plan::pull_secrets::{Source, SourceName};
use super::slim::Slim;
use super::stored::Stored;
use crate::api::gabion::namespace_hardening::EFFECTIVE;
use crate::api::gabion::namespace_hardening::NamespaceHardening;
use crate::cluster::{CacheSync, Change, ObjectKey, queue::Lane};
use crate::hardening::plan::permissive_policies::Opened;
use crate::hardening::plan::resources::UserLimits;
use crate::meta::Uid;
use crate::runtime::Dependency;
use crate::runtime::Runtime;
use crate::runtime::Watches;

/// Starts every watch.
pub(crate) fn start(context: &Arc<Context>, runtime: &mut Runtime<'_>) -> CacheSync {
    let sources = sources(context, runtime);
    let mut watches = Watches::new(runtime, context);
    let client = watches.client();
    let vital = Dependency::Required;
    watches.follow("HardeningBaseline", vital, Api::all(client.clone()), baseline);
    watches.follow("Namespace (hardening)", vital, Api::all(client.clone()), namespace);
    watches.follow("NetworkPolicy", vital, Api::all(client.clone()), |context, change| {
        object(context, ObjectKind::NetworkPolicy, change, Generated::NetworkPolicy);
    });
    watches.follow("LimitRange", vital, Api::all(client.clone()), |context, change| {
        object(context, ObjectKind::LimitRange, change, Generated::LimitRange);
    });
    watches.follow("ResourceQuota", vital, Api::all(client.clone()), |context, change| {
        object(context, ObjectKind::ResourceQuota, change, Generated::ResourceQuota);
    });
    let accounts = Api::all(client.clone());
    watches.follow("ServiceAccount (hardening)", vital, accounts, service_account);
    watches.follow("NamespaceHardening", vital, Api::all(client.clone()), effective);
    let (namespace, _) = NODE_LOCAL;
    let services = Api::namespaced(client.clone(), namespace);
    watches.follow("Service (DNS)", vital, services, move |context, change| {
        dns_service(context, namespace, change);
    });
    let daemon_sets = Api::namespaced(client.clone(), namespace);
    watches.follow("DaemonSet (DNS)", vital, daemon_sets, node_local);
    for (elsewhere, _) in DNS_SERVICES.into_iter().filter(|(other, _)| *other != namespace) {
        let services = Api::namespaced(client.clone(), elsewhere);
        watches.follow_if_allowed("Service (DNS elsewhere)", services, move |context, change| {
            dns_service(context, elsewhere, change);
        });
    }
    watches.follow_if_served("BaselineException", Api::all(client.clone()), exceptions::exception);
    let approvals = Api::all(client);
    watches.follow_if_served("BaselineExceptionApproval", approvals, exceptions::approval);
    admission::follow(&mut watches);
    credentials::follow(&mut watches, &sources);
    watches.caches()
}

/// The Secrets that may be copied, none of which was read yet.
fn sources(context: &Context, runtime: &Runtime<'_>) -> Vec<SourceName> {
    let named = runtime.config.hardening.pull_secret_sources.iter();
    let named = named
        .map(|(namespace, name)| SourceName { namespace: namespace.clone(), name: name.clone() });
    let sources: Vec<SourceName> = named.collect();
    for source in &sources {
        context.index.source_seen(source, Source::Unread);
    }
    sources
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
        Change::Replaced(present) => {
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
        context.admissions.forget(name);
        context.wake_all();
    } else {
        tracing::warn!(baseline = &**name, "gone while its teardown was paused: kept in force");
    }
}

fn namespace(context: &Context, change: Change<Slim<Namespace>>) {
    match change {
        Change::Applied(object) => {
            if context.index.namespace_applied(&object.0) {
                context.namespaces.wake(&object.name_any().into(), &(), Lane::Urgent);
                context.wake_baselines();
            }
        }
        Change::Deleted(object) => namespace_gone(context, &object.name_any().into()),
        Change::Replaced(present) => {
            for name in context.index.namespaces_listed(&names(&present)) {
                namespace_gone(context, &name);
            }
        }
    }
}

fn namespace_gone(context: &Context, name: &Arc<str>) {
    context.index.namespace_deleted(name);
    context.namespaces.forget(name);
    context.wake_baselines();
}

/// Objects of a generated kind under names that we could have given. Of all others nothing is kept but what they
/// open.
fn object<K: Resource<DynamicType = ()>>(
    context: &Context,
    kind: ObjectKind,
    change: Change<Slim<K>>,
    wrap: fn(K) -> Generated,
) {
    match change {
        Change::Applied(object) => {
            let wrapped = wrap(object.0);
            let mut seen = ObservedObject::of(&wrapped);
            let key = wrapped.key();
            let namespace = wrapped.meta().namespace.clone().unwrap_or_default();
            if let Generated::NetworkPolicy(policy) = &wrapped {
                let opened = Opened::by(policy);
                if context.index.permissive_policy_seen(&ObjectKey::of(policy), opened) {
                    context.namespaces.wake(&namespace.as_str().into(), &(), Lane::Urgent);
                }
            }
            if let Generated::LimitRange(range) = &wrapped
                && !key.could_be_ours()
                && context.index.limit_range_seen(&ObjectKey::of(range), UserLimits::of(range))
            {
                context.namespaces.wake(&namespace.as_str().into(), &(), Lane::Urgent);
            }
            if !key.could_be_ours() {
                return;
            }
            if seen.ours {
                seen.manager = last_writer(wrapped.meta().managed_fields.as_deref());
            }
            if context.index.object_seen(&namespace, &key, seen) {
                context.namespaces.wake(&namespace.into(), &(), Lane::Urgent);
            }
        }
        Change::Deleted(object) => {
            let namespace = object.meta().namespace.clone().unwrap_or_default();
            let key = GeneratedKey::new(kind, object.name_any());
            let object_key = ObjectKey::of(&object.0);
            let gone = match kind {
                ObjectKind::LimitRange => {
                    context.index.limit_range_seen(&object_key, UserLimits::default())
                }
                _ => context.index.permissive_policy_seen(&object_key, Opened::default()),
            };
            let uid = Uid::of(object.meta());
            if context.index.object_gone(&namespace, &key, &uid) || gone {
                context.namespaces.wake(&namespace.into(), &(), Lane::Urgent);
            }
        }
        Change::Replaced(present) => {
            for namespace in context.index.objects_listed(kind, &present) {
                context.namespaces.wake(&namespace, &(), Lane::Urgent);
            }
        }
    }
}

fn service_account(context: &Context, change: Change<Slim<ServiceAccount>>) {
    match change {
        Change::Applied(object) => {
            if context.index.account_applied(&object.0) {
                let namespace = object.namespace().unwrap_or_default();
                context.namespaces.wake(&namespace.into(), &(), Lane::Urgent);
            }
        }
        Change::Deleted(object) => {
            context.index.account_deleted(&ObjectKey::of(&object.0));
        }
        Change::Replaced(present) => context.index.accounts_listed(&present),
    }
}

fn effective(context: &Context, change: Change<Slim<NamespaceHardening>>) {
    let (namespace, seen) = match change {
        Change::Applied(object) if object.name_any() == EFFECTIVE => {
            (object.namespace().unwrap_or_default(), Some(object.0))
        }
        Change::Deleted(object) if object.name_any() == EFFECTIVE => {
            (object.namespace().unwrap_or_default(), None)
        }
        Change::Replaced(present) => {
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
        Change::Replaced(present) if !present.contains(&ObjectKey::new(namespace, name)) => None,
        _ => return,
    };
    if context.index.dns_service_seen((namespace.to_owned(), name.to_owned()), seen) {
        context.wake_all();
    }
}

fn node_local(context: &Context, change: Change<DaemonSet>) {
    let (namespace, name) = NODE_LOCAL;
    let seen = match change {
        Change::Applied(object) if object.name_any() == name => node_local_addresses(&object),
        Change::Deleted(object) if object.name_any() == name => None,
        Change::Replaced(present) if !present.contains(&ObjectKey::new(namespace, name)) => None,
        _ => return,
    };
    if context.index.node_local_seen(seen) {
        context.wake_all();
    }
}
