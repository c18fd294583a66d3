//! Turns at what is bounded for all namespaces together: rendering, and the remote secrets of a store that are pushed.
//! A few who ask much leave room for all others.
//!
//! Turns are fair by the time they take: of the namespaces that wait, the one that has used the least goes first. So
//! who asks little does not wait behind those who ask much, however many objects these have.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

/// How many may render at once: one core stays free for everything else.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1))
}

/// Who has a turn, and who waits for one. Clones share the turns.
#[derive(Clone)]
pub(crate) struct Turns(Arc<Mutex<State>>);

struct State {
    free: usize,
    /// Time that each namespace has used.
    used: HashMap<Arc<str>, Duration>,
    waiting: HashMap<Arc<str>, VecDeque<oneshot::Sender<Turn>>>,
    /// What the namespace that was served last had used: who comes anew starts from here, not from nothing.
    floor: Duration,
}

/// One turn. It ends when this is dropped.
pub(crate) struct Turn {
    /// Of whom, and of which namespace; `None` once it was given back.
    held: Option<(Turns, Arc<str>)>,
    began: Instant,
}

impl Turns {
    /// At most so many at once.
    pub(crate) fn new(at_once: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            free: at_once,
            used: HashMap::new(),
            waiting: HashMap::new(),
            floor: Duration::ZERO,
        })))
    }

    /// Waits for a turn of this namespace.
    pub(crate) async fn turn(&self, namespace: &Arc<str>) -> Turn {
        loop {
            let receiver = {
                let mut state = self.lock();
                if state.free > 0 {
                    state.free -= 1;
                    return self.begin(namespace);
                }
                let (sender, receiver) = oneshot::channel();
                state.enter(namespace);
                state.waiting.entry(namespace.clone()).or_default().push_back(sender);
                receiver
            };
            // A turn that is handed over to somebody who is gone by then ends at once, and the next one's begins.
            if let Ok(turn) = receiver.await {
                return turn;
            }
        }
    }

    fn begin(&self, namespace: &Arc<str>) -> Turn {
        Turn { held: Some((self.clone(), namespace.clone())), began: Instant::now() }
    }

    /// Hands the place to the next one, or keeps it free.
    fn end(&self, namespace: &Arc<str>, took: Duration) {
        let mut state = self.lock();
        state.enter(namespace);
        if let Some(used) = state.used.get_mut(namespace) {
            *used += took;
        }
        state.free += 1;
        while let Some((next, sender)) = state.next() {
            state.free -= 1;
            drop(state);
            // Dropping a turn that nobody takes comes back here, so the lock must be free.
            match sender.send(self.begin(&next)) {
                Ok(()) => return,
                Err(turn) => turn.give_back(),
            }
            state = self.lock();
        }
        state.used.clear();
        state.floor = Duration::ZERO;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn enter(&mut self, namespace: &Arc<str>) {
        let floor = self.floor;
        let used = self.used.entry(namespace.clone()).or_default();
        if !self.waiting.contains_key(namespace) {
            *used = (*used).max(floor);
        }
    }

    /// Whose turn it is, if there is a free place.
    fn next(&mut self) -> Option<(Arc<str>, oneshot::Sender<Turn>)> {
        if self.free == 0 {
            return None;
        }
        let used = |namespace: &Arc<str>| self.used.get(namespace).copied().unwrap_or_default();
        let next =
            self.waiting.keys().min_by_key(|namespace| (used(namespace), *namespace))?.clone();
        self.floor = self.floor.max(used(&next));
        let senders = self.waiting.get_mut(&next)?;
        let sender = senders.pop_front();
        if senders.is_empty() {
            self.waiting.remove(&next);
        }
        Some((next, sender?))
    }
}

impl Turn {
    /// Nobody took it.
    fn give_back(mut self) {
        if let Some((turns, _)) = self.held.take() {
            turns.lock().free += 1;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some((turns, namespace)) = self.held.take() {
            turns.end(&namespace, self.began.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Arc<str> {
        text.into()
    }

    #[tokio::test]
    async fn who_asks_little_goes_before_those_who_ask_much() {
        let turns = Turns::new(1);
        let order = Arc::new(Mutex::new(Vec::new()));
        let first = turns.turn(&name("greedy")).await;
        let mut tasks = Vec::new();
        for (nth, namespace) in ["greedy", "greedy", "greedy", "modest"].into_iter().enumerate() {
            let (shared, order) = (turns.clone(), order.clone());
            tasks.push(tokio::spawn(async move {
                let _turn = shared.turn(&name(namespace)).await;
                order.lock().unwrap().push(namespace);
            }));
            while turns.lock().waiting.values().map(VecDeque::len).sum::<usize>() <= nth {
                tokio::task::yield_now().await;
            }
        }
        std::thread::sleep(Duration::from_millis(5));
        drop(first);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), ["modest", "greedy", "greedy", "greedy"]);
    }

    #[tokio::test]
    async fn one_that_gives_up_takes_no_turn_with_it() {
        let turns = Turns::new(1);
        let first = turns.turn(&name("a")).await;
        let waits = tokio::time::timeout(Duration::from_millis(5), turns.turn(&name("b"))).await;
        assert!(waits.is_err());
        drop(first);
        for namespace in ["c", "d"] {
            drop(turns.turn(&name(namespace)).await);
        }
        assert_eq!(turns.lock().free, 1);
    }
}
