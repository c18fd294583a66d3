//! The controller of namespaces: merges what selects one, writes the differences, explains the result.

mod report;

use crate::retry::Retry;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;

use super::{
    CROWD, Context,
    apply::Applier,
    explain::explain,
    index::{Material, REPORT},
    plan::{
        baseline::Compiled,
        baseline_status::Standing,
        copy::CopyStep,
        effective::PODS_FIT,
        error::Error,
        namespace::{Floor, Input, Plan, needs_pods, plan, question_of_pods, remaining},
        steps::Step,
        teardown::Leaving,
    },
};
use crate::api::gabion::hardening_baseline::Stage;
use crate::api::gabion::namespace_hardening::EFFECTIVE;
use crate::cluster::{
    events::EventType,
    queue::{Lane, Next},
};
use crate::meta::Uid;

const KIND: &str = "Namespace";
/// Longest time one reconcile may take.
const DEADLINE: Duration = Duration::from_secs(90);
/// How often a hardened namespace is compared again although nothing was heard of it.
const COMPARE_EVERY: Duration = Duration::from_mins(10);
const RECHECK: Duration = Duration::from_hours(1);
/// Reconciles one namespace.
pub(crate) async fn reconcile(context: Arc<Context>, name: Arc<str>) -> Next {
    let started = Instant::now();
    let now = Timestamp::now();
    let Some(material) = context.index.material(&name, now) else { return Next::Idle };
    if context.protected.contains(&name) || material.observed.terminating {
        context.index.reconciled(&name, Standing::default(), &uids(&material));
        context.index.reconciled_once(&name);
        context.wake_baselines();
        return Next::Idle;
    }
    let reconciler = Reconciler { context: &context, key: &name, name: &name, material, now };
    let outcome = tokio::time::timeout(DEADLINE, Box::pin(reconciler.reconcile())).await;
    let Outcome { reason, next } =
        outcome.unwrap_or(Outcome { reason: "Timeout", next: Next::Retry });
    context.index.reconciled_once(&name);
    context.metrics.reconciles.done(KIND, reason, started.elapsed());
    next
}

fn uids(material: &Material) -> Vec<Uid> {
    material.leaving.iter().map(|(leaving, _)| leaving.uid.clone()).collect()
}

struct Reconciler<'a> {
    context: &'a Context,
    key: &'a Arc<str>,
    name: &'a str,
    material: Material,
    now: Timestamp,
}

struct Outcome {
    reason: &'static str,
    next: Next,
}

