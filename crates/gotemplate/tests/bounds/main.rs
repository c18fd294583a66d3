//! Hostile templates hit a bound before they take much memory or time.
//!
//! A program of its own, because it counts every byte that the program takes. A shared machine gives no reliable
//! processor time, so the test of time is ignored by default; `make race` runs it and prints the slowest.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use std::time::Duration;

use gotemplate::{Delimiters, Environment, ErrorKind, Failure, KeyKind, Template};
use jiff::Timestamp;
use peak_alloc::PeakAlloc;
use zeroize::Zeroizing;

mod hostile;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const BYTES: usize = 8 << 20;

/// Templates that end without reaching a bound, because they are cheap after all.
const HARMLESS: usize = 20;

/// Always the same.
struct Fixed;

impl Environment for Fixed {
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
        let outcome = parsed.and_then(|parsed| parsed.render(&data, &mut Fixed, &limits));
        let bytes = taken(before);
        most = most.max(bytes);
        assert!(bytes <= BYTES, "{bytes} bytes: {shown}");
        if outcome.is_err_and(|error| error.kind == ErrorKind::Bound) {
            continue;
        }
        harmless.push(shown);
    }
    println!("the most that one takes: {most} bytes");
    println!("{} end: {harmless:#?}", harmless.len());
    assert!(harmless.len() <= HARMLESS, "{} end without a bound: {harmless:#?}", harmless.len());
}

#[test]
#[ignore = "measures processor time"]
fn print_what_the_slowest_hostile_templates_cost() {
    let (data, limits) = (hostile::data(), hostile::limits());
    let mut costs: Vec<_> = hostile::templates()
        .into_iter()
        .map(|text| {
            let before = processor_time();
            let parsed = Template::parse("hostile", text.as_bytes(), &Delimiters::default());
            drop(parsed.and_then(|parsed| parsed.render(&data, &mut Fixed, &limits)));
            (processor_time().saturating_sub(before), text)
        })
        .collect();
    costs.sort_by(|(one, _), (two, _)| two.cmp(one));
    println!(
        "\nThe slowest of {} hostile templates, parsed and rendered until a bound:",
        costs.len()
    );
    for (cost, text) in costs.iter().take(5) {
        let shown: String = text.chars().take(80).collect();
        println!("{:>6.1} ms  {shown}", cost.as_secs_f64() * 1e3);
    }
}

/// Processor time of this thread.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}
