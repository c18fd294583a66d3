//! One baseline's moves, one after the other.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::api::{
    admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding},
    apps::v1::Deployment,
    core::v1::{ObjectReference, Pod},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource as _;
use serde_json::Value;

use super::{AGAIN, FAILED, Kept, state::observed};
use crate::api::gabion::hardening_baseline::DeletionPolicy;
use crate::cluster::{
    ObjectKey,
    events::EventType,
    write::{ApiError, DryRun},
};
use crate::hardening::Context;
use crate::hardening::explain::explain;
use crate::hardening::index::Baseline;
use crate::hardening::plan::admission::Admission;
use crate::hardening::plan::admission::AdmissionKey;
use crate::hardening::plan::admission::AdmissionKind;
use crate::hardening::plan::admission::Desired;
use crate::hardening::plan::admission::Move;
use crate::hardening::plan::admission::PROBE_LABEL;
use crate::hardening::plan::admission::ProbeOutcome;
use crate::hardening::plan::admission::Progress;
use crate::hardening::plan::admission::Proof;
use crate::hardening::plan::admission::Seen;
use crate::hardening::plan::admission::Trial;
use crate::hardening::plan::admission::Tried;
use crate::hardening::plan::admission::Wanted;
use crate::hardening::plan::admission::compiled_stamp;
use crate::hardening::plan::admission::label;
use crate::hardening::plan::admission::next;
use crate::hardening::plan::admission::outcome;
use crate::hardening::plan::admission::released;
use crate::hardening::plan::admission::written;
use crate::hardening::plan::error::Error;
use crate::hardening::plan::objects::RELEASE_MANAGER;
use crate::marks::FIELD_MANAGER;
use crate::meta::Uid;
use crate::policy::WorkloadKind;
use crate::retry::Pauses;

/// Longest time that one reconcile waits for a revision to come into force.
const PATIENCE: Duration = Duration::from_secs(3);
const RETRY: Pauses =
    Pauses { first: Duration::from_millis(20), longest: Duration::from_millis(200) };
/// More moves than any set of policies needs: whoever undoes them meanwhile has to wait.
const MOST_MOVES: usize = 100;

/// What the moves of one baseline need.
pub(crate) struct Work<'a> {
    pub(crate) context: &'a Context,
    pub(crate) name: &'a str,
    pub(crate) known: &'a Baseline,
    /// `None` wants nothing.
    pub(crate) desired: Option<Arc<Desired>>,
}

