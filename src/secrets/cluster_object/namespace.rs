//! One namespace of one object.

use std::time::{Duration, Instant};

use kube::{Resource as _, ResourceExt as _};

use super::super::cluster_objects::{Known, NamespaceOutcome};
use super::super::context::Context;
use super::super::error::{Error, RECHECK};
use super::super::plan::cluster_kinds::Names;
use super::super::plan::cluster_object::{self, Step, Wanted};
use super::{Controlled, MANAGER, report};
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
    /// A child of that name is not ours; whose it is.
    Taken(Option<String>),
    /// A child of that name is being deleted.
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
    fn text(&self, names: Names, key: &ObjectKey) -> String {
        let Names { noun, name_field, short, .. } = names;
        match self {
            Self::Taken(None) => format!(
                "{noun} already exists in namespace: it is nobody's; \
                 delete it, or set spec.{name_field}"
            ),
            Self::Taken(Some(owner)) => format!(
                "{noun} already exists in namespace: it belongs to {owner}; \
                 set spec.{name_field}"
            ),
            Self::Leaving => format!(
                "{noun} of that name is being deleted; created when it is gone; \
                 its finalizers hold it"
            ),
            Self::Fight => format!(
                "somebody else keeps changing the {noun} back; left alone for ten \
                 minutes: find who does (kubectl get {short} --show-managed-fields), and stop it"
            ),
            Self::Cluster(error) => error.to_string().replace(&format!("{}/", key.namespace), ""),
        }
    }
}

/// Brings the child in one namespace to what is asked for.
pub(super) async fn reconcile<K: Controlled>(context: &Context, key: &ObjectKey) -> Next {
    let started = Instant::now();
    let registry = K::objects(context);
    let Some(known) = registry.find(&key.name) else { return Next::Idle };
    let done = converge::<K>(context, key, &known).await;
    if registry.find(&key.name).is_none_or(|now| now.object.uid() != known.object.uid()) {
        return Next::Idle;
    }
    let (outcome, reason, next) = match done {
        Ok(outcome) => {
            let due = started
                + Duration::try_from(cluster_object::refresh(&*known.object)).unwrap_or(RECHECK);
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
        ))) if K::queue(context).failures(key) < 3 => return Next::Retry,
        Err(failure) => {
            let (reason, next) = failure.class();
            let text = failure.text(K::NAMES, key);
            tracing::warn!(
                kind = K::NAMES.kind,
                name = &*key.name,
                namespace = &*key.namespace,
                reason,
                error = text,
                "not provisioned"
            );
            (NamespaceOutcome::Failed(text), reason, next)
        }
    };
    context.metrics.reconciles.done(K::NAMES.kind, reason, started.elapsed());
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
    report::wake::<K>(context, &key.name);
    next
}

async fn converge<K: Controlled>(
    context: &Context,
    key: &ObjectKey,
    known: &Known<K>,
) -> Result<NamespaceOutcome, Failure> {
    let Ok(wanted) = &known.wanted else { return Ok(NamespaceOutcome::Nothing) };
    // Its children go with it: the garbage collector follows the owner references.
    if known.object.meta().deletion_timestamp.is_some() {
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
        K::objects(context).forget_writes(&key.name, &key.namespace);
        NamespaceOutcome::Nothing
    };
    let uid = Uid::of(known.object.meta());
    let kept = if selected { wanted.name.as_str() } else { "" };
    for child in K::objects(context).children(&uid, &key.namespace, kept) {
        remove::<K>(context, &child, &uid).await?;
    }
    Ok(outcome)
}

async fn provision<K: Controlled>(
    context: &Context,
    key: &ObjectKey,
    known: &Known<K>,
    wanted: &Wanted,
) -> Result<(), Failure> {
    let child = ObjectKey::new(&key.namespace, &wanted.name);
    let existing = K::child(context, &child);
    let step = cluster_object::step(&*known.object, wanted, &known.managed, existing.as_deref());
    let registry = K::objects(context);
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
        Step::Create(body) => writer.create::<K::Child>(&child, &body, MANAGER).await,
        Step::Patch(patch) => {
            let (part, kind) = (Part::Object, PatchKind::Json);
            writer.patch::<K::Child>(&child, part, kind, &patch, MANAGER).await
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

/// Deletes exactly the child that is known, if it is still of this object.
async fn remove<K: Controlled>(
    context: &Context,
    child: &ObjectKey,
    uid: &Uid,
) -> Result<(), Failure> {
    let Some(object) = K::child(context, child) else { return Ok(()) };
    let meta = object.meta();
    let is_ours = cluster_object::owner::<K>(meta).is_some_and(|owner| owner.uid == **uid);
    if !is_ours || meta.deletion_timestamp.is_some() {
        return Ok(());
    }
    let (uid, version) = (Uid::of(meta), ResourceVersion::of(meta));
    let deleted = context.writer.delete::<K::Child>(child, &uid, &version).await;
    deleted.map_err(|error| Failure::Cluster(error.into()))
}
