//! Far more objects of one store than are under way at once, over restarts.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use support::{
    Failure, Result, SOON, Subsystem, TestEnv, answers, at_rest, audit, eventually, fetch,
    secrets_manager::Fault,
};

use crate::scene::{Scene, value};

const NAMESPACE: &str = "q1-two-thousand";
const COUNT: usize = 2_000;
/// What comes at once when all is quiet.
const BURST: usize = 200;
/// Requests of the test at a time.
const AT_ONCE: usize = 32;
/// A bound for some thousand writes on a machine that does other things as well.
const LATER: Duration = Duration::from_mins(2);

fn name(nth: usize) -> String {
    format!("s{nth}")
}

async fn create(scene: &Scene<'_>, range: Range<usize>) -> Result<()> {
    range.clone().for_each(|nth| scene.put(&name(nth), &value("x")));
    let objects =
        stream::iter(range).map(|nth| scene.create(scene.external(&name(nth), json!({}))));
    objects.buffer_unordered(AT_ONCE).try_for_each(|_| async { Ok(()) }).await?;
    Ok(())
}

/// Waits until so many Secrets have been made of ExternalSecrets, each with what it should hold.
async fn made(scene: &Scene<'_>, count: usize) -> Result<()> {
    eventually(LATER, &format!("{count} Secrets"), || async {
        let secrets = scene.list("Secret").await?;
        let ours = secrets.iter().filter(|secret| {
            secret["metadata"]["ownerReferences"][0]["kind"] == "ExternalSecret"
                && crate::scene::decoded(secret) == json!({"value": value("x")})
        });
        match ours.count() {
            found if found == count => Ok(()),
            found => {
                // To list them all costs the machine as much as to make a good part of them.
                tokio::time::sleep(Duration::from_secs(1)).await;
                Err(Failure::new(format!("{found}")))
            }
        }
    })
    .await
}

/// How often each Secret was created.
fn created(env: &TestEnv) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for request in audit::requests(env.plane()) {
        let creates = request.verb == "create" && request.resource == "secrets";
        if creates && request.code == 201 && request.namespace == NAMESPACE {
            *times.entry(request.name).or_default() += 1;
        }
    }
    times
}

async fn quiet(env: &TestEnv) -> Result<()> {
    let (code, page) = fetch(&env.health, "/healthz").await?;
    assert_eq!(code, 200, "{page}");
    eventually(SOON, "nothing waits", || async {
        let waiting = env.counter("gabion_queue_waiting").await?;
        match waiting + env.counter("gabion_queue_running").await? {
            0 => Ok(()),
            some => Err(Failure::new(format!("{some}"))),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn q1_a_restart_looks_at_each_of_two_thousand_objects_of_one_store() -> Result<()> {
    let mut env = Subsystem::Secrets.start(&[])?;
    let scene = Scene::within(&env, NAMESPACE).await?;
    create(&scene, 0..COUNT).await?;
    made(&scene, COUNT).await?;
    let slow = Some(Fault::Delay(Duration::from_millis(200)));
    env.aws.fault_of_key(&scene.access_key, slow);
    let written = || audit::requests(env.plane()).iter().filter(|r| r.is_write()).count();
    at_rest(written).await;
    drop(scene);

    // Nothing has changed: each is in line and has its turn, and what comes then has its own.
    env.start_again(&[])?;
    answers(&env.health, "/readyz", "200 OK").await?;
    eventually(LATER, "each is in line", || async {
        match env.counter("gabion_queue_known").await? {
            known if known >= COUNT as u64 => Ok(()),
            known => Err(Failure::new(format!("{known}"))),
        }
    })
    .await?;
    quiet(&env).await?;
    let scene = Scene::enter(&env, NAMESPACE).await?;
    create(&scene, COUNT..COUNT + BURST).await?;
    made(&scene, COUNT + BURST).await?;
    drop(scene);

    // All of them have something to do: none is missed, and none is done twice.
    env.operator.kill();
    let scene = Scene::enter(&env, NAMESPACE).await?;
    scene.delete_all("Secret", "reconcile.external-secrets.io/managed=true").await?;
    drop(scene);
    env.start_again(&[])?;
    let scene = Scene::enter(&env, NAMESPACE).await?;
    made(&scene, COUNT + BURST).await?;
    scene.settle().await?;
    quiet(&env).await?;
    let times = created(&env);
    for nth in 0..COUNT + BURST {
        assert_eq!(times.get(&name(nth)), Some(&2), "{}", name(nth));
    }
    Ok(())
}
