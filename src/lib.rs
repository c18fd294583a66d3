//! Gabion makes a cluster hold what a hardening guide only advises.
//!
//! Data flows one way: watch -> queue -> observe -> decide -> act -> report. [`api`] holds the kinds and
//! nothing else; `plan` modules decide, values in and values out; [`cluster`] is the only code that talks to
//! the API server, [`provider`] the only code that talks to a secret manager and [`registry`] the only code that
//! reads from registries of images; [`secrets`] and
//! [`hardening`] are the controllers; [`check`] applies the rules to files; [`inspect`]
//! and [`ui`] tell people what state a cluster is in, by the survey; [`operator`] wires them and is the
//! only module that sees all others. Which module may import which is a table in `tests/layers`.

#![warn(unreachable_pub)]

pub mod api;
pub mod check;
pub mod cli;
pub mod cluster;
pub mod config;
pub(crate) mod digest;
pub(crate) mod duration;
pub(crate) mod generator;
pub mod gjson;
pub mod hardening;
pub mod inspect;
pub mod lane;
pub(crate) mod marks;
pub mod meta;
pub(crate) mod network_peers;
pub mod operator;
pub(crate) mod outbound;
pub mod policy;
pub mod provider;
pub mod quantity;
pub mod registry;
pub(crate) mod retry;
pub(crate) mod runtime;
pub(crate) mod secret_bytes;
pub mod secrets;
pub(crate) mod survey;
pub mod telemetry;
pub(crate) mod text;
pub mod trust;
pub mod ui;
pub mod verify;
