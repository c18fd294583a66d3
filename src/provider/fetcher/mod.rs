//! The fetcher: the only caller of providers.
//!
//! Equal requests of one identity are one call, different ones share a batch, calls keep to a budget per account,
//! and urgent requests pass periodic ones. See `batcher` for how requests wait and `rate_limit` for the pace.

mod batcher;
mod connection;
mod lists;
mod push;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout, timeout_at},
};

use batcher::{Batcher, PendingRead, unavailable};
use connection::Backend;
pub use connection::{Connection, Identity};

use super::Fetched;
use super::Filter;
use super::Listing;
use super::Note;
use super::Provider;
use super::ProviderError;
use super::ReadRequest;
use super::Validation;
use super::aws;
use super::aws::queue::MessageQueue;
use super::aws::{AwsSettings, AwsSource, Made, Platform, QueueArn, Registry, SessionRequest};
use super::metrics::Metrics;
use crate::lane::Lane;
use crate::provider::endpoint::Endpoint;
use crate::provider::rate_limit::Account;
use crate::provider::rate_limit::Limits;
use crate::provider::rate_limit::Meter;

/// How the fetcher gathers, paces and gives up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FetcherSettings {
    /// How long an urgent request waits for company.
    pub urgent_window: Duration,
    /// How long a periodic request waits for company.
    pub periodic_window: Duration,
    /// Calls under way at once, per identity and lane.
    pub concurrency: usize,
    /// A request without an answer after this long fails.
    pub deadline: Duration,
    /// A refused batch operation is not tried again for this long.
    pub batch_pause: Duration,
    /// Calls per second, per account and region.
    pub limits: Limits,
}

impl Default for FetcherSettings {
    fn default() -> Self {
        Self {
            urgent_window: Duration::from_millis(3),
            periodic_window: Duration::from_millis(50),
            concurrency: 4,
            deadline: Duration::from_mins(1),
            batch_pause: Duration::from_hours(1),
            limits: Limits::default(),
        }
    }
}

/// Which equal read or list that is under way a new one may join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Join {
    /// Any.
    Any,
    /// One that was not sent yet: its answer will be as of now.
    Unsent,
}

/// The fetcher. Cheap to clone; all clones are one fetcher.
#[derive(Clone)]
pub struct Fetcher(Arc<Inner>);

struct Inner {
    settings: FetcherSettings,
    platform: Platform,
    metrics: Arc<Metrics>,
    /// One client per identity. An identity is the key, so nothing is shared between two.
    batchers: Mutex<HashMap<Identity, Arc<Batcher>>>,
    /// Buckets are shared by all identities of an account, as its quotas are.
    accounts: Mutex<HashMap<String, Weak<Account>>>,
    /// What is known of an endpoint is known to all who call it.
    endpoints: Mutex<HashMap<String, Weak<Endpoint>>>,
    recovered: Arc<Notify>,
}

impl Fetcher {
    /// Sends nothing yet.
    pub fn new(settings: FetcherSettings, platform: Platform) -> Self {
        Self(Arc::new(Inner {
            settings,
            platform,
            metrics: Arc::default(),
            batchers: Mutex::default(),
            accounts: Mutex::default(),
            endpoints: Mutex::default(),
            recovered: Arc::default(),
        }))
    }

    /// Reads one thing. Equal requests of one identity that are under way at the same time are one call.
    ///
    /// # Errors
    /// The provider's answer, or `Unavailable` after the deadline. Shared with equal requests, never cached.
    pub async fn fetch(
        &self,
        connection: &Connection,
        request: ReadRequest,
        lane: Lane,
    ) -> Result<Arc<Fetched>, ProviderError> {
        self.0.metrics.count_requests(1);
        let read = self.batcher(connection).post(request, lane, Join::Any);
        self.within(read.answer()).await
    }

    /// Reads several things at once: one result per request, in the order of the requests.
    pub async fn fetch_all(
        &self,
        connection: &Connection,
        requests: Vec<ReadRequest>,
        lane: Lane,
    ) -> Vec<Result<Arc<Fetched>, ProviderError>> {
        self.gather(connection, requests, lane, Join::Any).await
    }

