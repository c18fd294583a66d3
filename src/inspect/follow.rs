//! `gabion status --watch` and `--for`: the same look at a cluster, again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::json;

use super::status::{self, Format, Found, Looks, Status};
use super::{ExitStatus, InspectError, text};
use crate::cluster::Reader;
use crate::survey::{Kind, Settings, State};

/// The shortest pause between two looks, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_mins(1));
/// A pause is this many times as long as the look before it: whoever watches a large cluster asks it a tenth of the time.
const SHARE: u32 = 9;

fn pause(took: Duration) -> Duration {
    took.saturating_mul(SHARE).clamp(PAUSE.0, PAUSE.1)
}

/// Kind, namespace and name.
type Key = (Kind, String, String);

/// What one look found to be other than the look before it.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    key: Key,
    was: Option<State>,
    /// `None` if the object is gone.
    now: Option<State>,
    why: String,
}

/// Brings `known` up to date and says what changed. Objects that need no look, before and after, are left out unless
/// `all`. An object is gone only if its kind could be read to the end.
fn changes(known: &mut BTreeMap<Key, State>, found: &Found, all: bool) -> Vec<Change> {
    let tells = |state: Option<State>| state.is_some_and(State::is_notable);
    let (mut changes, mut present) = (Vec::new(), BTreeSet::new());
    for row in &found.rows {
        let key = (row.kind, row.namespace.clone(), row.name.clone());
        present.insert(key.clone());
        let was = known.insert(key.clone(), row.state);
        if was != Some(row.state) && (all || tells(was) || tells(Some(row.state))) {
            changes.push(Change { key, was, now: Some(row.state), why: row.why.clone() });
        }
    }
    let whole = |kind: &Kind| found.left_out == 0 && found.read.contains(kind);
    known.retain(|key, was| {
        if present.contains(key) || !whole(&key.0) {
            return true;
        }
        if all || was.is_notable() {
            let (key, was) = (key.clone(), Some(*was));
            changes.push(Change { key, was, now: None, why: String::new() });
        }
        false
    });
    changes
}

impl Change {
    /// One line: for people, or an object of JSON.
    fn line(&self, status: &Status, now: Timestamp) -> String {
        let word = |state: Option<State>| state.map_or("Gone", State::word);
        let (kind, namespace, name) = &self.key;
        if status.format == Format::Json {
            let was = self.was.map(State::word);
            let line = json!({
                "time": now.to_string(), "kind": kind.name(), "namespace": namespace, "name": name,
                "was": was, "state": word(self.now), "why": self.why,
            });
            return line.to_string();
        }
        let place = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
        let object = text::plain(&format!("{place}{}/{name}", kind.short()));
        let state = word(self.now);
        let state = match self.now {
            Some(now) => text::paint(status.colour, text::style(now), state),
            None => state.to_owned(),
        };
        let was = self.was.map_or_else(String::new, |was| format!(" (was {})", was.word()));
        let why = if self.why.is_empty() { String::new() } else { format!(": {}", self.why) };
        format!("{now:.0}  {object}  {state}{was}{}", text::plain(&why))
    }
}

/// Looks as often as is asked.
pub(super) async fn run(status: &Status, out: &mut dyn Write) -> Result<ExitStatus, InspectError> {
    let reader = Reader::connect(&status.target).await?;
    match status.looks {
        Looks::Once => {
            let (found, settings) = status::look(status, &reader, status.all).await?;
            found.show(status, &settings, out)?;
            Ok(found.verdict())
        }
        Looks::Endless => watch(status, &reader, out).await,
        Looks::UntilSynced(timeout) => wait(status, &reader, timeout, out).await,
    }
}

