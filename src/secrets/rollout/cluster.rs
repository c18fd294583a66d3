//! Reading and patching workloads. They are read when a Secret changed and while they roll, and never watched.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use serde_json::json;

use crate::cluster::{
    ObjectKey,
    write::{ApiError, Part, PatchKind, Writer},
};
use crate::secrets::plan::rollout::{
    ask::{Ask, Targets},
    revision::SECRETS,
    workload::{Kind, MANAGER, Object, Workload},
};

/// The workloads that an ExternalSecret names, in order.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) workloads: Vec<Workload>,
    /// Those that it names and that do not exist.
    pub(crate) missing: Vec<String>,
}

/// Reads them.
pub(crate) async fn find(
    writer: &Writer,
    ask: &Ask,
    secret: &ObjectKey,
) -> Result<Found, ApiError> {
    let mut found = Found::default();
    if let Targets::Named(names) = &ask.targets {
        for (kind, name) in names {
            if *kind == Kind::CronJob {
                continue; // its next run reads the new data
            }
            let key = ObjectKey::new(&secret.namespace, name);
            match read(writer, *kind, &key).await? {
                Some(workload) => found.workloads.push(workload),
                None => found.missing.push(format!("{}/{name}", kind.name())),
            }
        }
        return Ok(found);
    }
    for kind in [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet] {
        list(writer, kind, &secret.namespace, |workload| {
            if ask.includes(&workload, &secret.name) {
                found.workloads.push(workload);
            }
        })
        .await?;
    }
    found.workloads.sort_by(|a, b| (&a.name, a.kind).cmp(&(&b.name, b.kind)));
    Ok(found)
}

async fn read(writer: &Writer, kind: Kind, key: &ObjectKey) -> Result<Option<Workload>, ApiError> {
    let object: Option<Object> = match kind {
        Kind::Deployment => writer.read::<Deployment, _>(key).await?,
        Kind::StatefulSet => writer.read::<StatefulSet, _>(key).await?,
        Kind::DaemonSet => writer.read::<DaemonSet, _>(key).await?,
        Kind::CronJob => None,
    };
    Ok(object.map(|object| Workload::new(kind, object)))
}

async fn list(
    writer: &Writer,
    kind: Kind,
    namespace: &str,
    mut each: impl FnMut(Workload),
) -> Result<(), ApiError> {
    let each = |object: Object| each(Workload::new(kind, object));
    match kind {
        Kind::Deployment => writer.list::<Deployment, _>(namespace, each).await,
        Kind::StatefulSet => writer.list::<StatefulSet, _>(namespace, each).await,
        Kind::DaemonSet => writer.list::<DaemonSet, _>(namespace, each).await,
        Kind::CronJob => Ok(()),
    }
}

/// Rolls a workload: its pod template gets the list of revisions, and nothing else changes. The uid keeps it off a
/// namesake that was made meanwhile.
pub(crate) async fn patch(
    writer: &Writer,
    namespace: &str,
    workload: &Workload,
    list: &str,
) -> Result<(), ApiError> {
    let body = json!({
        "metadata": {"uid": workload.uid},
        "spec": {"template": {"metadata": {"annotations": {SECRETS: list}}}},
    });
    let key = ObjectKey::new(namespace, &workload.name);
    let (part, how) = (Part::Object, PatchKind::Merge);
    match workload.kind {
        Kind::Deployment => writer.patch::<Deployment>(&key, part, how, &body, MANAGER).await?,
        Kind::StatefulSet => writer.patch::<StatefulSet>(&key, part, how, &body, MANAGER).await?,
        Kind::DaemonSet => writer.patch::<DaemonSet>(&key, part, how, &body, MANAGER).await?,
        Kind::CronJob => return Ok(()),
    };
    Ok(())
}