    /// The same, for somebody who wants the state of now: no answer of a call that was sent before this.
    pub async fn fetch_all_anew(
        &self,
        connection: &Connection,
        requests: Vec<ReadRequest>,
        lane: Lane,
    ) -> Vec<Result<Arc<Fetched>, ProviderError>> {
        self.gather(connection, requests, lane, Join::Unsent).await
    }

    async fn gather(
        &self,
        connection: &Connection,
        requests: Vec<ReadRequest>,
        lane: Lane,
        join: Join,
    ) -> Vec<Result<Arc<Fetched>, ProviderError>> {
        self.0.metrics.count_requests(requests.len());
        let until = Instant::now() + self.0.settings.deadline;
        let batcher = self.batcher(connection);
        let post = |request| batcher.post(request, lane, join);
        let reads: Vec<Arc<PendingRead>> = requests.into_iter().map(post).collect();
        let mut answers = Vec::with_capacity(reads.len());
        for read in reads {
            let answer = timeout_at(until, read.answer()).await;
            answers.push(answer.unwrap_or_else(|_| Err(self.late())));
        }
        answers
    }

    /// Lists names. Equal lists of one identity that are under way at the same time are one.
    ///
    /// # Errors
    /// The provider's answer, or `Unavailable` after the deadline. Shared with equal lists, never cached.
    pub async fn list(
        &self,
        connection: &Connection,
        filter: Filter,
        lane: Lane,
    ) -> Result<Arc<Listing>, ProviderError> {
        self.names(connection, filter, lane, Join::Any).await
    }

    /// The same, for somebody who wants the state of now: no answer of a list that was begun before this.
    pub async fn list_anew(
        &self,
        connection: &Connection,
        filter: Filter,
        lane: Lane,
    ) -> Result<Arc<Listing>, ProviderError> {
        self.names(connection, filter, lane, Join::Unsent).await
    }

    async fn names(
        &self,
        connection: &Connection,
        filter: Filter,
        lane: Lane,
        join: Join,
    ) -> Result<Arc<Listing>, ProviderError> {
        self.0.metrics.count_requests(1);
        let deadline = self.0.settings.deadline;
        let names = timeout(deadline, self.batcher(connection).list(filter, lane, join)).await;
        names.unwrap_or_else(|_| {
            let seconds = deadline.as_secs_f64();
            // Where AWS allows few calls, a long list does not end in time, however often it is tried.
            Err(unavailable(format!(
                "the list of names was not complete within {seconds} s; if this persists, set find.path to select fewer"
            )))
        })
    }

    /// Whether credentials can be obtained. Permissions are not checked.
    ///
    /// # Errors
    /// Why they cannot.
    pub async fn validate(&self, connection: &Connection) -> Result<Validation, ProviderError> {
        let batcher = self.batcher(connection);
        self.within(batcher.provider().validate()).await
    }

    /// What the store's owner should know, for example that batch reads are refused.
    pub fn notes(&self, identity: &Identity) -> Vec<Note> {
        let batcher = held(&self.0.batchers).get(identity).cloned();
        batcher.map(|batcher| batcher.provider().notes()).unwrap_or_default()
    }

    /// Drops clients and credentials of identities that are gone. Calls under way end normally.
    pub fn retain(&self, keep: &dyn Fn(&Identity) -> bool) {
        held(&self.0.batchers).retain(|identity, _| keep(identity));
        held(&self.0.accounts).retain(|_, account| account.strong_count() > 0);
        held(&self.0.endpoints).retain(|_, endpoint| endpoint.strong_count() > 0);
    }

    /// Drops the client and credentials of one identity.
    pub fn forget(&self, identity: &Identity) {
        held(&self.0.batchers).remove(identity);
    }

    /// Waits until an endpoint that was away answers again. One caller at a time.
    pub async fn recovered(&self) {
        self.0.recovered.notified().await;
    }

