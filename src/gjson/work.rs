//! How much following a path may cost.

use std::cell::Cell;

use super::PropertyError;

/// How many parts, queries and pipes may be inside one another.
pub(crate) const MAX_DEPTH: usize = 64;
/// The most that a modifier may make of a value, in bytes.
pub(crate) const MAX_TEXT: usize = 8 << 20;
/// Bytes that may be inspected for every byte of the secret, so that queries inside queries stay possible...
const TIMES: usize = 64;
/// ...and for any secret, however small.
const ALWAYS: usize = 1 << 20;

/// What is left of the work that one path may cause, in bytes inspected or written.
pub(crate) struct Work {
    left: Cell<usize>,
}

impl Work {
    /// The allowance for a secret of so many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        Self { left: Cell::new(bytes.saturating_mul(TIMES).saturating_add(ALWAYS)) }
    }

    /// Takes so many bytes, or fails when there are not as many left.
    pub(crate) fn spend(&self, bytes: usize) -> Result<(), PropertyError> {
        let left = self.left.get().checked_sub(bytes).ok_or(PropertyError::TooDeep)?;
        self.left.set(left);
        Ok(())
    }

    /// The next level of nesting, or an error when it is one too many.
    pub(crate) fn deeper(depth: usize) -> Result<usize, PropertyError> {
        if depth < MAX_DEPTH { Ok(depth + 1) } else { Err(PropertyError::TooDeep) }
    }
}
