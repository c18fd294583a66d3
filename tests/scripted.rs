//! What is sent to the API server, request by request, and what comes of it when a request fails.
#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, clippy::panic)]
#![allow(dead_code, clippy::unused_self, clippy::needless_pass_by_value)]

mod support;

#[path = "support/secrets_manager.rs"]
mod secrets_manager;

#[path = "support/audit.rs"]
mod audit;
#[path = "secrets/kinds.rs"]
mod kinds;
#[path = "secrets/scene.rs"]
mod scene;
#[path = "secrets/world.rs"]
mod world;

#[path = "scripted/election.rs"]
mod election;
#[path = "scripted/events.rs"]
mod events;
#[path = "scripted/faults.rs"]
mod faults;
#[path = "scripted/proxy.rs"]
mod proxy;
#[path = "scripted/script.rs"]
mod script;
#[path = "scripted/writer.rs"]
mod writer;
