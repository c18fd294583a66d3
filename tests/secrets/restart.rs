//! Starting, stopping, and what happens when a server goes away for a while.

use std::{net::TcpListener, time::Duration};

use serde_json::{Value, json};
use support::{
    Failure, Options, Result, SOON, Server, Signal, Subsystem, TestEnv, answers, at_rest, audit,
    eventually, repository, secrets_manager::Fault,
};

use crate::scene::{Scene, ready_of, value};

#[tokio::test]
async fn a_restart_in_sync_reads_no_value_and_writes_nothing() -> Result<()> {
    let mut env = Subsystem::Secrets.start(&[])?;
    let scene = Scene::within(&env, "in-sync").await?;
    for policy in ["Owner", "Orphan", "Merge", "CreateOrMerge", "None"] {
        for nth in 0..4 {
            let name = format!("{}-{nth}", policy.to_lowercase());
            scene.put(&name, &value("x"));
            if policy == "Merge" {
                let object = json!({"kind": "Secret", "metadata": {"name": name},
                    "stringData": {"foreign": "f"}});
                scene.create(object).await?;
            }
            let spec = json!({"target": {"creationPolicy": policy}});
            scene.synced(&name, spec).await?;
        }
    }
    scene.settle().await?;
    drop(scene);
    let stopped = env.operator.stop(SOON)?;
    assert_eq!(stopped.code, Some(0));
    let before = audit::requests(env.plane()).len();
    env.aws.reset_counts();

    env.start_again(&[])?;
    answers(&env.health, "/readyz", "200 OK").await?;
    let scene = Scene::enter(&env, "in-sync").await?;
    scene.settle().await?;
    tokio::time::sleep(Duration::from_secs(1)).await;

    let requests = audit::requests(env.plane());
    let requests: Vec<_> =
        requests[before..].iter().filter(|r| !r.name.starts_with("settle-")).collect();
    let writes: Vec<_> = requests.iter().filter(|request| request.is_write()).collect();
    assert!(writes.is_empty(), "{writes:?}");
    // The credentials of the one store, once; no Secret that it wrote.
    let reads: Vec<_> = requests.iter().filter(|r| r.is_secret_read()).map(|r| &*r.name).collect();
    assert!(reads.iter().all(|name| *name == "aws-keys") && reads.len() <= 1, "{reads:?}");
    assert_eq!(env.aws.received(), []);
    Ok(())
}

#[tokio::test]
async fn sigterm_ends_it_with_code_0_even_while_a_provider_hangs() -> Result<()> {
    let mut env = Subsystem::Secrets.start(&[])?;
    let scene = Scene::within(&env, "graceful").await?;
    scene.put("db", &value("x"));
    scene.synced("db", json!({})).await?;
    scene.env.aws.fault_of_key(&scene.access_key, Some(Fault::Hang));
    scene.force("db", "1").await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(scene);

    let stopped = env.operator.stop(Duration::from_secs(30))?;

    assert_eq!(stopped.code, Some(0));
    // Ten seconds for the work, one for the events, and the rest for a slow machine.
    assert!(stopped.after < Duration::from_secs(25), "{:?}", stopped.after);
    Ok(())
}

#[tokio::test]
async fn a_port_in_use_ends_it_with_a_message_that_names_the_flag() -> Result<()> {
    let env = Subsystem::Secrets.shared()?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?;
    for flag in ["--metrics-addr", "--health-addr"] {
        let (mut operator, _) = env.another(&[&format!("{flag}={address}")])?;
        let code = operator.wait(SOON)?;
        assert_eq!(code, Some(1));
        let log = operator.log();
        assert!(log.contains(&format!("cannot listen on {address} ({flag})")), "{log}");
    }
    Ok(())
}

#[tokio::test]
async fn without_its_definitions_it_says_so_and_comes_alive_when_they_are_there() -> Result<()> {
    let options = Options { crds: None, ..Options::default() };
    let env = Subsystem::Secrets.start_with(&options, &[])?;
    answers(&env.health, "/readyz", "the API server does not serve ExternalSecret: install")
        .await?;
    answers(&env.health, "/healthz", "200 OK").await?;

    env.plane().admin()?.apply_path(&repository().join("crds"))?;

    answers(&env.health, "/readyz", "200 OK").await?;
    let scene = eventually(SOON, "the definitions are served", || Scene::within(&env, "late"));
    let scene = scene.await?;
    scene.put("db", &value("x"));
    scene.synced("db", json!({})).await?;
    scene.holds("db", &value("x")).await
}

