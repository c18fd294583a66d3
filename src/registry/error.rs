//! Why something could not be read.

use std::fmt::Display;

use super::Digest;

/// Why there is no answer from a registry or a layout. Texts name the place and its status, never a token or a header.
///
/// All but [`RegistryError::DigestMismatch`], [`RegistryError::TooLarge`], [`RegistryError::TooMany`] and
/// [`RegistryError::Malformed`] mean that nobody could look, and say nothing about the image. Those four say what was
/// found instead: content that is not what it is said to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// It cannot be reached, does not answer in time, or answers with a failure of its own.
    #[error("{place} is unavailable: {why}")]
    Unavailable {
        /// Host, or path of a layout.
        place: String,
        /// What happened.
        why: String,
    },
    /// It does not let us read.
    #[error("{place} denied access (status {status}), asked {who}")]
    Denied {
        /// Host.
        place: String,
        /// Status code of the answer.
        status: u16,
        /// With whose credentials it was asked, in words.
        who: String,
    },
    /// It has had too many requests.
    #[error("{place} has had too many requests; it is asked again in {seconds} s")]
    Throttled {
        /// Host.
        place: String,
        /// Until the next request is sent.
        seconds: u64,
    },
    /// It is not asked: a rule of ours forbids the address or what the answer demands.
    #[error("{place} is not asked: {why}")]
    Refused {
        /// Host that was to be asked.
        place: String,
        /// The rule, and what to do.
        why: String,
    },
    /// What must exist does not.
    #[error("{place} has no {what}")]
    NotFound {
        /// Host, or path of a layout.
        place: String,
        /// What was asked for.
        what: String,
    },
    /// The content is not what its digest says.
    #[error("{place} gave other content for {expected}: its digest is {found}")]
    DigestMismatch {
        /// Host, or path of a layout.
        place: String,
        /// What was asked for.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// The content is too large.
    #[error("{place}: {what} is larger than {limit} bytes")]
    TooLarge {
        /// Host, or path of a layout.
        place: String,
        /// What was read.
        what: String,
        /// Bytes that are read at most.
        limit: usize,
    },
    /// There are too many of something.
    #[error("{place}: more than {limit} {what}")]
    TooMany {
        /// Host, or path of a layout.
        place: String,
        /// Of what.
        what: &'static str,
        /// How many are read at most.
        limit: usize,
    },
    /// The content is not what it should be.
    #[error("{place}: {what} cannot be read: {why}")]
    Malformed {
        /// Host, or path of a layout.
        place: String,
        /// What was read.
        what: String,
        /// What is wrong with it.
        why: String,
    },
}

impl RegistryError {
    /// The reason for conditions and messages.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } | Self::NotFound { .. } => "RegistryUnavailable",
            Self::Denied { .. } => "RegistryDenied",
            Self::Throttled { .. } => "RegistryThrottled",
            Self::Refused { .. } | Self::TooLarge { .. } | Self::Malformed { .. } => {
                "RegistryRefused"
            }
            Self::TooMany { .. } => "TooManySignatures",
            Self::DigestMismatch { .. } => "DigestMismatch",
        }
    }

    /// Whether the same request may be answered in a moment.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Throttled { .. })
    }

    /// Content that is too large.
    pub(super) fn large(place: &str, what: impl Into<String>, limit: usize) -> Self {
        Self::TooLarge { place: place.to_owned(), what: what.into(), limit }
    }

    /// Content that cannot be read.
    pub(super) fn malformed(place: &str, what: impl Into<String>, why: &dyn Display) -> Self {
        Self::Malformed { place: place.to_owned(), what: what.into(), why: why.to_string() }
    }
}
