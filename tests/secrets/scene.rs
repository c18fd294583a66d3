//! A namespace of one test, with credentials of its own, and what tests do and ask in it.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};
use support::{
    Cluster, Failure, Result, SOON, Subsystem, TestEnv,
    audit::{self, Request},
    condition, eventually, path,
};

use crate::confidentiality;

/// Part of every value that a test gives to Secrets Manager: it must turn up nowhere but in Secrets.
pub const MARK: &str = "vAlu3-0f-t3st";

/// A value with the mark in it.
pub fn value(text: &str) -> String {
    format!("{MARK}:{text}")
}

/// A namespace with a SecretStore `aws` that has static credentials.
pub struct Scene<'a> {
    /// What it is in.
    pub env: &'a TestEnv,
    /// The namespace.
    pub ns: String,
    /// The access key id of its store.
    pub access_key: String,
    cluster: Cluster,
}

impl Scene<'static> {
    /// A namespace of this name in the shared environment.
    pub async fn new(name: &str) -> Result<Self> {
        Self::within(Subsystem::Secrets.shared()?, name).await
    }
}

/// What any test makes the shared operator do must hold this, so each looks when it ends.
impl Drop for Scene<'_> {
    fn drop(&mut self) {
        if self.env.is_shared() && !std::thread::panicking() {
            confidentiality::assert_kept(self.env, &self.ns);
        }
    }
}

/// Whether an answer is a refusal of the API server with this code, and its message.
pub fn refused(outcome: Result<Value, kube::Error>, code: u16) -> String {
    match outcome {
        Err(kube::Error::Api(status)) if status.code == code => status.message.clone(),
        other => panic!("expected {code}, got {other:?}"),
    }
}

impl<'a> Scene<'a> {
    /// A namespace of this name in `env`, with its store.
    pub async fn within(env: &'a TestEnv, name: &str) -> Result<Self> {
        let scene = Self::bare(env, name).await?;
        scene.create(scene.credentials("aws-keys")).await?;
        scene.create(scene.store("aws")).await?;
        Ok(scene)
    }

    /// The namespace of this name, which exists or has existed.
    pub async fn enter(env: &'a TestEnv, name: &str) -> Result<Self> {
        let cluster = Cluster::new(env.plane()).await?;
        let access_key = format!("AKIA{}", name.replace('-', "").to_uppercase());
        Ok(Self { env, ns: name.to_owned(), access_key, cluster })
    }

    /// An empty namespace of this name.
    pub async fn bare(env: &'a TestEnv, name: &str) -> Result<Self> {
        let scene = Self::enter(env, name).await?;
        scene.create(json!({"kind": "Namespace", "metadata": {"name": name}})).await?;
        Ok(scene)
    }

    /// A second namespace for the same test; its name is the first's and a suffix.
    pub async fn beside(&self, suffix: &str) -> Result<Self> {
        Self::bare(self.env, &format!("{}-{suffix}", self.ns)).await
    }

    /// A Secret with the credentials of this scene.
    pub fn credentials(&self, name: &str) -> Value {
        json!({
            "kind": "Secret",
            "metadata": {"name": name},
            "stringData": {"id": self.access_key, "key": "example"},
        })
    }

    /// A SecretStore that uses them.
    pub fn store(&self, name: &str) -> Value {
        json!({
            "kind": "SecretStore",
            "metadata": {"name": name},
            "spec": {"provider": {"aws": aws_provider("aws-keys", None)}},
        })
    }

    /// An ExternalSecret whose key `value` is the secret `NAMESPACE/NAME`; `spec` replaces fields of its spec.
    pub fn external(&self, name: &str, spec: Value) -> Value {
        let mut object = json!({
            "kind": "ExternalSecret",
            "metadata": {"name": name},
            "spec": {
                "secretStoreRef": {"name": "aws"},
                "refreshInterval": "1h",
                "data": [self.entry("value", name)],
            },
        });
        if let Value::Object(fields) = spec {
            for (field, value) in fields {
                object["spec"][field] = value;
            }
        }
        object
    }

    /// The uid of a ConfigMap `owner` in this namespace, which others can name as their owner.
    pub async fn owner(&self) -> Result<Value> {
        let object = json!({"kind": "ConfigMap", "metadata": {"name": "owner"}});
        Ok(self.create(object).await?["metadata"]["uid"].clone())
    }

    /// An entry of `spec.data` for the secret `NAMESPACE/NAME`.
    pub fn entry(&self, secret_key: &str, name: &str) -> Value {
        json!({"secretKey": secret_key, "remoteRef": {"key": self.remote(name)}})
    }

    /// Full name of a secret of this scene in Secrets Manager.
    pub fn remote(&self, name: &str) -> String {
        format!("{}/{name}", self.ns)
    }

    /// Gives a secret of this scene a new value.
    pub fn put(&self, name: &str, text: &str) {
        self.env.aws.put(&self.remote(name), text);
    }