#[tokio::test]
async fn a_process_that_was_frozen_catches_up() -> Result<()> {
    let env = Subsystem::Secrets.start(&[])?;
    let scene = Scene::within(&env, "frozen-process").await?;
    for name in ["deleted", "edited", "forced"] {
        scene.put(name, &value("x"));
        scene.synced(name, json!({})).await?;
    }
    env.operator.signal(Signal::STOP)?;
    scene.delete("Secret", "deleted").await?;
    scene.patch("Secret", "edited", json!({"stringData": {"value": "tampered"}})).await?;
    scene.put("forced", &value("y"));
    scene.force("forced", "1").await?;
    scene.put("new", &value("z"));
    scene.create(scene.external("new", json!({}))).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;

    env.operator.signal(Signal::CONT)?;

    for (name, text) in [("deleted", "x"), ("edited", "x"), ("forced", "y"), ("new", "z")] {
        scene.holds(name, &value(text)).await?;
        scene.ready(name).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_api_server_that_sleeps_or_dies_is_waited_for() -> Result<()> {
    let env = Subsystem::Secrets.start(&[])?;
    let scene = Scene::within(&env, "away").await?;
    for nth in 0..10 {
        scene.put(&format!("s{nth}"), &value("old"));
        scene.synced(&format!("s{nth}"), json!({"refreshInterval": "1s"})).await?;
    }
    for round in ["asleep", "dead"] {
        let signal = if round == "asleep" { Signal::STOP } else { Signal::KILL };
        env.plane().signal(Server::Apiserver, signal)?;
        let read = scene.reads("s0");
        for nth in 0..10 {
            scene.put(&format!("s{nth}"), &value(round));
        }
        // The new value is read, and cannot be written while the API server sleeps.
        eventually(SOON, "the new value is read", || async {
            if scene.reads("s0") > read { Ok(()) } else { Err("not yet") }
        })
        .await?;
        if round == "asleep" {
            env.plane().signal(Server::Apiserver, Signal::CONT)?;
        }
        // A client of its own: the pool of the old one may hold dead connections.
        for nth in 0..10 {
            let name = format!("s{nth}");
            eventually(Duration::from_secs(90), &format!("{name} after {round}"), || async {
                let kubectl = env.plane().admin()?;
                let path = "jsonpath={.data.value}";
                let found = kubectl.run(&["get", "secret", &name, "-n", &scene.ns, "-o", path])?;
                let expected = base64::Engine::encode(
                    &base64::engine::general_purpose::STANDARD,
                    value(round),
                );
                if found == expected { Ok(()) } else { Err(Failure::new("an old value")) }
            })
            .await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_provider_that_is_away_takes_no_secret_with_it_and_all_is_well_when_it_is_back()
-> Result<()> {
    let scene = Scene::new("outage").await?;
    let names: Vec<_> = (0..20).map(|nth| format!("s{nth}")).collect();
    for (nth, name) in names.iter().enumerate() {
        let deletion = if nth % 2 == 0 { "Delete" } else { "Retain" };
        scene.put(name, &value("x"));
        let spec = json!({"refreshInterval": "1s", "target": {"deletionPolicy": deletion}});
        scene.create(scene.external(name, spec)).await?;
    }
    let mut uids = Vec::new();
    for name in &names {
        scene.ready(name).await?;
        uids.push(scene.get("Secret", name).await?.expect("a Secret")["metadata"]["uid"].clone());
    }

    for fault in [Fault::Drop, Fault::Broken, Fault::Garbage] {
        scene.env.aws.fault_of_key(&scene.access_key, Some(fault));
        for name in &names {
            scene.fails(name, "could not get secret data from provider").await?;
        }
        scene.env.aws.fault_of_key(&scene.access_key, None);
        for name in &names {
            scene.ready(name).await?;
        }
    }
    for (name, uid) in names.iter().zip(uids) {
        let secret = scene.get("Secret", name).await?.expect("a Secret");
        assert_eq!(secret["metadata"]["uid"], uid, "{name} was deleted");
        scene.holds(name, &value("x")).await?;
    }
    Ok(())
}

const ELECTION: [&str; 4] = [
    "--enable-leader-election",
    "--leader-election-lease-duration=4s",
    "--leader-election-renew-deadline=3s",
    "--leader-election-retry-period=500ms",
];

#[tokio::test]
async fn of_two_replicas_one_writes_and_the_other_takes_over_when_it_hangs() -> Result<()> {
    let mut env = Subsystem::Secrets.start(&ELECTION)?;
    let first = credential(&env)?;
    let scene = Scene::within(&env, "replicas").await?;
    scene.put("db", &value("1"));
    scene.synced("db", json!({"refreshInterval": "1s"})).await?;
    // A token of its own, by which the audit log tells the two apart.
    env.plane().service_account_kubeconfig("gabion-system", "gabion")?;
    let second = credential(&env)?;
    assert_ne!(first, second);
    let (mut other, _) = env.another(&ELECTION)?;
    scene.put("db", &value("2"));
    scene.holds("db", &value("2")).await?;
    assert_eq!(writes_of(&env, &second), 0, "the second waits");

    // It has a message of events in hand, whose secret cannot be read now.
    let queue = scene.queue_of("aws").await?;
    scene.events_ready("aws", "Unproven").await?;
    scene.rotate("event", 1, "1");
    scene.synced("event", json!({})).await?;
    for operation in ["GetSecretValue", "BatchGetSecretValue"] {
        env.aws.standing_fault(operation, Some(Fault::Hang));
    }
    let message = scene.rotate("event", 2, "2").to_string();
    let message = env.sqs.send(&queue, message);
    eventually(SOON, "the message is received", || async {
        if env.sqs.receives_of(&queue, &message) > 0 { Ok(()) } else { Err("not yet") }
    })
    .await?;

    // It falls asleep with no request half sent.
    at_rest(|| writes_of(&env, &first)).await;
    env.operator.signal(Signal::STOP)?;
    for operation in ["GetSecretValue", "BatchGetSecretValue"] {
        env.aws.standing_fault(operation, None);
    }
    scene.put("db", &value("3"));
    scene.holds("db", &value("3")).await?;
    assert!(writes_of(&env, &second) > 0);
    // T8: the second reads the queue, and the first deletes nothing of it when it wakes up.
    eventually(SOON, "the second reads the message and is done with it", || async {
        // The one that sleeps may have asked for messages before, and be given one more.
        env.sqs.show(&queue);
        if env.sqs.depth(&queue) == 0 { Ok(()) } else { Err("not yet") }
    })
    .await?;
    scene.holds("event", &value("2")).await?;
    let deletes = env.sqs.calls("DeleteMessageBatch", &queue);

    let before = writes_of(&env, &first);
    drop(scene);
    env.operator.signal(Signal::CONT)?;
    let code = env.operator.wait(SOON)?;
    assert_eq!(code, Some(1), "who lost the lease ends");
    assert!(env.operator.log().contains("lost the lease"), "{}", env.operator.log());
    assert_eq!(writes_of(&env, &first), before, "and writes nothing more");
    assert_eq!(env.sqs.calls("DeleteMessageBatch", &queue), deletes, "nor deletes a message");

    // Given back, the lease is taken at once.
    assert_eq!(other.stop(SOON)?.code, Some(0));
    env.start_again(&ELECTION)?;
    let scene = Scene::enter(&env, "replicas").await?;
    scene.put("db", &value("4"));
    scene.holds("db", &value("4")).await
}

/// Id of the token in the present kubeconfig of the operator.
fn credential(env: &TestEnv) -> Result<String> {
    use base64::Engine as _;
    let text = std::fs::read_to_string(env.kubeconfig())?;
    let config: Value = serde_json::from_str(&text)?;
    let token = config["users"][0]["user"]["token"].as_str().expect("a token").to_owned();
    let claims = token.split('.').nth(1).expect("claims");
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims)?;
    let claims: Value = serde_json::from_slice(&claims)?;
    Ok(claims["jti"].as_str().expect("an id").to_owned())
}

/// Writes made with a token, those of the lease aside.
fn writes_of(env: &TestEnv, credential: &str) -> usize {
    let log = std::fs::read_to_string(env.plane().audit_log().expect("a log")).expect("a log");
    let made = log.lines().filter(|line| line.contains(credential));
    let entries = made.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    entries
        .filter(|entry| {
            entry["objectRef"]["resource"] != "leases"
                // Not who issued it.
                && entry["user"]["username"] == audit::OPERATOR
                && !matches!(entry["verb"].as_str(), Some("get" | "list" | "watch"))
        })
        .count()
}

#[tokio::test]
async fn a_steady_cluster_is_not_written_to() -> Result<()> {
    let scene = Scene::new("steady").await?;
    for nth in 0..10 {
        scene.put(&format!("s{nth}"), &value("x"));
        scene.synced(&format!("s{nth}"), json!({"refreshInterval": "1s"})).await?;
    }
    scene.settle().await?;
    let writes = || scene.requests().iter().filter(|request| request.is_write()).count();
    let (before, read) = (writes(), scene.reads("s0"));
    eventually(SOON, "it is read four times more", || async {
        let more = scene.reads("s0") - read;
        if more >= 4 { Ok(()) } else { Err(Failure::new(format!("{more} times"))) }
    })
    .await?;
    assert_eq!(writes(), before);
    let objects = scene.list("ExternalSecret").await?;
    assert!(objects.iter().all(|object| ready_of(object)["status"] == "True"));
    Ok(())
}

#[tokio::test]
async fn a_restart_reads_nothing_of_a_short_interval_either() -> Result<()> {
    let mut env = Subsystem::Secrets.start(&[])?;
    let scene = Scene::within(&env, "short").await?;
    scene.put("db", &value("x"));
    scene.synced("db", json!({"refreshInterval": "6s"})).await?;
    let first = scene.reads("db");
    // The refresh time is on record of the first read only: the heartbeat holds the second back.
    eventually(SOON, "it is read again", || async {
        if scene.reads("db") > first { Ok(()) } else { Err(Failure::new("not yet")) }
    })
    .await?;
    drop(scene);
    let before = env.aws.received().len();

    env.start_again(&[])?;

    answers(&env.health, "/readyz", "200 OK").await?;
    let scene = Scene::enter(&env, "short").await?;
    scene.settle().await?;
    assert_eq!(env.aws.received().len(), before, "the restart read something");
    eventually(SOON, "it is read within its interval", || async {
        if env.aws.received().len() > before { Ok(()) } else { Err(Failure::new("not yet")) }
    })
    .await
}
