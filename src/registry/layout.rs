//! An image layout on disk, as the OCI image specification defines it: what `cosign save`, `skopeo copy`, `crane pull`
//! and `oras cp` write. Nothing here uses the network.
//!
//! A layout holds one image and what belongs to it, so the repository that is asked for does not matter: the digest
//! does.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use hyper::body::Bytes;

use super::{
    Artifacts, Descriptor, Digest, Document, Manifest, RegistryError, Repository, bounds, referrers,
};

/// Bytes of the file that marks a layout.
const MARKER: usize = 4096;
/// The annotation that holds a tag, or a whole reference with one.
const TAG: &str = "org.opencontainers.image.ref.name";
/// The annotation by which `cosign save` tells what an entry is; it gives signatures no tag.
const KIND: &str = "kind";
/// What `cosign save` calls what a registry keeps with such a tag.
const KINDS: [(&str, &str); 2] =
    [(".sig", "dev.cosignproject.cosign/sigs"), (".att", "dev.cosignproject.cosign/atts")];

/// A layout on disk.
#[derive(Clone, Debug)]
pub struct Layout {
    folder: PathBuf,
    place: String,
    entries: Vec<Descriptor>,
}

impl Layout {
    /// Opens a folder that holds `oci-layout`, `index.json` and `blobs/sha256`.
    ///
    /// # Errors
    ///
    /// It is no layout of version 1, or its index is larger than [`bounds`] allow.
    pub fn open(folder: &Path) -> Result<Self, RegistryError> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Marker {
            image_layout_version: String,
        }
        let place = folder.display().to_string();
        let wrong = |what: &str, why: &str| RegistryError::malformed(&place, what, &why);
        let marker = read(&place, &folder.join("oci-layout"), "oci-layout", MARKER)?;
        let marker: Marker = serde_json::from_slice(&marker)
            .map_err(|_| wrong("oci-layout", "it does not name the version of the layout"))?;
        if !marker.image_layout_version.starts_with("1.") {
            return Err(wrong("oci-layout", "only version 1 of the layout is known"));
        }
        let index = read(&place, &folder.join("index.json"), "index.json", bounds::MANIFEST)?;
        let index = Document::with_children(&index, bounds::LAYOUT_ENTRIES)
            .map_err(|why| RegistryError::malformed(&place, "index.json", &why))?;
        Ok(Self { folder: folder.to_owned(), place, entries: index.manifests })
    }

    /// The digests that have no tag derived from another one: those of images, if it holds nothing else.
    pub fn images(&self) -> impl Iterator<Item = &Digest> {
        let is_image = |entry: &&Descriptor| {
            let kind = entry.annotations.get(KIND);
            let is_derived = tag_of(entry).is_some_and(|tag| tag.starts_with("sha256-"));
            !is_derived && !KINDS.iter().any(|(_, own)| kind.is_some_and(|kind| kind == own))
        };
        self.entries.iter().filter(is_image).map(|entry| &entry.digest)
    }

    fn find(&self, tag: &str) -> Result<Option<Digest>, RegistryError> {
        let tagged = |entry: &&Descriptor| tag_of(entry) == Some(tag);
        let mut found: Vec<_> = self.entries.iter().filter(tagged).map(|e| e.digest).collect();
        let kind = KINDS.iter().find(|(suffix, _)| tag.ends_with(suffix));
        if let (true, Some((_, kind))) = (found.is_empty(), kind) {
            let is_kind =
                |entry: &&Descriptor| entry.annotations.get(KIND).is_some_and(|k| k == kind);
            found.extend(self.entries.iter().filter(is_kind).map(|entry| entry.digest));
        }
        found.sort_unstable();
        found.dedup();
        match found.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(*one)),
            _ => Err(RegistryError::malformed(
                &self.place,
                "index.json",
                &format!("several entries have the tag {tag}"),
            )),
        }
    }

    fn content(&self, digest: &Digest, what: &str, limit: usize) -> Result<Bytes, RegistryError> {
        let path = self.folder.join("blobs").join("sha256").join(digest.hex());
        let bytes = read(&self.place, &path, &format!("{what} {digest}"), limit)?;
        let found = Digest::of(&bytes);
        if found == *digest {
            return Ok(bytes.into());
        }
        Err(RegistryError::DigestMismatch { place: self.place.clone(), expected: *digest, found })
    }

    fn read_manifest(&self, digest: &Digest, declared: &str) -> Result<Manifest, RegistryError> {
        let bytes = self.content(digest, "manifest", bounds::MANIFEST)?;
        Ok(Manifest::new(bytes, Some(declared).filter(|kind| !kind.is_empty())))
    }

    /// The entries of the index whose manifests say that they belong to the digest.
    fn subjects(&self, digest: &Digest) -> Result<Vec<Descriptor>, RegistryError> {
        let (mut found, mut left) = (Vec::new(), bounds::LAYOUT_SEARCH);
        for entry in self.entries.iter().filter(|entry| entry.digest != *digest) {
            let manifest = self.read_manifest(&entry.digest, &entry.media_type)?;
            let spent = left.checked_sub(manifest.bytes.len());
            left = spent.ok_or_else(|| {
                RegistryError::large(&self.place, "the sum of manifests", bounds::LAYOUT_SEARCH)
            })?;
            // What cannot be read says nothing on what it belongs to.
            let Ok(document) = manifest.document() else { continue };
            if document.is_about(digest) {
                found.push(Descriptor {
                    artifact_type: document.artifact_type,
                    media_type: manifest.media_type,
                    annotations: document.annotations,
                    ..entry.clone()
                });
            }
        }
        Ok(found)
    }

    fn all_referrers(&self, digest: &Digest) -> Result<Vec<Descriptor>, RegistryError> {
        let mut all = self.subjects(digest)?;
        let tag = digest.tag("");
        if let Some(list) = self.find(&tag)? {
            let list = self.read_manifest(&list, "")?;
            let listed = referrers(&list.bytes);
            all.extend(listed.map_err(|why| RegistryError::malformed(&self.place, tag, &why))?);
        }
        let mut seen = std::collections::BTreeSet::new();
        all.retain(|entry| seen.insert(entry.digest));
        if all.len() > bounds::REFERRERS {
            let (place, limit) = (self.place.clone(), bounds::REFERRERS);
            return Err(RegistryError::TooMany { place, what: "referrers", limit });
        }
        Ok(all)
    }
}

