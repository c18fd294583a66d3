//! Schemas that somebody gives: definitions of custom resources, and JSON schemas as kubeconform reads them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, OnceLock};

use regex::Regex;
use serde_json::{Value, json};

use crate::check::{
    input::{self, Input, Origin},
    schema::Schema,
    yaml,
};

/// Text of definitions that is read, in bytes.
const LARGEST: usize = 256 * 1024 * 1024;

/// `ingress-networking-v1.json`: kind, first part of the group, version.
static FLAT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^([a-z0-9]+)(?:-([a-z0-9.]+))?-(v[0-9]+[a-z0-9]*)$").ok());
/// `networking.k8s.io/ingress_v1.json`: kind and version, in a folder of the group.
static GROUPED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^([a-z0-9]+)_(v[0-9]+[a-z0-9]*)$").ok());

/// A JSON schema that is read when it is needed: a catalogue holds thousands.
#[derive(Debug)]
struct File {
    path: PathBuf,
    read: OnceLock<Result<Schema, String>>,
}

/// Schemas by `group/version/kind`, in lower case.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    made: BTreeMap<String, Schema>,
    files: BTreeMap<String, File>,
    bytes: usize,
}

impl Definitions {
    /// The schemas in the files of folders. What is wrong with one is said with its name.
    pub(super) fn of_folders(folders: &[&PathBuf]) -> Result<Self, String> {
        let mut definitions = Self::default();
        for folder in folders {
            let before = definitions.made.len() + definitions.files.len();
            let named = [(*folder).clone()];
            for input in input::inputs(&named, &|_: &Path| false).found {
                definitions.read(&input)?;
            }
            if definitions.made.len() + definitions.files.len() == before {
                return Err(format!(
                    "--schema {} holds no CustomResourceDefinition with a schema, and no JSON schema: name a folder with some",
                    folder.display()
                ));
            }
        }
        Ok(definitions)
    }

    fn read(&mut self, input: &Input) -> Result<(), String> {
        let wrong = |problem: String| format!("--schema: {} {problem}", input.name);
        let origin = input.origin.as_ref().map_err(|problem| wrong(problem.clone()))?;
        if let Origin::File(path) = origin
            && let Some(key) = named(path)
        {
            self.files.insert(key, File { path: path.clone(), read: OnceLock::new() });
            return Ok(());
        }
        let text = input::read(origin, &mut std::io::empty()).map_err(wrong)?.text;
        self.bytes = self.bytes.saturating_add(text.len());
        if self.bytes > LARGEST {
            let bound = LARGEST >> 20;
            return Err(format!("--schema: the files hold more than {bound} MiB: name fewer"));
        }
        // Files of a folder need not be definitions, and a template is none.
        for document in yaml::read(&text).into_iter().flatten() {
            let value = document.root.map(|root| root.to_value()).unwrap_or_default();
            let items = value["items"].as_array().map(Vec::as_slice).unwrap_or_default();
            std::iter::once(&value).chain(items).for_each(|value| self.add(value));
        }
        Ok(())
    }

    /// Adds what a definition says of each of its versions.
    pub(super) fn add(&mut self, crd: &Value) {
        let spec = &crd["spec"];
        let (Some(group), Some(kind)) = (spec["group"].as_str(), spec["names"]["kind"].as_str())
        else {
            return;
        };
        for version in spec["versions"].as_array().into_iter().flatten() {
            let schema = &version["schema"]["openAPIV3Schema"];
            if let Some(name) = version["name"].as_str().filter(|_| schema.is_object()) {
                self.put(group, name, kind, Schema::new(completed(schema.clone())));
            }
        }
    }

    /// Adds a schema.
    pub(super) fn put(&mut self, group: &str, version: &str, kind: &str, schema: Schema) {
        self.made.insert(format!("{group}/{version}/{kind}").to_lowercase(), schema);
    }

    /// The schema of a kind, if one is known.
    pub(super) fn get(&self, key: &str) -> Result<Option<Schema>, String> {
        let key = key.to_lowercase();
        if let Some(schema) = self.made.get(&key) {
            return Ok(Some(schema.clone()));
        }
        let (group, rest) = key.split_once('/').unwrap_or_default();
        let first = group.split('.').next().unwrap_or_default();
        let file = self.files.get(&key).or_else(|| self.files.get(&format!("{first}/{rest}")));
        let Some(file) = file else { return Ok(None) };
        file.read.get_or_init(|| json_schema(&file.path)).clone().map(Some)
    }
}

/// The kind that a JSON schema is for, by the name of its file.
fn named(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?.strip_suffix(".json")?.to_lowercase();
    if let Some(parts) = GROUPED.as_ref().and_then(|form| form.captures(&name)) {
        let group = path.parent()?.file_name()?.to_str()?.to_lowercase();
        return Some(format!("{group}/{}/{}", &parts[2], &parts[1]));
    }
    let parts = FLAT.as_ref()?.captures(&name)?;
    // Without a group it is for a kind of Kubernetes itself, or not a schema.
    Some(format!("{}/{}/{}", parts.get(2)?.as_str(), &parts[3], &parts[1]))
}

fn json_schema(path: &Path) -> Result<Schema, String> {
    let wrong = |problem: String| format!("--schema: {} {problem}", input::shown(path));
    let text = input::read(&Origin::File(path.to_owned()), &mut std::io::empty()).map_err(wrong)?;
    let schema: Value =
        serde_json::from_str(&text.text).map_err(|error| wrong(format!("is no JSON: {error}")))?;
    if !schema.is_object() {
        return Err(wrong("is no schema: a schema is an object".to_owned()));
    }
    Ok(Schema::new(completed(schema)))
}

/// With what the API server adds to every schema. Metadata is evaluated by its own type.
pub(super) fn completed(mut schema: Value) -> Value {
    if schema["properties"].is_object() {
        for key in ["apiVersion", "kind"] {
            schema["properties"][key] = json!({ "type": "string" });
        }
        schema["properties"]["metadata"] = json!({ "type": "object" });
    }
    schema
}

/// A document that several schemas refer to.
pub(super) type Document = Arc<Value>;
