//! Password hashes: bcrypt, `.htpasswd` lines, and the derived passwords of Master Password.

use aws_lc_rs::{
    digest::{SHA1_FOR_LEGACY_USE_ONLY, digest},
    hmac::{HMAC_SHA256, Key as HmacKey, sign},
};
use base64::{
    Engine as _, alphabet,
    engine::{GeneralPurpose, general_purpose::NO_PAD},
};
use blowfish::Blowfish;
use scrypt::Params;
use zeroize::Zeroizing;

use super::{Bytes, Error, base64_text};
use crate::{Context, functions::crypto};

/// Go's default; nothing in a template chooses another.
const COST: u32 = 10;
/// bcrypt looks at no more, and Go refuses more.
const LONGEST: usize = 72;
const BCRYPT_BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::BCRYPT, NO_PAD);

/// A bcrypt hash; a password that is too long gives the text that sprig gives.
pub(super) fn bcrypt(cx: &mut Context<'_>, password: &[u8]) -> Result<Bytes, Error> {
    if password.len() > LONGEST {
        let text = "failed to encrypt string with bcrypt: bcrypt: password length exceeds 72 bytes";
        return Ok(Bytes::new(text.into()));
    }
    cx.slow_operations(crypto::SLOW_BCRYPT)?;
    let mut salt = [0; 16];
    cx.environment.fill(&mut salt)?;
    Ok(Bytes::new(bcrypt_with(password, salt, COST).into_bytes()))
}

fn bcrypt_with(password: &[u8], salt: [u8; 16], cost: u32) -> String {
    let mut key = Zeroizing::new(Vec::with_capacity(password.len() + 1));
    key.extend_from_slice(password);
    key.push(0);
    let mut state: Blowfish = Blowfish::bc_init_state();
    state.salted_expand_key(&salt, &key);
    for _ in 0..1_u32 << cost {
        state.bc_expand_key(&key);
        state.bc_expand_key(&salt);
    }
    let mut words = [0x4f72_7068, 0x6561_6e42, 0x6568_6f6c, 0x6465_7253, 0x6372_7944, 0x6f75_6274];
    for pair in words.as_chunks_mut::<2>().0 {
        for _ in 0..64 {
            *pair = state.bc_encrypt(*pair);
        }
    }
    let bytes = words.map(u32::to_be_bytes).concat();
    let (salt, hash) = (BCRYPT_BASE64.encode(salt), BCRYPT_BASE64.encode(&bytes[..23]));
    format!("$2a${cost:02}${salt}{hash}")
}

/// A line of an `.htpasswd` file. `sha` is the old unsalted form; every other algorithm is bcrypt.
pub(super) fn htpasswd(
    cx: &mut Context<'_>,
    user: &[u8],
    password: &[u8],
    algorithm: &[u8],
) -> Result<Bytes, Error> {
    if user.contains(&b':') {
        return Ok(Bytes::new([b"invalid username: ", user].concat()));
    }
    let hash = if algorithm == b"sha" {
        let sum = digest(&SHA1_FOR_LEGACY_USE_ONLY, password);
        Bytes::new([b"{SHA}", &base64_text(sum.as_ref())[..]].concat())
    } else {
        bcrypt(cx, password)?
    };
    Ok(Bytes::new([user, b":", &hash].concat()))
}

/// What a letter of a password's pattern stands for.
fn characters(letter: u8) -> &'static [u8] {
    match letter {
        b'V' => b"AEIOU",
        b'C' => b"BCDFGHJKLMNPQRSTVWXYZ",
        b'v' => b"aeiou",
        b'c' => b"bcdfghjklmnpqrstvwxyz",
        b'A' => b"AEIOUBCDFGHJKLMNPQRSTVWXYZ",
        b'a' => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz",
        b'n' => b"0123456789",
        b'o' => b"@&%?,=[]_:-+*$#!'^~;()/.",
        _ => b"AEIOUaeiouBCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz0123456789!@#$%^&*()",
    }
}

