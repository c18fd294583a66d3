//! What the API server gives every object, as types: both are opaque texts, and one must never pass for the other.

use std::{borrow::Borrow, fmt, ops::Deref};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

/// A text that only the API server makes.
macro_rules! opaque {
    ($(#[$doc:meta])* $name:ident, $field:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// That of an object; empty for one that was never stored.
            pub(crate) fn of(meta: &ObjectMeta) -> Self {
                Self(meta.$field.clone().unwrap_or_default())
            }

            /// Whether the object with this metadata has it.
            pub(crate) fn is_of(&self, meta: &ObjectMeta) -> bool {
                meta.$field.as_deref() == Some(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

opaque! {
    /// `metadata.uid`: tells an object from a later one of the same name.
    Uid, uid
}

opaque! {
    /// `metadata.resourceVersion`: tells one state of an object from another.
    ResourceVersion, resource_version
}

impl ResourceVersion {
    /// True if this is an earlier version than `known`, as when a watch lags behind our own write, or the answer to
    /// our own write behind the watch. Versions of one kind can be compared since Kubernetes 1.35; what is no number
    /// counts as newer.
    pub(crate) fn is_older_than(&self, known: &Self) -> bool {
        matches!((self.parse::<u64>(), known.parse::<u64>()), (Ok(new), Ok(known)) if new < known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers_and_the_unknown_is_newer() {
        let is_older = |new: &str, known: &str| {
            ResourceVersion::from(new).is_older_than(&ResourceVersion::from(known))
        };
        assert!(is_older("99", "100") && !is_older("100", "99") && !is_older("7", "7"));
        assert!(!is_older("x", "7") && !is_older("7", ""));
    }
}
