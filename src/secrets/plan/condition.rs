//! Words of conditions that decisions read and statuses write.

/// The condition type that says whether the Secret is in step.
pub(crate) const READY: &str = "Ready";
/// Its reason after the Secret was deleted because the provider has nothing for it any more.
pub(crate) const SECRET_DELETED: &str = "SecretDeleted";
