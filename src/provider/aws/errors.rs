//! What AWS's refusals mean. No text of AWS's gets through but error codes and ARNs of callers: request ids
//! would make equal failures look different, and a message may quote what was sent.

use std::{error::Error, sync::Arc};

use aws_smithy_runtime_api::{client::result::SdkError, http::Response};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::provider::ProviderError;

/// A connector's own words, for the log.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Detail(String);

/// What was asked, for the error that names it.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    /// Full name of the secret, or ARN of the role.
    pub(super) key: &'a str,
    /// IAM's name of the operation.
    pub(super) action: &'static str,
    /// Whom AWS could not be reached for.
    pub(super) region: &'a str,
    /// Whether a value was to be written.
    pub(super) writes: bool,
}

/// Translates a failed call.
pub(super) fn translate<E>(error: &SdkError<E, Response>, subject: Subject<'_>) -> ProviderError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(answer) if answer.raw().status().as_u16() >= 400 => {
            let status = answer.raw().status().as_u16();
            let meta = answer.err();
            refused(
                meta.code().unwrap_or_default(),
                meta.message().unwrap_or_default(),
                status,
                subject,
            )
        }
        SdkError::TimeoutError(_) => unreachable_because("no answer in time", subject),
        SdkError::DispatchFailure(failure) => {
            // What a connector says is about hosts and sockets, never about content.
            let detail =
                Detail(chain(error).map(ToString::to_string).collect::<Vec<_>>().join(": "));
            let what = if failure.is_timeout() {
                "no connection in time"
            } else if detail.0.to_ascii_lowercase().contains("dns") {
                "the host name does not resolve; check the region (spec.provider.aws.region)"
            } else {
                "the connection failed or was closed"
            };
            match unreachable_because(what, subject) {
                ProviderError::Unavailable { reason, .. } => {
                    ProviderError::Unavailable { reason, source: Some(Arc::new(detail)) }
                }
                other => other,
            }
        }
        // The answer itself must not get into a log: it may hold values.
        SdkError::ResponseError(answer) if answer.raw().status().as_u16() >= 400 => {
            refused("", "", answer.raw().status().as_u16(), subject)
        }
        SdkError::ServiceError(_) | SdkError::ResponseError(_) => {
            unreachable_because("the answer was not understood", subject)
        }
        _ => match own(error) {
            Some(error) => error.clone(),
            None => ProviderError::Invalid {
                key: subject.key.to_owned(),
                reason: "the request could not be formed".to_owned(),
            },
        },
    }
}

/// Translates a refusal, of a call or of one item in a batch.
pub(super) fn refused(
    code: &str,
    message: &str,
    status: u16,
    subject: Subject<'_>,
) -> ProviderError {
    // Some services put a namespace in front and a URL behind.
    let code = code.rsplit('#').next().unwrap_or(code).split(':').next().unwrap_or(code);
    let key = || subject.key.to_owned();
    match code {
        "ResourceNotFoundException" if lacks_version(message) => ProviderError::NoSuchVersion {
            key: key(),
            version: String::new(),
            available: Vec::new(),
        },
        "ResourceNotFoundException"
        | "ParameterNotFound"
        | "InvalidResourceId"
        | "QueueDoesNotExist"
        | "AWS.SimpleQueueService.NonExistentQueue" => ProviderError::NotFound { key: key() },
        "ParameterVersionNotFound" => ProviderError::NoSuchVersion {
            key: key(),
            version: String::new(),
            available: Vec::new(),
        },
        "InvalidRequestException" if is_deleted(message) => ProviderError::NotFound { key: key() },
        "AccessDeniedException" | "AccessDenied" => denied(message, subject),
        _ if is_credential_problem(code) => ProviderError::Credentials {
            reason: format!("AWS answered {code} to {}; {}", subject.action, advice(code)),
        },
        _ if is_throttling(code) || status == 429 => ProviderError::Throttled,
        _ if status >= 500 || is_fault(code) => {
            let code = if is_code(code) { code } else { "no error code" };
            unreachable_because(&format!("it answered {status} ({code})"), subject)
        }
        _ => ProviderError::Invalid {
            key: key(),
            reason: if is_code(code) {
                format!("{code} to {}", subject.action)
            } else {
                format!("status {status} to {}", subject.action)
            },
        },
    }
}

