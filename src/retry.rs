//! What to do after a failure.

/// When to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Retry {
    /// It may pass by itself: exponential backoff, per object.
    Backoff,
    /// Only a change of the object, or of something that it names, helps. It is reconciled hourly all the same.
    OnChange,
}
