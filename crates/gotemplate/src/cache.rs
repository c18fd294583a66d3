//! Parsed templates, kept: the same text is rendered again and again.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::{Arc, Mutex, PoisonError},
};

use super::{Delimiters, Error, Template, Text};

/// Keeps the templates used last, up to a number of bytes.
pub struct Cache {
    capacity: usize,
    hasher: BuildHasherDefault<DefaultHasher>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// By the hash of name, text and delimiters. Of two with one hash the later one stays.
    entries: HashMap<u64, Entry>,
    /// Hashes by the time of their last use.
    uses: BTreeMap<u64, u64>,
    clock: u64,
    bytes: usize,
}

struct Entry {
    name: String,
    text: Text,
    delimiters: Delimiters,
    template: Arc<Template>,
    last_use: u64,
}

impl Entry {
    fn is_of(&self, name: &str, text: &[u8], delimiters: &Delimiters) -> bool {
        self.name == name && *self.text == *text && self.delimiters == *delimiters
    }

    fn bytes(&self) -> usize {
        self.name.len() + self.text.len() + self.template.weight()
    }
}

impl Cache {
    /// An empty cache for so many bytes of texts and trees.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, hasher: BuildHasherDefault::default(), kept: Mutex::default() }
    }

    /// The template of a text, parsed now if it is not kept. Errors are not kept.
    pub fn parse(
        &self,
        name: &str,
        text: &[u8],
        delimiters: &Delimiters,
    ) -> Result<Arc<Template>, Error> {
        let hash = self.hasher.hash_one((name, text, delimiters));
        if let Some(known) = self.kept().used(hash, name, text, delimiters) {
            return Ok(known);
        }
        let template = Arc::new(Template::parse(name, text, delimiters)?);
        let entry = Entry {
            name: name.to_owned(),
            text: Text::from(text),
            delimiters: delimiters.clone(),
            template: Arc::clone(&template),
            last_use: 0,
        };
        self.kept().keep(hash, entry, self.capacity);
        Ok(template)
    }

    /// Number of templates kept.
    pub fn len(&self) -> usize {
        self.kept().entries.len()
    }

    /// True while none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        // What is kept is whole after every statement, also where a thread died.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn used(
        &mut self,
        hash: u64,
        name: &str,
        text: &[u8],
        delimiters: &Delimiters,
    ) -> Option<Arc<Template>> {
        let entry = self.entries.get_mut(&hash)?;
        if !entry.is_of(name, text, delimiters) {
            return None;
        }
        self.clock += 1;
        self.uses.remove(&entry.last_use);
        self.uses.insert(self.clock, hash);
        entry.last_use = self.clock;
        Some(Arc::clone(&entry.template))
    }

    fn keep(&mut self, hash: u64, mut entry: Entry, capacity: usize) {
        self.forget(hash);
        if entry.bytes() > capacity {
            return;
        }
        while self.bytes + entry.bytes() > capacity {
            let Some((_, oldest)) = self.uses.first_key_value() else { break };
            self.forget(*oldest);
        }
        self.clock += 1;
        entry.last_use = self.clock;
        self.bytes += entry.bytes();
        self.uses.insert(self.clock, hash);
        self.entries.insert(hash, entry);
    }

    fn forget(&mut self, hash: u64) {
        if let Some(gone) = self.entries.remove(&hash) {
            self.uses.remove(&gone.last_use);
            self.bytes = self.bytes.saturating_sub(gone.bytes());
        }
    }
}
