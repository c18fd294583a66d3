//! Whether an exception is in force: the one decision that every path asks.
//!
//! An approval is bound to the uid, the generation and the hash of the request, so no edit and no namesake inherits it.

use std::collections::BTreeSet;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::{Span, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde_json::Value;

use crate::api::gabion::baseline_exception::{
    BaselineException, BaselineExceptionSpec, BaselineExceptionStatus, ExemptContainerType,
    MAX_CONTAINERS, MAX_CONTROLS, WorkloadTargetKind,
};
use crate::api::gabion::baseline_exception_approval::BaselineExceptionApproval;
use crate::policy::ControlId;
use crate::policy::waivers::{ExemptOne, MAX_TEXT, MAX_WAIVERS, Waiver, is_waivable};
use crate::text::{hex, shortened};

/// Longest life of an exception and of an approval: ninety days.
const MOST_HOURS: i64 = 90 * 24;

/// How an exception stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum State {
    /// It waits for somebody to approve it.
    Requested,
    /// It is in force.
    Active,
    /// What was approved is something else.
    ApprovalMismatch,
    /// It ended.
    Expired,
    /// It can never be in force as it stands.
    Rejected,
}

impl State {
    /// All of them.
    pub(crate) const ALL: [Self; 5] =
        [Self::Requested, Self::Active, Self::ApprovalMismatch, Self::Expired, Self::Rejected];

    /// The word in the status.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "Requested",
            Self::Active => "Active",
            Self::ApprovalMismatch => "ApprovalMismatch",
            Self::Expired => "Expired",
            Self::Rejected => "Rejected",
        }
    }
}

/// The verdict on one exception.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Standing {
    /// How it stands.
    pub(crate) state: State,
    /// Why.
    pub(crate) message: String,
    /// Who approved it as it is.
    pub(crate) approved_by: Option<String>,
    /// When it ends or ended.
    pub(crate) ends: Option<Timestamp>,
    /// What it excuses; `None` unless it is active.
    pub(crate) waiver: Option<Waiver>,
}

impl Standing {
    fn without(state: State, message: impl Into<String>) -> Self {
        Self { state, message: message.into(), approved_by: None, ends: None, waiver: None }
    }

    /// One that is active and for which there is no room.
    pub(crate) fn crowded_out(self, message: String) -> Self {
        Self {
            approved_by: self.approved_by,
            ends: self.ends,
            ..Self::without(State::Rejected, message)
        }
    }
}

/// Those of the waivers, each with the creation of its exception, that there is room for: the oldest.
pub(crate) fn that_fit(mut approved: Vec<(Timestamp, Waiver)>) -> Vec<Waiver> {
    approved.sort();
    let mut room = MAX_TEXT;
    let fits = |(_, waiver): &(Timestamp, Waiver)| match room.checked_sub(waiver.size()) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    };
    let mut fitting: Vec<_> = approved.into_iter().filter(fits).map(|(_, waiver)| waiver).collect();
    fitting.truncate(MAX_WAIVERS);
    fitting
}

/// What is said of one that does not fit.
pub(crate) fn no_room() -> String {
    format!(
        "is approved, but {MAX_WAIVERS} exceptions or {} KiB of them are in force, and older ones come first; let some \
         end, or name fewer containers",
        MAX_TEXT / 1024
    )
}

/// The status of an exception; `None` if it says so already.
pub(crate) fn next_status(
    exception: &BaselineException,
    standing: &Standing,
    now: Timestamp,
) -> Option<BaselineExceptionStatus> {
    let before = exception.status.clone().unwrap_or_default();
    let status = BaselineExceptionStatus {
        observed_generation: exception.metadata.generation,
        state: Some(standing.state.as_str().to_owned()),
        message: Some(standing.message.clone()),
        spec_hash: Some(spec_hash(&exception.spec)),
        approved_by: standing.approved_by.clone(),
        ends_at: standing.ends.map(Time),
        conditions: conditions(&before.conditions, exception, standing, now),
    };
    (exception.status.as_ref() != Some(&status)).then_some(status)
}

/// One condition: Active.
fn conditions(
    before: &[Condition],
    exception: &BaselineException,
    standing: &Standing,
    now: Timestamp,
) -> Vec<Condition> {
    let holds = if standing.state == State::Active { "True" } else { "False" };
    let before = before.iter().find(|old| old.type_ == "Active" && old.status == holds);
    let second = Timestamp::from_second(now.as_second()).unwrap_or(now);
    vec![Condition {
        type_: "Active".to_owned(),
        status: holds.to_owned(),
        reason: standing.state.as_str().to_owned(),
        message: standing.message.clone(),
        observed_generation: exception.metadata.generation,
        last_transition_time: before.map_or(Time(second), |old| old.last_transition_time.clone()),
    }]
}

