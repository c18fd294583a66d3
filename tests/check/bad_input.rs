//! What nobody should feed to a checker, and what it says then.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::program::{Folder, GOOD, check_in, writable};

#[test]
fn a_file_that_is_in_order_is_clean() {
    let folder = Folder::of(&[("good.yaml", GOOD)]);
    let run = folder.check(&["good.yaml"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{}", run.all());
    assert_eq!(run.out, "No findings in 1 object, judged by guide\n");
    assert_eq!(folder.check(&["--quiet", "good.yaml"]).out, "");
}

#[test]
fn a_bomb_is_refused_and_the_rest_is_judged() {
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for i in 1..20 {
        let list = vec![format!("*a{}", i - 1); 9].join(",");
        bomb = format!("{bomb}a{i}: &a{i} [{list}]\n");
    }
    let folder = Folder::of(&[("bomb.yaml", &bomb), ("bad.yaml", &writable())]);
    let run = folder.check(&["."]);
    assert_eq!(run.code, 1, "{}", run.all());
    assert!(run.out.contains("bomb.yaml\n") && run.out.contains("once its aliases are expanded"));
    assert!(run.out.contains("HB-ROFS"));
    assert_eq!(folder.check(&["bomb.yaml"]).code, 2);
}

#[test]
fn a_key_given_twice_is_an_error_with_both_lines() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  hostPID: true\n  containers: []\n  hostPID: false\n";
    let run = Folder::of(&[("twice.yaml", text)]).check(&["twice.yaml"]);
    assert_eq!(run.code, 2);
    assert!(run.out.contains("7:3  error     key \"hostPID\" is given twice"), "{}", run.out);
    assert!(run.out.contains("the first is on line 5"), "{}", run.out);
}

#[test]
fn large_and_binary_files_are_refused() {
    let folder = Folder::of(&[("good.yaml", GOOD)]);
    folder.write("large.yaml", format!("a: {}\n", "x".repeat(11 << 20)).as_bytes());
    folder.write("binary.yaml", b"a: \0\x01");
    folder.write("wide.yaml", b"\xFF\xFEa\0");
    folder.write("latin.yaml", b"a: \xE9\n");
    let run = folder.check(&["."]);
    assert_eq!(run.code, 2);
    for part in ["larger than 10 MiB", "is a binary file", "is UTF-16", "is not text in UTF-8"] {
        assert!(run.out.contains(part), "{part}: {}", run.out);
    }
    assert!(run.out.contains("No findings in 1 object, judged by guide; 4 errors"), "{}", run.out);
}

#[test]
fn folders_that_cannot_be_read_and_loops_do_not_stop_a_walk() {
    let folder =
        Folder::of(&[("a/good.yaml", GOOD), ("b/closed/x.yaml", GOOD), (".git/x.yaml", "a: [")]);
    symlink("..", folder.path("a/up")).unwrap();
    symlink("nowhere.yaml", folder.path("a/dangling.yaml")).unwrap();
    let closed = folder.path("b/closed");
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o000)).unwrap();
    // The superuser reads everything.
    let readable = std::fs::read_dir(&closed).is_ok();
    let run = folder.check(&["a", "b"]);
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(run.code, 2, "{}", run.all());
    assert!(
        run.out.contains("a/dangling.yaml\n") && run.out.contains("does not exist"),
        "{}",
        run.out
    );
    let closed = run.out.contains("b/closed\n") && run.out.contains("may not be read");
    assert!(readable || closed, "{}", run.out);
    // Through the link the folder above is seen too, once.
    let judged = if readable { "in 2 objects" } else { "in 1 object," };
    assert!(run.out.contains(judged), "{}", run.out);
}

#[test]
fn what_has_no_checks_is_listed_once_and_fails_nothing() {
    let text = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\n---\napiVersion: example.com/v1\nkind: Widget\n---\nno: kind\n---\napiVersion: v1\nkind: ConfigMap\n";
    let run = Folder::of(&[("w.yaml", text)]).check(&["w.yaml"]);
    assert_eq!(run.code, 0, "{}", run.all());
    let listed = "No checks exist for: 1 × ConfigMap, 2 × Widget.example.com, 1 × documents without apiVersion and kind\n";
    assert!(run.out.ends_with(listed), "{}", run.out);
}

