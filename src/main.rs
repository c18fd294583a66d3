//! The command line of Gabion.

use std::{
    error::Error,
    io::{self, Write},
    process::{self, ExitCode},
};

use gabion::{
    check,
    cli::{self, CheckFlags, Command, LspFlags, VerifyFlags, pipe::UntilClosed},
    config::Config,
    inspect::{self, InspectError, Question},
    operator, telemetry,
    ui::{self, Ui},
    verify,
};

#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let outcome = match cli::parse() {
        Command::Crds => print_crds(),
        Command::Run(config) => run(*config),
        Command::Check(flags) if flags.watches() => return watch(&flags),
        Command::Check(flags) => return check(*flags),
        Command::Verify(flags) => return verify(*flags),
        Command::Inspect(question) => return ask(*question),
        Command::Ui(ui) => return page(*ui),
        Command::Completion(shell) => {
            cli::completion(shell, &mut UntilClosed::new(io::stdout().lock()));
            Ok(())
        }
        Command::Man(folder) => cli::man_pages(&folder).map_err(Into::into),
        Command::Lsp(flags) => return lsp(*flags),
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

/// What fails here is the user's to see, not a log's.
fn check(flags: CheckFlags) -> ExitCode {
    if let Some(text) = flags.text() {
        let mut output = UntilClosed::new(io::stdout().lock());
        return match output.write_all(text.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    let ended = flags.options().and_then(|options| {
        let output = UntilClosed::new(io::stdout().lock());
        let (mut input, mut output) = (io::stdin().lock(), io::BufWriter::new(output));
        check::run(&options, &mut input, &mut output)
            .and_then(|outcome| output.flush().map(|()| outcome))
            .map_err(|error| format!("the result cannot be written: {error}"))
    });
    ended.map_or_else(|problem| refused(&problem), |outcome| ExitCode::from(outcome.code()))
}

#[allow(clippy::print_stderr)]
fn refused(problem: &str) -> ExitCode {
    eprintln!("error: {problem}");
    ExitCode::from(check::ExitStatus::Unevaluated.code())
}

fn watch(flags: &CheckFlags) -> ExitCode {
    let options = || flags.clone().options();
    let mut output = io::BufWriter::new(io::stdout().lock());
    // It ends when it is stopped, or when nobody reads it any more.
    match options().map(|_| check::watch(&options, &mut output)) {
        Ok(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Ok(Err(error)) => refused(&error.to_string()),
        Ok(Ok(())) => ExitCode::SUCCESS,
        Err(problem) => refused(&problem),
    }
}

/// The protocol has exit codes of its own: 0 for an editor that took its leave, 1 for one that has gone.
fn lsp(flags: LspFlags) -> ExitCode {
    let served = flags.options().and_then(|options| {
        let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
        check::serve(&options, &mut input, &mut output).map_err(|error| error.to_string())
    });
    match served {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => refused(&problem),
    }
}

/// What fails here is the user's to see, not a log's.
#[allow(clippy::print_stderr)]
fn ask(question: Question) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    // What has no end of its own ends when nobody reads it any more.
    let output: Box<dyn Write> = if question.is_endless() {
        Box::new(io::stdout().lock())
    } else {
        Box::new(UntilClosed::new(io::stdout().lock()))
    };
    let mut output = io::BufWriter::new(output);
    let ended = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
        let answer = runtime.block_on(inspect::answer(question, &mut output));
        match answer {
            Err(InspectError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                process::exit(i32::from(inspect::ExitStatus::Fine.code()))
            }
            answer => answer.map_err(|error| error.to_string()),
        }
    });
    let ended = ended.and_then(|status| {
        output
            .flush()
            .map(|()| status)
            .map_err(|error| format!("the answer cannot be written: {error}"))
    });
    ExitCode::from(match ended {
        Ok(status) => status.code(),
        Err(problem) => {
            eprintln!("error: {problem}");
            inspect::ExitStatus::Unknown.code()
        }
    })
}

/// What fails here is the user's to see, not a log's.
#[allow(clippy::print_stderr)]
fn verify(flags: VerifyFlags) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let mut output = io::BufWriter::new(UntilClosed::new(io::stdout().lock()));
    let ended = flags.options().and_then(|options| {
        let runtime = runtime.map_err(|error| error.to_string())?;
        let status = runtime.block_on(verify::run(&options, &mut output))?;
        output.flush().map_err(|error| format!("the answer cannot be written: {error}"))?;
        Ok(status)
    });
    ExitCode::from(match ended {
        Ok(status) => status.code(),
        Err(problem) => {
            eprintln!("error: {problem}");
            verify::ExitStatus::Usage.code()
        }
    })
}

/// What fails here is the user's to see, not a log's.
#[allow(clippy::print_stderr)]
fn page(ui: Ui) -> ExitCode {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let ended = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
        let mut output = UntilClosed::new(io::stdout());
        runtime.block_on(ui::serve(ui, &mut output)).map_err(|error| error.to_string())
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::from(inspect::ExitStatus::Unknown.code())
        }
    }
}

#[allow(clippy::print_stdout)]
fn print_crds() -> Result<(), Box<dyn Error>> {
    print!("{}", operator::crds()?);
    Ok(())
}
