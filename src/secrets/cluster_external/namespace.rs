//! One namespace of one ClusterExternalSecret.

use std::time::{Duration, Instant};

use kube::ResourceExt;

use super::super::cluster_externals::{Known, NamespaceOutcome};
use super::super::context::Context;
use super::super::error::{Error, RECHECK};
use super::super::plan::cluster_external::{self, Step, Wanted};
use super::{KIND, MANAGER, report};
use crate::api::external_secrets::external_secret::ExternalSecret;
use crate::cluster::{
    ObjectKey,
    queue::Next,
    write::{ApiError, Part, PatchKind},
};
use crate::meta::{ResourceVersion, Uid};
use crate::retry::Retry;

/// How long one that somebody else keeps changing is left alone.
const TRUCE: Duration = Duration::from_mins(10);

/// Why a namespace is not as it should be.
enum Failure {
    /// An ExternalSecret of that name is not ours; whose it is.
    Taken(Option<String>),
    /// An ExternalSecret of that name is being deleted.
    Leaving,
    /// Somebody else takes back each write.
    Fight,
    /// The API server said no.
    Cluster(Error),
}

impl Failure {
    /// The reason, and what to do next.
    fn class(&self) -> (&'static str, Next) {
        match self {
            // Its end, or another owner, wakes this namespace.
            Self::Taken(_) | Self::Leaving => ("NameTaken", Next::RetryAfter(RECHECK)),
            Self::Fight => ("Fight", Next::RetryAfter(TRUCE)),
            Self::Cluster(error) => match error.class() {
                (reason, Retry::Backoff) => (reason, Next::Retry),
                (reason, Retry::OnChange) => (reason, Next::RetryAfter(RECHECK)),
            },
        }
    }

    /// The cause, which is the same text wherever the same thing is wrong.
    fn text(&self, key: &ObjectKey) -> String {
        match self {
            Self::Taken(None) => "external secret already exists in namespace: it is nobody's; \
                 delete it, or set spec.externalSecretName"
                .to_owned(),
            Self::Taken(Some(owner)) => format!(
                "external secret already exists in namespace: it belongs to {owner}; \
                 set spec.externalSecretName"
            ),
            Self::Leaving => {
                "external secret of that name is being deleted; created when it is gone; \
                 its finalizers hold it"
                    .to_owned()
            }
            Self::Fight => {
                "somebody else keeps changing the external secret back; left alone for ten \
                 minutes: find who does (kubectl get es --show-managed-fields), and stop it"
                    .to_owned()
            }
            Self::Cluster(error) => error.to_string().replace(&format!("{}/", key.namespace), ""),
        }
    }
}

/// Brings the ExternalSecret of one namespace to what is asked for.
pub(super) async fn reconcile(context: &Context, key: &ObjectKey) -> Next {
    let started = Instant::now();
    let registry = &context.cluster_externals;
    let Some(known) = registry.find(&key.name) else { return Next::Idle };
    let done = converge(context, key, &known).await;
    if registry.find(&key.name).is_none_or(|now| now.object.uid() != known.object.uid()) {
        return Next::Idle;
    }
    let (outcome, reason, next) = match done {
        Ok(outcome) => {
            let due = started
                + Duration::try_from(cluster_external::refresh(&known.object)).unwrap_or(RECHECK);
            let next = match outcome {
                NamespaceOutcome::Provisioned => Next::At { earliest: due, due },
                _ => Next::Idle,
            };
            (outcome, "NamespacesProvisioned", next)
        }
        // A wait for other replicas, or for the end of the process: nothing to say about the object. Somebody who
        // moved first is no news either: the watch shows what became of it.
        Err(Failure::Cluster(Error::Cluster(ApiError::Fenced))) => return Next::Retry,
        Err(Failure::Cluster(Error::Cluster(
            ApiError::Conflict { .. } | ApiError::AlreadyExists { .. } | ApiError::NotFound { .. },
        ))) if context.clusters.failures(key) < 3 => return Next::Retry,
        Err(failure) => {
            let (reason, next) = failure.class();
            let text = failure.text(key);
            tracing::warn!(
                kind = KIND,
                name = &*key.name,
                namespace = &*key.namespace,
                reason,
                error = text,
                "not provisioned"
            );
            (NamespaceOutcome::Failed(text), reason, next)
        }
    };
    context.metrics.reconciles.done(KIND, reason, started.elapsed());
    registry.with_state(&key.name, |_, state| {
        state.pending.remove(&key.namespace);
        if state.pending.is_empty() {
            state.pending_since = None;
        }
        match outcome {
            NamespaceOutcome::Nothing => state.outcomes.remove(&key.namespace),
            outcome => state.outcomes.insert(key.namespace.clone(), outcome),
        };
    });
    report::wake(context, &key.name);
    next
}

