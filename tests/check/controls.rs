//! Every control that files alone can break is evaluated: a file that breaks it, and one that keeps it.

use std::collections::BTreeSet;

use gabion::policy::Target;
use gabion::policy::controls;

use super::program::Folder;

const SECURE: &str = "FROM gcr.io/distroless/static@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\nUSER 1001\n";

/// The id, the name of the file, what breaks it, what keeps it.
type Case = (&'static str, &'static str, String, String);

fn dockerfile(id: &'static str, bad: &str, good: &str) -> Case {
    let ends =
        |lines: &str| format!("FROM alpine:3.20@sha256:{}\n{lines}USER 1001\n", "a".repeat(64));
    (id, "Dockerfile", ends(bad), ends(good))
}

fn manifest(id: &'static str, bad: &str, good: &str) -> Case {
    (id, "x.yaml", bad.to_owned(), good.to_owned())
}

fn dockerfiles() -> Vec<Case> {
    vec![
        ("HB-DF-USER", "Dockerfile", "FROM alpine:3.20\nUSER root\n".to_owned(), SECURE.to_owned()),
        (
            "HB-DF-STAGE",
            "Dockerfile",
            "FROM golang:1.26\nRUN go build -o /app .\nUSER 1\n".to_owned(),
            format!(
                "FROM golang:1.26 AS build\nRUN go build -o /app .\n{SECURE}COPY --from=build /app /app\n"
            ),
        ),
        ("HB-DF-BASE", "Dockerfile", "FROM ubuntu:24.04\nUSER 1\n".to_owned(), SECURE.to_owned()),
        dockerfile(
            "HB-DF-SECRET",
            "ENV DATABASE_PASSWORD=hunter2\n",
            "ENV DATABASE_PASSWORD_FILE=/run/secrets/db_password\nRUN --mount=type=secret,id=db make-db\n",
        ),
        dockerfile(
            "HB-DF-FETCH",
            "ADD https://example.com/tool.tgz /opt/\n",
            "ADD --checksum=sha256:0000 https://example.com/tool.tgz /opt/\n",
        ),
        dockerfile("HB-DF-CLEAN", "RUN apk add curl\n", "RUN apk add --no-cache curl\n"),
        dockerfile("HB-DF-HEALTH", "HEALTHCHECK CMD true\n", "HEALTHCHECK NONE\n"),
    ]
}

fn others() -> Vec<Case> {
    let secret = |value: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\nstringData: {{password: '{value}'}}\n"
        )
    };
    let map = |value: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{DB_PASSWORD: '{value}'}}\n"
        )
    };
    let policy = |from: &str| {
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: a}}\nspec: {{podSelector: {{}}, ingress: [{{{from}}}]}}\n"
        )
    };
    let external = |store: &str| {
        format!(
            "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {{name: a}}\nspec: {{secretStoreRef: {{name: {store}}}}}\n---\napiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: {{name: aws}}\n"
        )
    };
    let store = |provider: &str| {
        format!(
            "apiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: {{name: a}}\nspec: {{provider: {{{provider}}}}}\n"
        )
    };
    let found = |find: &str| {
        format!(
            "{}---\napiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {{name: a}}\nspec: {{secretStoreRef: {{name: a}}, dataFrom: [{{find: {{{find}}}}}]}}\n",
            store("fake: {data: []}")
        )
    };
    let report = |severity: &str| {
        format!(
            "{{\"SchemaVersion\": 2, \"ArtifactName\": \"a\", \"Results\": [{{\"Vulnerabilities\": [{{\"VulnerabilityID\": \"CVE-1\", \"Severity\": \"{severity}\"}}]}}]}}"
        )
    };
    let workflow = |more: &str| {
        format!(
            "name: image\non: push\njobs:\n  build:\n    steps:\n      - uses: docker/build-push-action@v6\n{more}"
        )
    };
    vec![
        ("HB-VULN", "trivy.json", report("CRITICAL"), report("LOW")),
        manifest("HB-SECRET-GIT", &secret("swordfish"), &secret("${PASSWORD}")),
        manifest("HB-SECRET-CONFIG", &map("swordfish"), &map("${PASSWORD}")),
        manifest("HB-ESO", &external("awz"), &external("aws")),
        manifest("HB-ESO-LACKS", &store("vault: {}"), &store("fake: {data: []}")),
        manifest("HB-ESO-DIFFERS", &found("tags: {team: a}"), &found("path: a")),
        manifest("HB-NP-OPEN", &policy(""), &policy("from: [{podSelector: {}}]")),
        manifest("HB-CI", &workflow(""), &workflow("      - run: gabion check deploy/\n")),
    ]
}

#[test]
fn every_control_of_files_is_evaluated_in_files() {
    let cases: Vec<_> = dockerfiles().into_iter().chain(others()).collect();
    for (id, name, bad, good) in &cases {
        let ids = |text: &str| {
            let mut arguments = vec!["-o", "json", name];
            arguments.extend(id.starts_with("HB-ESO-").then_some("--eso"));
            let report = Folder::of(&[(name, text)]).check(&arguments).json();
            let findings = report["files"][0]["findings"].as_array().unwrap().clone();
            findings
                .iter()
                .map(|finding| finding["control"].as_str().unwrap().to_owned())
                .collect::<BTreeSet<_>>()
        };
        assert!(ids(bad).contains(*id), "{id} is not broken by\n{bad}");
        assert!(!ids(good).contains(*id), "{id} is broken by\n{good}");
    }
    let tried: BTreeSet<_> = cases.iter().map(|(id, ..)| *id).collect();
    let listed: BTreeSet<_> = controls::all()
        .filter(|control| control.target == Target::File)
        .map(|control| control.id.as_str())
        .collect();
    assert_eq!(tried, listed, "the table of controls and what is tried here");
}
