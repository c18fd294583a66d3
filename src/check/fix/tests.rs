use super::*;
use crate::check::{baseline::built_in, cross_references::CrossReferences, manifest};

fn findings(text: &str) -> Vec<Located> {
    manifest::check("x.yaml", text, &built_in("guide").unwrap(), &mut CrossReferences::default())
        .findings
}

/// The text after `--fix`, and what remains to be found in it.
fn repaired(text: &str) -> (String, Vec<&'static str>) {
    let rules = built_in("guide").unwrap();
    let fixed = fix(text, &findings(text), &rules);
    assert!(fixed.refused.is_empty(), "{:?}\n{text}", fixed.refused);
    let after = apply(text, &fixed);
    let again = fix(&after, &findings(&after), &rules);
    assert!(again.edits.is_empty(), "a second run changes more: {after}");
    let remaining = findings(&after);
    let failing = remaining.iter().filter(|located| !located.finding.note);
    let mut left: Vec<_> = failing.map(|located| located.finding.control.id.as_str()).collect();
    left.dedup();
    (after, left)
}

const BLOCK: &str = "\
# The shop's front.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web   # do not rename
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      # one container
      containers:
        - name: web
          image: registry.example/web:1.2 # pinned
          env:
            - {name: LOG_LEVEL, value: INFO}
            - {name: LOG_FORMAT, value: json}
          args:
            - |
              a text
              of lines

      # the end
      terminationGracePeriodSeconds: 5
";

#[test]
fn block_style_keeps_comments_order_and_indentation() {
    let (after, left) = repaired(BLOCK);
    assert_eq!(left, [""; 0], "{after}");
    let mut rest = after.lines();
    for line in BLOCK.lines() {
        assert!(rest.any(|kept| kept == line), "{line:?} is gone from\n{after}");
    }
    let context = "          securityContext:\n            allowPrivilegeEscalation: false\n            capabilities:\n              drop: [ALL]\n            readOnlyRootFilesystem: true\n";
    assert!(after.contains(context), "{after}");
    assert!(
        after.contains(
            "      volumes:\n        - name: tmp\n          emptyDir: {}\n        - name: var-log\n"
        ),
        "{after}"
    );
    assert!(
        after.contains(
            "          volumeMounts:\n            - name: tmp\n              mountPath: /tmp\n"
        ),
        "{after}"
    );
}

#[test]
fn dashes_stay_where_the_text_has_them() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - name: a\n    image: a:1\n";
    let (after, left) = repaired(text);
    assert_eq!(left, ["HB-LOG-ENV"], "{after}");
    assert!(after.contains("\n  volumes:\n  - name: tmp\n    emptyDir: {}\n"), "{after}");
    assert!(after.contains("\n    volumeMounts:\n    - name: tmp\n"), "{after}");
}

#[test]
fn flow_style_and_json_stay_what_they_are() {
    let flow = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: 'a:1', securityContext: {}}]}\n";
    let (after, left) = repaired(flow);
    assert_eq!((left.as_slice(), after.lines().count()), (["HB-LOG-ENV"].as_slice(), 4), "{after}");
    assert!(after.contains("securityContext: {allowPrivilegeEscalation: false, "), "{after}");
    let json = "{\n  \"apiVersion\": \"v1\",\n  \"kind\": \"Pod\",\n  \"metadata\": {\"name\": \"a\"},\n  \"spec\": {\n    \"containers\": [\n      {\n        \"name\": \"a\",\n        \"image\": \"a:1\"\n      }\n    ]\n  }\n}\n";
    let (after, left) = repaired(json);
    assert_eq!(left, ["HB-LOG-ENV"], "{after}");
    let value: Value = serde_json::from_str(&after).unwrap_or_else(|e| panic!("{e}: {after}"));
    assert_eq!(value["spec"]["securityContext"]["runAsNonRoot"], true);
    assert!(after.contains("\n        \"securityContext\": {"), "{after}");
}

#[test]
fn windows_lines_and_a_missing_last_line_end_stay() {
    let text = "apiVersion: v1\r\nkind: Pod\r\nmetadata: {name: a}\r\nspec:\r\n  containers:\r\n  - name: a\r\n    image: a:1";
    let (after, _) = repaired(text);
    assert_eq!(after.matches('\n').count(), after.matches("\r\n").count(), "{after:?}");
    assert!(!after.ends_with('\n'));
}

