//! The modules of Gabion that are fuzzed, and nothing else of it: the whole operator would take many minutes to build
//! with a sanitizer.

#![allow(dead_code, unreachable_pub, missing_docs)]

#[path = "../../src/gjson/mod.rs"]
pub mod gjson;
#[path = "../../src/provider/secret_bytes.rs"]
mod secret_bytes;

pub mod provider {
    pub use crate::secret_bytes::SecretBytes;
}
