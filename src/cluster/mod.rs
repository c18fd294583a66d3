//! Everything that talks to the API server.

mod client;
mod decode;
pub mod events;
mod fence;
mod key;
pub mod lease;
pub(crate) mod metadata;
mod patience;
pub(crate) mod queue;
mod reader;
mod reader_watch;
mod requests;
mod tombstones;
pub(crate) mod undecodable;
mod watch;
pub mod write;

pub(crate) use client::{Clients, ConnectError, Server, server_minor};
pub use fence::{Fence, Fenced};
pub use key::ObjectKey;
pub(crate) use patience::Patience;
pub(crate) use reader::{ReadError, Reader, Step, Target};
pub(crate) use reader_watch::{Follower, News};
pub use requests::RequestCounts;
pub(crate) use tombstones::Tombstones;
pub(crate) use undecodable::Undecodable;
pub(crate) use watch::{CacheSync, Change, Refusal, Selected, WatchHealth, follow, until};
