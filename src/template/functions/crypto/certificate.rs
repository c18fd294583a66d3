//! X.509 certificates: parsed as far as the functions here look into them, strict where Go's `crypto/x509` is.

use super::{
    Bytes, Error,
    der::{self, Reader},
    oid, pem, subject,
};

pub const LABEL: &str = "CERTIFICATE";

/// A parsed certificate, as parts of its own bytes.
pub struct Certificate<'a> {
    /// All of it.
    pub whole: &'a [u8],
    /// The name of its subject, a SEQUENCE.
    pub subject: &'a [u8],
    /// Of the key that signed it, if it says so.
    pub authority_key: Option<&'a [u8]>,
    /// Of its own key, empty if it does not say.
    pub own_key: &'a [u8],
    /// Its key, a `SubjectPublicKeyInfo`.
    pub public_key: &'a [u8],
    /// Content of the subject alternative names, if there are any.
    alternatives: Option<&'a [u8]>,
}

impl<'a> Certificate<'a> {
    /// Exactly one certificate.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut outer = Reader::new(bytes);
        let certificate = Self::next(&mut outer)?;
        outer.finish().map_err(|_| Error::Certificate)?;
        Ok(certificate)
    }

    fn next(outer: &mut Reader<'a>) -> Result<Self, Error> {
        Self::read(outer).map_err(|_| Error::Certificate)
    }

    fn read(outer: &mut Reader<'a>) -> Result<Self, Error> {
        let element = outer.any()?;
        if element.tag != der::SEQUENCE {
            return Err(Error::Asn1);
        }
        let mut parts = Reader::new(element.content);
        let mut signed = parts.sequence()?;
        let algorithm = parts.take(der::SEQUENCE)?;
        parts.take(der::BIT_STRING)?;

        let version = match signed.optional(der::context(0))? {
            Some(version) => Reader::new(version).count()? + 1,
            None => 1,
        };
        signed.natural()?; // the serial number
        if version > 3 || signed.take(der::SEQUENCE)? != algorithm {
            return Err(Error::Asn1);
        }
        subject::attributes(signed.any()?)?; // of the issuer
        check_validity(signed.sequence()?)?;
        let subject = signed.any()?;
        subject::attributes(subject)?;
        let key = signed.any()?;
        check_key(Reader::only_sequence(key.whole)?)?;
        let mut certificate = Self {
            whole: element.whole,
            subject: subject.whole,
            public_key: key.whole,
            authority_key: None,
            own_key: &[],
            alternatives: None,
        };
        if version > 1 {
            signed.optional(der::implicit(1))?;
            signed.optional(der::implicit(2))?;
        }
        if version == 3
            && let Some(extensions) = signed.optional(der::context(3))?
        {
            certificate.read_extensions(Reader::new(extensions).sequence()?)?;
        }
        Ok(certificate)
    }

    fn read_extensions(&mut self, mut extensions: Reader<'a>) -> Result<(), Error> {
        let mut seen = Vec::new();
        while !extensions.is_empty() {
            let mut extension = extensions.sequence()?;
            let name = extension.oid()?;
            if seen.contains(&name) {
                return Err(Error::Asn1);
            }
            seen.push(name);
            let critical = extension.optional(der::BOOLEAN)?.is_some_and(|value| value != [0]);
            let mut value = Reader::new(extension.take(der::OCTET_STRING)?);
            match name {
                oid::AUTHORITY_KEY_ID | oid::SUBJECT_KEY_ID if critical => return Err(Error::Asn1),
                oid::AUTHORITY_KEY_ID => {
                    self.authority_key = value.sequence()?.optional(der::implicit(0))?;
                }
                oid::SUBJECT_KEY_ID => self.own_key = value.take(der::OCTET_STRING)?,
                oid::SUBJECT_ALT_NAME => {
                    let names = value.take(der::SEQUENCE)?;
                    super::names::check(names)?;
                    self.alternatives = Some(names);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Nothing else signed it, as far as it says: the end of a chain.
    pub fn is_root(&self) -> bool {
        self.authority_key.is_none_or(|authority| authority == self.own_key)
    }

    /// DNS names, addresses, e-mail addresses and URIs, in this order, each as Go prints it.
    pub fn names(&self) -> Result<Vec<String>, Error> {
        super::names::list(self.alternatives.unwrap_or_default())
    }

    /// As a PEM block.
    pub fn to_pem(&self) -> Bytes {
        pem::text(LABEL, self.whole)
    }
}

/// The certificates of `bytes`, one after the other.
pub fn parse_all(bytes: &[u8]) -> Result<Vec<Certificate<'_>>, Error> {
    let mut outer = Reader::new(bytes);
    let mut all = Vec::new();
    while !outer.is_empty() {
        all.push(Certificate::next(&mut outer)?);
    }
    Ok(all)
}

fn check_validity(mut validity: Reader<'_>) -> Result<(), Error> {
    for _ in 0..2 {
        let time = validity.any()?;
        let digits = match time.tag {
            der::UTC_TIME => 12,
            der::GENERALIZED_TIME => 14,
            _ => return Err(Error::Asn1),
        };
        let plain = time.content.strip_suffix(b"Z").unwrap_or_default();
        if plain.len() != digits || !plain.iter().all(u8::is_ascii_digit) {
            return Err(Error::Asn1);
        }
    }
    Ok(())
}

fn check_key(mut key: Reader<'_>) -> Result<(), Error> {
    let mut algorithm = key.sequence()?;
    let kind = algorithm.oid()?;
    let bits = key.take(der::BIT_STRING)?;
    if kind == oid::RSA_ENCRYPTION {
        let mut numbers = Reader::new(bits.get(1..).unwrap_or_default()).sequence()?;
        numbers.natural()?;
        numbers.natural()?;
    }
    Ok(())
}
