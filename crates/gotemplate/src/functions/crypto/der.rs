//! DER, as far as keys, certificates and PKCS#12 files need it: a reader that takes nothing but definite, minimal
//! lengths and single-byte tags, and writers that put whole elements together in one allocation and wipe them.

use zeroize::Zeroizing;

use super::{Bytes, Error};

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const NULL: u8 = 0x05;
pub(super) const OID: u8 = 0x06;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const PRINTABLE_STRING: u8 = 0x13;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const BMP_STRING: u8 = 0x1e;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// Context-specific tag `[number]`, around whole elements.
pub(super) const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// Context-specific tag `[number]` in place of a primitive's own.
pub(super) const fn implicit(number: u8) -> u8 {
    0x80 | number
}

/// One element: its tag, what is in it, and both with the length.
#[derive(Clone, Copy)]
pub(super) struct Element<'a> {
    pub tag: u8,
    pub content: &'a [u8],
    pub whole: &'a [u8],
}

/// Reads one element after the other.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The content of the one SEQUENCE that `bytes` are, with nothing behind it.
    pub(super) fn only_sequence(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut outer = Self::new(bytes);
        let inner = outer.sequence()?;
        outer.finish()?;
        Ok(inner)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Tag of the next element.
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next element, whatever it is.
    pub(super) fn any(&mut self) -> Result<Element<'a>, Error> {
        let (&tag, rest) = self.rest.split_first().ok_or(Error::Asn1)?;
        let (&first, mut rest) = rest.split_first().ok_or(Error::Asn1)?;
        if tag & 0x1f == 0x1f {
            return Err(Error::Asn1); // tags of several bytes: nothing here uses them
        }
        let length = match first {
            0..=0x7f => usize::from(first),
            0x81..=0x84 => {
                let (bytes, after) =
                    rest.split_at_checked(usize::from(first & 0x7f)).ok_or(Error::Asn1)?;
                rest = after;
                let length =
                    bytes.iter().fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte));
                if bytes[0] == 0 || length < 0x80 {
                    return Err(Error::Asn1); // not the shortest form
                }
                length
            }
            _ => return Err(Error::Asn1), // indefinite, or beyond 4 GiB
        };
        let (content, after) = rest.split_at_checked(length).ok_or(Error::Asn1)?;
        let whole = &self.rest[..self.rest.len() - after.len()];
        self.rest = after;
        Ok(Element { tag, content, whole })
    }

    /// Content of the next element, which must have this tag.
    pub(super) fn take(&mut self, tag: u8) -> Result<&'a [u8], Error> {
        let element = self.any()?;
        if element.tag == tag { Ok(element.content) } else { Err(Error::Asn1) }
    }

    /// Content of the next element if it has this tag.
    pub(super) fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, Error> {
        if self.peek() == Some(tag) { self.take(tag).map(Some) } else { Ok(None) }
    }

    pub(super) fn sequence(&mut self) -> Result<Self, Error> {
        self.take(SEQUENCE).map(Self::new)
    }

    pub(super) fn oid(&mut self) -> Result<&'a [u8], Error> {
        let oid = self.take(OID)?;
        // Numbers in base 128: the last byte of each has no top bit, the first is not a needless zero.
        let mut digits = 0;
        for byte in oid {
            digits += 1;
            if digits == 1 && *byte == 0x80 || digits > 5 {
                return Err(Error::Asn1);
            }
            if byte & 0x80 == 0 {
                digits = 0;
            }
        }
        if oid.is_empty() || digits != 0 { Err(Error::Asn1) } else { Ok(oid) }
    }

    /// The next element if it is a BOOLEAN.
    pub(super) fn boolean(&mut self) -> Result<Option<bool>, Error> {
        match self.optional(BOOLEAN)? {
            None => Ok(None),
            Some([0]) => Ok(Some(false)),
            Some([0xff]) => Ok(Some(true)),
            Some(_) => Err(Error::Asn1),
        }
    }

    /// A BIT STRING, whose unused bits must be zero.
    pub(super) fn any_bits(&mut self) -> Result<(), Error> {
        match self.take(BIT_STRING)? {
            [0] => Ok(()),
            [unused @ 0..=7, .., last] if last & ((1 << unused) - 1) == 0 => Ok(()),
            _ => Err(Error::Asn1),
        }
    }

    /// Bytes of a BIT STRING that is whole bytes.
    pub(super) fn bit_string(&mut self) -> Result<&'a [u8], Error> {
        match self.take(BIT_STRING)?.split_first() {
            Some((0, bytes)) => Ok(bytes),
            _ => Err(Error::Asn1),
        }
    }

    /// Magnitude of an INTEGER that is not negative, without leading zeros.
    pub(super) fn natural(&mut self) -> Result<&'a [u8], Error> {
        let bytes = self.integer()?;
        if bytes[0] & 0x80 != 0 {
            return Err(Error::Asn1);
        }
        Ok(if bytes[0] == 0 { &bytes[1..] } else { bytes })
    }

    /// Bytes of an INTEGER: two's complement, in the shortest form.
    pub(super) fn integer(&mut self) -> Result<&'a [u8], Error> {
        let bytes = self.take(INTEGER)?;
        match bytes {
            [] => Err(Error::Asn1),
            [0, next, ..] if next & 0x80 == 0 => Err(Error::Asn1),
            [0xff, next, ..] if next & 0x80 != 0 => Err(Error::Asn1),
            _ => Ok(bytes),
        }
    }

    /// An INTEGER that fits a count.
    pub(super) fn count(&mut self) -> Result<u64, Error> {
        let bytes = self.natural()?;
        if bytes.len() > 8 {
            return Err(Error::Asn1);
        }
        Ok(bytes.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte)))
    }

    /// Nothing may be left.
    pub(super) const fn finish(&self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(Error::Asn1) }
    }
}

