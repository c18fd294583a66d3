//! Signs as cosign does, for tests.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{Policy, bundle};
use crate::registry::Digest;

pub(super) struct Signer(EcdsaKeyPair);

/// The start of the `SubjectPublicKeyInfo` of a key on P-256, before the point.
const P256: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE";

impl Signer {
    pub(super) fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key"))
    }

    pub(super) fn der(&self) -> Vec<u8> {
        let mut der = STANDARD.decode(P256).expect("base64");
        der.extend(&self.0.public_key().as_ref()[1..]);
        der
    }

    pub(super) fn pem(&self) -> String {
        pem(&self.der())
    }

    pub(super) fn hint(&self) -> String {
        STANDARD.encode(Digest::of(&self.der()).bytes())
    }

    pub(super) fn sign(&self, message: &[u8]) -> String {
        let signature = self.0.sign(&SystemRandom::new(), message).expect("a signature");
        STANDARD.encode(signature.as_ref())
    }

    pub(super) fn bundle(&self, payload: &[u8]) -> Value {
        let kind = "application/vnd.in-toto+json";
        json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"publicKey": {"hint": self.hint()}},
            "dsseEnvelope": {
                "payload": STANDARD.encode(payload),
                "payloadType": kind,
                "signatures": [{"sig": self.sign(&bundle::authenticated(kind, payload))}],
            },
        })
    }
}

pub(super) fn pem(der: &[u8]) -> String {
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
}

pub(super) fn statement(image: &Digest) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": image.hex()}, "annotations": {"env": "prod"}}],
        "predicateType": bundle::SIGNATURE,
        "predicate": {},
    })
}

pub(super) fn payload(image: &Digest) -> Value {
    json!({
        "critical": {
            "identity": {"docker-reference": "reg.test/prod/web"},
            "image": {"docker-manifest-digest": image.to_string()},
            "type": "cosign container image signature",
        },
        "optional": {"env": "prod"},
    })
}

/// A policy for reg.test/prod with one authority for each key, and more lines of its spec.
pub(super) fn policy(signers: &[&Signer], more: &Value) -> Policy {
    let authorities: Vec<_> = signers
        .iter()
        .enumerate()
        .map(|(nth, signer)| {
            json!({
                "name": format!("a{nth}"),
                "key": {"pem": signer.pem(), "transparencyLog": "NotUsed"},
            })
        })
        .collect();
    let mut spec = json!({"images": {"include": ["reg.test/prod"]}, "authorities": authorities});
    for (key, value) in more.as_object().expect("an object") {
        spec[key] = value.clone();
    }
    let mut all = Policy::read_all(&written(&spec)).expect("a policy");
    all.remove(0)
}

pub(super) fn written(spec: &Value) -> String {
    json!({
        "apiVersion": "gabion.dev/v1alpha1", "kind": "TrustPolicy",
        "metadata": {"name": "prod"}, "spec": spec,
    })
    .to_string()
}
