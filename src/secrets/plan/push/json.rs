//! One field of a JSON object, set or removed. All others keep their text, byte for byte: numbers of any length too.

use std::{fmt, io::Write as _};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::provider::SecretBytes;

/// The text is no JSON object, or something else stands where an object is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAnObject;

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<String, &'de RawValue>()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

fn members(text: &[u8]) -> Result<Vec<(String, &RawValue)>, NotAnObject> {
    let members: Members<'_> = serde_json::from_slice(text).map_err(|_| NotAnObject)?;
    Ok(members.0)
}

/// Whether it is a JSON object.
pub(crate) fn is_object(text: &[u8]) -> bool {
    members(text).is_ok()
}

/// The steps of a property: dots part them, but for a field that has the whole text as its name, and `\.`.
fn steps(object: &[u8], property: &str) -> Result<Vec<String>, NotAnObject> {
    let whole = property.replace("\\.", ".");
    if members(object)?.iter().any(|(name, _)| *name == whole) {
        return Ok(vec![whole]);
    }
    let (mut steps, mut step) = (Vec::new(), String::new());
    let mut rest = property.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' if rest.peek() == Some(&'.') => {
                rest.next();
                step.push('.');
            }
            '.' => steps.push(std::mem::take(&mut step)),
            c => step.push(c),
        }
    }
    steps.push(step);
    Ok(steps)
}

/// Whether a field is this text already.
pub(crate) fn holds(object: &[u8], property: &str, value: &str) -> bool {
    let Ok(steps) = steps(object, property) else { return false };
    let mut raw = object;
    for step in &steps {
        let Ok(members) = members(raw) else { return false };
        let Some((_, inner)) = members.into_iter().find(|(name, _)| name == step) else {
            return false;
        };
        raw = inner.get().as_bytes();
    }
    serde_json::from_slice::<String>(raw).is_ok_and(|text| *Zeroizing::new(text) == value)
}

/// The object with a field set to a text.
pub(crate) fn set(object: &[u8], property: &str, value: &str) -> Result<SecretBytes, NotAnObject> {
    let steps = steps(object, property)?;
    let mut out =
        Zeroizing::new(Vec::with_capacity(object.len() + property.len() + value.len() + 16));
    set_at(object, &steps, value, &mut out)?;
    Ok(SecretBytes::from(out))
}

fn set_at(
    object: &[u8],
    steps: &[String],
    value: &str,
    out: &mut Zeroizing<Vec<u8>>,
) -> Result<(), NotAnObject> {
    let Some((first, rest)) = steps.split_first() else { return Err(NotAnObject) };
    let inside = |raw: &[u8], out: &mut Zeroizing<Vec<u8>>| {
        if rest.is_empty() {
            quoted(value, out);
            Ok(())
        } else {
            set_at(raw, rest, value, out)
        }
    };
    out.push(b'{');
    let mut done = false;
    for (nth, (name, raw)) in members(object)?.into_iter().enumerate() {
        if nth > 0 {
            out.push(b',');
        }
        quoted(&name, out);
        out.push(b':');
        if name == *first {
            inside(raw.get().as_bytes(), out)?;
            done = true;
        } else {
            out.extend_from_slice(raw.get().as_bytes());
        }
    }
    if !done {
        if out.last() != Some(&b'{') {
            out.push(b',');
        }
        quoted(first, out);
        out.push(b':');
        inside(b"{}", out)?;
    }
    out.push(b'}');
    Ok(())
}

/// The object without a field; `None` if it has no other then.
pub(crate) fn remove(object: &[u8], property: &str) -> Result<Option<SecretBytes>, NotAnObject> {
    let steps = steps(object, property)?;
    let mut out = Zeroizing::new(Vec::with_capacity(object.len()));
    let empty = remove_at(object, &steps, &mut out)?;
    Ok((!empty).then(|| SecretBytes::from(out)))
}

/// True if nothing is left.
fn remove_at(
    object: &[u8],
    steps: &[String],
    out: &mut Zeroizing<Vec<u8>>,
) -> Result<bool, NotAnObject> {
    let Some((first, rest)) = steps.split_first() else { return Err(NotAnObject) };
    out.push(b'{');
    let mut empty = true;
    for (name, raw) in members(object)? {
        let mut kept = Zeroizing::new(Vec::new());
        if name != *first {
            kept.extend_from_slice(raw.get().as_bytes());
        } else if rest.is_empty() || !is_object(raw.get().as_bytes()) {
            if rest.is_empty() {
                continue;
            }
            kept.extend_from_slice(raw.get().as_bytes());
        } else if remove_at(raw.get().as_bytes(), rest, &mut kept)? {
            continue;
        }
        if !empty {
            out.push(b',');
        }
        empty = false;
        quoted(&name, out);
        out.push(b':');
        out.extend_from_slice(&kept);
    }
    out.push(b'}');
    Ok(empty)
}

