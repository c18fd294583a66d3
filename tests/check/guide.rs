//! The guide's own samples are evaluated as the guide means them.

use std::path::Path;

use super::program::{Folder, check_in};

fn controls(file: &str, profile: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = format!("examples/guide/{file}");
    // Without the reasons that this repository has for what its samples leave out.
    check_in(root, &["-o", "json", "--no-suppress", "--profile", profile, &file], b"").controls()
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

#[test]
fn the_guides_dockerfiles_are_told_apart() {
    let evaluated = |text: &str| {
        let mut found =
            Folder::of(&[("Dockerfile", text)]).check(&["-o", "json", "Dockerfile"]).controls();
        found.sort();
        found
    };
    let wrong = "FROM ubuntu:20.04\nRUN apt-get update && apt-get install -y build-essential\nENV DATABASE_PASSWORD=mysecret\nEXPOSE 80\n";
    let named = [
        "HB-DF-BASE",
        "HB-DF-CLEAN",
        "HB-DF-INSTALL",
        "HB-DF-SECRET",
        "HB-DF-STAGE",
        "HB-DF-USER",
        "HB-PORT",
    ];
    assert_eq!(evaluated(wrong), named);
    let right = "FROM node:22-alpine AS builder\nWORKDIR /app\nCOPY . .\nRUN npm ci && npm run build\n\nFROM alpine:3.20\nRUN addgroup -g 1001 app && adduser -u 1001 -G app -D app\nCOPY --from=builder /app/dist /app\nENV DATABASE_PASSWORD_FILE=/run/secrets/db_password\nUSER 1001:1001\nEXPOSE 8080\n";
    assert_eq!(evaluated(right), [""; 0]);
    let distroless = right.replace(
        "FROM alpine:3.20\nRUN addgroup -g 1001 app && adduser -u 1001 -G app -D app\n",
        "FROM gcr.io/distroless/nodejs22-debian12:nonroot\n",
    );
    assert_eq!(evaluated(&distroless), [""; 0]);
}
