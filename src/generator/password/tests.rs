use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::generator::Counter;

fn made(spec: &PasswordSpec, seed: u64) -> Result<Vec<(String, String)>, GeneratorError> {
    let values = password(spec, &mut Counter(seed))?;
    let text = |bytes: &SecretBytes| String::from_utf8(bytes.expose().to_vec()).unwrap();
    Ok(values.iter().map(|(key, value)| (key.clone(), text(value))).collect())
}

fn one(spec: &PasswordSpec, seed: u64) -> String {
    made(spec, seed).unwrap().remove(0).1
}

fn counts(text: &str) -> (usize, usize, usize) {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let letters = text.chars().filter(char::is_ascii_alphabetic).count();
    (letters, digits, text.chars().count() - letters - digits)
}

#[test]
fn gen_password_has_24_characters_a_quarter_of_digits_and_of_symbols_by_default() {
    let text = one(&PasswordSpec::default(), 1);
    assert_eq!((text.len(), counts(&text)), (24, (12, 6, 6)));
    assert_ne!(text, one(&PasswordSpec::default(), 2));
}

#[test]
fn gen_password_makes_one_value_for_each_key_each_drawn_separately() {
    let keys = vec!["admin".to_owned(), "user".to_owned()];
    let spec = PasswordSpec { secret_keys: Some(keys), ..PasswordSpec::default() };
    let values = made(&spec, 1).unwrap();
    assert_eq!(values.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["admin", "user"]);
    assert_ne!(values[0].1, values[1].1);
    let twice = vec!["a".to_owned(), "a".to_owned()];
    let spec = PasswordSpec { secret_keys: Some(twice), ..PasswordSpec::default() };
    assert!(made(&spec, 1).unwrap_err().to_string().contains("names \"a\" twice"));
}

#[test]
fn gen_password_encodings_are_those_of_rfc_4648() {
    // Section 10.
    for (text, expected) in [
        ("", ""),
        ("f", "MY======"),
        ("fo", "MZXQ===="),
        ("foo", "MZXW6==="),
        ("foob", "MZXW6YQ="),
        ("fooba", "MZXW6YTB"),
        ("foobar", "MZXW6YTBOI======"),
    ] {
        assert_eq!(encode(&Encoding::Base32, text).unwrap(), expected);
    }
    assert_eq!(encode(&Encoding::Hex, "foobar").unwrap(), "666f6f626172");
    assert_eq!(encode(&Encoding::Base64, "foob").unwrap(), "Zm9vYg==");
    assert_eq!(encode(&Encoding::Base64Url, "~~~?").unwrap(), "fn5-Pw==");
    assert!(encode(&Encoding::Other("rot13".to_owned()), "x").is_err());
}

#[test]
fn gen_password_says_what_it_cannot_make() {
    let base = PasswordSpec::default();
    for (spec, text) in [
        (PasswordSpec { length: 5000, ..base.clone() }, "spec.length: is more than 4096"),
        (PasswordSpec { digits: Some(-1), ..base.clone() }, "spec.digits: is less than 0"),
        (
            PasswordSpec { digits: Some(20), symbols: Some(20), ..base.clone() },
            "spec.digits: 20 digits and 20 symbols are more than length 24",
        ),
        (
            PasswordSpec { length: 44, ..base.clone() },
            "spec.digits: 11 digits are asked for and there are 10 different ones: set allowRepeat",
        ),
        (
            PasswordSpec { symbol_characters: Some(String::new()), ..base.clone() },
            "spec.symbols: 6 symbols are asked for and there are 0",
        ),
        // Characters that are named twice are one.
        (
            PasswordSpec { symbols: Some(2), symbol_characters: Some("!!".into()), ..base.clone() },
            "there are 1 different ones",
        ),
        // Symbols that may be used up as letters.
        (
            PasswordSpec { symbols: Some(1), symbol_characters: Some("a".into()), ..base.clone() },
            "there are 0 different ones",
        ),
    ] {
        let error = made(&spec, 1).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
}

#[test]
fn gen_password_of_length_zero_has_the_default_length() {
    assert_eq!(one(&PasswordSpec { length: 0, ..PasswordSpec::default() }, 1).len(), 24);
}

fn spec() -> impl Strategy<Value = PasswordSpec> {
    let optional = |most| proptest::option::of(0..most);
    let symbols = proptest::option::of("[!#a1é]{0,6}");
    (0_i64..80, optional(30_i64), optional(30_i64), symbols, any::<bool>(), any::<bool>()).prop_map(
        |(length, digits, symbols, symbol_characters, no_upper, allow_repeat)| PasswordSpec {
            length,
            digits,
            symbols,
            symbol_characters,
            no_upper,
            allow_repeat,
            ..PasswordSpec::default()
        },
    )
}

proptest! {
    /// Against the rules as the page has them, read naively.
    #[test]
    fn gen_password_keeps_every_rule_or_says_why_not(spec in spec(), seed in any::<u64>()) {
        let length = if spec.length == 0 { 24 } else { usize::try_from(spec.length).unwrap() };
        let digits = spec.digits.map_or(length / 4, |n| usize::try_from(n).unwrap());
        let symbols = spec.symbols.map_or(length / 4, |n| usize::try_from(n).unwrap());
        let set: BTreeSet<char> =
            spec.symbol_characters.clone().unwrap_or_else(|| SYMBOLS.to_owned()).chars().collect();
        let alphabet: BTreeSet<char> = ('a'..='z').chain(('A'..='Z').filter(|_| !spec.no_upper)).collect();
        let numerals: BTreeSet<char> = ('0'..='9').collect();
        match made(&spec, seed) {
            Ok(values) => {
                let text: Vec<char> = values[0].1.chars().collect();
                prop_assert_eq!(text.len(), length);
                let letters = length - digits - symbols;
                // A symbol may be a letter or a digit, too, if the spec says so.
                let of = |set: &BTreeSet<char>| text.iter().filter(|one| set.contains(one)).count();
                prop_assert!(of(&alphabet) >= letters && of(&numerals) >= digits && (of(&set) >= symbols));
                let all: BTreeSet<char> = alphabet.iter().chain(&numerals).chain(&set).copied().collect();
                prop_assert!(text.iter().all(|one| all.contains(one)));
                let different: BTreeSet<_> = text.iter().collect();
                prop_assert!(spec.allow_repeat || different.len() == length, "a repeat");
            }
            Err(error) => {
                let too_many = digits + symbols > length;
                let letters = length.saturating_sub(digits + symbols);
                let mut free = set.clone();
                if letters > 0 { free = free.difference(&alphabet).copied().collect(); }
                if digits > 0 { free = free.difference(&numerals).copied().collect(); }
                let short = !spec.allow_repeat
                    && (letters > alphabet.len() || digits > 10 || symbols > free.len());
                let none = spec.allow_repeat && symbols > 0 && set.is_empty();
                prop_assert!(too_many || short || none, "{error}");
            }
        }
    }
}
