//! What a viewer asks for: a path, and the filter of the list of secrets. Anything else is ignored or refused, not guessed.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt::Write as _;

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::survey::{Row, State};

/// Longest text of one part of a filter.
const MAX_PART: usize = 400;

/// How the list of secrets is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    /// Worst first.
    #[default]
    State,
    /// By namespace and name.
    Name,
    /// Whoever was read longest ago first.
    Last,
    /// Whoever is read next first.
    Next,
}

impl Sort {
    /// All, with the word of the address and the words on the page.
    pub(super) const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::State, "state", "Worst first"),
        (Self::Name, "name", "Name"),
        (Self::Last, "last", "Longest since last sync"),
        (Self::Next, "next", "Next to be read"),
    ];

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(sort, ..)| *sort == self).map_or("", |(_, word, _)| word)
    }
}

/// The filter of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) state: Option<State>,
    pub(super) namespace: String,
    pub(super) store: String,
    pub(super) text: String,
    pub(super) sort: Sort,
    pub(super) after: Option<Place>,
}

/// The place of a row in the order. A page begins behind one, whether its row is still there or not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    rank: usize,
    time: i64,
    namespace: String,
    name: String,
}

impl Place {
    pub(super) fn of(row: &Row, sort: Sort) -> Self {
        let seconds = |time: Option<Timestamp>, none| time.map_or(none, Timestamp::as_second);
        let (rank, time) = match sort {
            Sort::State => {
                let rank = State::ALL.iter().position(|state| *state == row.state);
                (rank.unwrap_or_default(), seconds(row.since, i64::MAX))
            }
            Sort::Name => (0, 0),
            Sort::Last => (0, seconds(row.last, i64::MIN)),
            Sort::Next => (0, seconds(row.next, i64::MAX)),
        };
        Self { rank, time, namespace: row.namespace.clone(), name: row.name.clone() }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        let (rank, time) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let (namespace, name) = parts.next()?.split_once('/')?;
        Some(Self { rank, time, namespace: namespace.to_owned(), name: name.to_owned() })
    }

    fn text(&self) -> String {
        format!("{}.{}.{}/{}", self.rank, self.time, self.namespace, self.name)
    }
}

fn decoded(text: &str) -> String {
    let spaced = text.replace('+', " ");
    let text = percent_decode_str(&spaced).decode_utf8_lossy();
    let mut cut = text.into_owned();
    cut.truncate(cut.floor_char_boundary(MAX_PART));
    cut
}

/// A part of an address.
pub(super) fn encoded(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, NON_ALPHANUMERIC).into()
}

/// Whether a word may stand in a path of the API server.
pub(super) fn is_name(word: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let dots = matches!(word, "." | "..");
    !word.is_empty() && !dots && word.len() <= 253 && word.chars().all(fits)
}

