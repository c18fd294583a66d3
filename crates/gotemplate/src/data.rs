//! What a template is rendered with.

use crate::{
    map::Map,
    text::Text,
    value::{Type, Value},
};

/// The dot of a template: Go's `map[string]string`. Cloning is cheap, and what it holds is wiped on drop.
///
/// A template reads nested data with `fromJson` or `fromYaml`.
///
/// ```
/// let data: gotemplate::Data = [("user", "alice"), ("password", "hunter2")].into_iter().collect();
/// ```
#[derive(Clone)]
pub struct Data(pub(crate) Value);

impl Data {
    /// Maps in a map: Go's `map[string]map[string]string`.
    pub fn nested<K, I, V>(entries: impl IntoIterator<Item = (K, I)>) -> Self
    where
        K: Into<Vec<u8>>,
        I: IntoIterator<Item = (K, V)>,
        V: Into<Vec<u8>>,
    {
        let entries = entries.into_iter().map(|(key, inner)| {
            let Self(inner) = inner.into_iter().collect();
            (Text::new(key.into()), inner)
        });
        Self(Value::Map(Map::new(&Type::Map(&Type::String), entries.collect())))
    }
}

/// Of several entries with one key the last one counts.
impl<K: Into<Vec<u8>>, V: Into<Vec<u8>>> FromIterator<(K, V)> for Data {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let entries = entries
            .into_iter()
            .map(|(key, value)| (Text::new(key.into()), Value::String(Text::new(value.into()))));
        Self(Value::Map(Map::new(&Type::String, entries.collect())))
    }
}
