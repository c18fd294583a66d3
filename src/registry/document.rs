//! Manifests, indexes and lists of referrers, by the OCI image and distribution specifications.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Digest, bounds};

/// The media type that stands for "no type".
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// One manifest or blob, as another document names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// What it is said to be.
    pub media_type: String,
    /// What kind of artefact a manifest is said to be. `None` if nothing is said, or only that it is empty: then the
    /// manifest itself has to be asked.
    pub artifact_type: Option<String>,
    /// Its digest.
    pub digest: Digest,
    /// Its size as it is said to be. Not a bound.
    pub size: u64,
    /// Unsigned remarks.
    pub annotations: BTreeMap<String, String>,
}

/// What a manifest or an index contains. Fields that nobody here needs are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// What it says that it is.
    pub media_type: Option<String>,
    /// What kind of artefact it says that it is: its own `artifactType`, or the media type of its configuration.
    pub artifact_type: Option<String>,
    /// The configuration, of a manifest.
    pub config: Option<Descriptor>,
    /// The layers, of a manifest.
    pub layers: Vec<Descriptor>,
    /// The children, of an index.
    pub manifests: Vec<Descriptor>,
    /// What it belongs to.
    pub subject: Option<Descriptor>,
    /// Unsigned remarks.
    pub annotations: BTreeMap<String, String>,
}

/// Why bytes are no manifest, index or list. The texts repeat nothing of the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The size.
    #[error("it is larger than {} bytes", bounds::MANIFEST)]
    TooLarge,
    /// The nesting.
    #[error("it is nested deeper than {} levels", bounds::DEPTH)]
    TooDeep,
    /// The number of entries.
    #[error("it has more than {0} entries")]
    TooMany(usize),
    /// The JSON.
    #[error("it is not the JSON of a manifest (line {0}, column {1})")]
    Json(usize, usize),
    /// A digest that cannot be compared.
    #[error("it names a digest that is not sha256")]
    Digest,
    /// Another document.
    #[error("it has no list of manifests")]
    NoList,
    /// A manifest and an index at once.
    #[error("it has both layers and manifests, so that readers would disagree on what it is")]
    Ambiguous,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDescriptor {
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    artifact_type: Option<String>,
    digest: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

/// A list, which some registries write as `null` if it is empty.
#[derive(Deserialize)]
#[serde(transparent)]
struct List(Option<Vec<RawDescriptor>>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDocument {
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    artifact_type: Option<String>,
    #[serde(default)]
    config: Option<RawDescriptor>,
    #[serde(default)]
    layers: Option<Vec<RawDescriptor>>,
    #[serde(default, deserialize_with = "present")]
    manifests: Option<List>,
    #[serde(default)]
    subject: Option<RawDescriptor>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

/// Tells `null` from nothing.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<List>, D::Error> {
    List::deserialize(deserializer).map(Some)
}

/// A type that says something.
fn telling(kind: Option<String>) -> Option<String> {
    kind.filter(|kind| !kind.is_empty() && kind != EMPTY)
}

impl RawDescriptor {
    fn read(self) -> Result<Descriptor, DocumentError> {
        Ok(Descriptor {
            media_type: self.media_type.unwrap_or_default(),
            artifact_type: telling(self.artifact_type),
            digest: self.digest.parse().map_err(|_| DocumentError::Digest)?,
            size: self.size,
            annotations: self.annotations.unwrap_or_default(),
        })
    }
}

fn parse(bytes: &[u8]) -> Result<RawDocument, DocumentError> {
    if bytes.len() > bounds::MANIFEST {
        return Err(DocumentError::TooLarge);
    }
    if !is_within_depth(bytes, bounds::DEPTH) {
        return Err(DocumentError::TooDeep);
    }
    // A list would be read as the fields in their order.
    if bytes.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
        return Err(DocumentError::Json(1, 1));
    }
    serde_json::from_slice(bytes).map_err(|error| DocumentError::Json(error.line(), error.column()))
}

/// Whether JSON is nested no deeper than `most`. Of what is no JSON the answer does not matter.
fn is_within_depth(bytes: &[u8], most: usize) -> bool {
    let (mut depth, mut is_text, mut is_escaped) = (0usize, false, false);
    for byte in bytes {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b'{' | b'[' if !is_text => depth += 1,
            b'}' | b']' if !is_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > most {
            return false;
        }
    }
    true
}

fn all(raw: Option<Vec<RawDescriptor>>, most: usize) -> Result<Vec<Descriptor>, DocumentError> {
    let raw = raw.unwrap_or_default();
    if raw.len() > most {
        return Err(DocumentError::TooMany(most));
    }
    raw.into_iter().map(RawDescriptor::read).collect()
}

impl Document {
    /// Reads a manifest or an index.
    ///
    /// # Errors
    ///
    /// It is none, or larger than [`bounds`] allow. A field that occurs twice is an error too.
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        Self::with_children(bytes, bounds::CHILDREN)
    }

    /// The same for an index that may have more children.
    pub(super) fn with_children(bytes: &[u8], most: usize) -> Result<Self, DocumentError> {
        let raw = parse(bytes)?;
        if raw.layers.is_some() && raw.manifests.is_some() {
            return Err(DocumentError::Ambiguous);
        }
        let config = raw.config.map(RawDescriptor::read).transpose()?;
        let by_config = || config.as_ref().map(|config| config.media_type.clone());
        Ok(Self {
            media_type: raw.media_type.filter(|kind| !kind.is_empty()),
            artifact_type: telling(raw.artifact_type).or_else(|| telling(by_config())),
            layers: all(raw.layers, bounds::LAYERS)?,
            manifests: all(raw.manifests.and_then(|list| list.0), most)?,
            subject: raw.subject.map(RawDescriptor::read).transpose()?,
            annotations: raw.annotations.unwrap_or_default(),
            config,
        })
    }

    /// Whether it says that it belongs to the manifest with this digest.
    pub fn is_about(&self, digest: &Digest) -> bool {
        self.subject.as_ref().is_some_and(|subject| subject.digest == *digest)
    }
}

