//! The parts of Gabion that are fuzzed, and nothing else of it: so that building them takes a minute.

#![allow(dead_code, missing_docs)]

#[path = "../../src/secrets/plan/property/mod.rs"]
pub mod property;
#[path = "../../src/provider/secret_bytes.rs"]
mod secret_bytes;
#[path = "../../src/template/mod.rs"]
pub mod template;

pub mod provider {
    pub use crate::secret_bytes::SecretBytes;
}

pub mod secrets {
    pub mod plan {
        pub use crate::property;
    }
}
