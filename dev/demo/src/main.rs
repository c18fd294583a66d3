//! `make demo`: what Gabion does, on a real API server, in about a minute.
//!
//! `KEEP=1` stops before anything is taken back and leaves everything up until Ctrl-C.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use story::screen::Screen;
use story::stage::Stage;
use story::{hardening, secrets, summary};
use support::{Failure, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = run().await;
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            complain(&failure.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Tells the story until its end or until somebody interrupts it.
async fn run() -> Result<ExitCode> {
    let mut stops = Stops::listen()?;
    let keep = std::env::var("KEEP").is_ok_and(|keep| !matches!(keep.as_str(), "" | "0"));
    // A task of its own: dropping it is what ends all that it started.
    let mut story = tokio::spawn(play(keep));
    let outcome = tokio::select! {
        biased;
        code = stops.next() => Err(code),
        outcome = &mut story => Ok(outcome?),
    };
    match outcome {
        Ok(Ok(())) => Ok(ExitCode::SUCCESS),
        Ok(Err(failure)) => {
            // A Ctrl-C in a terminal goes to the commands as well; then their failure is no news.
            match tokio::time::timeout(Duration::from_millis(200), stops.next()).await {
                Ok(code) => Ok(ExitCode::from(code)),
                Err(_) => Err(failure),
            }
        }
        Err(code) => {
            complain("stopping everything");
            story.abort();
            let _ = story.await;
            Ok(ExitCode::from(code))
        }
    }
}

async fn play(keep: bool) -> Result<()> {
    let mut screen = Screen::stdout();
    screen
        .banner("Gabion: secrets that arrive and rotate, namespaces that are hard and stay so")?;
    let mut stage = match Stage::start(&mut screen).await {
        Ok(stage) => stage,
        Err(failure) => return Err(Failure::new(format!("\"{}\": {failure}", screen.title()))),
    };
    let outcome = Box::pin(stage.alive_during(scenes(&stage, &mut screen, keep))).await;
    outcome.map_err(|failure| {
        let end = stage.obituary();
        Failure::new(format!("\"{}\" went wrong: {failure}\n\n{end}", screen.title()))
    })
}

async fn scenes(stage: &Stage, screen: &mut Screen, keep: bool) -> Result<()> {
    secrets::arrival(stage, screen).await?;
    secrets::rotation(stage, screen).await?;
    secrets::repair(stage, screen).await?;
    hardening::hardened(stage, screen).await?;
    hardening::admission(stage, screen).await?;
    if keep {
        summary::keep(stage, screen)?;
        return std::future::pending().await;
    }
    hardening::released(stage, screen).await?;
    summary::farewell(stage, screen).await?;
    Ok(())
}

fn complain(text: &str) {
    // Nobody is left to report to if this fails.
    let _ = writeln!(std::io::stderr(), "\n{text}");
}

/// Ways to ask this program to stop.
struct Stops {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Stops {
    fn listen() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one of them; gives the exit code that belongs to it.
    async fn next(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => 130,
            _ = self.terminate.recv() => 143,
            _ = self.hangup.recv() => 129,
        }
    }
}
