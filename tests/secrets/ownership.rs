//! Whose Secret it is: nothing is overwritten by accident.

use serde_json::{Value, json};
use support::{Failure, Result, SOON, Subsystem, eventually};

use crate::scene::{Scene, value};

fn user_secret(name: &str) -> Value {
    json!({"kind": "Secret", "metadata": {"name": name}, "stringData": {"mine": "kept"}})
}

#[tokio::test]
async fn a_secret_that_no_external_secret_made_is_left_alone_until_that_is_asked_for() -> Result<()>
{
    let scene = Scene::new("adopt").await?;
    for (name, policy) in [("owner", "Owner"), ("orphan", "Orphan")] {
        scene.put(name, &value("x"));
        scene.create(user_secret(name)).await?;
        let spec = json!({"target": {"creationPolicy": policy}});
        scene.create(scene.external(name, spec)).await?;

        let message = scene.fails(name, "failed to take ownership of target secret").await?;
        assert!(message.contains("gabion.dev/adopt"), "no way out in: {message}");
        scene.event(name, "UpdateFailed").await?;
        scene.data_is(name, json!({"mine": "kept"})).await?;
        let secret = scene.get("Secret", name).await?.expect("a Secret");
        assert!(secret["metadata"]["labels"].is_null(), "{secret}");

        let adopt = json!({"metadata": {"annotations": {"gabion.dev/adopt": "true"}}});
        scene.patch("ExternalSecret", name, adopt).await?;

        scene.data_is(name, json!({"value": value("x")})).await?;
        scene.ready(name).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_secret_in_the_way_that_is_deleted_makes_room_at_once() -> Result<()> {
    let scene = Scene::new("in-the-way").await?;
    scene.put("db", &value("x"));
    scene.create(user_secret("db")).await?;
    scene.create(scene.external("db", json!({}))).await?;
    scene.fails("db", "failed to take ownership").await?;

    scene.delete("Secret", "db").await?;

    scene.holds("db", &value("x")).await?;
    scene.ready("db").await?;
    Ok(())
}

#[tokio::test]
async fn the_flag_adopts_what_nobody_manages() -> Result<()> {
    let env = Subsystem::Secrets.start(&["--adopt-unmanaged"])?;
    let scene = Scene::within(&env, "adopt-flag").await?;
    scene.put("db", &value("x"));
    scene.create(user_secret("db")).await?;

    scene.synced("db", json!({})).await?;

    scene.data_is("db", json!({"value": value("x")})).await?;
    // Never what somebody else controls.
    let map = json!({"kind": "ConfigMap", "metadata": {"name": "controller"}});
    let owner = scene.create(map).await?;
    let mut controlled = user_secret("controlled");
    controlled["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "v1", "kind": "ConfigMap", "name": "controller",
        "uid": owner["metadata"]["uid"], "controller": true}]);
    scene.create(controlled).await?;
    scene.put("controlled", &value("x"));
    scene.create(scene.external("controlled", json!({}))).await?;
    scene.fails("controlled", "failed to take ownership").await?;
    scene.data_is("controlled", json!({"mine": "kept"})).await
}

#[tokio::test]
async fn a_secret_of_another_external_secret_stays_with_it() -> Result<()> {
    let scene = Scene::new("conflict").await?;
    scene.put("first", &value("1"));
    scene.put("second", &value("2"));
    let target = json!({"target": {"name": "shared"}});
    scene.synced("first", target.clone()).await?;

    scene.create(scene.external("second", target)).await?;

    let message = scene.fails("second", "target is owned by another ExternalSecret").await?;
    assert!(message.contains("\"first\""), "{message}");
    scene.holds("shared", &value("1")).await?;
    assert_eq!(scene.reads("second"), 0, "a conflict costs the provider nothing");
    scene.ready("first").await?;

    // The one that is left gets it.
    scene.delete("ExternalSecret", "first").await?;
    scene.holds("shared", &value("2")).await?;
    scene.ready("second").await?;
    Ok(())
}

#[tokio::test]
async fn adopting_does_not_extend_to_a_secret_of_another_external_secret() -> Result<()> {
    let scene = Scene::new("adopt-conflict").await?;
    scene.put("first", &value("1"));
    scene.put("second", &value("2"));
    let target = json!({"target": {"name": "shared"}});
    scene.synced("first", target.clone()).await?;
    let mut object = scene.external("second", target);
    object["metadata"]["annotations"] = json!({"gabion.dev/adopt": "true"});

    scene.create(object).await?;

    scene.fails("second", "target is owned by another ExternalSecret").await?;
    scene.holds("shared", &value("1")).await
}

#[tokio::test]
async fn a_secret_of_another_controller_is_left_alone() -> Result<()> {
    let scene = Scene::new("controlled").await?;
    scene.put("db", &value("x"));
    let map = json!({"kind": "ConfigMap", "metadata": {"name": "chart"}});
    let owner = scene.create(map).await?;
    let mut secret = user_secret("db");
    secret["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "v1", "kind": "ConfigMap", "name": "chart",
        "uid": owner["metadata"]["uid"], "controller": true}]);
    scene.create(secret).await?;
    let mut object = scene.external("db", json!({}));
    object["metadata"]["annotations"] = json!({"gabion.dev/adopt": "true"});
    scene.create(object).await?;

    let message = scene.fails("db", "failed to take ownership of target secret").await?;
    assert!(message.contains("ConfigMap \"chart\""), "{message}");
    scene.data_is("db", json!({"mine": "kept"})).await
}

