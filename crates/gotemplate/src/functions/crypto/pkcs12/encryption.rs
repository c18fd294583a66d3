//! Encryption under a password: PBES2 with AES, and the old schemes with triple DES and RC2, which are read only.

use aws_lc_rs::{
    cipher::{
        self, AES_128, AES_192, AES_256, DecryptingKey, DecryptionContext, EncryptionContext,
        PaddedBlockEncryptingKey, UnboundCipherKey,
    },
    digest::SHA1_FOR_LEGACY_USE_ONLY,
    pbkdf2::{self, PBKDF2_HMAC_SHA1, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA512},
};
use rc2::{
    Rc2,
    cipher::{Array, BlockCipherDecrypt as _},
};
use zeroize::Zeroizing;

use super::{
    Password,
    derive::{self, Purpose},
};
use crate::{
    Context,
    functions::crypto::{
        Bytes, Error,
        der::{self, Reader},
        oid,
    },
};

/// Repetitions of the key derivation in what is written: go-pkcs12's, which ESO uses.
pub(super) const ITERATIONS: u64 = 2048;
pub(super) const SALT: usize = 16;

/// What PBES2 and PBMAC1 say about PBKDF2.
pub(super) struct Pbkdf2<'a> {
    pub salt: &'a [u8],
    pub iterations: u64,
    pub key_length: Option<u64>,
    pub function: pbkdf2::Algorithm,
}

impl<'a> Pbkdf2<'a> {
    /// From the AlgorithmIdentifier that names it.
    pub(super) fn parse(mut algorithm: Reader<'a>) -> Result<Self, Error> {
        if algorithm.oid()? != oid::PBKDF2 {
            return Err(Error::Pkcs12Unsupported);
        }
        let mut parameters = algorithm.sequence()?;
        // A salt may also be named by an algorithm; nobody does that.
        let salt = parameters.take(der::OCTET_STRING).map_err(|_| Error::Pkcs12Unsupported)?;
        let iterations = parameters.count()?;
        let has_length = parameters.peek() == Some(der::INTEGER);
        let key_length = has_length.then(|| parameters.count()).transpose()?;
        let function = match parameters.optional(der::SEQUENCE)? {
            None => PBKDF2_HMAC_SHA1,
            Some(function) => match Reader::new(function).oid()? {
                oid::HMAC_SHA1 => PBKDF2_HMAC_SHA1,
                oid::HMAC_SHA256 => PBKDF2_HMAC_SHA256,
                oid::HMAC_SHA512 => PBKDF2_HMAC_SHA512,
                _ => return Err(Error::Pkcs12Unsupported),
            },
        };
        Ok(Self { salt, iterations, key_length, function })
    }
}

/// Decrypts with what the AlgorithmIdentifier says.
pub(super) fn decrypt(
    cx: &mut Context<'_>,
    mut algorithm: Reader<'_>,
    encrypted: &[u8],
    password: &Password,
) -> Result<Bytes, Error> {
    cx.allocate(encrypted.len())?;
    if encrypted.is_empty() {
        return Err(Error::Pkcs12);
    }
    let scheme = algorithm.oid()?;
    let parameters = algorithm.sequence()?;
    match scheme {
        oid::PBES2 => pbes2(cx, parameters, encrypted, password),
        oid::SHA1_3DES | oid::SHA1_RC2_128 | oid::SHA1_RC2_40 => {
            old(cx, scheme, parameters, encrypted, password)
        }
        _ => Err(Error::Pkcs12Unsupported),
    }
}

fn pbes2(
    cx: &mut Context<'_>,
    mut parameters: Reader<'_>,
    encrypted: &[u8],
    password: &Password,
) -> Result<Bytes, Error> {
    let derivation = Pbkdf2::parse(parameters.sequence()?)?;
    let mut scheme = parameters.sequence()?;
    let (algorithm, size) = match scheme.oid()? {
        oid::AES_128_CBC => (&AES_128, 16),
        oid::AES_192_CBC => (&AES_192, 24),
        oid::AES_256_CBC => (&AES_256, 32),
        _ => return Err(Error::Pkcs12Unsupported),
    };
    let vector =
        <[u8; 16]>::try_from(scheme.take(der::OCTET_STRING)?).map_err(|_| Error::Pkcs12)?;
    let Pbkdf2 { salt, iterations, function, .. } = derivation;
    let key = derive::pbkdf2(cx, function, &password.narrow, salt, iterations, size)?;
    cbc(algorithm, &key, DecryptionContext::Iv128(vector.into()), encrypted)
}

