//! Templates that were parsed before, within a bound.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Delimiters, Error, Template};

/// Bytes of text in each of the two generations.
const BYTES: usize = 2 << 20;

/// Parsed templates by their text. Those that were not asked for lately are forgotten.
#[derive(Default)]
pub struct Cache {
    generations: Mutex<Generations>,
}

/// What is asked for lives in the young generation. When that is full, it becomes the old one, and what
/// was in the old one and not asked for since is dropped.
#[derive(Default)]
struct Generations {
    young: HashMap<Key, Arc<Template>>,
    old: HashMap<Key, Arc<Template>>,
    bytes: usize,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    name: String,
    text: Vec<u8>,
    delimiters: Delimiters,
}

impl Cache {
    /// The parsed template. A text that cannot be parsed is parsed anew each time.
    pub fn parse(
        &self,
        name: &str,
        text: &[u8],
        delimiters: &Delimiters,
    ) -> Result<Arc<Template>, Error> {
        let key =
            Key { name: name.to_owned(), text: text.to_owned(), delimiters: delimiters.clone() };
        if let Some(known) =
            self.generations.lock().unwrap_or_else(PoisonError::into_inner).find(&key)
        {
            return Ok(known);
        }
        let parsed = Arc::new(Template::parse(name, text, delimiters)?);
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.insert(key, Arc::clone(&parsed));
        Ok(parsed)
    }
}

impl Generations {
    fn find(&mut self, key: &Key) -> Option<Arc<Template>> {
        if let Some(known) = self.young.get(key) {
            return Some(Arc::clone(known));
        }
        let (key, known) = self.old.remove_entry(key)?;
        self.insert(key, Arc::clone(&known));
        Some(known)
    }

    fn insert(&mut self, key: Key, template: Arc<Template>) {
        self.bytes += key.text.len();
        if self.bytes > BYTES {
            self.bytes = key.text.len();
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(key, template);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_parsed_once_and_each_under_its_own_name_and_delimiters() {
        let cache = Cache::default();
        let plain = Delimiters::default();
        let other = Delimiters { left: "<<".to_owned(), right: ">>".to_owned() };
        let first = cache.parse("a", b"{{ .x }}", &plain).unwrap();
        assert!(Arc::ptr_eq(&first, &cache.parse("a", b"{{ .x }}", &plain).unwrap()));
        for (name, text, delimiters) in
            [("b", "{{ .x }}", &plain), ("a", "{{ .y }}", &plain), ("a", "{{ .x }}", &other)]
        {
            let parsed = cache.parse(name, text.as_bytes(), delimiters).unwrap();
            assert!(!Arc::ptr_eq(&first, &parsed));
        }
        assert!(cache.parse("a", b"{{ end }}", &plain).is_err());
    }

    #[test]
    fn what_is_asked_for_stays_and_the_rest_goes() {
        let cache = Cache::default();
        let plain = Delimiters::default();
        let kept = cache.parse("kept", b"kept", &plain).unwrap();
        for nth in 0..20 {
            let text = format!("{nth}{}", "x".repeat(BYTES / 4));
            cache.parse("big", text.as_bytes(), &plain).unwrap();
            assert!(Arc::ptr_eq(&kept, &cache.parse("kept", b"kept", &plain).unwrap()));
        }
        let generations = cache.generations.lock().unwrap();
        let all = generations.young.keys().chain(generations.old.keys());
        assert!(all.map(|key| key.text.len()).sum::<usize>() <= 2 * BYTES);
    }
}
