//! No path and no secret make `gjson` panic or run on. The first line of an input is the path, the rest the secret.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;

/// Far above what any input takes, because sanitizers and checks slow this build down.
const SLOW: Duration = Duration::from_secs(5);

fuzz_target!(|input: &[u8]| {
    let start = Instant::now();
    let at = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (path, json) = (&input[..at], input.get(at + 1..).unwrap_or_default());
    if let Ok(path) = std::str::from_utf8(path) {
        let _ = gabion::gjson::find(json, path);
    }
    let _ = gabion::gjson::entries(json);
    assert!(start.elapsed() < SLOW, "{:?}", start.elapsed());
});
