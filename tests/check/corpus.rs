//! How well credentials are told apart: a corpus of labelled lines, each in the place where people write it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::program::Folder;

const CORPUS: &str = include_str!("corpus/credentials.txt");

/// What credentials are reported by.
const CONTROLS: [&str; 3] = ["HB-SECRET-LITERAL", "HB-SECRET-CONFIG", "HB-DF-SECRET"];

struct Case {
    line: usize,
    place: &'static str,
    credential: bool,
    text: &'static str,
}

fn cases() -> Vec<Case> {
    let lines = CORPUS.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let case = |(number, line): (usize, &'static str)| {
        let (place, rest) = line.split_once(' ').unwrap();
        let (label, text) = rest.split_once(' ').unwrap();
        assert!(matches!(label, "+" | "-"), "line {}", number + 1);
        Case { line: number + 1, place, credential: label == "+", text }
    };
    lines.map(case).collect()
}

/// The file that a case is: its name and its text.
fn written(case: &Case) -> (String, String) {
    let container = |field: &str, value: Value| {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"},
            "spec": {"containers": [{"name": "a", "image": "a:1", field: value}]}});
        (format!("{}.json", case.line), pod.to_string())
    };
    let map = |key: &str, value: &str| {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {key: value}});
        (format!("{}.json", case.line), map.to_string())
    };
    match case.place {
        "env" => {
            let (name, value) = case.text.split_once('=').unwrap();
            container("env", json!([{"name": name, "value": value}]))
        }
        "args" => container("args", json!(case.text.split(' ').collect::<Vec<_>>())),
        "shell" => container("command", json!(["sh", "-c", case.text])),
        "map" => {
            let (key, value) = case.text.split_once('=').unwrap();
            map(key, value)
        }
        "file" => map("app.conf", &format!("# ours\n{}\n# end\n", case.text)),
        word => {
            let text = format!("FROM scratch\n{word} {}\nUSER 1\n", case.text);
            (format!("{}.Dockerfile", case.line), text)
        }
    }
}

#[test]
fn credentials_are_told_from_what_is_none() {
    let cases = cases();
    let files: Vec<_> = cases.iter().map(written).collect();
    let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let report = Folder::of(&files).check(&["-o", "json", "."]).json();
    let mut found = BTreeSet::new();
    for file in report["files"].as_array().unwrap() {
        assert_eq!(file["errors"].as_array().map_or(0, Vec::len), 0, "{file}");
        let held = file["findings"].as_array().unwrap().iter();
        if held.filter_map(|hit| hit["control"].as_str()).any(|id| CONTROLS.contains(&id)) {
            let name = file["name"].as_str().unwrap().trim_start_matches("./");
            found.insert(name.split('.').next().unwrap().parse::<usize>().unwrap());
        }
    }
    let (mut missed, mut wrong) = (Vec::new(), Vec::new());
    let mut places = BTreeMap::<_, (usize, usize)>::new();
    for case in &cases {
        let counts = places.entry(case.place).or_default();
        *(if case.credential { &mut counts.0 } else { &mut counts.1 }) += 1;
        match (case.credential, found.contains(&case.line)) {
            (true, false) => missed.push(format!("{} {}", case.place, case.text)),
            (false, true) => wrong.push(format!("{} {}", case.place, case.text)),
            _ => {}
        }
    }
    let of = |credential: bool| cases.iter().filter(|case| case.credential == credential).count();
    let count = |number: usize| u32::try_from(number).map_or(f64::NAN, f64::from);
    let share = |part: usize, whole: usize| 100.0 * count(part) / count(whole);
    let recall = 100.0 - share(missed.len(), of(true));
    let false_positives = share(wrong.len(), of(false));
    println!(
        "{} lines: recall {recall:.1} % of {} credentials, false positives {false_positives:.1} % of {} others",
        cases.len(),
        of(true),
        of(false)
    );
    println!("credentials and others by place: {places:?}");
    assert!(cases.len() >= 300);
    assert!(recall >= 95.0 && false_positives <= 2.0, "missed {missed:#?}\nwrong {wrong:#?}");
}
