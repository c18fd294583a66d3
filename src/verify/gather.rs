//! Reads everything beside an image that may be a signature, within bounds.

use std::collections::BTreeSet;

use crate::{
    registry::{Artifacts, Descriptor, Digest, Document, Manifest, RegistryError, Repository},
    trust::{Candidate, Format, Reason, Refusal, bundle, legacy},
};

/// Candidates of one format that are read for one image.
const READ: usize = 24;
/// Bytes that are read for one image, manifests included.
const BYTES: usize = 32 << 20;
/// The unsigned remark of cosign on what a bundle says. It decides what is read first, and nothing else.
const PREDICATE: &str = "dev.sigstore.bundle.predicateType";
const NOTATION: &str = "application/vnd.cncf.notary.signature";

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// What may be a signature.
    pub(super) candidates: Vec<Candidate>,
    /// Why something could not be read; the first of several.
    pub(super) unread: Option<RegistryError>,
}

struct Gathering<'a, A> {
    artifacts: &'a A,
    repository: &'a Repository,
    image: &'a Digest,
    found: Gathered,
    reads: usize,
    bytes: usize,
}

/// Reads what may be a signature of the image with this digest, in these formats.
pub(super) async fn gather<A: Artifacts>(
    artifacts: &A,
    repository: &Repository,
    image: &Digest,
    formats: &BTreeSet<Format>,
) -> Gathered {
    let found = Gathered::default();
    let mut gathering =
        Gathering { artifacts, repository, image, found, reads: READ, bytes: BYTES };
    if formats.contains(&Format::Bundle) {
        gathering.bundles().await;
    }
    if formats.contains(&Format::Legacy) {
        gathering.legacy().await;
    }
    gathering.found
}

