//! Values that are made here: passwords, UUIDs and SSH keys. Pure but for the randomness, which the caller passes in.

mod openssh;
mod password;
mod ssh_key;
mod totp;
mod uuid;

use std::collections::BTreeMap;

pub(crate) use password::password;
pub(crate) use ssh_key::ssh_key;
pub(crate) use totp::totp;
pub(crate) use uuid::uuid;

use crate::secret_bytes::SecretBytes;

/// What a generator makes, by key.
pub(crate) type Values = BTreeMap<String, SecretBytes>;

/// Where randomness comes from.
pub(crate) trait Entropy {
    /// Fills the buffer.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), GeneratorError>;
}

/// Why nothing was made. `Display` is for users.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GeneratorError {
    /// A field asks for what cannot be.
    #[error("spec.{field}: {reason}")]
    Field {
        /// Path below `spec`.
        field: &'static str,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The random generator failed.
    #[error("the random generator of the system failed")]
    Entropy,
}

/// A number below `bound`, each as likely as any other.
fn below(bound: usize, entropy: &mut dyn Entropy) -> Result<usize, GeneratorError> {
    let bound = u64::try_from(bound.max(1)).unwrap_or(u64::MAX);
    // The last, incomplete round of numbers would favour the small ones.
    let rounds = u64::MAX - u64::MAX % bound;
    loop {
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes)?;
        let number = u64::from_le_bytes(bytes);
        if number < rounds {
            return Ok(usize::try_from(number % bound).unwrap_or_default());
        }
    }
}

/// Puts items in an order that is as likely as any other.
fn shuffle<T>(items: &mut [T], entropy: &mut dyn Entropy) -> Result<(), GeneratorError> {
    for last in (1..items.len()).rev() {
        items.swap(last, below(last + 1, entropy)?);
    }
    Ok(())
}

/// Randomness that is none: for tests.
#[cfg(test)]
pub(crate) struct Counter(pub(crate) u64);

#[cfg(test)]
impl Entropy for Counter {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), GeneratorError> {
        for byte in buffer {
            // A step of a linear congruential generator; its high bits are even enough.
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            *byte = self.0.to_be_bytes()[0];
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spread_evenly_over_what_is_asked_for() {
        let mut entropy = Counter(7);
        let mut counts = [0_u32; 6];
        for _ in 0..60_000 {
            counts[below(6, &mut entropy).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
    }

    #[test]
    fn every_order_of_three_comes_as_often_as_any_other() {
        let mut entropy = Counter(11);
        let mut counts = BTreeMap::<[u8; 3], u32>::new();
        for _ in 0..60_000 {
            let mut items = [0, 1, 2];
            shuffle(&mut items, &mut entropy).unwrap();
            *counts.entry(items).or_default() += 1;
        }
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
    }
}
