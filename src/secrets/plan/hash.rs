//! Marks on objects. They are those of External Secrets Operator, so that either operator finds the other's
//! objects in order and rewrites nothing.
//!
//! The text that is hashed is Go's `%+v` of a map. It is streamed into the hash: no text with secret bytes
//! is ever put together.

use std::collections::BTreeMap;

use sha3::{Digest, Sha3_224};
use zeroize::Zeroizing;

use crate::provider::SecretBytes;
use crate::text::hex;

/// Prefix of the field managers of all ExternalSecrets.
pub(crate) const MANAGER: &str = "externalsecrets.external-secrets.io/";

/// Hash of a Secret's data (annotation `reconcile.external-secrets.io/data-hash`).
pub(crate) fn data_hash(data: &BTreeMap<String, SecretBytes>) -> String {
    let mut hasher = Sha3_224::new();
    hasher.update(b"map[");
    for (nth, (key, value)) in data.iter().enumerate() {
        if nth > 0 {
            hasher.update(b" ");
        }
        hasher.update(key);
        hasher.update(b":[");
        hash_bytes(&mut hasher, value.expose());
        hasher.update(b"]");
    }
    hasher.update(b"]");
    hex(&hasher.finalize())
}

/// What `status.syncedResourceVersion` holds: changes with the spec, the labels and the annotations.
pub(crate) fn object_version(
    generation: i64,
    labels: Option<&BTreeMap<String, String>>,
    annotations: Option<&BTreeMap<String, String>>,
) -> String {
    let mut hasher = Sha3_224::new();
    hasher.update(b"{annotations:");
    hash_map(&mut hasher, annotations);
    hasher.update(b" labels:");
    hash_map(&mut hasher, labels);
    hasher.update(b"}");
    format!("{generation}-{}", hex(&hasher.finalize()))
}

/// Value of the label `reconcile.external-secrets.io/created-by`.
pub(crate) fn created_by(namespace: &str, name: &str) -> String {
    hex(&Sha3_224::new().chain_update(namespace).chain_update(b"/").chain_update(name).finalize())
}

/// Hash of a map of texts.
pub(crate) fn text_map(map: &BTreeMap<String, String>) -> String {
    let mut hasher = Sha3_224::new();
    hash_map(&mut hasher, Some(map));
    hex(&hasher.finalize())
}

/// Field manager under which the Secret of an `ExternalSecret` is written.
pub(crate) fn field_manager(name: &str) -> String {
    let plain = format!("{MANAGER}{name}");
    // Field managers that are longer than a label value are hashed.
    if plain.len() <= 63 {
        plain
    } else {
        format!("{MANAGER}sha3/{}", hex(&Sha3_224::new().chain_update(name).finalize()))
    }
}

fn hash_map(hasher: &mut Sha3_224, map: Option<&BTreeMap<String, String>>) {
    hasher.update(b"map[");
    for (nth, (key, value)) in map.into_iter().flatten().enumerate() {
        if nth > 0 {
            hasher.update(b" ");
        }
        hasher.update(key);
        hasher.update(b":");
        hasher.update(value);
    }
    hasher.update(b"]");
}

/// Decimal bytes with spaces between them.
fn hash_bytes(hasher: &mut Sha3_224, bytes: &[u8]) {
    let mut text = Zeroizing::new([0_u8; 1024]);
    let mut used = 0;
    for (nth, byte) in bytes.iter().enumerate() {
        if used + 4 > text.len() {
            hasher.update(&text[..used]);
            used = 0;
        }
        if nth > 0 {
            text[used] = b' ';
            used += 1;
        }
        for (least, digit) in [(100, byte / 100), (10, byte / 10 % 10), (0, byte % 10)] {
            if *byte >= least {
                text[used] = b'0' + digit;
                used += 1;
            }
        }
    }
    hasher.update(&text[..used]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn data(pairs: &[(&str, &[u8])]) -> BTreeMap<String, SecretBytes> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), SecretBytes::new(v.to_vec()))).collect()
    }

    fn sha3(text: &str) -> String {
        hex(&Sha3_224::new().chain_update(text).finalize())
    }

    #[test]
    fn the_data_hash_is_the_published_one() {
        assert_eq!(
            data_hash(&data(&[("foo", b"value1"), ("bar", b"value2")])),
            "1bed8bcbcb4547ffe19a19cd47d9078e84aa6598266d86b99f992d64"
        );
        assert_eq!(data_hash(&data(&[])), sha3("map[]"));
        assert_eq!(data_hash(&data(&[("a", b"")])), sha3("map[a:[]]"));
        assert_eq!(
            data_hash(&data(&[("a", &[0, 9, 10, 99, 100, 255])])),
            sha3("map[a:[0 9 10 99 100 255]]")
        );
    }

    #[test]
    fn the_object_version_is_the_one_of_a_live_object() {
        let labels = map(&[("from-es", "x")]);
        let annotations = map(&[
            ("es-note", "v"),
            (
                "kubectl.kubernetes.io/last-applied-configuration",
                concat!(
                    r#"{"apiVersion":"external-secrets.io/v1","kind":"ExternalSecret","metadata":{"annotations":"#,
                    r#"{"es-note":"v"},"labels":{"from-es":"x"},"name":"owner-plain","namespace":"t"},"spec":{"data":"#,
                    r#"[{"remoteRef":{"key":"s/000003"},"secretKey":"value"}],"refreshInterval":"1h","#,
                    r#""secretStoreRef":{"kind":"SecretStore","name":"aws"}}}"#,
                    "\n"
                ),
            ),
        ]);
        assert_eq!(
            object_version(1, Some(&labels), Some(&annotations)),
            "1-fce47df821d5040152c2a1d5dfaac46adbc4f5c739a5a74a4f4a9845"
        );
        assert_eq!(
            object_version(2, None, None),
            format!("2-{}", sha3("{annotations:map[] labels:map[]}"))
        );
    }

    #[test]
    fn the_owner_mark_is_the_one_of_a_live_object() {
        assert_eq!(
            created_by("t", "owner-plain"),
            "a97b9bc8ff133add7d0014ed87dc10876e4c99875f6877028daeef35"
        );
        assert_eq!(
            created_by("t", "owner-template"),
            "1cf7ad4103ed0f2739111e47db54a35eb1d2c05823b8ff00d2dc2624"
        );
    }

    #[test]
    fn a_long_name_is_hashed_into_the_field_manager() {
        let (short, long) = ("a".repeat(27), "a".repeat(28));
        assert_eq!(field_manager(&short), format!("externalsecrets.external-secrets.io/{short}"));
        assert_eq!(
            field_manager(&long),
            format!("externalsecrets.external-secrets.io/sha3/{}", sha3(&long))
        );
    }

    proptest! {
        #[test]
        fn streaming_hashes_what_go_would_print(
            pairs in prop::collection::btree_map("[a-z.]{1,8}", prop::collection::vec(any::<u8>(), 0..900), 0..4)
        ) {
            let text = pairs.iter().map(|(key, bytes)| {
                let bytes: Vec<String> = bytes.iter().map(ToString::to_string).collect();
                format!("{key}:[{}]", bytes.join(" "))
            }).collect::<Vec<_>>().join(" ");
            let data = pairs.into_iter().map(|(k, v)| (k, SecretBytes::new(v))).collect();
            prop_assert_eq!(data_hash(&data), sha3(&format!("map[{text}]")));
        }
    }
}