impl Filter {
    pub(super) fn parse(query: &str) -> Self {
        let mut filter = Self::default();
        for pair in query.split('&').take(16) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decoded(value);
            match name {
                "state" => {
                    let state = State::ALL.into_iter();
                    filter.state =
                        state.into_iter().find(|state| state.word().eq_ignore_ascii_case(&value));
                }
                "namespace" => value.trim().clone_into(&mut filter.namespace),
                "store" => value.trim().clone_into(&mut filter.store),
                "q" => value.trim().clone_into(&mut filter.text),
                "sort" => {
                    let found = Sort::ALL.iter().find(|(_, word, _)| *word == value);
                    filter.sort = found.map(|(sort, ..)| *sort).unwrap_or_default();
                }
                "after" => filter.after = Place::parse(&value),
                _ => {}
            }
        }
        filter
    }

    /// The address of the list with this filter.
    pub(super) fn link(&self) -> String {
        let mut link = "/secrets".to_owned();
        let state = self.state.map_or("", State::word);
        let sort = if self.sort == Sort::State { "" } else { self.sort.word() };
        let after = self.after.as_ref().map(Place::text).unwrap_or_default();
        for (name, value) in [
            ("state", state),
            ("namespace", self.namespace.as_str()),
            ("store", &self.store),
            ("q", &self.text),
            ("sort", sort),
            ("after", &after),
        ] {
            if !value.is_empty() {
                let joint = if link.contains('?') { '&' } else { '?' };
                let _ = write!(link, "{joint}{name}={}", encoded(value));
            }
        }
        link
    }

    /// Whether anything is filtered out.
    pub(super) fn is_narrow(&self) -> bool {
        self.state.is_some()
            || !(self.namespace.is_empty() && self.store.is_empty() && self.text.is_empty())
    }

    fn fits(&self, row: &Row, text: &str) -> bool {
        let contains = |field: &str| {
            let (field, text) = (field.as_bytes(), text.as_bytes());
            field.windows(text.len()).any(|part| part.eq_ignore_ascii_case(text))
        };
        self.state.is_none_or(|state| state == row.state)
            && (self.namespace.is_empty() || self.namespace == row.namespace)
            && (self.store.is_empty() || self.store == row.store)
            && (text.is_empty()
                || contains(&row.name)
                || contains(&row.namespace)
                || contains(&row.store)
                || contains(&row.why))
    }

    /// The rows of one page, how many fit in all, how many of them come before, and the filter of the next page.
    pub(super) fn page<'a>(&self, rows: &'a [Row], size: usize) -> Page<'a> {
        let mut found: Vec<_> = rows.iter().filter(|row| self.fits(row, &self.text)).collect();
        let total = found.len();
        let by = |one: &&Row, other: &&Row| self.order(one, other);
        found.sort_by(by);
        let before = match &self.after {
            Some(after) => found.partition_point(|row| Place::of(row, self.sort) <= *after),
            None => 0,
        };
        let rows: Vec<_> = found.into_iter().skip(before).take(size).collect();
        let more = before + rows.len() < total;
        let next = rows
            .last()
            .filter(|_| more)
            .map(|last| Self { after: Some(Place::of(last, self.sort)), ..self.clone() });
        Page { rows, total, before, next }
    }

    fn order(&self, one: &Row, other: &Row) -> Ordering {
        Place::of(one, self.sort).cmp(&Place::of(other, self.sort))
    }
}

/// One page of the list.
pub(super) struct Page<'a> {
    pub(super) rows: Vec<&'a Row>,
    pub(super) total: usize,
    pub(super) before: usize,
    pub(super) next: Option<Filter>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::survey::Kind;

    fn row(number: usize) -> Row {
        let time = |step: usize| Timestamp::from_second(i64::try_from(number % step).unwrap()).ok();
        Row {
            kind: Kind::ExternalSecret,
            namespace: format!("ns-{}", number % 3),
            name: format!("app-{number}"),
            state: State::ALL[number % State::ALL.len()],
            since: time(5),
            last: time(7),
            next: if number.is_multiple_of(2) { time(11) } else { None },
            store: format!("ss/store-{}", number % 2),
            why: format!("Because {number}"),
        }
    }

    proptest! {
        #[test]
        fn pages_together_are_the_list_each_row_once(
            count in 0_usize..120, size in 1_usize..40, sort in 0_usize..4, narrow in any::<bool>(),
        ) {
            let rows: Vec<_> = (0..count).map(row).collect();
            let mut filter = Filter { sort: Sort::ALL[sort].0, ..Filter::default() };
            if narrow {
                filter.text = "BECAUSE 1".to_owned();
            }
            let mut want: Vec<_> = rows.iter()
                .filter(|row| !narrow || row.why.starts_with("Because 1"))
                .map(|row| row.name.clone()).collect();
            let (mut seen, mut links) = (Vec::new(), 0);
            loop {
                // As a viewer follows it: through the address.
                let link = filter.link();
                let read = Filter::parse(link.split_once('?').map_or("", |(_, query)| query));
                prop_assert_eq!(&read, &filter);
                let page = read.page(&rows, size);
                prop_assert_eq!((page.total, page.before), (want.len(), seen.len()));
                seen.extend(page.rows.iter().map(|row| row.name.clone()));
                links += 1;
                match page.next {
                    Some(next) => filter = next,
                    None => break,
                }
            }
            prop_assert!(links <= count / size + 1);
            seen.sort();
            want.sort();
            prop_assert_eq!(seen, want);
        }

        #[test]
        fn any_query_is_read_and_its_parts_are_bounded(query in ".{0,600}") {
            let filter = Filter::parse(&query);
            prop_assert!(filter.text.len() <= MAX_PART && filter.link().len() < 8192);
        }
    }

    #[test]
    fn what_is_no_name_comes_into_no_path() {
        for word in ["", ".", "..", "a/b", "A", "a b", "%2e", "é", &"a".repeat(254)] {
            assert!(!is_name(word), "{word}");
        }
        assert!(is_name("app.v1-2"));
    }
}
