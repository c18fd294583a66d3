//! What attackers make of genuine signatures: one thing changed at a time, each with the reason that is told.

use hyper::body::Bytes;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::signer::{Signer, payload, policy, statement};
use super::*;
use crate::registry::Digest;

fn image() -> Digest {
    Digest::of(b"image")
}

fn now() -> Timestamp {
    "2026-12-01T00:00:00Z".parse().expect("a time")
}

fn as_bundle(bytes: impl Into<Vec<u8>>) -> Candidate {
    Candidate::Bundle { origin: "b".to_owned(), bytes: Bytes::from(bytes.into()) }
}

fn as_legacy(payload: impl Into<Vec<u8>>, signature: String) -> Candidate {
    let payload = Bytes::from(payload.into());
    Candidate::Legacy { origin: "l".to_owned(), payload, signature, has_certificate: false }
}

fn outcome(policy: &Policy, candidate: Candidate) -> Result<Vec<String>, Reason> {
    judge(policy, &image(), &[candidate], now()).outcome.map_err(|refusal| refusal.reason)
}

fn changed(mut whole: Value, at: &str, value: Option<Value>) -> Value {
    let (parent, key) = at.rsplit_once('/').expect("a path");
    let parent = whole.pointer_mut(parent).expect(at);
    match (parent, value) {
        (Value::Array(items), Some(value)) => {
            items[key.parse::<usize>().expect("a number")] = value;
        }
        (Value::Object(entries), Some(value)) => drop(entries.insert(key.to_owned(), value)),
        (Value::Object(entries), None) => drop(entries.remove(key).expect(at)),
        _ => unreachable!("{at}"),
    }
    whole
}

#[test]
fn genuine_signatures_hold() {
    let signer = Signer::new();
    let policy = policy(&[&signer], &json!({"annotations": {"env": "prod"}}));
    let bundle = signer.bundle(statement(&image()).to_string().as_bytes());
    let simple = payload(&image()).to_string();
    let signature = signer.sign(simple.as_bytes());
    for candidate in [as_bundle(bundle.to_string()), as_legacy(simple, signature)] {
        assert_eq!(outcome(&policy, candidate), Ok(vec!["a0".to_owned()]));
    }
    let older = "application/vnd.dev.sigstore.bundle+json;version=0.2";
    let older = changed(bundle.clone(), "/mediaType", Some(json!(older)));
    assert!(outcome(&policy, as_bundle(older.to_string())).is_ok());
    let v01 =
        changed(statement(&image()), "/_type", Some(json!("https://in-toto.io/Statement/v0.1")));
    let v01 = signer.bundle(v01.to_string().as_bytes());
    assert!(outcome(&policy, as_bundle(v01.to_string())).is_ok());
}

