//! When a queue counts as stuck.

use super::*;

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
fn q3_a_queue_that_may_not_begin_yet_is_not_stuck() {
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
fn q1_a_group_that_nobody_starts_is_stuck_however_well_others_do() {
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
    let bounds = Bounds { max_concurrent: 1, per_group: 1, in_all: 1, periodic: 1 };
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
