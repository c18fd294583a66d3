//! A file gets the verdict that the rules give its objects when they come from the API server.

use std::{collections::BTreeSet, fs, path::Path};

use gabion::policy::Settings;
use gabion::policy::Subject;
use gabion::policy::Target;
use gabion::policy::WorkloadKind;
use gabion::policy::controls;
use gabion::policy::evaluate;
use regex::Regex;
use serde_json::Value;

use super::program::{Folder, GOOD, check_in, writable};

/// Control and field of everything that is wrong with the pods of a text, read by another reader of YAML.
fn by_the_rules(text: &str, profile: &str) -> BTreeSet<(String, String)> {
    let settings = Settings::built_in(profile).unwrap();
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    let mut found = BTreeSet::new();
    for document in &documents {
        let version = document["apiVersion"].as_str().unwrap_or_default();
        let group = version.split_once('/').map_or("", |(group, _)| group);
        let kind = WorkloadKind::named(group, document["kind"].as_str().unwrap_or_default());
        let subject = kind.map(|kind| Subject::of_kind(kind, document));
        let findings = subject.map(|subject| evaluate(&settings, &subject));
        for finding in findings.into_iter().flatten() {
            found.insert((finding.control.id.to_string(), of_the_pod(&finding.path.to_string())));
        }
    }
    found
}

/// What containers inherit from their pod, as a field of the pod: a file says it once for all of them.
fn of_the_pod(field: &str) -> String {
    let inherited = r"\.\w*[cC]ontainers\[\d+\]\.securityContext\.(runAsNonRoot|runAsUser|runAsGroup|seccompProfile)(\.type)?$";
    Regex::new(inherited).unwrap().replace(field, ".securityContext.$1").into_owned()
}

fn by_the_program(folder: &Path, name: &str, profile: &str) -> BTreeSet<(String, String)> {
    let report = check_in(folder, &["-o", "json", "--profile", profile, name], b"").json();
    let findings = report["files"][0]["findings"].as_array().unwrap();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let found = findings.iter();
    let found =
        found.map(|finding| (text(finding, "control"), of_the_pod(&text(finding, "field"))));
    // The others are about what admission does not decide.
    let of_pods = |id: &String| {
        controls::all().any(|control| control.target == Target::Pod && control.id.as_str() == id)
    };
    found.filter(|(control, _)| of_pods(control)).collect()
}

#[test]
fn every_example_gets_the_same_findings_both_ways() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pods = 0;
    for folder in ["examples/guide", "config/operator"] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let name = format!("{folder}/{}", entry.unwrap().file_name().to_string_lossy());
            if Path::new(&name).extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            let text = fs::read_to_string(root.join(&name)).unwrap();
            for profile in Settings::BUILT_IN {
                let wanted = by_the_rules(&text, profile);
                assert_eq!(by_the_program(root, &name, profile), wanted, "{name} by {profile}");
                pods += usize::from(!wanted.is_empty());
            }
        }
    }
    assert!(pods > 5, "only {pods} files had something to find");
}

/// Each line breaks one control, at one place or several.
#[test]
fn broken_pods_get_the_same_findings_both_ways() {
    for (old, new) in [
        (
            "  securityContext:\n    runAsNonRoot",
            "  hostNetwork: true\n  securityContext:\n    runAsNonRoot",
        ),
        ("allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true"),
        ("drop: [ALL]", "drop: [all]"),
        ("{type: RuntimeDefault}", "{type: Unconfined}"),
        ("runAsUser: 1001", "runAsUser: 0"),
        ("runAsNonRoot: true", "runAsNonRoot: false"),
        ("emptyDir: {}", "hostPath: {path: /}"),
        ("memory: 512Mi, ", ""),
        ("app:1.2", "app"),
        ("{name: LOG_LEVEL, value: INFO}", "{name: DB_PASSWORD, value: hunter2}"),
        ("automountServiceAccountToken: false", "automountServiceAccountToken: true"),
    ] {
        let text = GOOD.replace(old, new);
        assert_ne!(text, GOOD, "{old}");
        let wanted = by_the_rules(&text, "guide");
        assert!(!wanted.is_empty(), "{new}");
        let folder = Folder::of(&[("pod.yaml", &text)]);
        assert_eq!(by_the_program(&folder.path(""), "pod.yaml", "guide"), wanted, "{new}");
    }
    assert!(
        by_the_rules(GOOD, "guide").is_empty() && !by_the_rules(&writable(), "guide").is_empty()
    );
}
