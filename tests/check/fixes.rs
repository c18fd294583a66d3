//! `--fix` on files.

use super::program::Folder;

const PLAIN: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web # keep\nspec:\n  template:\n    spec:\n      containers:\n      - name: web\n        image: registry.example/web:1.2\n        env: [{name: LOG_LEVEL, value: INFO}, {name: LOG_FORMAT, value: json}]\n";

#[test]
fn what_was_fixed_passes_and_a_second_run_changes_nothing() {
    let folder = Folder::of(&[("web.yaml", PLAIN), ("other.txt", "x")]);
    assert_eq!(folder.check(&["web.yaml"]).code, 1);
    let run = folder.check(&["--fix", "web.yaml"]);
    assert_eq!(run.code, 0, "{}", run.out);
    assert!(run.out.starts_with("fixed web.yaml\n"), "{}", run.out);
    let fixed = folder.read("web.yaml");
    assert!(PLAIN.lines().all(|line| fixed.lines().any(|kept| kept == line)), "{fixed}");
    assert_eq!(folder.check(&["web.yaml"]).code, 0, "{fixed}");
    folder.check(&["--fix", "web.yaml"]);
    assert_eq!(folder.read("web.yaml"), fixed);
}

#[test]
fn a_dry_run_shows_the_diff_and_writes_nothing() {
    let folder = Folder::of(&[("web.yaml", PLAIN)]);
    let run = folder.check(&["--fix", "--dry-run", "web.yaml"]);
    assert_eq!(run.code, 1);
    assert!(run.out.starts_with("--- a/web.yaml\n+++ b/web.yaml\n@@ -"), "{}", run.out);
    assert!(run.out.contains("\n+          allowPrivilegeEscalation: false\n"), "{}", run.out);
    assert_eq!(folder.read("web.yaml"), PLAIN);
}

#[test]
fn a_byte_order_mark_and_windows_lines_are_kept() {
    let text = format!("\u{FEFF}{}", PLAIN.replace('\n', "\r\n"));
    let folder = Folder::of(&[("web.yaml", &text)]);
    assert_eq!(folder.check(&["--fix", "web.yaml"]).code, 0);
    let fixed = folder.read("web.yaml");
    assert!(fixed.starts_with("\u{FEFF}apiVersion") && fixed.contains("runAsNonRoot: true\r\n"));
    assert_eq!(fixed.matches('\n').count(), fixed.matches("\r\n").count());
}

#[test]
fn the_diff_applies() {
    let folder = Folder::of(&[("web.yaml", PLAIN), ("same/web.yaml", PLAIN)]);
    let run = folder.check(&["--fix", "--dry-run", "--quiet", "web.yaml"]);
    let diff = run.out.split("\nweb.yaml\n").next().unwrap().to_owned() + "\n";
    folder.write("x.diff", diff.as_bytes());
    let applied = apply(PLAIN, &diff);
    folder.check(&["--fix", "web.yaml"]);
    assert_eq!(applied, folder.read("web.yaml"), "{diff}");
}

/// A unified diff applied to a text.
fn apply(text: &str, diff: &str) -> String {
    let old: Vec<_> = text.lines().collect();
    let (mut new, mut at) = (Vec::new(), 0);
    for line in diff.lines().skip(2) {
        if let Some(head) = line.strip_prefix("@@ -") {
            let start: usize = head.split(',').next().unwrap().parse().unwrap();
            new.extend(&old[at..start - 1]);
            at = start - 1;
        } else if let Some(added) = line.strip_prefix('+') {
            new.push(added);
        } else {
            assert_eq!(old[at], &line[1..]);
            if line.starts_with(' ') {
                new.push(old[at]);
            }
            at += 1;
        }
    }
    new.extend(&old[at..]);
    new.join("\n") + "\n"
}
