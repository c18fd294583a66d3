//! Stores: what is wrong with one, and that its ExternalSecrets follow as soon as it is right.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    scene::{Scene, aws_provider, ready_of},
    secrets_manager::{Denial, Fault},
    support::{Failure, Result, eventually},
    world::{SOON, World, value},
};

const ROLE: &str = "arn:aws:iam::000000000000:role/app";

#[tokio::test]
async fn a_missing_store_is_named_and_its_arrival_noticed() -> Result<()> {
    let scene = Scene::bare(World::shared()?, "store-missing").await?;
    scene.put("db", &value("x"));
    scene.create(scene.external("db", json!({}))).await?;
    let message = scene.fails("db", "SecretStore \"aws\" does not exist").await?;
    assert!(message.contains("secretStoreRef"), "{message}");

    scene.create(scene.credentials("aws-keys")).await?;
    scene.create(scene.store("aws")).await?;

    scene.ready("db").await?;
    scene.holds("db", &value("x")).await
}

#[tokio::test]
async fn a_store_without_its_credentials_says_which_and_recovers_with_them() -> Result<()> {
    let scene = Scene::bare(World::shared()?, "store-auth").await?;
    scene.put("db", &value("x"));
    scene.create(scene.store("aws")).await?;
    scene.create(scene.external("db", json!({}))).await?;
    scene
        .store_says("SecretStore", "aws", "False", "Secret store-auth/aws-keys does not exist")
        .await?;
    let message = scene.fails("db", "SecretStore \"aws\" is not ready").await?;
    assert!(message.contains("aws-keys"), "the cause is missing: {message}");
    scene.event("aws", "InvalidProviderConfig").await?;

    let mut half = scene.credentials("aws-keys");
    half["stringData"] = json!({"id": scene.access_key});
    scene.create(half).await?;
    scene.store_says("SecretStore", "aws", "False", "has no key \"key\"").await?;

    let whole = json!({"stringData": {"key": "example"}});
    scene.patch("Secret", "aws-keys", whole).await?;

    let object = scene.store_says("SecretStore", "aws", "True", "store validated").await?;
    assert_eq!(ready_of(&object)["reason"], "Valid");
    assert_eq!(object["status"]["capabilities"], "ReadWrite");
    scene.ready("db").await?;
    scene.holds("db", &value("x")).await
}

#[tokio::test]
async fn rotated_credentials_are_used_at_once() -> Result<()> {
    let scene = Scene::new("store-rotate").await?;
    scene.put("db", &value("x"));
    scene.world.aws.reject_key(&scene.access_key, "ExpiredTokenException");
    scene.create(scene.external("db", json!({}))).await?;
    let message = scene.fails("db", "no usable credentials").await?;
    assert!(message.contains("ExpiredTokenException"), "{message}");

    let fresh = json!({"stringData": {"id": "AKIASTOREROTATEFRESH"}});
    scene.patch("Secret", "aws-keys", fresh).await?;

    scene.ready("db").await?;
    assert!(
        scene.world.aws.received().iter().any(|call| call.access_key == "AKIASTOREROTATEFRESH")
    );
    Ok(())
}

#[tokio::test]
async fn a_service_account_that_gets_its_annotation_later_is_noticed() -> Result<()> {
    let scene = Scene::bare(World::shared()?, "store-account").await?;
    scene.put("db", &value("x"));
    let auth = json!({"jwt": {"serviceAccountRef": {"name": "app"}}});
    let aws = json!({"service": "SecretsManager", "region": "eu-west-1", "auth": auth});
    scene
        .create(json!({"kind": "SecretStore", "metadata": {"name": "aws"},
            "spec": {"provider": {"aws": aws}}}))
        .await?;
    scene.create(scene.external("db", json!({}))).await?;
    scene
        .store_says(
            "SecretStore",
            "aws",
            "False",
            "ServiceAccount store-account/app does not exist",
        )
        .await?;

    scene.create(json!({"kind": "ServiceAccount", "metadata": {"name": "app"}})).await?;
    scene.store_says("SecretStore", "aws", "False", "eks.amazonaws.com/role-arn").await?;

    let role = json!({"metadata": {"annotations": {"eks.amazonaws.com/role-arn": ROLE}}});
    scene.patch("ServiceAccount", "app", role).await?;

    scene.store_says("SecretStore", "aws", "True", "").await?;
    scene.ready("db").await?;
    Ok(())
}

