//! The forms of a report.

use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
};

use regex::Regex;
use serde_json::Value;

use super::program::{Folder, Run, writable};

/// Two containers that break one control, one suppressed finding, one file that cannot be read.
fn run(format: &str) -> Run {
    let two = writable().replace(
        "  volumes:",
        "    - {name: side, image: 'registry.example/side:1', securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}\n  volumes:",
    );
    let ignored = writable().replace(
        "{name: good,",
        "{name: ignored, annotations: {gabion.dev/ignore-HB-ROFS: opt & <co>},",
    );
    let folder = Folder::of(&[("a b.yaml", &two), ("broken.yaml", "a: [\n"), ("c.yaml", &ignored)]);
    folder.check(&["--format", format, "."])
}

/// What the published schema requires of a log, written out for the parts that are used.
fn assert_sarif(log: &Value) {
    assert_eq!(log["version"], "2.1.0");
    assert!(log["$schema"].as_str().unwrap().ends_with("sarif-schema-2.1.0.json"));
    for run in log["runs"].as_array().unwrap() {
        let driver = &run["tool"]["driver"];
        assert_eq!(driver["name"], "gabion");
        let rules = driver["rules"].as_array().unwrap();
        let ids: BTreeSet<_> = rules.iter().map(|rule| rule["id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), rules.len(), "rules are distinct");
        for rule in rules {
            for text in ["shortDescription", "fullDescription", "help"] {
                assert!(rule[text]["text"].as_str().unwrap().len() > 10, "{rule}");
            }
            let score: f64 =
                rule["properties"]["security-severity"].as_str().unwrap().parse().unwrap();
            assert!((0.0..=10.0).contains(&score));
            assert!(
                ["none", "note", "warning", "error"]
                    .contains(&rule["defaultConfiguration"]["level"].as_str().unwrap())
            );
        }
        for result in run["results"].as_array().unwrap() {
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(rules[index]["id"], result["ruleId"]);
            assert!(!result["message"]["text"].as_str().unwrap().is_empty());
            assert!(
                ["none", "note", "warning", "error"].contains(&result["level"].as_str().unwrap())
            );
            for location in result["locations"].as_array().unwrap() {
                let physical = &location["physicalLocation"];
                assert!(!physical["artifactLocation"]["uri"].as_str().unwrap().contains(' '));
                assert!(physical["region"]["startLine"].as_u64().unwrap() >= 1);
                assert!(physical["region"]["startColumn"].as_u64().unwrap() >= 1);
            }
        }
        assert_eq!(run["columnKind"], "unicodeCodePoints");
        assert!(run["invocations"][0]["executionSuccessful"].is_boolean());
    }
}

#[test]
fn sarif_has_one_result_for_each_control_that_an_object_breaks() {
    let log = run("sarif").json();
    assert_sarif(&log);
    let results = log["runs"][0]["results"].as_array().unwrap();
    let broken: Vec<_> = results.iter().filter(|result| result["ruleId"] == "HB-ROFS").collect();
    assert_eq!(broken.len(), 2, "one for each pod");
    assert_eq!(broken[0]["locations"].as_array().unwrap().len(), 2, "with both containers");
    assert_eq!(
        broken[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
        "a%20b.yaml"
    );
    assert!(broken[0].get("suppressions").is_none());
    assert_eq!(broken[1]["suppressions"][0]["kind"], "inSource");
    assert_eq!(broken[1]["suppressions"][0]["justification"], "opt & <co>");
    let invocation = &log["runs"][0]["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    assert_eq!(invocation["toolExecutionNotifications"][0]["level"], "error");
}

#[test]
fn sarif_of_nothing_is_valid_too() {
    let log = Folder::of(&[("a.yaml", super::program::GOOD)]).check(&["-o", "sarif", "."]);
    assert_eq!(log.code, 0);
    assert_sarif(&log.json());
    assert_eq!(log.json()["runs"][0]["results"], serde_json::json!([]));
}

#[test]
fn junit_counts_what_it_lists() {
    let run = run("junit");
    assert_eq!(run.code, 1);
    let count = |text: &str| run.out.matches(text).count();
    let head = run.out.lines().nth(1).unwrap();
    assert!(head.contains(&format!("tests=\"{}\"", count("<testcase "))), "{head}");
    assert!(head.contains(&format!("failures=\"{}\"", count("<failure "))), "{head}");
    assert!(head.contains("errors=\"1\" skipped=\"1\""), "{head}");
    assert!(run.out.contains("<skipped message=\"opt &amp; &lt;co&gt;\"/>"), "{}", run.out);
    assert!(run.out.contains("name=\"Pod shop/ignored\"/>"), "a case that passes: {}", run.out);
    assert!(run.out.trim_end().ends_with("</testsuites>"));
}

/// Every tag closes, attributes are quoted, and what stands between holds no mark-up.
fn assert_well_formed(xml: &str) {
    let text = r"[^<>&]*(?:&(?:amp|lt|gt|quot);[^<>&]*)*";
    let quoted = text.replace("[^<>&]", "[^<>&\"]");
    let tag = Regex::new(&format!("<(/?)([a-z]+)(?: [a-z]+=\"{quoted}\")*(/?)>")).unwrap();
    let between = Regex::new(&format!("^{text}$")).unwrap();
    let body = xml.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n").unwrap();
    let (mut open, mut at) = (Vec::new(), 0);
    for found in tag.captures_iter(body) {
        let whole = found.get(0).unwrap();
        assert!(between.is_match(&body[at..whole.start()]), "{:?}", &body[at..whole.start()]);
        at = whole.end();
        match (&found[1], &found[3]) {
            ("/", _) => assert_eq!(open.pop(), Some(found[2].to_owned())),
            (_, "") => open.push(found[2].to_owned()),
            _ => {}
        }
    }
    assert!(open.is_empty() && body[at..].trim().is_empty(), "{open:?}");
    assert!(!body.contains(|c: char| c.is_control() && c != '\n'), "{body:?}");
}

#[test]
fn junit_is_well_formed_whatever_names_hold() {
    assert_well_formed(&run("junit").out);
    let hostile = writable().replace("name: good", r#"name: "<a href='x'>&amp;\u0001\e]]>\"""#);
    let folder = Folder::of(&[("a&<b>'.yaml", hostile.as_str()), ("c\"d.yaml", "a: [")]);
    let run = folder.check(&["-o", "junit", "."]);
    assert_well_formed(&run.out);
    assert!(run.out.contains("&lt;a href='x'&gt;&amp;amp;]]&gt;&quot;"), "{}", run.out);
}

#[test]
fn json_sums_up_what_it_lists() {
    let report = run("json").json();
    let files = report["files"].as_array().unwrap();
    assert_eq!(files.len(), 3);
    let all: Vec<_> = files.iter().flat_map(|file| file["findings"].as_array().unwrap()).collect();
    let counting = all
        .iter()
        .filter(|finding| finding["suppressed"].is_null() && finding["note"] == false)
        .count();
    assert_eq!(report["summary"]["findings"], counting);
    assert_eq!(report["summary"]["suppressed"], 1);
    assert_eq!(report["summary"]["errors"], 1);
    assert_eq!(files[1]["errors"][0]["line"].as_u64(), Some(1));
}

#[test]
fn text_is_grouped_by_file_with_places_and_remedies() {
    let run = run("text");
    assert!(run.out.starts_with("a b.yaml\n"), "{}", run.out);
    assert!(run.out.contains("23:9  high      HB-ROFS  "), "{}", run.out);
    assert!(run.out.contains("→ set securityContext.readOnlyRootFilesystem: true"), "{}", run.out);
    assert!(run.out.contains("\nbroken.yaml\n"), "{}", run.out);
    assert!(!run.out.contains('\u{1b}'), "no colour without a terminal");
}

#[test]
fn colour_can_be_asked_for() {
    let folder = Folder::of(&[("x.yaml", &writable())]);
    assert!(folder.check(&["--color", "always", "x.yaml"]).out.contains("\u{1b}[31mhigh"));
    assert!(!folder.check(&["--color", "never", "x.yaml"]).out.contains('\u{1b}'));
}

#[test]
fn a_reader_that_has_seen_enough_changes_no_verdict() {
    let folder = Folder::of(&[]);
    for nth in 0..400 {
        folder.write(&format!("{nth}.yaml"), writable().as_bytes());
    }
    // More than a pipe holds, so that the program meets the closed end while it writes.
    let mut command = Command::new(env!("CARGO_BIN_EXE_gabion"));
    command.args(["check", "."]).current_dir(folder.path(".")).stdin(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
}

#[test]
fn github_shows_each_finding_at_its_line_and_nothing_of_a_name_is_a_command() {
    let run = run("github");
    assert_eq!(run.code, 1);
    assert!(
        run.out
            .contains("::error file=a b.yaml,line=23,col=9,title=HB-ROFS (high)::Pod shop/good: "),
        "{}",
        run.out
    );
    assert!(run.out.contains("::error file=broken.yaml,line=1,col="), "{}", run.out);
    assert!(!run.out.contains("c.yaml"), "what is suppressed is left out: {}", run.out);
    let hostile =
        writable().replace("name: good", "name: \"x\\n::set-output name=a::b%0A::error::c\"");
    let folder = Folder::of(&[("a,b:c.yaml", hostile.as_str())]);
    let run = folder.check(&["-o", "github", "."]);
    assert!(
        run.out.lines().all(|line| line.starts_with("::error file=a%2Cb%3Ac.yaml,line=")),
        "{}",
        run.out
    );
    assert!(run.out.contains("x%0A::set-output name=a::b%250A::error::c"), "{}", run.out);
}

#[test]
fn gitlab_tells_every_finding_by_a_fingerprint_that_stays() {
    let entries = run("gitlab").json();
    let entries = entries.as_array().unwrap();
    let mut fingerprints = BTreeSet::new();
    for entry in entries {
        assert!(fingerprints.insert(entry["fingerprint"].as_str().unwrap()), "{entry}");
        for text in ["description", "check_name"] {
            assert!(!entry[text].as_str().unwrap().is_empty(), "{entry}");
        }
        let severity = entry["severity"].as_str().unwrap();
        assert!(["info", "minor", "major", "critical", "blocker"].contains(&severity));
        assert!(entry["location"]["lines"]["begin"].as_u64().unwrap() >= 1);
        assert_ne!(entry["location"]["path"], "c.yaml", "what is suppressed is left out");
    }
    assert!(entries.iter().any(|entry| entry["check_name"] == "unreadable"));
    let folder = Folder::of(&[("a.yaml", &writable())]);
    let of = |folder: &Folder| {
        let entry = folder.check(&["-o", "gitlab", "."]).json()[0].clone();
        (entry["fingerprint"].clone(), entry["location"]["lines"]["begin"].as_u64().unwrap())
    };
    let (before, line) = of(&folder);
    folder.write("a.yaml", format!("# moved\n{}", writable()).as_bytes());
    assert_eq!(of(&folder), (before, line + 1));
    assert_eq!(
        Folder::of(&[("a.yaml", super::program::GOOD)]).check(&["-o", "gitlab", "."]).out,
        "[]\n"
    );
}
