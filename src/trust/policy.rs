//! A TrustPolicy, compiled.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    Key, Reason, Refusal,
    file::{self, TrustPolicy},
    reason::quoted,
};
use crate::{
    policy::image::{canonical_prefix, within},
    registry::{Digest, Repository},
};

/// Bytes of a file of policies.
const FILE: usize = 1 << 20;
const PREFIXES: usize = 64;
const PREFIX: usize = 255;
const AUTHORITIES: usize = 16;
const ANNOTATIONS: usize = 16;
/// Bytes of the key or the value of an annotation.
const ANNOTATION: usize = 1024;

/// Where signatures are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// Bundles that name the image as their subject, as cosign 3 writes them.
    Bundle,
    /// Simple signing under the tag `sha256-HEX.sig`, as cosign 1 and 2 write it.
    Legacy,
}

/// A policy that can be applied. There is always at least one authority, and a threshold of at least one.
#[derive(Clone, Debug)]
pub struct Policy {
    name: String,
    include: Vec<String>,
    exclude: Vec<String>,
    threshold: usize,
    formats: Vec<Format>,
    annotations: BTreeMap<String, String>,
    authorities: Vec<Authority>,
}

#[derive(Clone, Debug)]
pub(super) struct Authority {
    pub(super) name: String,
    keys: Vec<Key>,
    not_before: Option<Timestamp>,
    not_after: Option<Timestamp>,
}

/// Why a policy cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{policy}: {field}: {reason}: {what}")]
pub struct PolicyError {
    /// The policy by its name, or that it has none.
    pub policy: String,
    /// Path of the field.
    pub field: String,
    /// The reason in one word: `KeyInvalid`, `KeyMissing`, `DuplicateAuthority` or `UnknownValue`.
    pub reason: &'static str,
    /// What is wrong and what to do.
    pub what: String,
}