/// The tag of an entry, also where the annotation holds a whole reference.
fn tag_of(entry: &Descriptor) -> Option<&str> {
    let name = entry.annotations.get(TAG)?;
    let name = name.split_once('@').map_or(name.as_str(), |(name, _)| name);
    Some(name.rsplit_once(':').map_or(name, |(_, tag)| tag))
}

/// A file, up to a limit.
fn read(place: &str, path: &Path, what: &str, limit: usize) -> Result<Vec<u8>, RegistryError> {
    let failed = |error: &io::Error| match error.kind() {
        io::ErrorKind::NotFound => {
            RegistryError::NotFound { place: place.to_owned(), what: what.to_owned() }
        }
        kind => RegistryError::Unavailable {
            place: place.to_owned(),
            why: format!("{what} cannot be read: {kind}"),
        },
    };
    // A pipe would be waited for.
    if !std::fs::metadata(path).map_err(|error| failed(&error))?.is_file() {
        return Err(RegistryError::malformed(place, what, &"it is no file"));
    }
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    let opened = File::open(path).map_err(|error| failed(&error))?;
    opened.take(most).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    if bytes.len() > limit {
        return Err(RegistryError::large(place, what, limit));
    }
    Ok(bytes)
}

impl Artifacts for Layout {
    async fn resolve(&self, _: &Repository, tag: &str) -> Result<Digest, RegistryError> {
        self.find(tag)?.ok_or_else(|| RegistryError::NotFound {
            place: self.place.clone(),
            what: format!("entry with the tag {tag}: name the image by its digest"),
        })
    }

