//! Inputs that nobody wrote: good ones with something broken in them, a few thousand in a test and as many as
//! `GABION_CHECK_ROUNDS` says by hand. Nothing may panic, and every place that is named must exist.

use std::{fs, path::Path};

use super::{
    Fix, Options, baseline::built_in, cross_references::CrossReferences, dockerfile, fix, manifest,
    output, output::Format, report::FileReport, report::Report, rules::Rules,
    test_random::TestRandom,
};

const DOCKERFILES: [&str; 3] = [
    "# syntax=docker/dockerfile:1\nARG V=1.2\nFROM --platform=linux/amd64 golang:${V} AS build\nRUN --mount=type=cache,target=/x go build \\\n  # why\n  -o /a .\nFROM scratch\nCOPY --from=build --chown=1:1 /a /a\nUSER 1001:1001\nEXPOSE 80/tcp 8080-8090\nENTRYPOINT [\"/a\"]\n",
    "FROM ubuntu\nENV A=b DATABASE_PASSWORD='x y' C=\"$A\"\nENV OLD the value\nRUN <<EOF\ncurl https://x | sh\nEOF\nRUN [\"apt-get\", \"install\", \"-y\", \"curl\"]\nADD https://example.com/a?b=c /x\nHEALTHCHECK --interval=5s CMD true\nONBUILD RUN make\nSHELL [\"/bin/sh\", \"-c\"]\nVOLUME /a /b\nLABEL a=b c=\"d e\"\n",
    "# escape=`\r\nFROM a\r\nRUN b `\r\n  && c\r\nUSER ${X:-root}\r\n",
];

const REPORTS: [&str; 3] = [
    r#"{"SchemaVersion":2,"ArtifactName":"a","CreatedAt":"2026-01-01T00:00:00Z","Results":[{"Vulnerabilities":[{"VulnerabilityID":"CVE-1","PkgName":"p","Severity":"CRITICAL","FixedVersion":"1"}]}]}"#,
    r#"{"bomFormat":"CycloneDX","metadata":{"timestamp":"2026-01-01T00:00:00Z","component":{"name":"a"}},"vulnerabilities":[{"id":"CVE-1","ratings":[{"severity":"critical"}],"analysis":{"state":"resolved"}}]}"#,
    r#"{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"t","rules":[{"id":"A","properties":{"security-severity":"9.1"}}]}},"results":[{"ruleId":"A","ruleIndex":0,"level":"error"}]}]}"#,
];

/// What breaks texts.
const TOKENS: [&str; 34] = [
    "&a ",
    "*a",
    "<<: *a",
    "\t",
    "\u{FEFF}",
    "é",
    "\u{1F600}",
    "---\n",
    "...\n",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    "|\n",
    ">-\n",
    "? ",
    "!!binary ",
    "!!str ",
    "0x",
    "-",
    ": ",
    "\r",
    "\n",
    "#",
    "# gabion:ignore HB-ROFS why\n",
    "%YAML 1.2\n",
    "\\",
    "$",
    "${",
    "<<EOF\n",
    "9999999999999999999999",
    "null",
];

fn seeds() -> Vec<String> {
    let mut seeds: Vec<String> =
        DOCKERFILES.iter().chain(&REPORTS).map(|text| (*text).to_owned()).collect();
    for folder in [
        "examples/guide",
        "examples/hardening",
        "examples/secrets",
        "examples/ci",
        "config/operator",
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut files: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        seeds.extend(files.iter().map(|file| fs::read_to_string(file).unwrap()));
    }
    seeds
}

/// A text with up to six things wrong.
fn broken(random: &mut TestRandom, seeds: &[String]) -> String {
    let mut text: Vec<char> = random.one_of(seeds).chars().collect();
    for _ in 0..=random.below(6) {
        let at = random.below(text.len() + 1);
        let end = (at + random.below(40)).min(text.len());
        match random.below(6) {
            0 => drop(text.drain(at..end)),
            1 => drop(text.splice(at..at, random.one_of(&TOKENS).chars())),
            2 => drop(text.splice(at..end, random.one_of(&TOKENS).chars())),
            3 => {
                let copy = text[at..end].to_vec();
                let to = random.below(text.len() + 1);
                drop(text.splice(to..to, copy));
            }
            4 => text.truncate(at),
            _ => {
                let other: Vec<char> = random.one_of(seeds).chars().collect();
                let from = random.below(other.len());
                let until = (from + random.below(200)).min(other.len());
                drop(text.splice(at..at, other[from..until].iter().copied()));
            }
        }
    }
    text.into_iter().collect()
}

