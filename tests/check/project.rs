//! `.gabion.yaml`: what a project says of itself.

use super::program::{Folder, GOOD, check_in, writable};

const SKIP: &str = "skip:\n- {control: HB-ROFS, reason: writes its cache, until: 2999-12-31}\n";

#[test]
fn a_skip_counts_with_its_reason_and_until_its_end() {
    let folder = Folder::of(&[(".gabion.yaml", SKIP), ("a.yaml", &writable())]);
    let run = folder.check(&["."]);
    assert_eq!(run.code, 0, "{}", run.all());
    assert!(
        run.out.starts_with("No findings in 1 object, evaluated by guide; 1 skipped finding"),
        "{}",
        run.out
    );
    let finding = folder.check(&["-o", "json", "."]).json()["files"][0]["findings"][0].clone();
    assert_eq!(
        (finding["suppressed"].as_str(), finding["suppressedBy"].as_str()),
        (Some("writes its cache"), Some("configuration"))
    );
    let sarif = folder.check(&["-o", "sarif", "."]).json();
    assert_eq!(sarif["runs"][0]["results"][0]["suppressions"][0]["kind"], "external");

    folder.write(".gabion.yaml", SKIP.replace("2999", "2020").as_bytes());
    let run = folder.check(&["."]);
    assert_eq!(run.code, 1, "{}", run.all());
    assert!(
        run.out.contains("the skip of HB-ROFS ended on 2020-12-31 and no longer counts"),
        "{}",
        run.out
    );
    assert!(run.out.contains(".gabion.yaml\n      2:48  remark"), "{}", run.out);
}

#[test]
fn the_file_is_found_above_what_is_checked_and_no_further_up_than_the_repository() {
    let folder = Folder::of(&[
        ("repository/.git/HEAD", ""),
        ("repository/.gabion.yaml", SKIP),
        ("repository/deploy/prod/a.yaml", &writable()),
        ("repository/deploy/dev/a.yaml", &writable()),
        ("alone/a.yaml", &writable()),
        (".gabion.yaml", "profile: baseline\n"),
    ]);
    let inside = folder.path("repository/deploy/prod");
    for (here, arguments) in [
        (folder.path("repository"), vec!["."]),
        (folder.path("repository"), vec!["deploy/prod/a.yaml", "deploy/dev/a.yaml"]),
        (inside, vec!["a.yaml"]),
        (folder.path(""), vec!["repository/deploy"]),
    ] {
        let run = check_in(&here, &arguments, b"");
        assert_eq!(run.code, 0, "{arguments:?}: {}", run.all());
        assert!(
            run.out.contains("1 skipped finding") || run.out.contains("2 skipped"),
            "{}",
            run.out
        );
    }
    // Without a repository only the folder itself, and the one in which the user works.
    let run = check_in(&folder.path("alone"), &["."], b"");
    assert!(run.code == 1 && run.out.contains("evaluated by guide"), "{}", run.all());
    let run = check_in(&folder.path(""), &["alone"], b"");
    assert!(run.code == 0 && run.out.contains("evaluated by baseline"), "{}", run.all());
    let run =
        check_in(&folder.path("alone"), &["--config", "../repository/.gabion.yaml", "."], b"");
    assert_eq!(run.code, 0, "{}", run.all());
    let run = check_in(&folder.path("repository"), &["-"], writable().as_bytes());
    assert_eq!(run.code, 0, "standard input belongs to the folder of work: {}", run.all());
}

#[test]
fn a_gate_that_authors_must_not_open_reads_no_file_that_they_bring() {
    let folder = Folder::of(&[
        (".gabion.yaml", SKIP),
        ("a.yaml", &writable()),
        ("gate.yaml.txt", "exclude: [b]\n"),
    ]);
    assert_eq!(folder.check(&["."]).code, 0);
    assert_eq!(folder.check(&["--no-suppress", "."]).code, 1);
    assert_eq!(folder.check(&["--no-suppress", "--config", ".gabion.yaml", "."]).code, 0);
}