/// A JSON object of texts.
pub(crate) fn object<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> SecretBytes {
    let mut out = Zeroizing::new(vec![b'{']);
    for (nth, (name, value)) in fields.into_iter().enumerate() {
        if nth > 0 {
            out.push(b',');
        }
        quoted(name, &mut out);
        out.push(b':');
        quoted(value, &mut out);
    }
    out.push(b'}');
    SecretBytes::from(out)
}

fn quoted(text: &str, out: &mut Zeroizing<Vec<u8>>) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            // Go escapes these two as well, so that either operator writes the same.
            '\0'..='\u{1f}' | '\u{2028}' | '\u{2029}' => {
                // Writing to a vector cannot fail.
                let _ = write!(&mut **out, "\\u{:04x}", u32::from(c));
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn text(bytes: &SecretBytes) -> String {
        String::from_utf8(bytes.expose().to_vec()).unwrap()
    }

    #[test]
    fn one_field_changes_and_the_others_keep_their_text() {
        let object =
            br#"{ "big": 12345678901234567890.50, "a": {"b": 1e3, "c": "x"}, "d": [1, 2] }"#;
        let set = |property, value| text(&set(object, property, value).unwrap());
        assert_eq!(
            set("a.b", "new"),
            r#"{"big":12345678901234567890.50,"a":{"b":"new","c":"x"},"d":[1, 2]}"#
        );
        assert!(set("e.f.g", "\"\n\u{1}").ends_with(r#","e":{"f":{"g":"\"\n\u0001"}}}"#));
        assert!(set("e\\.f", "x").ends_with(r#","e.f":"x"}"#));
        assert_eq!(super::set(object, "d.x", "1"), Err(NotAnObject));
        assert_eq!(super::set(b"[1]", "x", "1"), Err(NotAnObject));
        assert_eq!(super::set(b"hunter2", "x", "1"), Err(NotAnObject));
    }

    #[test]
    fn a_field_that_has_the_property_as_its_name_is_meant() {
        let object = br#"{"tls.crt":"old"}"#;
        assert_eq!(text(&set(object, "tls.crt", "new").unwrap()), r#"{"tls.crt":"new"}"#);
        assert_eq!(remove(object, "tls.crt"), Ok(None));
    }

    #[test]
    fn removal_takes_empty_objects_along_and_nothing_else() {
        let left = |object: &[u8], property| remove(object, property).unwrap().map(|b| text(&b));
        assert_eq!(left(br#"{"a":{"b":"x"}}"#, "a.b"), None);
        assert_eq!(left(br#"{"a":{"b":"x"},"c":1.0}"#, "a.b").unwrap(), r#"{"c":1.0}"#);
        assert_eq!(left(br#"{"a":"x","c":2}"#, "a.b").unwrap(), r#"{"a":"x","c":2}"#);
        assert_eq!(left(br#"{"c":2}"#, "a").unwrap(), r#"{"c":2}"#);
    }

    proptest! {
        #[test]
        fn as_a_naive_model_of_maps_says(
            start in prop::collection::btree_map("[a-c]{1,2}", "[ -~é\u{2028}\"]{0,4}", 0..4),
            operations in prop::collection::vec(("[a-c]{1,2}", prop::option::of("\\PC{0,4}")), 0..8),
        ) {
            let mut model = start.clone();
            let mut actual = object(start.iter().map(|(k, v)| (k.as_str(), v.as_str())));
            for (name, value) in operations {
                if let Some(value) = value {
                    actual = set(actual.expose(), &name, &value).unwrap();
                    prop_assert!(holds(actual.expose(), &name, &value));
                    model.insert(name, value);
                } else {
                    actual = remove(actual.expose(), &name).unwrap().unwrap_or_else(|| object([]));
                    model.remove(&name);
                }
                let read: Value = serde_json::from_slice(actual.expose()).unwrap();
                prop_assert_eq!(read, json!(model));
            }
        }
    }
}
