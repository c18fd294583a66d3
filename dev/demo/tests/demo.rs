//! The story that `make demo` tells, against a control plane of its own: that every step shows what it says,
//! and what a reader would not see.

use std::collections::BTreeMap;

use story::audit::Write;
use story::screen::Screen;
use story::secrets::PASSWORDS;
use story::stage::Stage;
use story::summary::Summary;
use story::{hardening, secrets, summary};
use support::{Failure, Result, process_exists};

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_what_it_says_and_leaves_nothing_behind() -> Result<()> {
    let (mut screen, recording) = Screen::captured();
    let mut stage = Stage::start(&mut screen).await?;
    let outcome = Box::pin(stage.alive_during(play(&stage, &mut screen))).await;
    let summary = outcome.map_err(|failure| {
        let (title, obituary) = (screen.title(), stage.obituary());
        Failure::new(format!("\"{title}\" went wrong: {failure}\n{obituary}"))
    })?;

    // Secrets are read and written when something happened, and not more often.
    assert_eq!(summary.tokens, 1, "one token does for all reads");
    assert!((4..=8).contains(&summary.aws), "{} calls to AWS", summary.aws);
    assert!(summary.reads <= 8, "{} reads", summary.reads);
    let screen = recording.text();
    for password in PASSWORDS {
        assert!(!screen.contains(password), "a password is on the screen");
    }
    assert!(!screen.contains('\x1b'), "colours where there is no terminal");
    assert!(!screen.contains("\nerror") && !screen.contains("Warning"), "{screen}");
    let headings = screen.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
    assert_eq!(headings.count(), 8);

    let gabion = stage.operator.pid()?;
    let servers: BTreeMap<_, _> = stage.plane.pids()?;
    let directory = stage.plane.dir().to_owned();
    drop(stage);
    assert!(!process_exists(gabion), "Gabion outlives the demo");
    for (name, pid) in servers {
        assert!(!process_exists(pid), "{name} outlives the demo");
    }
    assert!(!directory.exists(), "{} is left behind", directory.display());
    Ok(())
}

async fn play(stage: &Stage, screen: &mut Screen) -> Result<Summary> {
    let arrived = secrets::arrival(stage, screen).await?;
    let rotated = secrets::rotation(stage, screen).await?;
    let repaired = secrets::repair(stage, screen).await?;
    assert_ne!(arrived.fingerprint, rotated.fingerprint);
    assert_eq!(rotated.fingerprint, repaired.fingerprint);

    let hardened = hardening::hardened(stage, screen).await?;
    let objects = [
        "networkpolicies/gabion-allow-dns",
        "networkpolicies/gabion-allow-frontend-to-backend",
        "networkpolicies/gabion-default-deny",
        "networkpolicies/gabion-egress-frontend-to-backend",
        "limitranges/gabion-limits",
        "resourcequotas/gabion-quota",
    ];
    assert_eq!(of(&hardened.writes, "create"), sorted(&objects));
    let refusal = hardening::admission(stage, screen).await?;
    assert!(refusal.contains("privileged") && refusal.contains("runAsNonRoot"), "{refusal}");

    let released = hardening::released(stage, screen).await?;
    assert_eq!(of(&released.writes, "delete"), sorted(&objects), "what came goes, and no more");
    assert_eq!(of(&hardened.writes, "patch"), of(&released.writes, "patch"));
    summary::farewell(stage, screen).await
}

/// The objects that were written in one way.
fn of(writes: &[Write], verb: &str) -> Vec<String> {
    let objects = writes.iter().filter(|write| write.verb == verb).map(|write| &*write.object);
    sorted(&objects.collect::<Vec<_>>())
}

fn sorted(objects: &[&str]) -> Vec<String> {
    let mut objects: Vec<_> = objects.iter().map(|&object| object.to_owned()).collect();
    objects.sort();
    objects
}
