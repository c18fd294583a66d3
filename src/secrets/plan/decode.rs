//! From what a provider returns to what a Secret can hold: keys and encodings.

use std::{collections::BTreeMap, fmt::Write};

use base64::{
    Engine,
    alphabet::{Alphabet, STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::Zeroizing;

use super::error::PlanError;
use super::key::{Key, KeyName};
use crate::api::external_secrets::external_secret::ConversionStrategy;
use crate::api::external_secrets::external_secret::NullBytePolicy;
use crate::api::external_secrets::references::DecodingStrategy;
use crate::provider::SecretBytes;

/// Longest key of a Secret.
const MAX_KEY: usize = 253;

/// Makes keys valid: every character that a Secret key cannot have is replaced.
///
/// Keys that are empty are dropped. Two keys that become one are an error, as is a key that stays invalid. `name` says
/// what a message may say of a key.
pub fn convert_keys(
    field: &str,
    strategy: &ConversionStrategy,
    data: BTreeMap<String, SecretBytes>,
    name: fn(usize, &str) -> KeyName,
) -> Result<BTreeMap<String, SecretBytes>, PlanError> {
    let mut origin: BTreeMap<String, KeyName> = BTreeMap::new();
    let mut converted = BTreeMap::new();
    for (nth, (key, value)) in data.into_iter().enumerate() {
        if key.is_empty() {
            continue;
        }
        let new = convert_key(field, strategy, &key)?;
        if !is_valid_key(&new) {
            return Err(PlanError::BadKey { field: field.to_owned(), key: name(nth, &new) });
        }
        let second = name(nth, &key);
        if let Some(first) = origin.insert(new.clone(), second.clone()) {
            return Err(PlanError::KeyCollision { field: field.to_owned(), first, second });
        }
        converted.insert(new, value);
    }
    Ok(converted)
}

fn convert_key(field: &str, strategy: &ConversionStrategy, key: &str) -> Result<String, PlanError> {
    let mut new = String::with_capacity(key.len());
    for c in key.chars() {
        match strategy {
            _ if is_key_char(c) => new.push(c),
            ConversionStrategy::Default => new.push('_'),
            ConversionStrategy::Unicode => {
                // Writing to a String cannot fail.
                let _ = write!(new, "_U{:04x}_", u32::from(c));
            }
            ConversionStrategy::Other(value) => {
                return Err(PlanError::UnknownValue {
                    field: format!("{field}.conversionStrategy"),
                    value: value.clone(),
                });
            }
        }
    }
    Ok(new)
}

/// Refuses a key that the API server would refuse.
pub(crate) fn check_key(field: &str, key: Key<'_>) -> Result<(), PlanError> {
    if is_valid_key(key.text()) {
        Ok(())
    } else {
        Err(PlanError::BadKey { field: field.to_owned(), key: key.name() })
    }
}

fn is_valid_key(text: &str) -> bool {
    // A key is a file where the Secret is mounted: the API server allows no `.`, and nothing that begins with `..`.
    let is_file = text != "." && !text.starts_with("..");
    !text.is_empty() && text.len() <= MAX_KEY && is_file && text.chars().all(is_key_char)
}

fn is_key_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')
}

/// Decodes one value.
///
/// `Auto` tries both alphabets and keeps what is neither. It also decodes plain words that happen to be
/// valid, such as an eight-letter password: existing manifests rely on the rule as it is.
pub fn decode<'a>(
    field: &str,
    key: impl Into<Key<'a>>,
    strategy: &DecodingStrategy,
    value: SecretBytes,
) -> Result<SecretBytes, PlanError> {
    let key = key.into();
    let wrong =
        |strategy| PlanError::Undecodable { field: field.to_owned(), key: key.name(), strategy };
    match strategy {
        DecodingStrategy::None => Ok(value),
        DecodingStrategy::Base64 => base64(&STANDARD, &value).ok_or_else(|| wrong("Base64")),
        DecodingStrategy::Base64Url => base64(&URL_SAFE, &value).ok_or_else(|| wrong("Base64URL")),
        DecodingStrategy::Auto => {
            Ok(base64(&STANDARD, &value).or_else(|| base64(&URL_SAFE, &value)).unwrap_or(value))
        }
        DecodingStrategy::Other(value) => Err(PlanError::UnknownValue {
            field: format!("{field}.decodingStrategy"),
            value: value.clone(),
        }),
    }
}

/// Go's decoder: line breaks are ignored, padding is required, unused bits may be anything.
fn base64(alphabet: &Alphabet, value: &SecretBytes) -> Option<SecretBytes> {
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical);
    let mut text = Zeroizing::new(Vec::with_capacity(value.len()));
    text.extend(value.expose().iter().filter(|byte| !matches!(byte, b'\r' | b'\n')));
    // Decoded in place of an estimate that is never too short, so nothing is copied by growing.
    let mut bytes = Zeroizing::new(vec![0; base64::decoded_len_estimate(text.len())]);
    let len = GeneralPurpose::new(alphabet, config).decode_slice(&*text, &mut bytes).ok()?;
    Some(SecretBytes::new(bytes.get(..len)?.to_vec()))
}

