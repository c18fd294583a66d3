//! The modules of Gabion that are fuzzed, and nothing else of it: the whole operator would take many minutes to build
//! with a sanitizer.

#![allow(dead_code, unreachable_pub)]

#[path = "../../src/gjson/mod.rs"]
pub mod gjson;
mod policy;
pub mod registry;
#[path = "../../src/secret_bytes.rs"]
mod secret_bytes;
#[path = "../../src/text.rs"]
mod text;