#[test]
fn a_dockerfile_that_does_not_parse_is_an_error_with_its_line() {
    let run = Folder::of(&[("Dockerfile", "FROM scratch\nUSER 1\nFOO x\n")]).check(&["Dockerfile"]);
    assert_eq!(run.code, 2);
    assert!(run.out.contains("3:1  error     not a Dockerfile: "), "{}", run.out);
}

#[test]
fn windows_lines_and_a_byte_order_mark_are_fine() {
    let text = format!("\u{FEFF}{}", writable().replace('\n', "\r\n"));
    let run = Folder::of(&[("crlf.yaml", &text)]).check(&["-o", "json", "crlf.yaml"]);
    assert_eq!((run.code, run.controls()), (1, vec!["HB-ROFS".to_owned()]));
    let finding = run.json()["files"][0]["findings"][0].clone();
    assert_eq!((finding["line"].as_u64(), finding["column"].as_u64()), (Some(23), Some(9)));
}

#[test]
fn a_baseline_with_an_unknown_field_is_refused_with_file_and_line() {
    let baseline = "apiVersion: gabion.dev/v1alpha1\nkind: HardeningBaseline\nmetadata: {name: prod}\nspec:\n  allNamespaces: true\n  podSecurty: {level: baseline}\n";
    let folder = Folder::of(&[("b.yaml", baseline), ("good.yaml", GOOD)]);
    let run = folder.check(&["--baseline", "b.yaml", "good.yaml"]);
    assert_eq!((run.code, run.out.as_str()), (2, ""));
    assert!(run.err.contains("b.yaml:6:3: spec.podSecurty: unknown field"), "{}", run.err);
    assert!(run.err.contains("did you mean podSecurity?"), "{}", run.err);
}

#[test]
fn wrong_usage_says_what_to_do() {
    let folder = Folder::of(&[("good.yaml", GOOD), ("readme.txt", "x")]);
    for (arguments, hint) in [
        (vec![], "<PATH>"),
        (vec!["--profile", "strict", "."], "guide"),
        (vec!["--format", "xml", "."], "sarif"),
        (vec!["--dry-run", "."], "--fix"),
        (vec!["--fix", "-"], "name a file"),
        (vec!["--fix", "--dry-run", "-o", "json", "."], "--format text"),
        (vec!["missing.yaml"], "does not exist: correct the path"),
        (vec!["--baseline", "missing.yaml", "."], "does not exist"),
    ] {
        let run = folder.check(&arguments);
        assert_eq!(run.code, 2, "{arguments:?}: {}", run.all());
        assert!(run.all().contains(hint), "{arguments:?} does not say {hint:?}: {}", run.all());
    }
    let empty = Folder::of(&[("readme.txt", "x")]).check(&["."]);
    assert_eq!(empty.code, 2);
    assert!(empty.out.contains("holds no manifest, Dockerfile or report"), "{}", empty.out);
}

#[test]
fn templates_are_recognised_and_standard_input_is_read() {
    let folder =
        Folder::of(&[("t.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: {{ .Name }}}\n")]);
    let run = folder.check(&["t.yaml"]);
    assert!(run.code == 2 && run.out.contains("helm template"), "{}", run.out);
    let run = check_in(&folder.path(""), &["-"], writable().as_bytes());
    assert_eq!(run.code, 1, "{}", run.all());
    assert!(run.out.starts_with("<stdin>\n") && run.out.contains("HB-ROFS"), "{}", run.out);
    let dockerfile = check_in(&folder.path(""), &["-o", "json", "-"], b"# x\nFROM scratch\n");
    assert_eq!(dockerfile.controls(), ["HB-DF-USER"]);
}

#[test]
fn names_cannot_steer_a_terminal() {
    let text = writable().replace("name: good", "name: \"\\e[31mred\\nline\"");
    let run = Folder::of(&[("x.yaml", &text)]).check(&["x.yaml"]);
    assert!(run.code == 1 && !run.out.contains('\u{1b}'), "{}", run.out);
}
