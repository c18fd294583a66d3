//! Which messages are done: all objects that a message woke finished a look that began after it was received.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;

/// A message, numbered in the order of receipt. One that is received again is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Receipt(u64);

/// How far the messages had come when a look at an object began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Look(u64);

impl Look {
    /// Whether the look knows of what the message tells.
    pub(crate) fn is_after(self, receipt: Receipt) -> bool {
        receipt.0 <= self.0
    }
}

/// The messages in hand and whom they wait for.
#[derive(Debug)]
pub(crate) struct Ledger<K> {
    received: u64,
    /// How many objects a message waits for.
    open: BTreeMap<Receipt, usize>,
    by_object: HashMap<K, Vec<Receipt>>,
}

impl<K> Default for Ledger<K> {
    fn default() -> Self {
        Self { received: 0, open: BTreeMap::new(), by_object: HashMap::new() }
    }
}

impl<K: Clone + Eq + Hash> Ledger<K> {
    /// A message was received that wakes these. Done at once if there are none.
    pub(crate) fn received(&mut self, objects: impl IntoIterator<Item = K>) -> (Receipt, bool) {
        self.received += 1;
        let receipt = Receipt(self.received);
        let objects: HashSet<K> = objects.into_iter().collect();
        if objects.is_empty() {
            return (receipt, true);
        }
        self.open.insert(receipt, objects.len());
        for object in objects {
            self.by_object.entry(object).or_default().push(receipt);
        }
        (receipt, false)
    }

    /// A look at an object begins now.
    pub(crate) fn begin(&self) -> Look {
        Look(self.received)
    }

    /// A look at an object is finished; the messages that are done with it.
    pub(crate) fn finish(&mut self, object: &K, look: Look) -> Vec<Receipt> {
        let Some(waiting) = self.by_object.get_mut(object) else { return Vec::new() };
        let looked_at: Vec<_> = waiting.extract_if(.., |one| look.is_after(*one)).collect();
        if waiting.is_empty() {
            self.by_object.remove(object);
        }
        looked_at.into_iter().filter(|receipt| self.tick(*receipt)).collect()
    }

    /// The object is gone: nothing waits for it any more; the messages that are done with it.
    pub(crate) fn forget(&mut self, object: &K) -> Vec<Receipt> {
        self.finish(object, Look(u64::MAX))
    }

    /// A message is given up: nobody is asked about it any more.
    pub(crate) fn drop_message(&mut self, receipt: Receipt) {
        if self.open.remove(&receipt).is_some() {
            self.by_object.retain(|_, waiting| {
                waiting.retain(|one| *one != receipt);
                !waiting.is_empty()
            });
        }
    }

    /// Messages that wait for somebody.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    fn tick(&mut self, receipt: Receipt) -> bool {
        let Some(left) = self.open.get_mut(&receipt) else { return false };
        *left -= 1;
        if *left == 0 {
            self.open.remove(&receipt);
        }
        !self.open.contains_key(&receipt)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn e5_a_look_that_began_before_the_receipt_does_not_count() {
        let mut ledger = Ledger::default();
        let early = ledger.begin();
        let (receipt, done) = ledger.received(["a", "b", "a"]);
        assert!(!done);
        assert!(ledger.finish(&"a", early).is_empty());
        let look = ledger.begin();
        assert!(ledger.finish(&"a", look).is_empty());
        assert!(ledger.finish(&"a", look).is_empty(), "one object counts once");
        assert_eq!(ledger.finish(&"b", look), [receipt]);
        assert!(ledger.received([]).1, "nobody is concerned");
        assert_eq!(ledger.len(), 0);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Receive(Vec<u8>),
        Begin(u8),
        Finish(u8),
        Forget(u8),
        Drop(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => prop::collection::vec(0..4_u8, 0..4).prop_map(Step::Receive),
            3 => (0..4_u8).prop_map(Step::Begin),
            3 => (0..4_u8).prop_map(Step::Finish),
            1 => (0..4_u8).prop_map(Step::Forget),
            1 => (0..20_usize).prop_map(Step::Drop),
        ]
    }

    /// A message with the moment of its receipt and those whose look it still needs.
    struct Open {
        receipt: Receipt,
        at: usize,
        objects: BTreeSet<u8>,
    }

    proptest! {
        /// Against a list of messages that is scanned at each step, with the step as the time.
        #[test]
        fn a_message_is_done_when_all_it_woke_were_looked_at_after_it_came(
            steps in prop::collection::vec(step(), 0..80),
        ) {
            let (mut ledger, mut open) = (Ledger::default(), Vec::<Open>::new());
            let mut looks: HashMap<u8, (Look, usize)> = HashMap::new();
            for (now, step) in steps.into_iter().enumerate() {
                let finish = |open: &mut Vec<Open>, object: u8, began: usize| {
                    let mut done = BTreeSet::new();
                    open.retain_mut(|message| {
                        let was = message.objects.contains(&object) && message.at < began;
                        if was {
                            message.objects.remove(&object);
                        }
                        let is_done = was && message.objects.is_empty();
                        if is_done {
                            done.insert(message.receipt);
                        }
                        !is_done
                    });
                    done
                };
                match step {
                    Step::Receive(objects) => {
                        let (receipt, done) = ledger.received(objects.clone());
                        prop_assert_eq!(done, objects.is_empty());
                        if !done {
                            open.push(Open { receipt, at: now, objects: objects.into_iter().collect() });
                        }
                    }
                    Step::Begin(object) => {
                        looks.insert(object, (ledger.begin(), now));
                    }
                    Step::Finish(object) => {
                        let Some((look, began)) = looks.remove(&object) else { continue };
                        let done: BTreeSet<_> = ledger.finish(&object, look).into_iter().collect();
                        prop_assert_eq!(done, finish(&mut open, object, began));
                    }
                    Step::Forget(object) => {
                        let done: BTreeSet<_> = ledger.forget(&object).into_iter().collect();
                        prop_assert_eq!(done, finish(&mut open, object, usize::MAX));
                    }
                    Step::Drop(nth) if nth < open.len() => {
                        ledger.drop_message(open.remove(nth).receipt);
                    }
                    Step::Drop(_) => {}
                }
                prop_assert_eq!(ledger.len(), open.len());
            }
        }
    }
}