#[test]
fn a_bundle_with_anything_changed_is_refused() {
    use Reason::{BadSignature, UnsupportedBundle, WrongKey};
    let (signer, other) = (Signer::new(), Signer::new());
    let policy = policy(&[&signer], &json!({}));
    let genuine = signer.bundle(statement(&image()).to_string().as_bytes());
    let foreign = other.bundle(statement(&image()).to_string().as_bytes());
    let take = |at: &str| foreign.pointer(at).cloned();
    let signature = "/dsseEnvelope/signatures/0/sig";
    let one = genuine.pointer("/dsseEnvelope/signatures/0").expect("one").clone();
    let text = |text: &str| Some(json!(text));
    let cases: Vec<(&str, Option<Value>, Reason)> = vec![
        ("/mediaType", None, UnsupportedBundle),
        ("/mediaType", text(""), UnsupportedBundle),
        (
            "/mediaType",
            text("application/vnd.dev.sigstore.bundle+json;version=0.1"),
            UnsupportedBundle,
        ),
        ("/mediaType", text("application/vnd.dev.sigstore.bundle.v0.4+json"), UnsupportedBundle),
        ("/mediaType", Some(json!(3)), UnsupportedBundle),
        ("/verificationMaterial", None, UnsupportedBundle),
        ("/verificationMaterial", Some(json!({})), UnsupportedBundle),
        ("/verificationMaterial/publicKey", None, UnsupportedBundle),
        ("/verificationMaterial/publicKey", Some(json!({"rawBytes": "AA=="})), UnsupportedBundle),
        ("/verificationMaterial/certificate", Some(json!({"rawBytes": "AA=="})), WrongKey),
        ("/verificationMaterial/x509CertificateChain", Some(json!({})), WrongKey),
        ("/verificationMaterial/unknown", Some(json!(1)), UnsupportedBundle),
        ("/verificationMaterial/tlogEntries", Some(json!({})), UnsupportedBundle),
        ("/unknown", Some(json!(1)), UnsupportedBundle),
        ("/messageSignature", Some(json!({})), UnsupportedBundle),
        ("/dsseEnvelope", None, UnsupportedBundle),
        ("/dsseEnvelope", Some(json!([])), UnsupportedBundle),
        ("/dsseEnvelope/unknown", Some(json!(1)), UnsupportedBundle),
        ("/dsseEnvelope/payload", None, UnsupportedBundle),
        ("/dsseEnvelope/payload", text("?"), UnsupportedBundle),
        ("/dsseEnvelope/payload", text(""), BadSignature),
        ("/dsseEnvelope/payload", text("e30="), BadSignature),
        ("/dsseEnvelope/payloadType", None, UnsupportedBundle),
        ("/dsseEnvelope/payloadType", text(""), UnsupportedBundle),
        ("/dsseEnvelope/payloadType", text("application/vnd.in-toto+JSON"), UnsupportedBundle),
        ("/dsseEnvelope/signatures", Some(json!([])), UnsupportedBundle),
        ("/dsseEnvelope/signatures", Some(json!([one, one])), UnsupportedBundle),
        ("/dsseEnvelope/signatures/0/unknown", Some(json!(1)), UnsupportedBundle),
        (signature, text(""), BadSignature),
        (signature, text("?"), BadSignature),
        (signature, text("AAAA"), BadSignature),
        (signature, take(signature), BadSignature),
        (signature, Some(Value::Null), UnsupportedBundle),
    ];
    for (at, value, want) in cases {
        let shown = format!("{at} {value:?}");
        let bundle = changed(genuine.clone(), at, value);
        assert_eq!(outcome(&policy, as_bundle(bundle.to_string())), Err(want), "{shown}");
    }
    assert_eq!(outcome(&policy, as_bundle(foreign.to_string())), Err(WrongKey));
    let hidden = changed(foreign, "/verificationMaterial/publicKey/hint", text(&signer.hint()));
    assert_eq!(outcome(&policy, as_bundle(hidden.to_string())), Err(BadSignature));
    let twice = genuine.to_string().replacen('{', "{\"mediaType\":\"x\",", 1);
    assert_eq!(outcome(&policy, as_bundle(twice)), Err(UnsupportedBundle));
    assert_eq!(outcome(&policy, as_bundle(format!("{genuine} "))), Ok(vec!["a0".to_owned()]));
    for bytes in
        [format!("{genuine}{genuine}"), format!("[{genuine}]"), " ".repeat(bundle::LARGEST + 1)]
    {
        assert_eq!(outcome(&policy, as_bundle(bytes)), Err(UnsupportedBundle));
    }
}

