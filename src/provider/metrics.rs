//! What the fetcher counts: plain atomics, read by the telemetry module.

use std::sync::atomic::{AtomicU64, Ordering};

use super::ProviderError;

/// One API operation of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// One secret.
    GetSecretValue,
    /// Up to twenty secrets.
    BatchGetSecretValue,
    /// Tags, or the list of versions.
    DescribeSecret,
    /// Names, a page at a time.
    ListSecrets,
    /// One parameter.
    GetParameter,
    /// Up to ten parameters.
    GetParameters,
    /// Names of parameters below a path.
    GetParametersByPath,
    /// Names of parameters by their descriptions.
    DescribeParameters,
    /// Tags of a parameter.
    ListTagsForResource,
    /// A new secret.
    CreateSecret,
    /// A new version of a secret.
    PutSecretValue,
    /// Description or key of a secret.
    UpdateSecret,
    /// Tags of a secret, added.
    TagResource,
    /// Tags of a secret, removed.
    UntagResource,
    /// A secret that was marked for deletion, taken back.
    RestoreSecret,
    /// A secret, marked for deletion or deleted.
    DeleteSecret,
    /// A new parameter, or a new version of one.
    PutParameter,
    /// Tags of a parameter, added.
    AddTagsToResource,
    /// Tags of a parameter, removed.
    RemoveTagsFromResource,
    /// A parameter, deleted.
    DeleteParameter,
    /// A role is assumed with other credentials.
    AssumeRole,
    /// A role is assumed with a service account's token.
    AssumeRoleWithWebIdentity,
    /// One Secret of Kubernetes.
    GetKubernetesSecret,
    /// Names of Secrets of Kubernetes, a page at a time.
    ListKubernetesSecrets,
    /// What an identity may do in a namespace.
    ReviewRules,
    /// A session is made for others.
    GetSessionToken,
    /// A login to the registries of an account.
    GetAuthorizationToken,
    /// A login to the public registry.
    GetPublicAuthorizationToken,
    /// Where a queue is.
    GetQueueUrl,
    /// Messages of a queue.
    ReceiveMessage,
    /// Messages that are done.
    DeleteMessageBatch,
    /// Messages that are not done yet, or put back.
    ChangeMessageVisibilityBatch,
}

impl Operation {
    /// All of them.
    pub(crate) const ALL: [Self; 32] = [
        Self::GetSecretValue,
        Self::BatchGetSecretValue,
        Self::DescribeSecret,
        Self::ListSecrets,
        Self::GetParameter,
        Self::GetParameters,
        Self::GetParametersByPath,
        Self::DescribeParameters,
        Self::ListTagsForResource,
        Self::CreateSecret,
        Self::PutSecretValue,
        Self::UpdateSecret,
        Self::TagResource,
        Self::UntagResource,
        Self::RestoreSecret,
        Self::DeleteSecret,
        Self::PutParameter,
        Self::AddTagsToResource,
        Self::RemoveTagsFromResource,
        Self::DeleteParameter,
        Self::AssumeRole,
        Self::AssumeRoleWithWebIdentity,
        Self::GetKubernetesSecret,
        Self::ListKubernetesSecrets,
        Self::ReviewRules,
        Self::GetSessionToken,
        Self::GetAuthorizationToken,
        Self::GetPublicAuthorizationToken,
        Self::GetQueueUrl,
        Self::ReceiveMessage,
        Self::DeleteMessageBatch,
        Self::ChangeMessageVisibilityBatch,
    ];

    /// The operation of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }

