//! Why the API server did not do what was asked.

use http::StatusCode;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::Resource;

use super::{ObjectKey, describe};

/// Why the API server did not do what was asked. `Display` is safe to show to users.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ApiError {
    /// This process may not write (any more).
    #[error("this process does not hold the lease, so it does not write")]
    Fenced,
    /// The object does not exist.
    #[error("{what} does not exist")]
    NotFound {
        /// Kind and name.
        what: String,
    },
    /// An object of that name exists already.
    #[error("{what} exists already")]
    AlreadyExists {
        /// Kind and name.
        what: String,
    },
    /// The object changed since it was read.
    #[error("{what} changed in the meantime")]
    Conflict {
        /// Kind and name.
        what: String,
        /// Field managers and fields named by the API server, if it named any.
        causes: Vec<FieldCause>,
    },
    /// RBAC or an admission plugin refused.
    #[error("not allowed: {message}")]
    Forbidden {
        /// The API server's words, which name the user, verb and resource.
        message: String,
    },
    /// The namespace is being deleted, so nothing can be created in it.
    #[error("namespace {namespace} is being deleted")]
    NamespaceTerminating {
        /// Its name.
        namespace: String,
    },
    /// The object is wrong in itself.
    #[error("the API server refused {what}: {}", fields(causes))]
    Invalid {
        /// Kind and name.
        what: String,
        /// The fields it complains about.
        causes: Vec<FieldCause>,
    },
    /// The object is larger than the API server takes.
    #[error("{what} is too large for the API server")]
    TooLarge {
        /// Kind and name.
        what: String,
    },
    /// No answer, or an answer that says "later".
    #[error("the API server cannot be reached: {reason}")]
    Unavailable {
        /// Fixed text or a status code.
        reason: String,
    },
}

/// One field the API server complained about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldCause {
    /// Path of the field.
    pub(crate) field: String,
    /// The API server's code for what is wrong.
    pub(crate) reason: String,
    /// The API server's words. May quote what was sent: not for users where values may be secret.
    pub(crate) message: String,
}

fn fields(causes: &[FieldCause]) -> String {
    if causes.is_empty() {
        return "no field was named".to_owned();
    }
    let named: Vec<_> = causes.iter().map(|c| format!("{} ({})", c.field, c.reason)).collect();
    named.join(", ")
}

/// How a request ended, as a metric label.
pub(super) fn outcome_label<T>(outcome: &Result<T, ApiError>) -> &'static str {
    match outcome {
        Ok(_) => "ok",
        Err(ApiError::Fenced) => "fenced",
        Err(ApiError::NotFound { .. }) => "not_found",
        Err(ApiError::AlreadyExists { .. }) => "already_exists",
        Err(ApiError::Conflict { .. }) => "conflict",
        Err(ApiError::Forbidden { .. } | ApiError::NamespaceTerminating { .. }) => "forbidden",
        Err(ApiError::Invalid { .. } | ApiError::TooLarge { .. }) => "invalid",
        Err(ApiError::Unavailable { .. }) => "unavailable",
    }
}

/// Tells apart why the API server refused.
pub(super) fn refusal<K>(key: &ObjectKey, status: StatusCode, body: &[u8]) -> ApiError
where
    K: Resource<DynamicType = ()>,
{
    let what = describe::<K>(key);
    let answer: Status = serde_json::from_slice(body).unwrap_or_default();
    let reason = answer.reason.unwrap_or_default();
    let message = answer.message.unwrap_or_default();
    let causes: Vec<_> = answer.details.and_then(|d| d.causes).unwrap_or_default();
    let terminating =
        causes.iter().any(|cause| cause.reason.as_deref() == Some("NamespaceTerminating"));
    let causes: Vec<_> = causes
        .into_iter()
        .map(|cause| FieldCause {
            field: cause.field.unwrap_or_default(),
            reason: cause.reason.unwrap_or_default(),
            message: cause.message.unwrap_or_default(),
        })
        .collect();
    match status {
        StatusCode::FORBIDDEN if terminating => {
            ApiError::NamespaceTerminating { namespace: key.namespace.to_string() }
        }
        StatusCode::NOT_FOUND => ApiError::NotFound { what },
        StatusCode::CONFLICT if reason == "AlreadyExists" => ApiError::AlreadyExists { what },
        StatusCode::CONFLICT => ApiError::Conflict { what, causes },
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => ApiError::Forbidden { message },
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::TooLarge { what },
        // A wrong uid in a patch is answered with 422, not 409.
        StatusCode::UNPROCESSABLE_ENTITY if causes.iter().any(|c| c.field == "metadata.uid") => {
            ApiError::Conflict { what, causes }
        }
        StatusCode::UNPROCESSABLE_ENTITY
            if causes.iter().any(|c| c.reason == "FieldValueTooLong") =>
        {
            ApiError::TooLarge { what }
        }
        StatusCode::UNPROCESSABLE_ENTITY | StatusCode::BAD_REQUEST => {
            ApiError::Invalid { what, causes }
        }
        other => ApiError::Unavailable { reason: format!("it answered {}", other.as_u16()) },
    }
}
