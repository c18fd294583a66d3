//! Bundles: what cosign 3 writes, after the bundle format of Sigstore (versions 0.2 and 0.3) around an envelope of DSSE
//! around a statement of in-toto.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Policy, Reason, Refusal, json, reason::quoted};
use crate::registry::Digest;

/// Bytes of a bundle.
pub const LARGEST: usize = 1 << 20;
/// Subjects of a statement.
const SUBJECTS: usize = 1024;
const PAYLOAD: &str = "application/vnd.in-toto+json";
const STATEMENTS: [&str; 2] =
    ["https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1"];
/// What a signature of an image says, as against an attestation about it.
pub const SIGNATURE: &str = "https://sigstore.dev/cosign/sign/v1";

/// Whether a media type is that of a bundle, of whatever version.
pub fn is_bundle(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.dev.sigstore.bundle")
}

/// Whether it is one of a version that is verified. Version 0.1 holds promises of a log only.
pub fn is_known(media_type: &str) -> bool {
    matches!(
        media_type,
        "application/vnd.dev.sigstore.bundle.v0.3+json"
            | "application/vnd.dev.sigstore.bundle+json;version=0.3"
            | "application/vnd.dev.sigstore.bundle+json;version=0.2"
    )
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Bundle {
    media_type: String,
    verification_material: Material,
    dsse_envelope: Option<Envelope>,
    message_signature: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Material {
    public_key: Option<PublicKey>,
    certificate: Option<Value>,
    x509_certificate_chain: Option<Value>,
    /// Entries of logs and timestamps are not evidence for a key without a log: nothing is read from them.
    #[serde(rename = "tlogEntries")]
    _log_entries: Option<Vec<Value>>,
    #[serde(rename = "timestampVerificationData")]
    _timestamps: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PublicKey {
    hint: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    sig: String,
    #[serde(rename = "keyid")]
    _key_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    predicate_type: String,
}

#[derive(Deserialize)]
struct Subject {
    digest: BTreeMap<String, String>,
    #[serde(default)]
    annotations: Option<Map<String, Value>>,
}

fn unsupported(what: impl Into<String>) -> Refusal {
    Refusal::new(Reason::UnsupportedBundle, what)
}

/// The authorities of a policy, by their place in it, whose signature of the image with this digest a bundle is.
/// `steps` receives what held.
pub(super) fn examine(
    bytes: &[u8],
    image: &Digest,
    policy: &Policy,
    now: Timestamp,
    steps: &mut Vec<&'static str>,
) -> Result<BTreeSet<usize>, Refusal> {
    let (envelope, hint) = open(bytes)?;
    steps.push("bundle");
    let [signature] = envelope.signatures.as_slice() else {
        let what = format!("its envelope has {} signatures, not one", envelope.signatures.len());
        return Err(unsupported(what));
    };
    if envelope.payload_type != PAYLOAD {
        let what = format!("its payload is {}", quoted(&envelope.payload_type));
        return Err(unsupported(what));
    }
    let payload =
        STANDARD.decode(&envelope.payload).map_err(|_| unsupported("its payload is not base64"))?;
    let signature = STANDARD
        .decode(&signature.sig)
        .map_err(|_| Refusal::new(Reason::BadSignature, "the signature is not base64"))?;
    if signature.is_empty() {
        return Err(Refusal::new(Reason::BadSignature, "the signature is empty"));
    }
    steps.push("envelope");
    let message = authenticated(PAYLOAD, &payload);
    let signers = policy.signers(&message, &signature, hint.as_deref(), now)?;
    steps.push("signature");
    let statement = statement(&payload)?;
    steps.push("statement");
    let subject = subject(&statement, image)?;
    steps.push("subject");
    if statement.predicate_type != SIGNATURE {
        let what = format!("an attestation of {}, no signature", quoted(&statement.predicate_type));
        return Err(Refusal::new(Reason::Unsigned, what));
    }
    steps.push("predicate type");
    policy.annotated(|key| subject.annotations.as_ref()?.get(key)?.as_str())?;
    steps.push("annotations");
    Ok(signers)
}

/// The envelope, and what the bundle says of its key.
fn open(bytes: &[u8]) -> Result<(Envelope, Option<String>), Refusal> {
    if bytes.len() > LARGEST {
        return Err(unsupported(format!("it is larger than {LARGEST} bytes")));
    }
    let bundle: Bundle = json::typed(bytes).map_err(unsupported)?;
    if !is_known(&bundle.media_type) {
        let what =
            format!("its media type is {}; 0.2 and 0.3 are known", quoted(&bundle.media_type));
        return Err(unsupported(what));
    }
    let material = bundle.verification_material;
    if material.certificate.is_some() || material.x509_certificate_chain.is_some() {
        // A key never speaks for a bundle of a certificate, even where both would fit.
        let what = "signed by a certificate, and the policy names keys";
        return Err(Refusal::new(Reason::WrongKey, what));
    }
    let Some(key) = material.public_key else {
        return Err(unsupported("it says neither that a key signed it nor that a certificate did"));
    };
    if bundle.message_signature.is_some() {
        return Err(unsupported("it signs a message, not a statement about an image"));
    }
    let envelope = bundle.dsse_envelope.ok_or_else(|| unsupported("it has no envelope"))?;
    Ok((envelope, key.hint))
}

/// What DSSE signs: the type and the payload, so that neither can be taken for the other.
pub(super) fn authenticated(kind: &str, payload: &[u8]) -> Vec<u8> {
    let mut message = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    message.extend_from_slice(payload);
    message
}

fn statement(payload: &[u8]) -> Result<Statement, Refusal> {
    let statement: Statement = json::typed(payload)
        .map_err(|why| unsupported(format!("its statement cannot be read: {why}")))?;
    if !STATEMENTS.contains(&statement.kind.as_str()) {
        return Err(unsupported(format!("its statement is {}", quoted(&statement.kind))));
    }
    Ok(statement)
}

fn subject<'a>(statement: &'a Statement, image: &Digest) -> Result<&'a Subject, Refusal> {
    if statement.subject.len() > SUBJECTS {
        return Err(unsupported(format!("its statement has more than {SUBJECTS} subjects")));
    }
    let hex = image.hex();
    let is_image = |subject: &&Subject| subject.digest.get("sha256") == Some(&hex);
    statement.subject.iter().find(is_image).ok_or_else(|| {
        let what = match statement.subject.first().and_then(|first| first.digest.get("sha256")) {
            Some(other) => format!("signed for sha256:{}", quoted(other).trim_matches('"')),
            None => "signed for nothing that has a sha256 digest".to_owned(),
        };
        Refusal::new(Reason::DigestMismatch, what)
    })
}
