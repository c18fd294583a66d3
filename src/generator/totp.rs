//! One-time passwords (RFC 6238), as a device for multi-factor authentication shows them.

use aws_lc_rs::hmac;
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::{GeneratorError, Values};
use crate::api::generators::mfa::MFASpec;
use crate::secret_bytes::SecretBytes;

/// The password of this moment under the key `token`, and the seconds for which it lasts under `timeLeft`.
pub(crate) fn totp(spec: &MFASpec, seed: &[u8], now: Timestamp) -> Result<Values, GeneratorError> {
    let period = match spec.time_period.unwrap_or_default() {
        0 => 30,
        period if (1..=86_400).contains(&period) => period,
        _ => return Err(field("timePeriod", "is not from 1 to 86400 seconds: correct it")),
    };
    let length = match spec.length.unwrap_or_default() {
        0 => 6,
        length if (1..=10).contains(&length) => length,
        _ => return Err(field("length", "is not from 1 to 10: correct it")),
    };
    let algorithm = match spec.algorithm.as_deref().unwrap_or_default() {
        "" | "sha1" => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        "sha256" => hmac::HMAC_SHA256,
        "sha512" => hmac::HMAC_SHA512,
        _ => return Err(field("algorithm", "is not known: use sha1, sha256 or sha512")),
    };
    let key = base32(seed).ok_or_else(|| {
        field("secret", "names a value that is not base32: store the seed as the device got it")
    })?;
    let time = spec.when.as_ref().map_or(now, |when| when.0).as_second().max(0);
    let counter = u64::try_from(time / period).unwrap_or_default();
    let tag = hmac::sign(&hmac::Key::new(algorithm, &key), &counter.to_be_bytes());
    let digits = truncated(tag.as_ref()).ok_or(GeneratorError::Entropy)?;
    let shown = u64::from(digits) % 10_u64.pow(u32::try_from(length).unwrap_or(6));
    let width = usize::try_from(length).unwrap_or(6);
    Ok(Values::from([
        ("timeLeft".to_owned(), SecretBytes::from((period - time % period).to_string())),
        ("token".to_owned(), SecretBytes::from(format!("{shown:0width$}"))),
    ]))
}

fn field(field: &'static str, reason: &str) -> GeneratorError {
    GeneratorError::Field { field, reason: reason.to_owned() }
}

/// RFC 4226, section 5.3: four bytes, from where the last half-byte says, without the sign.
fn truncated(tag: &[u8]) -> Option<u32> {
    let start = usize::from(tag.last()? & 0x0f);
    let bytes: [u8; 4] = tag.get(start..start + 4)?.try_into().ok()?;
    Some(u32::from_be_bytes(bytes) & 0x7fff_ffff)
}

/// RFC 4648, section 6, in either case, with or without padding and spaces, as devices show seeds.
fn base32(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let (mut buffer, mut bits) = (0_u32, 0_u32);
    for byte in text {
        let value = match byte.to_ascii_uppercase() {
            letter @ b'A'..=b'Z' => letter - b'A',
            digit @ b'2'..=b'7' => digit - b'2' + 26,
            b'=' | b' ' | b'-' | b'\n' | b'\r' => continue,
            _ => return None,
        };
        buffer = (buffer << 5) | u32::from(value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((buffer >> bits) & 0xff).ok()?);
            buffer &= (1 << bits) - 1;
        }
    }
    (!bytes.is_empty()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(spec: &MFASpec, seed: &str, second: i64) -> (String, String) {
        let now = Timestamp::from_second(second).unwrap();
        let values = totp(spec, seed.as_bytes(), now).unwrap();
        let text = |key: &str| String::from_utf8(values[key].expose().to_vec()).unwrap();
        (text("token"), text("timeLeft"))
    }

    /// RFC 6238, appendix B.
    #[test]
    fn gen_mfa_tokens_are_those_of_rfc_6238() {
        let seeds = [
            ("sha1", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"),
            ("sha256", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZA===="),
            (
                "sha512",
                "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNA=",
            ),
        ];
        for (second, tokens) in [
            (59, ["94287082", "46119246", "90693936"]),
            (1_111_111_109, ["07081804", "68084774", "25091201"]),
            (1_234_567_890, ["89005924", "91819424", "93441116"]),
            (20_000_000_000, ["65353130", "77737706", "47863826"]),
        ] {
            for ((algorithm, seed), token) in seeds.iter().zip(tokens) {
                let spec = MFASpec {
                    algorithm: Some((*algorithm).to_owned()),
                    length: Some(8),
                    ..MFASpec::default()
                };
                assert_eq!(made(&spec, seed, second).0, token, "{algorithm} {second}");
            }
        }
    }

    #[test]
    fn gen_mfa_has_six_digits_for_thirty_seconds_by_default() {
        let (token, left) =
            made(&MFASpec::default(), "gezd gnbv gy3t qojq gezd gnbv gy3t qojq", 59);
        assert_eq!((token.as_str(), left.as_str()), ("287082", "1"));
    }

    #[test]
    fn gen_mfa_says_what_it_cannot_make() {
        let base = MFASpec::default();
        for (spec, seed, text) in [
            (MFASpec { length: Some(11), ..base.clone() }, "GEZA", "spec.length"),
            (MFASpec { time_period: Some(-1), ..base.clone() }, "GEZA", "spec.timePeriod"),
            (MFASpec { algorithm: Some("md5".into()), ..base.clone() }, "GEZA", "spec.algorithm"),
            (base.clone(), "0189", "spec.secret: names a value that is not base32"),
            (base, "", "spec.secret"),
        ] {
            let error =
                totp(&spec, seed.as_bytes(), Timestamp::UNIX_EPOCH).unwrap_err().to_string();
            assert!(error.contains(text) && !error.contains("0189"), "{error}");
        }
    }
}
