//! Simple signing: what cosign 1 and 2 write, after the signature format of containers/image.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Policy, Reason, Refusal, json, reason::quoted};
use crate::registry::Digest;

/// Bytes of a payload.
pub const LARGEST: usize = 64 << 10;
/// Signatures under one tag.
pub const LAYERS: usize = 100;
/// The media type of a layer that is a payload.
pub const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The annotation of such a layer with the signature, in base64.
pub const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// The annotation with a certificate.
pub const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";

const KIND: &str = "cosign container image signature";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    critical: Critical,
    #[serde(default)]
    optional: Option<Map<String, Value>>,
}

/// A field that is not known here must not be passed over: that is what makes it critical.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Critical {
    #[serde(rename = "identity")]
    _identity: Identity,
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

/// Where the image was when it was signed. Not compared: copies in other registries are signed too.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    #[serde(rename = "docker-reference")]
    _reference: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// The authorities of a policy, by their place in it, whose signature of the image with this digest a payload has.
/// `signature` is the annotation beside it. `steps` receives what held.
pub(super) fn examine(
    payload: &[u8],
    signature: &str,
    has_certificate: bool,
    image: &Digest,
    policy: &Policy,
    now: Timestamp,
    steps: &mut Vec<&'static str>,
) -> Result<BTreeSet<usize>, Refusal> {
    if payload.len() > LARGEST {
        let what = format!("its payload is larger than {LARGEST} bytes");
        return Err(Refusal::new(Reason::UnsupportedBundle, what));
    }
    if has_certificate {
        let what = "signed by a certificate, and the policy names keys";
        return Err(Refusal::new(Reason::WrongKey, what));
    }
    let signature = STANDARD
        .decode(signature)
        .ok()
        .filter(|signature| !signature.is_empty())
        .ok_or_else(|| Refusal::new(Reason::BadSignature, "the signature is not base64"))?;
    let signers = policy.signers(payload, &signature, None, now)?;
    steps.push("signature");
    let payload: Payload = json::typed(payload).map_err(|why| {
        Refusal::new(Reason::UnsupportedBundle, format!("its payload cannot be read: {why}"))
    })?;
    if payload.critical.kind != KIND {
        let what = format!("its payload is of type {}", quoted(&payload.critical.kind));
        return Err(Refusal::new(Reason::UnsupportedBundle, what));
    }
    steps.push("payload");
    if payload.critical.image.digest != image.to_string() {
        let what = format!("signed for {}", quoted(&payload.critical.image.digest));
        return Err(Refusal::new(Reason::DigestMismatch, what));
    }
    steps.push("digest");
    policy.annotated(|key| payload.optional.as_ref()?.get(key)?.as_str())?;
    steps.push("annotations");
    Ok(signers)
}
