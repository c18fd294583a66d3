//! Digests of values: what is kept of an object in place of the object.

use std::io::{self, Write};

use serde::Serialize;
use sha3::{Digest as _, Sha3_256};

use crate::text::hex;

/// Half of a SHA3-256: what is the same has the same, and nobody can make anything else that has it.
pub(crate) type Digest = [u8; 16];

/// Digest of a value, as it is written in JSON.
pub(crate) fn digest(value: &impl Serialize) -> Digest {
    struct Hashing(Sha3_256);
    impl Write for Hashing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    // What is digested are maps with text as keys, which can always be written.
    let mut hashing = Hashing(Sha3_256::new());
    let _ = serde_json::to_writer(&mut hashing, value);
    let mut digest = Digest::default();
    digest.iter_mut().zip(hashing.0.finalize()).for_each(|(to, from)| *to = from);
    digest
}

/// The same as text, for what people read.
pub(crate) fn digest_text(value: &impl Serialize) -> String {
    hex(&digest(value))
}
