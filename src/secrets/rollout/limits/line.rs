//! Who waits for a place: one line for each namespace.

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
    /// By number: the lowest has waited longest.
    namespaces: BTreeMap<Arc<str>, BTreeMap<u64, ObjectKey>>,
    /// The number of each, and when it asked last.
    waiting: HashMap<ObjectKey, (u64, Instant)>,
    last: u64,
}

impl Line {
    /// Goes to the end of the line of its namespace, or stays where it is if it asked lately.
    pub(super) fn enter(&mut self, key: &ObjectKey, now: Instant) {
        match self.waiting.get_mut(key) {
            Some((_, asked)) if now.saturating_duration_since(*asked) < ASKS_AGAIN => {
                *asked = now;
                return;
            }
            Some(_) => self.leave(key),
            None => {}
        }
        self.last += 1;
        self.waiting.insert(key.clone(), (self.last, now));
        let line = self.namespaces.entry(Arc::clone(&key.namespace)).or_default();
        line.insert(self.last, key.clone());
    }

    /// Leaves the line.
    pub(super) fn leave(&mut self, key: &ObjectKey) {
        let Some((number, _)) = self.waiting.remove(key) else { return };
        if let Some(line) = self.namespaces.get_mut(&key.namespace) {
            line.remove(&number);
            if line.is_empty() {
                self.namespaces.remove(&key.namespace);
            }
        }
    }

    /// The first of the namespace with the least load; of several, that of the one that has waited longest. A namespace
    /// without a load may not start.
    pub(super) fn first<T: Ord>(
        &mut self,
        now: Instant,
        load: impl Fn(&str) -> Option<T>,
    ) -> Option<ObjectKey> {
        let mut lost = Vec::new();
        let waiting = &self.waiting;
        let is_lost = |key: &ObjectKey| {
            let asked = waiting.get(key).map(|(_, asked)| *asked);
            asked.is_none_or(|asked| now.saturating_duration_since(asked) >= ASKS_AGAIN)
        };
        let firsts = self.namespaces.iter().filter_map(|(namespace, line)| {
            let load = load(namespace)?;
            let (number, key) = line.iter().find(|(_, key)| {
                let is_lost = is_lost(key);
                if is_lost {
                    lost.push((*key).clone());
                }
                !is_lost
            })?;
            Some((load, *number, key))
        });
        let first = firsts.min_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        let first = first.map(|(_, _, key)| key.clone());
        for key in lost {
            self.leave(&key);
        }
        first
    }
}
