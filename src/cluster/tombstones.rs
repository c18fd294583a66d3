//! Objects that a watch has just shown to be gone.
//!
//! The answer to our own write can arrive after the watch has already told that somebody deleted the object.
//! Taking that answer in would bring the object back to life in the index, for good. So uids of objects that
//! went are remembered for a while.

use std::collections::{HashSet, VecDeque};

/// Answers arrive within seconds; this many deletions are more than a watch delivers in that time.
const REMEMBERED: usize = 4096;

/// The uids of objects that went lately.
#[derive(Debug, Default)]
pub(crate) struct Tombstones {
    order: VecDeque<String>,
    uids: HashSet<String>,
}

impl Tombstones {
    /// The object with this uid is gone.
    pub(crate) fn note(&mut self, uid: &str) {
        if uid.is_empty() || !self.uids.insert(uid.to_owned()) {
            return;
        }
        self.order.push_back(uid.to_owned());
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.uids.remove(&oldest);
        }
    }

    /// True if the object with this uid is known to be gone.
    pub(crate) fn contains(&self, uid: &str) -> bool {
        self.uids.contains(uid)
    }
}

/// True if `new` is an earlier resourceVersion than `known`, as when a watch lags behind our own write, or the
/// answer to our own write behind the watch. Versions of one kind can be compared since Kubernetes 1.35; what is
/// no number counts as newer.
pub(crate) fn is_older(new: &str, known: &str) -> bool {
    matches!((new.parse::<u64>(), known.parse::<u64>()), (Ok(new), Ok(known)) if new < known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_went_are_remembered_for_a_while() {
        let mut tombstones = Tombstones::default();
        tombstones.note("");
        tombstones.note("a");
        assert!(tombstones.contains("a") && !tombstones.contains("b") && !tombstones.contains(""));
        for nth in 0..REMEMBERED {
            tombstones.note(&nth.to_string());
        }
        assert!(!tombstones.contains("a") && tombstones.contains("0"));
    }

    #[test]
    fn versions_are_compared_as_numbers_and_the_unknown_is_newer() {
        assert!(is_older("99", "100") && !is_older("100", "99") && !is_older("7", "7"));
        assert!(!is_older("x", "7") && !is_older("7", ""));
    }
}