async fn converge(
    context: &Context,
    key: &ObjectKey,
    known: &Known,
) -> Result<NamespaceOutcome, Failure> {
    let Ok(wanted) = &known.wanted else { return Ok(NamespaceOutcome::Nothing) };
    // Its ExternalSecrets go with it: the garbage collector follows the owner references.
    if known.object.metadata.deletion_timestamp.is_some() {
        return Ok(NamespaceOutcome::Nothing);
    }
    let facts = context.index.namespace(&key.namespace);
    // What is not known is no reason to delete anything.
    let Some(facts) = facts.filter(|facts| !facts.terminating) else {
        return Ok(NamespaceOutcome::Nothing);
    };
    let selected = wanted.selects(&key.namespace, &facts.labels);
    let outcome = if selected {
        provision(context, key, known, wanted).await?;
        NamespaceOutcome::Provisioned
    } else {
        context.cluster_externals.forget_writes(&key.name, &key.namespace);
        NamespaceOutcome::Nothing
    };
    let uid = Uid::of(&known.object.metadata);
    let kept = if selected { wanted.name.as_str() } else { "" };
    for child in context.cluster_externals.children(&uid, &key.namespace, kept) {
        remove(context, &child, &uid).await?;
    }
    Ok(outcome)
}

async fn provision(
    context: &Context,
    key: &ObjectKey,
    known: &Known,
    wanted: &Wanted,
) -> Result<(), Failure> {
    let child = ObjectKey::new(&key.namespace, &wanted.name);
    let existing = context.index.external(&child);
    let object = existing.as_ref().map(|tracked| &*tracked.object);
    let step = cluster_external::step(&known.object, wanted, &known.managed, object);
    let registry = &context.cluster_externals;
    if matches!(step, Step::Create(_) | Step::Patch(_)) {
        if registry.awaits(&key.name, &key.namespace) {
            return Ok(()); // the watch is about to show it
        }
        if registry.is_fight(&key.name, &key.namespace, Instant::now()) {
            return Err(Failure::Fight);
        }
    }
    let writer = &context.writer;
    let written = match step {
        Step::InOrder => return Ok(()),
        Step::Taken(owner) => return Err(Failure::Taken(owner)),
        Step::Leaving => return Err(Failure::Leaving),
        Step::Create(body) => writer.create::<ExternalSecret>(&child, &body, MANAGER).await,
        Step::Patch(patch) => {
            let (part, kind) = (Part::Object, PatchKind::Json);
            writer.patch::<ExternalSecret>(&child, part, kind, &patch, MANAGER).await
        }
    };
    match written {
        Ok(meta) => {
            registry.wrote(&key.name, &key.namespace, &meta, Instant::now());
            Ok(())
        }
        // It is going, and everything in it.
        Err(ApiError::NamespaceTerminating { .. }) => Ok(()),
        Err(error) => Err(Failure::Cluster(error.into())),
    }
}

/// Deletes exactly the ExternalSecret that is known, if it is still of this object.
async fn remove(context: &Context, child: &ObjectKey, uid: &Uid) -> Result<(), Failure> {
    let Some(tracked) = context.index.external(child) else { return Ok(()) };
    let meta = &tracked.object.metadata;
    let is_ours = cluster_external::owner(meta).is_some_and(|owner| owner.uid == **uid);
    if !is_ours || meta.deletion_timestamp.is_some() {
        return Ok(());
    }
    let (uid, version) = (Uid::of(meta), ResourceVersion::of(meta));
    let deleted = context.writer.delete::<ExternalSecret>(child, &uid, &version).await;
    deleted.map_err(|error| Failure::Cluster(error.into()))
}
