use super::*;

fn programs(text: &str) -> Vec<String> {
    steps(text).iter().map(|step| step.program().to_owned()).collect()
}

#[test]
fn commands_are_told_apart() {
    let found = steps(
        "apt-get update && apt-get install -y curl; X=1 sudo /bin/sh -c 'a && b' | tee x || true\n",
    );
    let programs: Vec<_> = found.iter().map(|step| (step.program(), step.piped)).collect();
    let wanted = [
        ("apt-get", false),
        ("apt-get", false),
        ("sh", true),
        ("tee", false),
        ("a", false),
        ("b", false),
        ("true", false),
    ];
    assert_eq!(programs, wanted);
    assert_eq!(found[2].words.last().map(String::as_str), Some("'a && b'"));
}

#[test]
fn commands_within_commands_are_read() {
    for (text, wanted) in [
        ("x $(curl a | jq .b)", &["x", "curl", "jq"][..]),
        ("x \"`curl a`\"", &["x", "curl"]),
        ("bash <(curl a)", &["bash", "curl"]),
        ("(cd /x && make)", &["cd", "make"]),
        (
            "case $x in make) gcc;; ninja|cmake) (ant) ;; esac; cc",
            &["case", "gcc", "ant", "esac", "cc"],
        ),
        ("case $x in\n make)\n gcc\n ;;\n *) ;;\nesac\n(make)", &["case", "gcc", "esac", "make"]),
        ("command -v make && command make", &["command", "make"]),
        (r"sh -c $'a \'b\'; c'", &["sh", "a", "c"]),
        ("a=$((1+2)); b", &["b"]),
        ("sh -ec \"make \\\"$(nproc)\\\"\"", &["sh", "nproc", "make", "nproc"]),
        ("bash -o pipefail -c 'a | b'", &["bash", "a", "b"]),
        ("sudo -u app bash -lc 'a'", &["bash", "a"]),
        ("su - app -c 'a'", &["su", "a"]),
        ("eval 'a; b'", &["eval", "a", "b"]),
        ("timeout 30 curl x", &["curl"]),
        ("for f in a b; do make; done", &["for", "make", "done"]),
        ("a # b; c\nd", &["a", "d"]),
        ("a '# b' \"; c\" \\; d", &["a"]),
        ("cat > x <<EOF\nmake\nEOF\nb", &["cat", "b"]),
        ("bash <<-'E'\n\tmake\n\tE\nb", &["bash", "make", "b"]),
        ("a <<< b\nc", &["a", "c"]),
        ("a 2>&1 | b &> c & d", &["a", "b", "d"]),
    ] {
        let found: Vec<_> = programs(text).into_iter().filter(|one| !one.is_empty()).collect();
        assert_eq!(found, wanted, "{text}");
    }
}

#[test]
fn what_follows_a_group_follows_its_last_command() {
    for text in ["(curl a) | sh", "{ curl a; } | sh"] {
        let found = steps(text);
        assert!(found[0].piped, "{text}: {found:?}");
    }
}

#[test]
fn programs_from_the_input_are_told_from_data() {
    let reads = |text: &str| steps(text)[0].reads_program();
    for text in [
        "sh",
        "bash -s -- -y",
        "bash -",
        "sh -ex",
        "python3",
        "python3 -",
        "perl",
        "node",
        "bash 2>&1",
        "sudo -E bash -",
        "bash /dev/stdin x",
    ] {
        assert!(reads(text), "{text}");
    }
    for text in [
        "sh x.sh",
        "bash -c x",
        "python3 -c 'import json'",
        "python3 -m json.tool",
        "python3.11 parse.py",
        "perl -ne print",
        "ruby -e x",
        "node -p x",
        "php -r x",
        "jq .a",
        "bash <(a)",
    ] {
        assert!(!reads(text), "{text}");
    }
}

#[test]
fn any_text_is_read_and_ends() {
    for text in [
        "'", "\"", "`", "$(", "<(", "<<", "<<-", "\\", "((((", "))))", "a <<E", "\"$(\"`", "|",
        "&&", "$((", "",
    ] {
        steps(text);
        steps(&text.repeat(500));
    }
    let deep = format!("{}a{}", "$(".repeat(20_000), ")".repeat(20_000));
    steps(&deep);
}
