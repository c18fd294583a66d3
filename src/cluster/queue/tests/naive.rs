//! The queue as one would write it if it never held more than a handful of objects: a plain list, scanned anew
//! for every question.

use super::*;
use crate::cluster::queue::state::audit::{A_TURN, IN_A_ROW};

pub(super) type Key = u8;
pub(super) type Group = u8;

#[derive(Clone, Debug)]
pub(super) enum Answer {
    Idle,
    At(u64, u64),
    Retry,
    RetryAfter(u64),
}

pub(super) fn pause_after(failures: u32) -> u64 {
    u64::from(failures.min(5)) * 2
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Doing {
    Idle,
    Waiting { earliest: u64, due: u64 },
    Ready { since: u64, number: u64, lane: Lane },
    Running(Run),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Run {
    pub(super) counts_in: Group,
    pub(super) lane: Lane,
    pub(super) slow: bool,
    pub(super) since: u64,
    pub(super) again: Option<Lane>,
    pub(super) later: Option<(u64, u64)>,
    pub(super) gone: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) key: Key,
    pub(super) group: Group,
    pub(super) doing: Doing,
    pub(super) failures: u32,
}

/// The queue as one would write it if it never held more than a handful of objects.
pub(super) struct Naive {
    pub(super) bounds: Bounds,
    pub(super) now: u64,
    pub(super) objects: Vec<Object>,
    /// Of each lane, in the order of lanes.
    pub(super) rounds: [Vec<(Group, u32)>; 3],
    pub(super) joined: u64,
    pub(super) passed: [u32; 3],
}

impl Naive {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            now: 0,
            objects: Vec::new(),
            rounds: [const { Vec::new() }; 3],
            joined: 0,
            passed: [0; 3],
        }
    }

    pub(super) fn object(&mut self, key: Key) -> Option<&mut Object> {
        self.objects.iter_mut().find(|object| object.key == key)
    }

    pub(super) fn runs(&self) -> Vec<(Key, Run)> {
        let mut runs: Vec<_> = self
            .objects
            .iter()
            .filter_map(|object| match object.doing {
                Doing::Running(run) => Some((object.key, run)),
                _ => None,
            })
            .collect();
        runs.sort_by_key(|(key, _)| *key);
        runs
    }

    pub(super) fn assign(&mut self, key: Key, group: Group) -> &mut Object {
        if self.object(key).is_none() {
            self.objects.push(Object { key, group, doing: Doing::Idle, failures: 0 });
        }
        self.object(key).unwrap().group = group;
        self.update_rounds();
        self.object(key).unwrap()
    }

    pub(super) fn set(&mut self, key: Key, doing: Doing) {
        self.object(key).unwrap().doing = doing;
        self.update_rounds();
    }

    pub(super) fn line_up(&mut self, key: Key, lane: Lane, since: u64) {
        self.joined += 1;
        let number = self.joined;
        self.set(key, Doing::Ready { since, number, lane });
    }

    pub(super) fn plan(&mut self, key: Key, earliest: u64, due: u64) {
        match &mut self.object(key).unwrap().doing {
            Doing::Running(run) => {
                run.gone = false;
                if run.later.is_none_or(|(_, planned)| due < planned) {
                    run.later = Some((earliest, due));
                }
            }
            Doing::Waiting { due: planned, .. } if *planned <= due => {}
            Doing::Ready { .. } => {}
            Doing::Idle | Doing::Waiting { .. } => self.set(key, Doing::Waiting { earliest, due }),
        }
    }

    pub(super) fn wake(&mut self, key: Key, group: Group, lane: Lane) {
        let now = self.now;
        match &mut self.assign(key, group).doing {
            Doing::Running(run) => {
                run.gone = false;
                run.again = run.again.into_iter().chain([lane]).min();
            }
            Doing::Ready { lane: present, .. } => {
                *present = lane.min(*present);
                self.update_rounds();
            }
            Doing::Idle | Doing::Waiting { .. } => self.line_up(key, lane, now),
        }
    }

    pub(super) fn forget(&mut self, key: Key) {
        let Some(object) = self.object(key) else { return };
        object.failures = 0;
        if let Doing::Running(run) = &mut object.doing {
            *run = Run { again: None, later: None, gone: true, ..*run };
        } else {
            self.objects.retain(|object| object.key != key);
            self.update_rounds();
        }
    }

    pub(super) fn finish(&mut self, key: Key, answer: &Answer) {
        let now = self.now;
        let object = self.object(key).unwrap();
        let Doing::Running(run) = object.doing else { panic!("{key} is not running") };
        object.doing = Doing::Idle;
        if run.gone {
            return self.forget(key);
        }
        let failed = matches!(answer, Answer::Retry | Answer::RetryAfter(_));
        object.failures = if failed { object.failures + 1 } else { 0 };
        let failures = object.failures;
        if let Some(lane) = run.again {
            self.line_up(key, lane, now);
        }
        match answer {
            Answer::Idle => {}
            Answer::At(earliest, due) => self.plan(key, now + earliest, now + due),
            Answer::Retry => {
                let due = now + pause_after(failures);
                self.plan(key, due, due);
            }
            Answer::RetryAfter(pause) => self.plan(key, now + pause, now + pause),
        }
        if let Some((earliest, due)) = run.later {
            self.plan(key, earliest, due);
        }
    }

    /// A group joins the end of a round when its first object is ready, and leaves it with its last.
    pub(super) fn update_rounds(&mut self) {
        let ready: Vec<_> = self
            .objects
            .iter()
            .filter_map(|object| match object.doing {
                Doing::Ready { lane, .. } => Some((object.group, lane)),
                _ => None,
            })
            .collect();
        for (lane, round) in Lane::ALL.into_iter().zip(&mut self.rounds) {
            round.retain(|(group, _)| ready.contains(&(*group, lane)));
            for (group, _) in ready.iter().filter(|(_, of)| *of == lane) {
                if round.iter().all(|(member, _)| member != group) {
                    round.push((*group, A_TURN));
                }
            }
        }
    }

    pub(super) fn next_due(&self) -> Option<u64> {
        let due = self.objects.iter().filter_map(|object| match object.doing {
            Doing::Waiting { due, .. } => Some(due),
            _ => None,
        });
        due.min()
    }

    pub(super) fn ring(&mut self) {
        let mut due: Vec<_> = self
            .objects
            .iter()
            .filter_map(|object| match object.doing {
                Doing::Waiting { due, .. } if due <= self.now => {
                    Some((due, object.key, object.group))
                }
                _ => None,
            })
            .collect();
        due.sort_unstable();
        for (due, key, _) in &due {
            self.line_up(*key, Lane::Periodic, *due);
        }
        let mut groups: Vec<_> = due.into_iter().map(|(_, _, group)| group).collect();
        groups.sort_unstable();
        groups.dedup();
        for group in groups {
            let mut joining: Vec<_> = self
                .objects
                .iter()
                .filter_map(|object| match object.doing {
                    Doing::Waiting { earliest, .. }
                        if earliest <= self.now && object.group == group =>
                    {
                        Some((earliest, object.key))
                    }
                    _ => None,
                })
                .collect();
            joining.sort_unstable();
            for (_, key) in joining {
                self.line_up(key, Lane::Periodic, self.now);
            }
        }
    }

    /// The object that is handed out next from `lane`, by the rules alone.
    pub(super) fn candidate(&self, lane: Lane) -> Option<Key> {
        let runs = self.runs();
        let count =
            |holds: &dyn Fn(&Run) -> bool| runs.iter().filter(|(_, run)| holds(run)).count();
        if count(&|run| !run.slow) >= self.bounds.max_concurrent
            || runs.len() >= self.bounds.in_all
            || (lane != Lane::Urgent
                && count(&|run| run.lane != Lane::Urgent) >= self.bounds.periodic)
        {
            return None;
        }
        let (group, _) = self.rounds[lane as usize]
            .iter()
            .find(|(group, _)| count(&|run| run.counts_in == *group) < self.bounds.per_group)?;
        let in_line = self.objects.iter().filter_map(|object| match object.doing {
            Doing::Ready { since, number, lane: of } if of == lane && object.group == *group => {
                Some((since, number, object.key))
            }
            _ => None,
        });
        in_line.min().map(|(_, _, key)| key)
    }

    pub(super) fn turn(&mut self) -> Vec<Key> {
        self.ring();
        let mut started = Vec::new();
        loop {
            let able: Vec<_> = Lane::ALL
                .into_iter()
                .filter_map(|lane| self.candidate(lane).map(|key| (lane, key)))
                .collect();
            // The last that has waited long enough, else the first.
            let mut next = able.first();
            for one in &able {
                if self.passed[one.0 as usize] >= IN_A_ROW {
                    next = Some(one);
                }
            }
            let Some((lane, key)) = next.copied() else { return started };
            self.passed[lane as usize] = 0;
            for (later, _) in able.iter().filter(|(other, _)| *other > lane) {
                self.passed[*later as usize] += 1;
            }
            let object = self.object(key).unwrap();
            let Doing::Ready { since, .. } = object.doing else { unreachable!() };
            let group = object.group;
            object.doing = Doing::Running(Run {
                counts_in: group,
                lane,
                slow: false,
                since,
                again: None,
                later: None,
                gone: false,
            });
            let round = &mut self.rounds[lane as usize];
            let at = round.iter().position(|(member, _)| *member == group).unwrap();
            round[at].1 -= 1;
            if round[at].1 == 0 {
                round.remove(at);
            }
            self.update_rounds();
            started.push(key);
        }
    }

    pub(super) fn stats(&self) -> QueueStats {
        let waiting: Vec<_> = self
            .objects
            .iter()
            .filter_map(|object| match object.doing {
                Doing::Ready { since, .. } => Some(since),
                _ => None,
            })
            .collect();
        let oldest = waiting.iter().min().map_or(0, |since| self.now - since);
        QueueStats {
            waiting: waiting.len(),
            running: self.runs().len(),
            known: self.objects.len(),
            failing: self.objects.iter().filter(|object| object.failures > 0).count(),
            oldest_wait: Duration::from_secs(oldest),
        }
    }
}
