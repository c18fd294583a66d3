//! Two lanes of work, in the queue and at the provider.

/// Who may wait longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Objects that were never synced, or that a person just edited.
    Urgent,
    /// Periodic refreshes.
    Periodic,
}
