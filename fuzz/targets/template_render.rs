//! No template and no data make a rendering panic, run on, or write more than the bound.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;

#[path = "../inputs/render.rs"]
mod input;

/// A hundred times what anything may take: this build counts and checks everything, and shares its machine.
const SLOW: Duration = Duration::from_secs(5);

fuzz_target!(|bytes: &[u8]| {
    let start = Instant::now();
    input::run(bytes);
    assert!(start.elapsed() < SLOW, "{:?}", start.elapsed());
});