/// Patterns of each kind of password, as the Master Password algorithm lays them down.
fn patterns(kind: &[u8]) -> Option<&'static [&'static str]> {
    Some(match kind {
        b"maximum" => &["anoxxxxxxxxxxxxxxxxx", "axxxxxxxxxxxxxxxxxno"],
        b"long" => &[
            "CvcvnoCvcvCvcv",
            "CvcvCvcvnoCvcv",
            "CvcvCvcvCvcvno",
            "CvccnoCvcvCvcv",
            "CvccCvcvnoCvcv",
            "CvccCvcvCvcvno",
            "CvcvnoCvccCvcv",
            "CvcvCvccnoCvcv",
            "CvcvCvccCvcvno",
            "CvcvnoCvcvCvcc",
            "CvcvCvcvnoCvcc",
            "CvcvCvcvCvccno",
            "CvccnoCvccCvcv",
            "CvccCvccnoCvcv",
            "CvccCvccCvcvno",
            "CvcvnoCvccCvcc",
            "CvcvCvccnoCvcc",
            "CvcvCvccCvccno",
            "CvccnoCvcvCvcc",
            "CvccCvcvnoCvcc",
            "CvccCvcvCvccno",
        ],
        b"medium" => &["CvcnoCvc", "CvcCvcno"],
        b"short" => &["Cvcn"],
        b"basic" => &["aaanaaan", "aannaaan", "aaannaaa"],
        b"pin" => &["nnnn"],
        _ => return None,
    })
}

/// `derivePassword`: the same inputs always give the same password. It takes 32 MiB for a moment.
pub(super) fn derive(
    cx: &mut Context<'_>,
    counter: u32,
    [kind, password, user, site]: [&[u8]; 4],
) -> Result<Bytes, Error> {
    const SEED: &[u8] = b"com.lyndir.masterpassword";
    let Some(patterns) = patterns(kind) else {
        return Ok(Bytes::new([b"cannot find password template ", kind].concat()));
    };
    cx.slow_operations(crypto::SLOW_SCRYPT)?;
    let length = |text: &[u8]| u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
    let salt = Zeroizing::new([SEED, &length(user), user].concat());
    let mut key = Zeroizing::new([0; 64]);
    let parameters = Params::new(15, 8, 2).map_err(|_| Error::Length)?;
    scrypt::scrypt(password, &salt, &parameters, &mut key[..]).map_err(|_| Error::Length)?;
    let message = Zeroizing::new([SEED, &length(site), site, &counter.to_be_bytes()].concat());
    let seed = sign(&HmacKey::new(HMAC_SHA256, &key[..]), &message);
    let seed = seed.as_ref();
    let pattern = patterns[usize::from(seed[0]) % patterns.len()].bytes();
    let chosen = pattern.zip(&seed[1..]).map(|(letter, random)| {
        let characters = characters(letter);
        characters[usize::from(*random) % characters.len()]
    });
    Ok(Bytes::new(chosen.collect()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_that_go_makes() {
        let known = [
            ("", "$2a$10$vxZ1SrY..AVjdwGZrAuPV.HbDw6mli1y/50jFyI6cuRJB/jmxnzAa"),
            ("geheim", "$2a$10$E/e0o.16IpKqfVMZ2lNJJuGNwuJqtawAqyXKJYcEhrv4TruwAW8T6"),
            ("pässwort", "$2a$10$dim4cgCqcUNAwieqjVZgLupZRbhIryMdc9sUCVk65oaIK3WB.9LN2"),
            (
                "123456789012345678901234567890123456789012345678901234567890123456789012",
                "$2a$10$Xy3bqgsFZKOzt2Egk9vtZehcX9JjFb2KjKY2JfQjfVdNLxhm3ozVq",
            ),
        ];
        for (password, hash) in known {
            let salt = BCRYPT_BASE64.decode(&hash[7..29]).unwrap().try_into().unwrap();
            assert_eq!(bcrypt_with(password.as_bytes(), salt, 10), hash);
        }
    }
}
