//! Stores: what is wrong with one, and that its ExternalSecrets follow as soon as it is right.

use serde_json::json;
use support::{Result, Subsystem};

use crate::scene::{Scene, ready_of, value};

const ROLE: &str = "arn:aws:iam::000000000000:role/app";

#[tokio::test]
async fn a_missing_store_is_named_and_its_arrival_noticed() -> Result<()> {
    let scene = Scene::bare(Subsystem::Secrets.shared()?, "store-missing").await?;
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
    let scene = Scene::bare(Subsystem::Secrets.shared()?, "store-auth").await?;
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
    scene.env.aws.reject_key(&scene.access_key, "ExpiredTokenException");
    scene.create(scene.external("db", json!({}))).await?;
    let message = scene.fails("db", "no usable credentials").await?;
    assert!(message.contains("ExpiredTokenException"), "{message}");

    let fresh = json!({"stringData": {"id": "AKIASTOREROTATEFRESH"}});
    scene.patch("Secret", "aws-keys", fresh).await?;

    scene.ready("db").await?;
    assert!(scene.env.aws.received().iter().any(|call| call.access_key == "AKIASTOREROTATEFRESH"));
    Ok(())
}

#[tokio::test]
async fn a_service_account_that_gets_its_annotation_later_is_noticed() -> Result<()> {
    let scene = Scene::bare(Subsystem::Secrets.shared()?, "store-account").await?;
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
async fn a_provider_that_is_not_ours_is_reported_and_its_fields_are_kept() -> Result<()> {
    let scene = Scene::new("unknown-provider").await?;
    let vault = json!({"server": "https://vault.example.com", "path": "kv", "version": "v2",
        "auth": {"kubernetes": {"mountPath": "k", "role": "r"}}});
    let store = json!({"kind": "SecretStore", "metadata": {"name": "vault"},
        "spec": {"provider": {"vault": vault}}});
    scene.create(store).await?;
    scene.create(scene.external("db", json!({"secretStoreRef": {"name": "vault"}}))).await?;
    let mut certificates = scene.store("certificates");
    certificates["spec"]["provider"]["aws"]["service"] = json!("CertificateManager");
    scene.create(certificates).await?;

    for (name, provider) in [("vault", "vault"), ("certificates", "aws/CertificateManager")] {
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
async fn the_finalizer_on_what_another_controller_keeps_is_left_to_it() -> Result<()> {
    let scene = Scene::new("other-finalizer").await?;
    let mut store = scene.store("theirs");
    store["spec"]["controller"] = json!("external-secrets");
    scene.create(store).await?;
    let mut object = scene.external("db", json!({"secretStoreRef": {"name": "theirs"}}));
    let finalizer = "externalsecrets.external-secrets.io/externalsecret-cleanup";
    object["metadata"]["finalizers"] = json!([finalizer]);
    scene.create(object).await?;
    scene.settle().await?;

    scene.delete("ExternalSecret", "db").await?;
    scene.settle().await?;

    let object = scene.get("ExternalSecret", "db").await?.expect("the object");
    assert_eq!(object["metadata"]["finalizers"], json!([finalizer]));
    // Without its store nobody else is known to keep it.
    scene.delete("SecretStore", "theirs").await?;
    scene.patch("ExternalSecret", "db", json!({"metadata": {"labels": {"a": "b"}}})).await?;
    scene.gone("ExternalSecret", "db").await
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
async fn hardening_10_a_credential_that_is_none_is_named_with_its_secret_and_key() -> Result<()> {
    let scene = Scene::bare(Subsystem::Secrets.shared()?, "store-empty").await?;
    let mut secret = scene.credentials("aws-keys");
    secret["stringData"]["key"] = json!(" \n");
    scene.create(secret).await?;
    scene.create(scene.store("aws")).await?;
    let at = "key \"key\" of Secret store-empty/aws-keys";

    for (text, words) in [
        (" \n", "is empty"),
        ("\u{feff}example", "starts with a byte-order mark"),
        ("exa mple", "holds white space"),
    ] {
        let change = json!({"stringData": {"key": text}});
        scene.patch("Secret", "aws-keys", change).await?;
        let said = format!("{at} {words}");
        let object = scene.store_says("SecretStore", "aws", "False", &said).await?;
        assert_eq!(ready_of(&object)["reason"], "InvalidProviderConfig");
    }
    Ok(())
}

#[tokio::test]
async fn a_store_that_is_held_in_deletion_serves_until_it_is_gone() -> Result<()> {
    let scene = Scene::new("store-held").await?;
    scene.put("db", &value("x"));
    let hold = json!({"metadata": {"finalizers": ["example.com/hold"]}});
    scene.patch("SecretStore", "aws", hold).await?;
    scene.delete("SecretStore", "aws").await?;
    scene.settle().await?;

    scene.synced("db", json!({})).await?;

    let release = json!({"metadata": {"finalizers": null}});
    scene.patch("SecretStore", "aws", release).await?;
    scene.gone("SecretStore", "aws").await
}

#[tokio::test]
async fn s4_a_store_in_a_namespace_does_not_get_the_operators_own_credentials() -> Result<()> {
    let scene = Scene::bare(Subsystem::Secrets.shared()?, "no-ambient").await?;
    for (name, auth, field) in [
        ("absent", json!(null), "spec.provider.aws.auth: is not set"),
        ("empty", json!({}), "spec.provider.aws.auth: is not set"),
        ("jwt", json!({"jwt": {}}), "spec.provider.aws.auth.jwt.serviceAccountRef: is not set"),
        ("keys", json!({"secretRef": {}}), "auth.secretRef.accessKeyIDSecretRef: is not set"),
        (
            "names",
            json!({"secretRef": {"accessKeyIDSecretRef": {"key": "id"},
                "secretAccessKeySecretRef": {"key": "key"}}}),
            "auth.secretRef.accessKeyIDSecretRef: needs both name and key",
        ),
    ] {
        let mut store = scene.store(name);
        store["spec"]["provider"]["aws"]["auth"] = auth;
        scene.create(store).await?;
        let reported = scene.store_says("SecretStore", name, "False", field).await?;
        assert_eq!(ready_of(&reported)["reason"], "InvalidProviderConfig", "{name}");
        scene.put(name, &value("x"));
        scene.create(scene.external(name, json!({"secretStoreRef": {"name": name}}))).await?;
        scene.fails(name, "is not ready").await?;
        assert_eq!(scene.reads(name), 0, "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn reports_3_c_an_empty_auth_method_of_a_cluster_store_is_no_auth_of_the_operator()
-> Result<()> {
    let scene = Scene::bare(Subsystem::Secrets.shared()?, "empty-method").await?;
    let mut store = scene.store("empty-method");
    store["kind"] = json!("ClusterSecretStore");
    store["spec"]["provider"]["aws"]["auth"] = json!({"jwt": {}});
    scene.create(store).await?;
    let field = "spec.provider.aws.auth.jwt.serviceAccountRef";
    scene.store_says("ClusterSecretStore", "empty-method", "False", field).await?;
    Ok(())
}

#[tokio::test]
async fn s4_nobody_claims_a_namespace_in_session_tags() -> Result<()> {
    let scene = Scene::new("claimed-tag").await?;
    for (nth, key) in ["esoNamespace", "esostorename", "ESOSTOREKIND"].into_iter().enumerate() {
        let name = format!("claims-{nth}");
        let mut store = scene.store(&name);
        let aws = &mut store["spec"]["provider"]["aws"];
        aws["role"] = json!("arn:aws:iam::000000000000:role/claimed");
        aws["sessionTags"] = json!([{"key": key, "value": "other-team"}]);
        scene.create(store).await?;
        scene.store_says("SecretStore", &name, "False", "sessionTags[0].key").await?;
    }
    let claimed = scene.env.aws.received().into_iter().any(|call| {
        call.parameters.get("RoleArn").is_some_and(|arn| arn.ends_with("role/claimed"))
    });
    assert!(!claimed, "a role was assumed with a tag that was claimed");
    Ok(())
}