/// Lower-case hexadecimal SHA-256 of a spec: canonical JSON, with sorted keys, without white space and absent fields.
pub(crate) fn spec_hash(spec: &BaselineExceptionSpec) -> String {
    // A map of serde_json is sorted; a spec can always be written.
    let canonical = serde_json::to_value(spec).map(|value: Value| value.to_string());
    let hash = digest(&SHA256, canonical.unwrap_or_default().as_bytes());
    hex(hash.as_ref())
}

/// Whether an exception is in force at this moment, given all approvals that there are.
pub(crate) fn active(
    exception: &BaselineException,
    approvals: &[&BaselineExceptionApproval],
    now: Timestamp,
) -> Standing {
    let waiver = match asked(exception) {
        Ok(waiver) => waiver,
        Err(problem) => return Standing::without(State::Rejected, problem),
    };
    let expires = waiver.until;
    if now >= expires {
        let message =
            format!("expired at {expires}; pods that run stay, new ones are judged in full");
        return Standing { ends: Some(expires), ..Standing::without(State::Expired, message) };
    }
    let meta = &exception.metadata;
    let of_this = approvals.iter().filter(|approval| {
        let of = &approval.spec.exception_ref;
        Some(&of.namespace) == meta.namespace.as_ref() && Some(&of.name) == meta.name.as_ref()
    });
    let mut best: Option<(Timestamp, &str)> = None;
    let mut mismatch = None;
    for approval in of_this {
        match granted(exception, approval) {
            Ok(until) if best.is_none_or(|(so_far, _)| so_far < until) => {
                best = Some((until, &approval.spec.approver));
            }
            Ok(_) => {}
            Err(problem) => mismatch = Some(problem),
        }
    }
    let Some((until, approver)) = best else {
        return mismatch.map_or_else(
            || Standing::without(State::Requested, "waits for a BaselineExceptionApproval"),
            |problem| Standing::without(State::ApprovalMismatch, problem),
        );
    };
    let ends = expires.min(until);
    let (approved_by, ends_at) = (Some(approver.to_owned()), Some(ends));
    if now >= ends {
        let message = format!("the approval ended at {ends}");
        let expired = Standing::without(State::Expired, message);
        return Standing { approved_by, ends: ends_at, ..expired };
    }
    let message = format!("approved by {approver} until {ends}");
    let waiver = Some(Waiver { until: ends, ..waiver });
    Standing { state: State::Active, message, approved_by, ends: ends_at, waiver }
}

/// What an exception asks for, or why it can never have it.
fn asked(exception: &BaselineException) -> Result<Waiver, String> {
    let (meta, spec) = (&exception.metadata, &exception.spec);
    if meta.deletion_timestamp.is_some() {
        return Err("is being deleted".to_owned());
    }
    let created = meta.creation_timestamp.as_ref().map(|time| time.0);
    let created = created.ok_or("has no creationTimestamp")?;
    let until = spec.expires_at.0;
    if until <= created || until > latest(created) {
        return Err(
            "spec.expiresAt must be after the creation and at most 90 days later; create it anew"
                .to_owned(),
        );
    }
    let within = |field: &str, count: usize, most: usize| match count {
        0 => Err(format!("spec.{field} must not be empty")),
        count if count > most => Err(format!("spec.{field} must have at most {most} entries")),
        _ => Ok(()),
    };
    within("controls", spec.controls.len(), MAX_CONTROLS)?;
    within("containers", spec.containers.len(), MAX_CONTAINERS)?;
    let mut controls = BTreeSet::new();
    for text in &spec.controls {
        controls.insert(waivable(text)?);
    }
    if spec.target.kind == WorkloadTargetKind::Unknown {
        return Err("spec.target.kind is a word that this version does not know".to_owned());
    }
    let mut containers = Vec::new();
    for container in &spec.containers {
        let list = container.list.unwrap_or(ExemptContainerType::Container);
        if list == ExemptContainerType::Unknown || container.image_repository.is_empty() {
            let name = shortened(&container.name, 63);
            return Err(format!(
                "spec.containers[{name}] needs a known type and an imageRepository"
            ));
        }
        let (name, repository) = (container.name.clone(), container.image_repository.clone());
        containers.push(ExemptOne { list, name, repository });
    }
    Ok(Waiver {
        namespace: meta.namespace.clone().unwrap_or_default(),
        exception: meta.name.clone().unwrap_or_default(),
        controls,
        kind: spec.target.kind,
        name: spec.target.name.clone(),
        containers,
        until,
    })
}

