//! `gabion check`.
#![allow(dead_code)]
pub mod yaml;
