//! UUIDs.

use super::{Entropy, GeneratorError, Values};
use crate::secret_bytes::SecretBytes;

/// A random UUID (RFC 9562, version 4) under the key `uuid`.
pub(crate) fn uuid(entropy: &mut dyn Entropy) -> Result<Values, GeneratorError> {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes)?;
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let number = u128::from_be_bytes(bytes);
    let hex = format!("{number:032x}");
    let text = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
    Ok(Values::from([("uuid".to_owned(), SecretBytes::from(text))]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::generator::Counter;

    #[test]
    fn gen_uuid_is_a_version_4_uuid_and_never_the_same() {
        let form = regex::Regex::new(
            "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
        )
        .unwrap();
        let mut entropy = Counter(3);
        let mut seen = BTreeSet::new();
        for _ in 0..100 {
            let values = uuid(&mut entropy).unwrap();
            let text = String::from_utf8(values["uuid"].expose().to_vec()).unwrap();
            assert!(form.is_match(&text), "{text}");
            assert!(seen.insert(text));
        }
    }
}