/// Shows what is wrong, then a line for each change, until nobody reads it any more.
///
/// # Errors
/// If the first look brings no answer, or a line cannot be written. A later look that fails is told, once, and repeated.
pub(super) async fn watch(
    status: &Status,
    reader: &Reader,
    out: &mut dyn Write,
) -> Result<ExitStatus, InspectError> {
    let (mut known, mut told, mut first) = (BTreeMap::new(), Vec::new(), true);
    loop {
        let begun = Instant::now();
        let notes = match status::look(status, reader, true).await {
            Ok((mut found, settings)) => {
                let changes = changes(&mut known, &found, status.all);
                let notes = std::mem::take(&mut found.notes);
                if first && status.format != Format::Json {
                    found.notes.clone_from(&notes);
                    found.rows.retain(|row| status.all || row.state.is_notable());
                    found.show(status, &settings, out)?;
                    told.clone_from(&notes);
                } else {
                    for change in changes {
                        writeln!(out, "{}", change.line(status, settings.now))?;
                    }
                }
                notes
            }
            Err(error) if first => return Err(error),
            Err(error) => vec![format!("{error}; what is shown may be old")],
        };
        if notes != told {
            for note in &notes {
                let note = text::plain(note);
                match status.format {
                    Format::Json => writeln!(out, "{}", json!({"note": note}))?,
                    Format::Text | Format::Wide => writeln!(out, "note: {note}")?,
                }
            }
            told = notes;
        }
        out.flush()?;
        first = false;
        tokio::time::sleep(pause(begun.elapsed())).await;
    }
}

/// Whether an object is as it should be. What another operator has is nobody's to wait for here.
const fn is_in_step(state: State) -> bool {
    matches!(state, State::Synced | State::Due | State::Manual)
}

/// How it ends if all objects are in step, and what is missing if not. Objects that nobody may look at are not in step.
fn outcome(found: &Found) -> Result<usize, ExitStatus> {
    let counted = |wanted: fn(State) -> bool| -> usize {
        let of = found.counts.iter().filter(|(state, _)| wanted(**state));
        of.map(|(_, count)| count).sum()
    };
    let missing = counted(|state| !is_in_step(state) && state != State::Foreign);
    match counted(is_in_step) {
        _ if found.blind || found.read.is_empty() => Err(ExitStatus::Unknown),
        // Nothing is there: whoever waits has just created it, or misspelt it.
        0 => Err(ExitStatus::Problem),
        _ if missing > 0 => Err(ExitStatus::Problem),
        count => Ok(count),
    }
}

/// Waits until every object is in step. If the time is over first, it shows those that are not.
///
/// # Errors
/// If the last look brings no answer, or the answer cannot be written.
pub(super) async fn wait(
    status: &Status,
    reader: &Reader,
    timeout: Duration,
    out: &mut dyn Write,
) -> Result<ExitStatus, InspectError> {
    let start = Instant::now();
    loop {
        let begun = Instant::now();
        let looked = status::look(status, reader, false).await;
        let outcome = looked.as_ref().ok().map(|(found, _)| outcome(found));
        let rest = timeout.saturating_sub(start.elapsed());
        let done = matches!(outcome, Some(Ok(_)));
        if !done && !rest.is_zero() {
            tokio::time::sleep(pause(begun.elapsed()).min(rest)).await;
            continue;
        }
        let (found, settings) = looked?;
        if status.format == Format::Json {
            found.show(status, &settings, out)?;
        }
        return match outcome {
            Some(Ok(count)) => {
                if status.format != Format::Json {
                    writeln!(out, "{count} objects are in step")?;
                }
                Ok(ExitStatus::Fine)
            }
            Some(Err(verdict)) => {
                if status.format != Format::Json {
                    missing(&found, status, &settings, out)?;
                }
                Ok(verdict)
            }
            None => Ok(ExitStatus::Unknown),
        };
    }
}

