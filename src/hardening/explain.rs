//! What the API server refuses, in the words of this subsystem.

use super::plan::error::Error;
use crate::cluster::write::{ApiError, FieldCause};

/// Whether these are the words of RBAC. An admission policy, a webhook or a quota forbids in other words.
fn is_missing_right(words: &str) -> bool {
    words.contains(" cannot ") && words.contains("resource")
}

/// Why the API server refuses an object.
fn words(causes: &[FieldCause]) -> String {
    let named = causes.iter().take(3).map(|cause| {
        if cause.field.is_empty() {
            cause.message.clone()
        } else {
            format!("{}: {}", cause.field, cause.message)
        }
    });
    let named = named.collect::<Vec<_>>().join("; ");
    if named.is_empty() { "it gives no reason".to_owned() } else { named }
}

/// A refusal of the API server in the words of this subsystem.
pub(crate) fn explain(verb: &'static str, object: &str, error: &ApiError) -> Error {
    let rejected = |words: &str| Error::rejected(object, words);
    let object = object.to_owned();
    match error {
        ApiError::Forbidden { message } if !is_missing_right(message) => rejected(message),
        ApiError::Forbidden { .. } => Error::Forbidden { verb, object },
        ApiError::Invalid { causes, .. } => rejected(&words(causes)),
        ApiError::TooLarge { .. } => rejected("it is too large"),
        ApiError::Conflict { .. }
        | ApiError::AlreadyExists { .. }
        | ApiError::NotFound { .. }
        | ApiError::NamespaceTerminating { .. } => Error::Stale { object },
        ApiError::Unavailable { .. } | ApiError::Fenced => Error::ApiUnavailable { object },
    }
}
