//! What is known of the cluster now: objects as the watches left them, what could not be read, and the picture that pages
//! are made of.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::watch;

use super::history::{Entry, History};
use super::slim::slim;
use crate::survey::{self, Kind, Row, Settings, Stores};

/// Objects of one kind that are kept. Beyond, the page says that it does not show all.
const MAX_OBJECTS: usize = 100_000;
/// States change with time: a picture without news is made anew this often.
const FRESH: Duration = Duration::from_secs(10);
/// While there is news all the time, a picture is shared for this long.
const SHARED: Duration = Duration::from_millis(250);

/// Namespace and name.
type Key = (String, String);

/// How reading one kind went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// The first list is under way.
    Begun,
    /// All of it is here.
    Whole,
    /// Only this namespace, for want of rights.
    Only(String),
    /// It cannot be read: a sentence of ours. What was read before is still shown.
    Amiss(String),
}

/// One kind.
#[derive(Debug)]
struct Objects {
    all: BTreeMap<Key, Box<str>>,
    reading: Reading,
    left_out: bool,
}

/// One object of hardening, for the pages that show more than its state.
#[derive(Debug)]
pub(super) struct Hardened {
    pub(super) row: Row,
    /// What [`slim`] kept.
    pub(super) kept: Value,
}

/// The cluster at one moment.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) version: u64,
    pub(super) settings: Settings,
    pub(super) secrets: Vec<Row>,
    pub(super) stores: Vec<Stored>,
    pub(super) baselines: Vec<Hardened>,
    pub(super) namespaces: Vec<Hardened>,
    pub(super) server: Server,
    /// How reading each kind went.
    pub(super) readings: Vec<(Kind, Reading)>,
}

/// A store, who reads from it, and its provider's name.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) row: Row,
    pub(super) provider: String,
    pub(super) users: usize,
    pub(super) troubled: usize,
}

/// Whether the API server answers.
#[derive(Clone, Debug)]
pub(super) struct Server {
    /// Why not, in a sentence of ours.
    pub(super) amiss: Option<String>,
    /// When it answered last.
    pub(super) heard: Timestamp,
}

/// What all tasks share.
pub(super) struct Board {
    inner: Mutex<BTreeMap<Kind, Objects>>,
    history: Mutex<History>,
    picture: Mutex<Option<(Instant, Arc<Picture>)>>,
    server: Mutex<Server>,
    version: watch::Sender<u64>,
    heartbeat: SignedDuration,
    class: String,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(object: &Value) -> Key {
    let of = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    (of("namespace"), of("name"))
}

impl Board {
    pub(super) fn new(heartbeat: SignedDuration, class: String) -> Self {
        let none = || Objects { all: BTreeMap::new(), reading: Reading::Begun, left_out: false };
        Self {
            inner: Mutex::new(Kind::ALL.into_iter().map(|kind| (kind, none())).collect()),
            history: Mutex::new(History::new(Timestamp::now())),
            picture: Mutex::new(None),
            server: Mutex::new(Server { amiss: None, heard: Timestamp::now() }),
            version: watch::Sender::new(1),
            heartbeat,
            class,
        }
    }