#[test]
fn a_statement_that_the_right_key_signed_must_still_be_one_about_the_image() {
    use Reason::{AnnotationMismatch, DigestMismatch, Unsigned, UnsupportedBundle};
    let signer = Signer::new();
    let policy = policy(&[&signer], &json!({"annotations": {"env": "prod"}}));
    let genuine = statement(&image());
    let other = Digest::of(b"other");
    let subject = json!({"digest": {"sha256": other.hex()}});
    let text = |text: &str| Some(json!(text));
    let cases: Vec<(&str, Option<Value>, Reason)> = vec![
        ("/_type", None, UnsupportedBundle),
        ("/_type", text("https://in-toto.io/Statement/v2"), UnsupportedBundle),
        ("/_type", text(""), UnsupportedBundle),
        ("/subject", None, UnsupportedBundle),
        ("/subject", Some(json!([])), DigestMismatch),
        ("/subject", Some(json!(vec![&subject; 2000])), UnsupportedBundle),
        ("/subject", Some(json!([subject])), DigestMismatch),
        ("/subject", Some(json!({"digest": {"sha256": image().hex()}})), UnsupportedBundle),
        ("/subject/0/digest", None, UnsupportedBundle),
        ("/subject/0/digest", Some(json!({})), DigestMismatch),
        ("/subject/0/digest", Some(json!({"sha512": image().hex()})), DigestMismatch),
        ("/subject/0/digest/sha256", text(""), DigestMismatch),
        ("/subject/0/digest/sha256", text(&image().to_string()), DigestMismatch),
        ("/subject/0/digest/sha256", text(&image().hex().to_uppercase()), DigestMismatch),
        ("/subject/0/digest/sha256", text(&image().hex()[..63]), DigestMismatch),
        ("/subject/0/digest/sha256", text(&format!("{} ", image().hex())), DigestMismatch),
        ("/predicateType", None, UnsupportedBundle),
        ("/predicateType", text(""), Unsigned),
        ("/predicateType", text("https://sigstore.dev/cosign/sign/v1/"), Unsigned),
        ("/predicateType", text("https://slsa.dev/provenance/v1"), Unsigned),
        ("/subject/0/annotations", None, AnnotationMismatch),
        ("/subject/0/annotations", Some(Value::Null), AnnotationMismatch),
        ("/subject/0/annotations/env", text("dev"), AnnotationMismatch),
        ("/subject/0/annotations/env", text("prod "), AnnotationMismatch),
        ("/subject/0/annotations/env", Some(json!(["prod"])), AnnotationMismatch),
    ];
    for (at, value, want) in cases {
        let shown = format!("{at} {value:?}");
        let payload = changed(genuine.clone(), at, value).to_string();
        let bundle = signer.bundle(payload.as_bytes());
        assert_eq!(outcome(&policy, as_bundle(bundle.to_string())), Err(want), "{shown}");
    }
    // The annotation must be of the subject that is the image.
    let mut two = genuine.clone();
    two["subject"] = json!([
        {"digest": {"sha256": other.hex()}, "annotations": {"env": "prod"}},
        {"digest": {"sha256": image().hex()}, "annotations": {"env": "dev"}},
    ]);
    let bundle = signer.bundle(two.to_string().as_bytes());
    assert_eq!(outcome(&policy, as_bundle(bundle.to_string())), Err(AnnotationMismatch));
    let twice = genuine.to_string().replacen('{', "{\"_type\":\"x\",", 1);
    for bytes in [twice, format!("{genuine}x"), "[]".to_owned(), "[".repeat(100_000)] {
        let bundle = signer.bundle(bytes.as_bytes());
        assert_eq!(outcome(&policy, as_bundle(bundle.to_string())), Err(UnsupportedBundle));
    }
}

