//! Reading a file: one private key, its certificate and the others, in the order of the file.

use super::{Password, encryption, mac::Mac};
use crate::{
    Context,
    functions::crypto::{
        Bytes, Error, KEY_STEPS,
        certificate::{Certificate, parse_all},
        der::{self, Reader},
        oid,
        private_key::PrivateKey,
    },
};

/// Parts of a file, each encrypted in its own way: one of certificates and one of keys is what programs write.
const SAFES: usize = 2;

/// What a file holds.
pub(crate) struct Contents {
    pub key: PrivateKey,
    /// Certificates in DER, the first of the file first.
    pub certificates: Vec<Bytes>,
}

/// Opens a file. Both key and certificate must be there.
pub(crate) fn read(cx: &mut Context<'_>, file: &[u8], password: &[u8]) -> Result<Contents, Error> {
    let mut password = Password::new(cx, password)?;
    let mut parts = Reader::only_sequence(file).map_err(|_| Error::Pkcs12)?;
    if parts.count().map_err(|_| Error::Pkcs12)? != 3 {
        return Err(Error::Pkcs12Unsupported);
    }
    let mut outer = damaged(parts.sequence())?;
    if damaged(outer.oid())? != oid::DATA {
        return Err(Error::Pkcs12Unsupported); // signed with a key instead of a password
    }
    let safes = damaged(content(&mut outer)?.take(der::OCTET_STRING))?;
    match damaged(parts.optional(der::SEQUENCE))? {
        None if password.is_empty() => {}
        None => return Err(Error::Pkcs12NoMac),
        Some(data) => {
            let mac = damaged(Mac::parse(Reader::new(data)))?;
            if !mac.verify(cx, safes, &password)? {
                let empty = password.is_empty();
                password = Password::none();
                if !empty || !mac.verify(cx, safes, &password)? {
                    return Err(Error::Pkcs12Password);
                }
            }
        }
    }
    let mut found = Found::default();
    let mut safes = damaged(Reader::only_sequence(safes))?;
    for count in 0.. {
        if safes.is_empty() && count > 0 {
            break;
        }
        if count == SAFES {
            return Err(Error::Pkcs12Unsupported);
        }
        let bags = open_safe(cx, damaged(safes.sequence())?, &password)?;
        found.add(cx, &bags, &password)?;
    }
    if found.certificates.is_empty() {
        return Err(Error::NoCertificate);
    }
    Ok(Contents { key: found.key.ok_or(Error::NoKey)?, certificates: found.certificates })
}

/// Bytes that are no DER are damage of the file.
fn damaged<T>(result: Result<T, Error>) -> Result<T, Error> {
    result.map_err(|error| if error == Error::Asn1 { Error::Pkcs12 } else { error })
}

/// What follows the type of a ContentInfo.
fn content<'a>(info: &mut Reader<'a>) -> Result<Reader<'a>, Error> {
    damaged(info.take(der::context(0)).map(Reader::new))
}

/// The bags of one ContentInfo, decrypted.
fn open_safe(
    cx: &mut Context<'_>,
    mut info: Reader<'_>,
    password: &Password,
) -> Result<Bytes, Error> {
    match damaged(info.oid())? {
        oid::DATA => {
            let data = damaged(content(&mut info)?.take(der::OCTET_STRING))?;
            cx.allocate(data.len())?;
            Ok(Bytes::new(data.to_vec()))
        }
        oid::ENCRYPTED_DATA => {
            let mut data = damaged(content(&mut info)?.sequence())?;
            if damaged(data.count())? != 0 {
                return Err(Error::Pkcs12Unsupported);
            }
            let mut encrypted = damaged(data.sequence())?;
            damaged(encrypted.oid())?;
            let algorithm = damaged(encrypted.sequence())?;
            let bytes = damaged(encrypted.take(der::implicit(0)))?;
            damaged(encryption::decrypt(cx, algorithm, bytes, password))
        }
        _ => Err(Error::Pkcs12Unsupported),
    }
}

#[derive(Default)]
struct Found {
    key: Option<PrivateKey>,
    certificates: Vec<Bytes>,
}

impl Found {
    /// Bags of other types are passed over.
    fn add(&mut self, cx: &mut Context<'_>, bags: &[u8], password: &Password) -> Result<(), Error> {
        let mut bags = damaged(Reader::only_sequence(bags))?;
        while !bags.is_empty() {
            cx.step(1)?;
            let mut bag = damaged(bags.sequence())?;
            let (kind, value) = (damaged(bag.oid())?, damaged(bag.take(der::context(0)))?);
            match kind {
                oid::CERT_BAG => self.certificates.push(damaged(certificate(value))?),
                oid::KEY_BAG => self.set_key(cx, value)?,
                oid::SHROUDED_KEY_BAG => {
                    if self.key.is_some() {
                        return Err(Error::Pkcs12Keys);
                    }
                    let mut shrouded = damaged(Reader::only_sequence(value))?;
                    let algorithm = damaged(shrouded.sequence())?;
                    let bytes = damaged(shrouded.take(der::OCTET_STRING))?;
                    let key = damaged(encryption::decrypt(cx, algorithm, bytes, password))?;
                    self.set_key(cx, &key)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn set_key(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Result<(), Error> {
        if self.key.is_some() {
            return Err(Error::Pkcs12Keys);
        }
        cx.step(KEY_STEPS + bytes.len())?;
        let key = PrivateKey::from_pkcs8(bytes);
        let no_key = |error| if error == Error::Asn1 { Error::PrivateKey } else { error };
        self.key = Some(key.map_err(no_key)?);
        Ok(())
    }
}

fn certificate(bag: &[u8]) -> Result<Bytes, Error> {
    let mut bag = Reader::only_sequence(bag)?;
    if bag.oid()? != oid::X509_CERTIFICATE {
        return Err(Error::Pkcs12Unsupported);
    }
    let bytes = Reader::new(bag.take(der::context(0))?).take(der::OCTET_STRING)?;
    match &parse_all(bytes)?[..] {
        [Certificate { whole, .. }] => Ok(Bytes::new(whole.to_vec())),
        _ => Err(Error::CertificateBag),
    }
}
