//! Certificates that are made: what sprig's `genCA`, `genSelfSignedCert` and `genSignedCert` ask Go for, element by
//! element.

use std::net::IpAddr;

use aws_lc_rs::{
    digest::{SHA256, SHA384, SHA512, digest},
    rsa::KeyPair as RsaKeyPair,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING,
        ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256,
    },
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::{
    Bytes, Error,
    certificate::Certificate,
    der::{self, Reader},
    oid,
    private_key::{Curve, PrivateKey},
};
use crate::Context;

/// What a new certificate says.
pub(super) struct Request<'a> {
    pub common_name: &'a [u8],
    pub addresses: Vec<IpAddr>,
    pub names: Vec<&'a [u8]>,
    pub days: i64,
    pub authority: bool,
}

/// Who signs.
pub(super) struct Signer<'a> {
    pub key: &'a PrivateKey,
    /// None when the certificate signs itself.
    pub certificate: Option<&'a Certificate<'a>>,
}

/// A certificate in DER for the public half of `key`.
pub(super) fn issue(
    cx: &mut Context<'_>,
    request: &Request<'_>,
    key: &PrivateKey,
    signer: &Signer<'_>,
) -> Result<Bytes, Error> {
    let mut serial = [0; 16];
    cx.environment.fill(&mut serial)?;
    let now = cx.environment.now();
    let subject = common_name(request.common_name)?;
    let public = key.to_public()?;
    let issuer = signer.certificate.map_or(&subject[..], |certificate| certificate.subject);
    if let Some(certificate) = signer.certificate
        && certificate.public_key != &signer.key.to_public()?[..]
    {
        return Err(Error::ForeignKey);
    }
    let authority_key = signer.certificate.filter(|_| issuer != &subject[..]);
    let authority_key = authority_key.map_or(&[][..], |certificate| certificate.own_key);
    let extensions = extensions(request, &public, authority_key, &subject)?;
    let algorithm = algorithm(signer.key);
    let signed = der::sequence(&[
        &der::element(der::context(0), &[&der::count(2)]),
        &der::natural(&serial),
        &algorithm,
        issuer,
        &validity(now, request.days)?,
        &subject,
        &public,
        &der::element(der::context(3), &[&extensions]),
    ]);
    let signature = sign(signer.key, &signed)?;
    Ok(der::sequence(&[&signed, &algorithm, &der::bits(&signature)]))
}

/// A name with nothing but the common name; an empty one is a name without parts.
fn common_name(name: &[u8]) -> Result<Bytes, Error> {
    let text = std::str::from_utf8(name).map_err(|_| Error::Name)?;
    if text.is_empty() {
        return Ok(der::sequence(&[]));
    }
    let value = der::element(super::subject::tag(text), &[name]);
    let pair = der::sequence(&[&der::oid(oid::COMMON_NAME), &value]);
    Ok(der::sequence(&[&der::element(der::SET, &[&pair])]))
}

fn validity(now: Timestamp, days: i64) -> Result<Bytes, Error> {
    let hours = days.checked_mul(24).filter(|hours| hours.abs() < i64::from(i32::MAX));
    let hours = SignedDuration::from_hours(hours.ok_or(Error::Validity)?);
    let end = now.checked_add(hours).map_err(|_| Error::Validity)?;
    Ok(der::sequence(&[&time(now), &time(end)]))
}

/// Two digits for the year until 2049, four after.
fn time(at: Timestamp) -> Bytes {
    let at = at.to_zoned(TimeZone::UTC);
    let (tag, format) = match at.year() {
        1950..2050 => (der::UTC_TIME, "%y%m%d%H%M%SZ"),
        _ => (der::GENERALIZED_TIME, "%Y%m%d%H%M%SZ"),
    };
    der::element(tag, &[at.strftime(format).to_string().as_bytes()])
}

