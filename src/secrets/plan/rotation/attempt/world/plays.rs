//! All plays, and what holds in each of them.

use std::collections::HashSet;

use super::*;

/// All ends that can be reached. What must hold always is asked of each world on the way.
fn play(setting: &Setting) -> Vec<World> {
    let (mut known, mut open, mut ends) = (HashSet::new(), vec![World::new(setting)], Vec::new());
    while let Some(world) = open.pop() {
        if known.contains(&world) {
            continue;
        }
        holds_always(&world, setting);
        let is_over = world.clusters.iter().all(Cluster::is_over)
            && world.under_way.is_empty()
            && !world.script_runs;
        if is_over {
            holds_at_the_end(&world, setting);
            ends.push(world.clone());
        } else {
            open.extend(successors(&world, setting));
        }
        known.insert(world);
        assert!(known.len() < 2_000_000, "too many worlds");
    }
    assert!(!ends.is_empty());
    ends
}

fn holds_always(world: &World, setting: &Setting) {
    let promotions: u8 = world.clusters.iter().map(|cluster| cluster.promotions).sum();
    assert!(promotions <= 1 || setting.again, "two in one due time: {world:#?}");
    assert!(at(&world.stages, CURRENT).is_some());
    for cluster in world.clusters.iter().filter(|cluster| cluster.is_over()) {
        let Some(attempt) = &cluster.attempt else { continue };
        let is_reverted = attempt.phase == Phase::Reverting;
        let is_current = at(&world.stages, CURRENT) == Some(&attempt.token);
        assert!(!(is_reverted && is_current), "taken back, and in force: {world:#?}");
    }
}

fn holds_at_the_end(world: &World, setting: &Setting) {
    let stages = &world.stages;
    for cluster in &world.clusters {
        let own = cluster.own();
        for token in (1..=cluster.attempts).map(|number| cluster.token(number)) {
            // On the current version it is in nobody's way.
            let is_current = at(stages, CURRENT) == Some(&token);
            if at(stages, PENDING) == Some(&token) && !(setting.late > 0 && is_current) {
                let found = leftover(stages, &own, cluster.last.as_deref());
                assert!(setting.late > 0 && found.is_some(), "the lock is held: {world:#?}");
            }
            let is_left = stages.get(&token).is_some_and(|labels| {
                labels.contains(&own) && !labels.contains(CURRENT) && !labels.contains(PREVIOUS)
            });
            assert!(
                !is_left || setting.lags > 0 || cluster.promotions > 0,
                "a label is left: {world:#?}"
            );
        }
        match cluster.ending {
            Some(Ending::Complete) => assert_eq!(cluster.promotions, 1, "{world:#?}"),
            Some(Ending::RolledBack) => {
                assert_eq!(cluster.promotions, 1);
                let current = at(stages, CURRENT);
                assert!(current == Some(FIRST) || current == world.foreign.as_deref());
            }
            Some(Ending::NeedsRollback) => panic!("everything can be taken back: {world:#?}"),
            _ => {}
        }
    }
    if let Some(foreign) = &world.foreign {
        assert_eq!(at(stages, CURRENT), Some(foreign.as_str()), "overwritten: {world:#?}");
    }
}

fn endings(ends: &[World], nth: usize) -> HashSet<Option<Ending>> {
    ends.iter().map(|end| end.clusters[nth].ending).collect()
}

fn only(ending: Ending) -> HashSet<Option<Ending>> {
    HashSet::from([Some(ending)])
}

#[test]
fn t16_kills_and_looks_that_lag_change_nothing_in_the_end() {
    let undisturbed = play(&PLAIN);
    assert_eq!((undisturbed.len(), endings(&undisturbed, 0)), (1, only(Ending::Complete)));
    let ends = play(&Setting { kills: 2, lags: 1, ..PLAIN });
    assert_eq!(endings(&ends, 0), only(Ending::Complete));
    assert!(ends.iter().all(|end| end.stages == undisturbed[0].stages));
    // Looks that lag by several changes may cost a rotation, and nothing else.
    play(&Setting { kills: 2, lags: 2, depth: 4, ..PLAIN });
}

#[test]
fn t19_what_is_taken_back_leaves_no_lock_whatever_looks_show() {
    for (kills, lags, depth) in [(0, 0, 1), (2, 0, 1), (1, 3, 4)] {
        let back = Setting { failing: Some(0), kills, lags, depth, ..PLAIN };
        let ends = play(&back);
        assert!(endings(&ends, 0).contains(&Some(Ending::RolledBack)));
        assert!(ends.iter().all(|end| at(&end.stages, CURRENT) == Some(FIRST)));
        play(&Setting { stops: 1, ..back });
    }
}

#[test]
fn s12_a_lock_that_comes_late_is_found_by_the_next_attempt() {
    let late = Setting { late: 1, kills: 1, stops: 1, again: true, ..PLAIN };
    let ends = play(&late);
    let again = ends.iter().filter(|end| end.clusters[0].attempts == 2);
    assert!(again.count() > 0);
    assert!(endings(&ends, 0).contains(&Some(Ending::Complete)));
}

#[test]
fn t17_two_clusters_never_bring_two_values_into_force() {
    for failing in [None, Some(0)] {
        for (kills, lags, depth) in [(1, 1, 1), (0, 1, 4)] {
            let two = Setting { clusters: 2, failing, kills, lags, depth, ..PLAIN };
            let ends = play(&two);
            let is_in_force = |end: &World| end.clusters.iter().any(|one| one.promotions == 1);
            assert!(ends.iter().any(is_in_force));
        }
    }
}

#[test]
fn t18_values_of_others_are_never_overwritten() {
    for failing in [None, Some(0)] {
        let busy = Setting { by_hand: 1, scripts: 1, failing, ..PLAIN };
        assert!(play(&busy).len() > 3);
        play(&Setting { kills: 1, lags: 1, depth: 2, ..busy });
        play(&Setting { clusters: 2, scripts: 0, ..busy });
    }
}