impl<A: Artifacts> Gathering<'_, A> {
    async fn bundles(&mut self) {
        let origin = "the referrers";
        let listed = match self.artifacts.referrers(self.repository, self.image).await {
            Ok(listed) => listed,
            Err(error) => return self.failed(Format::Bundle, origin, error),
        };
        let may_be = |entry: &Descriptor| {
            entry
                .artifact_type
                .as_deref()
                .is_none_or(|kind| bundle::is_bundle(kind) || kind == NOTATION)
        };
        let is_other = |entry: &Descriptor| {
            entry.annotations.get(PREDICATE).is_none_or(|kind| kind != bundle::SIGNATURE)
        };
        let mut listed: Vec<_> = listed.into_iter().filter(may_be).collect();
        listed.sort_by_key(is_other);
        for entry in listed {
            if !self.may_read(Format::Bundle) {
                return;
            }
            let origin = format!("referrer {}", entry.digest);
            match self.bundle(&entry, &origin).await {
                Ok(Some(candidate)) => self.found.candidates.push(candidate),
                Ok(None) => {}
                Err(error) => self.failed(Format::Bundle, &origin, error),
            }
        }
    }

    /// One referrer. `None` if it is no signature of any known kind.
    async fn bundle(
        &mut self,
        entry: &Descriptor,
        origin: &str,
    ) -> Result<Option<Candidate>, RegistryError> {
        let refused = |reason, detail: &str| {
            let refusal = Refusal { reason, detail: detail.to_owned() };
            let origin = origin.to_owned();
            Ok(Some(Candidate::Unusable { format: Format::Bundle, origin, refusal }))
        };
        let manifest = self.artifacts.manifest(self.repository, &entry.digest).await?;
        self.spend(manifest.bytes.len());
        let Ok(document) = manifest.document() else {
            return refused(Reason::UnsupportedBundle, "its manifest cannot be read");
        };
        if manifest.digest != entry.digest || !document.is_about(self.image) {
            return refused(Reason::DigestMismatch, "its manifest names another subject");
        }
        let kind = document.artifact_type.as_deref().unwrap_or_default();
        if kind == NOTATION {
            let what = "signed in a format that Gabion does not verify (Notation)";
            return refused(Reason::NotationUnsupported, what);
        }
        if !bundle::is_bundle(kind) {
            return Ok(None);
        }
        if !bundle::is_known(kind) {
            return refused(Reason::UnsupportedBundle, "its version is not known; 0.2 and 0.3 are");
        }
        let [layer] = document.layers.as_slice() else {
            return refused(Reason::UnsupportedBundle, "its manifest has not exactly one layer");
        };
        if !bundle::is_known(&layer.media_type) {
            return refused(Reason::UnsupportedBundle, "its layer is no bundle");
        }
        let bytes = self.artifacts.blob(self.repository, &layer.digest, bundle::LARGEST).await?;
        self.spend(bytes.len());
        Ok(Some(Candidate::Bundle { origin: origin.to_owned(), bytes }))
    }

    async fn legacy(&mut self) {
        self.reads = READ;
        let tag = self.image.tag(".sig");
        let origin = format!("tag {tag}");
        let manifest: Manifest = match self.artifacts.tagged(self.repository, &tag).await {
            Ok(Some(manifest)) => manifest,
            Ok(None) => return,
            Err(error) => return self.failed(Format::Legacy, &origin, error),
        };
        self.spend(manifest.bytes.len());
        let Ok(document) = manifest.document() else {
            let what = "its manifest cannot be read";
            return self.unusable(Format::Legacy, &origin, Reason::UnsupportedBundle, what);
        };
        if document.layers.len() > legacy::LAYERS {
            let what = "more than 100 signatures under one tag";
            return self.unusable(Format::Legacy, &origin, Reason::TooManySignatures, what);
        }
        self.layers(&document).await;
    }

    async fn layers(&mut self, document: &Document) {
        for (nth, layer) in document.layers.iter().enumerate() {
            let origin = format!("simple signature {}", nth + 1);
            let signature = layer.annotations.get(legacy::SIGNATURE);
            let (legacy::PAYLOAD, Some(signature)) = (layer.media_type.as_str(), signature) else {
                let what = "it is no payload with a signature";
                self.unusable(Format::Legacy, &origin, Reason::UnsupportedBundle, what);
                continue;
            };
            if !self.may_read(Format::Legacy) {
                return;
            }
            match self.artifacts.blob(self.repository, &layer.digest, legacy::LARGEST).await {
                Ok(payload) => {
                    self.spend(payload.len());
                    self.found.candidates.push(Candidate::Legacy {
                        origin,
                        payload,
                        signature: signature.clone(),
                        has_certificate: layer.annotations.contains_key(legacy::CERTIFICATE),
                    });
                }
                Err(error) => self.failed(Format::Legacy, &origin, error),
            }
        }
    }

    /// Whether one more may be read. If not, that is told.
    fn may_read(&mut self, format: Format) -> bool {
        if self.reads == 0 || self.bytes == 0 {
            let what =
                format!("more signatures than the {READ} or the {} MiB that are read", BYTES >> 20);
            self.unusable(format, "what is left", Reason::TooManySignatures, &what);
            return false;
        }
        self.reads -= 1;
        true
    }

    fn spend(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    fn unusable(&mut self, format: Format, origin: &str, reason: Reason, detail: &str) {
        let refusal = Refusal { reason, detail: detail.to_owned() };
        let origin = origin.to_owned();
        self.found.candidates.push(Candidate::Unusable { format, origin, refusal });
    }

    /// What was found instead is a verdict; that nobody could look is none.
    fn failed(&mut self, format: Format, origin: &str, error: RegistryError) {
        let reason = match &error {
            RegistryError::DigestMismatch { .. } => Reason::DigestMismatch,
            RegistryError::TooMany { .. } => Reason::TooManySignatures,
            RegistryError::TooLarge { .. } | RegistryError::Malformed { .. } => {
                Reason::UnsupportedBundle
            }
            _ => {
                self.found.unread.get_or_insert(error);
                return;
            }
        };
        self.unusable(format, origin, reason, &error.to_string());
    }
}
