//! Many askers at once on several threads, some of which go away, against a provider of ours.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use futures::future::BoxFuture;
use gabion::provider::{Filter, Listing, Provider, Validation};

use super::*;

/// Answers with the identity's name and the key, after a pause that depends on the key; batches of three.
struct Echo {
    name: &'static str,
    under_way: Mutex<Vec<ReadRequest>>,
    overlaps: AtomicUsize,
}

impl Echo {
    fn new(name: &'static str) -> Arc<Self> {
        Arc::new(Self { name, under_way: Mutex::default(), overlaps: AtomicUsize::new(0) })
    }

    fn enter(&self, request: &ReadRequest) {
        let mut under_way = self.under_way.lock().expect("not poisoned");
        if under_way.contains(request) {
            self.overlaps.fetch_add(1, Ordering::Relaxed);
        }
        under_way.push(request.clone());
    }

    fn leave(&self, request: &ReadRequest) {
        self.under_way.lock().expect("not poisoned").retain(|other| other != request);
    }

    fn answer(&self, request: &ReadRequest) -> Result<Fetched, ProviderError> {
        if request.key.ends_with('7') {
            return Err(ProviderError::NotFound { key: request.key.clone() });
        }
        let text = format!("{}/{}/{:?}", self.name, request.key, request.version);
        Ok(Fetched { text: Some(text.into()), ..Fetched::default() })
    }
}

impl Provider for Echo {
    fn batch(&self, request: &ReadRequest) -> usize {
        if request.version == Version::Current { 3 } else { 1 }
    }

    fn read<'a>(
        &'a self,
        request: &'a ReadRequest,
        lane: Lane,
    ) -> BoxFuture<'a, Result<Fetched, ProviderError>> {
        Box::pin(async move {
            let mut answers = self.read_many(&[request], lane).await;
            answers.pop().expect("one answer")
        })
    }

    fn read_many<'a>(
        &'a self,
        requests: &'a [&'a ReadRequest],
        _lane: Lane,
    ) -> BoxFuture<'a, Vec<Result<Fetched, ProviderError>>> {
        Box::pin(async move {
            assert!(!requests.is_empty() && requests.len() <= 3);
            for request in requests {
                self.enter(request);
            }
            tokio::time::sleep(Duration::from_millis(requests[0].key.len() as u64)).await;
            for request in requests {
                self.leave(request);
            }
            requests.iter().map(|request| self.answer(request)).collect()
        })
    }

    fn list<'a>(
        &'a self,
        filter: &'a Filter,
        _lane: Lane,
    ) -> BoxFuture<'a, Result<Listing, ProviderError>> {
        Box::pin(async move {
            let keys = vec![format!("{}{}", filter.path, self.name)];
            Ok(Listing { prefix: String::new(), keys })
        })
    }

    fn validate(&self) -> BoxFuture<'_, Result<Validation, ProviderError>> {
        Box::pin(async { Ok(Validation::Ready) })
    }
}

