//! No object is lost, whatever waits beside it, and groups get their turns.

use std::collections::BTreeSet;

use super::*;

/// Finding: objects are lost in the queue, case A. Those that waited were deleted, and what waited behind them
/// was never reconciled.
#[test]
fn q1_what_waits_behind_deleted_objects_is_handed_out() {
    let now = Instant::now();
    let mut state =
        State::new(Bounds { max_concurrent: 128, per_group: 64, in_all: 4096, periodic: 4096 });
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
    assert_eq!((state.stats(now).waiting, state.stats(now).running), (0, 50));
}

/// Finding: objects are lost in the queue, case B. After a restart everything is due, then woken as urgent when
/// the store is ready; what was left of that ate the room of the next burst.
#[test]
fn q1_a_burst_after_a_restart_is_handed_out_whole() {
    let now = Instant::now();
    let mut state =
        State::new(Bounds { max_concurrent: 128, per_group: 64, in_all: 4096, periodic: 4096 });
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
    assert_eq!(state.stats(now).waiting, 0);
}

#[test]
fn q1_a_group_with_a_long_line_lets_others_have_their_turn() {
    let now = Instant::now();
    let mut state = State::new(Bounds { max_concurrent: 1, per_group: 1, in_all: 1, periodic: 1 });
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
    assert!(state.wake(&"moves", &"new", Lane::Urgent, now), "the loop must turn");
    assert_eq!(keys(&state.start_due(now).0), ["moves"]);
    assert_eq!(state.stats(now).waiting, 0);
}

/// Runs everything with a pause that `pause` gives, and returns what was done.
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

const AS_RELEASED: Bounds =
    Bounds { max_concurrent: 128, per_group: 64, in_all: 4096, periodic: 4096 };

#[tokio::test(start_paused = true)]
async fn q1_objects_behind_deleted_ones_are_worked_on() {
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
async fn q1_a_burst_after_a_restart_is_worked_on() {
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
