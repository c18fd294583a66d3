use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const LABEL: &str = "GABION-0123456789abcdef";
const TOKEN: &str = "token";

/// Secrets Manager with as few words as it takes: labels, and the ids of all versions that ever were.
#[derive(Clone, Default)]
struct Model {
    stages: Stages,
    versions: BTreeSet<String>,
    promotions: usize,
}

impl Model {
    fn new() -> Self {
        let mut model = Self::default();
        model.put("old", CURRENT);
        model
    }

    fn put(&mut self, id: &str, label: &str) {
        self.versions.insert(id.to_owned());
        moved(&mut self.stages, label, Some(id));
    }

    /// Whether it was done: a label is moved from where it is, and from nowhere else.
    fn try_move(&mut self, label: &str, to: Option<&str>, from: Option<&str>) -> bool {
        if at(&self.stages, label) != from {
            return false;
        }
        self.promotions += usize::from(label == CURRENT && to == Some(TOKEN));
        moved(&mut self.stages, label, to);
        true
    }
}

/// What a second writer does.
#[derive(Clone, Copy, Debug)]
enum Other {
    /// Puts a value by hand.
    Puts,
    /// Takes the lock, as AWS's rotation does.
    Locks,
    /// Moves the current label back to the old version by hand.
    TakesBack,
}

/// One play: what happens before which step.
#[derive(Clone, Debug, Default)]
struct Play {
    /// The process ends after these effects, and their answers are lost.
    kills: BTreeSet<usize>,
    other: Option<(usize, Other)>,
    timed_out: bool,
    /// The first look after the promotion shows what was before it.
    lags: bool,
}

fn first() -> Attempt {
    Attempt {
        number: 1,
        phase: Phase::Creating,
        token: TOKEN.to_owned(),
        from: "old".to_owned(),
        previous: None,
        since: Timestamp::UNIX_EPOCH,
        promoted_at: None,
        cause: None,
    }
}

/// Plays an attempt to its end. The number of steps, and how it ended.
fn play(play: &Play) -> (Model, Ending, usize) {
    let (mut aws, mut stored, mut seen) = (Model::new(), first(), None::<Stages>);
    let (mut puts, mut foreign) = (0, None);
    let (mut now, mut lags) = (Timestamp::UNIX_EPOCH, play.lags);
    let mut proved = Proved::default();
    for step in 0..200 {
        match play.other {
            Some((when, Other::Puts)) if when == step => {
                aws.put("foreign", CURRENT);
                foreign = Some(CURRENT);
            }
            Some((when, Other::Locks)) if when == step && !aws.stages.contains_key("foreign") => {
                aws.put("foreign", PENDING);
                foreign = Some(PENDING);
            }
            Some((when, Other::TakesBack)) if when == step => {
                moved(&mut aws.stages, CURRENT, Some("old"));
            }
            _ => {}
        }
        let consumers = if play.timed_out { Consumers::TimedOut } else { Consumers::Synced };
        let facts = Facts { label: LABEL, proved, consumers, automatic: true, stop: None, now };
        let done = match next(&stored, seen.as_ref(), &facts) {
            Step::Describe => {
                let mut shown = aws.stages.clone();
                if stored.phase == Phase::Propagating && std::mem::take(&mut lags) {
                    moved(&mut shown, CURRENT, Some("old"));
                }
                seen = Some(shown);
                true
            }
            Step::Write(attempt) => {
                // What is about to be promoted or put back is looked at once more.
                if matches!(attempt.phase, Phase::Promoting | Phase::Reverting) {
                    seen = None;
                }
                (stored, proved) = (attempt, Proved::default());
                true
            }
            Step::Put => {
                puts += usize::from(!aws.versions.contains(TOKEN));
                if !aws.versions.contains(TOKEN) {
                    aws.put(TOKEN, LABEL);
                }
                if let Some(seen) = &mut seen {
                    moved(seen, LABEL, Some(TOKEN));
                }
                true
            }
            Step::Move { label, to, from } => {
                let done = aws.try_move(&label, to.as_deref(), from.as_deref());
                proved.note(&label, if done { Answer::Moved } else { Answer::Elsewhere });
                match &mut seen {
                    Some(seen) if done => moved(seen, &label, to.as_deref()),
                    Some(shown) if at(shown, &label) == from.as_deref() => seen = None,
                    _ => {}
                }
                true
            }
            Step::Wait => {
                now += LAG;
                seen = None;
                true
            }
            Step::End(ending) => {
                assert!(puts <= 1, "{puts} versions");
                if let Some(label) = foreign {
                    assert_eq!(at(&aws.stages, label), Some("foreign"), "{play:?} {ending:?}");
                }
                return (aws, ending, step);
            }
        };
        if !done || play.kills.contains(&step) {
            (seen, proved) = (None, Proved::default());
        }
    }
    panic!("no end: {play:?} {stored:?} {:?}", aws.stages);
}