type Fault = (String, &'static str, String);

fn fault(field: impl Into<String>, reason: &'static str, what: impl Into<String>) -> Fault {
    (field.into(), reason, what.into())
}

fn unknown(field: impl Into<String>, what: impl Into<String>) -> Fault {
    fault(field, "UnknownValue", what)
}

impl Policy {
    /// Reads a file with one or more policies in YAML.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong. A field that this release does not act on is refused, never passed over.
    pub fn read_all(text: &str) -> Result<Vec<Self>, PolicyError> {
        let unread = |what: String| PolicyError {
            policy: "the file".to_owned(),
            field: "(all)".to_owned(),
            reason: "UnknownValue",
            what,
        };
        if text.len() > FILE {
            return Err(unread(format!("it is larger than {} MiB", FILE >> 20)));
        }
        let written: Vec<TrustPolicy> = serde_saphyr::from_multiple(text)
            .map_err(|error| unread(format!("it is no TrustPolicy: {error}")))?;
        if written.is_empty() {
            return Err(unread("it holds no TrustPolicy".to_owned()));
        }
        written.into_iter().map(Self::named).collect()
    }

    fn named(written: TrustPolicy) -> Result<Self, PolicyError> {
        let policy = format!("TrustPolicy {}", quoted(&written.metadata.name));
        compile(written).map_err(|(field, reason, what)| PolicyError {
            policy,
            field,
            reason,
            what,
        })
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it speaks about images of a repository.
    pub fn covers(&self, repository: &Repository) -> bool {
        let name = repository.to_string();
        let any = |all: &[String]| all.iter().any(|prefix| within(&name, prefix));
        any(&self.include) && !any(&self.exclude)
    }

    /// Where to look for signatures.
    pub fn formats(&self) -> &[Format] {
        &self.formats
    }

    /// How many different authorities must have signed.
    pub fn threshold(&self) -> usize {
        self.threshold
    }

    /// The names of the authorities, in the order of the policy.
    pub fn authorities(&self) -> impl Iterator<Item = &str> {
        self.authorities.iter().map(|authority| authority.name.as_str())
    }

    /// Their keys: name of the authority, and key.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &Key)> {
        self.authorities
            .iter()
            .flat_map(|authority| authority.keys.iter().map(|key| (authority.name.as_str(), key)))
    }

    /// The authorities whose signature of `message` this is, by their place in the policy. `hint` is what the signature
    /// says of its key: it decides which refusal is told and nothing else.
    pub(super) fn signers(
        &self,
        message: &[u8],
        signature: &[u8],
        hint: Option<&str>,
        now: Timestamp,
    ) -> Result<BTreeSet<usize>, Refusal> {
        let (mut signers, mut late) = (BTreeSet::new(), None);
        for (nth, authority) in self.authorities.iter().enumerate() {
            if authority.keys.iter().any(|key| key.signed(message, signature)) {
                if authority.is_valid(now) {
                    signers.insert(nth);
                } else {
                    late = Some(authority);
                }
            }
        }
        if !signers.is_empty() {
            return Ok(signers);
        }
        if let Some(authority) = late {
            let what = format!(
                "signed by authority {}, whose key is not valid at {now}",
                quoted(&authority.name)
            );
            return Err(Refusal::new(Reason::KeyOutOfValidity, what));
        }
        let named = hint.and_then(|hint| self.keys().find(|(_, key)| key.hint() == hint));
        Err(match named {
            Some((name, _)) => Refusal::new(
                Reason::BadSignature,
                format!(
                    "the bundle names the key of authority {}, and the signature is not of that key",
                    quoted(name)
                ),
            ),
            None => Refusal::new(Reason::WrongKey, "signed by a key that the policy does not name"),
        })
    }

    /// Whether what was signed has every annotation of the policy.
    pub(super) fn annotated<'a>(
        &self,
        found: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<(), Refusal> {
        for (key, want) in &self.annotations {
            let what = match found(key) {
                Some(value) if value == want => continue,
                Some(value) => {
                    format!("its signed annotation {} is {}", quoted(key), quoted(value))
                }
                None => format!("it has no signed annotation {}", quoted(key)),
            };
            return Err(Refusal::new(Reason::AnnotationMismatch, what));
        }
        Ok(())
    }
}

impl Authority {
    fn is_valid(&self, now: Timestamp) -> bool {
        self.not_before.is_none_or(|from| from <= now)
            && self.not_after.is_none_or(|until| now <= until)
    }
}

fn compile(written: TrustPolicy) -> Result<Policy, Fault> {
    if written.api_version != "gabion.dev/v1alpha1" || written.kind != "TrustPolicy" {
        return Err(unknown("kind", "only gabion.dev/v1alpha1 TrustPolicy can be read here"));
    }
    let name = written.metadata.name;
    let is_name = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'.');
    if name.is_empty() || name.len() > 253 || !name.bytes().all(is_name) {
        return Err(unknown("metadata.name", "it is no name of an object"));
    }
    let spec = written.spec;
    not_yet(&spec)?;
    if spec.mode.as_deref().is_some_and(|mode| !["Follow", "Warn", "Audit"].contains(&mode)) {
        return Err(unknown("spec.mode", "use Follow, Warn or Audit"));
    }
    let annotations_fit = spec.annotations.len() <= ANNOTATIONS
        && spec
            .annotations
            .iter()
            .all(|(key, value)| !key.is_empty() && key.len().max(value.len()) <= ANNOTATION);
    if !annotations_fit {
        return Err(unknown(
            "spec.annotations",
            format!("at most {ANNOTATIONS}, each key and value of at most {ANNOTATION} bytes"),
        ));
    }
    let include = prefixes("spec.images.include", &spec.images.include)?;
    if include.is_empty() {
        return Err(unknown("spec.images.include", "name at least one registry or repository"));
    }
    let exclude = prefixes("spec.images.exclude", &spec.images.exclude)?;
    let authorities = authorities(spec.authorities)?;
    let threshold = spec.threshold.unwrap_or(1);
    let threshold = usize::try_from(threshold).ok().filter(|n| (1..=authorities.len()).contains(n));
    let threshold = threshold.ok_or_else(|| {
        let most = authorities.len();
        unknown("spec.threshold", format!("from 1 to the number of authorities, which is {most}"))
    })?;
    if threshold > 1 {
        distinct(&authorities)?;
    }
    let formats = formats(spec.formats)?;
    let annotations = spec.annotations;
    Ok(Policy { name, include, exclude, threshold, formats, annotations, authorities })
}

/// What this release does not act on.
fn not_yet(spec: &file::Spec) -> Result<(), Fault> {
    let fields = [
        (spec.attestations.is_some(), "spec.attestations", "attestations are not verified yet"),
        (
            spec.trust_root.is_some(),
            "spec.trustRoot",
            "signatures without keys are not verified yet",
        ),
        (spec.registries.is_some(), "spec.registries", "no registry is read yet, layouts only"),
        (spec.source.is_some(), "spec.source", "no registry is read yet, layouts only"),
        (
            spec.platforms.is_some(),
            "spec.platforms",
            "the digest that is named must be signed itself",
        ),
    ];
    match fields.into_iter().find(|(set, ..)| *set) {
        Some((_, field, why)) => Err(unknown(field, format!("{why}: remove the field"))),
        None => Ok(()),
    }
}

fn prefixes(field: &str, written: &[String]) -> Result<Vec<String>, Fault> {
    if written.len() > PREFIXES {
        return Err(unknown(field, format!("more than {PREFIXES} entries")));
    }
    let read = |(nth, text): (usize, &String)| {
        let canonical = canonical_prefix(text);
        // A repository below it must be one that references can name.
        let below = format!("{canonical}/x/y");
        let names = Repository::parse(&below).is_ok_and(|found| found.to_string() == below);
        if text.is_empty() || text.len() > PREFIX || !names {
            let what = "write HOST[:PORT][/PATH] without a tag, a digest, a scheme or a pattern";
            return Err(unknown(format!("{field}[{nth}]"), what));
        }
        Ok(canonical)
    };
    written.iter().enumerate().map(read).collect()
}

