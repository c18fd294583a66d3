//! What somebody meets who runs the program on manifests as they are found everywhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde_json::Value;

use super::program::{Folder, GOOD, check_in};

/// Severities from the mildest on.
const SEVERITIES: [&str; 4] = ["low", "medium", "high", "critical"];

/// The gravest finding at each place, as an index of [`SEVERITIES`].
fn gravest(folder: &Folder, profile: &str) -> BTreeMap<(u64, u64), usize> {
    let report = folder.check(&["--profile", profile, "-o", "json", "x.yaml"]).json();
    let mut found = BTreeMap::new();
    for finding in report["files"][0]["findings"].as_array().unwrap() {
        let number = |field: &str| finding[field].as_u64().unwrap();
        let severity = SEVERITIES.iter().position(|severity| finding["severity"] == **severity);
        let known: &mut usize = found.entry((number("line"), number("column"))).or_default();
        *known = (*known).max(severity.unwrap());
    }
    found
}

#[test]
fn check_3_a_stricter_profile_uses_no_milder_word() {
    let of_pod = |line: &str| GOOD.replace("spec:\n", &format!("spec:\n  {line}\n"));
    let of_container = |line: &str| {
        GOOD.replace(
            "        allowPrivilegeEscalation: false\n",
            &format!("        allowPrivilegeEscalation: false\n        {line}\n"),
        )
    };
    let volume =
        |kind: &str| GOOD.replace("{name: tmp, emptyDir: {}}", &format!("{{name: tmp, {kind}}}"));
    let pods = [
        volume("hostPath: {path: /var/run/docker.sock}"),
        volume("hostPath: {path: /}"),
        volume("hostPath: {path: /etc, type: Directory}"),
        volume("nfs: {server: s, path: /}"),
        of_pod("hostNetwork: true"),
        of_pod("hostPID: true"),
        of_pod("hostIPC: true"),
        of_container("privileged: true"),
        of_container("procMount: Unmasked"),
        of_container("seccompProfile: {type: Unconfined}"),
        of_container("appArmorProfile: {type: Unconfined}"),
        of_container("seLinuxOptions: {type: spc_t}"),
        of_container("windowsOptions: {hostProcess: true}"),
        GOOD.replace("add: [NET_BIND_SERVICE]", "add: [SYS_ADMIN]"),
        GOOD.replace("add: [NET_BIND_SERVICE]", "add: [NET_RAW, ALL]"),
        GOOD.replace(
            "      env:",
            "      ports: [{containerPort: 8080, hostPort: 80}]\n      env:",
        ),
        GOOD.replace(
            "    fsGroup: 1001\n",
            "    fsGroup: 1001\n    sysctls: [{name: kernel.msgmax, value: '1'}]\n",
        ),
    ];
    for pod in &pods {
        let folder = Folder::of(&[("x.yaml", pod)]);
        let mut before = BTreeMap::new();
        for profile in ["baseline", "restricted", "guide"] {
            let found = gravest(&folder, profile);
            for (place, severity) in &before {
                let now = found.get(place);
                assert!(now >= Some(severity), "{profile} says {now:?} at {place:?} of\n{pod}");
            }
            // And what stops a build under the milder one stops it under the stricter.
            let worst = before.values().max().copied();
            if let Some(worst) = worst {
                let run =
                    folder.check(&["--profile", profile, "--fail-on", SEVERITIES[worst], "x.yaml"]);
                assert_eq!(run.code, 1, "{profile}: {}", run.out);
            }
            before = found;
        }
        assert!(!before.is_empty(), "nothing is wrong with\n{pod}");
    }
}

/// A workload as most are: it says nothing of what the guide asks for.
const BARE: &str = "\
apiVersion: v1
kind: List
items:
  - apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web, namespace: shop}
    spec:
      selector: {matchLabels: {app: web}}
      template:
        metadata: {labels: {app: web}}
        spec:
          initContainers:
            - {name: prepare, image: 'registry.example/a:1'}
          containers:
            - {name: web, image: 'registry.example/b:1'}
            - {name: side, image: 'registry.example/c:1'}
  - apiVersion: batch/v1
    kind: CronJob
    metadata: {name: nightly, namespace: shop}
    spec:
      schedule: '0 1 * * *'
      jobTemplate:
        spec:
          template:
            spec:
              restartPolicy: Never
              containers:
                - {name: one, image: 'registry.example/b:1'}
                - {name: two, image: 'registry.example/c:1'}
";

