//! Where a store's references may lead: store kind x kind of reference x namespace.

use serde_json::{Value, json};
use support::{Result, Subsystem, audit::Request};

use crate::scene::{Scene, value};

const ROLE: &str = "arn:aws:iam::000000000000:role/app";

/// `spec.provider.aws` with one kind of reference.
fn provider(reference: &str, namespace: Option<&str>) -> Value {
    let with = |mut object: Value| {
        if let Some(namespace) = namespace {
            object["namespace"] = namespace.into();
        }
        object
    };
    let auth = match reference {
        "secretRef" => json!({"secretRef": {
            "accessKeyIDSecretRef": with(json!({"name": "aws-keys", "key": "id"})),
            "secretAccessKeySecretRef": with(json!({"name": "aws-keys", "key": "key"})),
        }}),
        "sessionToken" => json!({"secretRef": {
            "accessKeyIDSecretRef": {"name": "aws-keys", "key": "id"},
            "secretAccessKeySecretRef": {"name": "aws-keys", "key": "key"},
            "sessionTokenSecretRef": with(json!({"name": "aws-keys", "key": "key"})),
        }}),
        _ => json!({"jwt": {"serviceAccountRef": with(json!({"name": "app"}))}}),
    };
    json!({"aws": {"service": "SecretsManager", "region": "eu-west-1", "auth": auth}})
}

async fn furnish(scene: &Scene<'_>) -> Result<()> {
    scene.create(scene.credentials("aws-keys")).await?;
    let annotations = json!({"eks.amazonaws.com/role-arn": ROLE});
    let meta = json!({"name": "app", "annotations": annotations});
    scene.create(json!({"kind": "ServiceAccount", "metadata": meta})).await?;
    Ok(())
}

/// What was read in a namespace: its Secrets, ServiceAccounts and tokens, one by one.
fn read_in(scene: &Scene<'_>) -> Vec<Request> {
    let is_read = |request: &Request| {
        request.is_secret_read()
            || (request.resource == "serviceaccounts" && request.verb == "get")
            || request.resource == "serviceaccounts/token"
    };
    scene.requests().into_iter().filter(is_read).collect()
}

#[tokio::test]
async fn a_secret_store_never_looks_into_another_namespace() -> Result<()> {
    let scene = Scene::bare(Subsystem::Secrets.shared()?, "matrix").await?;
    let other = scene.beside("other").await?;
    furnish(&scene).await?;
    furnish(&other).await?;
    scene.put("db", &value("x"));
    for reference in ["secretRef", "sessionToken", "serviceAccountRef"] {
        for (place, namespace) in
            [("absent", None), ("own", Some(scene.ns.as_str())), ("other", Some(other.ns.as_str()))]
        {
            let name = format!("{}-{place}", reference.to_lowercase());
            scene
                .create(json!({"kind": "SecretStore", "metadata": {"name": name},
                    "spec": {"provider": provider(reference, namespace)}}))
                .await?;
            let data = json!([scene.entry("value", "db")]);
            let spec = json!({"secretStoreRef": {"name": name}, "data": data});
            scene.create(scene.external(&name, spec)).await?;
            if place == "other" {
                let text = "a SecretStore reads only its own namespace";
                scene.store_says("SecretStore", &name, "False", text).await?;
                scene.fails(&name, "matrix-other").await?;
                assert_eq!(scene.data(&name).await?, None);
            } else {
                scene.ready(&name).await?;
            }
        }
    }
    assert_eq!(read_in(&other), [], "0 cross-namespace reads");
    assert!(!read_in(&scene).is_empty());
    Ok(())
}

#[tokio::test]
async fn a_cluster_store_looks_where_it_is_told_or_where_the_asker_is() -> Result<()> {
    let scene = Scene::bare(Subsystem::Secrets.shared()?, "cmatrix").await?;
    let named = scene.beside("named").await?;
    let bystander = scene.beside("bystander").await?;
    for place in [&scene, &named, &bystander] {
        furnish(place).await?;
    }
    scene.put("db", &value("x"));
    for reference in ["secretRef", "serviceAccountRef"] {
        for (place, namespace) in [("absent", None), ("named", Some(named.ns.as_str()))] {
            let name = format!("cmatrix-{}-{place}", reference.to_lowercase());
            let before = read_in(&named).len();
            scene
                .create(json!({"kind": "ClusterSecretStore", "metadata": {"name": name},
                    "spec": {"provider": provider(reference, namespace)}}))
                .await?;
            let store = json!({"name": name, "kind": "ClusterSecretStore"});
            let data = json!([scene.entry("value", "db")]);
            let spec = json!({"secretStoreRef": store, "data": data});
            scene.synced(&name, spec).await?;
            assert_eq!(read_in(&named).len() > before, place == "named", "{name}");
        }
    }
    assert_eq!(read_in(&bystander), []);
    Ok(())
}
