//! Everything that talks to the API server.

mod client;
mod departed;
pub mod events;
mod fence;
mod key;
pub mod lease;
pub mod metadata;
pub mod queue;
mod requests;
mod watch;
pub mod write;

pub use client::{Clients, ConnectError, server_minor};
pub use departed::{Departed, is_older};
pub use fence::{Fence, Fenced};
pub use key::ObjectKey;
pub use requests::RequestCounts;
pub use watch::{Change, Listed, WatchHealth, follow, follow_if_allowed, until};
