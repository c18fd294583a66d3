//! What this repository holds keeps what it asks of others, or says why not.

use std::path::Path;

use super::program::check_in;

#[test]
fn this_repository_passes_its_own_check() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let run = check_in(root, &["--profile", "guide", "."], b"");
    assert_eq!(run.code, 0, "{}", run.all());
    for part in ["objects, evaluated by guide", "Kustomizations evaluated as they are deployed: "] {
        assert!(run.out.contains(part), "{part}: {}", run.out);
    }
    // Those that have a reason are counted, and few.
    let report = check_in(root, &["--profile", "guide", "-o", "json", "."], b"").json();
    let summary = &report["summary"];
    assert!(summary["objects"].as_u64().unwrap() > 50, "{summary}");
    assert_eq!(summary["failing"], 0);
    let names: Vec<_> = report["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["name"].as_str().unwrap())
        .collect();
    for name in ["Dockerfile", "config/operator/deployment.yaml", "examples/guide/pod.yaml"] {
        assert!(names.iter().any(|known| known.starts_with(name)), "{name}: {names:?}");
    }
}
