//! One version: reading and comparing.

use std::{cmp::Ordering, fmt, sync::LazyLock};

use regex::Regex;

/// A version. Parts that are missing are 0.
#[derive(Clone)]
pub(super) struct Version {
    pub major: u64,
    pub minor: u64,
    pub patch: u64,
    pub prerelease: String,
    pub metadata: String,
    pub original: String,
}

static FORM: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"^v?([0-9]+)(\.[0-9]+)?(\.[0-9]+)?(?:-([0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)*))?(?:\+([0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)*))?$",
    )
    .ok()
});

impl Version {
    /// Reads a version, leniently: a `v` in front, missing parts and leading zeros are fine.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let found = FORM.as_ref()?.captures(text)?;
        let part = |nth: usize| found.get(nth).map_or("", |part| part.as_str());
        let number = |nth: usize| match part(nth).trim_start_matches('.') {
            "" => Some(0),
            digits => digits.parse().ok(),
        };
        let prerelease = part(4);
        let leading_zero = |part: &str| {
            part.len() > 1
                && part.starts_with('0')
                && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        if prerelease.split('.').any(leading_zero) {
            return None;
        }
        Some(Self {
            major: number(1)?,
            minor: number(2)?,
            patch: number(3)?,
            prerelease: prerelease.to_owned(),
            metadata: part(5).to_owned(),
            original: text.to_owned(),
        })
    }

    /// The order of versions; metadata does not count.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let numbers = |version: &Self| (version.major, version.minor, version.patch);
        numbers(self).cmp(&numbers(other)).then_with(|| {
            match (self.prerelease.is_empty(), other.prerelease.is_empty()) {
                (false, false) => prerelease_order(&self.prerelease, &other.prerelease),
                (one, two) => one.cmp(&two),
            }
        })
    }

    pub(super) fn next_major(&self) -> Self {
        self.next(self.major.wrapping_add(1), 0, 0)
    }

    pub(super) fn next_minor(&self) -> Self {
        self.next(self.major, self.minor.wrapping_add(1), 0)
    }

    /// Of a prerelease the release itself.
    pub(super) fn next_patch(&self) -> Self {
        let more = u64::from(self.prerelease.is_empty());
        self.next(self.major, self.minor, self.patch.wrapping_add(more))
    }

    fn next(&self, major: u64, minor: u64, patch: u64) -> Self {
        let prefix = if self.original.starts_with('v') { "v" } else { "" };
        let original = format!("{prefix}{major}.{minor}.{patch}");
        let (prerelease, metadata) = (String::new(), String::new());
        Self { major, minor, patch, prerelease, metadata, original }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.prerelease.is_empty() {
            write!(f, "-{}", self.prerelease)?;
        }
        if !self.metadata.is_empty() {
            write!(f, "+{}", self.metadata)?;
        }
        Ok(())
    }
}

/// Part by part: numbers below words, and fewer parts below more.
pub(super) fn prerelease_order(one: &str, two: &str) -> Ordering {
    let (mut one, mut two) = (one.split('.'), two.split('.'));
    loop {
        let (a, b) = match (one.next(), two.next()) {
            (None, None) => return Ordering::Equal,
            (a, b) => (a.unwrap_or(""), b.unwrap_or("")),
        };
        if a == b {
            continue;
        }
        if a.is_empty() || b.is_empty() {
            return b.is_empty().cmp(&a.is_empty());
        }
        return match (a.parse::<u64>(), b.parse::<u64>()) {
            (Ok(a), Ok(b)) if a > b => Ordering::Greater,
            (Ok(_), _) => Ordering::Less,
            (Err(_), Ok(_)) => Ordering::Greater,
            (Err(_), Err(_)) => a.cmp(b),
        };
    }
}
