//! What `gabion check` says of objects beside what the API server says of them in a dry run that takes no unknown field.
//!
//! One thing is changed at a time in objects that are right: whatever the API server takes must pass, unknown fields and
//! wrong types must be found, and so must the changes in `changes.yaml`. Of all else that the API server refuses, a share
//! is found. `GABION_JUDGES_OBJECTS=1` asks for every change instead of some.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use support::{Failure, Result, eventually};

use crate::{
    agreement::number,
    live::{Api, SOON, plane},
};

const NAMESPACE: &str = "objects-as-files";
/// Requests that are under way at a time.
const AT_ONCE: usize = 16;
/// Of the changes that are made by themselves, every so many is asked for.
const STRIDE: usize = 11;
/// Percent of the values that the API server refuses, and `check` finds.
const LEAST_FOUND: usize = 70;

/// Resources whose names are not the kind with an `s`.
const PLURALS: [(&str, &str); 6] = [
    ("NetworkPolicy", "networkpolicies"),
    ("Ingress", "ingresses"),
    ("IngressClass", "ingressclasses"),
    ("StorageClass", "storageclasses"),
    ("PriorityClass", "priorityclasses"),
    ("LimitRange", "limitranges"),
];
/// Kinds without a namespace.
const OF_CLUSTER: [&str; 7] = [
    "IngressClass",
    "StorageClass",
    "PriorityClass",
    "PersistentVolume",
    "ClusterRole",
    "Namespace",
    "CustomResourceDefinition",
];

/// What is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    /// Nothing.
    None,
    /// A field that nobody knows is added.
    Unknown,
    /// A value has another type.
    Type,
    /// A value is another one, null, or gone.
    Value,
    /// What `changes.yaml` says.
    Written,
}

struct Case {
    change: Change,
    story: String,
    url: String,
    object: Value,
}

#[derive(Deserialize)]
struct Written {
    of: String,
    at: String,
    #[serde(default)]
    value: Value,
}

fn bases() -> Vec<Value> {
    let text = include_str!("objects/bases.yaml");
    serde_saphyr::from_multiple(text).unwrap()
}

fn url(base: &Value) -> String {
    let (api, kind) = (base["apiVersion"].as_str().unwrap(), base["kind"].as_str().unwrap());
    let root = if api.contains('/') { format!("/apis/{api}") } else { "/api/v1".to_owned() };
    let plural = PLURALS.iter().find(|(of, _)| *of == kind).map(|(_, plural)| (*plural).to_owned());
    let plural = plural.unwrap_or_else(|| format!("{}s", kind.to_lowercase()));
    let is_of_cluster = OF_CLUSTER.contains(&kind);
    let namespace = if is_of_cluster { String::new() } else { format!("/namespaces/{NAMESPACE}") };
    format!("{root}{namespace}/{plural}?dryRun=All&fieldValidation=Strict")
}

fn name(base: &Value) -> String {
    let metadata = &base["metadata"];
    let name = metadata["name"].as_str().or(metadata["generateName"].as_str()).unwrap();
    format!("{}/{}", base["kind"].as_str().unwrap(), name.trim_end_matches('-'))
}

/// Kinds in which any key of a map names a resource, or a default must fit its own schema.
fn of_amounts(base: &Value) -> bool {
    let kinds = ["LimitRange", "ResourceQuota", "PersistentVolume", "CustomResourceDefinition"];
    kinds.iter().any(|kind| base["kind"] == *kind)
}

/// Every pointer below a value.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let each: Vec<(String, &Value)> = match value {
        Value::Object(fields) => {
            let escaped = |key: &String| key.replace('~', "~0").replace('/', "~1");
            fields.iter().map(|(key, value)| (escaped(key), value)).collect()
        }
        Value::Array(items) => items.iter().enumerate().map(|(i, v)| (i.to_string(), v)).collect(),
        _ => Vec::new(),
    };
    for (key, value) in each {
        let at = format!("{at}/{key}");
        found.push(at.clone());
        pointers(value, &at, found);
    }
}

/// Puts a value, or takes it away.
fn put(object: &mut Value, at: &str, value: Option<Value>) {
    let (holder, key) = at.rsplit_once('/').unwrap();
    let key = key.replace("~1", "/").replace("~0", "~");
    match object.pointer_mut(holder).unwrap() {
        Value::Array(items) => {
            let index: usize = key.parse().unwrap();
            match value {
                Some(value) => items[index] = value,
                None => drop(items.remove(index)),
            }
        }
        holder => match value {
            Some(value) => holder[key.as_str()] = value,
            None => drop(holder.as_object_mut().unwrap().remove(&key)),
        },
    }
}

/// What becomes of one value.
fn changes(value: &Value) -> Vec<(Change, Option<Value>)> {
    let mut all = vec![(Change::Value, None), (Change::Value, Some(Value::Null))];
    match value {
        Value::Object(fields) => {
            let mut more = fields.clone();
            more.insert("zzz".to_owned(), json!(1));
            all.push((Change::Unknown, Some(Value::Object(more))));
            all.push((Change::Type, Some(json!([1]))));
        }
        Value::Array(_) => all.push((Change::Type, Some(json!("x")))),
        Value::Bool(_) => all.push((Change::Type, Some(json!("true")))),
        Value::Number(number) => {
            all.push((Change::Type, Some(json!(number.to_string()))));
            all.extend([-1, 0, 70_000].map(|number| (Change::Value, Some(json!(number)))));
        }
        Value::String(_) => {
            all.extend([json!({}), json!(1)].map(|value| (Change::Type, Some(value))));
            all.extend(["Non_sense", ""].map(|text| (Change::Value, Some(json!(text)))));
        }
        Value::Null => {}
    }
    all
}

