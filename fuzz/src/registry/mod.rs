//! What reads the words of registries, without what asks them.

#[path = "../../../src/registry/bounds.rs"]
pub mod bounds;
mod client;
#[path = "../../../src/registry/digest.rs"]
mod digest;
#[path = "../../../src/registry/document.rs"]
mod document;
#[path = "../../../src/registry/error.rs"]
mod error;
#[path = "../../../src/registry/reference.rs"]
mod reference;

pub use digest::{Digest, DigestError};
pub use document::{Descriptor, Document, DocumentError, referrers};
pub use error::RegistryError;
pub use reference::{Reference, ReferenceError, Repository};

/// The readers, one for each kind of input.
pub mod fuzz {
    use super::{Document, Reference, client, referrers};

    /// What is read is read again from its full name.
    pub fn reference(text: &str) {
        if let Ok(reference) = Reference::parse(text) {
            assert_eq!(Reference::parse(&reference.to_string()), Ok(reference));
        }
    }

    /// Manifests, indexes and lists.
    pub fn documents(bytes: &[u8]) {
        let _ = Document::parse(bytes);
        let _ = referrers(bytes);
    }

    /// `WWW-Authenticate`.
    pub fn challenge(text: &str) {
        if let Some(challenge) = client::challenge::challenge(text.lines()) {
            let _ = client::realm::question(&challenge, "a/b");
        }
    }

    /// `Link` and `Location`.
    pub fn links(text: &str) {
        let base = http::Uri::from_static("https://reg.test/v2/x");
        let next = client::realm::next_page(text.lines()).unwrap_or(text);
        if let Ok(target) = client::realm::target(next, &base) {
            assert!(!target.host.is_empty() && !target.host.contains('@'));
            let _ = client::realm::makes_tokens("reg.test", "reg.test", &[], &target.host);
        }
    }

    /// The configuration of Docker.
    pub fn docker_config(bytes: &[u8]) {
        let _ = client::credentials::DockerConfig::parse("the file", bytes);
    }
}