#[test]
fn a_simple_signature_with_anything_changed_is_refused() {
    use Reason::{AnnotationMismatch, BadSignature, DigestMismatch, UnsupportedBundle, WrongKey};
    let (signer, other) = (Signer::new(), Signer::new());
    let policy = policy(&[&signer], &json!({"annotations": {"env": "prod"}}));
    let genuine = payload(&image());
    let digest = "/critical/image/docker-manifest-digest";
    let text = |text: &str| Some(json!(text));
    let cases: Vec<(&str, Option<Value>, Reason)> = vec![
        ("/critical", None, UnsupportedBundle),
        ("/critical/type", None, UnsupportedBundle),
        ("/critical/type", text(""), UnsupportedBundle),
        ("/critical/type", text("atomic container signature"), UnsupportedBundle),
        ("/critical/unknown", Some(json!(1)), UnsupportedBundle),
        ("/critical/identity", None, UnsupportedBundle),
        ("/critical/image", None, UnsupportedBundle),
        ("/critical/image/unknown", Some(json!(1)), UnsupportedBundle),
        (digest, None, UnsupportedBundle),
        (digest, Some(json!([image().to_string()])), UnsupportedBundle),
        (digest, text(""), DigestMismatch),
        (digest, text(&image().hex()), DigestMismatch),
        (digest, text(&image().to_string().to_uppercase()), DigestMismatch),
        (digest, text(&Digest::of(b"other").to_string()), DigestMismatch),
        ("/optional", None, AnnotationMismatch),
        ("/optional", Some(Value::Null), AnnotationMismatch),
        ("/optional/env", text("dev"), AnnotationMismatch),
        ("/unknown", Some(json!(1)), UnsupportedBundle),
    ];
    for (at, value, want) in cases {
        let shown = format!("{at} {value:?}");
        let payload = changed(genuine.clone(), at, value).to_string();
        let signed = as_legacy(payload.clone(), signer.sign(payload.as_bytes()));
        assert_eq!(outcome(&policy, signed), Err(want), "{shown}");
        let original = signer.sign(genuine.to_string().as_bytes());
        assert_eq!(outcome(&policy, as_legacy(payload, original)), Err(WrongKey), "{shown}");
    }
    let genuine = genuine.to_string();
    let by = |signer: &Signer| signer.sign(genuine.as_bytes());
    for (signature, want) in [
        (String::new(), BadSignature),
        ("?".to_owned(), BadSignature),
        (format!("{}\n", by(&signer)), BadSignature),
        ("AAAA".to_owned(), WrongKey),
        (by(&other), WrongKey),
    ] {
        assert_eq!(outcome(&policy, as_legacy(genuine.clone(), signature)), Err(want));
    }
    let payload = Bytes::from(genuine.clone());
    let (origin, signature) = ("l".to_owned(), by(&signer));
    let certified = Candidate::Legacy { origin, payload, signature, has_certificate: true };
    assert_eq!(outcome(&policy, certified), Err(WrongKey));
    let large = " ".repeat(legacy::LARGEST) + &genuine;
    let large = as_legacy(large.clone(), signer.sign(large.as_bytes()));
    assert_eq!(outcome(&policy, large), Err(UnsupportedBundle));
}

#[test]
fn a_threshold_counts_different_authorities() {
    let (one, two, stranger) = (Signer::new(), Signer::new(), Signer::new());
    let policy = policy(&[&one, &two], &json!({"threshold": 2, "formats": ["Bundle"]}));
    let by = |signer: &Signer| {
        as_bundle(signer.bundle(statement(&image()).to_string().as_bytes()).to_string())
    };
    let simple = payload(&image()).to_string();
    let simple = || as_legacy(simple.clone(), two.sign(simple.as_bytes()));
    let judged = |candidates: &[Candidate]| {
        judge(&policy, &image(), candidates, now()).outcome.map_err(|refusal| refusal.reason)
    };
    assert_eq!(judged(&[by(&one), by(&two)]), Ok(vec!["a0".to_owned(), "a1".to_owned()]));
    assert_eq!(judged(&[by(&stranger), by(&two), by(&one)]).map(|all| all.len()), Ok(2));
    for few in [vec![by(&one)], vec![by(&one), by(&one)], vec![by(&one), by(&stranger), simple()]] {
        assert_eq!(judged(&few), Err(Reason::ThresholdNotMet));
    }
    assert_eq!(judged(&[by(&stranger)]), Err(Reason::WrongKey));
    assert_eq!(judged(&[simple()]), Err(Reason::Unsigned), "a format that the policy leaves out");
    assert_eq!(judged(&[]), Err(Reason::Unsigned));
}

