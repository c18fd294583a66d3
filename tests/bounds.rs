//! Templates that mean harm fail before they take much: `bench/hostile.rs` has them.
//!
//! One test in a program of its own, because it counts every byte that the program takes. What they take of a
//! processor is in their steps, and `make race` prints it: a test on a shared machine could only guess.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use gotemplate::Class;
use gotemplate::Delimiters;
use gotemplate::Environment;
use gotemplate::Failure;
use gotemplate::KeyKind;
use gotemplate::Template;
use jiff::Timestamp;
use peak_alloc::PeakAlloc;
use zeroize::Zeroizing;

#[path = "../bench/hostile.rs"]
mod hostile;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const BYTES: usize = 8 << 20;

/// Templates that come to an end all the same: what they say is no harm.
const HARMLESS: usize = 20;

/// Always the same.
struct Still;

impl Environment for Still {
    fn now(&mut self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Failure> {
        buffer.fill(7);
        Ok(())
    }

    fn private_key(&mut self, _: KeyKind) -> Result<Zeroizing<Vec<u8>>, Failure> {
        Err(Failure::function("no keys here"))
    }
}

#[test]
fn no_hostile_template_takes_more_than_eight_mebibytes() {
    let (data, limits) = (hostile::data(), hostile::limits());
    let (mut harmless, mut most) = (Vec::new(), 0);
    for text in hostile::templates() {
        let shown: String = text.chars().take(100).collect();
        let taken = |before: usize| MEMORY.peak_usage().saturating_sub(before);
        MEMORY.reset_peak_usage();
        let before = MEMORY.current_usage();
        let parsed = Template::parse("hostile", text.as_bytes(), &Delimiters::default());
        assert!(taken(before) <= BYTES, "parsing takes {} bytes: {shown}", taken(before));
        MEMORY.reset_peak_usage();
        let before = MEMORY.current_usage();
        let outcome = parsed.and_then(|parsed| parsed.render(data.clone(), &mut Still, &limits));
        let bytes = taken(before);
        most = most.max(bytes);
        assert!(bytes <= BYTES, "{bytes} bytes: {shown}");
        if outcome.is_err_and(|error| error.class == Class::Bound) {
            continue;
        }
        harmless.push(shown);
    }
    println!("the most that one takes: {most} bytes");
    println!("{} come to an end: {harmless:#?}", harmless.len());
    assert!(harmless.len() <= HARMLESS, "{} come to an end: {harmless:#?}", harmless.len());
}
