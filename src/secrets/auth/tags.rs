//! Tags of sessions that only the operator sets.

use crate::api::external_secrets::aws::AwsProvider;
use crate::secrets::error::Error;

pub(super) const NAMESPACE_TAG: &str = "esoNamespace";
pub(super) const STORE_NAME_TAG: &str = "esoStoreName";
pub(super) const STORE_KIND_TAG: &str = "esoStoreKind";

/// Tags that say who asks, and on which IAM decides: only the operator sets them. IAM compares keys without regard
/// to case.
pub(super) fn check(aws: &AwsProvider) -> Result<(), Error> {
    let is_reserved = |key: &str| {
        let reserved = [NAMESPACE_TAG, STORE_NAME_TAG, STORE_KIND_TAG];
        reserved.iter().any(|reserved| key.trim().eq_ignore_ascii_case(reserved))
    };
    let refused = |field: String, key: &str| {
        let reason = format!(
            "{key:?} is a tag that only sessionTagsPolicy sets (Simple or Custom): remove it"
        );
        Err(Error::StoreField { field, reason })
    };
    if let Some((nth, tag)) =
        aws.session_tags.iter().enumerate().find(|(_, tag)| is_reserved(&tag.key))
    {
        return refused(format!("spec.provider.aws.sessionTags[{nth}].key"), &tag.key);
    }
    match aws.custom_session_tags.keys().find(|key| is_reserved(key)) {
        Some(key) => refused("spec.provider.aws.customSessionTags".to_owned(), key),
        None => Ok(()),
    }
}
