//! The command line of Gabion.

use std::{error::Error, process::ExitCode};

use gabion::{
    cli::{self, Command},
    config::Config,
    operator, telemetry,
};

#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let outcome = match cli::parse() {
        Command::Crds => print_crds(),
        Command::Run(config) => run(*config),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = %error, "stopping");
            ExitCode::FAILURE
        }
    }
}

fn run(config: Config) -> Result<(), Box<dyn Error>> {
    telemetry::init(&config.log_level, config.log_format)?;
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(operator::run(config))?;
    Ok(())
}

#[allow(clippy::print_stdout)]
fn print_crds() -> Result<(), Box<dyn Error>> {
    print!("{}", operator::crds()?);
    Ok(())
}
