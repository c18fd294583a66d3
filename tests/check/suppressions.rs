//! Findings that somebody has decided to live with.

use super::program::{Folder, Run, writable};

fn run(text: &str) -> Run {
    Folder::of(&[("x.yaml", text)]).check(&["x.yaml"])
}

fn annotated(annotation: &str) -> String {
    writable().replace("{name: good,", &format!("{{name: good, annotations: {{{annotation}}},"))
}

#[test]
fn an_annotation_with_a_reason_covers_its_object_and_is_shown() {
    let run = run(&annotated("gabion.dev/ignore-HB-ROFS: writes to opt"));
    assert_eq!(run.code, 0, "{}", run.out);
    assert!(run.out.contains("23:9  ignored   HB-ROFS"), "{}", run.out);
    assert!(run.out.contains("(reason: writes to opt)"), "{}", run.out);
    assert!(
        run.out.contains("No findings in 1 object, evaluated by guide; 1 ignored finding"),
        "{}",
        run.out
    );
}

#[test]
fn comments_cover_what_is_below_or_beside_them() {
    let comment = "# gabion:ignore HB-ROFS writes to opt\n";
    let container = writable().replace("    - name: app", &format!("    {comment}    - name: app"));
    let beside =
        writable().replace("- name: app", "- name: app # gabion:ignore HB-ROFS,HB-RES opt");
    let document = format!("{comment}{}", writable());
    let field = writable()
        .replace("        readOnlyRoot", &format!("        {comment}        readOnlyRoot"));
    for text in [container, beside, document, field] {
        let run = run(&text);
        assert_eq!(run.code, 0, "{text}\n{}", run.out);
    }
    let elsewhere = writable().replace("  volumes:", &format!("  {comment}  volumes:"));
    let run = run(&elsewhere);
    assert_eq!(run.code, 1);
    assert!(run.out.contains("suppression of HB-ROFS covers no finding; remove it"), "{}", run.out);
}

#[test]
fn a_suppression_that_cannot_count_is_remarked_on() {
    for (annotation, remark) in [
        ("gabion.dev/ignore-HB-ROFS: \"\"", "without a reason does not count"),
        ("gabion.dev/ignore-HB-ROFS: \"  \"", "without a reason does not count"),
        ("gabion.dev/ignore-HB-NOPE: because", "which is no control"),
        ("gabion.dev/ignore-HB-RES: because", "covers no finding"),
    ] {
        let run = run(&annotated(annotation));
        assert_eq!(run.code, 1, "{annotation}");
        assert!(run.out.contains(remark), "{annotation}: {}", run.out);
    }
}

#[test]
fn an_annotation_of_the_pod_template_counts_and_one_of_another_object_does_not() {
    let indented: String =
        writable().lines().skip(3).map(|line| format!("    {line}\n")).collect::<Vec<_>>().concat();
    let deployment = |outer: &str, inner: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web{outer}}}\nspec:\n  selector: {{matchLabels: {{a: b}}}}\n  template:\n    metadata: {{labels: {{a: b}}{inner}}}\n{indented}"
        )
    };
    let ignore = ", annotations: {gabion.dev/ignore-HB-ROFS: opt}";
    assert_eq!(run(&deployment("", "")).code, 1);
    assert_eq!(run(&deployment(ignore, "")).code, 0);
    assert_eq!(run(&deployment("", ignore)).code, 0);
    let two = format!("{}---\n{}", deployment(ignore, ""), deployment("", ""));
    assert_eq!(run(&two).code, 1);
}
