//! The objects that a workload works on.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use gabion::api::external_secrets::external_secret::ExternalSecret;
use gabion::api::external_secrets::secret_store::SecretStore;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{Api, Client, Resource, api::PostParams};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use support::{Result, secrets_manager::SecretsManager};

/// Requests under way at once while objects are made, which is not measured.
const AT_ONCE: usize = 32;

/// What there is to be.
#[derive(Clone, Debug)]
pub struct Population {
    /// ExternalSecrets in all.
    pub objects: usize,
    /// Namespaces, each with one SecretStore of its own static credentials.
    pub stores: usize,
    /// ExternalSecrets that read the same remote secret.
    pub sharing: usize,
    /// `spec.refreshInterval`.
    pub interval: &'static str,
}

impl Population {
    /// `objects` over 100 stores, each with a remote secret of its own, read once an hour.
    pub fn spread(objects: usize) -> Self {
        Self { objects, stores: 100.min(objects), sharing: 1, interval: "1h" }
    }

    /// Namespace and name of every ExternalSecret, which are those of its Secret too.
    pub fn keys(&self) -> impl Iterator<Item = (String, String)> {
        let stores = self.stores;
        (0..self.objects).map(move |nth| (namespace(nth % stores), format!("app-{nth}")))
    }

    /// The remote secret that the `nth` ExternalSecret reads.
    pub fn remote(&self, nth: usize) -> String {
        let (store, within) = (nth % self.stores, nth / self.stores);
        format!("bench/team-{store}/secret-{}", within / self.sharing)
    }

    /// Gives every remote secret a new value.
    pub fn fill(&self, aws: &SecretsManager, password: &str) {
        let mut names: Vec<_> = (0..self.objects).map(|nth| self.remote(nth)).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            aws.put(&name, &value(password));
        }
    }

    /// Makes the remote secrets, namespaces, stores and ExternalSecrets.
    pub async fn create(&self, client: &Client, aws: &SecretsManager) -> Result<()> {
        self.fill(aws, "first");
        each(0..self.stores, async |nth| {
            let name = namespace(nth);
            let all = Api::<Namespace>::all(client.clone());
            create(&all, &json!({"metadata": {"name": name}})).await?;
            let secrets = Api::<Secret>::namespaced(client.clone(), &name);
            create(&secrets, &credentials(nth)).await?;
            let stores = Api::<SecretStore>::namespaced(client.clone(), &name);
            create(&stores, &store()).await
        })
        .await?;
        each(0..self.objects, async |nth| {
            let api = Api::namespaced(client.clone(), &namespace(nth % self.stores));
            create::<ExternalSecret>(&api, &self.external_secret(nth)).await
        })
        .await
    }

    /// The `nth` ExternalSecret.
    pub fn external_secret(&self, nth: usize) -> Value {
        external_secret(&format!("app-{nth}"), &self.remote(nth), self.interval)
    }
}

/// The name of a namespace.
pub fn namespace(nth: usize) -> String {
    format!("team-{nth}")
}

/// An ExternalSecret of two keys of one remote secret.
pub fn external_secret(name: &str, remote: &str, interval: &str) -> Value {
    json!({
        "apiVersion": "external-secrets.io/v1",
        "kind": "ExternalSecret",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "refreshInterval": interval,
            "secretStoreRef": {"name": "store", "kind": "SecretStore"},
            "data": [
                {"secretKey": "username", "remoteRef": {"key": remote, "property": "username"}},
                {"secretKey": "password", "remoteRef": {"key": remote, "property": "password"}},
            ],
        },
    })
}

/// A remote value of about 200 bytes.
pub fn value(password: &str) -> String {
    let filler = "x".repeat(120);
    json!({"username": "app", "password": password, "engine": "postgres", "note": filler})
        .to_string()
}

fn credentials(nth: usize) -> Value {
    json!({
        "metadata": {"name": "credentials"},
        "stringData": {"id": format!("AKIABENCH{nth:05}"), "key": "not-checked"},
    })
}

fn store() -> Value {
    let of = |key: &str| json!({"name": "credentials", "key": key});
    json!({
        "apiVersion": "external-secrets.io/v1",
        "kind": "SecretStore",
        "metadata": {"name": "store"},
        "spec": {"provider": {"aws": {
            "service": "SecretsManager",
            "region": "eu-west-1",
            "auth": {"secretRef": {
                "accessKeyIDSecretRef": of("id"),
                "secretAccessKeySecretRef": of("key"),
            }},
        }}},
    })
}

/// Creates an object, without decoding the answer into more than it has to be.
pub async fn create<K>(api: &Api<K>, object: &Value) -> Result<()>
where
    K: Resource + Clone + std::fmt::Debug + Serialize + DeserializeOwned,
{
    api.create(&PostParams::default(), &K::deserialize(object)?).await?;
    Ok(())
}

/// Does something for each number, several at once.
pub async fn each(
    numbers: std::ops::Range<usize>,
    work: impl AsyncFn(usize) -> Result<()>,
) -> Result<()> {
    let work = &work;
    let all = stream::iter(numbers).map(|nth| async move { work(nth).await });
    all.buffer_unordered(AT_ONCE).try_collect::<()>().await
}
