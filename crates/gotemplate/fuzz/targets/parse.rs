//! No text makes the parser panic or overflow its stack, with any delimiters.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/fuzzed/parse.rs"]
mod input;

/// Far above what any input takes, because sanitizers and checks slow this build down.
const SLOW: Duration = Duration::from_secs(5);

fuzz_target!(|bytes: &[u8]| {
    let start = Instant::now();
    input::run(bytes);
    assert!(start.elapsed() < SLOW, "{:?}", start.elapsed());
});