impl Reconciler<'_> {
    async fn reconcile(mut self) -> Outcome {
        let selecting = self.selecting();
        self.material.observed.floor = self.floor(&selecting);
        if let Some(error) = self.untouchable() {
            return self.leave_alone(&error);
        }
        if !selecting.is_empty() {
            self.context.index.reached(self.name, true);
        }
        if self.has_nothing(&selecting) {
            return self.leave_unselected().await;
        }
        let mut failure = self.observe_pods(&selecting).await.err();
        let made = self.plan(&selecting);
        self.note_drift(&made);
        // A plan made after a fight was noticed leaves that field alone.
        let made = self.replan(&selecting).unwrap_or(made);
        let (failed_write, mut refused) = self.write(&made, failure.is_none()).await;
        failure = failure.or(failed_write);
        let failed = failure.is_some();
        let wrote = !made.is_settled();
        // The report is about the state after the writes.
        let after = if made.is_settled() && !failed {
            made
        } else {
            self.plan_again(&selecting, failed, &mut refused)
        };
        self.note_right(&after);
        let (asked, refused) = (self.material.pods_asked, after.refused_pods.as_deref());
        self.context.index.pods_answered(self.name, asked, refused);
        let all_well = !failed && after.is_settled() && after.problems.is_empty();
        let reported = if wrote && all_well && !selecting.is_empty() && self.is_in_a_crowd() {
            // The others are hardened before the report on this one is written.
            self.context.namespaces.wake(self.key, &(), Lane::Periodic);
            Ok(())
        } else {
            self.report(&selecting, &after, failure.as_ref()).await
        };
        // A report that cannot be written keeps what is wrong from those who look there: a failure of its own.
        let failure = failure.or(reported.err());
        let standing = if selecting.is_empty() && failure.is_none() && after.problems.is_empty() {
            Standing::default()
        } else {
            Standing::of(after.is_settled(), failure.as_ref(), &after.problems)
        };
        let done = self.done(&after);
        if self.context.index.reconciled(self.name, standing, &done) {
            self.context.wake_baselines();
        }
        self.record(failure.as_ref().or(after.problems.first()));
        let next = self.next(&selecting, &after, failure.as_ref());
        let reason = failure.map_or("Applied", |error| error.class().0);
        Outcome { reason, next }
    }

    /// Nothing selects the namespace, and nothing of ours is left in it but the report.
    async fn leave_unselected(&mut self) -> Outcome {
        self.context.index.reconciled(self.name, Standing::default(), &uids(&self.material));
        let removed = self.remove_effective().await;
        if removed.is_ok() {
            self.context.index.reached(self.name, false);
        }
        let next = if removed.is_ok() { Next::Idle } else { Next::Retry };
        Outcome { reason: "NotSelected", next }
    }

    /// The plan after the writes. Wakes the namespace again if it changed meanwhile.
    fn plan_again(
        &mut self,
        selecting: &[Compiled],
        failed: bool,
        refused: &mut BTreeMap<String, String>,
    ) -> Plan {
        let woken = !failed && self.context.namespaces.caught_up(self.key);
        let changed = self.observe_again(selecting);
        // Labels that somebody else declares are asked for again with the next reconcile.
        self.material.contested.append(refused);
        let after = self.plan(selecting);
        if woken && (changed || !after.is_settled()) {
            self.context.namespaces.wake(self.key, &(), Lane::Urgent);
        }
        after
    }

    /// Reads the state after the writes, which have woken this namespace themselves. True if what decides
    /// whether and how it is hardened is no longer the same.
    fn observe_again(&mut self, selecting: &[Compiled]) -> bool {
        let Some(mut now) = self.context.index.material(self.name, self.now) else { return true };
        now.observed.pods = self.material.observed.pods.take();
        now.observed.floor = self.material.observed.floor.take();
        now.pods_asked = self.material.pods_asked;
        let before = std::mem::replace(&mut self.material, now);
        let now = &self.material;
        now.observed.terminating
            || now.observed.uid != before.observed.uid
            || now.leaving != before.leaving
            || now.broken != before.broken
            || self.selecting() != selecting
    }

    /// How far the enforce label may give way to exceptions: not before the policies of every baseline deny.
    fn floor(&self, selecting: &[Compiled]) -> Option<Floor> {
        let mut judging =
            selecting.iter().filter(|b| b.stage == Stage::Enforce && b.pod_security.is_some());
        if !judging.all(|b| self.context.admissions.denies(b)) {
            return None;
        }
        Floor::of(&self.context.exceptions.in_force(self.now), self.name)
    }

    fn selecting(&self) -> Vec<Compiled> {
        let observed = &self.material.observed;
        let selecting = self.material.in_force.iter().filter(|compiled| {
            compiled.selection.reaches(&observed.name, &observed.labels, &self.context.protected)
        });
        selecting.map(|compiled| (**compiled).clone()).collect()
    }

    /// Why nothing here may be changed: a baseline that made some of it cannot be compiled.
    fn untouchable(&self) -> Option<Error> {
        let observed = &self.material.observed;
        let made = |uid: &Uid| observed.objects.values().any(|o| o.owners.contains(uid));
        // Labels and accounts name no baseline; the report on the namespace does.
        let listed = |name: &String| match &self.material.effective {
            Some(effective) => effective.digest.names(name),
            None => !observed.memory.record.is_empty(),
        };
        let mut broken = self.material.broken.iter();
        let broken = broken.find(|(name, uid, _)| made(uid) || listed(name));
        broken.map(|(_, _, error)| error.clone())
    }

    fn leave_alone(&self, error: &Error) -> Outcome {
        let reason = error.class().0;
        let standing = Standing::of(false, Some(error), &[]);
        if self.context.index.reconciled(self.name, standing, &[]) {
            self.context.wake_baselines();
        }
        self.record(Some(error));
        Outcome { reason, next: Next::RetryAfter(RECHECK) }
    }

    /// True if no baseline selects the namespace and nothing of ours is left in it.
    fn has_nothing(&self, selecting: &[Compiled]) -> bool {
        selecting.is_empty() && is_nothing_left(&self.plan(selecting))
    }

    /// The baselines that leave this namespace: how others end decides nothing here.
    fn leaving_here(&self) -> Vec<Leaving> {
        let observed = &self.material.observed;
        let owns = |uid: &Uid| observed.objects.values().any(|o| o.owners.contains(uid));
        let here = self.material.leaving.iter().filter(|(leaving, selection)| {
            owns(&leaving.uid)
                || selection.as_ref().is_none_or(|selection| {
                    selection.reaches(&observed.name, &observed.labels, &self.context.protected)
                })
        });
        here.map(|(leaving, _)| leaving.clone()).collect()
    }

    fn plan(&self, selecting: &[Compiled]) -> Plan {
        plan(Input {
            baselines: selecting,
            leaving: &self.leaving_here(),
            observed: &self.material.observed,
            dns: &self.material.dns,
            contested: &self.material.contested,
        })
    }

    /// A quota is written only after reading what is in use. Which pods could not be made again is asked before
    /// that, when the answer may be another one, and as long as there are some.
    async fn observe_pods(&mut self, selecting: &[Compiled]) -> Result<(), Error> {
        let question = question_of_pods(selecting);
        let is_answered = match (question, self.material.pods_asked) {
            (None, _) => true,
            (Some(question), Some(asked)) => {
                question == asked && self.material.observed.refused_pods.is_none()
            }
            // Another process asked.
            (Some(_), None) => {
                let effective = self.material.effective.as_ref();
                effective.is_some_and(|said| said.digest.condition(PODS_FIT) == Some(true))
            }
        };
        if is_answered && !needs_pods(selecting, &self.material.observed) {
            return Ok(());
        }
        let context = self.context;
        let since = context.namespaces.since(self.key).unwrap_or_else(Instant::now);
        let crowd = self.is_in_a_crowd();
        let used = context.usage.of(&context.writer, self.name, since, crowd).await;
        self.material.observed.pods = Some(used.map_err(|error| explain("list", "Pod", &error))?);
        self.material.pods_asked = question;
        Ok(())
    }

    /// Whether many other namespaces wait to be reconciled.
    fn is_in_a_crowd(&self) -> bool {
        self.context.namespaces.stats().waiting >= CROWD
    }

    /// Counts what somebody else changed since it was last right, and finds out whether that is a fight. A repair
    /// that failed and is tried again is no further change.
    fn note_drift(&mut self, made: &Plan) {
        let changes = self.changes(made);
        let fields: Vec<_> = changes.iter().map(|change| change.field.clone()).collect();
        let news = self.context.index.drifted(self.name, &fields);
        for (change, _) in changes.into_iter().zip(news).filter(|(_, news)| *news) {
            self.context.metrics.reconciles.drift_repaired(change.kind);
            self.tell("DriftRepaired", change.says());
            if change.field == REPORT {
                tracing::warn!(
                    namespace = self.name,
                    "the report is not what was written: somebody else changed it, or its definition is older than this version (apply crds/)"
                );
            }
            if self.context.index.flipped(self.name, &change.field, &change.manager, self.now) {
                self.context.metrics.reconciles.fight(KIND);
                self.material.contested.insert(change.field, change.manager);
            }
        }
    }

    /// What was right before and is not now.
    fn changes(&self, made: &Plan) -> Vec<Drift> {
        let mut changes = Vec::new();
        for step in made.steps() {
            match step {
                Step::Create(object) | Step::Update { object, adopting: false, .. } => {
                    let key = object.key();
                    if self.context.index.was_right(self.name, &key, object.digest()) {
                        let live = self.material.observed.objects.get(&key);
                        let manager = live.map_or("unknown", |live| live.manager.as_str());
                        changes.push(Drift::new(key.kind.as_str(), key.to_string(), manager));
                    }
                }
                Step::Labels(patch) => {
                    let manager = &self.material.last_writer;
                    changes.extend(patch.drifted.iter().map(|key| Drift::new(KIND, key, manager)));
                }
                Step::ServiceAccount(patch) if patch.drifted => {
                    changes.push(Drift::new("ServiceAccount", step.object(), &patch.manager));
                }
                Step::PullSecret(step) => changes.extend(self.changed_copy(step)),
                _ => {}
            }
        }
        if self.material.effective_drifted {
            changes.push(Drift::new("NamespaceHardening", REPORT, "unknown"));
        }
        changes
    }

    fn changed_copy(&self, step: &CopyStep) -> Option<Drift> {
        let (kind, manager) = match step {
            CopyStep::Write { name, credential, manager, .. }
                if self.context.index.copy_was_right(self.name, name, &credential.revision) =>
            {
                ("Secret", manager)
            }
            CopyStep::Attach(patch) if patch.drifted => ("ServiceAccount", &patch.manager),
            _ => return None,
        };
        Some(Drift::new(kind, step.object(), manager))
    }

    /// Objects that are as they should be now: what is changed from here on was changed by somebody else, also if
    /// another process wrote them.
    fn note_right(&self, after: &Plan) {
        self.context.index.found_right(self.name, &after.right);
        self.context.index.copies_right(self.name, &after.right_copies);
    }

    fn replan(&self, selecting: &[Compiled]) -> Option<Plan> {
        (!self.material.contested.is_empty()).then(|| self.plan(selecting))
    }

    /// Does all chains; one that fails keeps no other from being done. The first failure, and the labels that
    /// somebody else declares.
    async fn write(
        &self,
        made: &Plan,
        usage_known: bool,
    ) -> (Option<Error>, BTreeMap<String, String>) {
        let policy = made.merged.conflict_policies.labels;
        let (context, namespace) = (self.context, self.name);
        let applier = Applier { context, namespace, policy, refused: Mutex::default() };
        let mut first = None;
        for chain in &made.chains {
            let mut chain = chain.clone();
            chain.steps.retain(|step| usage_known || !step.writes_quota());
            if let Err(error) = applier.chain(&chain).await {
                first = first.or(Some(error));
            }
        }
        (first, applier.refused.into_inner().unwrap_or_default())
    }

    /// Leaving baselines that have nothing left here.
    fn done(&self, after: &Plan) -> Vec<Uid> {
        let uids = uids(&self.material).into_iter();
        uids.filter(|uid| remaining(uid, &self.material.observed, after).is_empty()).collect()
    }

    fn record(&self, problem: Option<&Error>) {
        let Some(problem) = problem else { return };
        if matches!(problem, Error::Stale { .. }) {
            return; // somebody moved first; the next reconcile is at once
        }
        let (reason, text) = (problem.class().0, problem.to_string());
        tracing::warn!(namespace = self.name, reason, problem = text, "not as it should be");
        self.tell(reason, text);
    }

    /// Publishes a warning at the report, or at the namespace while there is none.
    fn tell(&self, reason: &'static str, text: String) {
        let about = match &self.material.effective {
            Some(effective) => ObjectReference {
                api_version: Some("gabion.dev/v1alpha1".to_owned()),
                kind: Some("NamespaceHardening".to_owned()),
                namespace: Some(self.name.to_owned()),
                name: Some(EFFECTIVE.to_owned()),
                uid: Some(effective.uid.to_string()),
                ..ObjectReference::default()
            },
            None => ObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some(KIND.to_owned()),
                name: Some(self.name.to_owned()),
                uid: Some(self.material.observed.uid.to_string()),
                ..ObjectReference::default()
            },
        };
        self.context.record(about, reason, text, EventType::Warning);
    }

    fn next(&self, selecting: &[Compiled], after: &Plan, failure: Option<&Error>) -> Next {
        let worst = failure.map(|error| error.class().1);
        match worst {
            Some(Retry::Backoff) => return Next::Retry,
            Some(Retry::OnChange) => return Next::RetryAfter(RECHECK),
            None => {}
        }
        if selecting.is_empty() && is_nothing_left(after) {
            return Next::Idle;
        }
        let mut pause = COMPARE_EVERY;
        // What is held back by usage changes with pods, which are not watched.
        if after.problems.iter().any(|problem| matches!(problem, Error::QuotaBelowUsage(_))) {
            pause = Duration::from_secs(15);
        } else if after.refused_pods.is_some() {
            pause = Duration::from_mins(5);
        }
        if let Some(until) = self.material.contested_until {
            let left = Duration::try_from(until.duration_since(self.now)).unwrap_or_default();
            pause = pause.min(left.max(Duration::from_secs(1)));
        }
        Next::after(pause)
    }
}

/// Nothing is to be done, and nothing that cannot be done is left.
fn is_nothing_left(plan: &Plan) -> bool {
    plan.is_settled() && plan.problems.is_empty()
}

/// A field that was right and was changed by somebody else.
struct Drift {
    kind: &'static str,
    field: String,
    manager: String,
}

impl Drift {
    fn new(kind: &'static str, field: impl Into<String>, manager: &str) -> Self {
        Self { kind, field: field.into(), manager: manager.to_owned() }
    }

    fn says(&self) -> String {
        let (field, manager) = (&self.field, &self.manager);
        format!(
            "{field} was changed or deleted by somebody else (last writer: {manager}) and is put back"
        )
    }
}
