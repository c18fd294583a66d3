//! The controller of ClusterExternalSecrets.
//!
//! Each namespace is an item of the queue of its own, so one that fails or hangs holds up no other; the status is one
//! more item, written when no namespace is left to do, or every two seconds until then. The ExternalSecrets that exist
//! are known from the watch: an object that is in order costs no request.

mod namespace;
mod report;
mod watches;

use std::{sync::Arc, time::Instant};

pub(crate) use watches::{child_gone, child_seen, children_listed, cluster_external_secret};
pub(crate) use watches::{namespace_gone, namespace_seen};

use super::context::Context;
use crate::cluster::{
    ObjectKey,
    queue::{Lane, Next},
};
use crate::meta::Uid;

const KIND: &str = "ClusterExternalSecret";
/// Field manager of writes, as External Secrets Operator has it.
const MANAGER: &str = "external-secrets";

/// Reconciles one namespace of one object, or its status if the namespace is empty.
pub(crate) async fn reconcile(context: Arc<Context>, key: ObjectKey) -> Next {
    if key.namespace.is_empty() {
        report::reconcile(&context, &key.name).await
    } else {
        namespace::reconcile(&context, &key).await
    }
}

/// Reconciles everything that an object is about.
fn wake_all(context: &Context, name: &Arc<str>) {
    let Some(known) = context.cluster_externals.find(name) else { return };
    let mut namespaces = Vec::new();
    if let Ok(wanted) = &known.wanted
        && known.object.metadata.deletion_timestamp.is_none()
    {
        namespaces = context.index.namespaces_where(|name, facts| {
            !facts.terminating && wanted.selects(name, &facts.labels)
        });
        let uid = Uid::of(&known.object.metadata);
        namespaces.extend(context.cluster_externals.occupied(&uid));
    }
    let had = context
        .cluster_externals
        .with_state(name, |_, state| state.outcomes.keys().cloned().collect::<Vec<_>>());
    namespaces.extend(had.unwrap_or_default());
    namespaces.sort();
    namespaces.dedup();
    for namespace in &namespaces {
        wake(context, name, namespace);
    }
    report::wake(context, name);
}

/// Reconciles everything that all of them are about.
pub(crate) fn wake_every(context: &Context) {
    for name in context.cluster_externals.names() {
        wake_all(context, &name);
    }
}

/// Reconciles one namespace of an object.
fn wake(context: &Context, name: &Arc<str>, namespace: &Arc<str>) {
    let now = Instant::now();
    let known = context.cluster_externals.with_state(name, |_, state| {
        if state.pending.insert(namespace.clone()) {
            state.pending_since.get_or_insert(now);
        }
    });
    if known.is_some() {
        let key = ObjectKey { namespace: namespace.clone(), name: name.clone() };
        context.clusters.wake(&key, name, Lane::Urgent);
    }
}
