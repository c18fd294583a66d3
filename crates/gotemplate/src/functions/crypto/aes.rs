//! sprig's `encryptAES` and `decryptAES`: AES-256 in CBC mode, the password itself as key.

use aws_lc_rs::cipher::{
    AES_256, DecryptingKey, DecryptionContext, EncryptionContext, PaddedBlockEncryptingKey,
    UnboundCipherKey,
};

use super::{Bytes, Error, base64_text, from_base64};
use crate::Context;

const BLOCK: usize = 16;

/// Cut to the key's length, or filled up with zeros.
fn key(password: &[u8]) -> Result<UnboundCipherKey, Error> {
    let mut key = Bytes::new(vec![0; 32]);
    let size = password.len().min(key.len());
    key[..size].copy_from_slice(&password[..size]);
    UnboundCipherKey::new(&AES_256, &key).map_err(|_| Error::AesPassword)
}

/// Base64 of a random vector and what is encrypted; the empty text stays empty.
pub(super) fn encrypt(cx: &mut Context<'_>, password: &[u8], text: &[u8]) -> Result<Bytes, Error> {
    if text.is_empty() {
        return Ok(Bytes::default());
    }
    cx.allocate(2 * (text.len() + 2 * BLOCK))?;
    let mut vector = [0; BLOCK];
    cx.environment.fill(&mut vector)?;
    let mut data = Vec::with_capacity(text.len() + BLOCK); // room for the padding: it must not move
    data.extend_from_slice(text);
    let context = EncryptionContext::Iv128(vector.into());
    PaddedBlockEncryptingKey::cbc_pkcs7(key(password)?)
        .and_then(|key| key.less_safe_encrypt(&mut data, context))
        .map_err(|_| Error::AesPassword)?;
    Ok(base64_text(&[&vector[..], &data].concat()))
}

/// The last byte says how many are padding, and nothing else is checked: so does sprig.
pub(super) fn decrypt(password: &[u8], text: &[u8]) -> Result<Bytes, Error> {
    if text.is_empty() {
        return Ok(Bytes::default());
    }
    let encrypted = from_base64(text)?;
    let (vector, encrypted) = encrypted.split_at_checked(BLOCK).ok_or(Error::AesBlocks)?;
    let vector = <[u8; BLOCK]>::try_from(vector).map_err(|_| Error::AesBlocks)?;
    if encrypted.is_empty() || encrypted.len() % BLOCK != 0 {
        return Err(Error::AesBlocks);
    }
    let mut data = Bytes::new(encrypted.to_vec());
    let context = DecryptionContext::Iv128(vector.into());
    DecryptingKey::cbc(key(password)?)
        .and_then(|key| key.decrypt(&mut data, context).map(drop))
        .map_err(|_| Error::AesPassword)?;
    let padding = usize::from(data[data.len() - 1]);
    let size = data.len().checked_sub(padding).ok_or(Error::AesPassword)?;
    data.truncate(size);
    Ok(data)
}
