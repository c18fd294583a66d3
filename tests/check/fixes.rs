//! `--fix` on files.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt, symlink},
};

use super::program::Folder;

const PLAIN: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web # keep\nspec:\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec:\n      containers:\n      - name: web\n        image: registry.example/web:1.2\n        env: [{name: LOG_LEVEL, value: INFO}, {name: LOG_FORMAT, value: json}]\n";

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
fn a_file_is_replaced_at_once_and_keeps_its_mode() {
    let folder = Folder::of(&[("web.yaml", PLAIN)]);
    let path = folder.path("web.yaml");
    fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    let old = fs::metadata(&path).unwrap().ino();
    // Whoever has the file open reads the old text to its end.
    let mut reader = fs::File::open(&path).unwrap();
    assert_eq!(folder.check(&["--fix", "web.yaml"]).code, 0);
    let mut text = String::new();
    std::io::Read::read_to_string(&mut reader, &mut text).unwrap();
    assert_eq!(text, PLAIN);
    let new = fs::metadata(&path).unwrap();
    assert_eq!(new.permissions().mode() & 0o777, 0o600);
    assert_ne!(new.ino(), old, "written beside it and renamed");
    assert_eq!(fs::read_dir(folder.path("")).unwrap().count(), 1, "nothing is left beside it");
    let after = folder.read("web.yaml");
    folder.check(&["--fix", "web.yaml"]);
    assert_eq!(fs::metadata(&path).unwrap().ino(), new.ino(), "what is in order is not written");
    assert_eq!(folder.read("web.yaml"), after);
}

#[test]
fn no_link_leads_a_repair_out_of_the_folder() {
    let outside = Folder::of(&[("web.yaml", PLAIN)]);
    let folder = Folder::of(&[("own.yaml", PLAIN)]);
    symlink(outside.path("web.yaml"), folder.path("link.yaml")).unwrap();
    symlink(outside.path(""), folder.path("away")).unwrap();
    let run = folder.check(&["--fix", "."]);
    assert_eq!(run.code, 1, "{}", run.all());
    assert_eq!(outside.read("web.yaml"), PLAIN);
    assert_ne!(folder.read("own.yaml"), PLAIN);
    for text in [
        "away/web.yaml\n",
        "lies outside of the folder",
        "link.yaml\n",
        "is a link, and --fix writes",
    ] {
        assert!(run.out.contains(text), "{text}: {}", run.out);
    }
    assert!(fs::symlink_metadata(folder.path("link.yaml")).unwrap().file_type().is_symlink());
    let locked = Folder::of(&[("web.yaml", PLAIN)]);
    fs::set_permissions(locked.path("web.yaml"), PermissionsExt::from_mode(0o444)).unwrap();
    let run = locked.check(&["--fix", "web.yaml"]);
    assert!(run.code == 1 && run.out.contains("its mode forbids it"), "{}", run.all());
    assert_eq!(locked.read("web.yaml"), PLAIN);
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
