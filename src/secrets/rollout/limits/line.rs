//! Who waits for a place: one line for each namespace, and namespaces take turns.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::cluster::ObjectKey;

/// Who does not ask again for this long waits no more.
const ASKS_AGAIN: Duration = Duration::from_secs(30);

/// The lines.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// None is empty.
    namespaces: BTreeMap<Arc<str>, Namespace>,
    /// The number of each, and when it asked last.
    waiting: HashMap<ObjectKey, (u64, Instant)>,
    /// The same by time.
    asked: BTreeMap<(Instant, u64), ObjectKey>,
    /// The last number that was given.
    last: u64,
}

/// The line of one.
#[derive(Debug)]
struct Namespace {
    /// When it had its last turn, or the first came: the lowest has waited longest. A namespace that goes away and comes
    /// again overtakes nobody.
    turn: u64,
    /// By number: the lowest is the first.
    line: BTreeMap<u64, ObjectKey>,
}

impl Line {
    /// Goes to the end of the line of its namespace, or stays where it is if it asked lately.
    pub(super) fn enter(&mut self, key: &ObjectKey, now: Instant) {
        self.prune(now);
        if let Some((number, asked)) = self.waiting.get_mut(key) {
            self.asked.remove(&(*asked, *number));
            *asked = now;
            self.asked.insert((now, *number), key.clone());
            return;
        }
        self.last += 1;
        let number = self.last;
        self.waiting.insert(key.clone(), (number, now));
        self.asked.insert((now, number), key.clone());
        let new = || Namespace { turn: number, line: BTreeMap::new() };
        let namespace = self.namespaces.entry(Arc::clone(&key.namespace)).or_insert_with(new);
        namespace.line.insert(number, key.clone());
    }

    /// Leaves the line.
    pub(super) fn leave(&mut self, key: &ObjectKey) {
        let Some((number, asked)) = self.waiting.remove(key) else { return };
        self.asked.remove(&(asked, number));
        if let Some(namespace) = self.namespaces.get_mut(&key.namespace) {
            namespace.line.remove(&number);
            if namespace.line.is_empty() {
                self.namespaces.remove(&key.namespace);
            }
        }
    }

    /// Leaves the line with a place: its namespace has had its turn.
    pub(super) fn serve(&mut self, key: &ObjectKey) {
        self.leave(key);
        self.last += 1;
        if let Some(namespace) = self.namespaces.get_mut(&key.namespace) {
            namespace.turn = self.last;
        }
    }

    /// The first of the namespace with the least load; of several, that which has waited longest for its turn. A namespace
    /// without a load may not start.
    pub(super) fn first<T: Ord>(
        &mut self,
        now: Instant,
        load: impl Fn(&str) -> Option<T>,
    ) -> Option<ObjectKey> {
        self.prune(now);
        let all = self.namespaces.iter();
        let may = all.filter_map(|(name, namespace)| Some((load(name)?, namespace)));
        let least = may.min_by(|a, b| (&a.0, a.1.turn).cmp(&(&b.0, b.1.turn)));
        least?.1.line.values().next().cloned()
    }

    /// Takes out who did not ask again.
    fn prune(&mut self, now: Instant) {
        while let Some((&(asked, _), key)) = self.asked.first_key_value()
            && now.saturating_duration_since(asked) >= ASKS_AGAIN
        {
            let key = key.clone();
            self.leave(&key);
        }
    }
}
