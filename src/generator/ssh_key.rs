//! SSH keys.

use aws_lc_rs::{
    encoding::{AsBigEndian as _, AsDer as _, EcPrivateKeyBin},
    rsa::{self, KeySize},
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING,
        ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair,
        KeyPair as _,
    },
};
use zeroize::Zeroizing;

use super::openssh::Key;
use super::{Entropy, GeneratorError, Values};
use crate::api::generators::local::{SSHKeySpec, SshKeyType};
use crate::secret_bytes::SecretBytes;

const MAX_COMMENT: usize = 1024;

/// A new pair of keys under the keys `privateKey` and `publicKey`. A large RSA key takes seconds.
pub(crate) fn ssh_key(
    spec: &SSHKeySpec,
    entropy: &mut dyn Entropy,
) -> Result<Values, GeneratorError> {
    let comment = spec.comment.as_deref().unwrap_or_default();
    if comment.len() > MAX_COMMENT || comment.chars().any(char::is_control) {
        let reason = format!("must be one line of at most {MAX_COMMENT} bytes: shorten it");
        return Err(GeneratorError::Field { field: "comment", reason });
    }
    let key = match &spec.key_type {
        SshKeyType::Rsa => rsa_key(spec.key_size.unwrap_or(2048))?,
        SshKeyType::Ecdsa => ecdsa_key(spec.key_size.unwrap_or(256))?,
        SshKeyType::Ed25519 => ed25519_key()?,
        SshKeyType::Other(other) => {
            let reason = format!("{other:?} is not known: use rsa, ecdsa or ed25519");
            return Err(GeneratorError::Field { field: "keyType", reason });
        }
    };
    let mut check = [0; 4];
    entropy.fill(&mut check)?;
    let private = key.private(comment, u32::from_be_bytes(check));
    Ok(Values::from([
        ("privateKey".to_owned(), SecretBytes::from(private)),
        ("publicKey".to_owned(), SecretBytes::from(key.public(comment))),
    ]))
}

fn failed<E>(_: E) -> GeneratorError {
    GeneratorError::Entropy
}

fn rsa_key(bits: i64) -> Result<Key, GeneratorError> {
    let size = match bits {
        2048 => KeySize::Rsa2048,
        3072 => KeySize::Rsa3072,
        4096 => KeySize::Rsa4096,
        8192 => KeySize::Rsa8192,
        other => {
            let reason =
                format!("an RSA key of {other} bits is not made: use 2048, 3072, 4096 or 8192");
            return Err(GeneratorError::Field { field: "keySize", reason });
        }
    };
    let pair = rsa::KeyPair::generate(size).map_err(failed)?;
    let document = pair.as_der().map_err(failed)?;
    rsa_numbers(document.as_ref()).ok_or(GeneratorError::Entropy)
}

/// The numbers of an RSA key in PKCS#8 (RFC 5208 and RFC 8017, appendix A.1.2).
fn rsa_numbers(document: &[u8]) -> Option<Key> {
    const INTEGER: u8 = 0x02;
    const OCTETS: u8 = 0x04;
    const SEQUENCE: u8 = 0x30;
    let (outer, _) = element(document, SEQUENCE)?;
    let (_, rest) = element(outer, INTEGER)?;
    let (_, rest) = element(rest, SEQUENCE)?;
    let (inner, _) = element(rest, OCTETS)?;
    let (key, _) = element(inner, SEQUENCE)?;
    let (_, mut rest) = element(key, INTEGER)?;
    let mut numbers = Vec::new();
    for _ in 0..8 {
        let (number, after) = element(rest, INTEGER)?;
        numbers.push(Zeroizing::new(number.to_vec()));
        rest = after;
    }
    let [modulus, public, private, first, second, _, _, inverse] =
        <[_; 8]>::try_from(numbers).ok()?;
    Some(Key::Rsa {
        modulus: modulus.to_vec(),
        public: public.to_vec(),
        private,
        inverse,
        primes: [first, second],
    })
}

/// The content of a DER element with this tag, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let (&short, rest) = rest.split_first()?;
    let (length, rest) = if short < 0x80 {
        (usize::from(short), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
        let fits = digits.len() <= 4;
        let length = digits.iter().fold(0_usize, |sum, digit| (sum << 8) | usize::from(*digit));
        (fits.then_some(length)?, rest)
    };
    (first == tag).then_some(())?;
    rest.split_at_checked(length)
}

