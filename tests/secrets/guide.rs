//! The hardening guide's own sample, and the ways to credentials.

use serde_json::json;
use support::{OWN_KEY, Result, Subsystem, repository};

use crate::scene::{Scene, aws_provider, value};

const ROLE: &str = "arn:aws:iam::000000000000:role/app";

#[tokio::test]
async fn the_guides_sample_works_exactly_as_it_stands_and_rotates() -> Result<()> {
    let scene = Scene::bare(Subsystem::Secrets.shared()?, "guide").await?;
    let secret = |text: &str| json!({"password": value(text), "username": "app"}).to_string();
    scene.env.aws.put("prod/app/database", &secret("first"));
    scene
        .create(json!({"kind": "ServiceAccount", "metadata": {
            "name": "external-secrets-sa", "annotations": {"eks.amazonaws.com/role-arn": ROLE}}}))
        .await?;
    let sample = std::fs::read_to_string(repository().join("examples/guide/rotation.yaml"))?;

    // As a user does it: client-side apply, of v1beta1.
    let kubectl = scene.env.plane().admin()?;
    kubectl.run_with_input(&["apply", "-n", &scene.ns, "-f", "-"], &sample)?;

    scene.data_is("app-secret", json!({"password": value("first")})).await?;
    scene.ready("app-secret").await?;
    scene.store_says("SecretStore", "aws-secrets-manager", "True", "store validated").await?;
    let exchanged: Vec<_> = scene.env.aws.received();
    let exchange = exchanged
        .iter()
        .find(|call| {
            call.operation == "AssumeRoleWithWebIdentity" && call.parameters["RoleArn"] == ROLE
        })
        .expect("an exchange of the ServiceAccount's token");
    assert_eq!(exchange.parameters["RoleSessionName"], "external-secrets-provider-aws");
    assert_eq!(exchange.parameters["WebIdentityToken"].split('.').count(), 3, "no JWT");

    scene.env.aws.put("prod/app/database", &secret("second"));
    scene.force("app-secret", "1").await?;

    scene.data_is("app-secret", json!({"password": value("second")})).await?;
    assert!(scene.event("app-secret", "Updated").await?.contains("app-secret"));
    Ok(())
}

#[tokio::test]
async fn credentials_with_a_trailing_newline_work() -> Result<()> {
    let scene = Scene::bare(Subsystem::Secrets.shared()?, "newline").await?;
    scene.put("db", &value("x"));
    scene
        .create(json!({"kind": "Secret", "metadata": {"name": "aws-keys"}, "stringData": {
            "id": format!("{}\n", scene.access_key), "key": " example\r\n"}}))
        .await?;
    scene.create(scene.store("aws")).await?;

    scene.synced("db", json!({})).await?;

    scene.holds("db", &value("x")).await?;
    assert!(scene.reads("db") > 0);
    let calls = scene.env.aws.received();
    let call = calls.iter().find(|call| call.ids.contains(&scene.remote("db"))).expect("a read");
    assert_eq!(call.access_key, scene.access_key);
    Ok(())
}

#[tokio::test]
async fn a_store_that_names_no_credentials_uses_the_operators_own() -> Result<()> {
    let scene = Scene::bare(Subsystem::Secrets.shared()?, "own-chain").await?;
    scene.put("db", &value("x"));
    let mut store = scene.store("own-chain");
    store["kind"] = json!("ClusterSecretStore");
    store["spec"]["provider"]["aws"]["auth"].take();
    scene.create(store).await?;

    let reference = json!({"name": "own-chain", "kind": "ClusterSecretStore"});
    scene.synced("db", json!({"secretStoreRef": reference})).await?;

    let calls = scene.env.aws.received();
    let call = calls.iter().find(|call| call.ids.contains(&scene.remote("db"))).expect("a read");
    assert_eq!(call.access_key, OWN_KEY);
    Ok(())
}

#[tokio::test]
async fn a_role_is_assumed_with_its_external_id_and_session_tags() -> Result<()> {
    let scene = Scene::new("role").await?;
    scene.put("db", &value("x"));
    let mut aws = aws_provider("aws-keys", None);
    aws["role"] = json!("arn:aws:iam::000000000000:role/reader");
    aws["additionalRoles"] = json!(["arn:aws:iam::000000000000:role/hop"]);
    aws["externalID"] = json!("partner-7");
    aws["sessionTagsPolicy"] = json!("Simple");
    scene
        .create(json!({"kind": "SecretStore", "metadata": {"name": "by-role"},
            "spec": {"provider": {"aws": aws}}}))
        .await?;

    scene.synced("db", json!({"secretStoreRef": {"name": "by-role"}})).await?;

    let calls = scene.env.aws.received();
    let assumed = |role: &str| {
        let arn = format!("arn:aws:iam::000000000000:role/{role}");
        let of_role = calls.iter().filter(|call| call.parameters.get("RoleArn") == Some(&arn));
        of_role.cloned().collect::<Vec<_>>()
    };
    let (hop, reader) = (assumed("hop"), assumed("reader"));
    assert_eq!((hop.len(), reader.len()), (1, 1), "each role is assumed once");
    assert_eq!(hop[0].access_key, scene.access_key);
    assert!(reader[0].access_key.starts_with("ASIA"), "the second role is assumed with the first");
    assert_eq!(reader[0].parameters["ExternalId"], "partner-7");
    let tags: Vec<_> =
        reader[0].parameters.iter().filter(|(k, _)| k.starts_with("Tags.")).collect();
    assert!(tags.iter().any(|(_, value)| *value == "esoNamespace"), "{tags:?}");
    assert!(tags.iter().any(|(_, value)| **value == scene.ns), "{tags:?}");
    Ok(())
}