fn formats(written: Option<Vec<String>>) -> Result<Vec<Format>, Fault> {
    let field = "spec.formats";
    let Some(written) = written else { return Ok(vec![Format::Bundle, Format::Legacy]) };
    let mut formats = Vec::new();
    for text in written {
        let format = match text.as_str() {
            "Bundle" => Format::Bundle,
            "Legacy" => Format::Legacy,
            _ => return Err(unknown(field, "use Bundle and Legacy")),
        };
        if formats.contains(&format) {
            return Err(unknown(field, "a format is named twice"));
        }
        formats.push(format);
    }
    if formats.is_empty() {
        Err(unknown(field, "name Bundle, Legacy or both"))
    } else {
        Ok(formats)
    }
}

fn authorities(written: Vec<file::Authority>) -> Result<Vec<Authority>, Fault> {
    if written.is_empty() || written.len() > AUTHORITIES {
        return Err(unknown("spec.authorities", format!("name 1 to {AUTHORITIES} authorities")));
    }
    let mut names = BTreeSet::new();
    let mut all = Vec::new();
    for (nth, authority) in written.into_iter().enumerate() {
        let at = format!("spec.authorities[{nth}]");
        let is_name = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
        let name = &authority.name;
        if name.is_empty() || name.len() > 63 || !name.bytes().all(is_name) {
            return Err(unknown(format!("{at}.name"), "1 to 63 letters, digits, - _ and ."));
        }
        if !names.insert(name.clone()) {
            return Err(fault(at, "DuplicateAuthority", "another authority has this name"));
        }
        all.push(authority_of(&at, authority)?);
    }
    Ok(all)
}

fn authority_of(at: &str, written: file::Authority) -> Result<Authority, Fault> {
    for (set, field) in
        [(written.keyless.is_some(), "keyless"), (written.certificate.is_some(), "certificate")]
    {
        if set {
            let what = "signatures by certificates are not verified yet, so nothing would be accepted: use key";
            return Err(unknown(format!("{at}.{field}"), what));
        }
    }
    let missing = || fault(format!("{at}.key"), "KeyMissing", "an authority needs a key");
    let key = written.key.ok_or_else(missing)?;
    match key.transparency_log.as_deref() {
        Some("NotUsed") => {}
        None | Some("Required") => {
            let what = "entries of a transparency log are not verified yet, so Required (the default) would accept nothing: write NotUsed if signing without a log is what you want";
            return Err(unknown(format!("{at}.key.transparencyLog"), what));
        }
        Some(_) => {
            return Err(unknown(format!("{at}.key.transparencyLog"), "use Required or NotUsed"));
        }
    }
    if key.secret_ref.is_some() || key.config_map_ref.is_some() {
        let what = "a file cannot name objects of a cluster: write the key into pem";
        return Err(fault(format!("{at}.key"), "KeyMissing", what));
    }
    let pem = key
        .pem
        .ok_or_else(|| fault(format!("{at}.key.pem"), "KeyMissing", "write the public key here"))?;
    let keys =
        Key::read_all(&pem).map_err(|what| fault(format!("{at}.key.pem"), "KeyInvalid", what))?;
    let (not_before, not_after) = validity(at, key.validity)?;
    Ok(Authority { name: written.name, keys, not_before, not_after })
}

type Window = (Option<Timestamp>, Option<Timestamp>);

fn validity(at: &str, written: Option<file::Validity>) -> Result<Window, Fault> {
    let Some(written) = written else { return Ok((None, None)) };
    let at = format!("{at}.key.validity");
    let read = |name: &str, text: Option<String>| {
        let date = |text: String| {
            text.parse::<Timestamp>().map_err(|_| {
                unknown(format!("{at}.{name}"), "write a time like 2027-01-01T00:00:00Z")
            })
        };
        text.map(date).transpose()
    };
    let window = (read("notBefore", written.not_before)?, read("notAfter", written.not_after)?);
    if let (Some(from), Some(until)) = window
        && from >= until
    {
        return Err(unknown(at, "notBefore must be before notAfter"));
    }
    Ok(window)
}

/// With a threshold two authorities must not be one.
fn distinct(authorities: &[Authority]) -> Result<(), Fault> {
    let mut owners: BTreeMap<Digest, usize> = BTreeMap::new();
    for (nth, authority) in authorities.iter().enumerate() {
        for key in &authority.keys {
            let owner = *owners.entry(*key.digest()).or_insert(nth);
            if owner != nth {
                let what = format!(
                    "it has a key of spec.authorities[{owner}], and with a threshold both would count"
                );
                return Err(fault(
                    format!("spec.authorities[{nth}].key"),
                    "DuplicateAuthority",
                    what,
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
