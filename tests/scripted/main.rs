//! What is sent to the API server, request by request, and what comes of it when a request fails.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]
#![allow(clippy::unused_self, clippy::needless_pass_by_value)]

mod election;
mod events;
mod script;
mod writer;