fn extensions(
    request: &Request<'_>,
    public: &[u8],
    authority_key: &[u8],
    subject: &[u8],
) -> Result<Bytes, Error> {
    let extension = |name: &[u8], critical: bool, value: &[u8]| {
        let critical: &[u8] = if critical { &[der::BOOLEAN, 1, 0xff] } else { &[] };
        der::sequence(&[&der::oid(name), critical, &der::octets(value)])
    };
    // Digital signature and key encipherment; an authority signs certificates, too.
    let usage = if request.authority { [2, 0b1010_0100] } else { [5, 0b1010_0000] };
    let purposes = der::sequence(&[&der::oid(oid::SERVER_AUTH), &der::oid(oid::CLIENT_AUTH)]);
    let authority: &[u8] = if request.authority { &[der::BOOLEAN, 1, 0xff] } else { &[] };
    let mut all = vec![
        extension(oid::KEY_USAGE, true, &der::element(der::BIT_STRING, &[&usage])),
        extension(oid::EXTENDED_KEY_USAGE, false, &purposes),
        extension(oid::BASIC_CONSTRAINTS, true, &der::sequence(&[authority])),
    ];
    if request.authority {
        let mut parts = Reader::only_sequence(public)?;
        parts.sequence()?;
        let own_key = digest(&SHA256, parts.bit_string()?);
        all.push(extension(oid::SUBJECT_KEY_ID, false, &der::octets(&own_key.as_ref()[..20])));
    }
    if !authority_key.is_empty() {
        let value = der::sequence(&[&der::element(der::implicit(0), &[authority_key])]);
        all.push(extension(oid::AUTHORITY_KEY_ID, false, &value));
    }
    if !request.names.is_empty() || !request.addresses.is_empty() {
        let critical = *subject == der::sequence(&[])[..];
        all.push(extension(oid::SUBJECT_ALT_NAME, critical, &alternatives(request)?));
    }
    let parts: Vec<&[u8]> = all.iter().map(|extension| &extension[..]).collect();
    Ok(der::sequence(&parts))
}

fn alternatives(request: &Request<'_>) -> Result<Bytes, Error> {
    let mut names = Vec::with_capacity(request.names.len() + request.addresses.len());
    for name in &request.names {
        if !name.is_ascii() {
            return Err(Error::Name);
        }
        names.push(der::element(der::implicit(2), &[name]));
    }
    for address in &request.addresses {
        names.push(match address.to_canonical() {
            IpAddr::V4(four) => der::element(der::implicit(7), &[&four.octets()]),
            IpAddr::V6(sixteen) => der::element(der::implicit(7), &[&sixteen.octets()]),
        });
    }
    let parts: Vec<&[u8]> = names.iter().map(|name| &name[..]).collect();
    Ok(der::sequence(&parts))
}

/// AlgorithmIdentifier of a signature with this key.
fn algorithm(key: &PrivateKey) -> Bytes {
    match key {
        PrivateKey::Rsa(_) => der::sequence(&[&der::oid(oid::SHA256_WITH_RSA), &der::null()]),
        PrivateKey::Ec(ec) => der::sequence(&[&der::oid(match ec.curve {
            Curve::P256 => oid::ECDSA_WITH_SHA256,
            Curve::P384 => oid::ECDSA_WITH_SHA384,
            Curve::P521 => oid::ECDSA_WITH_SHA512,
        })]),
        PrivateKey::Ed25519(_) | PrivateKey::X25519(_) => der::sequence(&[&der::oid(oid::ED25519)]),
    }
}

/// ECDSA takes its nonce from the library; the others are determined by key and message.
fn sign(key: &PrivateKey, message: &[u8]) -> Result<Vec<u8>, Error> {
    let pkcs8 = key.to_pkcs8();
    match key {
        PrivateKey::Rsa(_) => {
            let pair = RsaKeyPair::from_pkcs8(&pkcs8).map_err(|_| Error::CannotSign)?;
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign_digest(&RSA_PKCS1_SHA256, &digest(&SHA256, message), &mut signature)
                .map_err(|_| Error::CannotSign)?;
            Ok(signature)
        }
        PrivateKey::Ec(ec) => {
            let (algorithm, hash) = match ec.curve {
                Curve::P256 => (&ECDSA_P256_SHA256_ASN1_SIGNING, &SHA256),
                Curve::P384 => (&ECDSA_P384_SHA384_ASN1_SIGNING, &SHA384),
                Curve::P521 => (&ECDSA_P521_SHA512_ASN1_SIGNING, &SHA512),
            };
            let pair =
                EcdsaKeyPair::from_pkcs8(algorithm, &pkcs8).map_err(|_| Error::CannotSign)?;
            let signature = pair.sign_digest(&digest(hash, message));
            Ok(signature.map_err(|_| Error::CannotSign)?.as_ref().to_vec())
        }
        PrivateKey::Ed25519(seed) => {
            let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| Error::CannotSign)?;
            Ok(pair.sign(message).as_ref().to_vec())
        }
        PrivateKey::X25519(_) => Err(Error::CannotSign),
    }
}
