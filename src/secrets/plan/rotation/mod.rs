//! Rotation of a secret at its source, as decisions without effects.

pub(crate) mod attempt;
pub(crate) mod check;
pub(crate) mod error;
pub(crate) mod schedule;
pub(crate) mod status;
pub(crate) mod value;

/// Any new value of it asks for a rotation now.
pub(crate) const TRIGGER: &str = "gabion.dev/rotate";
/// With the value `true` on a ClusterSecretStore: its users may rotate through it.
pub(crate) const ALLOW: &str = "gabion.dev/allow-rotation";
/// Held while labels are under way.
pub(crate) const FINALIZER: &str = "gabion.dev/rotation";
