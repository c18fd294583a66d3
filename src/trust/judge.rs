//! The judgement of a policy on all that was found beside an image.

use std::collections::BTreeSet;

use hyper::body::Bytes;
use jiff::Timestamp;

use super::{Format, Policy, Reason, Refusal, bundle, legacy};
use crate::registry::Digest;

/// One thing that may be a signature.
#[derive(Clone, Debug)]
pub enum Candidate {
    /// A bundle.
    Bundle {
        /// Where it was found, in words.
        origin: String,
        /// The bundle.
        bytes: Bytes,
    },
    /// A payload of simple signing.
    Legacy {
        /// Where it was found, in words.
        origin: String,
        /// What was signed.
        payload: Bytes,
        /// The annotation with the signature.
        signature: String,
        /// Whether a certificate stands beside it.
        has_certificate: bool,
    },
    /// Something that cannot even be tried.
    Unusable {
        /// Among which signatures it was found.
        format: Format,
        /// Where it was found, in words.
        origin: String,
        /// Why.
        refusal: Refusal,
    },
}

/// What became of one candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Where it was found, in words.
    pub origin: String,
    /// What held, in the order in which it was looked at.
    pub steps: Vec<&'static str>,
    /// The authorities whose signature it is, at least one, or why it is none.
    pub outcome: Result<Vec<String>, Refusal>,
}

/// The judgement of one policy on one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The authorities that signed, at least as many as the threshold; or the nearest miss.
    pub outcome: Result<Vec<String>, Refusal>,
    /// Each candidate.
    pub trials: Vec<Trial>,
}

impl Candidate {
    /// Among which signatures it was found.
    pub fn format(&self) -> Format {
        match self {
            Self::Bundle { .. } => Format::Bundle,
            Self::Legacy { .. } => Format::Legacy,
            Self::Unusable { format, .. } => *format,
        }
    }

    fn try_by(
        &self,
        image: &Digest,
        policy: &Policy,
        now: Timestamp,
    ) -> (&str, Vec<&'static str>, Result<BTreeSet<usize>, Refusal>) {
        let mut steps = Vec::new();
        let (origin, found) = match self {
            Self::Bundle { origin, bytes } => {
                (origin, bundle::examine(bytes, image, policy, now, &mut steps))
            }
            Self::Legacy { origin, payload, signature, has_certificate } => {
                let found = legacy::examine(
                    payload,
                    signature,
                    *has_certificate,
                    image,
                    policy,
                    now,
                    &mut steps,
                );
                (origin, found)
            }
            Self::Unusable { origin, refusal, .. } => (origin, Err(refusal.clone())),
        };
        (origin.as_str(), steps, found)
    }
}

/// Judges by one policy, at one time, what was found beside the image with this digest. Candidates of formats that the
/// policy does not name count for nothing.
pub fn judge(
    policy: &Policy,
    image: &Digest,
    candidates: &[Candidate],
    now: Timestamp,
) -> Judgement {
    let names: Vec<&str> = policy.authorities().collect();
    let named = |all: &BTreeSet<usize>| -> Vec<String> {
        all.iter().filter_map(|nth| names.get(*nth)).map(|name| (*name).to_owned()).collect()
    };
    let (mut signed, mut trials) = (BTreeSet::new(), Vec::new());
    for candidate in candidates {
        if !policy.formats().contains(&candidate.format()) {
            continue;
        }
        let (origin, steps, found) = candidate.try_by(image, policy, now);
        let outcome = found.map(|found| {
            signed.extend(&found);
            named(&found)
        });
        trials.push(Trial { origin: origin.to_owned(), steps, outcome });
    }
    let outcome = if signed.len() >= policy.threshold() && !signed.is_empty() {
        Ok(named(&signed))
    } else if signed.is_empty() {
        Err(nearest(&trials))
    } else {
        let what = format!(
            "signed by {} of {} authorities ({})",
            signed.len(),
            policy.threshold(),
            named(&signed).join(", ")
        );
        Err(Refusal::new(Reason::ThresholdNotMet, what))
    };
    Judgement { outcome, trials }
}

/// The refusal that came nearest, with the number of others.
fn nearest(trials: &[Trial]) -> Refusal {
    let refusals = || trials.iter().filter_map(|trial| trial.outcome.as_ref().err());
    let Some(nearest) = refusals().min_by_key(|refusal| refusal.reason) else {
        return Refusal::new(Reason::Unsigned, "it has no signature");
    };
    let mut nearest = nearest.clone();
    let others = trials.len().saturating_sub(1);
    if others > 0 {
        nearest.detail = format!("{} (and {others} more that do not hold)", nearest.detail);
    }
    nearest
}
