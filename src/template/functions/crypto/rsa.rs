//! `rsaDecrypt`: RSA-OAEP, as some secret stores wrap their values.

use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA512_MGF1SHA512, OaepPrivateDecryptingKey,
    PrivateDecryptingKey,
};

use super::{Bytes, Error, pem, private_key::PrivateKey};

/// The cipher text is bytes, not base64. Hashes that have no name here are SHA-256, as in ESO.
pub fn decrypt(scheme: &[u8], hash: &[u8], encrypted: &[u8], key: &[u8]) -> Result<Bytes, Error> {
    match scheme {
        b"None" => return Ok(Bytes::new(encrypted.to_vec())),
        b"RSA-OAEP" => {}
        _ => return Err(Error::RsaScheme),
    }
    let block = pem::decode(key).0.ok_or(Error::NoPem)?;
    let PrivateKey::Rsa(key) = PrivateKey::from_der(&block.bytes)? else {
        return Err(Error::NotRsa);
    };
    let pkcs8 = PrivateKey::Rsa(key).to_pkcs8();
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
