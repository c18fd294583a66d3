//! What the watch says to PushSecrets.

use std::collections::BTreeSet;

use super::super::cluster_object;
use super::super::cluster_objects::owned_metadata;
use super::super::context::Context;
use super::super::plan::push::entries;
use super::super::plan::template::{InputKind, inputs_of};
use crate::api::external_secrets::cluster_push_secret::ClusterPushSecret;
use crate::api::external_secrets::push_secret::PushSecret;
use crate::cluster::{Change, ObjectKey, queue::Lane};
use crate::meta::Uid;

/// A PushSecret.
pub(crate) fn push_secret(context: &Context, change: Change<PushSecret>) {
    match change {
        Change::Applied(object) => {
            let key = ObjectKey::of(&object);
            let mut inputs: BTreeSet<_> = inputs_of(object.spec.template.as_ref());
            if let Ok(name) = entries::source(&object.spec) {
                inputs.insert((InputKind::Secret, name.to_owned()));
            }
            let lane = if object.status.is_some() { Lane::Periodic } else { Lane::Urgent };
            let before = context.pushes.rivals(&key);
            let is_new = context.pushes.find(&key).is_none();
            let meta = owned_metadata(&object.metadata);
            let is_news = context.pushes.applied(object);
            cluster_object::child_seen::<ClusterPushSecret>(context, &key, &meta);
            if is_news {
                context.pushes.inputs.used(&key, inputs);
                context.wake_push(&key, if is_new { lane } else { Lane::Urgent });
                wake_all(context, before);
            }
        }
        Change::Deleted(object) => {
            gone(context, &ObjectKey::of(&object), &Uid::of(&object.metadata));
        }
        Change::Replaced(present) => {
            cluster_object::children_listed::<ClusterPushSecret>(context, &present);
            for key in context.pushes.missing(&present) {
                gone(context, &key, &Uid::default());
            }
        }
    }
}

fn gone(context: &Context, key: &ObjectKey, uid: &Uid) {
    let rivals = context.pushes.rivals(key);
    context.pushes.deleted(key);
    cluster_object::child_gone::<ClusterPushSecret>(context, key, uid);
    context.pushing.forget(key);
    wake_all(context, rivals);
}

/// It may have let go of what they were refused.
fn wake_all(context: &Context, keys: Vec<ObjectKey>) {
    for key in keys {
        context.wake_push(&key, Lane::Urgent);
    }
}