/// Reads a list of referrers: an index by the referrers API, or one with the tag that stands in for it. An entry whose
/// digest is not sha256 cannot be read by anybody here and is left out.
///
/// # Errors
///
/// It is no such list, or has more than [`bounds::REFERRERS`] entries.
pub fn referrers(bytes: &[u8]) -> Result<Vec<Descriptor>, DocumentError> {
    let raw = parse(bytes)?;
    if raw.layers.is_some() {
        return Err(DocumentError::Ambiguous);
    }
    // That nothing is listed must be said by a list.
    let listed = raw.manifests.ok_or(DocumentError::NoList)?.0.unwrap_or_default();
    if listed.len() > bounds::REFERRERS {
        return Err(DocumentError::TooMany(bounds::REFERRERS));
    }
    Ok(listed.into_iter().filter_map(|entry| entry.read().ok()).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn entry(nth: usize) -> Value {
        let digest = Digest::of(&nth.to_le_bytes()).to_string();
        json!({"mediaType": "m", "digest": digest, "size": 3, "artifactType": "t"})
    }

    fn read(value: &Value) -> Result<Document, DocumentError> {
        Document::parse(value.to_string().as_bytes())
    }

    #[test]
    fn a_manifest_tells_its_type_by_itself_or_by_its_configuration() {
        let about = Digest::of(b"image");
        let mut manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactType": "a", "config": entry(1), "layers": [entry(2)],
            "subject": {"digest": about.to_string()}, "annotations": null, "unknown": [[{}]],
        });
        let document = read(&manifest).expect("a manifest");
        assert_eq!(document.artifact_type.as_deref(), Some("a"));
        assert!(document.is_about(&about) && !document.is_about(&Digest::of(b"")));
        assert_eq!((document.layers.len(), document.layers[0].size), (1, 3));
        for none in ["", EMPTY] {
            manifest["artifactType"] = json!(none);
            let document = read(&manifest).expect("a manifest");
            assert_eq!(document.artifact_type.as_deref(), Some("m"));
        }
        manifest["config"]["mediaType"] = json!(EMPTY);
        assert_eq!(read(&manifest).expect("a manifest").artifact_type, None);
    }

    #[test]
    fn hostile_documents_are_refused_with_the_reason() {
        let bad = json!({"digest": "sha512:00"});
        let deep = format!("{{\"x\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        let twice = br#"{"layers": [], "layers": []}"#;
        let many: Vec<_> = (0..65).map(entry).collect();
        for (got, why) in [
            (read(&json!({"layers": [], "manifests": []})), DocumentError::Ambiguous),
            (read(&json!({"layers": [bad]})), DocumentError::Digest),
            (read(&json!({"subject": bad})), DocumentError::Digest),
            (read(&json!({"manifests": many})), DocumentError::TooMany(64)),
            (Document::parse(deep.as_bytes()), DocumentError::TooDeep),
            (Document::parse(twice), DocumentError::Json(1, 23)),
            (Document::parse(b""), DocumentError::Json(1, 0)),
            (Document::parse(b"{} x"), DocumentError::Json(1, 4)),
            (Document::parse(b" []"), DocumentError::Json(1, 1)),
            (Document::parse(&vec![b' '; bounds::MANIFEST + 1]), DocumentError::TooLarge),
        ] {
            assert_eq!(got, Err(why));
        }
    }

    #[test]
    fn a_list_of_referrers_leaves_out_what_cannot_be_compared() {
        let list =
            |entries: Vec<Value>| referrers(json!({"manifests": entries}).to_string().as_bytes());
        let mut empty = entry(1);
        empty["artifactType"] = json!(EMPTY);
        let found = list(vec![json!({"digest": "sha512:00"}), empty, entry(2)]).expect("a list");
        let types: Vec<_> = found.iter().map(|entry| entry.artifact_type.as_deref()).collect();
        assert_eq!(types, [None, Some("t")]);
        assert_eq!(list((0..200).map(entry).collect()).expect("a list").len(), 200);
        assert_eq!(list((0..201).map(entry).collect()), Err(DocumentError::TooMany(200)));
        assert_eq!(referrers(b"{\"layers\":[]}"), Err(DocumentError::Ambiguous));
        assert_eq!(referrers(b"{\"manifests\": null}"), Ok(Vec::new()));
        assert_eq!(referrers(b"{\"errors\": []}"), Err(DocumentError::NoList));
        assert_eq!(referrers(b"[]"), Err(DocumentError::Json(1, 1)));
    }

    proptest! {
        #[test]
        fn depth_is_counted_as_a_parser_counts_it(text in r#"[\[\]{}":,\\a1 ]{0,24}"#) {
            fn depth(value: &Value) -> usize {
                let inner = |all: Vec<&Value>| 1 + all.into_iter().map(depth).max().unwrap_or(0);
                match value {
                    Value::Array(all) => inner(all.iter().collect()),
                    Value::Object(all) => inner(all.values().collect()),
                    _ => 0,
                }
            }
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                let depth = depth(&value);
                prop_assert!(is_within_depth(text.as_bytes(), depth));
                prop_assert!(depth == 0 || !is_within_depth(text.as_bytes(), depth - 1));
            }
        }

        #[test]
        fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Document::parse(&bytes);
            let _ = referrers(&bytes);
        }
    }
}
