//! How a store says who asks.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Mutex, time::Instant};

use crate::provider::{ProviderError, SecretBytes, TokenSource};

/// Tokens are made for ten minutes; one is used for eight.
const RENEW_AFTER: Duration = Duration::from_mins(8);

/// How a store says who asks.
pub(crate) enum Auth {
    /// The connection has a certificate.
    Certificate,
    /// A token that somebody else renews.
    Token(SecretBytes),
    /// Tokens of a ServiceAccount.
    Tokens(Tokens),
}

/// Tokens of one ServiceAccount: one at a time, made anew before it expires.
pub(crate) struct Tokens {
    source: Arc<dyn TokenSource>,
    held: Mutex<Option<(SecretBytes, Instant)>>,
}

impl Tokens {
    /// Asks for none yet.
    pub(crate) fn new(source: Arc<dyn TokenSource>) -> Self {
        Self { source, held: Mutex::default() }
    }

    async fn token(&self) -> Result<SecretBytes, ProviderError> {
        let mut held = self.held.lock().await;
        if let Some((token, made)) = &*held
            && made.elapsed() < RENEW_AFTER
        {
            return Ok(token.clone());
        }
        let token = self.source.token().await?;
        *held = Some((token.clone(), Instant::now()));
        Ok(token)
    }
}

impl Auth {
    /// The token to send, if it is one that says who asks.
    pub(super) async fn token(&self) -> Result<Option<SecretBytes>, ProviderError> {
        match self {
            Self::Certificate => Ok(None),
            Self::Token(token) => Ok(Some(token.clone())),
            Self::Tokens(tokens) => tokens.token().await.map(Some),
        }
    }

    /// Drops a token that was refused. True if there may be another one.
    pub(super) async fn forget(&self) -> bool {
        match self {
            Self::Tokens(tokens) => tokens.held.lock().await.take().is_some(),
            Self::Certificate | Self::Token(_) => false,
        }
    }
}