fn cases() -> Vec<Case> {
    let bases = bases();
    let mut made = Vec::new();
    for base in &bases {
        let mut all = Vec::new();
        pointers(base, "", &mut all);
        for at in all.iter().filter(|at| !at.starts_with("/apiVersion") && !at.starts_with("/kind"))
        {
            for (change, value) in changes(base.pointer(at).unwrap()) {
                let change = if of_amounts(base) { Change::Value } else { change };
                let story = format!("{} {at}: {value:?}", name(base));
                let mut object = base.clone();
                put(&mut object, at, value);
                made.push(Case { change, story, url: url(base), object });
            }
        }
    }
    let stride = if number("GABION_JUDGES_OBJECTS", 0) > 0 { 1 } else { STRIDE };
    let mut all: Vec<_> = made.into_iter().step_by(stride).collect();
    let written: Vec<Written> =
        serde_saphyr::from_str(include_str!("objects/changes.yaml")).unwrap();
    for Written { of, at, value } in written {
        let base = bases.iter().find(|base| name(base) == of).unwrap_or_else(|| panic!("{of}"));
        let mut object = base.clone();
        let story = format!("{of} {at}: {value}");
        put(&mut object, &at, Some(value).filter(|value| !value.is_null()));
        all.push(Case { change: Change::Written, story, url: url(base), object });
    }
    for base in &bases {
        let story = name(base);
        all.push(Case { change: Change::None, story, url: url(base), object: base.clone() });
    }
    all
}

/// What `gabion check` says of each case, by its number.
fn said(cases: &[Case], folder: &Path) -> BTreeMap<usize, Vec<String>> {
    for (number, case) in cases.iter().enumerate() {
        let text = serde_json::to_vec(&case.object).unwrap();
        fs::write(folder.join(format!("{number}.json")), text).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_gabion"));
    let only = ["HB-SCHEMA", "HB-API", "HB-INVALID"].map(|id| format!("--only={id}"));
    let arguments = ["check", "-o", "json", "."].map(ToOwned::to_owned).into_iter().chain(only);
    let output = command.args(arguments).current_dir(folder).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut all = BTreeMap::new();
    for file in report["files"].as_array().unwrap() {
        let name = file["name"].as_str().unwrap().trim_end_matches(".json");
        let findings = file["findings"].as_array().unwrap().iter();
        let faults = file["errors"].as_array().unwrap().iter();
        let counting = findings.filter(|finding| finding["note"] == false).chain(faults);
        let texts = counting.map(|finding| finding["message"].to_string());
        all.insert(name.parse().unwrap(), texts.collect());
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_pass_that_the_api_server_takes_and_no_others() -> Result<()> {
    let api = Api(plane()?.client().await?);
    api.namespace(NAMESPACE).await?;
    let (folder, cases) = (tempfile::TempDir::new()?, cases());
    let asked =
        cases.iter().map(|case| api.send("POST", &case.url, "application/json", &case.object));
    let answers: Vec<_> = stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
    let said = said(&cases, folder.path());
    let (mut wrong, mut tally) = (Vec::new(), BTreeMap::<Change, (usize, usize, usize)>::new());
    for (number, (case, answer)) in cases.iter().zip(answers).enumerate() {
        let found = said.get(&number).cloned().unwrap_or_default();
        let (asked, refused, known) = tally.entry(case.change).or_default();
        *asked += 1;
        *refused += usize::from(!answer.is_yes());
        *known += usize::from(!answer.is_yes() && !found.is_empty());
        let must_agree = case.change != Change::Value;
        if answer.is_yes() && !found.is_empty() {
            wrong.push(format!("{}: the API server takes it; said: {found:?}", case.story));
        } else if !answer.is_yes() && found.is_empty() && must_agree {
            wrong.push(format!("{}: nothing is said; {}", case.story, answer.message()));
        }
    }
    say!("objects: (asked, refused, found by check): {tally:?}");
    assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), cases.len());
    let (_, refused, known) = tally[&Change::Value];
    assert!(refused > 80 && known * 100 >= refused * LEAST_FOUND, "{known} of {refused}");
    assert!(tally[&Change::Written].1 > 100 && tally[&Change::Unknown].1 > 10, "{tally:?}");
    if tally[&Change::None].1 > 0 {
        return Err(Failure::new("a base is refused"));
    }
    kinds_of_a_cluster_are_known(&api, folder.path()).await
}

/// A kind that only the cluster knows.
async fn kinds_of_a_cluster_are_known(api: &Api, folder: &Path) -> Result<()> {
    let definition = bases().pop().unwrap();
    api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &definition).await?;
    eventually(SOON, "the schema of Widget is published", || async {
        let answer = api.send("GET", "/openapi/v3/apis/example.com/v1", "", &Value::Null).await;
        let answer = answer.map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        if text.contains("Widget") { Ok(()) } else { Err(answer.message()) }
    })
    .await?;
    let widget = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a"},
        "spec": {"size": 0, "siez": 1}});
    fs::write(folder.join("widget.json"), serde_json::to_vec(&widget)?)?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_gabion"));
    command.args(["check", "--schema", "cluster", "--kubeconfig"]).arg(plane()?.kubeconfig());
    let output = command.arg("widget.json").current_dir(folder).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in ["unknown field \"siez\"; did you mean size?", "0 is beyond the minimum of 1"] {
        assert!(said.contains(part), "{said}{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
