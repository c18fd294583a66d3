//! The marks that Gabion puts on the objects that it generates.

/// Field manager of every write of the hardening subsystem.
pub(crate) const FIELD_MANAGER: &str = "gabion";
/// Label of every generated object; its value is [`FIELD_MANAGER`].
pub(crate) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Annotation with the uids of the baselines behind an object, comma-separated.
pub(crate) const OWNER: &str = "gabion.dev/owner";
