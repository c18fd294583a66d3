//! In the first line a path, then the secret.

use gabion::gjson;

pub fn run(input: &[u8]) {
    let at = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (path, json) = (&input[..at], input.get(at + 1..).unwrap_or_default());
    let Ok(path) = std::str::from_utf8(path) else { return };
    let _ = gjson::find(json, path);
    let _ = gjson::entries(json);
}
