//! The admission policies of baselines: made, proved, repaired and taken back.
//!
//! [`keep`] brings one baseline's policies as far as they get; it is called by the controller of baselines, one at
//! a time for each baseline, and takes one move of [`super::plan::admission`] after the other.

mod state;
mod work;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;

use super::{
    Context,
    index::{Baseline, Phase},
    plan::{
        admission::{Admission, AdmissionKey, AdmissionKind, Progress},
        error::Error,
    },
};
use crate::api::gabion::hardening_baseline::Stage;
use crate::cluster::{Change, queue::Lane};
use crate::meta::Uid;
use crate::policy::waivers::Waiver;
use crate::runtime::Dependency;
use crate::runtime::Watches;

pub(crate) use state::Admissions;
use work::Work;

/// A revision that is not in force is reconciled again after this time.
const AGAIN: Duration = Duration::from_millis(300);
/// A revision that failed is tried again after this time, and when something changes.
const FAILED: Duration = Duration::from_secs(30);

/// What [`keep`] came to.
pub(crate) struct Kept {
    /// For the status. `None` says that nothing is known yet.
    pub(crate) admission: Option<Admission>,
    /// When to reconcile again, if nothing changes before.
    pub(crate) again: Option<Duration>,
}

/// Brings the policies of a baseline that is in force as far as they get.
pub(crate) async fn keep(context: &Context, name: &str, known: &Baseline) -> Kept {
    let waivers = waivers(context, known);
    let desired = match context.admissions.desired(name, known, &waivers) {
        Ok(Some(desired)) => desired,
        Ok(None) => return Kept { admission: None, again: None },
        Err(error) => return Kept { admission: Some(failed(known, error)), again: Some(FAILED) },
    };
    let kept = Work { context, name, known, desired: Some(desired) }.keep().await;
    if kept.admission.as_ref().is_some_and(|admission| admission.stage != Stage::Enforce) {
        context.admissions.denies_no_more(name);
    }
    let denies = kept.admission.as_ref().is_some_and(|admission| {
        admission.stage == Stage::Enforce && admission.progress == Progress::InForce
    });
    if denies && context.admissions.denies_now(name) {
        // Labels may give way to exceptions from now on.
        let excused = context.exceptions.in_force(Timestamp::now());
        for waiver in excused.iter() {
            context.namespaces.wake(&waiver.namespace.as_str().into(), &(), Lane::Urgent);
        }
    }
    kept
}

/// What is excused in the namespaces that a baseline reaches.
fn waivers(context: &Context, known: &Baseline) -> Vec<Waiver> {
    let Some(Phase::InForce(compiled)) = &known.phase else { return Vec::new() };
    let excused = context.exceptions.in_force(Timestamp::now());
    let reached = |waiver: &&Waiver| {
        let labels = context.index.namespace_labels(&waiver.namespace);
        labels.is_some_and(|labels| {
            compiled.selection.reaches(&waiver.namespace, &labels, &context.protected)
        })
    };
    excused.iter().filter(reached).cloned().collect()
}

/// Takes the policies of a baseline away: bindings first. True when none is left.
pub(crate) async fn take_away(
    context: &Context,
    name: &str,
    known: &Baseline,
) -> Result<bool, Error> {
    if !context.admissions.is_listed() {
        return Ok(true); // without the right to see them none were made
    }
    Work { context, name, known, desired: None }.take_away().await
}

fn failed(known: &Baseline, error: Error) -> Admission {
    state::failed(known, error)
}

/// Follows both kinds. A cluster that does not let us keeps everything else.
pub(crate) fn follow(watches: &mut Watches<'_, '_, Context>) {
    let client = watches.client();
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(client.clone());
    watches.follow(
        "ValidatingAdmissionPolicy",
        Dependency::Optional,
        policies,
        |context, change| {
            seen(context, AdmissionKind::Policy, change);
        },
    );
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client);
    watches.follow(
        "ValidatingAdmissionPolicyBinding",
        Dependency::Optional,
        bindings,
        |context, change| {
            seen(context, AdmissionKind::Binding, change);
        },
    );
}

fn seen<K: Resource + Serialize>(context: &Context, kind: AdmissionKind, change: Change<K>) {
    let owners = match change {
        Change::Applied(object) => {
            let key = AdmissionKey { kind, name: object.name_any() };
            let object = serde_json::to_value(&object).unwrap_or_default();
            context.admissions.applied(key, &object)
        }
        Change::Deleted(object) => {
            let uid = Uid::of(object.meta());
            context.admissions.gone(&AdmissionKey { kind, name: object.name_any() }, &uid)
        }
        Change::Replaced(present) => context.admissions.listed(kind, &present),
    };
    for owner in owners {
        wake(context, &owner);
    }
}

/// Wakes the baseline with this uid; all of them if there is none.
fn wake(context: &Context, uid: &Uid) {
    let objects = context.index.baseline_objects();
    let owned = objects.iter().find(|object| uid.is_of(&object.metadata));
    if let Some(name) = owned.and_then(|object| object.metadata.name.as_deref()) {
        context.baselines.wake(&name.into(), &(), Lane::Urgent);
        return;
    }
    for name in context.index.baseline_names() {
        context.baselines.wake(&name, &(), Lane::Periodic);
    }
    context.admissions.sweep_soon();
}

/// Takes away what belongs to baselines that are gone, whenever there may be some.
pub(crate) async fn sweep(context: &Context) {
    loop {
        context.admissions.asked_to_sweep().await;
        let known = context.index.baseline_objects();
        for uid in context.admissions.owners() {
            if known.iter().any(|object| uid.is_of(&object.metadata)) {
                continue;
            }
            if let Err(error) = work::remove_all(context, &uid).await {
                tracing::warn!(%error, "policies of a baseline that is gone are still there");
                tokio::time::sleep(FAILED).await;
                context.admissions.sweep_soon();
            }
        }
    }
}
