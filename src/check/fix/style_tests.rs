//! `--fix` on manifests in every style: generated, the same ones each time.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{apply, fix, unified};
use crate::check::{
    baseline::built_in, cross_references::CrossReferences, manifest, report::Located, rules::Rules,
    test_random::TestRandom, yaml,
};

/// How a text is written.
struct Pen {
    random: TestRandom,
    step: usize,
    dash: usize,
    /// One collection in so many is in flow style; 0: none.
    flow: usize,
    comments: bool,
}

impl Pen {
    fn one_in(&mut self, count: usize) -> bool {
        count > 0 && self.random.below(count) == 0
    }

    fn comment(&mut self) -> String {
        if self.comments && self.one_in(3) {
            format!(" # note {}", self.random.below(1000))
        } else {
            String::new()
        }
    }

    fn scalar(&mut self, value: &Value) -> String {
        match value {
            Value::String(text) if yaml::is_plain(text) && !self.one_in(4) => text.clone(),
            Value::String(text) if self.one_in(2) && !text.contains('\'') => format!("'{text}'"),
            Value::Null => (*self.random.one_of(&["~", "null"])).to_owned(),
            other => other.to_string(),
        }
    }

    fn flow(&mut self, value: &Value) -> String {
        match value {
            Value::Object(fields) => {
                let pairs: Vec<_> = fields
                    .iter()
                    .map(|(key, value)| format!("{key}: {}", self.flow(value)))
                    .collect();
                format!("{{{}}}", pairs.join(", "))
            }
            Value::Array(items) => {
                let items: Vec<_> = items.iter().map(|item| self.flow(item)).collect();
                format!("[{}]", items.join(", "))
            }
            scalar => self.scalar(scalar),
        }
    }

    /// What stands behind `key:`.
    fn value(&mut self, into: &mut String, value: &Value, indent: usize) {
        match value {
            Value::Object(fields) if !fields.is_empty() && !self.one_in(self.flow) => {
                writeln!(into, "{}", self.comment()).unwrap();
                self.mapping(into, fields, indent + self.step, false);
            }
            Value::Array(items) if !items.is_empty() && !self.one_in(self.flow) => {
                writeln!(into, "{}", self.comment()).unwrap();
                for item in items {
                    write!(into, "{:1$}- ", "", indent + self.dash).unwrap();
                    match item {
                        Value::Object(fields) => {
                            self.mapping(into, fields, indent + self.dash + 2, true);
                        }
                        other => {
                            writeln!(into, "{}{}", self.scalar(other), self.comment()).unwrap();
                        }
                    }
                }
            }
            // A key may have no value at all.
            Value::Null if self.one_in(2) => writeln!(into, "{}", self.comment()).unwrap(),
            other => writeln!(into, " {}{}", self.flow(other), self.comment()).unwrap(),
        }
    }

    fn mapping(
        &mut self,
        into: &mut String,
        fields: &Map<String, Value>,
        indent: usize,
        begun: bool,
    ) {
        for (number, (key, value)) in fields.iter().enumerate() {
            let first = begun && number == 0;
            if !first && self.comments && self.one_in(5) {
                writeln!(into, "{:indent$}# above {key} {}", "", self.random.below(1000)).unwrap();
            }
            let margin = if first { 0 } else { indent };
            write!(into, "{:margin$}{key}:", "").unwrap();
            self.value(into, value, indent);
        }
    }
}

