//! What the watches say to ClusterExternalSecrets.

use std::{collections::HashSet, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::super::cluster_externals::NamespaceOutcome;
use super::super::context::Context;
use super::super::plan::cluster_external::{Step, step};
use super::{report, wake, wake_all};
use crate::api::external_secrets::cluster_external_secret::ClusterExternalSecret;
use crate::cluster::{Change, ObjectKey};
use crate::meta::Uid;

/// A ClusterExternalSecret.
pub(crate) fn cluster_external_secret(context: &Context, change: Change<ClusterExternalSecret>) {
    match change {
        Change::Applied(object) => {
            let name = ObjectKey::of(&object).name;
            if context.cluster_externals.applied(object) {
                wake_all(context, &name);
            }
        }
        Change::Deleted(object) => gone(context, &ObjectKey::of(&object).name),
        Change::Replaced(present) => {
            for name in context.cluster_externals.missing(&present) {
                gone(context, &name);
            }
        }
    }
}

fn gone(context: &Context, name: &Arc<str>) {
    let namespaces = context.cluster_externals.deleted(name);
    for namespace in namespaces.into_iter().chain(["".into()]) {
        context.clusters.forget(&ObjectKey { namespace, name: name.clone() });
    }
    if let Some(objects) = &context.metrics.objects {
        objects.forget_cluster(name);
    }
}

/// An ExternalSecret is there, or changed. Our own writes come by here as well, and are no news.
pub(crate) fn child_seen(context: &Context, key: &ObjectKey, meta: &ObjectMeta) {
    for name in context.cluster_externals.child_seen(key, meta) {
        if !is_in_order(context, &name, key) {
            wake(context, &name, &key.namespace);
        }
    }
}

fn is_in_order(context: &Context, name: &str, key: &ObjectKey) -> bool {
    let registry = &context.cluster_externals;
    let Some(known) = registry.find(name) else { return true };
    let Ok(wanted) = &known.wanted else { return true };
    let child = context.index.external(key);
    let provisioned = registry.with_state(name, |_, state| {
        state.outcomes.get(&key.namespace) == Some(&NamespaceOutcome::Provisioned)
            && !state.pending.contains(&key.namespace)
    });
    let object = child.as_ref().map(|child| &*child.object);
    *wanted.name == *key.name
        && provisioned == Some(true)
        && step(&known.object, wanted, &known.managed, object) == Step::InOrder
}

/// An ExternalSecret is gone.
pub(crate) fn child_gone(context: &Context, key: &ObjectKey, uid: &Uid) {
    for name in context.cluster_externals.child_gone(key, uid) {
        wake(context, &name, &key.namespace);
    }
}

/// A list of ExternalSecrets is complete.
pub(crate) fn children_listed(context: &Context, present: &HashSet<ObjectKey>) {
    context.cluster_externals.children_listed(present);
}

/// A namespace is new, or its labels changed.
pub(crate) fn namespace_seen(context: &Context, namespace: &str) {
    let Some(facts) = context.index.namespace(namespace) else { return };
    let namespace: Arc<str> = namespace.into();
    for name in context.cluster_externals.names() {
        let Some(known) = context.cluster_externals.find(&name) else { continue };
        let Ok(wanted) = &known.wanted else { continue };
        let concerned = context
            .cluster_externals
            .with_state(&name, |_, state| state.outcomes.contains_key(&namespace));
        let uid = Uid::of(&known.object.metadata);
        if wanted.selects(&namespace, &facts.labels)
            || concerned == Some(true)
            || !context.cluster_externals.children(&uid, &namespace, "").is_empty()
        {
            wake(context, &name, &namespace);
        }
    }
}

/// A namespace is gone.
pub(crate) fn namespace_gone(context: &Context, namespace: &str) {
    let namespace: Arc<str> = namespace.into();
    for name in context.cluster_externals.names() {
        let had = context.cluster_externals.with_state(&name, |known, state| {
            let named = known
                .wanted
                .as_ref()
                .is_ok_and(|wanted| wanted.names().any(|name| *name == *namespace));
            state.pending.remove(&namespace);
            state.outcomes.remove(&namespace).is_some() || named
        });
        let key = ObjectKey { namespace: namespace.clone(), name: name.clone() };
        context.clusters.forget(&key);
        if had == Some(true) {
            report::wake(context, &name);
        }
    }
}
