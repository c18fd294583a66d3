//! What nobody should feed to a checker, and what it says then.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt, symlink},
        process::CommandExt as _,
    },
    process::Command,
};

use super::program::{Folder, GOOD, check_in, check_with, writable};

#[test]
fn a_file_that_is_in_order_is_clean() {
    let folder = Folder::of(&[("good.yaml", GOOD)]);
    let run = folder.check(&["good.yaml"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{}", run.all());
    assert_eq!(run.out, "No findings in 1 object, evaluated by guide\n");
    assert_eq!(folder.check(&["--quiet", "good.yaml"]).out, "");
}

#[test]
fn a_bomb_is_refused_and_the_rest_is_evaluated() {
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
    assert!(
        run.out.contains("No findings in 1 object, evaluated by guide; 4 errors"),
        "{}",
        run.out
    );
}

#[test]
fn a_few_long_texts_and_anchors_within_anchors_are_bombs_too() {
    let texts = format!("a: &a \"{}\"\nb: [{}*a]\n", "x".repeat(1 << 20), "*a,".repeat(500_000));
    let nested: Vec<_> = (0..60).map(|i| format!("&a{i} [")).collect();
    let nested = nested.concat();
    let nested = format!("a: {nested}{}{}\n", vec!["x"; 100_000].join(","), "]".repeat(60));
    for (name, bomb) in [("texts.yaml", texts), ("nested.yaml", nested)] {
        let folder = Folder::of(&[(name, bomb.as_str()), ("bad.yaml", &writable())]);
        let run = folder.check(&["."]);
        assert!(run.out.contains("once its aliases are expanded"), "{name}: {}", run.all());
        assert!(run.code == 1 && run.out.contains("HB-ROFS"), "the rest is evaluated: {}", run.out);
    }
}

#[test]
fn deep_nesting_and_long_lines_are_no_trouble() {
    let folder = Folder::of(&[
        ("a.json", &"[".repeat(1_000_000)),
        ("b.yaml", &"{a: ".repeat(300_000)),
        (
            "c.yaml",
            &format!("a:\n{}", (1..2000).map(|i| " ".repeat(i) + "a:\n").collect::<String>()),
        ),
        ("d.yaml", &"- ".repeat(300_000)),
    ]);
    let run = folder.check(&["."]);
    assert_eq!(run.code, 2, "{}", run.all());
    assert!(run.out.contains("in 0 objects, evaluated by guide; 4 errors"), "{}", run.out);
    let containers = vec!["{\"name\": \"ä\", \"image\": \"a\"}"; 3000].join(", ");
    let long = format!(
        "{{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {{\"name\": \"{}\"}}, \"spec\": {{\"containers\": [{containers}]}}}}",
        "n".repeat(1 << 20)
    );
    let run = Folder::of(&[("long.json", &long)]).check(&[
        "-o",
        "json",
        "--fail-on",
        "never",
        "long.json",
    ]);
    let last = run.json()["files"][0]["findings"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(run.code, 0);
    assert!(last["column"].as_u64().unwrap() > 1 << 20, "{last}");
}

/// The program for somebody who may not read everything, whoever runs the tests.
fn for_anybody(folder: &Folder) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(env!("CARGO_BIN_EXE_gabion"));
    }
    // Below a home folder of the superuser nobody else could start it.
    fs::set_permissions(folder.path(""), PermissionsExt::from_mode(0o755)).unwrap();
    let copy = folder.path("gabion");
    fs::copy(env!("CARGO_BIN_EXE_gabion"), &copy).unwrap();
    let mut command = Command::new(copy);
    command.uid(65_534).gid(65_534);
    command
}

#[test]
fn folders_and_files_that_cannot_be_read_and_loops_do_not_stop_a_walk() {
    let folder = Folder::of(&[
        ("a/good.yaml", GOOD),
        ("b/closed/x.yaml", GOOD),
        ("b/secret.yaml", GOOD),
        (".git/x.yaml", "a: ["),
    ]);
    symlink("..", folder.path("a/up")).unwrap();
    symlink("self.yaml", folder.path("a/self.yaml")).unwrap();
    symlink("nowhere.yaml", folder.path("a/dangling.yaml")).unwrap();
    let (closed, secret) = (folder.path("b/closed"), folder.path("b/secret.yaml"));
    fs::set_permissions(&closed, PermissionsExt::from_mode(0o000)).unwrap();
    fs::set_permissions(&secret, PermissionsExt::from_mode(0o000)).unwrap();
    let run = check_with(for_anybody(&folder), &folder.path(""), &["a", "b"], b"");
    fs::set_permissions(&closed, PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(run.code, 2, "{}", run.all());
    for (name, problem) in [
        ("a/dangling.yaml", "does not exist"),
        ("a/self.yaml", "cannot be read"),
        ("b/closed", "may not be read: grant this user read access"),
        ("b/secret.yaml", "may not be read: grant this user read access"),
    ] {
        let (_, found) = run.out.split_once(name).unwrap_or_else(|| panic!("{name}: {}", run.out));
        assert!(found.lines().nth(1).unwrap().contains(problem), "{name}: {}", run.out);
    }
    // Through the link the folder above is seen too, once.
    assert!(run.out.contains("in 1 object,"), "{}", run.out);
}

#[test]
fn input_without_anything_in_it_is_an_error() {
    let nothing = "holds nothing to evaluate: there is no object";
    for text in ["", "\n\n", "# only a comment\n", "---\n---\n", "\u{FEFF}", "null\n", "~"] {
        let run = Folder::of(&[("x.yaml", text)]).check(&["x.yaml"]);
        let found = run.out.contains(nothing) || run.out.contains("documents without apiVersion");
        assert!(
            found && (run.code == 2 || text.contains(['n', '~'])),
            "{text:?}: {} {}",
            run.code,
            run.all()
        );
        let piped = check_in(&Folder::of(&[]).path(""), &["-"], text.as_bytes());
        assert_eq!(piped.code, run.code, "{text:?}");
    }
    let run = check_in(&Folder::of(&[]).path(""), &["-"], b"");
    assert!(run.out.starts_with("<stdin>\n") && run.code == 2, "{}", run.all());
    // A file with nothing in it beside others is no error, and neither is a list that is empty.
    let folder = Folder::of(&[("empty.yaml", "# later\n"), ("good.yaml", GOOD)]);
    assert_eq!(folder.check(&["."]).code, 0);
    let list =
        check_in(&Folder::of(&[]).path(""), &["-"], b"apiVersion: v1\nkind: List\nitems: []\n");
    assert_eq!(list.code, 0, "{}", list.all());
}

#[test]
fn a_gate_for_reports_does_not_open_without_a_report() {
    let sarif = r#"{"version": "2.1.0", "runs": []}"#;
    let folder = Folder::of(&[
        ("good.yaml", GOOD),
        ("sbom.json", r#"{"bomFormat": "CycloneDX", "components": []}"#),
        ("empty.sarif", sarif),
        ("cut.json", r#"{"SchemaVersion": 2, "ArtifactName": "a", "Results": [{"Vulnerab"#),
        ("clean.json", r#"{"SchemaVersion": 2, "ArtifactName": "a"}"#),
    ]);
    for (name, found) in [
        ("good.yaml", "holds no report of a scanner"),
        (
            "sbom.json",
            "1:1  error     this report cannot be relied on: it has no list of vulnerabilities",
        ),
        ("empty.sarif", "it holds no run"),
        ("cut.json", "1:"),
    ] {
        let run = folder.check(&["--max-critical", "0", name]);
        assert!(run.code == 2 && run.out.contains(found), "{name}: {} {}", run.code, run.all());
    }
    assert_eq!(folder.check(&["--max-critical", "0", "clean.json"]).code, 0);
    assert_eq!(folder.check(&["--max-critical", "many", "clean.json"]).code, 2);
}

#[test]
fn what_has_no_checks_is_listed_once_and_fails_nothing() {
    let text = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: a}\n---\napiVersion: example.com/v1\nkind: Widget\n---\nno: kind\n---\napiVersion: v1\nkind: Endpoints\nmetadata: {name: a}\n";
    let run = Folder::of(&[("w.yaml", text)]).check(&["w.yaml"]);
    assert_eq!(run.code, 0, "{}", run.all());
    let listed =
        "No checks exist for: 2 × Widget.example.com, 1 × documents without apiVersion and kind\n";
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

#[test]
fn a_file_of_fifty_megabytes_is_not_kept() {
    let folder = Folder::of(&[("good.yaml", GOOD)]);
    // Holes on most file systems; the program reads them as zero bytes.
    let file = fs::File::create(folder.path("large.yaml")).unwrap();
    file.set_len(50 << 20).unwrap();
    folder.write("text.json", format!("{{\"a\": \"{}\"}}", "x".repeat(50 << 20)).as_bytes());
    let mut command = Command::new("bash");
    // Ten megabytes are read of each, and the program itself takes its part.
    command.args(["-c", "ulimit -v 600000; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_gabion")]);
    let run = check_with(command, &folder.path(""), &["."], b"");
    assert_eq!(run.code, 2, "{}", run.all());
    assert_eq!(run.out.matches("larger than 10 MiB").count(), 2, "{}", run.out);
}

#[test]
fn many_files_take_the_time_of_many_files() {
    // Each is linked to one text: what takes long is not to write them.
    let folder = Folder::of(&[
        ("0/0.yaml", GOOD),
        (".gabion.yaml", "exclude: [left-out]\noverrides: [{paths: [/left], profile: baseline}]\n"),
    ]);
    for nth in 1..20_000 {
        let name = format!("{}/{nth}.yaml", nth / 100);
        if nth % 100 == 0 {
            fs::create_dir(folder.path(&format!("{}", nth / 100))).unwrap();
        }
        fs::hard_link(folder.path("0/0.yaml"), folder.path(&name)).unwrap();
    }
    // A ring of links through all of them is entered once.
    for nth in 0..200 {
        symlink("../0", folder.path(&format!("{nth}/next"))).unwrap();
        symlink("..", folder.path(&format!("{nth}/up"))).unwrap();
    }
    let run = folder.check(&["--summary", "."]);
    assert_eq!(run.code, 0, "{}", run.all());
    assert!(run.out.contains("No findings in 20000 objects"), "{}", run.out);
}