    /// Counts up with everything that changes.
    pub(super) fn versions(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    fn change<T>(&self, kind: Kind, with: impl FnOnce(&mut Objects) -> T) -> Option<T> {
        let done = locked(&self.inner).get_mut(&kind).map(with);
        self.version.send_modify(|version| *version += 1);
        done
    }

    /// A whole list was read.
    pub(super) fn replace(&self, kind: Kind, objects: &[Value], reading: Reading) {
        let left_out = objects.len() > MAX_OBJECTS;
        let all: BTreeMap<_, _> = objects
            .iter()
            .take(MAX_OBJECTS)
            .map(|object| (key(object), object.to_string().into_boxed_str()))
            .collect();
        self.change(kind, |kept| {
            *kept = Objects { all, reading, left_out };
        });
    }

    /// An object is new or different.
    pub(super) fn apply(&self, kind: Kind, object: &Value) {
        let (object, key, now) = (slim(kind, object), key(object), Timestamp::now());
        let text = object.to_string().into_boxed_str();
        let before = self.change(kind, |kept| {
            if kept.all.len() >= MAX_OBJECTS && !kept.all.contains_key(&key) {
                kept.left_out = true;
                return None;
            }
            kept.all.insert(key.clone(), text)
        });
        if kind == Kind::ExternalSecret {
            let before = before.flatten().and_then(|text| serde_json::from_str(&text).ok());
            locked(&self.history).compare(key, before.as_ref(), &object, now);
        }
    }

    /// An object is gone.
    pub(super) fn remove(&self, kind: Kind, object: &Value) {
        let key = key(object);
        self.change(kind, |kept| {
            kept.all.remove(&key);
        });
        locked(&self.history).forget(&key);
    }

    /// A kind could be read, or not.
    pub(super) fn say(&self, kind: Kind, reading: Reading) {
        if locked(&self.inner).get(&kind).is_some_and(|kept| kept.reading != reading) {
            self.change(kind, |kept| kept.reading = reading);
        }
    }

    /// The API server answered, or did not.
    pub(super) fn pulse(&self, amiss: Option<String>) {
        let mut server = locked(&self.server);
        let news = server.amiss != amiss;
        if amiss.is_none() {
            server.heard = Timestamp::now();
        }
        server.amiss = amiss;
        drop(server);
        if news {
            self.version.send_modify(|version| *version += 1);
        }
    }

    /// What was seen of an object, latest first, and since when this program looks.
    pub(super) fn history(&self, namespace: &str, name: &str) -> (Vec<Entry>, Timestamp) {
        locked(&self.history).of(&(namespace.to_owned(), name.to_owned()))
    }

    /// The cluster as it is now. Viewers share it.
    pub(super) fn picture(&self) -> Arc<Picture> {
        let mut shared = locked(&self.picture);
        let version = *self.version.borrow();
        if let Some((made, picture)) = &*shared {
            let age = made.elapsed();
            if age < SHARED || (picture.version == version && age < FRESH) {
                return Arc::clone(picture);
            }
        }
        let picture = Arc::new(self.make(version));
        *shared = Some((Instant::now(), Arc::clone(&picture)));
        picture
    }

    fn make(&self, version: u64) -> Picture {
        let settings = Settings {
            now: Timestamp::now(),
            heartbeat: self.heartbeat,
            class: self.class.clone(),
        };
        let mut picture = Picture {
            version,
            settings,
            secrets: Vec::new(),
            stores: Vec::new(),
            baselines: Vec::new(),
            namespaces: Vec::new(),
            server: locked(&self.server).clone(),
            readings: Vec::new(),
        };
        let (mut stores, inner) = (Stores::default(), locked(&self.inner));
        for (kind, objects) in &*inner {
            picture.readings.push((*kind, objects.reading()));
            for text in objects.all.values() {
                let Ok(object) = serde_json::from_str::<Value>(text) else { continue };
                let row = survey::row(*kind, &object, &picture.settings, &mut stores);
                picture.add(row, object);
            }
        }
        drop(inner);
        picture.count_users();
        picture
    }
}

impl Objects {
    fn reading(&self) -> Reading {
        match &self.reading {
            Reading::Whole if self.left_out => {
                Reading::Amiss(format!("There are more than {MAX_OBJECTS}; the rest is not here."))
            }
            reading => reading.clone(),
        }
    }
}

impl Picture {
    fn add(&mut self, row: Row, kept: Value) {
        match row.kind {
            Kind::ExternalSecret => self.secrets.push(row),
            Kind::HardeningBaseline => self.baselines.push(Hardened { row, kept }),
            Kind::NamespaceHardening => self.namespaces.push(Hardened { row, kept }),
            Kind::SecretStore | Kind::ClusterSecretStore => {
                let provider = kept["spec"]["provider"].as_str().unwrap_or("-").to_owned();
                self.stores.push(Stored { row, provider, users: 0, troubled: 0 });
            }
        }
    }

    fn count_users(&mut self) {
        let mut users: BTreeMap<(&str, &str), (usize, usize)> = BTreeMap::new();
        for row in &self.secrets {
            let namespace = if row.store.starts_with("css/") { "" } else { row.namespace.as_str() };
            let count = users.entry((namespace, row.store.as_str())).or_default();
            count.0 += 1;
            count.1 += usize::from(row.state.is_notable());
        }
        for store in &mut self.stores {
            let name = format!("{}/{}", store.row.kind.short(), store.row.name);
            let found = users.get(&(store.row.namespace.as_str(), name.as_str()));
            (store.users, store.troubled) = found.copied().unwrap_or_default();
        }
        self.stores.sort_by(|one, other| one.row.order(&other.row));
    }
}