fn waivable(text: &str) -> Result<ControlId, String> {
    let shown = shortened(text, 64);
    let id = ControlId::parse(text).ok_or_else(|| {
        format!("spec.controls: {shown} is no control; docs/controls.md lists them")
    })?;
    if is_waivable(id) {
        return Ok(id);
    }
    Err(format!(
        "spec.controls: {shown} cannot be waived by an exception, which covers only controls that admission policies \
         judge in pods; remove it"
    ))
}

/// Until when an approval holds for an exception as it is now, or why it does not.
fn granted(
    exception: &BaselineException,
    approval: &BaselineExceptionApproval,
) -> Result<Timestamp, String> {
    let (meta, spec, of) = (&exception.metadata, &approval.spec, &approval.spec.exception_ref);
    let name = approval.metadata.name.as_deref().unwrap_or_default();
    let differs = |what: &str| {
        Err(format!("approval {name} is for another {what}; delete it and approve the present one"))
    };
    if meta.uid.as_deref() != Some(of.uid.as_str()) {
        return differs("uid");
    }
    if meta.generation != Some(of.generation) {
        return differs("generation");
    }
    if spec_hash(&exception.spec) != of.spec_hash {
        return differs("specHash");
    }
    if exception.spec.requested_by != spec.requested_by {
        return differs("requestedBy");
    }
    if spec.approver.is_empty() || spec.approver == exception.spec.requested_by {
        return Err(format!("approval {name} is by whoever asked; somebody else has to approve"));
    }
    let created = approval.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let until = spec.not_after.0;
    if approval.metadata.deletion_timestamp.is_some() || created.is_none_or(|at| until > latest(at))
    {
        return Err(format!("approval {name} is being deleted or lasts longer than 90 days"));
    }
    Ok(until)
}

