//! The name of a certificate's subject in one line, as Go's `pkix.Name` prints it.

use std::fmt::Write as _;

use super::{
    Error,
    der::{self, Element, Reader},
    oid,
};

/// Attributes that Go knows, by the last byte of their identifier, in the order in which it lists them.
const KNOWN: [(u8, &str); 9] = [
    (6, "C"),
    (8, "ST"),
    (7, "L"),
    (9, "STREET"),
    (17, "POSTALCODE"),
    (10, "O"),
    (11, "OU"),
    (3, "CN"),
    (5, "SERIALNUMBER"),
];

/// One attribute of a name.
pub(super) struct Attribute<'a> {
    name: &'a [u8],
    value: String,
}

/// Attributes of a name, which is a SEQUENCE of SETs of pairs.
pub(super) fn attributes(name: Element<'_>) -> Result<Vec<Attribute<'_>>, Error> {
    let mut sets = Reader::only_sequence(name.whole)?;
    let mut attributes = Vec::new();
    while !sets.is_empty() {
        let mut set = Reader::new(sets.take(der::SET)?);
        while !set.is_empty() {
            let mut pair = set.sequence()?;
            let name = pair.oid()?;
            let value = pair.any()?;
            attributes.push(Attribute { name, value: text(value.tag, value.content)? });
        }
    }
    Ok(attributes)
}

/// The last first, with what Go does not know at the end.
pub(super) fn shown(name: &[u8]) -> Result<String, Error> {
    let attributes =
        Reader::new(name).any().and_then(attributes).map_err(|_| Error::Certificate)?;
    // Every group is one relative name; groups with one label hold all values of it.
    let mut groups: Vec<Vec<String>> = Vec::new();
    let is_known = |name: &[u8]| KNOWN.iter().any(|(last, _)| *name == [0x55, 4, *last]);
    for attribute in attributes.iter().filter(|attribute| !is_known(attribute.name)) {
        groups.push(vec![unknown(attribute)]);
    }
    for (last, label) in KNOWN {
        let values = attributes.iter().filter(|attribute| *attribute.name == [0x55, 4, last]);
        let mut values: Vec<_> = values.map(|attribute| &attribute.value).collect();
        if matches!(label, "CN" | "SERIALNUMBER") {
            // There is one: the last that is given.
            values = values.pop().filter(|value| !value.is_empty()).into_iter().collect();
        }
        if !values.is_empty() {
            groups.push(values.into_iter().map(|value| known(label, value)).collect());
        }
    }
    let groups: Vec<_> = groups.iter().rev().map(|group| group.join("+")).collect();
    Ok(groups.join(","))
}

fn known(label: &str, value: &str) -> String {
    let mut shown = format!("{label}=");
    for (at, character) in value.char_indices() {
        let at_end = at == 0 || at == value.len() - 1;
        let escaped = match character {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => true,
            ' ' => at_end,
            '#' => at == 0,
            _ => false,
        };
        if escaped {
            shown.push('\\');
        }
        shown.push(character);
    }
    shown
}

/// The value as DER, because without a label nobody knows how to read it.
fn unknown(attribute: &Attribute<'_>) -> String {
    let value = attribute.value.as_bytes();
    let tag = tag(&attribute.value);
    let mut shown = format!("{}=#", oid::dotted(attribute.name));
    for byte in der::element(tag, &[value]).iter() {
        let _ = write!(shown, "{byte:02x}"); // into a String: cannot fail
    }
    shown
}

/// The type in which Go writes a string.
pub(super) fn tag(text: &str) -> u8 {
    let printable = |byte| u8::is_ascii_alphanumeric(&byte) || b" '()+,-./:=?".contains(&byte);
    if text.bytes().all(printable) { der::PRINTABLE_STRING } else { der::UTF8_STRING }
}

/// A string of any of the types that names have.
pub(super) fn text(tag: u8, bytes: &[u8]) -> Result<String, Error> {
    let checked = |allowed: fn(&u8) -> bool| {
        let text = String::from_utf8(bytes.to_vec()).map_err(|_| Error::Asn1)?;
        if bytes.iter().all(allowed) { Ok(text) } else { Err(Error::Asn1) }
    };
    match tag {
        0x0c => checked(|_| true), // UTF8String
        0x12 => checked(|byte| byte.is_ascii_digit() || *byte == b' '), // NumericString
        // PrintableString, with the two characters that CAs use although they may not
        0x13 => checked(|byte| byte.is_ascii_alphanumeric() || b" '()+,-./:=?*&".contains(byte)),
        0x14 => Ok(bytes.iter().copied().map(char::from).collect()), // T61String, read as Latin-1
        0x16 => checked(u8::is_ascii),                               // IA5String
        der::BMP_STRING => wide(bytes),
        _ => Err(Error::Asn1),
    }
}

fn wide(bytes: &[u8]) -> Result<String, Error> {
    let (units, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Error::Asn1);
    }
    let units = units.strip_suffix(&[[0, 0]]).unwrap_or(units);
    let character = |unit: &[u8; 2]| {
        let code = u32::from(u16::from_be_bytes(*unit));
        let reserved = matches!(code, 0xfffe | 0xffff | 0xfdd0..=0xfdef);
        char::from_u32(code).filter(|_| !reserved).ok_or(Error::Asn1)
    };
    units.iter().map(character).collect()
}
