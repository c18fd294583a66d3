//! The MAC that tells whether the password is right.

use aws_lc_rs::{
    digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA512},
    hmac::{self, HMAC_SHA1_FOR_LEGACY_USE_ONLY, HMAC_SHA256, HMAC_SHA512, Key as HmacKey, Tag},
};

use super::{
    Password,
    derive::{self, Purpose},
    encryption::{ITERATIONS, Pbkdf2, SALT},
};
use crate::{
    Context,
    functions::crypto::{
        Bytes, Error,
        der::{self, Reader},
        oid,
    },
};

/// No digest has a longer key; a file that asks for one asks for work.
const LONGEST_KEY: u64 = 128;

/// MacData of a file.
pub(super) struct Mac<'a> {
    algorithm: Reader<'a>,
    digest: &'a [u8],
    salt: &'a [u8],
    iterations: u64,
}

impl<'a> Mac<'a> {
    pub(super) fn parse(mut data: Reader<'a>) -> Result<Self, Error> {
        let mut info = data.sequence()?;
        let (algorithm, digest) = (info.sequence()?, info.take(der::OCTET_STRING)?);
        let salt = data.take(der::OCTET_STRING)?;
        let iterations = if data.is_empty() { 1 } else { data.count()? };
        Ok(Self { algorithm, digest, salt, iterations })
    }

    /// Whether `message` was authenticated with this password.
    pub(super) fn verify(
        &self,
        cx: &mut Context<'_>,
        message: &[u8],
        password: &Password,
    ) -> Result<bool, Error> {
        cx.step(message.len() / 32)?;
        let mut algorithm = self.algorithm;
        let (hash, function): (&'static digest::Algorithm, _) = match algorithm.oid()? {
            oid::SHA1 => (&SHA1_FOR_LEGACY_USE_ONLY, HMAC_SHA1_FOR_LEGACY_USE_ONLY),
            oid::SHA256 => (&SHA256, HMAC_SHA256),
            oid::SHA512 => (&SHA512, HMAC_SHA512),
            oid::PBMAC1 => return self.verify_pbmac1(cx, algorithm.sequence()?, message, password),
            _ => return Err(Error::Pkcs12Unsupported),
        };
        let (purpose, size) = (Purpose::Mac, hash.output_len());
        let key =
            derive::rfc7292(cx, hash, purpose, &password.wide, self.salt, self.iterations, size)?;
        Ok(hmac::verify(&HmacKey::new(function, &key), message, self.digest).is_ok())
    }

    fn verify_pbmac1(
        &self,
        cx: &mut Context<'_>,
        mut parameters: Reader<'_>,
        message: &[u8],
        password: &Password,
    ) -> Result<bool, Error> {
        let derivation = Pbkdf2::parse(parameters.sequence()?)?;
        let function = match parameters.sequence()?.oid()? {
            oid::HMAC_SHA1 => HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            oid::HMAC_SHA256 => HMAC_SHA256,
            oid::HMAC_SHA512 => HMAC_SHA512,
            _ => return Err(Error::Pkcs12Unsupported),
        };
        let size = derivation.key_length.filter(|length| (1..=LONGEST_KEY).contains(length));
        let size = size.and_then(|length| usize::try_from(length).ok());
        let size = size.ok_or(Error::Pkcs12Unsupported)?;
        let Pbkdf2 { salt, iterations, function: repeated, .. } = derivation;
        let key = derive::pbkdf2(cx, repeated, &password.narrow, salt, iterations, size)?;
        Ok(hmac::verify(&HmacKey::new(function, &key), message, self.digest).is_ok())
    }
}

/// MacData over `message`, with SHA-256.
pub(super) fn authenticate(
    cx: &mut Context<'_>,
    message: &[u8],
    password: &Password,
) -> Result<Bytes, Error> {
    let mut salt = [0; SALT];
    cx.environment.fill(&mut salt)?;
    let key = derive::rfc7292(cx, &SHA256, Purpose::Mac, &password.wide, &salt, ITERATIONS, 32)?;
    let tag: Tag = hmac::sign(&HmacKey::new(HMAC_SHA256, &key), message);
    let algorithm = der::sequence(&[&der::oid(oid::SHA256)]);
    let info = der::sequence(&[&algorithm, &der::octets(tag.as_ref())]);
    Ok(der::sequence(&[&info, &der::octets(&salt), &der::count(ITERATIONS)]))
}
