//! A provider that refuses, throttles, fails or hangs: whoever asked gets the error, and nobody else waits.

use std::time::Duration;

use serde_json::{Value, json};
use support::{
    Failure, Result, SOON, eventually,
    secrets_manager::{Denial, Fault},
};

use crate::scene::{Scene, aws_provider, ready_of, value};

#[tokio::test]
async fn access_denied_to_one_item_of_a_batch_is_told_to_its_asker_alone() -> Result<()> {
    let scene = Scene::new("denied-one").await?;
    scene.env.aws.deny(Denial {
        operation: Some("GetSecretValue"),
        access_key: Some(scene.access_key.clone()),
        secret: Some(scene.remote("s7")),
    });
    let names: Vec<_> = (0..15).map(|nth| format!("s{nth}")).collect();
    for name in &names {
        scene.put(name, &value(name));
    }
    // One of them asks for two, one of which it may not have: nothing half is written.
    let data = json!([scene.entry("a", "s1"), scene.entry("b", "s7")]);
    scene.create(scene.external("both", json!({"data": data}))).await?;
    for name in &names {
        scene.create(scene.external(name, json!({}))).await?;
    }

    for name in names.iter().filter(|name| *name != "s7") {
        scene.ready(name).await?;
    }
    for name in ["s7", "both"] {
        let message = scene.fails(name, "access denied").await?;
        assert!(message.contains("denied-one/s7"), "{message}");
        assert!(message.contains("secretsmanager:GetSecretValue"), "{message}");
        assert_eq!(scene.data(name).await?, None);
    }
    Ok(())
}

#[tokio::test]
async fn access_denied_to_everything_is_told_to_everybody_and_loses_nothing() -> Result<()> {
    let scene = Scene::new("denied-all").await?;
    scene.put("db", &value("x"));
    scene.put("new", &value("y"));
    scene.synced("db", json!({})).await?;
    for operation in ["GetSecretValue", "BatchGetSecretValue"] {
        scene.env.aws.deny(Denial {
            operation: Some(operation),
            access_key: Some(scene.access_key.clone()),
            secret: None,
        });
    }

    scene.force("db", "1").await?;
    scene.create(scene.external("new", json!({}))).await?;

    for name in ["db", "new"] {
        scene.fails(name, "access denied").await?;
    }
    scene.holds("db", &value("x")).await
}

#[tokio::test]
async fn a_denied_batch_falls_back_to_single_reads_and_the_store_says_so() -> Result<()> {
    let scene = Scene::new("denied-batch").await?;
    scene.env.aws.deny(Denial {
        operation: Some("BatchGetSecretValue"),
        access_key: Some(scene.access_key.clone()),
        secret: None,
    });
    let data: Vec<_> = (0..5)
        .map(|nth| {
            scene.put(&format!("s{nth}"), &value("x"));
            scene.entry(&format!("k{nth}"), &format!("s{nth}"))
        })
        .collect();

    scene.synced("db", json!({"data": data})).await?;

    let text = "secretsmanager:BatchGetSecretValue";
    scene.store_says("SecretStore", "aws", "True", text).await?;
    assert!(scene.env.aws.calls_of("GetSecretValue", &scene.access_key) >= 5);
    Ok(())
}

#[tokio::test]
async fn a_store_decides_how_often_a_failing_call_is_repeated() -> Result<()> {
    let scene = Scene::new("retries").await?;
    let calls = |key: &str| {
        let aws = &scene.env.aws;
        aws.calls_of("GetSecretValue", key) + aws.calls_of("BatchGetSecretValue", key)
    };
    for (retries, calls_per_reconcile) in [(0, 1), (4, 5)] {
        let (name, key) = (format!("retry-{retries}"), format!("AKIARETRY{retries}"));
        let keys = format!("{name}-keys");
        let mut secret = scene.credentials(&keys);
        secret["stringData"]["id"] = key.as_str().into();
        scene.create(secret).await?;
        let settings = json!({"maxRetries": retries, "retryInterval": "10ms"});
        scene
            .create(json!({"kind": "SecretStore", "metadata": {"name": name}, "spec": {
                "provider": {"aws": aws_provider(&keys, None)}, "retrySettings": settings}}))
            .await?;
        scene.put(&name, &value("x"));
        scene.env.aws.fault_of_key(&key, Some(Fault::Broken));

        scene.create(scene.external(&name, json!({"secretStoreRef": {"name": name}}))).await?;
        scene.fails(&name, "cannot be reached").await?;

        let made = calls(&key);
        assert!(made > 0 && made % calls_per_reconcile == 0, "{retries} retries: {made} calls");
        scene.env.aws.fault_of_key(&key, None);
        scene.ready(&name).await?;
    }
    Ok(())
}

#[tokio::test]
async fn throttling_is_waited_out() -> Result<()> {
    let scene = Scene::new("throttled").await?;
    scene.put("db", &value("x"));
    scene.synced("db", json!({})).await?;
    scene.env.aws.fault_of_key(&scene.access_key, Some(Fault::Throttle));
    scene.put("db", &value("y"));
    scene.force("db", "1").await?;
    scene.fails("db", "throttling").await?;

    scene.env.aws.fault_of_key(&scene.access_key, None);

    scene.holds("db", &value("y")).await
}

#[tokio::test]
async fn a_hanging_store_with_fifty_objects_does_not_hold_up_a_healthy_one() -> Result<()> {
    let scene = Scene::new("hanging").await?;
    let sick = "AKIAHANGINGSICK";
    let mut secret = scene.credentials("sick-keys");
    secret["stringData"]["id"] = sick.into();
    scene.create(secret).await?;
    scene
        .create(json!({"kind": "SecretStore", "metadata": {"name": "sick"},
            "spec": {"provider": {"aws": aws_provider("sick-keys", None)}}}))
        .await?;
    scene.put("db", &value("0"));
    scene.synced("db", json!({})).await?;
    scene.env.aws.fault_of_key(sick, Some(Fault::Hang));
    let store = json!({"name": "sick"});
    for nth in 0..50 {
        let data = json!([scene.entry("value", "db")]);
        let spec = json!({"secretStoreRef": store, "data": data});
        scene.create(scene.external(&format!("stuck-{nth}"), spec)).await?;
    }

    for round in 1..=5 {
        let present = value(&round.to_string());
        scene.put("db", &present);
        scene.force("db", &round.to_string()).await?;
        // A call that hangs is given up after 25 s.
        let arrived = tokio::time::timeout(Duration::from_secs(20), scene.holds("db", &present));
        arrived.await.map_err(|_| Failure::new("the healthy one waits"))??;
    }
    scene.fails("stuck-0", "cannot be reached").await?;
    scene.env.aws.fault_of_key(sick, None);
    eventually(SOON, "all are ready", || async {
        let objects = scene.list("ExternalSecret").await?;
        let failing: Vec<_> = objects
            .iter()
            .filter(|object| ready_of(object)["status"] != "True")
            .map(|object| object["metadata"]["name"].clone())
            .collect::<Vec<Value>>();
        if failing.is_empty() {
            Ok(())
        } else {
            Err(Failure::new(format!("{} fail", failing.len())))
        }
    })
    .await
}