/// A code is an identifier; anything else is not for users' eyes.
fn is_code(code: &str) -> bool {
    !code.is_empty() && code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn lacks_version(message: &str) -> bool {
    message.contains("for staging label") || message.contains("for VersionId")
}

/// AWS says "marked for deletion" and, older, "scheduled for deletion"; moto says "marked deleted".
fn is_deleted(message: &str) -> bool {
    ["marked for deletion", "scheduled for deletion", "marked deleted"]
        .iter()
        .any(|text| message.contains(text))
}

fn is_credential_problem(code: &str) -> bool {
    matches!(
        code,
        "ExpiredToken"
            | "ExpiredTokenException"
            | "RequestExpired"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidAccessKeyId"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "NotAuthorizedException"
            | "OptInRequired"
            | "InvalidIdentityToken"
            | "IDPRejectedClaim"
            | "IDPCommunicationError"
    )
}

fn advice(code: &str) -> &'static str {
    match code {
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" => {
            "renew the credentials, and compare this node's clock"
        }
        "InvalidSignatureException" | "SignatureDoesNotMatch" => {
            "check the secret access key, and this node's clock"
        }
        "InvalidIdentityToken" | "IDPRejectedClaim" | "IDPCommunicationError" => {
            "check the role's trust in the cluster's identity provider and the token's audience"
        }
        _ => "check the access key id, and the session token if there is one",
    }
}

fn is_throttling(code: &str) -> bool {
    matches!(
        code,
        "ThrottlingException"
            | "Throttling"
            | "ThrottledException"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "RequestLimitExceeded"
            | "TooManyRequestsException"
            | "SlowDown"
            | "PriorRequestNotComplete"
    )
}

fn is_fault(code: &str) -> bool {
    matches!(
        code,
        "InternalServiceError" | "InternalFailure" | "InternalServerError" | "ServiceUnavailable"
    )
}

/// AWS names the caller and the action: `User: <arn> is not authorized to perform: <action> ...`.
fn denied(message: &str, subject: Subject<'_>) -> ProviderError {
    let caller = message
        .split_once("User: ")
        .and_then(|(_, rest)| rest.split_whitespace().next())
        .filter(|arn| arn.starts_with("arn:") && arn.len() <= 256 && arn.is_ascii());
    let asked = message
        .split_once("not authorized to perform: ")
        .and_then(|(_, rest)| rest.split_whitespace().next())
        .unwrap_or_default();
    let of_kms = if subject.writes { "kms:GenerateDataKey" } else { "kms:Decrypt" };
    let names_kms = message.contains("KMS") && !asked.starts_with("kms:");
    let action = if names_kms { of_kms } else { asked };
    ProviderError::Denied {
        identity: caller.unwrap_or("the store's identity").to_owned(),
        action: KNOWN_ACTIONS.into_iter().find(|known| *known == action).unwrap_or(subject.action),
        key: subject.key.to_owned(),
    }
}

const KNOWN_ACTIONS: [&str; 29] = [
    "secretsmanager:GetSecretValue",
    "secretsmanager:BatchGetSecretValue",
    "secretsmanager:DescribeSecret",
    "secretsmanager:ListSecrets",
    "ssm:GetParameter",
    "ssm:GetParameters",
    "ssm:GetParametersByPath",
    "ssm:DescribeParameters",
    "ssm:ListTagsForResource",
    "sts:AssumeRole",
    "sts:AssumeRoleWithWebIdentity",
    "sts:TagSession",
    "kms:Decrypt",
    "secretsmanager:CreateSecret",
    "secretsmanager:PutSecretValue",
    "secretsmanager:UpdateSecret",
    "secretsmanager:TagResource",
    "secretsmanager:UntagResource",
    "secretsmanager:RestoreSecret",
    "secretsmanager:DeleteSecret",
    "ssm:PutParameter",
    "ssm:AddTagsToResource",
    "ssm:RemoveTagsFromResource",
    "ssm:DeleteParameter",
    "kms:GenerateDataKey",
    "kms:Encrypt",
    "sts:GetSessionToken",
    "ecr:GetAuthorizationToken",
    "ecr-public:GetAuthorizationToken",
];