#[tokio::test]
async fn a_corrected_store_is_validated_at_once_and_wakes_its_users() -> Result<()> {
    let scene = Scene::new("store-edit").await?;
    scene.put("db", &value("x"));
    let mut store = scene.store("wrong");
    store["spec"]["provider"]["aws"]["region"] = json!("somewhere");
    scene.create(store).await?;
    scene.create(scene.external("db", json!({"secretStoreRef": {"name": "wrong"}}))).await?;
    let text = "\"somewhere\" is not the name of a region";
    scene.store_says("SecretStore", "wrong", "False", text).await?;
    scene.fails("db", text).await?;

    let region = json!({"spec": {"provider": {"aws": {"region": "eu-west-1"}}}});
    scene.patch("SecretStore", "wrong", region).await?;

    scene.ready("db").await?;
    scene.store_says("SecretStore", "wrong", "True", "store validated").await?;
    Ok(())
}

#[tokio::test]
async fn access_denied_to_one_item_of_a_batch_is_told_to_its_asker_alone() -> Result<()> {
    let scene = Scene::new("denied-one").await?;
    scene.world.aws.deny(Denial {
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
        scene.world.aws.deny(Denial {
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
    scene.world.aws.deny(Denial {
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
    assert!(scene.world.aws.calls_of("GetSecretValue", &scene.access_key) >= 5);
    Ok(())
}

#[tokio::test]
async fn a_provider_that_is_not_ours_is_reported_and_its_fields_are_kept() -> Result<()> {
    let scene = Scene::new("unknown-provider").await?;
    let vault = json!({"server": "https://vault.example.com", "path": "kv", "version": "v2",
        "auth": {"kubernetes": {"mountPath": "k", "role": "r"}}});
    let store = json!({"kind": "SecretStore", "metadata": {"name": "vault"},
        "spec": {"provider": {"vault": vault}}});
    scene.create(store).await?;
    scene.create(scene.external("db", json!({"secretStoreRef": {"name": "vault"}}))).await?;
    let mut parameters = scene.store("parameters");
    parameters["spec"]["provider"]["aws"]["service"] = json!("ParameterStore");
    scene.create(parameters).await?;

    for (name, provider) in [("vault", "vault"), ("parameters", "aws/ParameterStore")] {
        let object = scene.store_says("SecretStore", name, "False", provider).await?;
        assert_eq!(ready_of(&object)["reason"], "ProviderNotSupported");
    }
    scene.fails("db", "not supported by Gabion").await?;
    let kept = scene.get("SecretStore", "vault").await?.expect("the store");
    assert_eq!(kept["spec"]["provider"]["vault"], vault);
    Ok(())
}

#[tokio::test]
async fn a_store_of_another_controller_is_left_alone_with_all_that_uses_it() -> Result<()> {
    let scene = Scene::new("other-class").await?;
    scene.put("db", &value("x"));
    let mut store = scene.store("theirs");
    store["spec"]["controller"] = json!("external-secrets");
    scene.create(store).await?;
    let theirs = json!({"name": "theirs"});
    scene.create(scene.external("db", json!({"secretStoreRef": theirs}))).await?;
    // Even what this release does not know.
    let find = json!([{"find": {"name": {"regexp": ".*"}}}]);
    let spec = json!({"secretStoreRef": theirs, "data": [], "dataFrom": find});
    scene.create(scene.external("found", spec)).await?;
    // And what uses another store beside it.
    let mut entry = scene.entry("b", "db");
    entry["sourceRef"] = json!({"storeRef": theirs});
    let data = json!([scene.entry("a", "db"), entry]);
    scene.create(scene.external("both", json!({"data": data}))).await?;

    scene.settle().await?;

    for (kind, name) in [
        ("SecretStore", "theirs"),
        ("ExternalSecret", "db"),
        ("ExternalSecret", "found"),
        ("ExternalSecret", "both"),
    ] {
        let object = scene.get(kind, name).await?.expect("the object");
        assert!(object["status"].is_null(), "{kind} {name}: {object}");
    }
    assert_eq!(scene.reads("db"), 0);

    // Once it is given to us, everything follows.
    scene.patch("SecretStore", "theirs", json!({"spec": {"controller": "default"}})).await?;
    scene.ready("db").await?;
    scene.ready("both").await?;
    Ok(())
}

#[tokio::test]
async fn validation_of_a_fake_store_says_what_it_was_told_to() -> Result<()> {
    let scene = Scene::new("fake-store").await?;
    for (result, status, reason) in [
        (0, "True", "Valid"),
        (1, "True", "ValidationUnknown"),
        (2, "False", "InvalidProviderConfig"),
    ] {
        let fake = json!({"validationResult": result, "data": [
            {"key": "k", "value": value("old"), "version": "1"},
            {"key": "k", "value": value("new"), "version": "2"}]});
        let name = format!("fake-{result}");
        scene
            .create(json!({"kind": "SecretStore", "metadata": {"name": name},
                "spec": {"provider": {"fake": fake}}}))
            .await?;
        let object = scene.store_says("SecretStore", &name, status, "").await?;
        assert_eq!(ready_of(&object)["reason"], reason);
    }
    let remote = |version: &str| json!({"key": "k", "version": version});
    let data = json!([{"secretKey": "value", "remoteRef": remote("1")},
        {"secretKey": "latest", "remoteRef": {"key": "k"}}]);
    scene.synced("db", json!({"secretStoreRef": {"name": "fake-0"}, "data": data})).await?;
    scene.data_is("db", json!({"value": value("old"), "latest": value("new")})).await
}

#[tokio::test]
async fn a_store_decides_how_often_a_failing_call_is_repeated() -> Result<()> {
    let scene = Scene::new("retries").await?;
    let calls = |key: &str| {
        let aws = &scene.world.aws;
        aws.calls_of("GetSecretValue", key) + aws.calls_of("BatchGetSecretValue", key)
    };
    for (retries, calls_per_look) in [(0, 1), (4, 5)] {
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
        scene.world.aws.fault_of_key(&key, Some(Fault::Broken));

        scene.create(scene.external(&name, json!({"secretStoreRef": {"name": name}}))).await?;
        scene.fails(&name, "cannot be reached").await?;

        let made = calls(&key);
        assert!(made > 0 && made % calls_per_look == 0, "{retries} retries: {made} calls");
        scene.world.aws.fault_of_key(&key, None);
        scene.ready(&name).await?;
    }
    Ok(())
}

#[tokio::test]
async fn throttling_is_waited_out() -> Result<()> {
    let scene = Scene::new("throttled").await?;
    scene.put("db", &value("x"));
    scene.synced("db", json!({})).await?;
    scene.world.aws.fault_of_key(&scene.access_key, Some(Fault::Throttle));
    scene.put("db", &value("y"));
    scene.force("db", "1").await?;
    scene.fails("db", "throttling").await?;

    scene.world.aws.fault_of_key(&scene.access_key, None);

    scene.holds("db", &value("y")).await
}

#[tokio::test]
async fn a_store_that_goes_takes_no_secret_with_it() -> Result<()> {
    let scene = Scene::new("store-gone").await?;
    scene.put("db", &value("x"));
    scene.synced("db", json!({})).await?;
    scene.delete("SecretStore", "aws").await?;
    scene.gone("SecretStore", "aws").await?;
    scene.settle().await?;

    scene.force("db", "1").await?;

    scene.fails("db", "SecretStore \"aws\" does not exist").await?;
    scene.holds("db", &value("x")).await
}

#[tokio::test]
async fn several_stores_feed_one_secret() -> Result<()> {
    let scene = Scene::new("several").await?;
    scene.put("db", &value("x"));
    let fake = json!({"fake": {"data": [{"key": "k", "value": value("f")},
        {"key": "map", "value": json!({"m": value("m")}).to_string()}]}});
    scene
        .create(json!({"kind": "SecretStore", "metadata": {"name": "fake"},
            "spec": {"provider": fake}}))
        .await?;
    let other = json!({"storeRef": {"name": "fake"}});
    let data = json!([scene.entry("a", "db"),
        {"secretKey": "f", "remoteRef": {"key": "k"}, "sourceRef": other}]);
    let from = json!([{"extract": {"key": "map"}, "sourceRef": other}]);

    scene.synced("all", json!({"data": data, "dataFrom": from})).await?;

    scene.data_is("all", json!({"a": value("x"), "f": value("f"), "m": value("m")})).await
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
    scene.world.aws.fault_of_key(sick, Some(Fault::Hang));
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
        let arrived = tokio::time::timeout(Duration::from_secs(10), scene.holds("db", &present));
        arrived.await.map_err(|_| Failure::new("the healthy one waits"))??;
    }
    scene.fails("stuck-0", "cannot be reached").await?;
    scene.world.aws.fault_of_key(sick, None);
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