/// One element around `parts`, one after the other.
pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Bytes {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let digits = length.to_be_bytes();
    let skipped = digits.iter().take_while(|byte| **byte == 0).count();
    let long = &digits[skipped..];
    let mut whole = Zeroizing::new(Vec::with_capacity(2 + long.len() + length));
    whole.push(tag);
    if let Ok(short @ 0..0x80) = u8::try_from(length) {
        whole.push(short);
    } else {
        whole.push(0x80 | u8::try_from(long.len()).unwrap_or(8));
        whole.extend_from_slice(long);
    }
    for part in parts {
        whole.extend_from_slice(part);
    }
    whole
}

pub(super) fn sequence(parts: &[&[u8]]) -> Bytes {
    element(SEQUENCE, parts)
}

pub(super) fn octets(bytes: &[u8]) -> Bytes {
    element(OCTET_STRING, &[bytes])
}

pub(super) fn bits(bytes: &[u8]) -> Bytes {
    element(BIT_STRING, &[&[0], bytes])
}

pub(super) fn oid(bytes: &[u8]) -> Bytes {
    element(OID, &[bytes])
}

pub(super) fn null() -> Bytes {
    element(NULL, &[])
}

/// INTEGER of a magnitude, most significant byte first.
pub(super) fn natural(magnitude: &[u8]) -> Bytes {
    let zeros = magnitude.iter().take_while(|byte| **byte == 0).count();
    let magnitude = &magnitude[zeros..];
    // A set top bit would make it negative, and no byte at all is not an INTEGER.
    let sign: &[u8] =
        if magnitude.first().is_none_or(|first| first & 0x80 != 0) { &[0] } else { &[] };
    element(INTEGER, &[sign, magnitude])
}

pub(super) fn count(value: u64) -> Bytes {
    natural(&value.to_be_bytes())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for length in [0, 1, 127, 128, 255, 256, 70_000] {
            let content = vec![7; length];
            let written = octets(&content);
            let mut reader = Reader::new(&written);
            assert_eq!(reader.take(OCTET_STRING).unwrap(), content, "{length}");
            reader.finish().unwrap();
        }
        for value in [0, 1, 127, 128, 255, 65_536, u64::MAX] {
            assert_eq!(Reader::new(&count(value)).count().unwrap(), value);
        }
    }

    #[test]
    fn only_the_shortest_definite_form_is_read() {
        let refused: [&[u8]; 9] = [
            &[],
            &[4],
            &[4, 2, 0],                   // cut short
            &[4, 0x80, 0, 0],             // indefinite
            &[4, 0x81, 1, 0],             // length in two bytes that fits one
            &[4, 0x82, 0, 0x80],          // leading zero in the length
            &[0x1f, 0x81, 1, 0],          // tag of two bytes
            &[4, 0x85, 1, 0, 0, 0, 0, 0], // more than 4 GiB
            &[4, 0xff],
        ];
        for bytes in refused {
            assert!(Reader::new(bytes).any().is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn identifiers_truth_values_and_bits_have_one_form_each() {
        let refused: [&[u8]; 5] = [
            &[6, 0],
            &[6, 1, 0x80],
            &[6, 2, 0x80, 1],
            &[6, 2, 42, 0x86],
            &[6, 6, 0x81, 0x81, 0x81, 0x81, 0x81, 1],
        ];
        for bytes in refused {
            assert!(Reader::new(bytes).oid().is_err(), "{bytes:?}");
        }
        assert_eq!(Reader::new(&[1, 1, 0xff]).boolean().unwrap(), Some(true));
        assert_eq!(Reader::new(&[5, 0]).boolean().unwrap(), None);
        assert!(Reader::new(&[1, 1, 1]).boolean().is_err());
        let refused: [&[u8]; 4] = [&[3, 0], &[3, 1, 1], &[3, 2, 8, 0], &[3, 2, 1, 1]];
        for bytes in refused {
            assert!(Reader::new(bytes).any_bits().is_err(), "{bytes:?}");
        }
        assert!(Reader::new(&[3, 2, 1, 2]).any_bits().is_ok());
    }

    #[test]
    fn an_integer_has_no_needless_byte_and_a_natural_one_no_sign() {
        let refused: [&[u8]; 3] = [&[2, 0], &[2, 2, 0, 1], &[2, 2, 0xff, 0xff]];
        for bytes in refused {
            assert!(Reader::new(bytes).integer().is_err(), "{bytes:?}");
        }
        assert!(Reader::new(&[2, 1, 0xff]).natural().is_err());
        assert!(Reader::new(&[2, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0]).count().is_err());
        assert_eq!(natural(&[0, 0, 0x80])[..], [2, 2, 0, 0x80]);
        assert_eq!(natural(&[])[..], [2, 1, 0]);
    }
}