#[test]
fn folders_have_rules_of_their_own_and_are_left_out() {
    let config = "exclude: [vendor, /build]\nprofile: restricted\noverrides:\n- {paths: [legacy], profile: baseline}\n- paths: [strict]\n  profile: guide\n  skip: [{control: HB-RES, reason: measured first}]\n";
    let root = writable().replace("runAsNonRoot: true", "runAsNonRoot: false");
    let folder = Folder::of(&[
        (".gabion.yaml", config),
        ("vendor/a.yaml", "a: ["),
        ("build/a.yaml", "a: ["),
        ("legacy/deep/a.yaml", &root),
        ("a.yaml", &root),
        ("strict/a.yaml", &root.replace("memory: 512Mi, ", "")),
    ]);
    let run = folder.check(&["-o", "json", "."]);
    let found = |name: &str| -> Vec<String> {
        let report = run.json();
        let file =
            report["files"].as_array().unwrap().iter().find(|file| file["name"] == name).cloned();
        let findings = file.unwrap_or_else(|| panic!("{name}: {}", run.out))["findings"].clone();
        let counting = findings
            .as_array()
            .unwrap()
            .iter()
            .filter(|hit| hit["suppressed"].is_null())
            .cloned()
            .collect::<Vec<_>>();
        counting.iter().map(|hit| hit["control"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(found("legacy/deep/a.yaml"), [""; 0]);
    assert_eq!(found("a.yaml"), ["PSS-runAsNonRoot"; 2], "of the pod and of the container");
    assert_eq!(found("strict/a.yaml"), ["PSS-runAsNonRoot", "PSS-runAsNonRoot", "HB-ROFS"]);
    assert_eq!(run.json()["files"].as_array().unwrap().len(), 3, "the rest is left out");
    // A flag wins over the file, for all folders.
    let run = folder.check(&["--profile", "baseline", "."]);
    assert_eq!(run.code, 0, "{}", run.all());
    // Who names a file of a folder that is left out, as a hook does, has it left out too.
    let run = folder.check(&["vendor/a.yaml", "a.yaml"]);
    assert!(!run.out.contains("vendor"), "{}", run.out);
}

#[test]
fn a_slip_in_the_file_is_an_error_before_anything_is_checked() {
    let folder = Folder::of(&[(".gabion.yaml", "skips:\n- HB-ROFS\n"), ("a.yaml", GOOD)]);
    let run = folder.check(&["."]);
    assert_eq!((run.code, run.out.as_str()), (2, ""));
    assert_eq!(
        run.err,
        "error: .gabion.yaml:1:1: skips: unknown field \"skips\"; did you mean skip?\n"
    );
    folder.write(".gabion.yaml", b"skip:\n- {control: HB-ROFFS, reason: x}\n");
    let run = folder.check(&["."]);
    assert!(run.code == 2 && run.err.contains(".gabion.yaml:2:4: skip[0].control: \"HB-ROFFS\" is no control; did you mean HB-ROFS?"), "{}", run.err);
    assert!(
        folder
            .check(&["--config", "gone.yaml", "."])
            .err
            .contains("configuration gone.yaml does not exist")
    );
}

#[test]
fn controls_are_chosen_by_id_and_a_slip_is_answered() {
    let text =
        writable().replace("allowPrivilegeEscalation: false\n", "allowPrivilegeEscalation: true\n");
    let folder = Folder::of(&[("a.yaml", &text)]);
    let found =
        |arguments: &[&str]| folder.check(&[&["-o", "json", "."], arguments].concat()).controls();
    assert_eq!(found(&["--only", "HB-ROFS"]), ["HB-ROFS"]);
    assert_eq!(found(&["--skip", "HB-ROFS"]), ["PSS-allowPrivilegeEscalation"]);
    assert_eq!(found(&["--only", "HB-ROFS", "--skip", "HB-ROFS"]), [""; 0]);
    for flag in ["--only", "--skip", "--explain"] {
        let run = folder.check(&[flag, "HB-ROSF", "."]);
        assert_eq!(run.code, 2);
        assert!(run.err.contains("is no control; did you mean HB-ROFS?"), "{}", run.err);
    }
    // A repair does what is asked for, and nothing else.
    assert_eq!(folder.check(&["--fix", "--only", "PSS-allowPrivilegeEscalation", "."]).code, 1);
    assert_eq!(folder.read("a.yaml"), text, "what somebody wrote is not overridden");
}
