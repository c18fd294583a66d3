use std::{
    collections::HashMap,
    sync::{
        Mutex as StdMutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::*;

mod fenced_writes;
mod health;
mod lost;
mod model;
mod naive;
mod random;

const BOUNDS: Bounds = Bounds { max_concurrent: 4, per_group: 2, in_all: 100, periodic: 100 };

fn state() -> (State<&'static str, &'static str>, Instant) {
    state_within(BOUNDS)
}

fn state_within(bounds: Bounds) -> (State<&'static str, &'static str>, Instant) {
    (State::new(bounds), Instant::now())
}

fn keys(started: &[Running<&'static str>]) -> Vec<&'static str> {
    started.iter().map(|running| running.key).collect()
}

fn no_backoff(_: u32) -> Duration {
    Duration::from_secs(1)
}

/// Events pass refreshes, edits pass both, and nobody waits for ever.
#[test]
fn e11_an_edit_passes_events_and_these_pass_refreshes() {
    let now = Instant::now();
    let mut state = State::new(Bounds { max_concurrent: 1, per_group: 1, in_all: 1, periodic: 1 });
    for nth in 0..40_u32 {
        state.wake(&(1_000 + nth), &1_000, Lane::Periodic, now);
        state.wake(&(2_000 + nth), &2_000, Lane::Event, now);
    }
    state.wake(&1, &1, Lane::Urgent, now);
    // One that waits for a refresh is brought forward by an event, and by an edit.
    state.wake(&1_039, &1_000, Lane::Event, now);
    let mut order = Vec::new();
    while let Some(running) = state.start_due(now).0.pop() {
        order.push(running.key);
        state.finish(&running.key, &Next::Idle, now, |_| Duration::ZERO);
    }
    assert_eq!(order.len(), 81);
    assert_eq!(order[0], 1);
    let refreshes = |keys: &[u32]| keys.iter().filter(|key| (1_000..1_039).contains(*key)).count();
    assert_eq!(refreshes(&order[..16]), 0, "{order:?}");
    assert_eq!(refreshes(&order[..44]), 2, "each seventeenth turn is theirs");
}

#[test]
fn urgent_work_passes_periodic_work() {
    let (mut state, now) = state();
    state.wake(&"old", &"a", Lane::Periodic, now);
    state.wake(&"new", &"b", Lane::Urgent, now);
    assert_eq!(keys(&state.start_due(now).0), ["new", "old"]);
}

#[test]
fn periodic_work_is_not_starved_by_urgent_work() {
    let now = Instant::now();
    let mut state =
        State::new(Bounds { max_concurrent: 20, per_group: 1, in_all: 100, periodic: 100 });
    state.wake(&"periodic".to_owned(), &"p".to_owned(), Lane::Periodic, now);
    for name in (0..40).map(|n| format!("u{n:02}")) {
        state.wake(&name, &name, Lane::Urgent, now);
    }
    let (started, _) = state.start_due(now);
    let turn = started.iter().position(|running| running.key == "periodic");
    assert_eq!(turn, Some(16), "after sixteen urgent ones");
}

#[test]
fn a_running_object_runs_once_more_when_woken_meanwhile() {
    let (mut state, now) = state();
    state.wake(&"a", &"g", Lane::Urgent, now);
    assert_eq!(keys(&state.start_due(now).0), ["a"]);
    state.wake(&"a", &"g", Lane::Urgent, now);
    state.wake(&"a", &"g", Lane::Urgent, now);
    assert!(state.start_due(now).0.is_empty(), "never twice at the same time");
    state.finish(&"a", &Next::Idle, now, no_backoff);
    assert_eq!(keys(&state.start_due(now).0), ["a"]);
    state.finish(&"a", &Next::Idle, now, no_backoff);
    assert!(state.start_due(now).0.is_empty(), "once more, not twice more");
}

#[test]
fn a_running_object_runs_again_when_scheduled_meanwhile() {
    let (mut state, now) = state();
    let later = |seconds| now + Duration::from_secs(seconds);
    state.wake(&"a", &"g", Lane::Urgent, now);
    assert_eq!(keys(&state.start_due(now).0), ["a"]);
    state.schedule(&"a", &"g", later(5), later(5));
    state.schedule(&"a", &"g", later(7), later(7));
    state.finish(&"a", &Next::Idle, later(1), no_backoff);

    assert_eq!(state.start_due(later(1)).1, Some(later(5)));
    assert_eq!(keys(&state.start_due(later(5)).0), ["a"]);
    state.schedule(&"a", &"g", later(9), later(9));
    let sooner = Next::At { earliest: later(6), due: later(6) };
    state.finish(&"a", &sooner, later(5), no_backoff);
    assert_eq!(keys(&state.start_due(later(6)).0), ["a"]);
    state.schedule(&"a", &"g", later(9), later(9));
    state.forget(&"a");
    state.finish(&"a", &Next::Idle, later(6), no_backoff);
    assert_eq!(state.start_due(later(9)).1, None);
}

#[test]
fn what_a_reconcile_has_caught_up_with_makes_it_run_no_second_time() {
    let (mut state, now) = state();
    state.wake(&"a", &"g", Lane::Urgent, now);
    assert_eq!((state.stats(now).waiting, state.since(&"a")), (1, None));
    assert_eq!(keys(&state.start_due(now).0), ["a"]);
    assert_eq!((state.stats(now).waiting, state.since(&"a")), (0, Some(now)));
    assert!(!state.caught_up(&"a"));
    state.wake(&"a", &"g", Lane::Urgent, now);
    assert!(state.caught_up(&"a"));
    state.finish(&"a", &Next::Idle, now, no_backoff);
    assert!(state.start_due(now).0.is_empty());
    state.wake(&"a", &"g", Lane::Urgent, now);
    state.start_due(now);
    assert!(!state.caught_up(&"a"));
    state.wake(&"a", &"g", Lane::Urgent, now);
    state.finish(&"a", &Next::Idle, now, no_backoff);
    assert_eq!(keys(&state.start_due(now).0), ["a"], "woken after it had caught up");
}

#[test]
fn periodic_work_leaves_room_for_urgent_work_even_when_it_is_slow() {
    let bounds = Bounds { max_concurrent: 3, per_group: 9, in_all: 3, periodic: 2 };
    let (mut state, now) = state_within(bounds);
    for key in ["a", "b", "c"] {
        state.wake(&key, &key, Lane::Periodic, now);
    }
    assert_eq!(keys(&state.start_due(now).0), ["a", "b"]);
    state.slow(&"a");
    state.slow(&"b");
    assert!(state.start_due(now).0.is_empty());
    state.wake(&"d", &"d", Lane::Urgent, now);
    assert_eq!(keys(&state.start_due(now).0), ["d"]);
    state.finish(&"a", &Next::Idle, now, no_backoff);
    assert_eq!(keys(&state.start_due(now).0), ["c"]);
}

#[test]
fn what_waits_is_counted_wherever_it_stands() {
    let (mut state, now) = state();
    let later = now + Duration::from_secs(3);
    for key in ["a1", "a2", "a3"] {
        state.wake(&key, &"a", Lane::Periodic, now);
    }
    state.schedule(&"b1", &"b", later, later);
    state.start_due(now);
    state.wake(&"a3", &"a", Lane::Urgent, later);
    state.wake(&"c1", &"c", Lane::Periodic, later);
    state.wake(&"d1", &"d", Lane::Periodic, later);
    state.forget(&"c1");
    let stats = state.stats(later);
    assert_eq!((stats.waiting, stats.oldest_wait), (2, Duration::from_secs(3)));
    assert_eq!(keys(&state.start_due(later).0), ["d1", "b1"]);
    assert_eq!(state.stats(later).waiting, 1, "one is parked");
    state.forget(&"a3");
    assert_eq!((state.stats(later).waiting, state.stats(later).oldest_wait), (0, Duration::ZERO));
}

#[test]
fn a_group_has_bounded_work_and_others_go_on() {
    let (mut state, now) = state();
    for key in ["a1", "a2", "a3", "a4"] {
        state.wake(&key, &"a", Lane::Urgent, now);
    }
    state.wake(&"b1", &"b", Lane::Periodic, now);
    assert_eq!(keys(&state.start_due(now).0), ["a1", "a2", "b1"]);
    assert_eq!(state.stats(now).waiting, 2);
    state.finish(&"a1", &Next::Idle, now, no_backoff);
    assert_eq!(keys(&state.start_due(now).0), ["a3"]);
}

#[test]
fn slow_work_makes_room_for_others() {
    let (mut state, now) = state();
    for (key, group) in [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), ("e", "5")] {
        state.wake(&key, &group, Lane::Urgent, now);
    }
    assert_eq!(state.start_due(now).0.len(), 4);
    state.slow(&"a");
    assert_eq!(keys(&state.start_due(now).0), ["e"]);
    state.finish(&"a", &Next::Idle, now, no_backoff);
    state.finish(&"b", &Next::Idle, now, no_backoff);
    assert_eq!(state.stats(now).running, 3);
}

#[test]
fn slow_work_is_bounded_too() {
    let bounds = Bounds { max_concurrent: 2, per_group: 9, in_all: 3, periodic: 3 };
    let (mut state, now) = state_within(bounds);
    for key in ["a", "b", "c", "d"] {
        state.wake(&key, &key, Lane::Urgent, now);
    }
    assert_eq!(keys(&state.start_due(now).0), ["a", "b"]);
    state.slow(&"a");
    state.slow(&"b");
    assert_eq!(keys(&state.start_due(now).0), ["c"]);
    state.slow(&"c");
    assert!(state.start_due(now).0.is_empty());
    state.finish(&"a", &Next::Idle, now, no_backoff);
    assert_eq!(keys(&state.start_due(now).0), ["d"]);
}

#[test]
fn a_refresh_that_is_due_takes_others_of_its_group_along() {
    let (mut state, now) = state();
    let later = |seconds| now + Duration::from_secs(seconds);
    state.schedule(&"first", &"g", later(8), later(10));
    state.schedule(&"joins", &"g", later(9), later(12));
    state.schedule(&"too-early", &"g", later(11), later(15));
    state.schedule(&"other", &"h", later(9), later(12));
    assert!(state.start_due(later(9)).0.is_empty(), "nobody starts before something is due");
    let (started, next) = state.start_due(later(10));
    assert_eq!(keys(&started), ["first", "joins"]);
    assert_eq!(next, Some(later(12)));
}

#[test]
fn failures_back_off_and_are_forgotten_after_a_success() {
    let (mut state, now) = state();
    state.wake(&"a", &"g", Lane::Urgent, now);
    state.start_due(now);
    state.finish(&"a", &Next::Retry, now, |n| Duration::from_secs(u64::from(n) * 10));
    assert_eq!((state.failures(&"a"), state.stats(now).failing), (1, 1));
    assert!(state.start_due(now + Duration::from_secs(9)).0.is_empty());
    assert_eq!(keys(&state.start_due(now + Duration::from_secs(10)).0), ["a"]);
    state.finish(&"a", &Next::Idle, now, no_backoff);
    assert_eq!((state.failures(&"a"), state.stats(now).failing), (0, 0));
}

#[test]
fn a_forgotten_object_leaves_nothing_behind() {
    let (mut state, now) = state();
    state.schedule(&"a", &"g", now, now);
    state.forget(&"a");
    assert!(state.start_due(now).0.is_empty());
    state.wake(&"a", &"g", Lane::Urgent, now);
    state.start_due(now);
    state.forget(&"a");
    state.finish(&"a", &Next::Retry, now, no_backoff);
    assert_eq!(state.stats(now), QueueStats::default());
}

#[tokio::test(start_paused = true)]
async fn every_object_is_worked_on_and_never_twice_at_once() {
    let queue: Queue<usize, usize> =
        Queue::new("test", Bounds { max_concurrent: 8, per_group: 3, in_all: 100, periodic: 100 });
    for key in 0..200 {
        queue.wake(&key, &(key % 7), Lane::Urgent);
    }
    let stop = CancellationToken::new();
    let busy: Arc<StdMutex<HashMap<usize, usize>>> = Arc::default();
    let done = Arc::new(AtomicUsize::new(0));
    let runner = {
        let (queue, stop, busy, done) = (queue.clone(), stop.clone(), busy.clone(), done.clone());
        tokio::spawn(async move {
            queue
                .run(stop, move |key| {
                    let (busy, done) = (busy.clone(), done.clone());
                    async move {
                        assert!(busy.lock().unwrap().insert(key, 1).is_none());
                        tokio::time::sleep(Duration::from_millis(5)).await;
                        busy.lock().unwrap().remove(&key);
                        done.fetch_add(1, Ordering::SeqCst);
                        Next::Idle
                    }
                })
                .await;
        })
    };
    for key in 0..200 {
        queue.wake(&key, &(key % 7), Lane::Periodic);
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    stop.cancel();
    runner.await.unwrap();
    assert!(done.load(Ordering::SeqCst) >= 200);
    assert_eq!(queue.stats().waiting + queue.stats().running, 0);
}
