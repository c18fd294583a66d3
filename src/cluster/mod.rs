//! Everything that talks to the API server.

mod client;
mod decode;
pub mod events;
mod fence;
mod key;
pub mod lease;
pub(crate) mod metadata;
pub(crate) mod queue;
mod requests;
mod tombstones;
mod watch;
pub mod write;

pub(crate) use client::{Clients, ConnectError, server_minor};
pub use fence::{Fence, Fenced};
pub use key::ObjectKey;
pub use requests::RequestCounts;
pub(crate) use tombstones::Tombstones;
pub(crate) use watch::{CacheSync, Change, Refusal, Undecodable, WatchHealth, follow, until};
