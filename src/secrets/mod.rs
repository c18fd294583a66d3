//! The secrets half: controllers, and the pure decisions in [`plan`].

pub mod plan;