pub(super) fn unreachable_because(what: &str, subject: Subject<'_>) -> ProviderError {
    let service = subject.action.split(':').next().unwrap_or_default();
    ProviderError::Unavailable {
        reason: format!("{service} in {}: {what}", subject.region),
        source: None,
    }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |link: &&'a (dyn Error + 'static)| (*link).source())
}

/// An error of ours that travelled through the SDK.
fn own<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a ProviderError> {
    chain(error).find_map(|link| link.downcast_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBJECT: Subject<'_> = Subject {
        key: "prod/db",
        action: "secretsmanager:GetSecretValue",
        region: "eu-west-1",
        writes: false,
    };

    fn text(code: &str, message: &str, status: u16) -> String {
        refused(code, message, status, SUBJECT).to_string()
    }

    #[test]
    fn a_secret_marked_for_deletion_is_missing_in_the_words_of_aws_and_of_moto() {
        for message in [
            "You can't perform this operation on the secret because it was marked for deletion.",
            "You can't perform this operation on the secret because it was scheduled for deletion.",
            "You tried to perform the operation on a secret that's currently marked deleted.",
        ] {
            let error = refused("InvalidRequestException", message, 400, SUBJECT);
            assert!(matches!(error, ProviderError::NotFound { .. }), "{error}");
        }
        let other = refused("InvalidRequestException", "The secret is managed.", 400, SUBJECT);
        assert!(matches!(other, ProviderError::Invalid { .. }), "{other}");
    }

    #[test]
    fn a_missing_version_is_not_a_missing_secret() {
        for message in [
            "Secrets Manager can't find the specified secret value for staging label: AWSPENDING",
            "Secrets Manager can't find the specified secret value for VersionId: 1",
        ] {
            let error = refused("ResourceNotFoundException", message, 400, SUBJECT);
            assert!(matches!(error, ProviderError::NoSuchVersion { .. }), "{error}");
        }
    }

    #[test]
    fn access_denied_names_who_may_not_do_what() {
        let message = "User: arn:aws:sts::1:assumed-role/app/s is not authorized to perform: \
                       secretsmanager:GetSecretValue on resource: prod/db because no policy allows it";
        assert_eq!(
            text("AccessDeniedException", message, 400),
            "access denied: arn:aws:sts::1:assumed-role/app/s may not call \
             secretsmanager:GetSecretValue on \"prod/db\""
        );
        assert_eq!(
            text("AccessDeniedException", "Access to KMS is not allowed", 400),
            "access denied: the store's identity may not call kms:Decrypt on \"prod/db\""
        );
    }

    #[test]
    fn every_class_of_refusal_is_told_apart() {
        let class = |code: &str, status| match refused(code, "", status, SUBJECT) {
            ProviderError::Credentials { reason } => {
                format!("credentials {}", reason.contains(code))
            }
            ProviderError::Throttled => "throttled".to_owned(),
            ProviderError::Unavailable { .. } => "unavailable".to_owned(),
            ProviderError::Invalid { .. } => "invalid".to_owned(),
            other => other.to_string(),
        };
        for code in ["ExpiredTokenException", "UnrecognizedClientException", "InvalidClientTokenId"]
        {
            assert_eq!(class(code, 400), "credentials true", "{code}");
        }
        assert_eq!(class("InvalidSignatureException", 400), "credentials true");
        assert_eq!(class("ThrottlingException", 400), "throttled");
        assert_eq!(class("", 429), "throttled");
        assert_eq!(class("InternalServiceError", 500), "unavailable");
        assert_eq!(class("", 503), "unavailable");
        assert_eq!(class("InvalidParameterException", 400), "invalid");
    }

    #[test]
    fn no_text_of_the_answer_gets_into_an_error() {
        let message = "value hunter2 rejected, request id 0f3b";
        for code in ["ValidationException", "AccessDeniedException", "InternalServiceError", "x y"]
        {
            let text = text(code, message, 500);
            assert!(!text.contains("hunter2") && !text.contains("0f3b"), "{text}");
        }
    }
}
