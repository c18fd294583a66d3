//! `rsaDecrypt`: RSA-OAEP, with which some stores wrap values.

use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA512_MGF1SHA512, OaepPrivateDecryptingKey,
    PrivateDecryptingKey,
};

use super::{Bytes, Error, private_key::PrivateKey};

/// Hashes that have no name here are SHA-256, as in ESO.
pub(super) fn decrypt_oaep(
    hash: &[u8],
    encrypted: &[u8],
    key: &PrivateKey,
) -> Result<Bytes, Error> {
    let PrivateKey::Rsa(_) = key else { return Err(Error::NotRsa) };
    let pkcs8 = key.to_pkcs8();
    let key = PrivateDecryptingKey::from_pkcs8(&pkcs8).map_err(|_| Error::RsaWeak)?;
    let key = OaepPrivateDecryptingKey::new(key).map_err(|_| Error::RsaWeak)?;
    let algorithm = match hash {
        b"SHA1" => &OAEP_SHA1_MGF1SHA1,
        b"SHA512" => &OAEP_SHA512_MGF1SHA512,
        _ => &OAEP_SHA256_MGF1SHA256,
    };
    let mut plain = Bytes::new(vec![0; key.min_output_size()]);
    let size =
        key.decrypt(algorithm, encrypted, &mut plain, None).map_err(|_| Error::RsaDecrypt)?.len();
    plain.truncate(size);
    Ok(plain)
}
