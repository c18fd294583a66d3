//! One identity's lists: whoever asks for an equal one while it is under way gets the same. A list is driven by those
//! who wait for it and ends with the last of them.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};
use tokio::sync::Semaphore;

use super::Join;
use crate::lane::Lane;
use crate::provider::{Filter, Listing, ProviderError};

pub(super) type Names = BoxFuture<'static, Result<Arc<Listing>, ProviderError>>;

/// A list that may be joined.
struct Open {
    lane: Lane,
    sent: Arc<AtomicBool>,
    names: WeakShared<Names>,
}

/// The lists of one identity.
pub(super) struct Lists {
    open: Mutex<HashMap<Filter, Open>>,
    /// Lists under way at once, of each lane: one that is urgent waits for no periodic one.
    pub(super) permits: [Arc<Semaphore>; Lane::ALL.len()],
}

impl Lists {
    pub(super) fn new(at_once: usize) -> Self {
        let permits = || Arc::new(Semaphore::new(at_once.max(1)));
        Self { open: Mutex::default(), permits: Lane::ALL.map(|_| permits()) }
    }

    /// Joins an equal list that is under way, or begins the one that `make` makes; it says when it is sent. Also
    /// whether it was joined.
    pub(super) fn ask(
        &self,
        filter: Filter,
        lane: Lane,
        join: Join,
        make: impl FnOnce(Filter, Arc<AtomicBool>) -> Names,
    ) -> (Shared<Names>, bool) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, list| list.names.upgrade().is_some());
        // A periodic list may have to wait for its turn longer than an urgent one.
        let may_join = |list: &&Open| {
            list.lane <= lane && (join == Join::Any || !list.sent.load(Ordering::Relaxed))
        };
        let known = open.get(&filter).filter(may_join).and_then(|list| list.names.upgrade());
        // One that has its answer is over, although somebody may not have taken it yet.
        if let Some(names) = known.filter(|names| names.peek().is_none()) {
            return (names, true);
        }
        let sent = Arc::new(AtomicBool::new(false));
        let names = make(filter.clone(), sent.clone()).shared();
        if let Some(weak) = names.downgrade() {
            open.insert(filter, Open { lane, sent, names: weak });
        }
        (names, false)
    }
}
