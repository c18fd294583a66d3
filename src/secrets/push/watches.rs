//! What the watch says to PushSecrets.

use std::collections::BTreeSet;

use super::super::context::Context;
use super::super::plan::push::entries;
use super::super::plan::template::{InputKind, inputs_of};
use crate::api::external_secrets::push_secret::PushSecret;
use crate::cluster::{Change, ObjectKey, queue::Lane};

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
            if context.pushes.applied(object) {
                context.pushes.inputs.used(&key, inputs);
                context.wake_push(&key, if is_new { lane } else { Lane::Urgent });
                wake_all(context, before);
            }
        }
        Change::Deleted(object) => gone(context, &ObjectKey::of(&object)),
        Change::Replaced(present) => {
            for key in context.pushes.missing(&present) {
                gone(context, &key);
            }
        }
    }
}

fn gone(context: &Context, key: &ObjectKey) {
    let rivals = context.pushes.rivals(key);
    context.pushes.deleted(key);
    context.pushing.forget(key);
    wake_all(context, rivals);
}

/// It may have let go of what they were refused.
fn wake_all(context: &Context, keys: Vec<ObjectKey>) {
    for key in keys {
        context.wake_push(&key, Lane::Urgent);
    }
}