fn old(
    cx: &mut Context<'_>,
    scheme: &[u8],
    mut parameters: Reader<'_>,
    encrypted: &[u8],
    password: &Password,
) -> Result<Bytes, Error> {
    let (salt, iterations) = (parameters.take(der::OCTET_STRING)?, parameters.count()?);
    let mut derived = |purpose, size| {
        let hash = &SHA1_FOR_LEGACY_USE_ONLY;
        derive::rfc7292(cx, hash, purpose, &password.wide, salt, iterations, size)
    };
    let size = match scheme {
        oid::SHA1_3DES => 24,
        oid::SHA1_RC2_128 => 16,
        _ => 5,
    };
    let key = derived(Purpose::Key, size)?;
    let vector = derived(Purpose::Vector, 8)?;
    let vector = <[u8; 8]>::try_from(&vector[..]).map_err(|_| Error::Pkcs12)?;
    if scheme == oid::SHA1_3DES {
        // Only to read what old programs left behind.
        #[expect(deprecated)]
        let triple_des = &cipher::DES_EDE3_FOR_LEGACY_USE_ONLY;
        return cbc(triple_des, &key, DecryptionContext::Iv64(vector.into()), encrypted);
    }
    rc2_cbc(&key, vector, encrypted)
}

/// CBC without its padding.
fn cbc(
    algorithm: &'static cipher::Algorithm,
    key: &[u8],
    vector: DecryptionContext,
    encrypted: &[u8],
) -> Result<Bytes, Error> {
    let key = UnboundCipherKey::new(algorithm, key).and_then(DecryptingKey::cbc);
    let mut data = Zeroizing::new(encrypted.to_vec());
    key.and_then(|key| key.decrypt(&mut data, vector).map(drop)).map_err(|_| Error::Pkcs12)?;
    unpadded(data, algorithm.block_len())
}

fn rc2_cbc(key: &[u8], mut vector: [u8; 8], encrypted: &[u8]) -> Result<Bytes, Error> {
    let cipher = Rc2::new_with_eff_key_len(key, key.len() * 8);
    let (blocks, rest) = encrypted.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(Error::Pkcs12);
    }
    let mut data = Zeroizing::new(Vec::with_capacity(encrypted.len()));
    for block in blocks {
        let mut plain = Array::from(*block);
        cipher.decrypt_block(&mut plain);
        data.extend(plain.iter().zip(vector).map(|(byte, mask)| byte ^ mask));
        vector = *block;
    }
    unpadded(data, 8)
}

/// Takes off as many bytes as the last one says, which must all say the same. They do not when the password is wrong.
fn unpadded(mut data: Bytes, block: usize) -> Result<Bytes, Error> {
    let padding = data.last().copied().map_or(0, usize::from);
    let kept = data.len().checked_sub(padding).filter(|_| (1..=block).contains(&padding));
    let kept = kept.ok_or(Error::Pkcs12Password)?;
    if data[kept..].iter().any(|byte| usize::from(*byte) != padding) {
        return Err(Error::Pkcs12Password);
    }
    data.truncate(kept);
    Ok(data)
}

/// Encrypts with PBES2, PBKDF2 over SHA-256 and AES-256. Gives AlgorithmIdentifier and data.
pub(super) fn encrypt(
    cx: &mut Context<'_>,
    data: &[u8],
    password: &Password,
) -> Result<(Bytes, Vec<u8>), Error> {
    let (mut salt, mut vector) = ([0; SALT], [0; 16]);
    cx.environment.fill(&mut salt)?;
    cx.environment.fill(&mut vector)?;
    let key = derive::pbkdf2(cx, PBKDF2_HMAC_SHA256, &password.narrow, &salt, ITERATIONS, 32)?;
    cx.allocate(data.len() + 16)?;
    let mut encrypted = Vec::with_capacity(data.len() + 16);
    encrypted.extend_from_slice(data);
    let key = UnboundCipherKey::new(&AES_256, &key).and_then(PaddedBlockEncryptingKey::cbc_pkcs7);
    let vector_context = EncryptionContext::Iv128(vector.into());
    key.and_then(|key| key.less_safe_encrypt(&mut encrypted, vector_context))
        .map_err(|_| Error::Pkcs12)?;

    let function = der::sequence(&[&der::oid(oid::HMAC_SHA256)]);
    let parameters = der::sequence(&[&der::octets(&salt), &der::count(ITERATIONS), &function]);
    let derivation = der::sequence(&[&der::oid(oid::PBKDF2), &parameters]);
    let scheme = der::sequence(&[&der::oid(oid::AES_256_CBC), &der::octets(&vector)]);
    let parameters = der::sequence(&[&derivation, &scheme]);
    Ok((der::sequence(&[&der::oid(oid::PBES2), &parameters]), encrypted))
}
