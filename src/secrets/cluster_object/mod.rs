//! The controllers of ClusterExternalSecrets and ClusterPushSecrets.
//!
//! Each namespace is an item of the queue of its own, so one that fails or hangs holds up no other; the status is one
//! more item, written when no namespace is left to do, or every two seconds until then. The children that exist are
//! known from the watch: an object that is in order costs no request.

mod namespace;
mod report;
mod watches;

use std::{sync::Arc, time::Instant};

pub(crate) use watches::{child_gone, child_seen, children_listed, cluster_object};
pub(crate) use watches::{namespace_gone, namespace_seen};

use super::cluster_objects::ClusterObjects;
use super::context::Context;
use super::plan::cluster_kinds::ClusterKind;
use crate::api::external_secrets::cluster_external_secret::ClusterExternalSecret;
use crate::api::external_secrets::cluster_push_secret::ClusterPushSecret;
use crate::api::external_secrets::external_secret::ExternalSecret;
use crate::api::external_secrets::push_secret::PushSecret;
use crate::cluster::{
    ObjectKey,
    queue::{Lane, Next, Queue},
};
use crate::meta::Uid;

/// Field manager of writes, as External Secrets Operator has it.
const MANAGER: &str = "external-secrets";

/// A kind with a controller.
pub(crate) trait Controlled: ClusterKind {
    /// Those that are known.
    fn objects(context: &Context) -> &ClusterObjects<Self>;
    /// Namespaces to reconcile.
    fn queue(context: &Context) -> &Queue<ObjectKey, Arc<str>>;
    /// What is known of a child.
    fn child(context: &Context, key: &ObjectKey) -> Option<Arc<Self::Child>>;
}

impl Controlled for ClusterExternalSecret {
    fn objects(context: &Context) -> &ClusterObjects<Self> {
        &context.cluster_externals
    }

    fn queue(context: &Context) -> &Queue<ObjectKey, Arc<str>> {
        &context.clusters
    }

    fn child(context: &Context, key: &ObjectKey) -> Option<Arc<ExternalSecret>> {
        context.index.external(key).map(|tracked| tracked.object)
    }
}

impl Controlled for ClusterPushSecret {
    fn objects(context: &Context) -> &ClusterObjects<Self> {
        &context.cluster_pushes
    }

    fn queue(context: &Context) -> &Queue<ObjectKey, Arc<str>> {
        &context.cluster_pushing
    }

    fn child(context: &Context, key: &ObjectKey) -> Option<Arc<PushSecret>> {
        context.pushes.find(key).map(|tracked| tracked.object)
    }
}

/// Reconciles one namespace of one object, or its status if the namespace is empty.
pub(crate) async fn reconcile<K: Controlled>(context: Arc<Context>, key: ObjectKey) -> Next {
    if key.namespace.is_empty() {
        report::reconcile::<K>(&context, &key.name).await
    } else {
        namespace::reconcile::<K>(&context, &key).await
    }
}

/// Reconciles everything that an object is about.
fn wake_all<K: Controlled>(context: &Context, name: &Arc<str>) {
    let Some(known) = K::objects(context).find(name) else { return };
    let mut namespaces = Vec::new();
    if let Ok(wanted) = &known.wanted
        && known.object.meta().deletion_timestamp.is_none()
    {
        namespaces = context.index.namespaces_where(|name, facts| {
            !facts.terminating && wanted.selects(name, &facts.labels)
        });
        let uid = Uid::of(known.object.meta());
        namespaces.extend(K::objects(context).occupied(&uid));
    }
    let had = K::objects(context)
        .with_state(name, |_, state| state.outcomes.keys().cloned().collect::<Vec<_>>());
    namespaces.extend(had.unwrap_or_default());
    namespaces.sort();
    namespaces.dedup();
    for namespace in &namespaces {
        wake::<K>(context, name, namespace);
    }
    report::wake::<K>(context, name);
}

/// Reconciles everything that all of them are about.
pub(crate) fn wake_every<K: Controlled>(context: &Context) {
    for name in K::objects(context).names() {
        wake_all::<K>(context, &name);
    }
}

/// Reconciles one namespace of an object.
fn wake<K: Controlled>(context: &Context, name: &Arc<str>, namespace: &Arc<str>) {
    let now = Instant::now();
    let known = K::objects(context).with_state(name, |_, state| {
        if state.pending.insert(namespace.clone()) {
            state.pending_since.get_or_insert(now);
        }
    });
    if known.is_some() {
        let key = ObjectKey { namespace: namespace.clone(), name: name.clone() };
        K::queue(context).wake(&key, name, Lane::Urgent);
    }
}