    /// The counters.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    /// What paces and counts the calls of a provider that is connected by its caller. Those of one name share a pace,
    /// and what is known of their server.
    pub(crate) fn meter(&self, name: &str) -> Meter {
        let (account, endpoint) = (self.account(name.to_owned()), self.endpoint(name.to_owned()));
        Meter {
            metrics: self.0.metrics.clone(),
            payer_of_sts: account.clone(),
            account,
            sts: endpoint.clone(),
            reader: endpoint,
        }
    }

    fn batcher(&self, connection: &Connection) -> Arc<Batcher> {
        let mut batchers = held(&self.0.batchers);
        if let Some(batcher) = batchers.get(&connection.identity) {
            return batcher.clone();
        }
        let provider = self.connect(&connection.backend);
        let batcher = Arc::new(Batcher::new(provider, self.0.settings, self.0.metrics.clone()));
        batchers.insert(connection.identity.clone(), batcher.clone());
        batcher
    }

    fn connect(&self, backend: &Backend) -> Arc<dyn Provider> {
        match backend {
            Backend::Connected(provider) => provider.clone(),
            Backend::Aws(source) => {
                let meter = self.meter_of(source, source.endpoint());
                let pause = self.0.settings.batch_pause;
                aws::connect(&self.0.platform, source, meter, pause)
            }
        }
    }

    fn meter_of(&self, source: &AwsSource, reader: String) -> Meter {
        Meter {
            metrics: self.0.metrics.clone(),
            account: self.account(source.account()),
            payer_of_sts: self.account(source.base_account()),
            reader: self.endpoint(reader),
            sts: self.endpoint(format!("sts/{}", source.region())),
        }
    }

    /// A session of STS for others. Made anew each time.
    pub(crate) async fn session(
        &self,
        source: &AwsSource,
        request: SessionRequest,
    ) -> Result<Made, ProviderError> {
        let meter = self.meter_of(source, format!("sts/{}", source.region()));
        self.within(aws::session(&self.0.platform, source, meter, request)).await
    }

    /// A login to registries of AWS. Made anew each time.
    pub(crate) async fn login(
        &self,
        source: &AwsSource,
        registry: Registry,
    ) -> Result<Made, ProviderError> {
        let meter = self.meter_of(source, format!("ecr/{registry:?}/{}", source.region()));
        self.within(aws::login(&self.0.platform, source, meter, registry)).await
    }

    /// A queue, read with the identity of a connection; without one, with Gabion's own. `None`: that identity is not one
    /// of AWS.
    pub(crate) fn queue(
        &self,
        connection: Option<&Connection>,
        arn: &QueueArn,
    ) -> Option<MessageQueue> {
        let source = match connection.map(|connection| &connection.backend) {
            Some(Backend::Aws(source)) => source.clone(),
            Some(Backend::Connected(_)) => return None,
            None => AwsSource::new(AwsSettings::new(&*arn.region)).ok()?,
        };
        let meter = self.meter_of(&source, format!("sqs/{}", arn.region));
        Some(MessageQueue::connect(&self.0.platform, &source, meter, arn))
    }

    fn endpoint(&self, name: String) -> Arc<Endpoint> {
        let mut endpoints = held(&self.0.endpoints);
        if let Some(endpoint) = endpoints.get(&name).and_then(Weak::upgrade) {
            return endpoint;
        }
        let endpoint = Arc::new(Endpoint::new(self.0.recovered.clone()));
        endpoints.insert(name, Arc::downgrade(&endpoint));
        endpoint
    }

    fn account(&self, name: String) -> Arc<Account> {
        let mut accounts = held(&self.0.accounts);
        if let Some(account) = accounts.get(&name).and_then(Weak::upgrade) {
            return account;
        }
        let account = Arc::new(Account::new(&self.0.settings.limits));
        accounts.insert(name, Arc::downgrade(&account));
        account
    }

    async fn within<T>(
        &self,
        answer: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<T, ProviderError> {
        let answer = timeout(self.0.settings.deadline, answer).await;
        answer.unwrap_or_else(|_| Err(self.late()))
    }

    fn late(&self) -> ProviderError {
        let deadline = self.0.settings.deadline;
        unavailable(format!("no answer within {} s", deadline.as_secs_f64()))
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