    /// Label `provider`, spelled as ESO does.
    pub(crate) fn provider(self) -> &'static str {
        match self {
            Self::GetSecretValue
            | Self::BatchGetSecretValue
            | Self::DescribeSecret
            | Self::ListSecrets
            | Self::CreateSecret
            | Self::PutSecretValue
            | Self::UpdateSecret
            | Self::TagResource
            | Self::UntagResource
            | Self::RestoreSecret
            | Self::DeleteSecret => "AWS/SecretsManager",
            Self::GetParameter
            | Self::GetParameters
            | Self::GetParametersByPath
            | Self::DescribeParameters
            | Self::ListTagsForResource
            | Self::PutParameter
            | Self::AddTagsToResource
            | Self::RemoveTagsFromResource
            | Self::DeleteParameter => "AWS/ParameterStore",
            Self::AssumeRole | Self::AssumeRoleWithWebIdentity | Self::GetSessionToken => "AWS/STS",
            Self::GetAuthorizationToken => "AWS/ECR",
            Self::GetPublicAuthorizationToken => "AWS/ECRPublic",
            Self::GetQueueUrl
            | Self::ReceiveMessage
            | Self::DeleteMessageBatch
            | Self::ChangeMessageVisibilityBatch => "AWS/SQS",
            Self::GetKubernetesSecret | Self::ListKubernetesSecrets | Self::ReviewRules => {
                "Kubernetes"
            }
        }
    }

    /// Label `call`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::GetSecretValue => "GetSecretValue",
            Self::BatchGetSecretValue => "BatchGetSecretValue",
            Self::DescribeSecret => "DescribeSecret",
            Self::ListSecrets | Self::ListKubernetesSecrets => "ListSecrets",
            Self::GetParameter => "GetParameter",
            Self::GetParameters => "GetParameters",
            Self::GetParametersByPath => "GetParametersByPath",
            Self::DescribeParameters => "DescribeParameters",
            Self::ListTagsForResource => "ListTagsForResource",
            Self::CreateSecret => "CreateSecret",
            Self::PutSecretValue => "PutSecretValue",
            Self::UpdateSecret => "UpdateSecret",
            Self::TagResource => "TagResource",
            Self::UntagResource => "UntagResource",
            Self::RestoreSecret => "RestoreSecret",
            Self::DeleteSecret => "DeleteSecret",
            Self::PutParameter => "PutParameter",
            Self::AddTagsToResource => "AddTagsToResource",
            Self::RemoveTagsFromResource => "RemoveTagsFromResource",
            Self::DeleteParameter => "DeleteParameter",
            Self::AssumeRole => "AssumeRole",
            Self::AssumeRoleWithWebIdentity => "AssumeRoleWithWebIdentity",
            Self::GetKubernetesSecret => "GetSecret",
            Self::ReviewRules => "CreateSelfSubjectRulesReview",
            Self::GetSessionToken => "GetSessionToken",
            Self::GetQueueUrl => "GetQueueUrl",
            Self::ReceiveMessage => "ReceiveMessage",
            Self::DeleteMessageBatch => "DeleteMessageBatch",
            Self::ChangeMessageVisibilityBatch => "ChangeMessageVisibilityBatch",
            Self::GetAuthorizationToken | Self::GetPublicAuthorizationToken => {
                "GetAuthorizationToken"
            }
        }
    }
}

impl Operation {
    /// What has to be allowed: IAM's name of it, or the verb and resource of RBAC.
    pub(crate) fn action(self) -> &'static str {
        match self {
            Self::GetSecretValue => "secretsmanager:GetSecretValue",
            Self::BatchGetSecretValue => "secretsmanager:BatchGetSecretValue",
            Self::DescribeSecret => "secretsmanager:DescribeSecret",
            Self::ListSecrets => "secretsmanager:ListSecrets",
            Self::GetParameter => "ssm:GetParameter",
            Self::GetParameters => "ssm:GetParameters",
            Self::GetParametersByPath => "ssm:GetParametersByPath",
            Self::DescribeParameters => "ssm:DescribeParameters",
            Self::ListTagsForResource => "ssm:ListTagsForResource",
            Self::CreateSecret => "secretsmanager:CreateSecret",
            Self::PutSecretValue => "secretsmanager:PutSecretValue",
            Self::UpdateSecret => "secretsmanager:UpdateSecret",
            Self::TagResource => "secretsmanager:TagResource",
            Self::UntagResource => "secretsmanager:UntagResource",
            Self::RestoreSecret => "secretsmanager:RestoreSecret",
            Self::DeleteSecret => "secretsmanager:DeleteSecret",
            Self::PutParameter => "ssm:PutParameter",
            Self::AddTagsToResource => "ssm:AddTagsToResource",
            Self::RemoveTagsFromResource => "ssm:RemoveTagsFromResource",
            Self::DeleteParameter => "ssm:DeleteParameter",
            Self::AssumeRole => "sts:AssumeRole",
            Self::AssumeRoleWithWebIdentity => "sts:AssumeRoleWithWebIdentity",
            Self::GetKubernetesSecret => "get secrets",
            Self::ListKubernetesSecrets => "list secrets",
            Self::ReviewRules => "create selfsubjectrulesreviews",
            Self::GetSessionToken => "sts:GetSessionToken",
            Self::GetAuthorizationToken => "ecr:GetAuthorizationToken",
            Self::GetPublicAuthorizationToken => "ecr-public:GetAuthorizationToken",
            Self::GetQueueUrl => "sqs:GetQueueUrl",
            Self::ReceiveMessage => "sqs:ReceiveMessage",
            Self::DeleteMessageBatch => "sqs:DeleteMessage",
            Self::ChangeMessageVisibilityBatch => "sqs:ChangeMessageVisibility",
        }
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// An answer.
    Success,
    /// No such secret or version.
    NotFound,
    /// Permission or credentials refused.
    Denied,
    /// Too many calls.
    Throttled,
    /// No answer in time, no connection, or a fault of the provider.
    Unavailable,
    /// Refused as wrong.
    Invalid,
}