impl Work<'_> {
    fn uid(&self) -> Uid {
        Uid::of(&self.known.object.metadata)
    }

    /// Makes moves until nothing is left to do, or to do now.
    pub(crate) async fn keep(&self) -> Kept {
        let Some(desired) = &self.desired else { return Kept { admission: None, again: None } };
        let has_policies = !desired.policies.is_empty();
        let conclude = |progress| {
            let revision = has_policies.then(|| desired.revision.clone());
            Some(Admission { revision, progress, stage: desired.stage })
        };
        match self.moves(desired).await {
            Ok(None) if has_policies => {
                Kept { admission: conclude(Progress::InForce), again: None }
            }
            Ok(None) => Kept { admission: conclude(Progress::Nothing), again: None },
            Ok(Some(progress)) => Kept { admission: conclude(progress), again: Some(AGAIN) },
            // Somebody moved first: nothing is reported.
            Err(Error::Stale { .. }) => Kept { admission: None, again: Some(AGAIN) },
            Err(error) => {
                Kept { admission: conclude(Progress::Failed(error)), again: Some(FAILED) }
            }
        }
    }

    /// `None` when all is done.
    async fn moves(&self, desired: &Desired) -> Result<Option<Progress>, Error> {
        let begun = Instant::now();
        let (mut waits, mut tampered) = (0, false);
        for _ in 0..MOST_MOVES {
            let live = self.context.admissions.live();
            let proof = self.context.admissions.proof(self.name);
            let waits_for = match next(Some(desired), &self.uid(), &live, &proof)? {
                Move::Rest => return Ok(None),
                Move::AwaitTypes(_) | Move::TryCompiled(_) | Move::TryEnforced(_) if tampered => {
                    // Reported before it is proved again; and whoever goes on changing it sets no faster pace.
                    tokio::time::sleep(RETRY.longest).await;
                    return Ok(Some(Progress::NotDenied));
                }
                Move::AwaitTypes(policy) => Progress::Compiling(format!(
                    "the type check of {policy} (kube-controller-manager)"
                )),
                Move::TryCompiled(label) => {
                    if self.try_compiled(desired, &label).await? {
                        let stamp = compiled_stamp(desired, &live);
                        self.context
                            .admissions
                            .proved(self.name, |proof| proof.compiled = Some(stamp));
                        continue;
                    }
                    Progress::Compiling("its probe binding".to_owned())
                }
                Move::TryEnforced(stamp) => {
                    if self.try_denied(desired, &stamp).await? {
                        self.context
                            .admissions
                            .proved(self.name, |proof| proof.enforced = Some(stamp));
                        continue;
                    }
                    Progress::NotDenied
                }
                step => {
                    tampered |= self.is_tampered(&step);
                    self.step(step).await?;
                    continue;
                }
            };
            if begun.elapsed() > PATIENCE {
                return Ok(Some(waits_for));
            }
            waits += 1;
            tokio::time::sleep(RETRY.after(self.name, waits)).await;
        }
        Ok(Some(Progress::NotDenied))
    }

    /// Removes all, bindings first; true when nothing is left.
    pub(crate) async fn take_away(&self) -> Result<bool, Error> {
        let retain = self.known.object.spec.deletion_policy == Some(DeletionPolicy::Retain);
        for _ in 0..MOST_MOVES {
            let live = self.context.admissions.live();
            match next(None, &self.uid(), &live, &Proof::default())? {
                Move::Delete(key, seen) if retain => self.release(&key, &seen).await?,
                Move::Delete(key, seen) => delete(self.context, self.name, &key, &seen).await?,
                _ => {
                    self.context.admissions.forget(self.name);
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    async fn step(&self, step: Move) -> Result<(), Error> {
        match step {
            Move::Create(wanted) => self.create(&wanted).await,
            Move::Replace(wanted, seen) => self.replace(&wanted, &seen).await,
            Move::Delete(key, seen) => delete(self.context, self.name, &key, &seen).await,
            _ => Ok(()),
        }
    }

    /// Counts and reports what somebody else did to an object of ours.
    fn is_tampered(&self, step: &Move) -> bool {
        let wrote = |wanted: &Wanted| {
            self.context.admissions.wrote_before(self.name, &wanted.key, &wanted.digest)
        };
        let (key, uid, what, manager) = match step {
            Move::Create(wanted) if wrote(wanted) => (&wanted.key, None, "deleted", "somebody"),
            Move::Replace(wanted, seen) if wrote(wanted) || seen.manager != FIELD_MANAGER => {
                // Of what is only taken away the API server keeps no record.
                let manager =
                    Some(seen.manager.as_str()).filter(|manager| *manager != FIELD_MANAGER);
                (&wanted.key, Some(seen.uid.to_string()), "changed", manager.unwrap_or("somebody"))
            }
            _ => return false,
        };
        self.context.metrics.reconciles.tampered(key.kind.as_str());
        let text = format!("{key} was {what} by {manager}; it is put back");
        tracing::warn!(baseline = self.name, object = %key, manager, "an admission object was {what}");
        // Of what happens to a baseline repeatedly only the first text is kept; so each object has its own.
        let object = ObjectReference {
            api_version: Some("admissionregistration.k8s.io/v1".to_owned()),
            kind: Some(key.kind.as_str().to_owned()),
            name: Some(key.name.clone()),
            uid,
            ..ObjectReference::default()
        };
        for about in [object, self.known.object.object_ref(&())] {
            self.context.record(about, "Tampered", text.clone(), EventType::Warning);
        }
        true
    }

    async fn create(&self, wanted: &Wanted) -> Result<(), Error> {
        let key = ObjectKey::new("", &wanted.key.name);
        tracing::debug!(baseline = self.name, object = %wanted.key, "creating");
        let (writer, body) = (&self.context.writer, &wanted.body);
        let created = match wanted.key.kind {
            AdmissionKind::Policy => {
                writer.create::<ValidatingAdmissionPolicy>(&key, body, FIELD_MANAGER).await
            }
            AdmissionKind::Binding => {
                writer.create::<ValidatingAdmissionPolicyBinding>(&key, body, FIELD_MANAGER).await
            }
        };
        let meta = created.map_err(|error| {
            tracing::warn!(baseline = self.name, object = %wanted.key, ?error, "not created");
            explain("create", &wanted.key.to_string(), &error)
        })?;
        self.remember(wanted, meta);
        Ok(())
    }

    async fn replace(&self, wanted: &Wanted, seen: &Seen) -> Result<(), Error> {
        let live = self.live(&wanted.key, seen).await?;
        tracing::debug!(baseline = self.name, object = %wanted.key, "writing");
        let meta = self.put(&wanted.key, &written(&live, &wanted.body), FIELD_MANAGER).await?;
        self.remember(wanted, meta);
        Ok(())
    }

    async fn release(&self, key: &AdmissionKey, seen: &Seen) -> Result<(), Error> {
        let live = self.live(key, seen).await?;
        self.put(key, &released(&live), RELEASE_MANAGER).await?;
        self.context.admissions.removed(self.name, key);
        Ok(())
    }

    async fn put(
        &self,
        key: &AdmissionKey,
        body: &Value,
        manager: &str,
    ) -> Result<ObjectMeta, Error> {
        let (name, writer) = (ObjectKey::new("", &key.name), &self.context.writer);
        let replaced = match key.kind {
            AdmissionKind::Policy => {
                writer.replace::<ValidatingAdmissionPolicy>(&name, body, manager).await
            }
            AdmissionKind::Binding => {
                writer.replace::<ValidatingAdmissionPolicyBinding>(&name, body, manager).await
            }
        };
        replaced.map_err(|error| explain("update", &key.to_string(), &error))
    }

    /// The live object, if it still is the one that the move was planned for. A policy's status moves its version.
    async fn live(&self, key: &AdmissionKey, seen: &Seen) -> Result<Value, Error> {
        let (name, writer) = (ObjectKey::new("", &key.name), &self.context.writer);
        let read = match key.kind {
            AdmissionKind::Policy => writer.read::<ValidatingAdmissionPolicy, Value>(&name).await,
            AdmissionKind::Binding => {
                writer.read::<ValidatingAdmissionPolicyBinding, Value>(&name).await
            }
        };
        let live = read.map_err(|error| explain("get", &key.to_string(), &error))?;
        let live = live.filter(|live| live["metadata"]["uid"] == *seen.uid);
        let Some(live) = live else {
            // The watch may be behind: what is gone is gone.
            self.context.admissions.gone(key, &seen.uid);
            return Err(Error::Stale { object: key.to_string() });
        };
        Ok(live)
    }

    fn remember(&self, wanted: &Wanted, meta: ObjectMeta) {
        let mut body = wanted.body.clone();
        body["metadata"]["uid"] = meta.uid.into();
        body["metadata"]["resourceVersion"] = meta.resource_version.into();
        body["metadata"]["generation"] = meta.generation.into();
        body["metadata"]["managedFields"] = serde_json::json!([{"manager": FIELD_MANAGER}]);
        let seen = observed(wanted.key.kind, &body);
        self.context.admissions.wrote(self.name, &wanted.key, seen);
    }

    /// Whether every policy refuses what it must, and then passes what it must. The order matters: before a
    /// binding is in force everything passes.
    async fn try_compiled(&self, desired: &Desired, stamp: &str) -> Result<bool, Error> {
        if !self.try_denied(desired, stamp).await? {
            return Ok(false);
        }
        for (nth, trial) in desired.trials.iter().enumerate() {
            match self.try_object(trial, &trial.passes, &label(stamp, nth)).await? {
                Tried::Taken => {}
                tried @ Tried::Refused(_) => return Err(refused(desired, trial, &tried)),
            }
        }
        Ok(true)
    }

    /// Whether every policy refuses what it must.
    async fn try_denied(&self, desired: &Desired, stamp: &str) -> Result<bool, Error> {
        for (nth, trial) in desired.trials.iter().enumerate() {
            let tried = self.try_object(trial, &trial.denied, &label(stamp, nth)).await?;
            match outcome(&tried, &trial.sentinel) {
                ProbeOutcome::Denied => {}
                ProbeOutcome::NotYet => return Ok(false),
                _ => return Err(refused(desired, trial, &tried)),
            }
        }
        Ok(true)
    }

    async fn try_object(&self, trial: &Trial, object: &Value, label: &str) -> Result<Tried, Error> {
        let namespace = &self.context.admissions.site.probe;
        let mut object = object.clone();
        object["metadata"]["namespace"] = namespace.as_str().into();
        object["metadata"]["labels"][PROBE_LABEL] = label.into();
        let key =
            ObjectKey::new(namespace, object["metadata"]["name"].as_str().unwrap_or_default());
        let writer = &self.context.writer;
        let tried = match trial.kind {
            WorkloadKind::Pod => writer.try_create::<Pod>(&key, &object, FIELD_MANAGER).await,
            _ => writer.try_create::<Deployment>(&key, &object, FIELD_MANAGER).await,
        };
        match tried {
            Ok(DryRun::Taken) => Ok(Tried::Taken),
            // The quota of the probe namespace lets no pod in, and is asked last.
            Ok(DryRun::Refused(words)) if is_quota(&words) => Ok(Tried::Taken),
            Ok(DryRun::Refused(words)) => Ok(Tried::Refused(words)),
            // One that is being deleted takes nothing in either.
            Err(ApiError::NotFound { .. } | ApiError::NamespaceTerminating { .. }) => {
                Err(Error::NoProbeNamespace { namespace: namespace.clone() })
            }
            Err(error) => {
                let object = format!("{} {namespace}/{}", trial.kind.as_str(), key.name);
                Err(explain("create", &object, &error))
            }
        }
    }
}

fn refused(desired: &Desired, trial: &Trial, tried: &Tried) -> Error {
    let revision = desired.revision.clone();
    let words = match outcome(tried, &trial.sentinel) {
        ProbeOutcome::TooExpensive => {
            return Error::BudgetExceeded {
                revision,
                problem: "costs more than the API server spends on one request".to_owned(),
                field: "images.allowedRegistries, images.deniedRepositories or logging.requireEnv"
                    .to_owned(),
            };
        }
        ProbeOutcome::Failed(words) => words.chars().take(400).collect(),
        ProbeOutcome::Denied | ProbeOutcome::NotYet => {
            "its sentinel answered the wrong object".to_owned()
        }
    };
    Error::ProbeFailed { revision, words }
}

fn is_quota(words: &str) -> bool {
    words.contains("exceeded quota: ") || words.contains("status unknown for quota: ")
}

async fn delete(
    context: &Context,
    name: &str,
    key: &AdmissionKey,
    seen: &Seen,
) -> Result<(), Error> {
    let (object, writer) = (ObjectKey::new("", &key.name), &context.writer);
    tracing::debug!(baseline = name, object = %key, "deleting");
    let (uid, version) = (&seen.uid, &seen.resource_version);
    let deleted = match key.kind {
        AdmissionKind::Policy => {
            writer.delete::<ValidatingAdmissionPolicy>(&object, uid, version).await
        }
        AdmissionKind::Binding => {
            writer.delete::<ValidatingAdmissionPolicyBinding>(&object, uid, version).await
        }
    };
    deleted.map_err(|error| explain("delete", &key.to_string(), &error))?;
    context.admissions.removed(name, key);
    Ok(())
}

/// Takes away what belongs to a baseline that is gone.
pub(crate) async fn remove_all(context: &Context, uid: &Uid) -> Result<(), Error> {
    for _ in 0..MOST_MOVES {
        let live = context.admissions.live();
        match next(None, uid, &live, &Proof::default())? {
            Move::Delete(key, seen) => delete(context, "", &key, &seen).await?,
            _ => return Ok(()),
        }
    }
    Ok(())
}
