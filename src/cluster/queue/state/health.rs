//! When a queue counts as stuck.
//!
//! Evaluated per group, so that the progress of one store does not hide that another one stands still. It reads
//! lines and bounds, and not the rounds that decide what is handed out: a mistake there is seen, too.

use std::{
    hash::Hash,
    time::{Duration, Instant},
};

use super::{State, groups::Group};
use crate::lane::Lane;

/// How long nothing may happen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Objects are ready and have room, or nothing at all finishes.
    pub(crate) idle: Duration,
    /// Nothing of a group that is at its bound finishes, while others do. Longer than any provider may be
    /// slow: every call has a deadline.
    pub(crate) hung: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A group has ready objects and room, and none is started.
    NotStarted,
    /// Objects are ready, and nothing of the whole queue finishes.
    NothingFinishes,
    /// A group is at its bound and nothing of it finishes. Others go on.
    GroupHangs,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stuck<G> {
    pub(crate) cause: Cause,
    /// Which group, if the cause is one of a group and there are several.
    pub(crate) group: Option<G>,
    /// Objects that are ready, in the group or in all.
    pub(crate) waiting: usize,
    /// Objects that run, in the group or in all.
    pub(crate) running: usize,
    pub(crate) oldest_wait: Duration,
    /// For how long nothing has happened.
    pub(crate) idle: Duration,
}

impl<K, G> State<K, G>
where
    K: Clone + Ord + Hash,
    G: Clone + Ord + Hash,
{
    /// Why the queue is stuck, if it is. A queue that was not allowed to begin yet never is.
    pub(crate) fn stuck(&self, now: Instant, limits: Limits) -> Option<Stuck<G>> {
        let began = self.began?;
        self.not_started(began, now, limits.idle)
            .or_else(|| self.nothing_finishes(began, now, limits.idle))
            .or_else(|| self.group_hangs(began, now, limits.hung))
    }

    fn not_started(&self, began: Instant, now: Instant, limit: Duration) -> Option<Stuck<G>> {
        self.worst(Cause::NotStarted, now, limit, |group, lane, since| {
            let has_room = group.running < self.books.bounds.per_group && self.books.has_room(lane);
            let moments = [Some(since), group.moved, *self.full.get(lane)];
            has_room.then(|| moments.into_iter().flatten().fold(began, Instant::max))
        })
    }

    fn nothing_finishes(&self, began: Instant, now: Instant, limit: Duration) -> Option<Stuck<G>> {
        let oldest = self.books.ready.first()?.since;
        let quiet_since = self.last_finish.map_or(began, |finish| finish.max(began));
        let idle = now.saturating_duration_since(quiet_since);
        let oldest_wait = now.saturating_duration_since(oldest);
        (idle > limit && oldest_wait > limit).then(|| Stuck {
            cause: Cause::NothingFinishes,
            group: None,
            waiting: self.books.ready.len(),
            running: self.books.running,
            oldest_wait,
            idle,
        })
    }

    fn group_hangs(&self, began: Instant, now: Instant, limit: Duration) -> Option<Stuck<G>> {
        self.worst(Cause::GroupHangs, now, limit, |group, _, since| {
            let is_full = group.running >= self.books.bounds.per_group;
            let moments = [Some(since), group.moved];
            is_full.then(|| moments.into_iter().flatten().fold(began, Instant::max))
        })
    }

    /// The group of which `quiet_since` says that nothing has happened for longest, if longer than `limit`.
    fn worst(
        &self,
        cause: Cause,
        now: Instant,
        limit: Duration,
        quiet_since: impl Fn(&Group<K>, Lane, Instant) -> Option<Instant>,
    ) -> Option<Stuck<G>> {
        let groups = &self.books.groups.by_name;
        let lines = groups.iter().flat_map(|(name, group)| {
            Lane::ALL.iter().filter_map(move |lane| {
                let since = group.lines.get(*lane).first_key_value()?.0.since;
                Some((name, group, *lane, since))
            })
        });
        let quiet = lines.filter_map(|(name, group, lane, since)| {
            let idle = now.saturating_duration_since(quiet_since(group, lane, since)?);
            (idle > limit).then_some((idle, name, group, since))
        });
        let (idle, name, group, since) = quiet.max_by_key(|(idle, name, ..)| (*idle, *name))?;
        Some(Stuck {
            cause,
            group: (groups.len() > 1).then(|| name.clone()),
            waiting: Lane::ALL.iter().map(|lane| group.lines.get(*lane).len()).sum(),
            running: group.running,
            oldest_wait: now.saturating_duration_since(since),
            idle,
        })
    }
}
