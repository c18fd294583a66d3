//! The n-th write fails, for every n of one object's life and every way to fail; afterwards all is as if it had not.

use std::sync::Arc;

use serde_json::json;
use support::{
    Failure, Options, Result, SOON, Subsystem,
    api_proxy::{self, Failing, Faults},
    eventually,
};

use crate::scene::{Scene, value};

const WAYS: [(&str, Failing); 6] = [
    ("r500", Failing::Refused(500)),
    ("r409", Failing::Refused(409)),
    ("r403", Failing::Refused(403)),
    ("r429", Failing::Refused(429)),
    ("hang", Failing::Hang),
    ("lost", Failing::LostReply),
];

/// Create, rotate, repair, lose the source, get it back, delete.
async fn life(scene: &Scene<'_>) -> Result<()> {
    scene.create(scene.credentials("aws-keys")).await?;
    scene.create(scene.store("aws")).await?;
    scene.put("db", &value("one"));
    let spec = json!({"target": {"deletionPolicy": "Delete"}});
    scene.create(scene.external("db", spec)).await?;
    patiently(scene, "True", "SecretSynced", "one").await?;

    scene.put("db", &value("two"));
    scene.force("db", "1").await?;
    patiently(scene, "True", "SecretSynced", "two").await?;

    scene.patch("Secret", "db", json!({"stringData": {"value": "tampered"}})).await?;
    patiently(scene, "True", "SecretSynced", "two").await?;

    scene.env.aws.remove(&scene.remote("db"));
    scene.force("db", "2").await?;
    patiently(scene, "True", "SecretDeleted", "").await?;

    scene.put("db", &value("three"));
    scene.force("db", "3").await?;
    patiently(scene, "True", "SecretSynced", "three").await?;
    single(scene).await?;

    scene.delete("ExternalSecret", "db").await?;
    scene.gone("ExternalSecret", "db").await?;
    scene.gone("Secret", "db").await
}

/// Waits long enough for a request that hangs (30 s) and a pause after it.
async fn patiently(scene: &Scene<'_>, status: &str, reason: &str, text: &str) -> Result<()> {
    let expected = if text.is_empty() { None } else { Some(json!({"value": value(text)})) };
    let what = format!("{reason} {text:?} in {}", scene.ns);
    eventually(SOON * 3, &what, || async {
        let object = scene.get("ExternalSecret", "db").await?.unwrap_or_default();
        let ready = crate::scene::ready_of(&object);
        let data = scene.data("db").await?;
        if data == expected && ready["status"] == status && ready["reason"] == reason {
            Ok(())
        } else {
            Err(Failure::new(format!("it is {ready}, data {data:?}")))
        }
    })
    .await
}

/// One Secret beside the credentials, of one owner, that the status speaks of.
async fn single(scene: &Scene<'_>) -> Result<()> {
    let object = scene.get("ExternalSecret", "db").await?.expect("the object");
    let secrets = scene.list("Secret").await?;
    let names: Vec<_> = secrets.iter().map(|secret| secret["metadata"]["name"].clone()).collect();
    assert_eq!(names, ["aws-keys", "db"], "{}", scene.ns);
    let owners = &secrets[1]["metadata"]["ownerReferences"];
    assert_eq!(owners.as_array().map(Vec::len), Some(1), "{}", scene.ns);
    assert_eq!(owners[0]["uid"], object["metadata"]["uid"], "{}", scene.ns);
    assert_eq!(object["status"]["binding"]["name"], "db");
    assert_eq!(object["status"]["gabion"]["target"]["uid"], secrets[1]["metadata"]["uid"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_write_fails_and_however_the_end_is_the_same() -> Result<()> {
    let faults = Arc::new(Faults::default());
    let plane = Subsystem::Secrets.control_plane(&Options::default())?;
    let env = Subsystem::Secrets.start_through(
        plane,
        |direct| api_proxy::start(&direct, faults.clone()),
        &[],
    )?;

    let clean = Scene::bare(&env, "clean").await?;
    life(&clean).await?;
    let writes = faults.writes("clean");
    assert!(writes.len() >= 9, "{writes:?}");
    // What a life without faults costs: nothing is written twice.
    let of = |what: &str| writes.iter().filter(|write| write.starts_with(what)).count();
    assert_eq!(of("POST secrets"), 2, "{writes:?}");
    assert_eq!(of("DELETE secrets"), 1, "{writes:?}");

    let mut lives = Vec::new();
    for nth in 1..=writes.len() {
        for (name, how) in WAYS {
            let namespace = format!("fault-{nth}-{name}");
            faults.fail(&namespace, nth, how);
            let env = &env;
            lives.push(async move {
                let scene = Scene::bare(env, &namespace).await?;
                let lived = life(&scene).await;
                lived.map_err(|failure| Failure::new(format!("{namespace}: {failure}")))
            });
        }
    }
    let failures: Vec<_> = futures::future::join_all(lives)
        .await
        .into_iter()
        .filter_map(std::result::Result::err)
        .map(|failure| failure.to_string())
        .collect();
    assert!(failures.is_empty(), "{} of them:\n{}", failures.len(), failures.join("\n"));
    let log = env.operator.log();
    assert!(!log.contains(crate::scene::MARK), "a value is in the log");
    Ok(())
}
