//! Time and randomness for templates.

use aws_lc_rs::rand;
use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::template::{Failure, KeyKind, Source};

/// The clock and the random numbers of the process.
pub struct SystemSource;

impl Source for SystemSource {
    fn now(&mut self) -> Timestamp {
        Timestamp::now()
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Failure> {
        rand::fill(buffer).map_err(|_| Failure::function("no random numbers can be had"))
    }

    fn private_key(&mut self, kind: KeyKind) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let _ = kind;
        Err(Failure::function("keys are not made yet"))
    }
}
