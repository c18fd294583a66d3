//! Benchmarks ten templates, from one field to 50 KB, against Go's own engine.
//!
//! `make race` runs it. Both engines run one after the other on one core; `dev/golden` is the Go side, with the same
//! templates, data and functions. It fails if the outputs differ, but never because it is slow.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use gotemplate::{Data, Delimiters, Environment, Failure, KeyKind, Limits, Template};
use jiff::Timestamp;
use serde::Deserialize;
use tikv_jemalloc_ctl::thread;
use zeroize::Zeroizing;

/// It counts the bytes that each thread allocates in size classes, as Go's allocator does.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const WARM_UP: Duration = Duration::from_millis(100);
const LAP: Duration = Duration::from_millis(500);

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What Go needs for one template.
#[derive(Deserialize)]
struct Lap {
    name: String,
    output: String,
    renders: f64,
    parses: f64,
    bytes: f64,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("race: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("benches/templates");
    println!("Go first, then gotemplate: about half a minute");
    let go = Command::new("go")
        .args(["run", ".", "-race"])
        .arg(&folder)
        .current_dir(root.join("../../dev/golden"))
        .output()?;
    if !go.status.success() {
        return Err(String::from_utf8_lossy(&go.stderr).into());
    }
    let laps: Vec<Lap> = serde_json::from_slice(&go.stdout)?;
    let data: BTreeMap<String, String> =
        serde_json::from_slice(&std::fs::read(folder.join("data.json"))?)?;
    println!(
        "\n{:<26} {:>7} {:>11} {:>11} {:>6} {:>10} {:>10} {:>6} {:>9} {:>9} {:>6}",
        "template",
        "bytes",
        "Go /s",
        "ours /s",
        "ratio",
        "Go B",
        "ours B",
        "ratio",
        "Go parse",
        "ours",
        "ratio"
    );
    for lap in laps {
        let text = std::fs::read(folder.join(&lap.name))?;
        let ours = measure(&lap, &text, &data)?;
        println!(
            "{:<26} {:>7} {:>11.0} {:>11.0} {:>5.2}x {:>10.0} {:>10.0} {:>5.2}x {:>9.0} {:>9.0} {:>5.2}x",
            lap.name.trim_end_matches(".tmpl"),
            text.len(),
            lap.renders,
            ours.renders,
            ours.renders / lap.renders,
            lap.bytes,
            ours.bytes,
            ours.bytes / lap.bytes,
            lap.parses,
            ours.parses,
            ours.parses / lap.parses,
        );
    }
    println!(
        "\nratio: for renderings per second, higher is better; for bytes per rendering, lower is better."
    );
    Ok(())
}

struct Ours {
    renders: f64,
    parses: f64,
    bytes: f64,
}

fn measure(lap: &Lap, text: &[u8], data: &BTreeMap<String, String>) -> Result<Ours> {
    let delimiters = Delimiters::default();
    let data: Data = data.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect();
    let template = Template::parse(&lap.name, text, &delimiters)?;
    let limits = Limits::default();
    let render = || template.render(&data, &mut Nothing, &limits);
    if *render()? != lap.output.as_bytes() {
        return Err(format!("{} renders differently", lap.name).into());
    }
    let (renders, bytes) = repeat(|| drop(render()))?;
    let (parses, _) = repeat(|| drop(Template::parse(&lap.name, text, &delimiters)))?;
    Ok(Ours { renders, parses, bytes })
}

/// How often something can be done in a second, and the bytes that it allocates.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn repeat(mut work: impl FnMut()) -> Result<(f64, f64)> {
    let allocated = thread::allocatedp::read().map_err(|error| error.to_string())?;
    let start = Instant::now();
    while start.elapsed() < WARM_UP {
        work();
    }
    let before = allocated.get();
    let (start, mut times) = (Instant::now(), 0_u32);
    while start.elapsed() < LAP {
        work();
        times += 1;
    }
    let spent = start.elapsed();
    let bytes = allocated.get() - before;
    Ok((f64::from(times) / spent.as_secs_f64(), bytes as f64 / f64::from(times)))
}

/// No template of the benchmark needs time or randomness.
struct Nothing;

impl Environment for Nothing {
    fn now(&mut self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn fill(&mut self, _: &mut [u8]) -> std::result::Result<(), Failure> {
        Err(Failure::function("the benchmark has no randomness"))
    }

    fn private_key(&mut self, _: KeyKind) -> std::result::Result<Zeroizing<Vec<u8>>, Failure> {
        Err(Failure::function("the benchmark has no randomness"))
    }
}
