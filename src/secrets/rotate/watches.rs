//! What the watch says to SecretRotations.

use super::super::context::Context;
use crate::api::gabion::secret_rotation::SecretRotation;
use crate::cluster::{Change, ObjectKey, queue::Lane};

/// A SecretRotation.
pub(crate) fn secret_rotation(context: &Context, change: Change<SecretRotation>) {
    match change {
        Change::Applied(object) => {
            let key = ObjectKey::of(&object);
            if context.rotations.applied(object) {
                context.wake_rotation(&key, Lane::Urgent);
            }
        }
        Change::Deleted(object) => gone(context, &ObjectKey::of(&object)),
        Change::Replaced(present) => {
            for key in context.rotations.missing(&present) {
                gone(context, &key);
            }
        }
    }
}

fn gone(context: &Context, key: &ObjectKey) {
    let object = context.rotations.find(key);
    context.rotations.deleted(key);
    context.rotating.forget(key);
    // Another one may have been refused because of this one.
    let store = object.as_deref().and_then(super::super::rotations::store_of);
    for user in store.iter().flat_map(|store| context.rotations.users_of_store(store)) {
        context.wake_rotation(&user, Lane::Urgent);
    }
}
