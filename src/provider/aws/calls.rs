//! What the services of AWS have in common: credentials, turns, the translation of failures, and the memory of an
//! operation on many secrets that is refused.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use aws_smithy_runtime_api::{client::result::SdkError, http::Response};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::{
    AwsSource, Platform,
    credentials::Credentials,
    errors::{Subject, translate},
};
use crate::lane::Lane;
use crate::provider::metrics::Operation;
use crate::provider::rate_limit::Meter;
use crate::provider::{Note, ProviderError, ReadRequest, Validation};

/// A page that is throttled is asked for again so many times.
const MOST_REPEATS: usize = 4;

/// One page of a list.
#[derive(Clone, Copy)]
pub(super) struct Page<'a> {
    pub(super) operation: Operation,
    pub(super) lane: Lane,
    pub(super) key: &'a str,
}

/// One identity's way to one service.
pub(super) struct Calls {
    pub(super) source: AwsSource,
    pub(super) meter: Arc<Meter>,
    pub(super) credentials: Arc<Credentials>,
    batch_pause: Duration,
    /// Since when, and for whom, the operation on many is refused.
    batch_refused: Mutex<Option<(Instant, Note)>>,
}

impl Calls {
    /// Sends nothing yet.
    pub(super) fn new(
        platform: &Platform,
        source: &AwsSource,
        meter: Meter,
        batch_pause: Duration,
    ) -> Self {
        let meter = Arc::new(meter);
        let credentials = Credentials::of(platform, source, &meter);
        let source = source.clone();
        Self { source, meter, credentials, batch_pause, batch_refused: Mutex::default() }
    }

    /// The key as AWS knows it.
    pub(super) fn id(&self, request: &ReadRequest) -> String {
        self.full_name(&request.key)
    }

    /// The name with the store's prefix.
    pub(super) fn full_name(&self, key: &str) -> String {
        format!("{}{key}", self.source.settings().prefix)
    }

    /// The beginning of full names that a path means. A store with a prefix knows nothing outside of it.
    pub(super) fn full_path(&self, path: &str) -> String {
        full_path(&self.source.settings().prefix, path)
    }

    /// Gets credentials, waits for the call's turn, makes it and translates its failure.
    pub(super) async fn call<T, E>(
        &self,
        operation: Operation,
        lane: Lane,
        key: &str,
        sdk_request: impl Future<Output = Result<T, SdkError<E, Response>>>,
    ) -> Result<T, ProviderError>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let keys = self.credentials.current().await?;
        let subject = self.subject(operation, key);
        let translated = async { sdk_request.await.map_err(|error| translate(&error, subject)) };
        let result = self.meter.call(operation, lane, translated).await;
        if matches!(result, Err(ProviderError::Credentials { .. })) {
            self.credentials.discard(&keys);
        }
        result
    }

    /// One page of a list. If AWS throttles it, it is asked for again at the slower pace that follows: otherwise the
    /// list would be lost, and the next try would ask for all pages before it, too.
    pub(super) async fn page<T, E, F>(
        &self,
        page: Page<'_>,
        send: impl Fn() -> F,
    ) -> Result<T, ProviderError>
    where
        F: Future<Output = Result<T, SdkError<E, Response>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let Page { operation, lane, key } = page;
        for _ in 0..MOST_REPEATS {
            let request = Box::pin(send());
            match self.call(operation, lane, key, request).await {
                Err(ProviderError::Throttled) => {}
                answer => return answer,
            }
        }
        let request = Box::pin(send());
        self.call(operation, lane, key, request).await
    }

    pub(super) fn subject<'a>(&'a self, operation: Operation, key: &'a str) -> Subject<'a> {
        let writes = matches!(
            operation,
            Operation::CreateSecret | Operation::PutSecretValue | Operation::PutParameter
        );
        Subject { key, action: operation.action(), region: &self.source.settings().region, writes }
    }

    /// Whether keys can be obtained.
    pub(super) async fn validate(&self) -> Result<Validation, ProviderError> {
        self.credentials.current().await.map(|_| Validation::Ready)
    }

    /// Every secret is read alone for a while.
    pub(super) fn remember_refusal(&self, identity: String, action: &'static str) {
        *self.refusal() = Some((Instant::now(), Note::SingleReads { identity, action }));
    }

    pub(super) fn is_batch_refused(&self) -> bool {
        self.refusal().is_some()
    }

    pub(super) fn notes(&self) -> Vec<Note> {
        self.refusal().iter().map(|(_, note)| note.clone()).collect()
    }

    fn refusal(&self) -> MutexGuard<'_, Option<(Instant, Note)>> {
        let mut refusal = self.batch_refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refusal.as_ref().is_some_and(|(since, _)| since.elapsed() >= self.batch_pause) {
            *refusal = None;
        }
        refusal
    }
}

/// A path that begins with the prefix is a full one.
pub(super) fn full_path(prefix: &str, path: &str) -> String {
    if path.starts_with(prefix) { path.to_owned() } else { format!("{prefix}{path}") }
}

#[cfg(test)]
mod tests {
    use super::full_path;

    #[test]
    fn a_path_is_below_the_prefix_whether_it_repeats_it_or_not() {
        assert_eq!(full_path("prod/", "db/"), "prod/db/");
        assert_eq!(full_path("prod/", "prod/db/"), "prod/db/");
        assert_eq!(full_path("", "db/"), "db/");
        assert_eq!(full_path("prod/", ""), "prod/");
    }
}