    /// Creates an ExternalSecret and waits until it is Ready.
    pub async fn synced(&self, name: &str, spec: Value) -> Result<Value> {
        self.create(self.external(name, spec)).await?;
        self.ready(name).await
    }

    // --- objects

    /// Creates an object of a kind that [`Cluster`] knows, here if it has a namespace.
    pub async fn create(&self, object: Value) -> Result<Value, kube::Error> {
        self.create_as(object, "kubectl-create").await
    }

    /// Creates an object as a tool named `manager` would.
    pub async fn create_as(&self, object: Value, manager: &str) -> Result<Value, kube::Error> {
        self.cluster.create_in(&self.ns, object, manager).await
    }

    /// An object, or `None`.
    pub async fn get(&self, kind: &str, name: &str) -> Result<Option<Value>, kube::Error> {
        self.cluster.get(kind, &self.ns, name).await
    }

    /// All objects of a kind in this namespace.
    pub async fn list(&self, kind: &str) -> Result<Vec<Value>, kube::Error> {
        self.cluster.list(kind, &self.ns).await
    }

    /// Merges `change` into an object.
    pub async fn patch(&self, kind: &str, name: &str, change: Value) -> Result<Value, kube::Error> {
        self.cluster.patch(kind, &self.ns, name, change).await
    }

    /// Merges `change` into the status of an object.
    pub async fn patch_status(&self, kind: &str, name: &str, status: Value) -> Result<Value> {
        let change = json!({"status": status});
        Ok(self.cluster.patch_status(kind, &self.ns, name, change).await?)
    }

    /// Replaces an object whole, as a tool named `manager` would.
    pub async fn replace(&self, object: Value, manager: &str) -> Result<Value, kube::Error> {
        self.cluster.replace_in(&self.ns, object, manager).await
    }

    /// Deletes an object, as `kubectl delete` does.
    pub async fn delete(&self, kind: &str, name: &str) -> Result<(), kube::Error> {
        self.cluster.delete(kind, &self.ns, name).await
    }

    /// Deletes all objects of a kind here that have a label.
    pub async fn delete_all(&self, kind: &str, label: &str) -> Result<(), kube::Error> {
        let label = label.replace('/', "%2F").replace('=', "%3D");
        let url = format!("{}?labelSelector={label}", path(kind, &self.ns, ""));
        self.cluster.send("DELETE", &url, "", &Value::Null).await.map(|_| ())
    }

    // --- Secrets

    /// The decoded data of a Secret, or `None`.
    pub async fn data(&self, name: &str) -> Result<Option<Value>> {
        Ok(self.get("Secret", name).await?.map(|secret| decoded(&secret)))
    }

    /// Waits until the key `value` of a Secret is this.
    pub async fn holds(&self, name: &str, text: &str) -> Result<()> {
        self.data_is(name, json!({"value": text})).await
    }

    /// Waits until a Secret has exactly this data.
    pub async fn data_is(&self, name: &str, data: Value) -> Result<()> {
        let what = format!("the data of Secret {}/{name}", self.ns);
        eventually(SOON, &what, || async {
            match self.data(name).await? {
                Some(found) if found == data => Ok(()),
                found => Err(Failure::new(format!("expected {data}, it is {found:?}"))),
            }
        })
        .await
    }

    /// Waits until an object does not exist.
    pub async fn gone(&self, kind: &str, name: &str) -> Result<()> {
        self.cluster.gone(kind, &self.ns, name).await
    }

    // --- status

    /// The Ready condition of an ExternalSecret, or null.
    pub async fn condition(&self, kind: &str, name: &str) -> Result<Value> {
        let object = self.get(kind, name).await?.unwrap_or_default();
        Ok(ready_of(&object))
    }

    /// Waits until an ExternalSecret's present spec is Ready, and returns it.
    pub async fn ready(&self, name: &str) -> Result<Value> {
        self.reason(name, "True", "").await
    }

    /// Waits until an ExternalSecret's present spec has this Ready status and reason ("" = any).
    pub async fn reason(&self, name: &str, status: &str, reason: &str) -> Result<Value> {
        self.says("ExternalSecret", name, |ready| {
            ready["status"] == status && (reason.is_empty() || ready["reason"] == reason)
        })
        .await
    }

    /// Waits until an ExternalSecret fails with a message that holds `text`; the message.
    pub async fn fails(&self, name: &str, text: &str) -> Result<String> {
        let object = self
            .says("ExternalSecret", name, |ready| {
                ready["status"] == "False"
                    && ready["message"].as_str().is_some_and(|message| message.contains(text))
            })
            .await?;
        Ok(ready_of(&object)["message"].as_str().unwrap_or_default().to_owned())
    }

    /// Waits until a store has this Ready status, and a message that holds `text`.
    pub async fn store_says(
        &self,
        kind: &str,
        name: &str,
        status: &str,
        text: &str,
    ) -> Result<Value> {
        self.says(kind, name, |ready| {
            ready["status"] == status
                && ready["message"].as_str().is_some_and(|message| message.contains(text))
        })
        .await
    }

