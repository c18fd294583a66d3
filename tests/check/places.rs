//! Lines and columns point into the text, however it is written.

use super::program::{Folder, GOOD, check_in, writable};

/// Place and field of the first finding.
fn first(name: &str, text: &str) -> (u64, u64, String) {
    let run = Folder::of(&[(name, text)]).check(&["-o", "json", name]);
    let finding = run.json()["files"][0]["findings"][0].clone();
    let number = |key: &str| finding[key].as_u64().unwrap_or_else(|| panic!("{}", run.all()));
    (number("line"), number("column"), finding["field"].as_str().unwrap().to_owned())
}

const FIELD: &str = "spec.containers[0].securityContext.readOnlyRootFilesystem";

#[test]
fn in_json_the_key_is_pointed_at() {
    let value: serde_json::Value = serde_saphyr::from_str(&writable()).unwrap();
    let pretty = serde_json::to_string_pretty(&value).unwrap();
    let line = pretty.lines().position(|line| line.contains("readOnlyRoot")).unwrap();
    let column = pretty.lines().nth(line).unwrap().find('"').unwrap();
    let wanted = (line as u64 + 1, column as u64 + 1, FIELD.to_owned());
    assert_eq!(first("x.json", &pretty), wanted);
    assert_eq!(first("x.json", &pretty.replace("  ", "\t")).0, wanted.0);
    let one_line = value.to_string();
    let column = one_line.find("\"readOnlyRoot").unwrap();
    assert_eq!(first("x.json", &one_line), (1, column as u64 + 1, FIELD.to_owned()));
}

#[test]
fn later_documents_and_items_of_lists_have_places_of_their_own() {
    let two = format!("# first\n{GOOD}---\n# second\n{}", writable());
    let before = GOOD.lines().count() + 3;
    assert_eq!(first("x.yaml", &two), (before as u64 + 23, 9, FIELD.to_owned()));
    let item = |text: &str| {
        let lines = text.lines().enumerate();
        let lines = lines.map(|(i, line)| format!("  {} {line}\n", if i == 0 { "-" } else { " " }));
        lines.collect::<String>()
    };
    let list = format!("apiVersion: v1\nkind: List\nitems:\n{}{}", item(GOOD), item(&writable()));
    let line = 3 + GOOD.lines().count() + 23;
    assert_eq!(first("x.yaml", &list), (line as u64, 13, format!("items[1].{FIELD}")));
}

#[test]
fn columns_count_characters_and_lines_count_both_line_ends() {
    let flow = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, annotations: {a: 'größe ä😀'}}\nspec: {schedulerName: 'ü😀', hostPID: true, automountServiceAccountToken: false, containers: [{name: a, image: a}]}\n";
    for text in [flow.to_owned(), flow.replace('\n', "\r\n"), format!("\u{FEFF}{flow}")] {
        let (line, column, field) = first("x.yaml", &text);
        assert_eq!((line, column, field.as_str()), (4, 29, "spec.hostPID"), "{text:?}");
    }
    // A surrogate pair of JSON is one character and is read as such.
    let json = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "\ud83d\ude00 \/"}, "spec": {"hostPID": true}}"#;
    let run = check_in(Folder::of(&[]).path("").as_path(), &["-"], json.as_bytes());
    let place = format!("1:{}  critical", json.find("\"hostPID").unwrap() + 1);
    assert!(run.out.contains(&place) && run.out.contains("Pod 😀 /"), "{}", run.all());
}

#[test]
fn a_field_that_is_missing_is_placed_at_what_should_hold_it() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n    - name: a\n      image: a:1\n      securityContext:\n        privileged: false\n";
    let run = Folder::of(&[("x.yaml", text)]).check(&["-o", "json", "x.yaml"]).json();
    let findings = run["files"][0]["findings"].as_array().unwrap().clone();
    let place = |id: &str| {
        let found = findings.iter().find(|finding| finding["control"] == id).unwrap();
        (found["line"].as_u64().unwrap(), found["column"].as_u64().unwrap())
    };
    assert_eq!(place("HB-ROFS"), (8, 7));
    assert_eq!(place("HB-RES"), (6, 7));
    // The pod could say it, and so could the container, which has what would hold it.
    assert_eq!(place("PSS-runAsNonRoot"), (8, 7));
    assert_eq!(place("HB-LOG-ENV"), (6, 7));
}

#[test]
fn what_helm_and_kustomize_pipe_in_is_placed_in_what_they_wrote() {
    let rendered = format!(
        "---\n# Source: shop/templates/empty.yaml\n---\n# Source: shop/templates/pod.yaml\n{}---\n# Source: shop/templates/crd.yaml\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {{name: widgets.example.com}}\n---\n# Source: shop/templates/widget.yaml\napiVersion: example.com/v1\nkind: Widget\nmetadata: {{name: a}}\n---\napiVersion: example.com/v1\nkind: Widget\nmetadata: {{name: b}}\n",
        writable()
    );
    let run = check_in(Folder::of(&[]).path("").as_path(), &["-"], rendered.as_bytes());
    assert_eq!(run.code, 1, "{}", run.all());
    assert!(run.out.starts_with("<stdin>\n"), "{}", run.out);
    let line = 4 + 23;
    assert!(run.out.contains(&format!("{line}:9  high      HB-ROFS")), "{}", run.out);
    let listed = "No checks exist for: 2 × Widget.example.com\n";
    assert!(run.out.ends_with(listed), "{}", run.out);
}
