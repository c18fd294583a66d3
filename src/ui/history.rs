//! What was seen of each ExternalSecret since this program looks: changes of its condition, and refreshes, counted.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde_json::Value;

use crate::text::shortened;

/// Entries of one object.
const MAX_ENTRIES: usize = 32;
/// Entries of all objects: at the length of an ordinary one these are about 4 MiB. The oldest go first.
const MAX_TOTAL: usize = 30_000;
/// Longest text of an entry.
const MAX_TEXT: usize = 256;

type Key = (String, String);

/// Something that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// When it was seen last.
    pub(super) at: Timestamp,
    pub(super) what: What,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The object came.
    Created,
    /// It was read again so many times, and is as it was.
    Refreshed(u32),
    /// Its condition changed.
    Ready {
        /// Whether all is well now.
        well: bool,
        /// Reason and message.
        text: String,
    },
}

/// What was seen of all objects.
#[derive(Debug)]
pub(super) struct History {
    since: Timestamp,
    all: BTreeMap<Key, VecDeque<Entry>>,
    /// The objects in the order in which their entries came.
    order: VecDeque<Key>,
}

/// Status, and reason with message.
fn ready(object: &Value) -> (bool, String) {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
    let Some(ready) = ready else { return (false, String::new()) };
    let of = |field: &str| ready[field].as_str().unwrap_or_default();
    let (reason, message) = (of("reason"), of("message"));
    let text = if message.is_empty() { reason.to_owned() } else { format!("{reason}: {message}") };
    (of("status") == "True", shortened(&text, MAX_TEXT))
}

impl History {
    pub(super) const fn new(since: Timestamp) -> Self {
        Self { since, all: BTreeMap::new(), order: VecDeque::new() }
    }

    /// Notes what is different.
    pub(super) fn compare(
        &mut self,
        key: Key,
        before: Option<&Value>,
        after: &Value,
        at: Timestamp,
    ) {
        let Some(before) = before else {
            self.push(key, Entry { at, what: What::Created });
            return;
        };
        let (was, is) = (ready(before), ready(after));
        let time = |object: &Value| object.pointer("/status/refreshTime").cloned();
        if was != is && !is.1.is_empty() {
            self.push(key, Entry { at, what: What::Ready { well: is.0, text: is.1 } });
        } else if time(before) != time(after) {
            let last = self.all.get_mut(&key).and_then(VecDeque::back_mut);
            if let Some(Entry { at: seen, what: What::Refreshed(count) }) = last {
                (*seen, *count) = (at, count.saturating_add(1));
            } else {
                self.push(key, Entry { at, what: What::Refreshed(1) });
            }
        }
    }

    fn push(&mut self, key: Key, entry: Entry) {
        let entries = self.all.entry(key.clone()).or_default();
        entries.push_back(entry);
        if entries.len() > MAX_ENTRIES {
            entries.pop_front();
            // Its place in the order now stands for one that is younger, which then goes a little early.
            if let Some(place) = self.order.iter().position(|other| *other == key) {
                self.order.remove(place);
            }
        }
        self.order.push_back(key);
        while self.order.len() > MAX_TOTAL {
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some(entries) = self.all.get_mut(&oldest) {
                entries.pop_front();
                if entries.is_empty() {
                    self.all.remove(&oldest);
                }
            }
        }
    }

    /// The object is gone.
    pub(super) fn forget(&mut self, key: &Key) {
        if self.all.remove(key).is_some() {
            self.order.retain(|other| other != key);
        }
    }

    /// Latest first, and since when this is known.
    pub(super) fn of(&self, key: &Key) -> (Vec<Entry>, Timestamp) {
        let entries = self.all.get(key).map(|all| all.iter().rev().cloned().collect());
        (entries.unwrap_or_default(), self.since)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(refreshed: usize, status: &str, message: &str) -> Value {
        json!({"status": {
            "refreshTime": refreshed,
            "conditions": [{"type": "Ready", "status": status, "reason": "R", "message": message}],
        }})
    }

    fn key(name: usize) -> Key {
        ("shop".to_owned(), name.to_string())
    }

    #[test]
    fn refreshes_without_change_become_one_entry_and_a_failure_one_of_its_own() {
        let (mut history, at) = (History::new(Timestamp::UNIX_EPOCH), Timestamp::UNIX_EPOCH);
        history.compare(key(0), None, &object(0, "True", ""), at);
        for time in 0..1000 {
            let (before, after) = (object(time, "True", ""), object(time + 1, "True", ""));
            history.compare(key(0), Some(&before), &after, at);
        }
        let failed = object(1000, "False", "no");
        history.compare(key(0), Some(&object(1000, "True", "")), &failed, at);
        history.compare(key(0), Some(&failed), &failed, at);
        let whats: Vec<_> = history.of(&key(0)).0.into_iter().map(|entry| entry.what).collect();
        let ready = What::Ready { well: false, text: "R: no".to_owned() };
        assert_eq!(whats, [ready, What::Refreshed(1000), What::Created]);
    }

    #[test]
    fn entries_are_bounded_for_each_object_and_for_all() {
        let (mut history, at) = (History::new(Timestamp::UNIX_EPOCH), Timestamp::UNIX_EPOCH);
        for number in 0..MAX_TOTAL + 50 {
            history.compare(key(number), None, &object(0, "True", ""), at);
        }
        for number in 0..100 {
            let (before, after) = (number.to_string(), (number + 1).to_string());
            let (before, after) = (object(0, "False", &before), object(0, "False", &after));
            history.compare(key(40_000), Some(&before), &after, at);
        }
        let total: usize = history.all.values().map(VecDeque::len).sum();
        assert_eq!((total, history.order.len()), (MAX_TOTAL, MAX_TOTAL));
        assert_eq!(history.of(&key(40_000)).0.len(), MAX_ENTRIES);
        assert!(history.of(&key(0)).0.is_empty());
        history.forget(&key(40_000));
        assert_eq!(history.order.len(), MAX_TOTAL - MAX_ENTRIES);
    }
}
