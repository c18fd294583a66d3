//! The survey: what state each object is in, and why. Values in, values out; the command line reads it.
//!
//! It reads objects as JSON, not as types: objects of older definitions, and what the types of this version cannot
//! decode, are what people ask about most. It has no field that could hold the value of a secret.

mod row;
mod state;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

pub(crate) use row::{Kind, Row};
pub(crate) use state::State;

use crate::duration;
use crate::text::shortened;

/// Interval of an ExternalSecret that has none.
const DEFAULT_INTERVAL: SignedDuration = SignedDuration::from_hours(1);
/// An object that is due within this time, or was due this long ago at most, is on its way.
const SOON: SignedDuration = SignedDuration::from_mins(1);
/// A new object has a condition long before this.
const UNSEEN: SignedDuration = SignedDuration::from_mins(2);
/// Longest explanation that is kept. Conditions of ours are shorter.
const MAX_WHY: usize = 2048;

/// What the survey has to know beside the objects.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The time.
    pub(crate) now: Timestamp,
    /// How old `refreshTime` of an unchanged object may honestly be.
    pub(crate) heartbeat: SignedDuration,
    /// The class of the operator that is asked about.
    pub(crate) class: String,
}

/// What ExternalSecrets need to know of a store.
#[derive(Clone, Debug)]
struct Store {
    foreign: bool,
    state: State,
}

/// Stores that were read, by kind, namespace and name.
#[derive(Debug, Default)]
pub(crate) struct Stores(BTreeMap<(Kind, String, String), Store>);

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn time(object: &Value, pointer: &str) -> Option<Timestamp> {
    text(object, pointer).parse().ok()
}

/// The condition `Ready`: status, reason, message, and when it became so.
struct Ready<'a> {
    status: &'a str,
    reason: &'a str,
    message: &'a str,
    since: Option<Timestamp>,
}

fn ready(object: &Value) -> Option<Ready<'_>> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    let found = conditions.iter().find(|condition| condition["type"] == "Ready")?;
    Some(Ready {
        status: text(found, "/status"),
        reason: text(found, "/reason"),
        message: text(found, "/message"),
        since: time(found, "/lastTransitionTime"),
    })
}

/// Reason and message as one sentence.
fn why(ready: &Ready<'_>) -> String {
    match (ready.reason, ready.message) {
        (reason, "") => reason.to_owned(),
        ("SecretSyncedError" | "", message) => shortened(message, MAX_WHY),
        (reason, message) => shortened(&format!("{reason}: {message}"), MAX_WHY),
    }
}

/// The state of one object. A store is remembered for the ExternalSecrets that come after it.
pub(crate) fn row(kind: Kind, object: &Value, settings: &Settings, stores: &mut Stores) -> Row {
    let mut row = Row::named(kind, object);
    match kind {
        Kind::ExternalSecret => external_secret(&mut row, object, settings, stores),
        Kind::SecretStore | Kind::ClusterSecretStore => {
            store(&mut row, object, settings);
            let key = (kind, row.namespace.clone(), row.name.clone());
            let foreign = row.state == State::Foreign;
            stores.0.insert(key, Store { foreign, state: row.state });
        }
        Kind::HardeningBaseline | Kind::NamespaceHardening => reported(&mut row, object, settings),
    }
    // Whoever creates the Secret once looks at no change of its object.
    let once = text(object, "/spec/refreshPolicy") == "CreatedOnce";
    let fine = matches!(row.state, State::Synced | State::Due | State::Manual);
    if fine && !once && !is_current(object) {
        row.state = State::Waiting;
        row.since = None;
        "it was changed, and the change is not in force yet".clone_into(&mut row.why);
    }
    row
}

/// An object whose condition says all.
fn reported(row: &mut Row, object: &Value, settings: &Settings) {
    let count = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
    let deleted = time(object, "/metadata/deletionTimestamp");
    match ready(object) {
        None => unseen(row, object, settings),
        Some(ready) => {
            row.since = ready.since;
            row.state = match ready.status {
                "True" => State::Synced,
                "False" => State::Failing,
                _ => State::Waiting,
            };
            if row.state != State::Synced {
                row.why = why(&ready);
            }
        }
    }
    let (held, conflicts) = (count("/status/heldCount"), count("/status/conflictCount"));
    if row.state == State::Synced && held + conflicts > 0 {
        row.state = State::Waiting;
        row.why = format!("{held} items are held back and {conflicts} belong to somebody else");
    }
    if let Some(deleted) = deleted {
        row.state = State::Waiting;
        row.since = Some(deleted);
        let rest = if row.why.is_empty() { String::new() } else { format!(": {}", row.why) };
        row.why = format!("it is being deleted{rest}");
    }
}

