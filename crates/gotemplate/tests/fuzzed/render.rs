//! A template, and in the last line a value that it may use.

use gotemplate::{Data, Delimiters, Environment, Failure, KeyKind, Limits, Template};
use jiff::Timestamp;
use zeroize::Zeroizing;

pub(crate) fn run(input: &[u8]) {
    let at = input.iter().rposition(|byte| *byte == b'\n').unwrap_or(input.len());
    let (text, value) = (&input[..at], input.get(at + 1..).unwrap_or_default());
    let Ok(template) = Template::parse("fuzz", text, &Delimiters::default()) else { return };
    let data: Data = ["a", "j", "user", "value"].map(|key| (key, value)).into_iter().collect();
    // Hashing passwords would take most of the time.
    let limits = Limits { slow: 0, ..Limits::default() };
    if let Ok(out) = template.render(&data, &mut Counter(1), &limits) {
        assert!(out.len() <= limits.output);
    }
}

struct Counter(u8);

impl Environment for Counter {
    fn now(&mut self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Failure> {
        for byte in buffer {
            self.0 = self.0.wrapping_mul(31).wrapping_add(7);
            *byte = self.0;
        }
        Ok(())
    }

    fn private_key(&mut self, _: KeyKind) -> Result<Zeroizing<Vec<u8>>, Failure> {
        Err(Failure::function("no keys here"))
    }
}
