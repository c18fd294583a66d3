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

/// Of several entries with one key the last one counts.
impl<K: Into<Vec<u8>>, V: Into<Vec<u8>>> FromIterator<(K, V)> for Data {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let entries = entries
            .into_iter()
            .map(|(key, value)| (Text::new(key.into()), Value::String(Text::new(value.into()))));
        Self(Value::Map(Map::new(&Type::String, entries.collect())))
    }
}