/// Nothing was said about an object yet.
fn unseen(row: &mut Row, object: &Value, settings: &Settings) {
    let created = time(object, "/metadata/creationTimestamp");
    row.since = created;
    let young = created.is_some_and(|created| settings.now.duration_since(created) < UNSEEN);
    row.state = if young { State::Waiting } else { State::Late };
    row.why = if young {
        "it is new".to_owned()
    } else {
        "nothing has looked at it: `gabion doctor` says whether an operator runs".to_owned()
    };
}

fn store(row: &mut Row, object: &Value, settings: &Settings) {
    let class = text(object, "/spec/controller");
    if !class.is_empty() && class != settings.class {
        row.state = State::Foreign;
        row.why = format!("its class is {class:?}, so another operator has it");
        return;
    }
    reported(row, object, settings);
    if ready(object).is_some_and(|ready| ready.reason == "ProviderNotSupported") {
        row.state = State::Unsupported;
    }
}

/// The store that an ExternalSecret names first, as it is shown and as it is looked up.
fn store_of(object: &Value) -> Option<(Kind, String)> {
    let name = text(object, "/spec/secretStoreRef/name");
    let cluster = text(object, "/spec/secretStoreRef/kind") == "ClusterSecretStore";
    let kind = if cluster { Kind::ClusterSecretStore } else { Kind::SecretStore };
    (!name.is_empty()).then(|| (kind, name.to_owned()))
}

fn external_secret(row: &mut Row, object: &Value, settings: &Settings, stores: &Stores) {
    row.last = time(object, "/status/refreshTime");
    let named = store_of(object);
    let known = named.as_ref().and_then(|(kind, name)| {
        let namespace =
            if *kind == Kind::SecretStore { row.namespace.clone() } else { String::new() };
        stores.0.get(&(*kind, namespace, name.clone()))
    });
    if let Some((kind, name)) = &named {
        row.store = format!("{}/{name}", kind.short());
    }
    if known.is_some_and(|store| store.foreign) {
        row.state = State::Foreign;
        "its store belongs to another operator".clone_into(&mut row.why);
        return;
    }
    reported(row, object, settings);
    match row.state {
        State::Failing => {
            row.state = match known.map(|store| store.state) {
                Some(State::Unsupported) => State::Unsupported,
                Some(State::Failing | State::Waiting | State::Late) => State::Waiting,
                _ => State::Failing,
            };
        }
        State::Synced => schedule(row, object, settings),
        _ => {}
    }
}

/// Whether the status is about the object as it is now. Without a word about that it is taken to be.
fn is_current(object: &Value) -> bool {
    let generation = object.pointer("/metadata/generation").and_then(Value::as_i64);
    let observed = object.pointer("/status/observedGeneration").and_then(Value::as_i64);
    // External Secrets Operator has no such field, but begins this one with it: GENERATION-HASH.
    let synced = || text(object, "/status/syncedResourceVersion").split_once('-')?.0.parse().ok();
    // The API server begins at 1.
    generation
        .is_none_or(|now| observed.or_else(synced).is_none_or(|seen| seen == 0 || seen >= now))
}

/// When an object that is in step is read again, and whether that time is over.
fn schedule(row: &mut Row, object: &Value, settings: &Settings) {
    let policy = text(object, "/spec/refreshPolicy");
    let interval = match text(object, "/spec/refreshInterval") {
        "" => Some(DEFAULT_INTERVAL),
        text => duration::parse(text),
    };
    let periodic = matches!(policy, "" | "Periodic");
    let (Some(interval), Some(last)) = (interval, row.last) else { return };
    if !periodic || !interval.is_positive() {
        row.state = State::Manual;
        return;
    }
    row.next = last.checked_add(interval).ok();
    // An unchanged object is written once in a heartbeat only, so its time may honestly be that old.
    let honest = interval.max(settings.heartbeat);
    let grace = (honest / 10).max(SignedDuration::from_secs(30));
    let age = settings.now.duration_since(last);
    if age > honest.saturating_add(grace) {
        // A window may hold it back: nobody can tell from outside, but the object says that it has one.
        let windows = object.pointer("/spec/syncWindows").is_some_and(|windows| !windows.is_null());
        row.state = if windows { State::Waiting } else { State::Late };
        row.since = last.checked_add(honest).ok();
        row.why = if windows {
            "it is due, and has syncWindows".to_owned()
        } else {
            let whole = SignedDuration::from_secs(age.as_secs());
            format!("its last refresh was {whole:#} ago and its interval is {interval:#}")
        };
    } else if age.saturating_add(SOON) >= interval && interval > settings.heartbeat {
        row.state = State::Due;
    }
}

#[cfg(test)]
mod tests;
