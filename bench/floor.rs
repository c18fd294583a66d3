//! The floor: how fast a plain loop makes the same writes.
//!
//! It has its own control plane, the same client library and settings as the operator, and writes objects
//! of the same size. It reads nothing, decides nothing and knows all objects in advance.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use gabion::api::external_secrets::external_secret::ExternalSecret;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt as _,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde::Deserialize as _;
use serde_json::{Value, json};
use support::{Failure, Result};

use crate::{
    population::{Population, namespace},
    world::World,
};

/// As many concurrent requests as the operator has by default.
pub const CONCURRENCY: usize = 32;

/// A control plane with ExternalSecrets to write for.
pub struct Floor {
    world: World,
    objects: Vec<ExternalSecret>,
}

/// What kind of write comes before each status patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// The Secret is new.
    Create,
    /// The Secret has new data.
    Replace,
}

impl Floor {
    /// Starts the control plane and makes the ExternalSecrets.
    pub async fn prepare(objects: usize) -> Result<Self> {
        let world = World::populated(&Population::spread(objects)).await?;
        let all = Api::<ExternalSecret>::all(world.client.clone());
        let objects = all.list(&ListParams::default()).await?.items;
        Ok(Self { world, objects })
    }

    /// One Secret and one status for each of `objects`, from first request to last answer.
    pub async fn run(
        &self,
        range: std::ops::Range<usize>,
        at_once: usize,
        write: Write,
    ) -> Result<Duration> {
        let objects =
            self.objects.get(range).ok_or_else(|| Failure::new("not that many objects"))?;
        let client = &self.world.client;
        let start = Instant::now();
        let all = stream::iter(objects).map(|object| one(client, object, write));
        all.buffer_unordered(at_once).try_collect::<()>().await?;
        Ok(start.elapsed())
    }

    /// The whole of it once, as the operator would do at a cold start.
    pub async fn measure(objects: usize) -> Result<Duration> {
        Self::prepare(objects).await?.run(0..objects, CONCURRENCY, Write::Create).await
    }
}

async fn one(client: &Client, object: &ExternalSecret, write: Write) -> Result<()> {
    let name = object.name_any();
    let space = object.namespace().unwrap_or_else(|| namespace(0));
    let secrets = Api::<Secret>::namespaced(client.clone(), &space);
    let meta = match write {
        Write::Create => {
            let secret = Secret::deserialize(secret(object, "first"))?;
            secrets.create(&PostParams::default(), &secret).await?.metadata
        }
        Write::Replace => {
            let patch = json!({"data": data("second"), "metadata": {"annotations": {HASH: "2"}}});
            secrets.patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await?.metadata
        }
    };
    let status = json!({"status": {
        "refreshTime": jiff::Timestamp::from_second(jiff::Timestamp::now().as_second())?.to_string(),
        "syncedResourceVersion": "1-0123456789abcdef0123456789abcdef0123456789abcdef01234567",
        "observedGeneration": 1,
        "binding": {"name": name},
        "gabion": {"target": {"uid": meta.uid, "resourceVersion": meta.resource_version}},
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "SecretSynced", "message": "secret synced",
            "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
        }],
    }});
    let externals = Api::<ExternalSecret>::namespaced(client.clone(), &space);
    externals.patch_status(&name, &PatchParams::default(), &Patch::Merge(&status)).await?;
    Ok(())
}

const HASH: &str = "reconcile.external-secrets.io/data-hash";

/// A Secret as the operator writes it.
fn secret(owner: &ExternalSecret, password: &str) -> Value {
    let name = owner.name_any();
    json!({
        "metadata": {
            "name": name,
            "labels": {
                "app": name,
                "reconcile.external-secrets.io/managed": "true",
                "reconcile.external-secrets.io/created-by":
                    "0123456789abcdef0123456789abcdef0123456789abcdef01234567",
            },
            "annotations": {HASH: "0123456789abcdef0123456789abcdef0123456789abcdef01234567"},
            "ownerReferences": [{
                "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "name": name,
                "uid": owner.uid(), "controller": true, "blockOwnerDeletion": true,
            }],
        },
        "type": "Opaque",
        "data": data(password),
    })
}

fn data(password: &str) -> Value {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    json!({"username": STANDARD.encode("app"), "password": STANDARD.encode(password)})
}