#[tokio::test]
async fn a_secret_left_by_a_deleted_namesake_is_taken_up_again() -> Result<()> {
    let scene = Scene::new("namesake").await?;
    scene.put("db", &value("x"));
    scene.synced("db", json!({"target": {"creationPolicy": "Orphan"}})).await?;
    scene.delete("ExternalSecret", "db").await?;
    scene.gone("ExternalSecret", "db").await?;
    scene.put("db", &value("y"));

    scene.synced("db", json!({"target": {"creationPolicy": "Orphan"}})).await?;

    scene.holds("db", &value("y")).await?;
    eventually(SOON, "no failure", || async {
        let ready = scene.condition("ExternalSecret", "db").await?;
        if ready["status"] == "True" { Ok(()) } else { Err(Failure::new("no")) }
    })
    .await
}

#[tokio::test]
async fn an_object_that_is_made_anew_takes_its_secret_up_again() -> Result<()> {
    let scene = Scene::new("anew").await?;
    scene.put("db", &value("x"));
    for propagation in ["background", "orphan"] {
        scene.synced("db", json!({})).await?;
        let cascade = format!("--cascade={propagation}");
        let kubectl = scene.env.plane().admin()?;
        kubectl.run(&["delete", "es", "db", "-n", &scene.ns, &cascade])?;
        // At once, as `kubectl replace --force` does: the Secret still names the old owner.
        let object = scene.create(scene.external("db", json!({}))).await?;
        eventually(SOON, "the new owner", || async {
            let secret = scene.get("Secret", "db").await?.unwrap_or_default();
            let owner = &secret["metadata"]["ownerReferences"][0]["uid"];
            if *owner == object["metadata"]["uid"] {
                Ok(())
            } else {
                Err(Failure::new(format!("it is {owner}")))
            }
        })
        .await?;
        scene.ready("db").await?;
        scene.delete("ExternalSecret", "db").await?;
        scene.gone("Secret", "db").await?;
    }
    Ok(())
}

#[tokio::test]
async fn merging_into_a_secret_does_not_make_it_ours_to_own() -> Result<()> {
    let scene = Scene::new("merge-then-own").await?;
    scene.put("db", &value("x"));
    scene.create(user_secret("db")).await?;
    scene.synced("db", json!({"target": {"creationPolicy": "Merge"}})).await?;
    let both = json!({"mine": "kept", "value": value("x")});
    scene.data_is("db", both.clone()).await?;

    let own = json!({"spec": {"target": {"creationPolicy": "Owner"}}});
    scene.patch("ExternalSecret", "db", own).await?;

    scene.fails("db", "failed to take ownership").await?;
    scene.data_is("db", both).await?;
    let secret = scene.get("Secret", "db").await?.expect("a Secret");
    assert!(secret["metadata"]["ownerReferences"].is_null());
    Ok(())
}

/// Twenty pairs that want one Secret each; the first of each has it and lets it go, all at once.
async fn pairs_let_go(namespace: &str, first: Value, change: Option<Value>) -> Result<()> {
    let scene = Scene::new(namespace).await?;
    let names: Vec<_> = (0..20).map(|nth| format!("pair-{nth}")).collect();
    let mut target = first;
    for name in &names {
        scene.put(&format!("{name}-first"), &value("first"));
        scene.put(&format!("{name}-second"), &value("second"));
        target["name"] = json!(name);
        scene.synced(&format!("{name}-first"), json!({"target": target})).await?;
        let spec = json!({"target": {"name": name}});
        scene.create(scene.external(&format!("{name}-second"), spec)).await?;
    }
    for name in &names {
        scene.fails(&format!("{name}-second"), "Secret").await?;
    }

    for name in &names {
        let first = format!("{name}-first");
        match &change {
            Some(change) => {
                let mut change = json!({"spec": {"target": change}});
                if change["spec"]["target"]["name"] == "moved" {
                    change["spec"]["target"]["name"] = json!(format!("{name}-moved"));
                }
                scene.patch("ExternalSecret", &first, change).await?;
            }
            None => scene.delete("ExternalSecret", &first).await?,
        }
    }

    for name in &names {
        scene.ready(&format!("{name}-second")).await?;
        let data = scene.data(name).await?.expect("a Secret");
        assert_eq!(data["value"], value("second"), "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn q9_a_secret_is_taken_when_the_other_is_renamed() -> Result<()> {
    pairs_let_go("q9-rename", json!({}), Some(json!({"name": "moved"}))).await
}

#[tokio::test]
async fn q9_a_secret_is_taken_when_the_other_is_deleted_and_leaves_it() -> Result<()> {
    pairs_let_go("q9-orphan", json!({"creationPolicy": "Orphan"}), None).await
}

#[tokio::test]
async fn q9_a_secret_is_taken_when_the_other_only_merges_into_it() -> Result<()> {
    pairs_let_go("q9-merge", json!({}), Some(json!({"creationPolicy": "Merge"}))).await
}
