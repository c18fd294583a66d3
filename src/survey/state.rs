//! The states, worst first.

/// The state of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// The last attempt failed.
    Failing,
    /// A refresh that was promised is overdue, or nobody has looked at the object.
    Late,
    /// This release cannot do what the object asks for.
    Unsupported,
    /// It waits for something else: its store, a window, the end of a deletion.
    Waiting,
    /// It is read again within a minute.
    Due,
    /// It is in step and is not read again by itself.
    Manual,
    /// Another operator has it.
    Foreign,
    /// It is as it should be.
    Synced,
}

impl State {
    /// All, worst first.
    pub(crate) const ALL: [Self; 8] = [
        Self::Failing,
        Self::Late,
        Self::Unsupported,
        Self::Waiting,
        Self::Due,
        Self::Manual,
        Self::Foreign,
        Self::Synced,
    ];

    /// One word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Failing => "Failing",
            Self::Late => "Late",
            Self::Unsupported => "Unsupported",
            Self::Waiting => "Waiting",
            Self::Due => "Due",
            Self::Manual => "Manual",
            Self::Foreign => "Foreign",
            Self::Synced => "Synced",
        }
    }

    /// Whether somebody has to do something.
    pub(crate) const fn is_problem(self) -> bool {
        matches!(self, Self::Failing | Self::Late | Self::Unsupported)
    }

    /// Whether it is shown without being asked for.
    pub(crate) const fn is_notable(self) -> bool {
        self.is_problem() || matches!(self, Self::Waiting)
    }
}
