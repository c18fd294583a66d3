//! Where the artefacts of an image are read: its manifest, and the signatures and attestations beside it.
//!
//! This module reads bytes and proves that they are the bytes which were asked for: a digest is computed here, never
//! taken from a header. What the bytes mean is not its concern. Whoever may push to a registry, and the registry
//! itself, count as hostile: every answer is bounded before it is read (see [`bounds`]).
//!
//! "There is nothing" ([`Artifacts::tagged`] with `None`, an empty list of [`Artifacts::referrers`]) is only said after
//! each place was asked and said so. Whatever else happens is a [`RegistryError`]: nobody could look.

pub mod bounds;
pub mod client;
mod digest;
mod document;
mod error;
mod layout;
mod reference;

use std::future::Future;

use hyper::body::Bytes;

pub use client::{Client, ClientSettings, HostSettings, Session};
pub use digest::{Digest, DigestError};
pub use document::{Descriptor, Document, DocumentError, referrers};
pub use error::RegistryError;
pub use layout::Layout;
pub use reference::{Reference, ReferenceError, Repository};

/// A manifest or an index, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Computed from `bytes`.
    pub digest: Digest,
    /// What the document says that it is; if it says nothing, what the place says that it is.
    pub media_type: String,
    /// Exactly as they were read.
    pub bytes: Bytes,
}

impl Manifest {
    /// What was read, under its own digest. `declared` is the media type by the place that it was read from.
    pub fn new(bytes: Bytes, declared: Option<&str>) -> Self {
        let digest = Digest::of(&bytes);
        let own = Document::parse(&bytes).ok().and_then(|document| document.media_type);
        let media_type = own.or_else(|| declared.map(ToOwned::to_owned)).unwrap_or_default();
        Self { digest, media_type, bytes }
    }

    /// Its content.
    ///
    /// # Errors
    ///
    /// It is no manifest, or larger than [`bounds`] allow.
    pub fn document(&self) -> Result<Document, DocumentError> {
        Document::parse(&self.bytes)
    }
}

/// A place that holds the artefacts of images: a registry, or an OCI layout on disk.
pub trait Artifacts: Send + Sync {
    /// The digest that a tag has now. Ask once and use the digest throughout: a registry may tell the next asker another.
    fn resolve(
        &self,
        repository: &Repository,
        tag: &str,
    ) -> impl Future<Output = Result<Digest, RegistryError>> + Send;

    /// The manifest or index with this digest.
    fn manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> impl Future<Output = Result<Manifest, RegistryError>> + Send;

    /// The blob with this digest, of at most `limit` bytes.
    fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        limit: usize,
    ) -> impl Future<Output = Result<Bytes, RegistryError>> + Send;

    /// What names this manifest as its subject, by the referrers API and by the tag that stands in for it.
    ///
    /// An entry is a claim of the registry: read the manifest and compare its subject. An entry without `artifact_type`
    /// may be of any type; its manifest says which.
    fn referrers(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> impl Future<Output = Result<Vec<Descriptor>, RegistryError>> + Send;

    /// The manifest with a tag that is derived from a digest ([`Digest::tag`]), such as `sha256-HEX.sig`; `None` only if
    /// the place says that there is none.
    fn tagged(
        &self,
        repository: &Repository,
        tag: &str,
    ) -> impl Future<Output = Result<Option<Manifest>, RegistryError>> + Send;
}
