//! No reference, manifest, list of referrers or header of a registry makes its reader panic or run on. The first byte
//! chooses the reader.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;

/// Far above what any input takes, because sanitizers and checks slow this build down.
const SLOW: Duration = Duration::from_secs(5);

fuzz_target!(|input: &[u8]| {
    let start = Instant::now();
    let Some((which, rest)) = input.split_first() else { return };
    let text = std::str::from_utf8(rest).unwrap_or_default();
    match which % 5 {
        0 => gabion::registry::fuzz::reference(text),
        1 => gabion::registry::fuzz::documents(rest),
        2 => gabion::registry::fuzz::challenge(text),
        3 => gabion::registry::fuzz::links(text),
        _ => gabion::registry::fuzz::docker_config(rest),
    }
    assert!(start.elapsed() < SLOW, "{:?}", start.elapsed());
});
