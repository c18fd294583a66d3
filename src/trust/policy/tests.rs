use serde_json::{Value, json};

use super::super::signer::{Signer, policy, written};
use super::*;

fn spec(signer: &Signer) -> Value {
    json!({
        "images": {"include": ["reg.test/prod", "nginx"], "exclude": ["reg.test/prod/sandbox"]},
        "authorities": [{"name": "a", "key": {"pem": signer.pem(), "transparencyLog": "NotUsed"}}],
    })
}

#[test]
fn a_policy_covers_whole_paths_by_their_full_names_and_exclude_wins() {
    let signer = Signer::new();
    let policy = Policy::read_all(&written(&spec(&signer))).expect("a policy").remove(0);
    assert_eq!((policy.name(), policy.threshold()), ("prod", 1));
    for (repository, covered) in [
        ("reg.test/prod", true),
        ("REG.TEST:443/prod/web", true),
        ("reg.test/prod/sandbox/web", false),
        ("reg.test/prod/sandbox", false),
        ("reg.test/production", false),
        ("reg.test.evil.example/prod/web", false),
        ("evil.example/reg.test/prod", false),
        ("reg.test:5000/prod/web", false),
    ] {
        let repository = Repository::parse(repository).expect(repository);
        assert_eq!(policy.covers(&repository), covered, "{repository}");
    }
}

#[test]
fn every_fault_of_a_policy_is_told_with_its_field_and_a_reason() {
    let signer = Signer::new();
    let pem = signer.pem();
    let cases: Vec<(&str, Value, &str, &str)> = vec![
        ("/images/include", json!([]), "UnknownValue", "at least one"),
        ("/images/include/0", json!("https://reg.test"), "UnknownValue", "include[0]"),
        ("/images/include/0", json!("reg.test/*"), "UnknownValue", "include[0]"),
        ("/images/include/0", json!("reg.test/prod:1"), "UnknownValue", "include[0]"),
        ("/images/include/0", json!(""), "UnknownValue", "include[0]"),
        ("/images/exclude/0", json!("a b"), "UnknownValue", "exclude[0]"),
        ("/images/tags", json!(["a"]), "UnknownValue", "tags"),
        ("/images/include", json!(vec!["a.b"; 65]), "UnknownValue", "more than 64"),
        ("/threshold", json!(0), "UnknownValue", "threshold"),
        ("/threshold", json!(2), "UnknownValue", "threshold"),
        ("/threshold", json!(-1), "UnknownValue", "threshold"),
        ("/formats", json!([]), "UnknownValue", "formats"),
        ("/formats", json!(["Notation"]), "UnknownValue", "formats"),
        ("/formats", json!(["Bundle", "Bundle"]), "UnknownValue", "twice"),
        ("/mode", json!("Off"), "UnknownValue", "mode"),
        ("/attestations", json!([]), "UnknownValue", "attestations"),
        ("/trustRoot", json!({}), "UnknownValue", "trustRoot"),
        ("/registries", json!([]), "UnknownValue", "registries"),
        ("/source", json!({}), "UnknownValue", "source"),
        ("/platforms", json!({}), "UnknownValue", "platforms"),
        ("/unknown", json!(1), "UnknownValue", "unknown"),
        ("/authorities", json!([]), "UnknownValue", "authorities"),
        ("/authorities/0/name", json!("a b"), "UnknownValue", "name"),
        ("/authorities/0/keyless", json!({"identities": []}), "UnknownValue", "keyless"),
        ("/authorities/0/certificate", json!({}), "UnknownValue", "certificate"),
        ("/authorities/0/key", Value::Null, "KeyMissing", "needs a key"),
        ("/authorities/0/key/pem", Value::Null, "KeyMissing", "key.pem"),
        ("/authorities/0/key/pem", json!(""), "KeyInvalid", "no PEM block"),
        ("/authorities/0/key/pem", json!("secret"), "KeyInvalid", "no PEM block"),
        (
            "/authorities/0/key/pem",
            json!(pem.replace("PUBLIC", "PRIVATE")),
            "KeyInvalid",
            "private key",
        ),
        ("/authorities/0/key/pem", json!(pem.replace("MFkw", "MFkx")), "KeyInvalid", "no key of"),
        ("/authorities/0/key/pem", json!(pem.repeat(9)), "KeyInvalid", "more than 8"),
        ("/authorities/0/key/pem", json!(format!("{pem}x")), "KeyInvalid", "no PEM block"),
        (
            "/authorities/0/key/pem",
            json!("-----BEGIN CERTIFICATE-----"),
            "KeyInvalid",
            "certificate",
        ),
        ("/authorities/0/key/secretRef", json!({"name": "k"}), "KeyMissing", "pem"),
        ("/authorities/0/key/transparencyLog", Value::Null, "UnknownValue", "transparencyLog"),
        ("/authorities/0/key/transparencyLog", json!("Required"), "UnknownValue", "NotUsed"),
        ("/authorities/0/key/transparencyLog", json!("No"), "UnknownValue", "transparencyLog"),
        ("/authorities/0/key/validity", json!({"notAfter": "soon"}), "UnknownValue", "notAfter"),
        (
            "/authorities/0/key/validity",
            json!({"notBefore": "2027-01-01T00:00:00Z", "notAfter": "2026-01-01T00:00:00Z"}),
            "UnknownValue",
            "before",
        ),
    ];
    for (at, value, reason, part) in cases {
        let mut spec = spec(&signer);
        let (parent, key) = at.rsplit_once('/').expect("a path");
        let parent = spec.pointer_mut(parent).expect(at);
        match parent {
            Value::Array(items) => items[key.parse::<usize>().expect("a number")] = value.clone(),
            parent => parent[key] = value.clone(),
        }
        let error = Policy::read_all(&written(&spec)).expect_err(at);
        assert_eq!(error.reason, reason, "{at} {value}: {error}");
        assert!(error.to_string().contains(part), "{at} {value}: {error}");
    }
}

#[test]
fn two_authorities_are_not_one() {
    let (one, two) = (Signer::new(), Signer::new());
    policy(&[&one, &one], &json!({}));
    policy(&[&one, &two], &json!({"threshold": 2}));
    let authority = |name: &str, pem: String| json!({"name": name, "key": {"pem": pem, "transparencyLog": "NotUsed"}});
    let both = format!("{}{}", two.pem(), one.pem());
    for (second, threshold) in
        [(authority("b", one.pem()), 2), (authority("b", both), 2), (authority("a", two.pem()), 1)]
    {
        let spec = json!({
            "images": {"include": ["reg.test"]}, "threshold": threshold,
            "authorities": [authority("a", one.pem()), second],
        });
        let error = Policy::read_all(&written(&spec)).expect_err("duplicate");
        assert_eq!(error.reason, "DuplicateAuthority", "{error}");
    }
}

#[test]
fn what_is_no_trust_policy_is_refused() {
    let other = written(&spec(&Signer::new()));
    for text in [
        String::new(),
        "a: [".to_owned(),
        "kind: Pod".to_owned(),
        other.replace("v1alpha1", "v2"),
        other.replace("TrustPolicy", "HardeningBaseline"),
        other.replace("\"prod\"", "\"Prod!\""),
        " ".repeat(FILE + 1),
    ] {
        assert!(Policy::read_all(&text).is_err(), "{}", &text[..text.len().min(200)]);
    }
    let two = format!("{other}\n---\n{other}\n");
    assert_eq!(Policy::read_all(&two).map(|all| all.len()), Ok(2));
}
