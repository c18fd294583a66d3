//! What the watches say to ClusterExternalSecrets and ClusterPushSecrets.

use std::{collections::HashSet, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::super::cluster_objects::NamespaceOutcome;
use super::super::context::Context;
use super::super::plan::cluster_object::{Step, step};
use super::{Controlled, report, wake, wake_all};
use crate::cluster::{Change, ObjectKey};
use crate::meta::Uid;

/// An object of the kind.
pub(crate) fn cluster_object<K: Controlled>(context: &Context, change: Change<K>) {
    match change {
        Change::Applied(object) => {
            let name = ObjectKey::of(&object).name;
            if K::objects(context).applied(object) {
                wake_all::<K>(context, &name);
            }
        }
        Change::Deleted(object) => gone::<K>(context, &ObjectKey::of(&object).name),
        Change::Replaced(present) => {
            for name in K::objects(context).missing(&present) {
                gone::<K>(context, &name);
            }
        }
    }
}

fn gone<K: Controlled>(context: &Context, name: &Arc<str>) {
    let namespaces = K::objects(context).deleted(name);
    for namespace in namespaces.into_iter().chain(["".into()]) {
        K::queue(context).forget(&ObjectKey { namespace, name: name.clone() });
    }
    if let Some(objects) = &context.metrics.objects {
        objects.forget_cluster(K::NAMES.kind, name);
    }
}

/// A child is there, or changed. Our own writes come by here as well, and are no news.
pub(crate) fn child_seen<K: Controlled>(context: &Context, key: &ObjectKey, meta: &ObjectMeta) {
    for name in K::objects(context).child_seen(key, meta) {
        if !is_in_order::<K>(context, &name, key) {
            wake::<K>(context, &name, &key.namespace);
        }
    }
}

fn is_in_order<K: Controlled>(context: &Context, name: &str, key: &ObjectKey) -> bool {
    let registry = K::objects(context);
    let Some(known) = registry.find(name) else { return true };
    let Ok(wanted) = &known.wanted else { return true };
    let child = K::child(context, key);
    let provisioned = registry.with_state(name, |_, state| {
        state.outcomes.get(&key.namespace) == Some(&NamespaceOutcome::Provisioned)
            && !state.pending.contains(&key.namespace)
    });
    *wanted.name == *key.name
        && provisioned == Some(true)
        && step(&*known.object, wanted, &known.managed, child.as_deref()) == Step::InOrder
}

/// A child is gone.
pub(crate) fn child_gone<K: Controlled>(context: &Context, key: &ObjectKey, uid: &Uid) {
    for name in K::objects(context).child_gone(key, uid) {
        wake::<K>(context, &name, &key.namespace);
    }
}

/// A list of children is complete.
pub(crate) fn children_listed<K: Controlled>(context: &Context, present: &HashSet<ObjectKey>) {
    K::objects(context).children_listed(present);
}

/// A namespace is new, or its labels changed.
pub(crate) fn namespace_seen<K: Controlled>(context: &Context, namespace: &str) {
    let Some(facts) = context.index.namespace(namespace) else { return };
    let namespace: Arc<str> = namespace.into();
    for name in K::objects(context).names() {
        let Some(known) = K::objects(context).find(&name) else { continue };
        let Ok(wanted) = &known.wanted else { continue };
        let concerned = K::objects(context)
            .with_state(&name, |_, state| state.outcomes.contains_key(&namespace));
        let uid = Uid::of(known.object.meta());
        if wanted.selects(&namespace, &facts.labels)
            || concerned == Some(true)
            || !K::objects(context).children(&uid, &namespace, "").is_empty()
        {
            wake::<K>(context, &name, &namespace);
        }
    }
}

/// A namespace is gone.
pub(crate) fn namespace_gone<K: Controlled>(context: &Context, namespace: &str) {
    let namespace: Arc<str> = namespace.into();
    for name in K::objects(context).names() {
        let had = K::objects(context).with_state(&name, |known, state| {
            let named = known
                .wanted
                .as_ref()
                .is_ok_and(|wanted| wanted.names().any(|name| *name == *namespace));
            state.pending.remove(&namespace);
            state.outcomes.remove(&namespace).is_some() || named
        });
        let key = ObjectKey { namespace: namespace.clone(), name: name.clone() };
        K::queue(context).forget(&key);
        if had == Some(true) {
            report::wake::<K>(context, &name);
        }
    }
}
