//! Benchmarks Gabion, compared with the API server's own limits, and prints tables.
//!
//! `cargo run --profile bench-fast --example bench -- [WORKLOAD...]`; without a workload: the floor, a cold
//! start and a restart with 1,000 objects, in about two minutes. `help` lists the workloads.
//!
//! The control plane, the Secrets Manager server and the operator run on this machine, so times depend on it
//! and on its load. Therefore every time is also given as a ratio to the floor, a plain loop of the same writes
//! against the same API server in the same run. No benchmark fails because it is slow.
//!
//! `GABION_BENCH_ARGS` adds arguments for the operator, `GABION_BENCH_APISERVER_ARGS` for the API server, such as
//! `--profiling=true`.

#![allow(clippy::print_stdout, clippy::print_stderr)]

mod audit;
mod exchange;
mod floor;
mod machine;
mod observer;
mod population;
mod results;
mod workloads;
mod world;

use std::process::ExitCode;

use support::{Failure, Result};
use workloads::Workload;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match parse(&arguments).and_then(|workloads| run(&workloads)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn parse(arguments: &[String]) -> Result<Vec<Workload>> {
    if arguments.iter().any(|argument| argument.contains("help")) {
        println!("Workloads (append a number of objects after a colon, as in cold:5000):\n");
        for (name, objects, what) in workloads::LIST {
            println!("  {:<16} {what}", format!("{name}:{objects}"));
        }
        println!(
            "\nall runs every workload, with cold starts of 1,000, 5,000 and 10,000 (half an hour)."
        );
        return Ok(Vec::new());
    }
    let names: Vec<&str> = match arguments {
        [] => vec!["floor", "cold", "restart"],
        [all] if all == "all" => workloads::ALL.to_vec(),
        some => some.iter().map(String::as_str).collect(),
    };
    names.into_iter().map(Workload::parse).collect()
}

fn run(workloads: &[Workload]) -> Result<()> {
    if workloads.is_empty() {
        return Ok(());
    }
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        return Err(Failure::new("another TLS provider is installed"));
    }
    println!("{}\n", machine::describe());
    // One thread: the benchmark must not take the processors that it measures.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        for workload in workloads {
            eprintln!("bench: {workload} (load {})", machine::load());
            workload.run().await?;
        }
        Ok(())
    })
}