fn container(random: &mut TestRandom, name: &str) -> Value {
    let mut container = json!({"name": name, "image": "registry.example/app:1.2"});
    let mut set = |key: &str, choices: Vec<Value>| {
        let choice = random.below(choices.len() + 1);
        if let Some(value) = choices.get(choice) {
            container[key] = value.clone();
        }
    };
    set("env", vec![json!([{"name": "LOG_LEVEL", "value": "INFO"}]), json!([])]);
    set(
        "resources",
        vec![
            json!(null),
            json!({}),
            json!({"limits": {"cpu": 2, "memory": "64Mi"}}),
            json!({"requests": {"cpu": "4", "ephemeral-storage": "5Gi"}}),
        ],
    );
    set(
        "securityContext",
        vec![
            json!(null),
            json!({}),
            json!({"readOnlyRootFilesystem": true}),
            json!({"capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["NET_RAW"]}}),
            json!({"runAsUser": 0, "privileged": true}),
            json!({"allowPrivilegeEscalation": true, "readOnlyRootFilesystem": false}),
        ],
    );
    set(
        "volumeMounts",
        vec![
            json!([{"mountPath": "/var/log", "name": "logs"}]),
            json!([{"mountPath": "/tmp/", "name": "tmp"}]),
            json!([]),
            json!(null),
        ],
    );
    container
}

fn spec(random: &mut TestRandom) -> Value {
    let count = 1 + random.below(3);
    // A name that is not ASCII is refused by the API server, and must not trouble us.
    let base = *random.one_of(&["c", "c", "web-é-é-é-é-é-é-é-é-é-é-é-é-é-é-é-é-é-é-é-"]);
    let containers: Vec<_> = (0..count).map(|i| container(random, &format!("{base}{i}"))).collect();
    let mut spec = json!({ "containers": containers });
    if random.below(3) == 0 {
        spec["initContainers"] = json!([container(random, "start")]);
    }
    let mut set = |key: &str, choices: Vec<Value>| {
        let choice = random.below(choices.len() + 1);
        if let Some(value) = choices.get(choice) {
            spec[key] = value.clone();
        }
    };
    set(
        "securityContext",
        vec![
            json!(null),
            json!({}),
            json!({"runAsUser": 0}),
            json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}}),
            json!({"fsGroup": 20}),
        ],
    );
    set("automountServiceAccountToken", vec![json!(true), json!(false)]);
    set(
        "volumes",
        vec![
            json!([{"emptyDir": {}, "name": "tmp"}, {"emptyDir": {}, "name": "logs"}]),
            json!([]),
            json!(null),
        ],
    );
    set("hostname", vec![json!("ünïcode"), json!("yes")]);
    spec
}

fn document(random: &mut TestRandom) -> Value {
    let spec = spec(random);
    match random.below(4) {
        0 => json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec}),
        1 => json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "a"},
            "spec": {"jobTemplate": {"spec": {"template": {"spec": spec}}}}}),
        2 => json!({"apiVersion": "v1", "kind": "List",
            "items": [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec}]}),
        _ => json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"},
            "spec": {"template": {"spec": spec}}}),
    }
}

/// A text of one or several documents.
fn text(seed: u64) -> String {
    let mut random = TestRandom::new(seed);
    let (step, dash) = (*random.one_of(&[2, 2, 2, 4, 3]), *random.one_of(&[0, 2]));
    let (flow, comments) = (*random.one_of(&[0, 0, 6, 2]), random.below(3) > 0);
    let documents: Vec<_> = (0..=random.below(3)).map(|_| document(&mut random)).collect();
    if random.below(8) == 0 {
        // JSON is YAML in flow style, on one line or on many.
        let pretty = random.below(2) == 0;
        let write = if pretty { serde_json::to_string_pretty } else { serde_json::to_string };
        return write(&documents[0]).unwrap() + "\n";
    }
    let mut pen = Pen { random, step, dash, flow, comments };
    let mut text = String::new();
    for document in &documents {
        let fields = document.as_object().unwrap();
        pen.mapping(&mut text, fields, 0, false);
        text += "---\n";
    }
    let text = text.trim_end_matches("---\n").to_owned();
    let text = if pen.one_in(4) { text.trim_end().to_owned() } else { text };
    if pen.one_in(4) { text.replace('\n', "\r\n") } else { text }
}

fn findings(text: &str, rules: &Rules) -> Vec<Located> {
    let report = manifest::check("x.yaml", text, rules, &mut CrossReferences::default());
    assert!(report.faults.is_empty(), "{:?}\n{text}", report.faults);
    report.findings
}