/// Every place that a report names is in the text.
fn assert_places(file: &FileReport, text: &str) {
    let lines: Vec<_> = text.split('\n').collect();
    let notices =
        file.faults.iter().chain(&file.remarks).filter_map(|diagnostic| diagnostic.position);
    for place in notices.chain(file.findings.iter().map(|located| located.position)) {
        let line =
            lines.get(place.line - 1).unwrap_or_else(|| panic!("no line {place:?} in\n{text}"));
        assert!(place.column <= line.chars().count() + 1, "no column {place:?} in\n{text}");
    }
}

fn options(rules: &Rules, format: Format) -> Options {
    Options {
        paths: Vec::new(),
        rules: rules.clone(),
        format,
        expects_scan: false,
        fail_on: None,
        quiet: false,
        colour: true,
        terminal: true,
        exclude: Vec::new(),
        skip: Vec::new(),
        only: Vec::new(),
        project: None,
        same_rules: false,
        known: None,
        write_known: None,
        allow_empty: false,
        summary: false,
        watched: false,
        no_suppress: false,
        fix: Fix::No,
        cluster: None,
    }
}

fn shown(files: Vec<FileReport>, rules: &Rules) {
    let report = Report { files, ..Report::default() };
    for format in
        [Format::Text, Format::Json, Format::Sarif, Format::Junit, Format::Github, Format::Gitlab]
    {
        let options = options(rules, format);
        output::write(&report, &options, &mut Vec::new()).unwrap();
    }
}

fn evaluated(text: &str, rules: &Rules, show: bool) {
    let file = manifest::check("x.yaml", text, rules, &mut CrossReferences::default());
    assert_places(&file, text);
    let fixed = fix::fix(text, &file.findings, rules);
    let after = fix::apply(text, &fixed);
    let again = manifest::check("x.yaml", &after, rules, &mut CrossReferences::default());
    assert_eq!(again.faults.len(), file.faults.len(), "{text}\nbecame\n{after}");
    let _ = fix::unified("x.yaml", text, &fix::apply(text, &fixed));
    let model = dockerfile::check("Dockerfile", text, rules);
    assert_places(&model, text);
    if show {
        shown(vec![file, model], rules);
    }
}

#[test]
fn broken_inputs_are_told_apart_and_nothing_panics() {
    let (rules, seeds) = (built_in("guide").unwrap(), seeds());
    let rounds = std::env::var("GABION_CHECK_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    for seed in &seeds {
        evaluated(seed, &rules, true);
    }
    for round in 0..rounds.unwrap_or(2000_u64) {
        let mut random = TestRandom::new(round + 1);
        let text = broken(&mut random, &seeds);
        // Which one it was, if it does not end well.
        let outcome = std::panic::catch_unwind(|| evaluated(&text, &rules, round % 16 == 0));
        assert!(outcome.is_ok(), "round {round}:\n{text}");
    }
}

#[test]
fn what_is_held_of_all_files_has_a_bound() {
    let containers: String =
        (0..500).fold(String::new(), |all, n| all + &format!("    - {{name: c{n}, image: a}}\n"));
    let pod = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec:\n  containers:\n{containers}"
    );
    let folder = tempfile::TempDir::new().unwrap();
    for nth in 0..20 {
        fs::write(folder.path().join(format!("{nth:02}.yaml")), &pod).unwrap();
    }
    let mut options = options(&built_in("guide").unwrap(), Format::Text);
    options.paths = vec![folder.path().to_owned()];
    let report = super::evaluate(&options, &mut std::io::empty());
    let last = report.files.last().unwrap();
    assert!((3..20).contains(&report.files.len()), "{}", report.files.len());
    assert!(last.faults[0].message.contains("name fewer files"), "{last:?}");
    // What is not asked for is not held.
    options.only = vec![crate::policy::ControlId::HbInvalid];
    assert_eq!(super::evaluate(&options, &mut std::io::empty()).files.len(), 20);
}
