use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

/// What cosign 3.1.3 wrote: see tests/golden/trust/README.md.
fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/trust").join(name)
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/images/trust-policy.yaml")
}

const DIGEST: &str = "sha256:a38b1ee289fc29f6aa0915c8f8f9f33f55eb434e803ebeac1184855d1bcf54b0";

fn options(image: &str, source: Source) -> Options {
    Options {
        images: vec![Reference::parse(image).expect(image)],
        policies: vec![example()],
        source,
        at: Timestamp::UNIX_EPOCH,
        format: Format::Text,
        explain: true,
    }
}

fn pinned() -> String {
    format!("registry.example.com/prod/web@{DIGEST}")
}

async fn ended(options: &Options) -> (ExitStatus, String) {
    let mut output = Vec::new();
    let status = run(options, &mut output).await.expect("an answer");
    (status, String::from_utf8(output).expect("UTF-8"))
}

/// The same layout with another file in a place of its own.
fn copy() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let blobs = folder.path().join("blobs/sha256");
    fs::create_dir_all(&blobs).expect("a folder");
    for entry in fs::read_dir(golden("layout/blobs/sha256")).expect("blobs") {
        let entry = entry.expect("a blob");
        fs::copy(entry.path(), blobs.join(entry.file_name())).expect("copied");
    }
    for name in ["index.json", "oci-layout"] {
        fs::copy(golden("layout").join(name), folder.path().join(name)).expect("copied");
    }
    folder
}

fn policy(folder: &TempDir, from: &str, to: &str) -> PathBuf {
    let text = fs::read_to_string(example()).expect("the example");
    assert!(text.contains(from), "{from}");
    let path = folder.path().join("policy.yaml");
    fs::write(&path, text.replace(from, to)).expect("written");
    path
}

#[tokio::test]
async fn what_cosign_signed_holds_by_the_policy_of_the_example() {
    let mut options = options(&pinned(), Source::Layout(golden("layout")));
    let (status, text) = ended(&options).await;
    assert_eq!(status, ExitStatus::Holds, "{text}");
    let held = format!("holds: {}: TrustPolicy prod: signed by release-key\n", pinned());
    assert!(text.starts_with(&held), "{text}");
    assert!(text.contains("2 signatures found") && !text.contains("held: nothing"), "{text}");

    options.format = Format::Json;
    let (_, text) = ended(&options).await;
    let value: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(value.pointer("/images/0/verdict"), Some(&json!("holds")), "{text}");
    assert_eq!(
        value.pointer("/images/0/policies/0/candidates/1/signedBy/0"),
        Some(&json!("release-key"))
    );
}

#[tokio::test]
async fn each_format_by_itself_and_a_bundle_in_a_file_hold() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut layout = options(&pinned(), Source::Layout(golden("layout")));
    for format in ["Bundle", "Legacy"] {
        layout.policies = vec![policy(
            &folder,
            "  annotations:",
            &format!("  formats: [{format}]\n  annotations:"),
        )];
        let (status, text) = ended(&layout).await;
        assert_eq!(status, ExitStatus::Holds, "{text}");
        assert!(text.contains("1 signature found"), "{text}");
    }
    let bundle = options(&pinned(), Source::Bundle(golden("bundle.json")));
    assert_eq!(ended(&bundle).await.0, ExitStatus::Holds);
    let other = format!("registry.example.com/prod/web@{}", Digest::of(b"other"));
    let (status, text) = ended(&options(&other, bundle.source)).await;
    assert_eq!(status, ExitStatus::Refused);
    assert!(text.contains("DigestMismatch: signed for sha256:a38b1ee2"), "{text}");
}

#[tokio::test]
async fn what_does_not_hold_is_refused_by_its_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let layout = || Source::Layout(golden("layout"));
    let unsigned = "74e5c1535991b8a06122a3bb27cf40c0d6802ba928847b8d94ef6252c21ffb3f";
    for (image, reason) in [
        (format!("registry.example.com/prod/web@sha256:{unsigned}"), "Unsigned"),
        (format!("registry.example.com/prod/sandbox/web@{DIGEST}"), "NoTrustPolicy"),
        (format!("registry.example.com/production/web@{DIGEST}"), "NoTrustPolicy"),
        (
            "registry.example.com/prod/web:1".to_owned(),
            "TagNotPinned: it is named by a tag, which the layout has for sha256:a38b1ee2",
        ),
        ("registry.example.com/prod/web:2".to_owned(), "TagNotPinned"),
    ] {
        let (status, text) = ended(&options(&image, layout())).await;
        assert_eq!(status, ExitStatus::Refused, "{text}");
        assert!(text.contains(reason) && text.starts_with("refused: "), "{text}");
    }
    let mut dev = options(&pinned(), layout());
    dev.policies = vec![policy(&folder, "env: prod", "env: dev")];
    let (status, text) = ended(&dev).await;
    assert_eq!(status, ExitStatus::Refused);
    assert!(
        text.contains("AnnotationMismatch: its signed annotation \"env\" is \"prod\""),
        "{text}"
    );
    dev.policies.push(example());
    let twice = run(&dev, &mut Vec::new()).await.expect_err("two of one name");
    assert!(twice.contains("named prod"), "{twice}");
}

#[tokio::test]
async fn what_nobody_could_read_is_neither_unsigned_nor_trusted() {
    let folder = copy();
    let blob = |hex: &str| folder.path().join("blobs/sha256").join(hex);
    let bundle = blob("39e1a58e158994798e4121e51abed9dc98717006fac4b97664a35f72601f9dad");
    let simple = blob("849ffec53bfad470f774c7d20b384df0aa584f96e3b8e8df148ae598bae1f591");
    let asked = options(&pinned(), Source::Layout(folder.path().to_owned()));
    fs::remove_file(&bundle).expect("removed");
    let (status, text) = ended(&asked).await;
    assert_eq!(status, ExitStatus::Holds, "the other signature is enough: {text}");
    fs::remove_file(&simple).expect("removed");
    let (status, text) = ended(&asked).await;
    assert_eq!(status, ExitStatus::Unknown, "{text}");
    assert!(text.starts_with("unknown: ") && text.contains("could not look"), "{text}");
    let mut two = asked.clone();
    two.images.push(Reference::parse("other.example/x").expect("a reference"));
    assert_eq!(ended(&two).await.0, ExitStatus::Refused, "a refusal wins");
    for path in [&bundle, &simple] {
        fs::write(path, "{}").expect("written");
    }
    let (status, text) = ended(&asked).await;
    assert_eq!(status, ExitStatus::Refused, "{text}");
    assert!(text.contains("DigestMismatch"), "{text}");
}

#[tokio::test]
async fn a_wrong_use_is_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut asked = options(&pinned(), Source::Layout(folder.path().to_owned()));
    let error = run(&asked, &mut Vec::new()).await.expect_err("no layout");
    assert!(error.starts_with("--layout: "), "{error}");
    asked.source = Source::Layout(golden("layout"));
    asked.policies = vec![policy(&folder, "NotUsed", "Required")];
    let error = run(&asked, &mut Vec::new()).await.expect_err("not verified");
    assert!(error.contains("UnknownValue") && error.contains("transparencyLog"), "{error}");
    asked.policies = vec![folder.path().join("none.yaml")];
    assert!(run(&asked, &mut Vec::new()).await.expect_err("no file").contains("cannot be read"));
}
