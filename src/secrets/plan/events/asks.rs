//! What ExternalSecrets ask for, so that an event finds who asks for its secret.
//!
//! By the name that a key means, before a prefix of a store: an event looks up a handful of names, however many
//! ExternalSecrets there are. The prefix may change without their doing and is applied at the question.

use std::{
    collections::{BTreeSet, HashMap},
    sync::OnceLock,
};

use gotemplate::regexp::{Refusal, Regexp};

use super::parse::Change;
use super::secret::{Arn, EventSecret, Holder};
use crate::cluster::ObjectKey;
use crate::provider::{Content, ReadRequest, Version};
use crate::secrets::plan::collect::{Ask, Lookup, StoreId};
use crate::secrets::plan::find::Search;

const CURRENT: &str = "AWSCURRENT";
const PREVIOUS: &str = "AWSPREVIOUS";
/// An expression is kept compiled if it takes no more bytes.
const REGEXP_BYTES: usize = 64 << 10;

/// What counts of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoreFacts {
    pub(crate) holder: Holder,
    pub(crate) region: String,
    pub(crate) prefix: String,
    /// The account of its last role: names are looked up there.
    pub(crate) account: Option<String>,
}

/// An ExternalSecret that an event concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reader {
    pub(crate) object: ObjectKey,
    /// What it reads of the secret, as it asks for it, where that shows which version it gets.
    pub(crate) reads: Vec<(StoreId, ReadRequest)>,
    /// Nobody can tell whether it is concerned: it searches by tags, which no event tells.
    pub(crate) is_guess: bool,
    /// Events refresh it. Those without an interval read the secret all the same.
    pub(crate) heeds: bool,
}

/// What all ExternalSecrets ask for.
#[derive(Default)]
pub(crate) struct Asks {
    objects: HashMap<ObjectKey, Asked>,
    /// By each name that a key of theirs means.
    by_name: HashMap<Box<str>, BTreeSet<ObjectKey>>,
    /// Those that search.
    searching: BTreeSet<ObjectKey>,
    /// Equal searches share what they compile.
    patterns: HashMap<Search, OnceLock<Matcher>>,
}

/// What an expression of a search matches.
enum Matcher {
    Regexp(Regexp),
    /// It is costly to keep, and a name that it does not mean costs one read.
    Everything,
    /// It is none: the ExternalSecret says so itself.
    Nothing,
}

struct Asked {
    lookups: Vec<(StoreId, Ask)>,
    heeds: bool,
}

impl Asks {
    /// Records what an object asks for. `heeds`: events refresh it.
    pub(crate) fn put(&mut self, object: &ObjectKey, lookups: Vec<Lookup>, heeds: bool) {
        self.remove(object);
        let lookups: Vec<_> = lookups.into_iter().map(|one| (one.store, one.ask)).collect();
        for (_, ask) in &lookups {
            match ask {
                Ask::Read(request) => {
                    for name in names(&request.key) {
                        self.by_name.entry(name.into()).or_default().insert(object.clone());
                    }
                }
                Ask::Find(search) => {
                    self.searching.insert(object.clone());
                    self.patterns.entry(search.clone()).or_default();
                }
            }
        }
        self.objects.insert(object.clone(), Asked { lookups, heeds });
    }

    /// Forgets an object.
    pub(crate) fn remove(&mut self, object: &ObjectKey) {
        let Some(asked) = self.objects.remove(object) else { return };
        for (_, ask) in &asked.lookups {
            let Ask::Read(request) = ask else { continue };
            for name in names(&request.key) {
                if let Some(users) = self.by_name.get_mut(name) {
                    users.remove(object);
                    if users.is_empty() {
                        self.by_name.remove(name);
                    }
                }
            }
        }
        if self.searching.remove(object) {
            let used: BTreeSet<_> =
                self.searching.iter().flat_map(|one| self.searches(one)).collect();
            let unused: Vec<_> =
                self.patterns.keys().filter(|search| !used.contains(search)).cloned().collect();
            for search in unused {
                self.patterns.remove(&search);
            }
        }
    }

    fn searches(&self, object: &ObjectKey) -> impl Iterator<Item = &Search> {
        let lookups = self.objects.get(object).into_iter().flat_map(|asked| &asked.lookups);
        lookups.filter_map(|(_, ask)| match ask {
            Ask::Find(search) => Some(search),
            Ask::Read(_) => None,
        })
    }