#[test]
fn check_5_everything_is_said_once_and_summed_up() {
    let folder = Folder::of(&[("x.yaml", BARE)]);
    let run = folder.check(&["x.yaml"]);
    let (mut places, mut said) = (BTreeSet::new(), BTreeMap::new());
    for line in run.out.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [place, severity, control, ..] = words[..]
            && SEVERITIES.contains(&severity)
            && place.contains(':')
        {
            assert!(places.insert((place, control)), "twice: {line}");
            *said.entry(control).or_insert(0) += 1;
        }
    }
    // Once for each of the two workloads: one line of the pod puts it right.
    for control in ["PSS-runAsNonRoot", "PSS-seccompProfile_restricted", "HB-UID", "HB-GID"] {
        assert_eq!(said.get(control), Some(&2), "{control}: {}", run.out);
    }
    // Once for each container: only there can it be put right.
    for control in ["HB-ROFS", "PSS-allowPrivilegeEscalation", "HB-RES"] {
        assert_eq!(said.get(control), Some(&5), "{control}: {}", run.out);
    }
    let total = |control: &str, out: &str| {
        let fits = |line: &str| {
            let mut words = line.split_whitespace();
            let number = words.next().and_then(|number| number.parse::<u32>().ok());
            number.filter(|_| words.nth(1) == Some(control))
        };
        out.lines().find_map(fits)
    };
    let summary = folder.check(&["--summary", "x.yaml"]);
    for out in [&run.out, &summary.out] {
        assert_eq!(total("HB-ROFS", out), Some(5), "{out}");
        assert_eq!(total("PSS-runAsNonRoot", out), Some(2), "{out}");
    }
    assert!(summary.out.lines().count() < 15, "{}", summary.out);
    // What a project does not want is left out by one word.
    let run = folder.check(&["--skip", "HB-RES,HB-LOG-ENV", "x.yaml"]);
    assert_eq!(run.code, 1, "{}", run.all());
    assert!(!run.out.contains("HB-RES ") && !run.out.contains("HB-LOG-ENV "), "{}", run.out);
    let run = folder.check(&["--only", "HB-RES,HB-LOG-ENV", "x.yaml"]);
    assert!(run.out.contains("HB-RES ") && !run.out.contains("HB-ROFS "), "{}", run.out);
}

#[test]
fn check_6_own_examples_keep_the_own_rules_or_give_a_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in
        ["examples/guide/logging.yaml", "examples", "config/operator", "config", "Dockerfile"]
    {
        let run = check_in(root, &["-o", "json", name], b"");
        assert_eq!(run.code, 0, "{name}: {}", run.all());
        let report = run.json();
        assert!(report["summary"]["objects"].as_u64().unwrap() > 0, "{name} is evaluated");
        let files = report["files"].as_array().unwrap();
        for finding in files.iter().flat_map(|file| file["findings"].as_array().unwrap()) {
            let reason = finding["suppressed"].as_str().unwrap_or_default();
            assert!(finding["note"] == Value::Bool(true) || reason.len() > 10, "{name}: {finding}");
        }
    }
}

#[test]
fn check_10_what_is_said_helps() {
    // A slip in JSON is no template, and a template is one.
    for (name, text, is_template) in [
        ("x.json", r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {{"name": "x"}}}"#, false),
        (
            "x.json",
            r#"{"apiVersion": "v1", "kind": "Pod", "x": "{{ pod }}", "metadata": {]}"#,
            false,
        ),
        ("x.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {labels: {{}}}\n", false),
        (
            "x.json",
            r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": {{ quote .x }}}}"#,
            true,
        ),
        (
            "x.yaml",
            "apiVersion: v1\nkind: Pod\nmetadata: {name: \"{{ default \"a\" .x }}\"}\n",
            true,
        ),
    ] {
        let run = Folder::of(&[(name, text)]).check(&[name]);
        assert_eq!(run.code, 2, "{text}: {}", run.all());
        assert_eq!(run.out.contains("looks like a template"), is_template, "{text}: {}", run.out);
    }
    // No text about a user without a user.
    for user in ["\"\"", "''", "$NOBODY", "${NOBODY:-}", ":1000"] {
        // Another base may set what nobody sets here.
        let file = format!("FROM scratch\nUSER {user}\n");
        let run = Folder::of(&[("Dockerfile", &file)]).check(&["Dockerfile"]);
        assert!(run.code == 1 && run.out.contains("is empty"), "{user}: {}", run.out);
        assert!(!run.out.contains("is a name"), "{user}: {}", run.out);
    }
    let run = Folder::of(&[("Dockerfile", "FROM scratch\nUSER\n")]).check(&["Dockerfile"]);
    assert!(run.code == 2 && run.out.contains("USER") && run.out.contains("2:1"), "{}", run.out);
    let file =
        "FROM registry.example/x:1\nRUN <<EOF cat > /etc/x\nEXPOSE 22\nUSER root\nEOF\nUSER 1000\n";
    let run = Folder::of(&[("Dockerfile", file)]).check(&["--fail-on", "high", "Dockerfile"]);
    assert_eq!(run.code, 0, "{}", run.all());
    // Nobody is sent to ask for what there is not.
    let token =
        GOOD.replace("automountServiceAccountToken: false", "automountServiceAccountToken: true");
    let run = Folder::of(&[("x.yaml", &token)]).check(&["x.yaml"]);
    assert!(run.out.contains("HB-TOKEN") && !run.out.contains("exception"), "{}", run.out);
}

/// `make try`, which is what people run first. The script itself looks at each exit code.
#[test]
fn what_is_tried_first_goes_from_findings_to_none() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("dev/try/run.sh");
    let mut command = std::process::Command::new(script);
    let run = command.env("GABION", env!("CARGO_BIN_EXE_gabion")).output().unwrap();
    let out = String::from_utf8(run.stdout).unwrap();
    assert!(run.status.success(), "{out}{}", String::from_utf8_lossy(&run.stderr));
    for part in ["13 findings (5 high, 8 medium)", "+            readOnlyRootFilesystem: true"] {
        assert!(out.contains(part), "{part}: {out}");
    }
    assert!(out.trim_end().contains("No findings in 1 object"), "{out}");
}