    async fn manifest(&self, _: &Repository, digest: &Digest) -> Result<Manifest, RegistryError> {
        let entry = self.entries.iter().find(|entry| entry.digest == *digest);
        self.read_manifest(digest, entry.map_or("", |entry| &entry.media_type))
    }

    async fn blob(
        &self,
        _: &Repository,
        digest: &Digest,
        limit: usize,
    ) -> Result<Bytes, RegistryError> {
        self.content(digest, "blob", limit)
    }

    async fn referrers(
        &self,
        _: &Repository,
        digest: &Digest,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        self.all_referrers(digest)
    }

    async fn tagged(&self, _: &Repository, tag: &str) -> Result<Option<Manifest>, RegistryError> {
        self.find(tag)?.map(|digest| self.read_manifest(&digest, "")).transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::{Value, json};

    use super::*;

    /// A layout that is written blob by blob.
    struct Made {
        folder: tempfile::TempDir,
        entries: Vec<Value>,
    }

    impl Made {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            fs::create_dir_all(folder.path().join("blobs/sha256")).expect("a folder");
            let marker = r#"{"imageLayoutVersion": "1.0.0"}"#;
            fs::write(folder.path().join("oci-layout"), marker).expect("written");
            Self { folder, entries: Vec::new() }
        }

        fn blob(&self, bytes: &[u8]) -> Digest {
            let digest = Digest::of(bytes);
            fs::write(self.path(&digest), bytes).expect("written");
            digest
        }

        fn path(&self, digest: &Digest) -> PathBuf {
            self.folder.path().join("blobs/sha256").join(digest.hex())
        }

        fn entry(&mut self, document: &Value, annotations: &Value) -> Digest {
            let digest = self.blob(document.to_string().as_bytes());
            self.entries.push(json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": digest.to_string(), "size": 1, "annotations": annotations,
            }));
            digest
        }

        fn open(&self) -> Layout {
            let index = json!({"schemaVersion": 2, "manifests": self.entries}).to_string();
            fs::write(self.folder.path().join("index.json"), index).expect("written");
            Layout::open(self.folder.path()).expect("a layout")
        }
    }

    fn repository() -> Repository {
        Repository::parse("reg.test/prod/web").expect("a repository")
    }

    fn signature(of: &Digest, kind: &str) -> Value {
        json!({"artifactType": kind, "layers": [], "subject": {"digest": of.to_string()}})
    }

    #[tokio::test]
    async fn an_image_and_what_belongs_to_it_are_found() {
        let mut made = Made::new();
        let image = made.entry(&json!({"layers": []}), &json!({TAG: "v1"}));
        let other =
            made.entry(&json!({"layers": [], "x": 1}), &json!({TAG: "reg.test/prod/web:v2"}));
        let signed = made.entry(&signature(&image, "bundle"), &json!({}));
        made.entry(&signature(&other, "bundle"), &json!({}));
        let listed = made.blob(signature(&image, "other").to_string().as_bytes());
        let list = json!({"manifests": [
            {"digest": listed.to_string(), "artifactType": "other"},
            {"digest": signed.to_string()},
        ]});
        made.entry(&list, &json!({TAG: image.tag("")}));
        let layout = made.open();
        let repository = repository();

        assert_eq!(layout.resolve(&repository, "v1").await, Ok(image));
        assert_eq!(layout.resolve(&repository, "v2").await, Ok(other));
        let missing = layout.resolve(&repository, "v3").await.expect_err("no such tag");
        assert!(missing.to_string().contains("by its digest"), "{missing}");
        let referrers = layout.referrers(&repository, &image).await.expect("a list");
        let found: Vec<_> =
            referrers.iter().map(|entry| (entry.digest, entry.artifact_type.as_deref())).collect();
        assert_eq!(found, [(signed, Some("bundle")), (listed, Some("other"))]);
        let manifest = layout.manifest(&repository, &signed).await.expect("a manifest");
        assert_eq!((manifest.digest, Digest::of(&manifest.bytes)), (signed, signed));
        assert!(manifest.document().expect("readable").is_about(&image));
    }

    #[tokio::test]
    async fn signatures_are_found_by_tag_and_as_cosign_saves_them() {
        let mut made = Made::new();
        let image =
            made.entry(&json!({"layers": []}), &json!({KIND: "dev.cosignproject.cosign/image"}));
        let saved = made.entry(&json!({"layers": [], "s": 1}), &json!({KIND: KINDS[0].1}));
        let layout = made.open();
        let tagged = |layout: Layout, suffix: &'static str| async move {
            let found = layout.tagged(&repository(), &image.tag(suffix)).await;
            found.map(|found| found.map(|manifest| manifest.digest))
        };
        assert_eq!(tagged(layout.clone(), ".sig").await, Ok(Some(saved)));
        assert_eq!(tagged(layout.clone(), ".att").await, Ok(None));
        assert_eq!(layout.images().collect::<Vec<_>>(), [&image]);

        let by_tag = made.entry(&json!({"layers": [], "s": 2}), &json!({TAG: image.tag(".sig")}));
        assert_eq!(tagged(made.open(), ".sig").await, Ok(Some(by_tag)));
        made.entry(&json!({"layers": [], "s": 3}), &json!({TAG: image.tag(".sig")}));
        let two = tagged(made.open(), ".sig").await.expect_err("two");
        assert!(two.to_string().contains("several entries"), "{two}");
    }

    #[tokio::test]
    async fn content_that_is_not_what_its_name_says_is_told_apart_from_nothing() {
        let mut made = Made::new();
        let image = made.entry(&json!({"layers": []}), &json!({TAG: "v1"}));
        let signed = made.entry(&signature(&image, "bundle"), &json!({}));
        let layout = made.open();
        fs::write(made.path(&signed), "{}").expect("written");
        let error = layout.referrers(&repository(), &image).await.expect_err("forged");
        assert!(matches!(error, RegistryError::DigestMismatch { .. }), "{error}");
        fs::remove_file(made.path(&signed)).expect("removed");
        let error = layout.referrers(&repository(), &image).await.expect_err("missing");
        assert!(matches!(error, RegistryError::NotFound { .. }), "{error}");
        let blob = made.blob(&[0; 11]);
        assert_eq!(layout.blob(&repository(), &blob, 11).await.expect("a blob").len(), 11);
        let error = layout.blob(&repository(), &blob, 10).await.expect_err("too large");
        assert!(matches!(error, RegistryError::TooLarge { limit: 10, .. }), "{error}");
        fs::remove_file(made.path(&blob)).expect("removed");
        fs::create_dir(made.path(&blob)).expect("a folder");
        let error = layout.blob(&repository(), &blob, 10).await.expect_err("a folder");
        assert!(error.to_string().contains("it is no file"), "{error}");
    }

    #[test]
    fn what_is_no_layout_is_refused() {
        let made = Made::new();
        made.open();
        let write = |name: &str, text: &str| {
            fs::write(made.folder.path().join(name), text).expect("written");
            Layout::open(made.folder.path()).expect_err(text).to_string()
        };
        assert!(write("index.json", "[").contains("index.json cannot be read"));
        assert!(
            write("oci-layout", r#"{"imageLayoutVersion": "2.0.0"}"#).contains("only version 1")
        );
        assert!(write("oci-layout", "{}").contains("does not name the version"));
        fs::remove_file(made.folder.path().join("oci-layout")).expect("removed");
        let error = Layout::open(made.folder.path()).expect_err("no layout").to_string();
        assert!(error.ends_with("has no oci-layout"), "{error}");
    }
}