    /// The ExternalSecrets that read a secret by what changed of it. `facts` tells where a store reads, if it counts, and
    /// `prefixes` are those of all stores.
    pub(crate) fn readers(
        &self,
        secret: &EventSecret,
        change: &Change,
        prefixes: &BTreeSet<String>,
        facts: impl Fn(&StoreId, &ObjectKey) -> Option<StoreFacts>,
    ) -> Vec<Reader> {
        let mut candidates: BTreeSet<&ObjectKey> = self.searching.iter().collect();
        for name in &secret.names {
            let whole = std::iter::once(&**name);
            let keys = prefixes.iter().filter_map(|prefix| name.strip_prefix(&**prefix));
            for key in whole.chain(keys) {
                candidates.extend(self.by_name.get(key).into_iter().flatten());
            }
        }
        let readers = candidates.into_iter().filter_map(|object| {
            self.reader(object, self.objects.get(object)?, (secret, change), &facts)
        });
        readers.collect()
    }

    fn reader(
        &self,
        object: &ObjectKey,
        asked: &Asked,
        event: (&EventSecret, &Change),
        facts: &impl Fn(&StoreId, &ObjectKey) -> Option<StoreFacts>,
    ) -> Option<Reader> {
        let (mut reads, mut certain, mut guess) = (Vec::new(), false, false);
        for (store, ask) in &asked.lookups {
            let Some(facts) = facts(store, object).filter(|facts| is_there(facts, event.0)) else {
                continue;
            };
            match ask {
                Ask::Read(request) if means(&facts, request, event) => {
                    certain = true;
                    if shows_version(&request.version, event.1) {
                        reads.push((store.clone(), request.clone()));
                    }
                }
                Ask::Find(search) if self.finds(&facts, search, event) => {
                    guess |= !search.filter.tags.is_empty();
                    certain |= search.filter.tags.is_empty();
                }
                Ask::Read(_) | Ask::Find(_) => {}
            }
        }
        let is_guess = guess && !certain;
        let heeds = asked.heeds;
        (certain || guess).then(|| Reader { object: object.clone(), reads, is_guess, heeds })
    }

    /// Whether a search may find the secret, as far as names tell.
    fn finds(
        &self,
        facts: &StoreFacts,
        search: &Search,
        (secret, change): (&EventSecret, &Change),
    ) -> bool {
        let is_asked_for = match change {
            Change::Any => true,
            Change::Label(label) => label == CURRENT,
            Change::Tags => !search.filter.tags.is_empty(),
        };
        let (prefix, path) = (&*facts.prefix, &*search.filter.path);
        // A path may repeat the prefix.
        let path =
            if path.starts_with(prefix) { path.to_owned() } else { format!("{prefix}{path}") };
        is_asked_for
            && secret.names.iter().any(|name| name.starts_with(&path) && self.matches(search, name))
    }

    fn matches(&self, search: &Search, name: &str) -> bool {
        let Some(text) = &search.regexp else { return true };
        let Some(cell) = self.patterns.get(search) else { return false };
        let compile = || match Regexp::compile(text, REGEXP_BYTES) {
            Ok(regexp) => Matcher::Regexp(regexp),
            Err(Refusal::Size) => Matcher::Everything,
            Err(Refusal::Syntax) => Matcher::Nothing,
        };
        match cell.get_or_init(compile) {
            Matcher::Regexp(regexp) => regexp.is_match(name.as_bytes()),
            Matcher::Everything => true,
            Matcher::Nothing => false,
        }
    }
}

/// The names that a key may mean: those in its ARN, or itself.
fn names(key: &str) -> Vec<&str> {
    Arn::parse(key).map_or_else(|| vec![key], |arn| arn.names())
}

/// Whether the store reads where the secret is.
fn is_there(facts: &StoreFacts, secret: &EventSecret) -> bool {
    facts.holder == secret.holder && facts.region == secret.region
}

fn means(
    facts: &StoreFacts,
    request: &ReadRequest,
    (secret, change): (&EventSecret, &Change),
) -> bool {
    let full = format!("{}{}", facts.prefix, request.key);
    // A name means the secret of the account that asks.
    let is_elsewhere = match (&facts.account, &secret.account) {
        (Some(own), Some(account)) => own != account && Arn::parse(&full).is_none(),
        _ => false,
    };
    !is_elsewhere && secret.is_meant_by(&full) && is_asked_for(request, change)
}

fn is_asked_for(request: &ReadRequest, change: &Change) -> bool {
    match (&request.content, change) {
        (Content::Tags, Change::Label(_)) | (Content::Value, Change::Tags) => false,
        (Content::Tags, Change::Tags | Change::Any) => true,
        (Content::Value, Change::Any) => !matches!(request.version, Version::Id(_)),
        (Content::Value, Change::Label(label)) => match &request.version {
            Version::Current => label == CURRENT,
            // AWS moves the label of the previous version in the same step and says nothing of it.
            Version::Stage(stage) => stage == label || stage == PREVIOUS && label == CURRENT,
            Version::Id(_) => false,
        },
    }
}

/// Whether what is read is the version that the event names.
fn shows_version(version: &Version, change: &Change) -> bool {
    match (version, change) {
        (Version::Current, Change::Label(label)) => label == CURRENT,
        (Version::Stage(stage), Change::Label(label)) => stage == label,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