/// What the time was not enough for.
fn missing(
    found: &Found,
    status: &Status,
    settings: &Settings,
    out: &mut dyn Write,
) -> Result<(), InspectError> {
    let none = found.counts.keys().all(|state| *state == State::Foreign);
    if none && found.notes.is_empty() {
        writeln!(out, "no object of this operator's matches: look at -n, -l and the kind")?;
    } else {
        found.show(status, settings, out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::survey::Row;

    fn row(name: usize, state: State) -> Row {
        Row {
            kind: Kind::ExternalSecret,
            namespace: "shop".to_owned(),
            name: name.to_string(),
            state,
            since: None,
            last: None,
            next: None,
            store: String::new(),
            why: String::new(),
        }
    }

    /// A look: each object's state, or that it is not there; whether the kind could be read.
    fn found(objects: &[Option<State>], read: bool) -> Found {
        let mut found = Found { read: vec![Kind::ExternalSecret], ..Found::default() };
        if !read {
            return Found { blind: true, ..Found::default() };
        }
        for (name, state) in objects.iter().enumerate() {
            if let Some(state) = state {
                found.rows.push(row(name, *state));
                *found.counts.entry(*state).or_default() += 1;
            }
        }
        found
    }

    fn object() -> impl Strategy<Value = Option<State>> {
        prop::option::of(prop::sample::select(State::ALL.to_vec()))
    }

    proptest! {
        /// Lines that say what each object was and became tell the whole story, and none says what is not so.
        #[test]
        fn whoever_follows_the_lines_knows_what_is_there(
            looks in prop::collection::vec((prop::collection::vec(object(), 4), prop::bool::weighted(0.8)), 1..12),
        ) {
            let (mut known, mut told) = (BTreeMap::new(), BTreeMap::new());
            let mut last = vec![None; 4];
            for (objects, read) in looks {
                for change in changes(&mut known, &found(&objects, read), true) {
                    prop_assert_eq!(told.get(&change.key).copied(), change.was);
                    prop_assert_ne!(change.was, change.now);
                    match change.now {
                        Some(now) => told.insert(change.key, now),
                        None => told.remove(&change.key),
                    };
                }
                if read { last = objects; }
                let want: BTreeMap<_, _> = last.iter().enumerate().filter_map(|(name, state)| {
                    state.map(|state| ((Kind::ExternalSecret, "shop".to_owned(), name.to_string()), state))
                }).collect();
                prop_assert_eq!(&told, &want);
            }
        }

        /// It ends well only if something is in step and nothing is not.
        #[test]
        fn waiting_ends_well_only_when_all_is_in_step(
            objects in prop::collection::vec(object(), 0..5), read in any::<bool>(),
        ) {
            let all: Vec<_> = objects.iter().flatten().filter(|state| **state != State::Foreign).collect();
            let fine = read && !all.is_empty() && all.iter().all(|state| is_in_step(**state));
            let outcome = outcome(&found(&objects, read));
            prop_assert_eq!(outcome.is_ok(), fine);
            prop_assert_eq!(outcome == Err(ExitStatus::Unknown), !read);
        }
    }

    #[test]
    fn objects_that_need_no_look_make_no_lines() {
        let mut known = BTreeMap::new();
        let quiet = found(&[Some(State::Synced), Some(State::Due)], true);
        assert!(changes(&mut known, &quiet, false).is_empty());
        let worse = found(&[Some(State::Failing), Some(State::Synced)], true);
        assert_eq!(changes(&mut known, &worse, false).len(), 1);
        let better = changes(&mut known, &quiet, false);
        assert_eq!((better[0].was, better[0].now), (Some(State::Failing), Some(State::Synced)));
        assert!(changes(&mut known, &found(&[], true), false).is_empty());
    }

    #[test]
    fn a_pause_grows_with_the_work_that_a_look_is() {
        assert_eq!(pause(Duration::from_millis(10)), PAUSE.0);
        assert_eq!(pause(Duration::from_secs(1)), Duration::from_secs(9));
        assert_eq!(pause(Duration::from_secs(100)), PAUSE.1);
    }
}
