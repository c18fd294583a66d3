//! Go's syntax of regular expressions, written so that the `regex` crate reads the same.

use std::fmt::Write as _;

/// The rewritten expression; none where Go refuses it. What remains wrong the crate refuses.
pub(super) fn translate(pattern: &str) -> Option<String> {
    let mut translation =
        Translation { rest: pattern, out: String::with_capacity(pattern.len() + 16) };
    translation.expression()?;
    Some(translation.out)
}

/// In front of every name of a group.
pub(super) const NAME_PREFIX: char = '_';
/// Go repeats nothing more often.
const MOST_REPEATS: u32 = 1000;
const SPACE: &str = r"\t\n\x0C\r ";
const DIGIT: &str = "0-9";
const WORD: &str = "0-9A-Za-z_";

struct Translation<'p> {
    rest: &'p str,
    out: String,
}

impl Translation<'_> {
    fn expression(&mut self) -> Option<()> {
        // A repetition of a repetition is an error, as is one of nothing, which the crate finds.
        let mut repeated = false;
        while let Some(c) = self.take() {
            let was_repeated = std::mem::replace(&mut repeated, false);
            match c {
                '*' | '+' | '?' => {
                    self.out.push(c);
                    self.lazy();
                    repeated = true;
                }
                '{' => match self.counts()? {
                    Some(counts) => {
                        self.out += &counts;
                        self.lazy();
                        repeated = true;
                    }
                    None => self.literal('{'),
                },
                '[' => self.class()?,
                '(' => self.group()?,
                '\\' => self.escape()?,
                '.' | '^' | '$' | '|' | ')' => self.out.push(c),
                _ => self.literal(c),
            }
            if repeated && was_repeated {
                return None;
            }
        }
        Some(())
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.out.write_fmt(text);
    }

    fn take(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn take_prefix(&mut self, prefix: &str) -> bool {
        let found = self.rest.strip_prefix(prefix);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn lazy(&mut self) {
        if self.take_prefix("?") {
            self.out.push('?');
        }
    }

    /// A character that stands for itself, whatever the crate makes of it otherwise.
    fn literal(&mut self, c: char) {
        if c.is_alphanumeric() {
            self.out.push(c);
        } else {
            self.push(format_args!(r"\x{{{:X}}}", u32::from(c)));
        }
    }

    /// `{2}`, `{2,}`, `{2,3}` after the brace. Anything else stands for itself: `Some(None)`.
    #[expect(clippy::option_option)] // the outer one is a refusal, the inner one no repetition
    fn counts(&mut self) -> Option<Option<String>> {
        let Some((body, after)) = self.rest.split_once('}') else { return Some(None) };
        let digits = |text: &str| {
            let leading = text.len() > 1 && text.starts_with('0');
            !text.is_empty() && !leading && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        let (least, most) = match body.split_once(',') {
            Some((least, most)) => (least, Some(most)),
            None => (body, None),
        };
        if !digits(least) || !most.is_none_or(|most| most.is_empty() || digits(most)) {
            return Some(None);
        }
        let number = |text: &str| text.parse::<u32>().ok().filter(|n| *n <= MOST_REPEATS);
        let minimum = number(least)?;
        if let Some(most) = most.filter(|most| !most.is_empty())
            && number(most)? < minimum
        {
            return None;
        }
        self.rest = after;
        Some(Some(format!("{{{body}}}")))
    }

    /// After an opening parenthesis. Go knows fewer flags, and names only of letters, digits and underscores.
    fn group(&mut self) -> Option<()> {
        self.out.push('(');
        if !self.take_prefix("?") {
            return Some(());
        }
        self.out.push('?');
        if self.rest.starts_with("P<") || self.rest.starts_with('<') {
            let (name, after) = self.rest.trim_start_matches('P').get(1..)?.split_once('>')?;
            let plain = |c: char| c == '_' || c.is_ascii_alphanumeric();
            if name.is_empty() || !name.chars().all(plain) {
                return None;
            }
            // The crate wants names that start with a letter or underscore; Go takes `1x`, too.
            self.push(format_args!("P<{NAME_PREFIX}{name}>"));
            self.rest = after;
            return Some(());
        }
        loop {
            let c = self.take()?;
            self.out.push(c);
            match c {
                'i' | 'm' | 's' | 'U' | '-' => {}
                ':' | ')' => return Some(()),
                _ => return None,
            }
        }
    }

    /// After a backslash, outside of brackets.
    fn escape(&mut self) -> Option<()> {
        let c = self.take()?;
        match c {
            'A' | 'z' => self.out += if c == 'A' { r"\A" } else { r"\z" },
            'b' => self.out += r"(?-u:\b)",
            'B' => self.out += r"(?-u:\B)",
            'Q' => {
                let (text, after) = self.rest.split_once(r"\E").unwrap_or((self.rest, ""));
                self.rest = after;
                text.chars().for_each(|c| self.literal(c));
            }
            'd' | 'D' | 's' | 'S' | 'w' | 'W' | 'p' | 'P' => {
                self.out.push('[');
                self.escaped_class(c)?;
                self.out.push(']');
            }
            _ => {
                let c = self.escaped_character(c)?;
                self.literal(c);
            }
        }
        Some(())
    }

    /// `\d` and its kin, and classes of Unicode: what stands for them between brackets.
    fn escaped_class(&mut self, c: char) -> Option<()> {
        let ranges = match c.to_ascii_lowercase() {
            'd' => DIGIT,
            's' => SPACE,
            'w' => WORD,
            _ => return self.unicode_class(c == 'P'),
        };
        let negation = if c.is_ascii_uppercase() { "^" } else { "" };
        self.push(format_args!("[{negation}{ranges}]"));
        Some(())
    }

    /// `L`, `{Greek}` or `{^Greek}` after `\p` or `\P`.
    fn unicode_class(&mut self, negated: bool) -> Option<()> {
        let name = if self.take_prefix("{") {
            let (name, after) = self.rest.split_once('}')?;
            self.rest = after;
            name.to_owned()
        } else {
            self.take()?.to_string()
        };
        let (name, negated) = match name.strip_prefix('^') {
            Some(name) => (name, !negated),
            None => (name.as_str(), negated),
        };
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return None;
        }
        self.push(format_args!(r"\{}{{{name}}}", if negated { 'P' } else { 'p' }));
        Some(())
    }

    /// A single character after a backslash.
    fn escaped_character(&mut self, c: char) -> Option<char> {
        match c {
            'a' => Some('\u{7}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'v' => Some('\u{b}'),
            'x' => self.hexadecimal(),
            '0'..='7' => {
                // One digit that is not zero would be a reference to a group.
                let more: String =
                    self.rest.chars().take(2).take_while(|c| c.is_digit(8)).collect();
                if c != '0' && more.is_empty() {
                    return None;
                }
                self.rest = &self.rest[more.len()..];
                char::from_u32(u32::from_str_radix(&format!("{c}{more}"), 8).ok()?)
            }
            _ if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(c),
            _ => None,
        }
    }

    /// `7F` or `{10FFFF}` after `\x`.
    fn hexadecimal(&mut self) -> Option<char> {
        let digits = if self.take_prefix("{") {
            let (digits, after) = self.rest.split_once('}')?;
            self.rest = after;
            digits
        } else {
            let (digits, after) = self.rest.split_at_checked(2)?;
            self.rest = after;
            digits
        };
        let valid = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        char::from_u32(u32::from_str_radix(digits, 16).ok().filter(|_| valid)?)
    }

    /// After an opening bracket. Go knows no classes of classes but those with a name.
    fn class(&mut self) -> Option<()> {
        self.out.push('[');
        if self.take_prefix("^") {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            if !first && self.take_prefix("]") {
                self.out.push(']');
                return Some(());
            }
            first = false;
            if self.rest.starts_with("[:") && self.named_class()? {
                continue;
            }
            if let Some(c) = self.rest.strip_prefix('\\').and_then(|rest| rest.chars().next())
                && "dDsSwWpP".contains(c)
            {
                self.rest = &self.rest[2..];
                self.escaped_class(c)?;
                continue;
            }
            let low = self.class_character()?;
            self.literal(low);
            let range = self.rest.strip_prefix('-').filter(|rest| !rest.starts_with(']'));
            if let Some(rest) = range {
                self.rest = rest;
                let high = self.class_character()?;
                if high < low {
                    return None;
                }
                self.out.push('-');
                self.literal(high);
            }
        }
    }

    fn class_character(&mut self) -> Option<char> {
        match self.take()? {
            '\\' => {
                let c = self.take()?;
                self.escaped_character(c)
            }
            c => Some(c),
        }
    }

    /// `[:alpha:]`; false where the text is none, and stands for itself.
    fn named_class(&mut self) -> Option<bool> {
        let Some((name, after)) = self.rest[2..].split_once(":]") else { return Some(false) };
        let (negation, plain) = match name.strip_prefix('^') {
            Some(plain) => ("^", plain),
            None => ("", name),
        };
        let known = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print",
            "punct", "space", "upper", "word", "xdigit",
        ];
        if !known.contains(&plain) {
            return None;
        }
        self.push(format_args!("[:{negation}{plain}:]"));
        self.rest = after;
        Some(true)
    }
}