#[test]
fn keys_without_a_value_are_filled() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  securityContext: # to do\n  volumes:\n  containers:\n  - name: a\n    image: a:1\n    resources: ~\n    securityContext: null\n";
    let (after, left) = repaired(text);
    assert_eq!(left, ["HB-LOG-ENV"], "{after}");
    assert!(after.contains("  securityContext: # to do\n    runAsGroup: 1001\n"), "{after}");
}

#[test]
fn several_containers_get_volumes_of_their_own_and_limits_stay_above_requests() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  initContainers:\n  - name: setup\n    image: a:1\n    resources: {limits: {memory: 64Mi}, requests: {cpu: 2}}\n  containers:\n  - name: a\n    image: a:1\n    volumeMounts:\n    - {name: tmp-a, mountPath: /tmp/}\n    - {name: tmp-a, mountPath: /var}\n  volumes:\n  - {name: tmp-a, emptyDir: {}}\n  - {name: tmp-setup, emptyDir: {}}\n";
    let (after, _) = repaired(text);
    assert!(after.contains("- name: tmp-setup-2\n    emptyDir: {}"), "{after}");
    assert!(after.contains("- name: var-log-setup\n"), "{after}");
    assert!(!after.contains("tmp-a-2") && !after.contains("var-log-a"), "{after}");
    assert!(after.contains("requests: {cpu: 2, ephemeral-storage: 500Mi}"), "{after}");
    assert!(after.contains("limits: {memory: 64Mi, cpu: 2, ephemeral-storage: 1Gi}"), "{after}");
}

#[test]
fn what_somebody_wrote_on_purpose_is_left_alone() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - name: a\n    image: a:1\n    securityContext: {privileged: true, runAsUser: 0, readOnlyRootFilesystem: false, capabilities: {add: [SYS_TIME]}}\n";
    let (after, left) = repaired(text);
    assert!(after.contains("{privileged: true, runAsUser: 0, readOnlyRootFilesystem: false, capabilities: {add: [SYS_TIME]}}"), "{after}");
    assert!(!after.contains("runAsNonRoot"), "{after}");
    assert!(left.contains(&"PSS-privileged") && left.contains(&"HB-ROFS"), "{left:?}");
    let ignored = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, annotations: {gabion.dev/ignore-HB-ROFS: writes to opt}}\nspec:\n  containers:\n  - {name: a, image: 'a:1'}\n";
    assert!(!repaired(ignored).0.contains("readOnlyRootFilesystem"));
}

#[test]
fn text_that_others_share_is_left_alone_with_a_reason() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - &c {name: a, image: 'a:1'}\n  initContainers:\n  - *c\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: b}\nspec:\n  containers:\n  - {name: a, image: 'a:1'}\n";
    let fixed = fix(text, &findings(text), &built_in("guide").unwrap());
    assert_eq!(fixed.refused.len(), 1, "{:?}", fixed.refused);
    let after = apply(text, &fixed);
    let (first, second) = after.split_once("---").unwrap();
    assert!(text.starts_with(first) && second.contains("runAsNonRoot: true"), "{after}");
}

#[test]
fn the_diff_shows_what_changes_with_lines_around() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  automountServiceAccountToken: true\n  hostname: x\n";
    let edits = [
        Edit {
            range: text.find("true").unwrap()..text.find("\n  hostname").unwrap(),
            text: "false".into(),
        },
        Edit { range: text.len() - 1..text.len() - 1, text: "\n  y: z".into() },
    ];
    let wanted = "--- a/x.yaml\n+++ b/x.yaml\n@@ -2,5 +2,6 @@\n kind: Pod\n metadata: {name: a}\n spec:\n-  automountServiceAccountToken: true\n+  automountServiceAccountToken: false\n   hostname: x\n+  y: z\n";
    assert_eq!(unified("x.yaml", text, &edit::apply(text, &edits)), wanted);
    assert_eq!(unified("x.yaml", text, text), "");
    let wanted = "--- a/x\n+++ b/x\n@@ -1 +1,2 @@\n-a\n\\ No newline at end of file\n+a\n+b\n\\ No newline at end of file\n";
    assert_eq!(unified("x", "a", "a\nb"), wanted);
}
