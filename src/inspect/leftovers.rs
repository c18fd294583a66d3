//! What another operator, or an earlier one, left in the cluster, and what an uninstall would leave hanging.

use serde_json::Value;

use crate::cluster::{ReadError, Reader};

/// Webhooks of External Secrets Operator, which nothing answers once it is gone.
const WEBHOOKS: [&str; 2] = ["externalsecret-validate", "secretstore-validate"];

/// A finding with its remedy.
pub(super) struct Finding(pub(super) String, pub(super) String);

/// ESO's webhooks that are there while nothing answers them.
pub(super) async fn webhooks(reader: &Reader) -> Result<Vec<Finding>, ReadError> {
    let mut found = Vec::new();
    for name in WEBHOOKS {
        let path =
            format!("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/{name}");
        match reader.get(&path).await {
            Ok(_) => found.push(Finding(
                format!("the webhook {name} of External Secrets Operator is there"),
                format!(
                    "if that operator is gone: kubectl delete validatingwebhookconfiguration {name}"
                ),
            )),
            Err(ReadError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Deployments of ESO that run. Both operators together need a class each.
pub(super) async fn operators(reader: &Reader) -> Result<Vec<Finding>, ReadError> {
    let path = "/apis/apps/v1/deployments?labelSelector=app.kubernetes.io%2Fname%3Dexternal-secrets&limit=50";
    let list = reader.get(path).await?;
    let runs = |item: &&Value| item["spec"]["replicas"].as_u64().unwrap_or(1) > 0;
    let ours = |item: &&Value| item["metadata"]["labels"]["app.kubernetes.io/part-of"] != "gabion";
    let all = list["items"].as_array().into_iter().flatten().filter(ours).filter(runs);
    Ok(all
        .map(|item| {
            let of = |field: &str| item["metadata"][field].as_str().unwrap_or_default().to_owned();
            let (namespace, name) = (of("namespace"), of("name"));
            Finding(
                format!("External Secrets Operator runs beside Gabion: {namespace}/{name}"),
                "give each a class of its own (docs/external-secrets.md#side-by-side), or stop one"
                    .to_owned(),
            )
        })
        .collect())
}

/// Objects that an uninstall leaves with a finalizer that only Gabion removes.
pub(super) async fn finalizers(reader: &Reader) -> Result<Vec<Finding>, ReadError> {
    let list = reader.get("/apis/gabion.dev/v1alpha1/hardeningbaselines?limit=500").await?;
    let all = list["items"].as_array().into_iter().flatten();
    let held =
        all.filter(|item| item["metadata"]["finalizers"].as_array().is_some_and(|f| !f.is_empty()));
    Ok(held
        .map(|item| {
            let name = item["metadata"]["name"].as_str().unwrap_or_default();
            Finding(
                format!("HardeningBaseline {name} has a finalizer: deleted without Gabion it hangs"),
                format!(
                    "delete it now and wait; or, when Gabion is gone: kubectl patch hb {name} --type merge -p '{{\"metadata\":{{\"finalizers\":null}}}}'"
                ),
            )
        })
        .collect())
}
