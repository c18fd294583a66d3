//! What to do after a failure.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

/// When to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Retry {
    /// It may pass by itself: exponential backoff, per object.
    Backoff,
    /// Only a change of the object, or of something that it names, helps. It is reconciled hourly all the same.
    OnChange,
}

/// Pauses between tries: `first`, twice that, and so on up to `longest`, each a little shorter by [`spread`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pauses {
    /// After the first failure.
    pub(crate) first: Duration,
    /// However many failures there were.
    pub(crate) longest: Duration,
}

impl Pauses {
    /// Always the same.
    pub(crate) const fn of(pause: Duration) -> Self {
        Self { first: pause, longest: pause }
    }

    /// The pause after so many failures in a row of whatever `key` stands for.
    pub(crate) fn after<K: Hash + ?Sized>(self, key: &K, failures: u32) -> Duration {
        let pause = self.first.saturating_mul(1 << failures.saturating_sub(1).min(10));
        spread(&(key, failures), pause.min(self.longest))
    }
}

/// `pause`, minus up to a fifth derived from the key, so that those who failed together do not come back together.
fn spread<K: Hash>(key: &K, pause: Duration) -> Duration {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    let fifth = u32::try_from(hasher.finish() % 200).unwrap_or(0);
    pause.saturating_sub(pause * fifth / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_are_bounded_and_differ_between_keys() {
        let rule = Pauses { first: Duration::from_secs(1), longest: Duration::from_mins(5) };
        let pauses: Vec<_> = (1..20).map(|failures| rule.after("a", failures)).collect();
        assert!(pauses[0] >= Duration::from_millis(800) && pauses[0] <= Duration::from_secs(1));
        assert!(pauses.iter().all(|pause| *pause <= rule.longest));
        assert!(pauses[18] >= rule.longest * 4 / 5);
        assert_ne!(rule.after("a", 5), rule.after("b", 5));
    }
}
