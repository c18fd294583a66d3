//! Which queues are wanted, by whom, and how it stands with each.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::provider::aws::QueueArn;
use crate::provider::fetcher::Connection;
use crate::secrets::index::StoreKey;
use crate::secrets::plan::events::assign::{Owner, Want};
use crate::secrets::plan::events::condition::QueueState;

/// A wish, and how to fulfil it.
#[derive(Clone)]
pub(crate) struct Wanted {
    pub(crate) want: Want<StoreKey>,
    /// `None`: with the operator's own identity.
    pub(crate) connection: Option<Connection>,
    /// Events of it arrived before this process.
    pub(crate) receives: bool,
}

/// The registry. Every method locks for a moment only.
#[derive(Default)]
pub(crate) struct EventQueues {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    wanted: HashMap<(Owner<StoreKey>, QueueArn), Wanted>,
    /// The operator may name several queues, a store names one.
    states: HashMap<(Owner<StoreKey>, Option<QueueArn>), QueueState>,
}

impl EventQueues {
    /// Notes a wish. A store has one; the operator may have several.
    pub(crate) fn want(&self, wanted: Wanted) {
        let mut state = self.lock();
        let (owner, arn) = (wanted.want.owner.clone(), wanted.want.arn.clone());
        let known = state.wanted.get(&(owner.clone(), arn.clone()));
        if known.is_some_and(|known| known.want == wanted.want) {
            return;
        }
        if let Owner::Store(_) = &owner {
            state.wanted.retain(|(of, _), _| *of != owner);
            state.states.remove(&(owner.clone(), None));
        }
        state.wanted.insert((owner, arn), wanted);
        self.changed.notify_one();
    }

    /// Whether an owner's wish is this queue.
    pub(crate) fn wants(&self, owner: &Owner<StoreKey>, arn: &QueueArn) -> bool {
        self.lock().wanted.contains_key(&(owner.clone(), arn.clone()))
    }

    /// A store names no queue any more.
    pub(crate) fn withdraw(&self, store: &StoreKey) {
        self.unwant(store);
        self.lock().states.remove(&(Owner::Store(store.clone()), None));
    }

    /// A store names no queue that can be read.
    pub(crate) fn unwant(&self, store: &StoreKey) {
        let owner = Owner::Store(store.clone());
        let mut state = self.lock();
        let known = state.wanted.len();
        state.wanted.retain(|(of, _), _| *of != owner);
        if state.wanted.len() != known {
            self.changed.notify_one();
        }
    }

    /// All wishes.
    pub(crate) fn all(&self) -> Vec<Wanted> {
        self.lock().wanted.values().cloned().collect()
    }

    /// How it stands with the queue of an owner, as far as that is known.
    pub(crate) fn state(&self, owner: &Owner<StoreKey>) -> Option<QueueState> {
        self.lock().states.get(&(owner.clone(), None)).cloned()
    }

    /// Notes how it stands with the queue of an owner. If that is news: how many queues there are by each reason.
    pub(super) fn set_state(
        &self,
        owner: &Owner<StoreKey>,
        arn: Option<&QueueArn>,
        queue: &QueueState,
    ) -> Option<Vec<(&'static str, i64)>> {
        let mut state = self.lock();
        let arn = arn.filter(|_| *owner == Owner::Operator).cloned();
        let old = state.states.insert((owner.clone(), arn), queue.clone());
        let count = |reason| {
            let of_reason = state.states.values().filter(|it| it.condition().1 == reason);
            (reason, i64::try_from(of_reason.count()).unwrap_or(i64::MAX))
        };
        (old.as_ref() != Some(queue)).then(|| QueueState::REASONS.map(count).into())
    }

    /// Waits until the wishes are others than before.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
