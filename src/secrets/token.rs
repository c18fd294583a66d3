//! Tokens of ServiceAccounts, which a provider exchanges for its own credentials.

use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::api::core::v1::ServiceAccount;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::cluster::{
    ObjectKey,
    write::{ApiError, Writer},
};
use crate::provider::ProviderError;
use crate::provider::SecretBytes;
use crate::provider::TokenSource;

/// Tokens are exchanged at once; ten minutes is the shortest time the API server issues them for.
const TOKEN_SECONDS: i64 = 600;

/// Tokens of one ServiceAccount, each by a `TokenRequest`.
pub(crate) struct ServiceAccountToken {
    pub(crate) writer: Writer,
    pub(crate) key: ObjectKey,
    pub(crate) audiences: Vec<String>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    spec: TokenSpec,
    status: TokenStatus,
}

#[derive(Deserialize)]
struct TokenSpec {
    #[serde(default)]
    audiences: Vec<String>,
}

#[derive(Deserialize)]
struct TokenStatus {
    token: Zeroizing<String>,
}

impl ServiceAccountToken {
    async fn request(&self, audiences: &[String]) -> Result<TokenAnswer, ApiError> {
        let body = serde_json::json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": audiences, "expirationSeconds": TOKEN_SECONDS},
        });
        self.writer.post_subresource::<ServiceAccount, _>(&self.key, "token", &body).await
    }

    /// The audiences by which this cluster's API server accepts a token.
    pub(crate) async fn audiences_of_this_cluster(&self) -> Result<Vec<String>, ApiError> {
        Ok(self.request(&[]).await?.spec.audiences)
    }
}

impl TokenSource for ServiceAccountToken {
    fn token(&self) -> BoxFuture<'_, Result<SecretBytes, ProviderError>> {
        async move {
            match self.request(&self.audiences).await {
                Ok(answer) => Ok(SecretBytes::new(answer.status.token.as_bytes().to_vec())),
                Err(error) => Err(ProviderError::Credentials {
                    reason: format!("no token for ServiceAccount {}: {error}", self.key),
                }),
            }
        }
        .boxed()
    }
}
