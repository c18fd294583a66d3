//! Lanes of work, in the queue and at the provider: what is earlier in the order passes what is later.

/// Who may wait longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// Objects that were never synced, or that a person just edited.
    Urgent,
    /// Refreshes that an event asks for.
    Event,
    /// Periodic refreshes.
    Periodic,
}

impl Lane {
    /// All of them, in their order.
    pub(crate) const ALL: [Self; 3] = [Self::Urgent, Self::Event, Self::Periodic];
}
