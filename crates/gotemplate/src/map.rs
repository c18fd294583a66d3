//! Maps of Go: from strings to values, shared with everyone who holds them.

use std::{
    cell::{Ref, RefCell},
    rc::Rc,
};

use super::{
    text::Text,
    value::{Elements, Type, Value, drop_flat},
};

/// Entries of a map, in Go's order of printing and ranging.
///
/// A list sorted by key takes a third of what a tree takes. Of an entry put into the middle, [`super::Context`]
/// accounts for those that make way.
#[derive(Default)]
pub(crate) struct Entries(Vec<(Text, Value)>);

impl Entries {
    /// The value of a key.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Value> {
        self.find(key).ok().and_then(|at| self.0.get(at)).map(|(_, value)| value)
    }

    /// Puts an entry in, in the place of the one with the same key.
    pub(crate) fn insert(&mut self, key: Text, value: Value) {
        match self.find(&key) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (key, value)),
        }
    }

    /// Takes an entry out.
    pub(crate) fn remove(&mut self, key: &[u8]) {
        if let Ok(at) = self.find(key) {
            self.0.remove(at);
        }
    }

    /// How many entries come after this key.
    pub(crate) fn after(&self, key: &[u8]) -> usize {
        let (Ok(at) | Err(at)) = self.find(key);
        self.0.len() - at
    }

    /// The entries, which are no longer in this one.
    pub(super) fn into_vec(mut self) -> Vec<(Text, Value)> {
        std::mem::take(&mut self.0)
    }

    /// The place of a key, or the one where it would be.
    fn find(&self, key: &[u8]) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| (**known).cmp(key))
    }
}

impl std::ops::Deref for Entries {
    type Target = [(Text, Value)];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Drop for Entries {
    fn drop(&mut self) {
        drop_flat(Elements::Map(std::mem::take(&mut self.0).into_iter()));
    }
}

/// Of several entries with one key the last one counts.
impl FromIterator<(Text, Value)> for Entries {
    fn from_iter<I: IntoIterator<Item = (Text, Value)>>(entries: I) -> Self {
        let mut entries: Vec<_> = entries.into_iter().collect();
        if !entries.is_sorted_by(|(one, _), (two, _)| one < two) {
            entries.sort_by(|(one, _), (two, _)| one.cmp(two));
            entries.dedup_by(|(later, value), (earlier, before)| {
                let same = later == earlier;
                if same {
                    std::mem::swap(value, before);
                }
                same
            });
        }
        Self(entries)
    }
}

/// A map from strings, shared with everyone who holds it.
#[derive(Clone)]
pub(crate) struct Map {
    element: &'static Type,
    pub(super) entries: Option<Rc<RefCell<Entries>>>,
}

impl Map {
    /// A map to values of this type.
    pub(crate) fn new(element: &'static Type, entries: Entries) -> Self {
        Self { element, entries: Some(Rc::new(RefCell::new(entries))) }
    }

    /// The nil map of this type: like an empty one, but nothing can be put into it.
    pub(crate) fn nil(element: &'static Type) -> Self {
        Self { element, entries: None }
    }

    /// Type of the values.
    pub(crate) fn element(&self) -> &'static Type {
        self.element
    }

    /// True of the nil map.
    pub(crate) fn is_nil(&self) -> bool {
        self.entries.is_none()
    }

    /// True when both are the same map, not only equal ones.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.entries, &other.entries) {
            (Some(one), Some(two)) => Rc::ptr_eq(one, two),
            (None, None) => true,
            _ => false,
        }
    }

    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        self.entries.as_ref().map_or(0, |entries| entries.borrow().len())
    }

    /// True when there is no entry.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Value> {
        self.entries.as_ref()?.borrow().get(key).cloned()
    }

    /// True when there is such a key.
    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.entries.as_ref().is_some_and(|entries| entries.borrow().get(key).is_some())
    }

    /// A copy of the entries as they are now, in order: safe to walk while the map changes.
    pub(crate) fn entries(&self) -> Vec<(Text, Value)> {
        self.read().map_or_else(Vec::new, |entries| entries.to_vec())
    }

    /// The entries themselves, for whoever changes no map while holding them. None of a nil map.
    pub(crate) fn read(&self) -> Option<Ref<'_, Entries>> {
        self.entries.as_ref().map(|entries| entries.borrow())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(keys: &[&str]) -> Entries {
        let numbered = keys.iter().zip(0..);
        numbered.map(|(key, number)| (Text::from(*key), Value::int(number))).collect()
    }

    fn shown(entries: &Entries) -> String {
        let number = |value: &Value| if let Value::Int(_, number) = value { *number } else { -1 };
        let shown: Vec<_> = entries
            .iter()
            .map(|(key, value)| format!("{}{}", String::from_utf8_lossy(key), number(value)))
            .collect();
        shown.join(" ")
    }

    #[test]
    fn entries_are_in_order_and_the_last_of_a_key_counts() {
        assert_eq!(shown(&entries(&["b", "a", "b", "c", "a", "a"])), "a5 b2 c3");
        assert_eq!(shown(&entries(&["a", "b"])), "a0 b1");
        assert_eq!(shown(&entries(&["a", "a"])), "a1");
    }

    #[test]
    fn entries_come_and_go() {
        let mut entries = entries(&["d", "b"]);
        entries.insert(Text::from("c"), Value::int(7));
        entries.insert(Text::from("b"), Value::int(8));
        assert_eq!(shown(&entries), "b8 c7 d0");
        assert_eq!([entries.after(b"a"), entries.after(b"c"), entries.after(b"e")], [3, 2, 0]);
        entries.remove(b"c");
        entries.remove(b"x");
        assert_eq!(shown(&entries), "b8 d0");
        assert!(entries.get(b"c").is_none());
    }
}
