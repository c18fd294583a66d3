//! The objects of a document.

use serde_json::Value;

use crate::policy::FieldPath;
use crate::policy::Subject;
use crate::policy::WorkloadKind;

/// Lists within lists that are searched.
const DEEPEST_LIST: usize = 4;

/// An object of a document.
#[derive(Debug)]
pub(crate) struct Object<'v> {
    /// It.
    pub(crate) value: &'v Value,
    /// Where it stands in the document: the root, or an item of a list.
    pub(crate) at: FieldPath,
    /// `apiVersion`.
    pub(crate) api_version: &'v str,
    /// `kind`.
    pub(crate) kind: &'v str,
}

impl Object<'_> {
    /// Kind, namespace and name, as far as it has them.
    pub(crate) fn title(&self) -> String {
        let metadata = &self.value["metadata"];
        let text = |key: &str| metadata[key].as_str().filter(|text| !text.is_empty()).map(short);
        let name = text("name").or(text("generateName")).unwrap_or("without a name");
        let kind = short(self.kind);
        match text("namespace") {
            Some(namespace) => format!("{kind} {namespace}/{name}"),
            None => format!("{kind} {name}"),
        }
    }

    /// The pod in it, for kinds that make pods.
    pub(crate) fn subject(&self) -> Option<Subject<'_>> {
        let kind = WorkloadKind::named(self.group(), self.kind)?;
        Some(Subject::of_kind(kind, self.value))
    }

    /// API group, empty for the core.
    pub(crate) fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }
}

/// What fits into a name; each finding repeats it, and a text of megabytes must not be repeated.
pub(crate) fn short(text: &str) -> &str {
    const LONGEST: usize = 253;
    text.char_indices().nth(LONGEST).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// The objects of a document; lists are opened.
pub(crate) fn objects(root: &Value) -> Vec<Object<'_>> {
    let mut found = Vec::new();
    collect(root, &FieldPath::default(), None, 0, &mut found);
    found
}

fn collect<'v>(
    value: &'v Value,
    at: &FieldPath,
    outer: Option<(&'v str, &'v str)>,
    depth: usize,
    found: &mut Vec<Object<'v>>,
) {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let own = text("apiVersion").zip(text("kind"));
    // The API server leaves out what kind the items of a PodList are.
    let Some((api_version, kind)) = own.or(outer) else { return };
    match (kind.strip_suffix("List"), value.get("items").and_then(Value::as_array)) {
        (Some(item), Some(items)) if depth < DEEPEST_LIST => {
            let implied = (!item.is_empty()).then_some((api_version, item));
            for (index, object) in items.iter().enumerate() {
                collect(object, &at.key("items").index(index), implied, depth + 1, found);
            }
        }
        _ => found.push(Object { value, at: at.clone(), api_version, kind }),
    }
}
