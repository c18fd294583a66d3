//! Why an image does not hold.

use crate::text::shortened;

/// Longest text from outside in a message, in bytes.
const SHOWN: usize = 256;

/// What was found when somebody looked. Never used for "nobody could look": that is an error of whoever reads.
///
/// In the order of how near a signature came: the first of several is the one to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Too few different authorities signed.
    ThresholdNotMet,
    /// Signed by the right key for the right image, without an annotation that the policy asks for.
    AnnotationMismatch,
    /// Signed by the right key outside the time in which the policy accepts it.
    KeyOutOfValidity,
    /// Signed for another image, or content that is not what its digest says.
    DigestMismatch,
    /// The signature cannot be one, or its signer's name is the right one and the signature is not.
    BadSignature,
    /// Signed by a key that the policy does not name.
    WrongKey,
    /// Not in a form of bundle or payload that can be verified.
    UnsupportedBundle,
    /// Signed by Notation, which is not verified.
    NotationUnsupported,
    /// More signatures than are read.
    TooManySignatures,
    /// No signature.
    Unsigned,
    /// The image is named without a digest.
    TagNotPinned,
    /// No policy covers the image.
    NoTrustPolicy,
}

impl Reason {
    /// The word in messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::ThresholdNotMet => "ThresholdNotMet",
            Self::AnnotationMismatch => "AnnotationMismatch",
            Self::KeyOutOfValidity => "KeyOutOfValidity",
            Self::DigestMismatch => "DigestMismatch",
            Self::BadSignature => "BadSignature",
            Self::WrongKey => "WrongKey",
            Self::UnsupportedBundle => "UnsupportedBundle",
            Self::NotationUnsupported => "NotationUnsupported",
            Self::TooManySignatures => "TooManySignatures",
            Self::Unsigned => "Unsigned",
            Self::TagNotPinned => "TagNotPinned",
            Self::NoTrustPolicy => "NoTrustPolicy",
        }
    }

    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::ThresholdNotMet => "have it signed by more of the authorities",
            Self::AnnotationMismatch => "sign it with the annotations of the policy",
            Self::KeyOutOfValidity => "sign it with a key that is valid now",
            Self::DigestMismatch => "sign this digest; a signature of another one does not count",
            Self::BadSignature => "sign it again",
            Self::WrongKey => "deploy what one of the policy's authorities signed",
            Self::UnsupportedBundle => "sign it with cosign 2 or 3 and a key",
            Self::NotationUnsupported => "sign it with cosign too",
            Self::TooManySignatures => "remove signatures that nobody needs",
            Self::Unsigned => "sign this digest, or pin the index that is signed",
            Self::TagNotPinned => "name the image by its digest",
            Self::NoTrustPolicy => "give a policy that includes it",
        }
    }
}

/// Why a signature or an image is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", .reason.word())]
pub struct Refusal {
    /// The class.
    pub reason: Reason,
    /// What was found: printable ASCII.
    pub detail: String,
}

impl Refusal {
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

/// Text that somebody else wrote, quoted, in printable ASCII and cut.
pub(crate) fn quoted(text: &str) -> String {
    let safe: String = text
        .chars()
        .take(SHOWN + 1)
        .map(|c| if matches!(c, ' '..='~') && !matches!(c, '"' | '\\') { c } else { '?' })
        .collect();
    format!("\"{}\"", shortened(&safe, SHOWN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_cannot_leave_its_quotes() {
        assert_eq!(quoted("a\"b\\c\nd\u{1b}[0mé"), "\"a?b?c?d?[0m?\"");
        assert_eq!(quoted(&"x".repeat(9999)).len(), SHOWN + 2);
    }
}
