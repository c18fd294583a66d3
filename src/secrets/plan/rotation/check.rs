//! Whether a rotation may begin: refusals, in the order in which they help most.

use jiff::{SignedDuration, Timestamp};

use super::attempt::{CURRENT, LABELS, PENDING, at, leftover};
use super::error::{Refusal, TAG};
use crate::provider::push::{OWNER, OWNER_TAG};
use crate::provider::rotate::{Described, Valued};
use crate::text::hex;

/// AWS takes a new version every ten minutes; what is younger was put by somebody else just now.
pub(crate) const YOUNGEST: SignedDuration = SignedDuration::from_mins(10);

/// Id of the present version, if nothing speaks against a new one. `owner` is what the tag says of this object; `label`
/// is its own, and `last` the version that it made last.
pub(crate) fn current<'a>(
    described: Option<&'a Described>,
    owner: &str,
    label: &str,
    last: Option<&str>,
) -> Result<&'a str, Refusal> {
    let secret = described.ok_or(Refusal::NotFound)?;
    if secret.deleting {
        return Err(Refusal::MarkedForDeletion);
    }
    if secret.rotates {
        return Err(Refusal::AwsRotates);
    }
    if let Some(by) = &secret.owner {
        return Err(Refusal::ManagedElsewhere(by.clone()));
    }
    if let Some(region) = &secret.replica_of {
        return Err(Refusal::Replica(region.clone()));
    }
    if secret.tags.get(OWNER_TAG).is_some_and(|by| by == OWNER) {
        return Err(Refusal::Pushed);
    }
    if let Some(by) = secret.tags.get(TAG).filter(|by| *by != owner) {
        return Err(Refusal::RotatedElsewhere(by.clone()));
    }
    let current = at(&secret.stages, CURRENT).ok_or(Refusal::NoCurrent)?;
    match at(&secret.stages, PENDING) {
        Some(holder) if holder != current && leftover(&secret.stages, label, last).is_none() => {
            Err(Refusal::PendingElsewhere(holder.to_owned()))
        }
        _ => Ok(current),
    }
}

/// Whether the tag says already whose it is.
pub(crate) fn is_tagged(described: &Described, owner: &str) -> bool {
    described.tags.get(TAG).is_some_and(|by| by == owner)
}

/// Refuses what somebody put just now, by AWS's own clock. Where that is not known, ours has to do.
pub(crate) fn age(value: &Valued, now: Timestamp) -> Result<(), Refusal> {
    let Some(created) = value.created else { return Ok(()) };
    let age = value.answered.unwrap_or(now).duration_since(created);
    if age < YOUNGEST { Err(Refusal::TooSoon) } else { Ok(()) }
}

/// The label of an object: 16 digits of a hash of its uid.
pub(crate) fn label(uid: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, uid.as_bytes());
    format!("{LABELS}{}", hex(digest.as_ref().get(..8).unwrap_or_default()))
}

/// A random id of a version.
pub(crate) fn token(mut random: [u8; 16]) -> String {
    random[6] = random[6] & 0x0f | 0x40;
    random[8] = random[8] & 0x3f | 0x80;
    let hex = hex(&random);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn described() -> Described {
        let stages = BTreeMap::from([("v1".to_owned(), BTreeSet::from([CURRENT.to_owned()]))]);
        Described { stages, ..Described::default() }
    }

    fn tagged(key: &str, value: &str) -> Described {
        let tags = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        Described { tags, ..described() }
    }

    #[test]
    fn s3_refusals_name_their_cause() {
        let fine = described();
        assert_eq!(current(Some(&fine), "me", "L", None), Ok("v1"));
        assert_eq!(current(Some(&tagged(TAG, "me")), "me", "L", None), Ok("v1"));
        let mut pending = described();
        pending.stages.insert("v2".to_owned(), BTreeSet::from([PENDING.to_owned()]));
        for (secret, expected) in [
            (None, "NotFound"),
            (Some(Described { deleting: true, ..described() }), "MarkedForDeletion"),
            (Some(Described { rotates: true, ..described() }), "AwsRotates"),
            (Some(Described { owner: Some("rds".into()), ..described() }), "ManagedElsewhere"),
            (Some(Described { replica_of: Some("eu".into()), ..described() }), "Replica"),
            (Some(tagged(OWNER_TAG, OWNER)), "Pushed"),
            (Some(tagged(TAG, "other")), "RotatedElsewhere"),
            (Some(pending.clone()), "PendingElsewhere"),
            (Some(Described::default()), "NoCurrent"),
        ] {
            let refusal = current(secret.as_ref(), "me", "L", None).unwrap_err();
            assert_eq!(refusal.reason(), expected);
            assert!(refusal.message().contains(':'), "{}", refusal.message());
        }
        pending.stages.entry("v2".to_owned()).or_default().insert("L".to_owned());
        assert_eq!(current(Some(&pending), "me", "L", None), Ok("v1"));
        assert_eq!(current(Some(&pending), "me", "M", Some("v2")), Ok("v1"));
    }

    #[test]
    fn t20_only_the_clock_of_aws_says_what_is_young() {
        let at = |seconds| Timestamp::from_second(seconds).ok();
        let value = |created, answered| Valued {
            created: at(created),
            answered: at(answered),
            ..Valued::default()
        };
        // Whatever this node's clock says.
        for now in [0, 1_000_000] {
            let now = at(now).unwrap();
            assert_eq!(age(&value(1_000, 1_599), now), Err(Refusal::TooSoon));
            assert_eq!(age(&value(1_000, 1_601), now), Ok(()));
        }
    }

    #[test]
    fn labels_and_tokens_have_the_form_that_aws_takes() {
        assert_eq!(label("a").len(), 23);
        assert_ne!(label("a"), label("b"));
        let token = token([0xff; 16]);
        assert_eq!(token, "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