/// Ninety days later.
fn latest(from: Timestamp) -> Timestamp {
    from.checked_add(Span::new().hours(MOST_HOURS)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const NOW: &str = "2026-12-01T12:00:00Z";

    fn now() -> Timestamp {
        NOW.parse().expect("a time")
    }

    fn hours(hours: i64) -> Timestamp {
        now().checked_add(Span::new().hours(hours)).expect("in range")
    }

    fn exception(expires: i64) -> BaselineException {
        serde_json::from_value(json!({
            "metadata": {"namespace": "shop", "name": "gpu", "uid": "u1", "generation": 3,
                         "creationTimestamp": hours(-1).to_string()},
            "spec": {
                "controls": ["PSS-privileged"], "target": {"kind": "Deployment", "name": "gpu"},
                "containers": [{"name": "driver", "imageRepository": "registry.corp.example/prod/driver"}],
                "reason": "loads a kernel module", "expiresAt": hours(expires).to_string(),
                "requestedBy": "dev",
            },
        }))
        .expect("an exception")
    }

    fn approval(of: &BaselineException, not_after: i64) -> BaselineExceptionApproval {
        serde_json::from_value(json!({
            "metadata": {"name": "gpu", "creationTimestamp": hours(-1).to_string()},
            "spec": {
                "exceptionRef": {"namespace": "shop", "name": "gpu", "uid": of.metadata.uid,
                                 "generation": of.metadata.generation, "specHash": spec_hash(&of.spec)},
                "requestedBy": "dev", "approver": "sec", "notAfter": hours(not_after).to_string(),
            },
        }))
        .expect("an approval")
    }

    fn state(exception: &BaselineException, approvals: &[&BaselineExceptionApproval]) -> State {
        active(exception, approvals, now()).state
    }

    #[test]
    fn hardening_13_an_approval_holds_for_just_what_was_approved() {
        let asked = exception(24);
        let good = approval(&asked, 24);
        assert_eq!(state(&asked, &[]), State::Requested);
        assert_eq!(state(&asked, &[&good]), State::Active);
        let mut edited = asked.clone();
        edited.metadata.generation = Some(4);
        edited.spec.containers[0].name = "other".to_owned();
        assert_eq!(state(&edited, &[&good]), State::ApprovalMismatch);
        let mut namesake = asked.clone();
        namesake.metadata.uid = Some("u2".to_owned());
        assert_eq!(state(&namesake, &[&good]), State::ApprovalMismatch);
        let own = {
            let mut own = good.clone();
            own.spec.approver = "dev".to_owned();
            own
        };
        assert_eq!(state(&asked, &[&own]), State::ApprovalMismatch);
        // A wrong one beside a right one changes nothing, in either order.
        assert_eq!(state(&asked, &[&own, &good]), State::Active);
        assert_eq!(state(&asked, &[&good, &own]), State::Active);
    }

    #[test]
    fn hardening_18_what_cannot_be_waived_is_refused_by_name() {
        for (control, words) in [
            ("HB-NP-DENY", "HB-NP-DENY cannot be waived"),
            ("HB-LOG-RO", "HB-LOG-RO cannot be waived"),
            ("HB-DF-USER", "HB-DF-USER cannot be waived"),
            ("PSS-privileged2", "PSS-privileged2 is no control"),
        ] {
            let mut asked = exception(24);
            asked.spec.controls.push(control.to_owned());
            let standing = active(&asked, &[&approval(&asked, 24)], now());
            assert_eq!((standing.state, standing.waiver), (State::Rejected, None));
            assert!(standing.message.contains(words), "{}", standing.message);
        }
    }

    #[test]
    fn the_oldest_exceptions_come_first_and_what_does_not_fit_is_left_out() {
        let asked = exception(24);
        let waiver = active(&asked, &[&approval(&asked, 24)], now()).waiver.expect("active");
        let many = (0..300).map(|age| (hours(-age), with_name(&waiver, age))).collect();
        let fitting = that_fit(many);
        assert_eq!(fitting.len(), MAX_WAIVERS);
        assert_eq!((&*fitting[0].exception, &*fitting[199].exception), ("e299", "e100"));
        let container = &waiver.containers[0];
        let large = |nth: i64| Waiver {
            containers: vec![ExemptOne { repository: "a".repeat(255), ..container.clone() }; 16],
            ..with_name(&waiver, nth)
        };
        let fitting = that_fit((0..100).map(|age| (hours(-age), large(age))).collect());
        let size: usize = fitting.iter().map(Waiver::size).sum();
        assert!(fitting.len() < 100 && size <= MAX_TEXT, "{} {size}", fitting.len());
    }

    fn with_name(waiver: &Waiver, nth: i64) -> Waiver {
        Waiver { exception: format!("e{nth}"), ..waiver.clone() }
    }

    #[test]
    fn the_hash_is_of_canonical_json() {
        let spec = exception(24).spec;
        let canonical = "{\"containers\":[{\"imageRepository\":\"registry.corp.example/prod/driver\",\"name\":\"driver\"}],\
            \"controls\":[\"PSS-privileged\"],\"expiresAt\":\"2026-12-02T12:00:00Z\",\"reason\":\"loads a kernel module\",\
            \"requestedBy\":\"dev\",\"target\":{\"kind\":\"Deployment\",\"name\":\"gpu\"}}";
        assert_eq!(serde_json::to_value(&spec).expect("JSON").to_string(), canonical);
        assert_eq!(spec_hash(&spec).len(), 64);
    }

    proptest! {
        /// One bit for each thing that has to match, and a clock that jumps either way.
        #[test]
        fn active_only_if_everything_matches(
            (uid, generation, hash, asker, other) in any::<(bool, bool, bool, bool, bool)>(),
            (expires, not_after, at) in (-3000_i64..3000, -3000_i64..3000, -3000_i64..3000),
        ) {
            let asked = exception(expires);
            let mut given = approval(&asked, not_after);
            let of = &mut given.spec.exception_ref;
            if !uid { of.uid = "else".to_owned(); }
            if !generation { of.generation = 2; }
            if !hash { of.spec_hash = "0".repeat(64); }
            if !asker { given.spec.requested_by = "else".to_owned(); }
            if !other { given.spec.approver = "dev".to_owned(); }
            let standing = active(&asked, &[&given], hours(at));
            // Both were created at hour -1.
            let lives = expires > -1 && expires < 90 * 24 && not_after < 90 * 24;
            let bound = uid && generation && hash && asker && other;
            let expected = lives && bound && at < expires && at < not_after;
            prop_assert_eq!(standing.state == State::Active, expected, "{:?}", standing);
            prop_assert_eq!(standing.waiver.is_some(), expected);
            if let Some(waiver) = standing.waiver {
                prop_assert_eq!(waiver.until, hours(expires.min(not_after)));
            }
        }
    }
}
