//! Known findings: only new ones fail.

use std::fs;

use super::program::{Folder, check_in, writable};

#[test]
fn only_new_findings_fail_and_moved_lines_are_not_new() {
    let folder = Folder::of(&[
        ("deploy/a.yaml", &writable()),
        ("Dockerfile", "FROM alpine:3.20\nRUN true\n"),
    ]);
    assert_eq!(folder.check(&["."]).code, 1);
    let run = folder.check(&["--write-baseline-file", "known.json", "."]);
    assert_eq!(run.code, 0, "{}", run.all());
    assert!(run.out.contains("Wrote known.json"), "{}", run.out);
    assert_eq!(folder.check(&["--baseline-file", "known.json", "."]).code, 0);

    // Lines move, a container comes first, an instruction comes before.
    let moved = format!("# a comment\n\n{}", writable());
    let side = "  - {name: side, image: 'registry.example/side:1.0', securityContext: {readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}, env: [{name: LOG_LEVEL, value: a}, {name: LOG_FORMAT, value: b}], resources: {limits: {memory: 1Gi, cpu: 1, ephemeral-storage: 1Gi}}}\n";
    let moved = moved.replace("  containers:\n", &format!("  containers:\n  {side}"));
    folder.write("deploy/a.yaml", moved.as_bytes());
    folder.write("Dockerfile", b"# later\n\nFROM alpine:3.20\nRUN false\nRUN true\n");
    let run = folder.check(&["--baseline-file", "known.json", "."]);
    assert_eq!(run.code, 0, "{}", run.all());
    assert!(run.out.contains("known finding"), "{}", run.out);
    // From another folder it is the same.
    let run =
        check_in(&folder.path("deploy"), &["--baseline-file", "../known.json", "a.yaml"], b"");
    assert_eq!(run.code, 0, "{}", run.all());

    // The same wrong thing in another container is new.
    folder.write(
        "deploy/a.yaml",
        moved.replace("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false").as_bytes(),
    );
    let run = folder.check(&["--baseline-file", "known.json", "."]);
    assert_eq!(run.code, 1, "{}", run.all());
    assert!(
        run.out.contains("container \"side\" can write")
            && !run.out.contains("container \"app\" can write"),
        "{}",
        run.out
    );
}

#[test]
fn what_is_gone_is_said_and_what_was_not_looked_at_is_not() {
    let folder = Folder::of(&[
        ("a.yaml", &writable()),
        ("b.yaml", &writable()),
        (".gabion.yaml", "baselineFile: known.json\n"),
    ]);
    let run = folder.check(&["."]);
    assert!(
        run.code == 2
            && run.err.contains("known.json does not exist: make it with --write-baseline-file"),
        "{}",
        run.all()
    );
    assert_eq!(folder.check(&["--write-baseline-file", "known.json", "."]).code, 0);
    assert_eq!(folder.check(&["."]).code, 0, "the configuration names it");
    folder.write("a.yaml", super::program::GOOD.as_bytes());
    let run = folder.check(&["."]);
    assert_eq!(run.code, 0);
    assert!(
        run.out.contains("Gone since known.json was written: 1 finding. Write it anew"),
        "{}",
        run.out
    );
    assert!(run.out.contains("  a.yaml HB-ROFS Pod shop/good\n"), "{}", run.out);
    assert!(!folder.check(&["b.yaml"]).out.contains("Gone since"), "a.yaml was not looked at");
    fs::remove_file(folder.path("a.yaml")).unwrap();
    assert!(folder.check(&["b.yaml"]).out.contains("a.yaml HB-ROFS"), "its file is gone");
    assert_eq!(folder.check(&["-o", "json", "."]).json()["gone"].as_array().unwrap().len(), 1);
}

#[test]
fn one_finding_that_is_known_hides_no_second_one_like_it() {
    let folder = Folder::of(&[("a.yaml", &writable())]);
    folder.check(&["--write-baseline-file", "known.json", "."]);
    folder.write("a.yaml", format!("{}---\n{}", writable(), writable()).as_bytes());
    let run = folder.check(&["--baseline-file", "known.json", "."]);
    assert_eq!(run.code, 1, "{}", run.all());
    assert!(
        run.out.contains("1 finding (1 high)") && run.out.contains("1 known finding"),
        "{}",
        run.out
    );
}

#[test]
fn a_list_that_is_none_is_refused_and_holds_no_values() {
    let text = writable().replace("LOG_LEVEL, value: INFO", "DB_PASSWORD, value: swordfish-9000");
    let folder = Folder::of(&[("a.yaml", &text)]);
    assert_eq!(folder.check(&["--write-baseline-file", "known.json", "."]).code, 0);
    let list = folder.read("known.json");
    assert!(list.contains("HB-SECRET-LITERAL") && !list.contains("swordfish"), "{list}");
    for (text, said) in [
        ("[]", "is none"),
        ("{\"version\": 2, \"findings\": []}", "of another version"),
        ("", "is none"),
    ] {
        folder.write("known.json", text.as_bytes());
        let run = folder.check(&["--baseline-file", "known.json", "."]);
        assert!(run.code == 2 && run.err.contains(said), "{text}: {}", run.all());
    }
    let run = folder.check(&["--write-baseline-file", "nowhere/known.json", "."]);
    assert!(run.code != 0 && run.out.contains("cannot be written"), "{}", run.all());
    // What cannot be read is no known finding.
    let broken = Folder::of(&[("a.yaml", "a: [")]);
    assert_eq!(broken.check(&["--write-baseline-file", "known.json", "."]).code, 2);
}