impl CallOutcome {
    /// All of them.
    pub(crate) const ALL: [Self; 6] = [
        Self::Success,
        Self::NotFound,
        Self::Denied,
        Self::Throttled,
        Self::Unavailable,
        Self::Invalid,
    ];

    /// Label `outcome`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::NotFound => "not_found",
            Self::Denied => "denied",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::Invalid => "invalid",
        }
    }

    /// Label `status` of ESO's series `externalsecret_provider_api_calls_count`: success or error.
    pub(crate) fn status(self) -> &'static str {
        if self == Self::Success { "success" } else { "error" }
    }
}

impl From<&ProviderError> for CallOutcome {
    fn from(error: &ProviderError) -> Self {
        match error {
            ProviderError::NotFound { .. } | ProviderError::NoSuchVersion { .. } => Self::NotFound,
            ProviderError::Denied { .. } | ProviderError::Credentials { .. } => Self::Denied,
            ProviderError::Invalid { .. }
            | ProviderError::Settings { .. }
            | ProviderError::TooManyListed => Self::Invalid,
            ProviderError::Throttled => Self::Throttled,
            ProviderError::Unavailable { .. } => Self::Unavailable,
        }
    }
}

/// Counters since the start of the process.
#[derive(Debug, Default)]
pub struct Metrics {
    calls: [[AtomicU64; CallOutcome::ALL.len()]; Operation::ALL.len()],
    requests: AtomicU64,
    joined: AtomicU64,
    packed: AtomicU64,
    slowdowns: AtomicU64,
}

impl Metrics {
    /// Calls of one operation with one outcome. The SDK's own retries are part of the call.
    pub fn calls(&self, operation: Operation, outcome: CallOutcome) -> u64 {
        self.calls[operation as usize][outcome as usize].load(Ordering::Relaxed)
    }

    /// Questions put to the fetcher.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Calls that were not made, because an equal request was under way or because several requests shared a batch.
    pub fn calls_saved(&self) -> u64 {
        self.joined.load(Ordering::Relaxed) + self.packed.load(Ordering::Relaxed)
    }

    /// How often a throttling answer halved the pace of an account.
    pub fn slowdowns(&self) -> u64 {
        self.slowdowns.load(Ordering::Relaxed)
    }

    pub(crate) fn count_call(&self, operation: Operation, outcome: CallOutcome) {
        self.calls[operation as usize][outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_requests(&self, requests: usize) {
        self.requests.fetch_add(requests as u64, Ordering::Relaxed);
    }

    pub(crate) fn count_joined(&self) {
        self.joined.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_slowdown(&self) {
        self.slowdowns.fetch_add(1, Ordering::Relaxed);
    }

    /// `requests` were answered by `calls` calls.
    pub(crate) fn count_packed(&self, requests: usize, calls: usize) {
        self.packed.fetch_add(requests.saturating_sub(calls) as u64, Ordering::Relaxed);
    }
}
