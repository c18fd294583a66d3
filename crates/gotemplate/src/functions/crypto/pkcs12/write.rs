//! Writing files as go-pkcs12's "Modern" encoder does: AES-256 under PBKDF2, a SHA-256 MAC.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::{Password, characters, encryption, mac, wide_character};
use crate::{
    Context,
    functions::crypto::{
        Bytes, Error, certificate::Certificate, der, oid, private_key::PrivateKey,
    },
};

/// A file with a private key, its certificate and further ones.
pub(crate) fn bundle(
    cx: &mut Context<'_>,
    key: &PrivateKey,
    certificate: &Certificate<'_>,
    others: &[Certificate<'_>],
    password: &[u8],
) -> Result<Bytes, Error> {
    let password = Password::new(cx, password)?;
    // Ties key and certificate together.
    let fingerprint = digest(&SHA1_FOR_LEGACY_USE_ONLY, certificate.whole);
    let key_id = attribute(oid::LOCAL_KEY_ID, &der::octets(fingerprint.as_ref()));

    let (algorithm, encrypted) = encryption::encrypt(cx, &key.to_pkcs8(), &password)?;
    let shrouded = der::sequence(&[&algorithm, &der::octets(&encrypted)]);
    let key_bag = bag(oid::SHROUDED_KEY_BAG, &shrouded, &[&key_id]);

    let mut bags = vec![certificate_bag(certificate, &[&key_id])];
    bags.extend(others.iter().map(|other| certificate_bag(other, &[])));
    let certificates = encrypted_safe(cx, &joined(&bags), &password)?;
    let keys = content(oid::DATA, &der::octets(&der::sequence(&[&key_bag])));
    file(cx, &der::sequence(&[&certificates, &keys]), &password)
}

/// A file of certificates that Java trusts for every usage, each under the name of its subject.
pub(crate) fn trust_store(
    cx: &mut Context<'_>,
    certificates: &[Certificate<'_>],
    password: &[u8],
) -> Result<Bytes, Error> {
    let password = Password::new(cx, password)?;
    let trusted = attribute(oid::JAVA_TRUST_STORE, &der::oid(oid::ANY_EXTENDED_KEY_USAGE));
    let mut bags = Vec::with_capacity(certificates.len());
    for certificate in certificates {
        let subject = super::super::subject::shown(certificate.subject)?;
        let mut wide = Vec::with_capacity(subject.len() * 2);
        for character in characters(subject.as_bytes()) {
            wide.extend(wide_character(character).map_err(|_| Error::Name)?);
        }
        let name = attribute(oid::FRIENDLY_NAME, &der::element(der::BMP_STRING, &[&wide]));
        bags.push(certificate_bag(certificate, &[&trusted, &name]));
    }
    let safe = encrypted_safe(cx, &joined(&bags), &password)?;
    file(cx, &der::sequence(&[&safe]), &password)
}

fn attribute(name: &[u8], value: &[u8]) -> Bytes {
    der::sequence(&[&der::oid(name), &der::element(der::SET, &[value])])
}

fn bag(kind: &[u8], value: &[u8], attributes: &[&[u8]]) -> Bytes {
    // The elements of a SET are in the order of their bytes.
    let mut attributes = attributes.to_vec();
    attributes.sort_unstable();
    let value = der::element(der::context(0), &[value]);
    der::sequence(&[&der::oid(kind), &value, &der::element(der::SET, &attributes)])
}

fn certificate_bag(certificate: &Certificate<'_>, attributes: &[&[u8]]) -> Bytes {
    let value = der::element(der::context(0), &[&der::octets(certificate.whole)]);
    let value = der::sequence(&[&der::oid(oid::X509_CERTIFICATE), &value]);
    bag(oid::CERT_BAG, &value, attributes)
}

fn joined(elements: &[Bytes]) -> Bytes {
    let parts: Vec<&[u8]> = elements.iter().map(|element| &element[..]).collect();
    der::sequence(&parts)
}

fn content(kind: &[u8], value: &[u8]) -> Bytes {
    der::sequence(&[&der::oid(kind), &der::element(der::context(0), &[value])])
}

fn encrypted_safe(cx: &mut Context<'_>, bags: &[u8], password: &Password) -> Result<Bytes, Error> {
    let (algorithm, encrypted) = encryption::encrypt(cx, bags, password)?;
    let encrypted = der::element(der::implicit(0), &[&encrypted]);
    let info = der::sequence(&[&der::oid(oid::DATA), &algorithm, &encrypted]);
    Ok(content(oid::ENCRYPTED_DATA, &der::sequence(&[&der::count(0), &info])))
}

fn file(cx: &mut Context<'_>, safes: &[u8], password: &Password) -> Result<Bytes, Error> {
    cx.allocate(4 * safes.len())?; // the layers around it, each a copy for a moment
    let mac = mac::authenticate(cx, safes, password)?;
    Ok(der::sequence(&[&der::count(3), &content(oid::DATA, &der::octets(safes)), &mac]))
}
