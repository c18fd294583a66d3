//! What was news lately: the same event comes more than once, and late ones come after newer ones.

use std::collections::{HashMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::parse::{Change, Event};

/// Secrets that are remembered.
const MOST: usize = 10_000;
/// For how long.
const LIFE: SignedDuration = SignedDuration::from_hours(1);
/// Events of one second that are told apart.
const MOST_OF_ONE_TIME: usize = 32;

/// What an event is beside those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    Fresh,
    /// It was there before.
    Duplicate,
    /// A newer one was there before: what it says was read since.
    Stale,
}

/// The newest event of each secret and label.
#[derive(Default)]
pub(crate) struct Recent {
    newest: HashMap<Subject, Newest>,
    /// In the order in which they were noted.
    order: VecDeque<(Timestamp, Subject)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Subject {
    region: String,
    secret: String,
    change: Option<String>,
}

struct Newest {
    time: Timestamp,
    /// When it was noted.
    noted: Timestamp,
    /// The events of that time. The clock of events has whole seconds.
    marks: Vec<String>,
}

impl Recent {
    /// Judges an event and remembers it.
    pub(crate) fn judge(&mut self, event: &Event, now: Timestamp) -> News {
        self.tidy(now);
        // An event of which nobody knows how old it is stands for itself.
        let Some(said) = event.time else { return News::Fresh };
        // Whoever may write messages may date them; none makes one stale that is yet to come.
        let time = said.min(now);
        let mark = format!("{said}/{}", event.version.as_deref().unwrap_or(&event.id));
        let subject = subject(event);
        match self.newest.get_mut(&subject) {
            Some(newest) if newest.time > time => News::Stale,
            Some(newest) if newest.time == time && newest.marks.contains(&mark) => News::Duplicate,
            Some(newest) if newest.time == time => {
                if newest.marks.len() < MOST_OF_ONE_TIME {
                    newest.marks.push(mark);
                }
                News::Fresh
            }
            _ => {
                let newest = Newest { time, noted: now, marks: vec![mark] };
                self.newest.insert(subject.clone(), newest);
                self.order.push_back((now, subject));
                News::Fresh
            }
        }
    }

    fn tidy(&mut self, now: Timestamp) {
        while let Some((noted, _)) = self.order.front()
            && (self.newest.len() >= MOST || now.duration_since(*noted) >= LIFE)
        {
            let Some((noted, subject)) = self.order.pop_front() else { return };
            if self.newest.get(&subject).is_some_and(|newest| newest.noted == noted) {
                self.newest.remove(&subject);
            }
        }
    }
}

fn subject(event: &Event) -> Subject {
    let secret = event.secret.arn.clone().or_else(|| event.secret.names.first().cloned());
    let change = match &event.change {
        Change::Label(label) => Some(label.clone()),
        Change::Any => None,
        Change::Tags => Some("(tags)".to_owned()),
    };
    Subject { region: event.secret.region.clone(), secret: secret.unwrap_or_default(), change }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::secrets::plan::events::parse::Source;
    use crate::secrets::plan::events::secret::{EventSecret, Holder};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn event(name: &str, time: i64, version: &str) -> Event {
        Event {
            source: Source::Native,
            id: format!("{name}{time}{version}"),
            time: Some(at(time)),
            secret: EventSecret {
                holder: Holder::SecretsManager,
                region: "eu-west-1".into(),
                account: None,
                arn: None,
                names: vec![name.into()],
            },
            change: Change::Label("AWSCURRENT".into()),
            version: Some(version.into()),
        }
    }

    #[test]
    fn e12_doubled_and_late_events_are_no_news_and_two_of_one_second_are() {
        let mut recent = Recent::default();
        assert_eq!(recent.judge(&event("a", 5, "v1"), at(9)), News::Fresh);
        assert_eq!(recent.judge(&event("a", 5, "v1"), at(9)), News::Duplicate);
        assert_eq!(recent.judge(&event("a", 5, "v2"), at(9)), News::Fresh);
        assert_eq!(recent.judge(&event("a", 4, "v0"), at(9)), News::Stale);
        assert_eq!(recent.judge(&event("b", 4, "v0"), at(9)), News::Fresh);
        assert_eq!(recent.judge(&event("a", 6, "v3"), at(9)), News::Fresh);
        assert_eq!(recent.judge(&event("a", 5, "v1"), at(9)), News::Stale);
        // After an hour nothing is known of it any more.
        assert_eq!(recent.judge(&event("a", 5, "v1"), at(9 + 3600)), News::Fresh);
    }

    #[test]
    fn a_forged_event_of_the_future_makes_no_later_one_stale() {
        let mut recent = Recent::default();
        assert_eq!(recent.judge(&event("a", 99_999, "forged"), at(10)), News::Fresh);
        assert_eq!(recent.judge(&event("a", 11, "v1"), at(11)), News::Fresh);
        assert_eq!(recent.judge(&event("a", 99_999, "forged"), at(11)), News::Fresh);
    }

    #[test]
    fn so_many_secrets_are_remembered_and_no_more() {
        let mut recent = Recent::default();
        for nth in 0..MOST + 500 {
            recent.judge(&event(&nth.to_string(), 1, "v"), at(2));
        }
        assert!(recent.newest.len() <= MOST && recent.order.len() <= MOST);
        assert_eq!(recent.judge(&event("10400", 1, "v"), at(2)), News::Duplicate);
        assert_eq!(recent.judge(&event("0", 1, "v"), at(2)), News::Fresh);
    }

    proptest! {
        /// Against the list of all events so far.
        #[test]
        fn an_event_is_news_unless_it_or_a_newer_one_was_there(
            steps in prop::collection::vec((0..3_u8, 0..6_i64, 0..3_u8), 0..60),
        ) {
            let (mut recent, mut seen) = (Recent::default(), Vec::new());
            for (name, time, version) in steps {
                let found = recent.judge(&event(&name.to_string(), time, &version.to_string()), at(100));
                let newer = seen.iter().any(|(n, t, _)| *n == name && *t > time);
                let same = seen.contains(&(name, time, version));
                let wanted = match (newer, same) {
                    (true, _) => News::Stale,
                    (false, true) => News::Duplicate,
                    (false, false) => News::Fresh,
                };
                prop_assert_eq!(found, wanted);
                seen.push((name, time, version));
            }
        }
    }
}