fn values(text: &str) -> Vec<Value> {
    let documents = yaml::read(text).into_iter();
    documents.filter_map(|document| Some(document.unwrap().root?.to_value())).collect()
}

/// Whether everything that was there still is, apart from what was null and the token that is not mounted.
fn holds(after: &Value, before: &Value, key: &str) -> bool {
    match (after, before) {
        (_, Value::Null) => true,
        (Value::Object(after), Value::Object(before)) => before
            .iter()
            .all(|(key, value)| after.get(key).is_some_and(|now| holds(now, value, key))),
        (Value::Array(after), Value::Array(before)) => {
            after.len() >= before.len()
                && before.iter().zip(after).all(|(old, new)| holds(new, old, key))
        }
        _ => after == before || (key == "automountServiceAccountToken" && *after == false),
    }
}

/// Comments, in their order.
fn comments(text: &str) -> Vec<&str> {
    let found = text.lines().filter_map(|line| line.find("# ").map(|at| line[at..].trim_end()));
    found.collect()
}

/// Controls whose remedy is mechanical wherever nothing was set.
const MECHANICAL: [&str; 4] = ["HB-RES", "HB-TOKEN", "HB-LOG-RO", "PSS-seccompProfile_restricted"];

#[test]
fn in_every_style_what_was_written_is_kept_and_what_was_missing_passes() {
    let rules = built_in("guide").unwrap();
    let (mut changed, mut refused) = (0, 0);
    for seed in 0..600 {
        let before = text(seed);
        let found = findings(&before, &rules);
        let fixed = fix(&before, &found, &rules);
        let after = apply(&before, &fixed);
        changed += usize::from(!fixed.edits.is_empty());
        refused += fixed.refused.len();
        let story = || format!("seed {seed}\n{before}\nbecame\n{after}");
        let (old, new) = (values(&before), values(&after));
        assert_eq!(old.len(), new.len(), "{}", story());
        assert!(old.iter().zip(&new).all(|(old, new)| holds(new, old, "")), "{}", story());
        assert_eq!(comments(&before), comments(&after), "{}", story());
        assert_eq!(before.ends_with('\n'), after.ends_with('\n'), "{}", story());
        if before.contains("\r\n") {
            assert_eq!(after.matches('\n').count(), after.matches("\r\n").count(), "{}", story());
        }
        let again = findings(&after, &rules);
        for located in &again {
            let known =
                found.iter().any(|old| old.finding.control.id == located.finding.control.id);
            assert!(known, "{} is new: {}", located.finding.control.id, story());
            if fixed.refused.is_empty() {
                assert!(
                    !MECHANICAL.contains(&located.finding.control.id.as_str()),
                    "{} {}",
                    located.finding.control.id,
                    story()
                );
            }
        }
        let second = fix(&after, &again, &rules);
        assert!(second.edits.is_empty(), "a second run changes more: {}", story());
        let diff = unified("x.yaml", &before, &after);
        assert_eq!(diff.is_empty(), before == after, "{}", story());
        assert_eq!(patched(&before, &diff), after, "{diff}");
    }
    assert!(changed > 500 && refused < 20, "{changed} changed, {refused} refused");
}

/// A text with a unified diff applied.
fn patched(text: &str, diff: &str) -> String {
    let old: Vec<_> = text.split_inclusive('\n').collect();
    let (mut new, mut at, mut open) = (String::new(), 0, false);
    for line in diff.split_inclusive('\n').skip(2) {
        if let Some(head) = line.strip_prefix("@@ -") {
            let start: usize = head.split([',', ' ']).next().unwrap().parse().unwrap();
            new.extend(old[at..start - 1].iter().copied());
            at = start - 1;
        } else if line.starts_with('\\') {
            if open {
                new.pop();
            }
        } else {
            open = !line.starts_with('-');
            if open {
                new += &line[1..];
            }
            at += usize::from(!line.starts_with('+'));
        }
    }
    new.extend(old[at..].iter().copied());
    new
}
