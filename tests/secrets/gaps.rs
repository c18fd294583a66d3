//! What happens while a watch has a gap or is late, or while nobody watches, is found all the same.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use support::{
    Failure, Options, Result, SOON, Subsystem, TestEnv, audit, eventually, secrets_manager::Fault,
};

use support::api_proxy::{self, Faults, Reading};

use crate::scene::{Scene, value};

fn start(plan: &Arc<Faults>) -> Result<TestEnv> {
    let plane = Subsystem::Secrets.control_plane(&Options::default())?;
    let through = plan.clone();
    Subsystem::Secrets.start_through(plane, move |direct| api_proxy::start(&direct, through), &[])
}

/// The ways in which a Secret is let go by whoever has it.
const WAYS: [&str; 5] = ["renamed", "deleted", "merging", "dropped", "unlabelled"];

/// For each way an object that is refused the Secret of that name.
async fn wanting(scene: &Scene<'_>) -> Result<()> {
    for way in WAYS {
        scene.put(&format!("{way}-first"), &value("first"));
        scene.put(&format!("{way}-second"), &value("second"));
        if way == "dropped" || way == "unlabelled" {
            let mut secret = json!({"kind": "Secret", "metadata": {"name": way},
                "stringData": {"a": "b"}});
            if way == "unlabelled" {
                let owner = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner",
                    "uid": scene.owner().await?, "controller": true}]);
                secret["metadata"]["ownerReferences"] = owner;
            }
            scene.create(secret).await?;
        } else {
            let orphan = if way == "deleted" { "Orphan" } else { "Owner" };
            let target = json!({"name": way, "creationPolicy": orphan});
            scene.synced(&format!("{way}-first"), json!({"target": target})).await?;
        }
        let mut object = scene.external(&format!("{way}-second"), json!({"target": {"name": way}}));
        if way == "unlabelled" {
            object["metadata"]["annotations"] = json!({"gabion.dev/adopt": "true"});
        }
        scene.create(object).await?;
        scene.fails(&format!("{way}-second"), "Secret").await?;
    }
    Ok(())
}

async fn let_go(scene: &Scene<'_>) -> Result<()> {
    let target = |change: Value| json!({"spec": {"target": change}});
    let (moved, merging) = (json!({"name": "moved"}), json!({"creationPolicy": "Merge"}));
    scene.patch("ExternalSecret", "renamed-first", target(moved)).await?;
    scene.delete("ExternalSecret", "deleted-first").await?;
    scene.patch("ExternalSecret", "merging-first", target(merging)).await?;
    scene.delete("Secret", "dropped").await?;
    let free = json!({"metadata": {"ownerReferences": null}});
    scene.patch("Secret", "unlabelled", free).await?;
    Ok(())
}