#[test]
fn a_key_counts_within_its_validity_only() {
    let signer = Signer::new();
    let bundle = signer.bundle(statement(&image()).to_string().as_bytes()).to_string();
    for (from, until, holds) in [
        ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", true),
        ("2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z", true),
        ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z", true),
        ("2026-12-01T00:00:01Z", "2027-01-01T00:00:00Z", false),
        ("2025-01-01T00:00:00Z", "2026-11-30T23:59:59Z", false),
    ] {
        let spec = json!({"authorities": [{"name": "a", "key": {
            "pem": signer.pem(), "transparencyLog": "NotUsed",
            "validity": {"notBefore": from, "notAfter": until},
        }}]});
        let policy = policy(&[], &spec);
        let want = if holds { Ok(vec!["a".to_owned()]) } else { Err(Reason::KeyOutOfValidity) };
        assert_eq!(outcome(&policy, as_bundle(bundle.clone())), want, "{from} {until}");
    }
}

#[test]
fn the_nearest_miss_is_told_with_the_number_of_others() {
    let (signer, other) = (Signer::new(), Signer::new());
    let policy = policy(&[&signer], &json!({}));
    let by = |signer: &Signer, about: &[u8]| {
        let statement = statement(&Digest::of(about)).to_string();
        as_bundle(signer.bundle(statement.as_bytes()).to_string())
    };
    let all = [as_bundle("x"), by(&other, b"image"), by(&signer, b"\x1b[31m")];
    let judged = judge(&policy, &image(), &all, now());
    let refusal = judged.outcome.expect_err("refused").to_string();
    assert!(refusal.starts_with("DigestMismatch: signed for sha256:"), "{refusal}");
    assert!(refusal.ends_with("(and 2 more that do not hold)"), "{refusal}");
    assert_eq!(judged.trials.len(), 3);
    assert_eq!(judged.trials[2].steps, ["bundle", "envelope", "signature", "statement"]);
}

proptest! {
    #[test]
    fn no_bytes_are_accepted_and_none_crash(bytes: Vec<u8>, text in "[\\[\\]{}:,\"a-zA-Z0-9=+/. ]{0,200}") {
        let signer = Signer::new();
        let policy = policy(&[&signer], &json!({}));
        for bytes in [bytes, text.clone().into_bytes()] {
            prop_assert!(outcome(&policy, as_bundle(bytes.clone())).is_err());
            prop_assert!(outcome(&policy, as_legacy(bytes, text.clone())).is_err());
        }
    }

    #[test]
    fn a_bundle_with_one_byte_changed_is_the_same_or_refused(at: prop::sample::Index, byte: u8) {
        let signer = Signer::new();
        let policy = policy(&[&signer], &json!({}));
        let genuine = signer.bundle(statement(&image()).to_string().as_bytes());
        let mut bytes = genuine.to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        // Of the hint nothing depends; everything else is signed, or a constant.
        let same = serde_json::from_slice::<Value>(&bytes).is_ok_and(|mut read| {
            read["verificationMaterial"]["publicKey"]["hint"] = json!(signer.hint());
            read == genuine
        });
        prop_assert_eq!(outcome(&policy, as_bundle(bytes)).is_ok(), same);
    }

    #[test]
    fn a_payload_with_one_byte_changed_is_refused(at: prop::sample::Index, byte: u8) {
        let signer = Signer::new();
        let policy = policy(&[&signer], &json!({}));
        let genuine = payload(&image()).to_string();
        let signature = signer.sign(genuine.as_bytes());
        let mut bytes = genuine.clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let same = bytes == genuine.as_bytes();
        prop_assert_eq!(outcome(&policy, as_legacy(bytes, signature)).is_ok(), same);
    }
}
