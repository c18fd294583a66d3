//! Keys in messages. One that a person wrote in the object may be named. One that a template or a rewrite made, or
//! that came from a provider, may be a secret value: only its position and length are named.

use std::fmt;

/// A key, and whether its text may be shown.
#[derive(Clone, Copy)]
pub struct Key<'a> {
    text: &'a str,
    /// Its place among those that were made with it, from 1; `None` for one that is written in the object.
    position: Option<usize>,
}

impl<'a> Key<'a> {
    /// One that was made or read, at this index.
    pub(crate) fn made(index: usize, text: &'a str) -> Self {
        Self { text, position: Some(index + 1) }
    }

    /// The text itself, which must not get into a message.
    pub(crate) fn text(self) -> &'a str {
        self.text
    }

    /// What a message may say of it.
    pub(crate) fn name(self) -> KeyName {
        match self.position {
            None => KeyName::Written(self.text.to_owned()),
            Some(position) => KeyName::Made { position, length: self.text.chars().count() },
        }
    }
}

/// One that is written in the object.
impl<'a> From<&'a str> for Key<'a> {
    fn from(text: &'a str) -> Self {
        Self { text, position: None }
    }
}

/// What a message says of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyName {
    /// It is written in the object.
    Written(String),
    /// It was made or read.
    Made {
        /// Its place in the order of keys, from 1.
        position: usize,
        /// Number of its characters.
        length: usize,
    },
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Written(text) => write!(f, "key {text:?}"),
            Self::Made { position, length } => {
                write!(
                    f,
                    "the key at position {position} in alphabetical order ({length} characters)"
                )
            }
        }
    }
}
