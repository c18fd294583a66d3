//! What a version has to satisfy: `>= 1.2, < 2 || ^3.1`.

use std::{cmp::Ordering, sync::LazyLock};

use regex::Regex;

use super::version::{Version, prerelease_order};

/// One comparison.
pub(super) struct Constraint {
    operator: Operator,
    version: Version,
    /// Parts of the version are missing or a wildcard: all from the minor one on, or the patch alone.
    open: bool,
    open_minor: bool,
    open_patch: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Tilde,
    Caret,
}

/// A part may be `x`; the `|` in the classes is one of the library's oddities.
const VERSION: &str = r"v?([0-9|x|X|\*]+)(\.[0-9|x|X|\*]+)?(\.[0-9|x|X|\*]+)?(-([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?";
const OPERATOR: &str = r"=||!=|>|<|>=|=>|<=|=<|~|~>|\^";
const SPACE: &str = r"[\t\n\f\r ]";

struct Forms {
    one: Regex,
    range: Regex,
    each: Regex,
    all: Regex,
}

static FORMS: LazyLock<Option<Forms>> = LazyLock::new(|| {
    let (v, o, s) = (VERSION, OPERATOR, SPACE);
    Some(Forms {
        one: Regex::new(&format!("^{s}*({o}){s}*({v}){s}*$")).ok()?,
        range: Regex::new(&format!(r"{s}*({v}){s}+-{s}+({v}){s}*")).ok()?,
        each: Regex::new(&format!("({o}){s}*({v})")).ok()?,
        all: Regex::new(&format!("^({s}*({o}){s}*({v}){s}*)((?:{s}+|,{s}*)({o}){s}*({v}){s}*)*$"))
            .ok()?,
    })
});

/// Alternatives, of each of which all constraints have to hold.
pub(super) fn parse(text: &str) -> Option<Vec<Vec<Constraint>>> {
    let forms = FORMS.as_ref()?;
    let text = without_ranges(forms, text);
    text.split("||")
        .map(|alternative| {
            if !forms.all.is_match(alternative) {
                return None;
            }
            forms.each.find_iter(alternative).map(|one| constraint(forms, one.as_str())).collect()
        })
        .collect()
}

/// `1.2 - 2` means `>= 1.2, <= 2`.
fn without_ranges(forms: &Forms, text: &str) -> String {
    let mut result = text.to_owned();
    for found in forms.range.captures_iter(text) {
        let part = |nth: usize| found.get(nth).map_or("", |part| part.as_str());
        let rewritten = format!(">= {}, <= {} ", part(1), part(11));
        result = result.replacen(part(0), &rewritten, 1);
    }
    result
}

fn constraint(forms: &Forms, text: &str) -> Option<Constraint> {
    let found = forms.one.captures(text)?;
    let part = |nth: usize| found.get(nth).map_or("", |part| part.as_str());
    let operator = match part(1) {
        "" | "=" => Operator::Equal,
        "!=" => Operator::NotEqual,
        ">" => Operator::Greater,
        "<" => Operator::Less,
        ">=" | "=>" => Operator::GreaterOrEqual,
        "<=" | "=<" => Operator::LessOrEqual,
        "~" | "~>" => Operator::Tilde,
        _ => Operator::Caret,
    };
    let wildcard = |part: &str| matches!(part.trim_start_matches('.'), "" | "x" | "*" | "X");
    let (major, minor, patch, prerelease) = (part(3), part(4), part(5), part(6));
    let open_major = wildcard(major);
    let open_minor = !open_major && wildcard(minor);
    let open_patch = !open_major && !open_minor && wildcard(patch);
    let version = if open_major {
        format!("0.0.0{prerelease}")
    } else if open_minor {
        format!("{major}.0.0{prerelease}")
    } else if open_patch {
        format!("{major}{minor}.0{prerelease}")
    } else {
        part(2).to_owned()
    };
    let version = Version::parse(&version)?;
    let open = open_major || open_minor || open_patch;
    Some(Constraint { operator, version, open, open_minor, open_patch })
}

/// True when one alternative holds.
pub(super) fn check(alternatives: &[Vec<Constraint>], version: &Version) -> bool {
    alternatives.iter().any(|constraints| {
        // A prerelease satisfies only alternatives that name one.
        let named = constraints.iter().any(|one| !one.version.prerelease.is_empty());
        (version.prerelease.is_empty() || named) && constraints.iter().all(|one| one.holds(version))
    })
}

impl Constraint {
    fn holds(&self, version: &Version) -> bool {
        let own = &self.version;
        let order = version.compare(own);
        match self.operator {
            Operator::Equal if self.open => self.tilde(version),
            Operator::Equal => order.is_eq(),
            Operator::NotEqual => self.differs(version),
            Operator::Greater => match version.major.cmp(&own.major) {
                _ if !self.open => order.is_gt(),
                Ordering::Equal if self.open_minor => false,
                Ordering::Equal if self.open_patch => version.minor > own.minor,
                Ordering::Equal => order.is_gt(),
                major => major.is_gt(),
            },
            Operator::Less => order.is_lt(),
            Operator::GreaterOrEqual => order.is_ge(),
            Operator::LessOrEqual if self.open => {
                version.major < own.major
                    || version.major == own.major && (version.minor <= own.minor || self.open_minor)
            }
            Operator::LessOrEqual => order.is_le(),
            Operator::Tilde => self.tilde(version),
            Operator::Caret => self.caret(version),
        }
    }

    fn differs(&self, version: &Version) -> bool {
        let own = &self.version;
        if !self.open {
            return version.compare(own).is_ne();
        }
        if own.major != version.major || own.minor != version.minor && !self.open_minor {
            return true;
        }
        if self.open_minor {
            return false;
        }
        if self.open_patch {
            return prerelease_order(&version.prerelease, &own.prerelease).is_ne();
        }
        own.patch != version.patch || version.compare(own).is_ne()
    }

    /// The same minor version, or the same major one where no minor is given.
    fn tilde(&self, version: &Version) -> bool {
        let own = &self.version;
        if version.compare(own).is_lt() {
            return false;
        }
        let zero = own.major == 0 && own.minor == 0 && own.patch == 0;
        if zero && !self.open_minor && !self.open_patch {
            return true;
        }
        version.major == own.major && (version.minor == own.minor || self.open_minor)
    }

    /// The same part that is the first one not 0.
    fn caret(&self, version: &Version) -> bool {
        let own = &self.version;
        if version.compare(own).is_lt() {
            return false;
        }
        if own.major > 0 || self.open_minor {
            return version.major == own.major;
        }
        if version.major > 0 {
            return false;
        }
        if own.minor > 0 || self.open_patch {
            return version.minor == own.minor;
        }
        version.minor == 0 && own.patch == version.patch
    }
}