fn ecdsa_key(bits: i64) -> Result<Key, GeneratorError> {
    // As in External Secrets Operator, a size that no curve has means the first one.
    let (curve, algorithm): (_, &'static EcdsaSigningAlgorithm) = match bits {
        384 => ("nistp384", &ECDSA_P384_SHA384_ASN1_SIGNING),
        521 => ("nistp521", &ECDSA_P521_SHA512_ASN1_SIGNING),
        _ => ("nistp256", &ECDSA_P256_SHA256_ASN1_SIGNING),
    };
    let pair = EcdsaKeyPair::generate(algorithm).map_err(failed)?;
    let scalar: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().map_err(failed)?;
    Ok(Key::Ecdsa {
        curve,
        point: pair.public_key().as_ref().to_vec(),
        scalar: Zeroizing::new(scalar.as_ref().to_vec()),
    })
}

fn ed25519_key() -> Result<Key, GeneratorError> {
    let pair = Ed25519KeyPair::generate().map_err(failed)?;
    let seed = pair.seed().and_then(|seed| seed.as_be_bytes()).map_err(failed)?;
    Ok(Key::Ed25519 {
        public: pair.public_key().as_ref().to_vec(),
        seed: Zeroizing::new(seed.as_ref().to_vec()),
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::generator::Counter;

    fn made(kind: SshKeyType, size: Option<i64>, comment: &str) -> (Vec<u8>, String) {
        let spec = SSHKeySpec { key_type: kind, key_size: size, comment: Some(comment.to_owned()) };
        let values = ssh_key(&spec, &mut Counter(5)).unwrap();
        let public = String::from_utf8(values["publicKey"].expose().to_vec()).unwrap();
        (values["privateKey"].expose().to_vec(), public)
    }

    /// What OpenSSH reads out of a private key.
    fn read_by_openssh(private: &[u8], nth: usize) -> String {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(nth.to_string());
        std::fs::write(&file, private).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let output = Command::new("ssh-keygen").arg("-yf").arg(&file).output().expect("ssh-keygen");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn gen_ssh_key_of_every_kind_is_one_that_openssh_reads() {
        for (nth, (kind, size, name)) in [
            (SshKeyType::Rsa, None, "ssh-rsa "),
            (SshKeyType::Ecdsa, None, "ecdsa-sha2-nistp256 "),
            (SshKeyType::Ecdsa, Some(384), "ecdsa-sha2-nistp384 "),
            (SshKeyType::Ecdsa, Some(521), "ecdsa-sha2-nistp521 "),
            (SshKeyType::Ecdsa, Some(2048), "ecdsa-sha2-nistp256 "),
            (SshKeyType::Ed25519, Some(4096), "ssh-ed25519 "),
        ]
        .into_iter()
        .enumerate()
        {
            for comment in ["", "me@example.com", "a longer comment"] {
                let (private, public) = made(kind.clone(), size, comment);
                assert!(public.starts_with(name) && public.ends_with(&format!("{comment}\n")));
                assert_eq!(read_by_openssh(&private, nth).trim_end(), public.trim_end());
            }
        }
    }

    #[test]
    fn gen_ssh_key_says_what_it_cannot_make() {
        for (spec, text) in [
            (
                SSHKeySpec { key_size: Some(1024), ..SSHKeySpec::default() },
                "spec.keySize: an RSA key of 1024",
            ),
            (SSHKeySpec { comment: Some("a\nb".into()), ..SSHKeySpec::default() }, "spec.comment"),
            (
                SSHKeySpec { key_type: SshKeyType::Other("dsa".into()), ..SSHKeySpec::default() },
                "spec.keyType: \"dsa\" is not known",
            ),
        ] {
            let error = ssh_key(&spec, &mut Counter(1)).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn an_element_that_is_cut_off_is_none() {
        for bytes in [
            &[][..],
            &[0x30],
            &[0x30, 0x05, 0x00],
            &[0x30, 0x85, 1, 1, 1, 1, 1],
            &[0x02, 0x01, 0x00],
        ] {
            assert_eq!(element(bytes, 0x30), None, "{bytes:?}");
        }
    }
}
