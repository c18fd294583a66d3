//! The guide's own samples are judged as the guide means them.

use std::path::Path;

use super::program::check_in;

fn controls(file: &str, profile: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = format!("examples/guide/{file}");
    check_in(root, &["-o", "json", "--profile", profile, &file], b"").controls()
}

fn has(found: &[String], prefix: &str) -> bool {
    found.iter().any(|id| id.starts_with(prefix))
}

#[test]
fn the_pod_as_it_should_be_is_restricted_and_its_moving_tag_is_named() {
    assert!(controls("pod.yaml", "restricted").is_empty());
    let mut found = controls("pod.yaml", "guide");
    found.sort();
    // What the sample leaves to its other chapters.
    assert_eq!(found, ["HB-IMG-TAG", "HB-LOG-ENV", "HB-RES"]);
}

#[test]
fn each_sample_keeps_the_technique_that_it_shows() {
    for (file, technique) in [
        ("logging.yaml", "HB-LOG-"),
        ("read-only-root.yaml", "HB-ROFS"),
        ("resources.yaml", "HB-RES"),
        ("secret-in-env.yaml", "HB-SECRET-"),
        ("registry.yaml", "HB-IMG-"),
    ] {
        let found = controls(file, "guide");
        assert!(!has(&found, technique), "{file}: {found:?}");
        // It is a sample of one thing: what it leaves out is named.
        assert!(has(&found, "PSS-"), "{file}: {found:?}");
    }
}

#[test]
fn samples_without_pods_have_no_findings() {
    for file in ["network.yaml", "namespace.yaml", "rotation.yaml", "service-mesh.yaml"] {
        assert!(controls(file, "guide").is_empty(), "{file}");
    }
}
