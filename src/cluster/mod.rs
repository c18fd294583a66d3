//! Everything that talks to the API server.

mod client;
pub(crate) mod events;
mod fence;
mod key;
pub(crate) mod lease;
pub(crate) mod metadata;
pub(crate) mod queue;
mod requests;
mod tombstones;
mod watch;
pub(crate) mod write;

pub(crate) use client::{Clients, ConnectError, server_minor};
pub(crate) use fence::{Fence, Fenced};
pub(crate) use key::ObjectKey;
pub(crate) use requests::RequestCounts;
pub(crate) use tombstones::{Tombstones, is_older};
pub(crate) use watch::{CacheSync, Change, WatchHealth, follow, follow_if_allowed, until};
