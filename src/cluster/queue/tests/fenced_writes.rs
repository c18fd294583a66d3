//! The real writer and the real fence, in every order of what can happen to them.

use std::collections::VecDeque;

use http::{Request, Response};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Client, client::Body};
use tokio::{sync::oneshot, task::JoinHandle};

use super::*;
use crate::cluster::{
    Fence, ObjectKey, RequestCounts,
    write::{ApiError, Part, PatchKind, Writer},
};

#[derive(Clone, Copy, Debug)]
enum Event {
    /// Somebody wants to write.
    Ask,
    /// The API server answers the oldest request.
    Answer,
    LoseLease,
    GetLease,
}

const EVENTS: [Event; 4] = [Event::Ask, Event::Answer, Event::LoseLease, Event::GetLease];
const STEPS: u32 = 6;
/// Requests of the writer at once.
const PERMITS: usize = 1;

/// What the API server has received and not answered yet.
type Inbox = Arc<StdMutex<VecDeque<oneshot::Sender<()>>>>;

struct World {
    writer: Writer,
    fence: Fence,
    inbox: Inbox,
    /// Requests that arrived while the fence was closed.
    too_late: Arc<AtomicUsize>,
    writes: Vec<JoinHandle<Result<(), ApiError>>>,
}

impl World {
    fn new() -> Self {
        let (fence, inbox, too_late) =
            (Fence::open(), Inbox::default(), Arc::<AtomicUsize>::default());
        let service = {
            let (fence, inbox, too_late) = (fence.clone(), inbox.clone(), too_late.clone());
            tower::service_fn(move |_: Request<Body>| {
                if !fence.is_open() {
                    too_late.fetch_add(1, Ordering::SeqCst);
                }
                let (answer, answered) = oneshot::channel();
                inbox.lock().unwrap().push_back(answer);
                async move {
                    answered.await.map_err(|_| "the server went away")?;
                    let body = Body::from(br#"{"metadata":{}}"#.to_vec());
                    Ok::<_, tower::BoxError>(Response::new(body))
                }
            })
        };
        let client = Client::new(service, "default");
        let writer = Writer::new(client, fence.clone(), PERMITS, RequestCounts::default());
        Self { writer, fence, inbox, too_late, writes: Vec::new() }
    }

    async fn happen(&mut self, event: Event) {
        match event {
            Event::Ask => {
                let writer = self.writer.clone();
                self.writes.push(tokio::spawn(async move {
                    let (key, body) = (ObjectKey::new("a", "b"), serde_json::json!({}));
                    let written =
                        writer.patch::<ConfigMap>(&key, Part::Object, PatchKind::Merge, &body, "m");
                    written.await.map(|_| ())
                }));
            }
            Event::Answer => {
                let oldest = self.inbox.lock().unwrap().pop_front();
                if let Some(oldest) = oldest {
                    let _ = oldest.send(());
                }
            }
            Event::LoseLease => self.fence.close(),
            Event::GetLease => self.fence.extend(Instant::now(), Duration::from_hours(1)),
        }
        settle().await;
    }
}

/// Lets every task go as far as it can.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// What came of all writes: written, refused by the fence.
async fn play(order: &[Event]) -> (usize, usize) {
    let mut world = World::new();
    for event in order {
        world.happen(*event).await;
    }
    let (mut written, mut refused) = (0, 0);
    while world.writes.iter().any(|write| !write.is_finished()) {
        world.happen(Event::Answer).await;
    }
    for write in std::mem::take(&mut world.writes) {
        match write.await.unwrap() {
            Ok(()) => written += 1,
            Err(ApiError::Fenced) => refused += 1,
            Err(error) => panic!("{order:?}: {error}"),
        }
    }
    assert_eq!(world.too_late.load(Ordering::SeqCst), 0, "{order:?}: sent without the lease");
    assert!(world.inbox.lock().unwrap().is_empty());
    (written, refused)
}

#[tokio::test]
async fn in_no_order_is_a_write_sent_after_the_fence_has_closed() {
    let (mut written, mut refused) = (0, 0);
    for number in 0..EVENTS.len().pow(STEPS) {
        let order: Vec<_> =
            (0..STEPS).map(|step| EVENTS[number / EVENTS.len().pow(step) % EVENTS.len()]).collect();
        let came_of = play(&order).await;
        written += came_of.0;
        refused += came_of.1;
    }
    assert!(written > 1000 && refused > 1000, "{written} written, {refused} refused");
}