    /// Waits until the Ready condition about the present generation is as wanted.
    pub async fn says(
        &self,
        kind: &str,
        name: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let what = format!("the condition of {kind} {}/{name}", self.ns);
        eventually(SOON, &what, || async {
            let object = self.get(kind, name).await?.unwrap_or_default();
            let ready = ready_of(&object);
            let current = ready["observedGeneration"] == object["metadata"]["generation"];
            if current && wanted(&ready) {
                Ok(object)
            } else {
                Err(Failure::new(format!("it is {ready}")))
            }
        })
        .await
    }

    /// Waits for an event about an object with this reason; its note.
    pub async fn event(&self, name: &str, reason: &str) -> Result<String> {
        let what = format!("event {reason} about {}/{name}", self.ns);
        eventually(SOON, &what, || async {
            let events = self.list("Event").await?;
            let found = events
                .iter()
                .find(|event| event["reason"] == reason && event["regarding"]["name"] == name);
            match found {
                Some(event) => Ok(event["note"].as_str().unwrap_or_default().to_owned()),
                None => Err(Failure::new(format!("{} other events", events.len()))),
            }
        })
        .await
    }

    // --- time

    /// Annotates an ExternalSecret, as those who want a refresh now do.
    pub async fn force(&self, name: &str, stamp: &str) -> Result<()> {
        let change = json!({"metadata": {"annotations": {"force-sync": stamp}}});
        self.patch("ExternalSecret", name, change).await?;
        Ok(())
    }

    /// Waits until the operator has seen and done all that was asked of it before: an object that is made
    /// now is synced. For tests that something does *not* happen.
    pub async fn settle(&self) -> Result<()> {
        static SERIAL: AtomicUsize = AtomicUsize::new(0);
        let name = format!("settle-{}", SERIAL.fetch_add(1, Ordering::Relaxed));
        let fake = json!({"fake": {"data": [{"key": "a", "value": "b"}]}});
        let store = json!({"kind": "SecretStore", "metadata": {"name": name},
            "spec": {"provider": fake}});
        self.create(store).await?;
        let mut object = self.external(&name, json!({"secretStoreRef": {"name": name}}));
        object["spec"]["data"] = json!([{"secretKey": "a", "remoteRef": {"key": "a"}}]);
        self.create(object).await?;
        self.ready(&name).await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
        // Events are published in their order, and told after what they are about.
        for _ in 0..20 {
            let events = self.list("Event").await?;
            if events.iter().any(|event| event["regarding"]["name"] == *name) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Waits until this many intervals of a second have ended: an object that has such an interval was read again.
    pub async fn intervals(&self, count: usize) -> Result<()> {
        static SERIAL: AtomicUsize = AtomicUsize::new(0);
        let name = format!("interval-{}", SERIAL.fetch_add(1, Ordering::Relaxed));
        self.put(&name, &value("tick"));
        self.synced(&name, json!({"refreshInterval": "1s"})).await?;
        let first = self.reads(&name);
        eventually(SOON, "the intervals end", || async {
            let read = self.reads(&name) - first;
            if read >= count { Ok(()) } else { Err(Failure::new(format!("{read} of {count}"))) }
        })
        .await?;
        self.delete("ExternalSecret", &name).await?;
        Ok(())
    }

    // --- counting

    /// Requests of the operator about this namespace, those about the settling of tests aside.
    pub fn requests(&self) -> Vec<Request> {
        let all = audit::requests(self.env.plane());
        let about = |request: &Request| {
            request.namespace == self.ns && !request.name.starts_with("settle-")
        };
        all.into_iter().filter(about).collect()
    }

    /// How often a secret of this scene was asked for.
    pub fn reads(&self, name: &str) -> usize {
        let id = self.remote(name);
        self.env.aws.received().iter().filter(|call| call.ids.contains(&id)).count()
    }
}

/// `spec.provider.aws` with credentials in a Secret.
pub fn aws_provider(secret: &str, namespace: Option<&str>) -> Value {
    let reference = |key: &str| {
        let mut reference = json!({"name": secret, "key": key});
        if let Some(namespace) = namespace {
            reference["namespace"] = namespace.into();
        }
        reference
    };
    json!({
        "service": "SecretsManager",
        "region": "eu-west-1",
        "auth": {"secretRef": {
            "accessKeyIDSecretRef": reference("id"),
            "secretAccessKeySecretRef": reference("key"),
        }},
    })
}

/// The Ready condition of an object, or null.
pub fn ready_of(object: &Value) -> Value {
    condition(object, "Ready")
}

/// The data of a Secret as texts; bytes that are no text are replaced.
pub fn decoded(secret: &Value) -> Value {
    let data = secret["data"].as_object().cloned().unwrap_or_default();
    let text = |value: &Value| {
        let bytes = BASE64.decode(value.as_str().unwrap_or_default()).unwrap_or_default();
        Value::from(String::from_utf8_lossy(&bytes).into_owned())
    };
    data.iter().map(|(key, value)| (key.clone(), text(value))).collect()
}
