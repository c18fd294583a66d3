//! Free ports on loopback.

use std::hash::{BuildHasher as _, RandomState};
use std::net::TcpListener;
use std::sync::OnceLock;

use crate::{Failure, Result};

/// Where a test may serve what Webhook generators ask for: the operators of tests may ask there.
pub fn webhook_address() -> Result<String> {
    static PORT: OnceLock<Result<u16, String>> = OnceLock::new();
    let port = PORT.get_or_init(|| free_port().map_err(|failure| failure.to_string()));
    let port = port.as_ref().map_err(|why| Failure::new(why.as_str()))?;
    Ok(format!("127.0.0.1:{port}"))
}

/// A port on 127.0.0.1 that nobody listens on: below the range that the kernel gives to outgoing
/// connections, so that it stays free until a process that is started with it listens there.
pub fn free_port() -> Result<u16> {
    const FIRST: u16 = 15_000;
    const COUNT: u64 = 5_000;
    for attempt in 0..100_u32 {
        // The hasher's keys are the random numbers that the standard library has.
        let offset = RandomState::new().hash_one(attempt) % COUNT;
        let port = FIRST + u16::try_from(offset)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Failure::new("no free port on 127.0.0.1 between 15000 and 20000"))
}
