//! X.509 certificates: parsed as far as the functions here look into them, strict where Go's `crypto/x509` is.

use jiff::civil::DateTime;

use super::{
    Bytes, Error,
    der::{self, Reader},
    oid, pem,
    private_key::Curve,
    subject,
};

pub(super) const LABEL: &str = "CERTIFICATE";

/// A parsed certificate, as parts of its own bytes.
pub(super) struct Certificate<'a> {
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
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
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
        check_algorithm(Reader::new(algorithm))?;
        parts.any_bits()?;

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
            let critical = extension.boolean()?.unwrap_or_default();
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
                oid::KEY_USAGE => value.any_bits()?,
                oid::BASIC_CONSTRAINTS => {
                    let mut constraints = value.sequence()?;
                    constraints.boolean()?;
                    if constraints.peek() == Some(der::INTEGER) {
                        constraints.count()?;
                    }
                }
                oid::EXTENDED_KEY_USAGE => {
                    let mut usages = value.sequence()?;
                    while !usages.is_empty() {
                        usages.oid()?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Nothing else signed it, as far as it says: the end of a chain.
    pub(super) fn is_root(&self) -> bool {
        self.authority_key.is_none_or(|authority| authority == self.own_key)
    }

    /// DNS names, addresses, e-mail addresses and URIs, in this order, each as Go prints it.
    pub(super) fn names(&self) -> Result<Vec<String>, Error> {
        super::names::list(self.alternatives.unwrap_or_default())
    }

    /// As a PEM block.
    pub(super) fn to_pem(&self) -> Bytes {
        pem::text(LABEL, self.whole)
    }
}

/// The certificates of `bytes`, one after the other.
pub(super) fn parse_all(bytes: &[u8]) -> Result<Vec<Certificate<'_>>, Error> {
    let mut outer = Reader::new(bytes);
    let mut all = Vec::new();
    while !outer.is_empty() {
        all.push(Certificate::next(&mut outer)?);
    }
    Ok(all)
}

/// An identifier and whatever belongs to it.
fn check_algorithm(mut algorithm: Reader<'_>) -> Result<(), Error> {
    algorithm.oid()?;
    if !algorithm.is_empty() {
        algorithm.any()?;
    }
    Ok(())
}

fn check_validity(mut validity: Reader<'_>) -> Result<(), Error> {
    for _ in 0..2 {
        let time = validity.any()?;
        let text = std::str::from_utf8(time.content).unwrap_or_default();
        let text = match (time.tag, text.get(..2).and_then(|year| year.parse::<u8>().ok())) {
            (der::UTC_TIME, Some(50..)) => format!("19{text}"),
            (der::UTC_TIME, _) => format!("20{text}"),
            (der::GENERALIZED_TIME, _) => text.to_owned(),
            _ => return Err(Error::Asn1),
        };
        let digits = text.strip_suffix('Z').unwrap_or_default();
        let plain = digits.len() == 14 && digits.bytes().all(|byte| byte.is_ascii_digit());
        // No leap seconds.
        let real =
            plain && !digits.ends_with("60") && DateTime::strptime("%Y%m%d%H%M%S", digits).is_ok();
        if !real {
            return Err(Error::Asn1);
        }
    }
    Ok(())
}

fn check_key(mut key: Reader<'_>) -> Result<(), Error> {
    let mut algorithm = key.sequence()?;
    check_algorithm(algorithm)?;
    match algorithm.oid()? {
        oid::RSA_ENCRYPTION => {
            algorithm.take(der::NULL)?;
            let mut numbers = Reader::new(key.bit_string()?).sequence()?;
            numbers.natural()?;
            numbers.natural().map(drop)
        }
        oid::EC_PUBLIC_KEY => {
            let curve = algorithm.oid()?;
            let point = key.bit_string()?;
            // P-224 has nothing here that could check the point.
            if curve == oid::P224 { Ok(()) } else { Curve::from_oid(curve)?.check(point) }
        }
        oid::ED25519 if algorithm.is_empty() && key.bit_string()?.len() == 32 => Ok(()),
        oid::ED25519 => Err(Error::Asn1),
        _ => key.any_bits(),
    }
}
