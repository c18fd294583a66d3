//! Objects that a watch has just reported as deleted.
//!
//! The answer to our own write can arrive after the watch has already reported the deletion of the object.
//! Recording that answer would bring the object back to life in the index, for good. So uids of objects that
//! went are remembered for a while.

use std::collections::{HashSet, VecDeque};

use crate::meta::Uid;

/// Answers arrive within seconds; this many deletions are more than a watch delivers in that time.
const REMEMBERED: usize = 4096;

/// The uids of objects that went lately.
#[derive(Debug, Default)]
pub(crate) struct Tombstones {
    order: VecDeque<Uid>,
    uids: HashSet<Uid>,
}

impl Tombstones {
    /// The object with this uid is gone.
    pub(crate) fn note(&mut self, uid: &Uid) {
        if uid.is_empty() || !self.uids.insert(uid.clone()) {
            return;
        }
        self.order.push_back(uid.clone());
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.uids.remove(&oldest);
        }
    }

    /// True if the object with this uid is known to be gone.
    pub(crate) fn contains(&self, uid: &Uid) -> bool {
        self.uids.contains(uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_went_are_remembered_for_a_while() {
        let mut tombstones = Tombstones::default();
        let knows = |tombstones: &Tombstones, uid: &str| tombstones.contains(&uid.into());
        tombstones.note(&"".into());
        tombstones.note(&"a".into());
        assert!(knows(&tombstones, "a") && !knows(&tombstones, "b") && !knows(&tombstones, ""));
        for nth in 0..REMEMBERED {
            tombstones.note(&nth.to_string().into());
        }
        assert!(!knows(&tombstones, "a") && knows(&tombstones, "0"));
    }
}
