//! The kinds of Kubernetes and their fields, in the versions that are known.
//!
//! `kubernetes.txt` is what API servers say of themselves, made small by `dev/schemas.py`, which describes its form.

use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

const TEXT: &str = include_str!("kubernetes.txt");

/// Minor versions in which something exists, the first and the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) since: u32,
    pub(super) until: u32,
}

impl Span {
    pub(super) const fn holds(self, minor: u32) -> bool {
        self.since <= minor && minor <= self.until
    }
}

/// A field of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) required: bool,
    pub(super) span: Span,
    /// In the words of `kubernetes.txt`.
    pub(super) shape: &'static str,
}

pub(super) type Fields = BTreeMap<&'static str, Field>;

/// A kind that an API server serves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) span: Span,
    /// The number of its type.
    pub(super) number: usize,
}

/// The types of an API server.
pub(super) struct Types {
    pub(super) oldest: u32,
    pub(super) newest: u32,
    lines: Vec<&'static str>,
    /// Read when they are needed: most files hold objects of few kinds.
    fields: Vec<OnceLock<Fields>>,
    /// By `group/version/Kind`.
    pub(super) kinds: BTreeMap<&'static str, Kind>,
    /// The type of the metadata of every object.
    pub(super) metadata: usize,
}

pub(super) static TYPES: LazyLock<Types> = LazyLock::new(|| Types::read(TEXT));

impl Types {
    fn read(text: &'static str) -> Self {
        let (head, rest) = text.split_once('\n').unwrap_or_default();
        let (oldest, newest) = head.split_once(' ').unwrap_or_default();
        let number = |text: &str| text.parse().unwrap_or_default();
        let mut all = Self {
            oldest: number(oldest),
            newest: number(newest),
            lines: rest.lines().collect(),
            fields: Vec::new(),
            kinds: BTreeMap::new(),
            metadata: usize::MAX,
        };
        all.fields.resize_with(all.lines.len(), OnceLock::new);
        for (number, line) in all.lines.iter().enumerate() {
            let head = line.split(' ').next().unwrap_or_default();
            let (kind, span) = all.marked(head);
            if kind != "-" {
                all.kinds.insert(kind, Kind { span, number });
            }
        }
        let of_pods =
            all.kinds.get("/v1/Pod").and_then(|pod| all.fields(pod.number).get("metadata"));
        all.metadata = of_pods.and_then(|field| field.shape.parse().ok()).unwrap_or(usize::MAX);
        all
    }

    /// The fields of a type; none are known of a type that has none.
    pub(super) fn fields(&self, number: usize) -> &Fields {
        static NONE: Fields = Fields::new();
        let Some((line, fields)) = self.lines.get(number).zip(self.fields.get(number)) else {
            return &NONE;
        };
        fields.get_or_init(|| line.split(' ').skip(1).filter_map(|word| self.field(word)).collect())
    }

    fn field(&self, word: &'static str) -> Option<(&'static str, Field)> {
        let (name, shape) = word.split_once(':')?;
        let (name, span) = self.marked(name);
        let bare = name.strip_suffix('!');
        Some((bare.unwrap_or(name), Field { required: bare.is_some(), span, shape }))
    }

    /// A name, and in which versions it exists.
    fn marked<'w>(&self, word: &'w str) -> (&'w str, Span) {
        let (name, mark) = word.split_once('@').unwrap_or((word, ""));
        let (since, until) = mark.split_once('-').unwrap_or((mark, ""));
        let span = Span {
            since: since.parse().unwrap_or(self.oldest),
            until: until.parse().unwrap_or(self.newest),
        };
        (name, span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_can_be_read_and_refers_to_a_line() {
        let types = &*TYPES;
        assert!(types.oldest == 33 && types.newest > 36 && types.kinds.len() > 100);
        assert!(TEXT.len() < 250 * 1024);
        for number in 0..types.lines.len() {
            assert_eq!(
                types.fields(number).len(),
                types.lines[number].split(' ').count() - 1,
                "{}",
                types.lines[number]
            );
            for (name, field) in types.fields(number) {
                let inner = field.shape.trim_start_matches(['[', '{']);
                let word = inner.split('|').next().unwrap_or_default();
                match word.parse::<usize>() {
                    Ok(other) => assert!(!types.fields(other).is_empty(), "{name}"),
                    Err(_) => {
                        assert!("sytiIqbnxo".contains(word) && word.len() == 1, "{name} {word}");
                    }
                }
                assert!(field.span.since <= field.span.until, "{name}");
            }
        }
        assert!(types.fields(types.metadata).contains_key("ownerReferences"));
    }
}
