//! What a person takes back.

use std::time::Duration;

use serde_json::json;
use support::{Failure, Result, SOON, TestEnv, eventually, secrets_manager::Fault};

use super::{KIND, document, generator, new, rotate, rotation, says};
use crate::scene::{Scene, value};

/// Asks for a version to be taken back.
async fn take_back(scene: &Scene<'_>, name: &str, version: &str) -> Result<()> {
    let annotations = json!({"metadata": {"annotations": {"gabion.dev/rollback": version}}});
    scene.patch(KIND, name, annotations).await?;
    Ok(())
}

#[tokio::test]
async fn s5_a_person_takes_back_what_is_in_force() -> Result<()> {
    let scene = Scene::new("rotation-undo").await?;
    let aws = &scene.env.aws;
    generator(&scene).await?;
    for (name, spec) in [
        ("done", json!({"suspend": false})),
        ("manual", json!({"rollback": "Manual", "consumers": {"timeout": "1s"}})),
        ("put", json!({})),
    ] {
        rotation(&scene, name, spec).await?;
        let spec = json!({"refreshInterval": "0", "data": [{"secretKey": "value",
            "remoteRef": {"key": scene.remote(name), "property": "password"}}]});
        scene.synced(name, spec).await?;
    }
    scene.patch("Secret", "manual", json!({"immutable": true})).await?;
    scene.settle().await?;
    let mut versions = Vec::new();
    for (name, reason) in [("done", "Complete"), ("manual", "NeedsRollback"), ("put", "Complete")] {
        rotate(&scene, name, "1").await?;
        let object = says(&scene, name, reason).await?;
        let version = object["status"]["lastRotation"]["version"].as_str().unwrap_or_default();
        versions.push(version.to_owned());
    }
    // The id of another version means nothing.
    take_back(&scene, "done", &versions[1]).await?;
    scene.patch(KIND, "done", json!({"spec": {"suspend": true}})).await?;
    scene.holds("done", &new()).await?;
    scene.put("put", &document("by hand"));
    for ((name, reason), version) in
        [("done", "RolledBack"), ("manual", "RolledBack"), ("put", "Superseded")]
            .into_iter()
            .zip(&versions)
    {
        take_back(&scene, name, version).await?;
        eventually(SOON, reason, || async {
            let object = scene.get(KIND, name).await?.unwrap_or_default();
            let outcome = &object["status"]["lastRotation"]["outcome"];
            if outcome == reason { Ok(()) } else { Err(Failure::new(format!("{outcome}"))) }
        })
        .await?;
    }
    scene.holds("done", &value("old")).await?;
    for name in ["done", "manual"] {
        let remote = scene.remote(name);
        assert_eq!(aws.value_of(&remote), Some(document(&value("old"))), "{name}");
        assert_eq!(aws.version_at(&remote, "AWSPENDING"), None, "{name}");
    }
    assert_eq!(aws.value_of(&scene.remote("put")), Some(document("by hand")));
    // What was taken back stays so, though the annotation is still there.
    let moves = aws.calls_of("UpdateSecretVersionStage", &scene.access_key);
    scene.patch(KIND, "done", json!({"metadata": {"labels": {"looked": "again"}}})).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(aws.calls_of("UpdateSecretVersionStage", &scene.access_key), moves);
    Ok(())
}

/// The process is killed after each move of what a person takes back.
pub(super) async fn taken_back_though_killed(env: &mut TestEnv, names: [&str; 2]) -> Result<()> {
    for (passes, name) in names.into_iter().enumerate() {
        let operation = "UpdateSecretVersionStage";
        env.aws.reset_counts();
        env.aws.fault(operation, &Fault::Delay(Duration::ZERO), passes);
        env.aws.fault(operation, &Fault::Unanswered, 1);
        let scene = Scene::enter(env, "rotation-kill").await?;
        let object = scene.get(KIND, name).await?.unwrap_or_default();
        let version = object["status"]["lastRotation"]["version"].as_str().unwrap_or_default();
        take_back(&scene, name, version).await?;
        eventually(SOON, "the call that is not answered", || async {
            let met = env.aws.calls(operation) > passes;
            if met { Ok(()) } else { Err(Failure::new("not yet")) }
        })
        .await?;
        drop(scene);
        env.start_again(&[])?;
        let scene = Scene::enter(env, "rotation-kill").await?;
        says(&scene, name, "RolledBack").await?;
        let remote = scene.remote(name);
        assert_eq!(env.aws.value_of(&remote), Some(document(&value("old"))), "{name}");
        assert_eq!(env.aws.version_at(&remote, "AWSPENDING"), None, "{name}");
    }
    Ok(())
}
