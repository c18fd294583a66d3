//! Passwords.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use zeroize::Zeroizing;

use super::{Entropy, GeneratorError, Values, below, shuffle};
use crate::api::generators::local::{Encoding, PasswordSpec};
use crate::secret_bytes::SecretBytes;

const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const DIGITS: &str = "0123456789";
const SYMBOLS: &str = "~!@#$%^&*()_+`-={}|[]\\:\"<>?,./";
const DEFAULT_KEY: &str = "password";
/// Longest password, and most of them.
const MAX_LENGTH: usize = 4096;
const MAX_KEYS: usize = 256;

/// One password for each key.
pub(crate) fn password(
    spec: &PasswordSpec,
    entropy: &mut dyn Entropy,
) -> Result<Values, GeneratorError> {
    let rules = Rules::new(spec)?;
    let default = [DEFAULT_KEY.to_owned()];
    let keys = spec.secret_keys.as_deref().filter(|keys| !keys.is_empty()).unwrap_or(&default);
    if keys.len() > MAX_KEYS {
        return Err(field("secretKeys", format!("has more than {MAX_KEYS} keys: use several")));
    }
    let mut values = Values::new();
    for key in keys {
        let text = rules.make(entropy)?;
        let value = SecretBytes::from(encode(&spec.encoding, &text)?);
        if values.insert(key.clone(), value).is_some() {
            return Err(field("secretKeys", format!("names {key:?} twice: remove one")));
        }
    }
    Ok(values)
}

fn field(field: &'static str, reason: String) -> GeneratorError {
    GeneratorError::Field { field, reason }
}

/// How many characters of which kind.
struct Rules {
    /// What to take from, and how many.
    parts: [(Vec<char>, usize); 3],
    allow_repeat: bool,
}

impl Rules {
    fn new(spec: &PasswordSpec) -> Result<Self, GeneratorError> {
        let length = match spec.length {
            length if length <= 0 => PasswordSpec::default().length,
            length => length,
        };
        let length = usize::try_from(length).ok().filter(|length| *length <= MAX_LENGTH);
        let length = length.ok_or_else(|| {
            field("length", format!("is more than {MAX_LENGTH}: make it smaller"))
        })?;
        let count = |name, asked: Option<i64>| match asked {
            None => Ok(length / 4),
            Some(asked) => usize::try_from(asked)
                .map_err(|_| field(name, "is less than 0: use 0 for none".to_owned())),
        };
        let (digits, symbols) = (count("digits", spec.digits)?, count("symbols", spec.symbols)?);
        let letters = digits.checked_add(symbols).and_then(|others| length.checked_sub(others));
        let letters = letters.ok_or_else(|| {
            let reason = format!("{digits} digits and {symbols} symbols are more than length {length}: ask for fewer, or for a longer password");
            field("digits", reason)
        })?;
        let alphabet = if spec.no_upper { LOWER.to_owned() } else { format!("{LOWER}{UPPER}") };
        let symbol_set = spec.symbol_characters.as_deref().unwrap_or(SYMBOLS);
        let rules = Self {
            parts: [
                (characters(&alphabet), letters),
                (characters(DIGITS), digits),
                (characters(symbol_set), symbols),
            ],
            allow_repeat: spec.allow_repeat,
        };
        rules.check()?;
        Ok(rules)
    }

    /// Whether there are as many characters as are asked for.
    fn check(&self) -> Result<(), GeneratorError> {
        let mut taken: Vec<char> = Vec::new();
        for (nth, (set, count)) in self.parts.iter().enumerate() {
            let (name, what) =
                [("length", "letters"), ("digits", "digits"), ("symbols", "symbols")][nth];
            let free = set.iter().filter(|one| !taken.contains(one)).count();
            let enough =
                *count == 0 || if self.allow_repeat { !set.is_empty() } else { *count <= free };
            if !enough {
                let reason = format!(
                    "{count} {what} are asked for and there are {free} different ones: set allowRepeat to true, or ask for fewer"
                );
                return Err(field(name, reason));
            }
            // What a set shares with one before it may be used up by that.
            if !self.allow_repeat && *count > 0 {
                taken.extend(set);
            }
        }
        Ok(())
    }

    fn make(&self, entropy: &mut dyn Entropy) -> Result<Zeroizing<String>, GeneratorError> {
        let mut chosen: Zeroizing<Vec<char>> = Zeroizing::new(Vec::with_capacity(MAX_LENGTH));
        let mut taken: Vec<&[char]> = Vec::new();
        for (set, count) in &self.parts {
            let mut free: Zeroizing<Vec<char>> = Zeroizing::new(
                set.iter()
                    .filter(|one| self.allow_repeat || !taken.iter().any(|set| set.contains(one)))
                    .copied()
                    .collect(),
            );
            for _ in 0..*count {
                let nth = below(free.len(), entropy)?;
                let one = if self.allow_repeat {
                    free.get(nth).copied()
                } else {
                    Some(free.swap_remove(nth))
                };
                chosen.extend(one);
            }
            if *count > 0 {
                taken.push(set);
            }
        }
        shuffle(&mut chosen, entropy)?;
        let mut text = Zeroizing::new(String::with_capacity(chosen.len() * 4));
        text.extend(chosen.iter());
        Ok(text)
    }
}

/// The different characters of a text.
fn characters(text: &str) -> Vec<char> {
    let mut set = Vec::new();
    for one in text.chars() {
        if !set.contains(&one) {
            set.push(one);
        }
    }
    set
}

fn encode(encoding: &Encoding, text: &str) -> Result<String, GeneratorError> {
    Ok(match encoding {
        Encoding::Raw => text.to_owned(),
        Encoding::Base64 => STANDARD.encode(text),
        Encoding::Base64Url => URL_SAFE.encode(text),
        Encoding::Base32 => base32(text.as_bytes()),
        Encoding::Hex => {
            text.bytes().flat_map(|byte| [byte >> 4, byte & 15]).map(hex_digit).collect()
        }
        Encoding::Other(other) => {
            let reason =
                format!("{other:?} is not known: use raw, base64, base64url, base32 or hex");
            return Err(field("encoding", reason));
        }
    })
}

fn hex_digit(nibble: u8) -> char {
    char::from_digit(nibble.into(), 16).unwrap_or('0')
}

/// RFC 4648, section 6, with padding.
fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut out = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for chunk in bytes.chunks(5) {
        let mut block = [0; 8];
        block[3..3 + chunk.len()].copy_from_slice(chunk);
        let number = u64::from_be_bytes(block);
        let used = (chunk.len() * 8).div_ceil(5);
        for nth in 0..8 {
            let index = usize::try_from((number >> (35 - 5 * nth)) & 31).unwrap_or_default();
            out.push(if nth < used { char::from(ALPHABET[index]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests;