#[test]
fn t16_a_kill_after_any_effect_changes_nothing() {
    let (undisturbed, ending, steps) = play(&Play::default());
    assert_eq!((ending, undisturbed.promotions), (Ending::Complete, 1));
    assert_eq!(at(&undisturbed.stages, CURRENT), Some(TOKEN));
    assert_eq!(at(&undisturbed.stages, PREVIOUS), Some("old"));
    assert_eq!(at(&undisturbed.stages, PENDING), None);
    for first in 0..=steps {
        for second in first..=steps {
            let kills = BTreeSet::from([first, second]);
            let (aws, ending, _) = play(&Play { kills: kills.clone(), ..Play::default() });
            assert_eq!((&aws.stages, ending), (&undisturbed.stages, Ending::Complete), "{kills:?}");
            assert_eq!((aws.promotions, aws.versions.len()), (1, 2), "{kills:?}");
        }
    }
}

#[test]
fn a_look_that_lags_takes_nothing_back() {
    for kill in 0..20 {
        let (kills, lags) = (BTreeSet::from([kill]), true);
        let (aws, ending, _) = play(&Play { kills, lags, ..Play::default() });
        assert_eq!((ending, aws.promotions), (Ending::Complete, 1), "{kill}");
        assert_eq!(at(&aws.stages, CURRENT), Some(TOKEN), "{kill}");
    }
}

#[test]
fn t19_what_consumers_do_not_get_is_put_back() {
    let (undisturbed, ending, steps) = play(&Play { timed_out: true, ..Play::default() });
    assert_eq!(ending, Ending::RolledBack);
    assert_eq!(at(&undisturbed.stages, CURRENT), Some("old"));
    for kill in 0..=steps {
        let (kills, timed_out) = (BTreeSet::from([kill]), true);
        let (aws, ending, _) = play(&Play { kills, timed_out, ..Play::default() });
        assert_eq!((&aws.stages, ending), (&undisturbed.stages, Ending::RolledBack), "{kill}");
        assert_eq!(aws.promotions, 1, "{kill}");
    }
}

#[test]
fn s5_a_deletion_or_a_long_wait_before_promotion_puts_back() {
    for (stop, now, expected) in [
        (Some(Ending::Deleted), Timestamp::UNIX_EPOCH, Ending::Deleted),
        (None, Timestamp::UNIX_EPOCH + SignedDuration::from_mins(16), Ending::TimedOut),
    ] {
        for phase in [Phase::Creating, Phase::Claiming, Phase::Promoting] {
            let mut aws = Model::new();
            aws.put(TOKEN, LABEL);
            aws.put(TOKEN, PENDING);
            let attempt = Attempt { phase, ..first() };
            let consumers = Consumers::Waiting;
            let proved = Proved::default();
            let facts = Facts { label: LABEL, proved, consumers, automatic: true, stop, now };
            let step = next(&attempt, Some(&aws.stages), &facts);
            assert_eq!(step, attempt.reverting(expected), "{phase:?}");
        }
    }
}

#[test]
fn s12_a_lock_of_ours_that_no_attempt_knows_is_found() {
    let mut aws = Model::new();
    assert_eq!(leftover(&aws.stages, LABEL, None), None);
    aws.put("lost", LABEL);
    assert_eq!(leftover(&aws.stages, LABEL, None), None);
    aws.put("lost", PENDING);
    assert_eq!(leftover(&aws.stages, LABEL, None), Some("lost"));
    assert_eq!(leftover(&aws.stages, "GABION-other", None), None);
    assert_eq!(leftover(&aws.stages, "GABION-other", Some("lost")), Some("lost"));
    moved(&mut aws.stages, CURRENT, Some("lost"));
    assert_eq!(leftover(&aws.stages, LABEL, None), None);
    // Somebody put another value since.
    aws.put("by hand", CURRENT);
    assert_eq!(leftover(&aws.stages, LABEL, None), Some("lost"));
}

#[test]
fn t17_a_label_tells_that_another_one_rotates() {
    let mut aws = Model::new();
    aws.put("new", LABEL);
    assert_eq!(foreign(&aws.stages, "GABION-other"), None, "nothing came of it");
    moved(&mut aws.stages, CURRENT, Some("new"));
    assert_eq!(foreign(&aws.stages, "GABION-other"), Some(LABEL));
    assert_eq!(foreign(&aws.stages, LABEL), None);
    moved(&mut aws.stages, CURRENT, Some("old"));
    assert_eq!(foreign(&aws.stages, "GABION-other"), Some(LABEL), "and came back");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn t18_what_somebody_else_does_meanwhile_stays(
        kills in proptest::collection::btree_set(0_usize..25, 0..4),
        when in 0_usize..25,
        other in prop_oneof![Just(Other::Puts), Just(Other::Locks), Just(Other::TakesBack)],
        timed_out in any::<bool>(),
    ) {
        let (aws, ending, steps) = play(&Play { kills, other: Some((when, other)), timed_out, lags: false });
        prop_assert!(aws.promotions <= 1);
        prop_assert!(aws.versions.len() <= 3);
        prop_assert!(at(&aws.stages, PENDING) != Some(TOKEN));
        let current = at(&aws.stages, CURRENT);
        match ending {
            Ending::Complete => prop_assert!(current == Some(TOKEN) || when >= steps || matches!(other, Other::Puts | Other::TakesBack)),
            // Somebody may put a value after the last move and before the last word.
            Ending::RolledBack => prop_assert!(matches!(current, Some("old" | "foreign"))),
            _ => prop_assert!(current != Some(TOKEN)),
        }
    }
}
