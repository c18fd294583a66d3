use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Mutex as StdMutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::*;

mod fenced_writes;
mod model;
mod random;

const BOUNDS: Bounds = Bounds { places: 4, per_group: 2, in_all: 100, periodic: 100 };

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
    let mut state = State::new(Bounds { places: 20, per_group: 1, in_all: 100, periodic: 100 });
    state.wake(&"periodic".to_owned(), &"p".to_owned(), Lane::Periodic, now);
    for name in (0..40).map(|n| format!("u{n:02}")) {
        state.wake(&name, &name, Lane::Urgent, now);
    }
    let (started, _) = state.start_due(now);
    let turn = started.iter().position(|running| running.key == "periodic");
    assert_eq!(turn, Some(16), "after sixteen urgent ones");
}

#[test]
fn an_object_under_way_runs_once_more_when_woken_meanwhile() {
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
fn an_object_under_way_is_looked_at_again_when_scheduled_meanwhile() {
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
fn what_a_look_has_caught_up_with_makes_it_run_no_second_time() {
    let (mut state, now) = state();
    state.wake(&"a", &"g", Lane::Urgent, now);
    assert_eq!((state.figures(now).waiting, state.since(&"a")), (1, None));
    assert_eq!(keys(&state.start_due(now).0), ["a"]);
    assert_eq!((state.figures(now).waiting, state.since(&"a")), (0, Some(now)));
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
    let bounds = Bounds { places: 3, per_group: 9, in_all: 3, periodic: 2 };
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
    let figures = state.figures(later);
    assert_eq!((figures.waiting, figures.oldest_wait), (2, Duration::from_secs(3)));
    assert_eq!(keys(&state.start_due(later).0), ["d1", "b1"]);
    assert_eq!(state.figures(later).waiting, 1, "one is parked");
    state.forget(&"a3");
    assert_eq!(
        (state.figures(later).waiting, state.figures(later).oldest_wait),
        (0, Duration::ZERO)
    );
}

#[test]
fn a_group_has_bounded_work_and_others_go_on() {
    let (mut state, now) = state();
    for key in ["a1", "a2", "a3", "a4"] {
        state.wake(&key, &"a", Lane::Urgent, now);
    }
    state.wake(&"b1", &"b", Lane::Periodic, now);
    assert_eq!(keys(&state.start_due(now).0), ["a1", "a2", "b1"]);
    assert_eq!(state.figures(now).waiting, 2);
    state.finish(&"a1", &Next::Idle, now, no_backoff);
    assert_eq!(keys(&state.start_due(now).0), ["a3"]);
}

#[test]
fn slow_work_gives_its_place_back() {
    let (mut state, now) = state();
    for (key, group) in [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), ("e", "5")] {
        state.wake(&key, &group, Lane::Urgent, now);
    }
    assert_eq!(state.start_due(now).0.len(), 4);
    state.slow(&"a");
    assert_eq!(keys(&state.start_due(now).0), ["e"]);
    state.finish(&"a", &Next::Idle, now, no_backoff);
    state.finish(&"b", &Next::Idle, now, no_backoff);
    assert_eq!(state.figures(now).running, 3);
}

#[test]
fn slow_work_is_bounded_too() {
    let bounds = Bounds { places: 2, per_group: 9, in_all: 3, periodic: 3 };
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
    assert_eq!((state.failures(&"a"), state.figures(now).failing), (1, 1));
    assert!(state.start_due(now + Duration::from_secs(9)).0.is_empty());
    assert_eq!(keys(&state.start_due(now + Duration::from_secs(10)).0), ["a"]);
    state.finish(&"a", &Next::Idle, now, no_backoff);
    assert_eq!((state.failures(&"a"), state.figures(now).failing), (0, 0));
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
    assert_eq!(state.figures(now), Figures::default());
}

/// Finding: objects are lost in the queue, case A. Those that waited were deleted, and what waited behind them
/// was never looked at.
#[test]
fn what_waits_behind_deleted_objects_is_handed_out() {
    let now = Instant::now();
    let mut state = State::new(Bounds { places: 128, per_group: 64, in_all: 4096, periodic: 4096 });
    for key in 0..234 {
        state.wake(&key, &"shared", Lane::Urgent, now);
    }
    let first: Vec<u32> = state.start_due(now).0.into_iter().map(|running| running.key).collect();
    assert_eq!(first, (0..64).collect::<Vec<_>>());
    for doomed in 64..184 {
        state.forget(&doomed);
    }
    state.audit();
    let mut late = Vec::new();
    for key in first {
        state.finish(&key, &Next::Idle, now, no_backoff);
        late.extend(state.start_due(now).0.into_iter().map(|running| running.key));
    }
    assert_eq!(late, (184..234).collect::<Vec<_>>());
    assert_eq!((state.figures(now).waiting, state.figures(now).running), (0, 50));
}

/// Finding: objects are lost in the queue, case B. After a restart everything is due, then woken as urgent when
/// the store is ready; what was left of that ate the places of the next burst.
#[test]
fn a_burst_after_a_restart_is_handed_out_whole() {
    let now = Instant::now();
    let mut state = State::new(Bounds { places: 128, per_group: 64, in_all: 4096, periodic: 4096 });
    for key in 0..300 {
        state.wake(&key, &"shared", Lane::Periodic, now);
        // The lists are still coming in when the store becomes ready.
        for known in 0..=key {
            state.wake(&known, &"shared", Lane::Urgent, now);
        }
    }
    let run_all = |state: &mut State<u32, &str>| {
        let mut done = 0;
        loop {
            let (started, _) = state.start_due(now);
            state.audit();
            if started.is_empty() {
                return done;
            }
            assert!(started.len() <= 64);
            for running in started {
                state.finish(&running.key, &Next::Idle, now, no_backoff);
                done += 1;
            }
        }
    };
    assert_eq!(run_all(&mut state), 300);
    for key in 300..500 {
        state.wake(&key, &"shared", Lane::Urgent, now);
    }
    assert_eq!(run_all(&mut state), 200);
    assert_eq!(state.figures(now).waiting, 0);
}

#[test]
fn a_group_with_a_long_line_lets_others_have_their_turn() {
    let now = Instant::now();
    let mut state = State::new(Bounds { places: 1, per_group: 1, in_all: 1, periodic: 1 });
    for key in 0..10_000 {
        state.wake(&key, &"crowd", Lane::Urgent, now);
    }
    state.wake(&10_000, &"single", Lane::Urgent, now);
    let mut before = 0;
    loop {
        let (started, _) = state.start_due(now);
        let key = started[0].key;
        if key == 10_000 {
            break;
        }
        state.finish(&key, &Next::Idle, now, no_backoff);
        before += 1;
    }
    assert_eq!(before, 20, "one batch, and not the whole line");
}

#[test]
fn an_object_that_changes_its_group_while_it_runs_counts_where_it_started() {
    let (mut state, now) = state_within(Bounds { per_group: 1, ..BOUNDS });
    state.wake(&"moves", &"old", Lane::Urgent, now);
    assert_eq!(keys(&state.start_due(now).0), ["moves"]);
    state.wake(&"moves", &"new", Lane::Urgent, now);
    state.wake(&"old", &"old", Lane::Urgent, now);
    state.wake(&"new", &"new", Lane::Urgent, now);
    assert_eq!(keys(&state.start_due(now).0), ["new"], "the bound of the old group is reached");
    state.finish(&"moves", &Next::Idle, now, no_backoff);
    assert_eq!(
        keys(&state.start_due(now).0),
        ["old"],
        "it is in line behind the new group's bound"
    );
    state.finish(&"new", &Next::Idle, now, no_backoff);
    assert_eq!(keys(&state.start_due(now).0), ["moves"]);
    state.audit();
}

#[test]
fn a_ready_object_that_changes_its_group_waits_behind_that_one() {
    let (mut state, now) = state_within(Bounds { per_group: 1, ..BOUNDS });
    state.wake(&"first", &"old", Lane::Urgent, now);
    state.start_due(now);
    state.wake(&"moves", &"old", Lane::Urgent, now);
    assert!(state.start_due(now).0.is_empty());
    assert!(state.wake(&"moves", &"new", Lane::Urgent, now), "the loop must look again");
    assert_eq!(keys(&state.start_due(now).0), ["moves"]);
    assert_eq!(state.figures(now).waiting, 0);
}

const LIMITS: Limits = Limits { idle: Duration::from_mins(2), hung: Duration::from_mins(15) };

#[test]
fn a_queue_is_stuck_when_work_waits_and_nothing_finishes() {
    let (mut state, now) = state();
    let later = now + Duration::from_mins(3);
    state.begin(now);
    assert_eq!(state.stuck(later, LIMITS), None, "nothing to do is not stuck");
    for key in ["a1", "a2", "a3"] {
        state.wake(&key, &"a", Lane::Urgent, now);
    }
    state.start_due(now);
    let stuck = state.stuck(later, LIMITS).expect("two hang and one waits");
    assert_eq!((stuck.cause, stuck.waiting, stuck.running), (Cause::NothingFinishes, 1, 2));
    assert_eq!(stuck.idle, Duration::from_mins(3));
    assert_eq!(
        explain("test", &stuck),
        "queue test is stuck: 1 objects wait, the oldest for 180 s, and none of the 2 that run finished for 180 s"
    );
    state.finish(&"a1", &Next::Idle, later, no_backoff);
    assert_eq!(state.stuck(later, LIMITS), None, "something finished");
}

/// Finding: one watch that cannot list kills the whole process.
#[test]
fn a_queue_that_may_not_begin_yet_is_not_stuck() {
    let (mut state, now) = state();
    let later = now + Duration::from_hours(1);
    state.wake(&"a", &"g", Lane::Urgent, now);
    assert_eq!(state.stuck(later, LIMITS), None);
    state.begin(later);
    assert_eq!(state.stuck(later + Duration::from_mins(1), LIMITS), None, "it has just begun");
    let stuck = state.stuck(later + Duration::from_mins(3), LIMITS).expect("nobody starts it");
    assert_eq!((stuck.cause, stuck.idle), (Cause::NotStarted, Duration::from_mins(3)));
    state.end();
    assert_eq!(state.stuck(later + Duration::from_mins(3), LIMITS), None, "it has ended");
}

#[test]
fn a_group_that_nobody_starts_is_stuck_however_well_others_do() {
    let (mut state, now) = state();
    state.begin(now);
    state.wake(&"stands", &"a", Lane::Urgent, now);
    let mut time = now;
    for _ in 0..6 {
        time += Duration::from_secs(30);
        // What a queue that forgets a group would do: only the other group goes on.
        state.wake(&"goes", &"b", Lane::Urgent, time);
        state.start_only(&"goes", time);
        state.finish(&"goes", &Next::Idle, time, no_backoff);
    }
    state.schedule(&"goes", &"b", time + Duration::from_hours(1), time + Duration::from_hours(1));
    let stuck = state.stuck(time, LIMITS).expect("a stands still");
    assert_eq!((stuck.cause, stuck.group), (Cause::NotStarted, Some("a")));
    let text = explain("test", &stuck);
    assert!(text.contains("1 objects of \"a\" wait although there is room"), "{text}");
    state.start_due(time);
    assert_eq!(state.stuck(time, LIMITS), None);
}

#[test]
fn a_slow_provider_is_told_apart_from_work_that_nobody_starts() {
    let (mut state, now) = state();
    state.begin(now);
    for key in ["a1", "a2", "a3"] {
        state.wake(&key, &"slow", Lane::Urgent, now);
    }
    let mut time = now;
    state.start_due(time);
    for minute in 1..=16 {
        time = now + Duration::from_mins(minute);
        state.wake(&"b", &"b", Lane::Urgent, time);
        assert_eq!(keys(&state.start_due(time).0), ["b"]);
        let stuck = state.stuck(time, LIMITS);
        assert_eq!(stuck.is_some(), minute > 15, "minute {minute}");
        state.finish(&"b", &Next::Idle, time, no_backoff);
    }
    state.schedule(&"b", &"b", time + Duration::from_hours(1), time + Duration::from_hours(1));
    let text = explain("test", &state.stuck(time, LIMITS).expect("two hang"));
    assert!(text.contains("1 objects of \"slow\" wait behind 2 others of \"slow\""), "{text}");
    assert!(text.contains("the provider hangs; other work goes on"), "{text}");
}

#[test]
fn a_full_queue_is_not_stuck_while_it_works() {
    let bounds = Bounds { places: 1, per_group: 1, in_all: 1, periodic: 1 };
    let (mut state, now) = state_within(bounds);
    state.begin(now);
    state.wake(&"long", &"a", Lane::Urgent, now);
    state.start_due(now);
    state.wake(&"waits", &"b", Lane::Urgent, now);
    for second in (1..300).step_by(5) {
        state.start_due(now + Duration::from_secs(second));
    }
    let done = now + Duration::from_mins(5);
    state.finish(&"long", &Next::Idle, done, no_backoff);
    assert_eq!(state.stuck(done, LIMITS), None, "room has only just come");
}

#[test]
fn backoff_grows_is_bounded_and_differs_between_keys() {
    let pauses: Vec<_> = (1..20).map(|n| backoff(&"a", n)).collect();
    assert!(pauses[0] >= Duration::from_millis(800) && pauses[0] <= Duration::from_secs(1));
    assert!(pauses.iter().all(|p| *p <= LONGEST_RETRY));
    assert!(pauses[18] >= LONGEST_RETRY * 4 / 5);
    assert_ne!(backoff(&"a", 5), backoff(&"b", 5));
}

#[tokio::test(start_paused = true)]
async fn every_object_is_worked_on_and_never_twice_at_once() {
    let queue: Queue<usize, usize> =
        Queue::new("test", Bounds { places: 8, per_group: 3, in_all: 100, periodic: 100 });
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
    assert_eq!(queue.figures().waiting + queue.figures().running, 0);
}

/// Runs everything with a pause that `pause` gives, and tells what was done.
fn worker(
    queue: &Queue<usize, &'static str>,
    stop: &CancellationToken,
    pause: fn(usize) -> Duration,
) -> (tokio::task::JoinHandle<()>, Arc<StdMutex<BTreeSet<usize>>>) {
    let done: Arc<StdMutex<BTreeSet<usize>>> = Arc::default();
    let (queue, stop, into) = (queue.clone(), stop.clone(), done.clone());
    let work = move |key| {
        let into = into.clone();
        async move {
            tokio::time::sleep(pause(key)).await;
            into.lock().unwrap().insert(key);
            Next::Idle
        }
    };
    (tokio::spawn(async move { queue.run(stop, work).await }), done)
}

const AS_RELEASED: Bounds = Bounds { places: 128, per_group: 64, in_all: 4096, periodic: 4096 };

#[tokio::test(start_paused = true)]
async fn objects_behind_deleted_ones_are_worked_on() {
    let (queue, stop) = (Queue::new("test", AS_RELEASED), CancellationToken::new());
    let pause = |key| if key < 64 { Duration::from_secs(15) } else { Duration::from_millis(5) };
    let (runner, done) = worker(&queue, &stop, pause);
    for key in 0..234 {
        queue.wake(&key, &"shared", Lane::Urgent);
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    for doomed in 64..184 {
        queue.forget(&doomed);
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(done.lock().unwrap().len(), 64 + 50);
    stop.cancel();
    runner.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_burst_after_a_restart_is_worked_on() {
    let (queue, stop) = (Queue::new("test", AS_RELEASED), CancellationToken::new());
    for lane in [Lane::Periodic, Lane::Urgent] {
        for key in 0..300 {
            queue.wake(&key, &"shared", lane);
        }
    }
    let (runner, done) = worker(&queue, &stop, |_| Duration::from_millis(1500));
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(done.lock().unwrap().len(), 300);
    for key in 300..500 {
        queue.wake(&key, &"shared", Lane::Urgent);
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(done.lock().unwrap().len(), 500);
    stop.cancel();
    runner.await.unwrap();
}