/// Refuses a zero byte where the policy says so.
pub(crate) fn check_null_bytes<'a>(
    field: &str,
    key: impl Into<Key<'a>>,
    policy: &NullBytePolicy,
    value: &SecretBytes,
) -> Result<(), PlanError> {
    match policy {
        NullBytePolicy::Ignore => Ok(()),
        NullBytePolicy::Fail if !value.expose().contains(&0) => Ok(()),
        NullBytePolicy::Fail => {
            Err(PlanError::NullByte { field: field.to_owned(), key: key.into().name() })
        }
        NullBytePolicy::Other(value) => Err(PlanError::UnknownValue {
            field: format!("{field}.nullBytePolicy"),
            value: value.clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(nth: usize, key: &str) -> KeyName {
        Key::made(nth, key).name()
    }

    fn converted(strategy: &ConversionStrategy, keys: &[&str]) -> Result<Vec<String>, PlanError> {
        let data = keys.iter().map(|key| ((*key).to_owned(), SecretBytes::default())).collect();
        convert_keys("dataFrom[0].extract", strategy, data, made)
            .map(|data| data.into_keys().collect())
    }

    fn decoded(strategy: &DecodingStrategy, text: &str) -> Option<Vec<u8>> {
        decode("data[0].remoteRef", "k", strategy, SecretBytes::from(text.to_owned()))
            .ok()
            .map(|bytes| bytes.expose().to_vec())
    }

    #[test]
    fn characters_that_a_key_cannot_have_are_replaced() {
        assert_eq!(
            converted(&ConversionStrategy::Default, &["a/b é", "ok-._9"]).unwrap(),
            ["a_b__", "ok-._9"]
        );
        assert_eq!(
            converted(&ConversionStrategy::Unicode, &["a/b é😀"]).unwrap(),
            ["a_U002f_b_U0020__U00e9__U1f600_"]
        );
    }

    #[test]
    fn two_keys_that_become_one_are_an_error() {
        let error = converted(&ConversionStrategy::Default, &["a/b", "a b"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "spec.dataFrom[0].extract: two keys become the same, the key at position 1 in alphabetical order (3 characters) and the key at position 2 in alphabetical order (3 characters): use conversionStrategy Unicode or rewrite them"
        );
        assert!(converted(&ConversionStrategy::Unicode, &["a/b", "a b"]).is_ok());
    }

    #[test]
    fn an_empty_key_is_dropped_and_a_long_one_refused() {
        assert_eq!(converted(&ConversionStrategy::Default, &["", "a"]).unwrap(), ["a"]);
        assert!(converted(&ConversionStrategy::Default, &[&"a".repeat(253)]).is_ok());
        let error = converted(&ConversionStrategy::Default, &[&"a".repeat(254)]).unwrap_err();
        assert!(matches!(error, PlanError::BadKey { .. }));
    }

    #[test]
    fn a_key_that_would_be_a_file_elsewhere_is_refused() {
        for bad in [".", "..", "../a", "..a"] {
            let error = converted(&ConversionStrategy::Default, &[bad]).unwrap_err();
            assert!(matches!(error, PlanError::BadKey { .. }), "{bad}");
        }
        assert_eq!(
            converted(&ConversionStrategy::Default, &["./a", ".a", "a.."]).unwrap(),
            ["._a", ".a", "a.."]
        );
    }

    #[test]
    fn a_strategy_of_a_later_release_is_named() {
        let error = converted(&ConversionStrategy::Other("Rot13".into()), &["a/b"]).unwrap_err();
        assert!(error.to_string().contains(r#"conversionStrategy is "Rot13""#), "{error}");
        let decoding = DecodingStrategy::Other("Hex".into());
        let error =
            decode("data[0].remoteRef", "k", &decoding, SecretBytes::default()).unwrap_err();
        assert!(error.to_string().contains("data[0].remoteRef.decodingStrategy"), "{error}");
    }

    #[test]
    fn base64_is_as_lenient_as_go() {
        let ok = |text: &str| decoded(&DecodingStrategy::Base64, text);
        assert_eq!(ok("aGk=").as_deref(), Some(&b"hi"[..]));
        assert_eq!(ok("aG\r\nk=\n").as_deref(), Some(&b"hi"[..]), "line breaks are ignored");
        assert_eq!(ok("aGl=").as_deref(), Some(&b"hi"[..]), "unused bits may be anything");
        assert_eq!(ok("").as_deref(), Some(&b""[..]));
        for bad in ["aGk", "aGk= ", "a", "a-_=", "aGk==", "=", "aGk=aGk="] {
            assert_eq!(ok(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_two_alphabets_are_told_apart() {
        assert_eq!(
            decoded(&DecodingStrategy::Base64, "+/+/").as_deref(),
            Some(&[0xfb, 0xff, 0xbf][..])
        );
        assert_eq!(
            decoded(&DecodingStrategy::Base64Url, "-_-_").as_deref(),
            Some(&[0xfb, 0xff, 0xbf][..])
        );
        assert_eq!(decoded(&DecodingStrategy::Base64Url, "+/+/"), None);
    }

    #[test]
    fn auto_decodes_what_it_can_and_keeps_the_rest() {
        let auto = |text: &str| decoded(&DecodingStrategy::Auto, text).unwrap();
        assert_eq!(auto("aGk="), b"hi");
        assert_eq!(auto("-_-_"), [0xfb, 0xff, 0xbf]);
        assert_eq!(auto("hunter2"), b"hunter2");
        assert_eq!(
            auto("password"),
            [0xa5, 0xab, 0x2c, 0xc2, 0x8a, 0xdd],
            "a word of 4n letters is base64"
        );
    }

    #[test]
    fn a_zero_byte_is_refused_only_when_asked_for() {
        let value = SecretBytes::new(vec![1, 0, 2]);
        assert!(check_null_bytes("f", "k", &NullBytePolicy::Ignore, &value).is_ok());
        assert!(check_null_bytes("f", "k", &NullBytePolicy::Fail, &value).is_err());
        assert!(
            check_null_bytes("f", "k", &NullBytePolicy::Fail, &SecretBytes::new(vec![1])).is_ok()
        );
    }
}