fn nowhere() -> Fetcher {
    Fetcher::new(FetcherSettings::default(), Platform::new(Endpoints::default()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_asker_gets_the_answer_to_its_own_question_whoever_else_comes_and_goes() {
    let fetcher = nowhere();
    let echoes = ["red", "green"].map(Echo::new);
    let sources = echoes.each_ref().map(|echo| {
        Connection::connected(&Identity::new(echo.name, 1, ""), echo.clone() as Arc<dyn Provider>)
    });
    let mut askers = Vec::new();
    for number in 0..4_000_usize {
        let (fetcher, source) = (fetcher.clone(), sources[number % 2].clone());
        let name = echoes[number % 2].name;
        askers.push(tokio::spawn(async move {
            let key = format!("key-{}", number * 31 % 97);
            let version = match number % 5 {
                0 => Version::Id("v1".to_owned()),
                _ => Version::Current,
            };
            let lane = if number % 3 == 0 { Lane::Periodic } else { Lane::Urgent };
            tokio::time::sleep(Duration::from_millis((number % 40) as u64)).await;
            let request =
                ReadRequest { key: key.clone(), version: version.clone(), content: Content::Value };
            let answer = fetcher.fetch(&source, request, lane);
            if number % 7 == 0 {
                let _ = tokio::time::timeout(Duration::from_millis(2), answer).await;
                return;
            }
            let answer = text(&answer.await);
            if key.ends_with('7') {
                assert_eq!(answer, Err(format!("secret {key:?} does not exist")));
            } else {
                assert_eq!(answer, Ok(format!("{name}/{key}/{version:?}")));
            }
        }));
    }
    for asker in askers {
        tokio::time::timeout(PATIENCE, asker).await.expect("an answer").expect("the right one");
    }
    for echo in &echoes {
        assert_eq!(echo.overlaps.load(Ordering::Relaxed), 0, "equal requests were under way twice");
        assert!(echo.under_way.lock().expect("not poisoned").is_empty());
    }
    assert!(fetcher.metrics().calls_saved() > 1_000);
}

/// Panics on one key and forgets to answer another.
struct Faulty;

impl Provider for Faulty {
    fn read<'a>(
        &'a self,
        request: &'a ReadRequest,
        _lane: Lane,
    ) -> BoxFuture<'a, Result<Fetched, ProviderError>> {
        Box::pin(async move {
            assert_ne!(request.key, "panic", "on purpose");
            std::future::pending().await
        })
    }

    fn list<'a>(
        &'a self,
        filter: &'a Filter,
        _lane: Lane,
    ) -> BoxFuture<'a, Result<Listing, ProviderError>> {
        Box::pin(async move {
            assert_ne!(filter.path, "panic", "on purpose");
            std::future::pending().await
        })
    }

    fn validate(&self) -> BoxFuture<'_, Result<Validation, ProviderError>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn a_provider_that_breaks_or_never_answers_leaves_nobody_waiting() {
    let settings =
        FetcherSettings { deadline: Duration::from_millis(200), ..FetcherSettings::default() };
    let fetcher = Fetcher::new(settings, Platform::new(Endpoints::default()));
    let source = Connection::connected(&Identity::new("faulty", 1, ""), Arc::new(Faulty));
    let broken = read(&fetcher, &source, "panic").await.expect_err("it panics");
    assert!(broken.ends_with("the call was cut short"), "{broken}");
    let list = |path: &str| Filter { path: path.to_owned(), ..Filter::default() };
    let broken = fetcher.list(&source, list("panic"), Lane::Urgent).await.expect_err("it panics");
    assert!(broken.to_string().ends_with("the call was cut short"), "{broken}");
    let silent = fetcher.list(&source, list("silent"), Lane::Urgent).await.expect_err("no answer");
    assert!(silent.to_string().contains("was not complete within 0.2 s"), "{silent}");
    let silent = read(&fetcher, &source, "silence").await.expect_err("it never answers");
    assert!(silent.starts_with("the provider cannot be reached: "), "{silent}");
    let invalid = fetcher.validate(&source).await.expect_err("it never answers");
    assert!(matches!(invalid, ProviderError::Unavailable { .. }));
}

#[tokio::test]
async fn a_value_is_dropped_with_its_last_asker() {
    let fetcher = nowhere();
    let source = Connection::connected(&Identity::new("red", 1, ""), Echo::new("red"));
    let (first, second) = tokio::join!(
        fetcher.fetch(&source, request("key"), Lane::Urgent),
        fetcher.fetch(&source, request("key"), Lane::Urgent),
    );
    let (first, second) = (first.expect("found"), second.expect("found"));
    assert!(Arc::ptr_eq(&first, &second), "one value for both");
    drop(second);
    assert_eq!(Arc::strong_count(&first), 1, "the fetcher keeps none");
}