async fn taken(scene: &Scene<'_>) -> Result<()> {
    for way in WAYS {
        let second = format!("{way}-second");
        scene.ready(&second).await?;
        let data = scene.data(way).await?.expect("a Secret");
        assert_eq!(data["value"], value("second"), "{way}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn q9_what_was_let_go_in_a_gap_of_the_watches_is_taken() -> Result<()> {
    let plan = Arc::new(Faults::default());
    let env = start(&plan)?;
    let scene = Scene::within(&env, "q9-gap").await?;
    wanting(&scene).await?;
    for resource in ["externalsecrets", "secrets"] {
        plan.reading(resource, Reading::Away);
    }
    let_go(&scene).await?;
    // The next watches start with a list: none of the events in between is ever told.
    for resource in ["externalsecrets", "secrets"] {
        plan.refuse_watches(resource, 1, 410);
        plan.reading(resource, Reading::Normal);
    }
    taken(&scene).await?;
    for resource in ["externalsecrets", "secrets"] {
        assert_eq!(plan.refusals_left(resource), 0, "there was a gap in {resource}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn q9_what_was_let_go_while_nobody_ran_is_taken() -> Result<()> {
    let mut env = Subsystem::Secrets.start(&[])?;
    let scene = Scene::within(&env, "q9-restart").await?;
    wanting(&scene).await?;
    env.operator.signal(support::Signal::STOP)?;
    let_go(&scene).await?;
    drop(scene);
    env.start_again(&[])?;
    taken(&Scene::enter(&env, "q9-restart").await?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn q8_no_store_keeps_old_keys_however_late_the_watch_is() -> Result<()> {
    let plan = Arc::new(Faults::default());
    let env = start(&plan)?;
    let scene = Scene::within(&env, "q8-late").await?;
    scene.create(scene.store("b")).await?;
    for (name, store) in [("of-a", "aws"), ("of-b", "b")] {
        scene.put(name, &value("0"));
        let spec = json!({"secretStoreRef": {"name": store}, "refreshInterval": "1s"});
        scene.synced(name, spec).await?;
    }
    let mut keys = scene.access_key.clone();
    // The last of them never comes in time: then only the refusal tells.
    for (round, late) in [30, 300, 3_000, 3_600_000].into_iter().enumerate() {
        plan.reading("secrets", Reading::Late(Duration::from_millis(late)));
        let fresh = format!("AKIAQ8LATE{round}");
        let rotated = json!({"stringData": {"id": fresh}});
        scene.patch("Secret", "aws-keys", rotated).await?;
        env.aws.reject_key(&keys, "UnrecognizedClientException");
        keys = fresh;
        // An edit has b read them at once.
        let edit = json!({"spec": {"refreshInterval": 3_600 + round}});
        scene.patch("SecretStore", "b", edit).await?;
        for name in ["of-a", "of-b"] {
            let text = value(&format!("{name} {round}"));
            scene.put(name, &text);
            scene.holds(name, &text).await?;
        }
        for store in ["aws", "b"] {
            scene.store_says("SecretStore", store, "True", "").await?;
        }
    }
    Ok(())
}

/// The refusal of one store makes it read its keys again, and says what is wrong if they have not changed.
#[tokio::test]
async fn q8_refused_keys_are_read_again_and_not_for_ever() -> Result<()> {
    let scene = Scene::new("q8-refused").await?;
    scene.put("db", &value("x"));
    scene.synced("db", json!({"refreshInterval": "1s"})).await?;
    let reads = || {
        let requests = scene.requests();
        requests.iter().filter(|r| r.is_secret_read() && r.name == "aws-keys").count()
    };
    let before = reads();
    scene.env.aws.reject_key(&scene.access_key, "UnrecognizedClientException");
    scene.fails("db", "UnrecognizedClientException").await?;
    tokio::time::sleep(SOON / 4).await;
    let read = reads() - before;
    assert!((1..=6).contains(&read), "{read} times");
    Ok(())
}

/// Many objects of one store that answers slowly; a third of them goes while they wait, and the process is killed in
/// between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn q1_of_many_objects_none_is_lost_and_none_is_done_twice() -> Result<()> {
    const COUNT: usize = 300;
    let mut env = Subsystem::Secrets.start(&[])?;
    let scene = Scene::within(&env, "q1-many").await?;
    let slow = Some(Fault::Delay(Duration::from_secs(3)));
    env.aws.fault_of_key(&scene.access_key, slow);
    let name = |nth: usize| format!("s{nth}");
    for nth in 0..COUNT {
        scene.put(&name(nth), &value("x"));
    }
    let made = (0..COUNT).map(|nth| scene.create(scene.external(&name(nth), json!({}))));
    futures::future::try_join_all(made).await?;
    let doomed = (0..COUNT).filter(|nth| nth % 3 == 0);
    futures::future::try_join_all(doomed.map(|nth| {
        let (scene, name) = (&scene, name(nth));
        async move { scene.delete("ExternalSecret", &name).await }
    }))
    .await?;
    let done = || async { Ok::<_, Failure>(scene.list("Secret").await?.len()) };
    eventually(SOON, "some are done", || async {
        let count = done().await?;
        if count > 20 { Ok(()) } else { Err(Failure::new(format!("{count}"))) }
    })
    .await?;
    env.aws.fault_of_key(&scene.access_key, None);
    drop(scene);
    env.start_again(&[])?;
    let scene = Scene::enter(&env, "q1-many").await?;
    let left = |nth: &usize| !nth.is_multiple_of(3);
    for nth in (0..COUNT).filter(left) {
        scene.ready(&name(nth)).await?;
        scene.holds(&name(nth), &value("x")).await?;
    }
    scene.settle().await?;
    for nth in (0..COUNT).step_by(3) {
        scene.gone("Secret", &name(nth)).await?;
    }
    // Each is created once; a process that is killed between a write and its answer knows nothing of it.
    let requests = scene.requests();
    let created = |nth: usize| {
        let of = |r: &&audit::Request| {
            r.verb == "create" && r.resource == "secrets" && r.name == name(nth) && r.code == 201
        };
        requests.iter().filter(of).count()
    };
    for nth in (0..COUNT).filter(left) {
        assert!(created(nth) <= 1, "{} was created {} times since", name(nth), created(nth));
        assert!(
            scene.reads(&name(nth)) <= 4,
            "{} is read {} times",
            name(nth),
            scene.reads(&name(nth))
        );
    }
    Ok(())
}
