//! When an `ExternalSecret` is read again, and why.

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::condition::READY;
use super::error::PlanError;
use super::events::{ON_EVENT_ANNOTATION, REFRESH};
use super::hash;
use super::window;
use super::window::Gate;
use crate::api::external_secrets::external_secret::ExternalSecret;
use crate::api::external_secrets::external_secret::RefreshPolicy;
use crate::duration;
use crate::text::shortened;

/// Interval of an object that has none.
const DEFAULT_INTERVAL: SignedDuration = SignedDuration::from_hours(1);
/// By how much a refresh may come early: a tenth of the interval.
const EARLY: i32 = 10;

/// When to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// At once.
    Now(Why),
    /// Not before.
    At(Timestamp),
    /// Not until something changes.
    Never,
}

/// Why to read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Why {
    /// It never succeeded.
    NeverSynced,
    /// Spec, labels or annotations changed: an edit, or a forced refresh.
    Edited,
    /// The interval has passed.
    Interval,
    /// The Secret is missing, or was changed by somebody else.
    Drift,
    /// The last refresh lies in the future: a clock was set back.
    Clock,
    /// The status says that the last try failed.
    Failed,
    /// An object that its template is read from changed.
    Template,
    /// An event says that the remote secret changed: a refresh that comes early.
    Event,
}

impl Why {
    /// Whether a person is waiting.
    pub(crate) fn is_urgent(self) -> bool {
        matches!(self, Self::NeverSynced | Self::Edited | Self::Drift | Self::Template)
    }
}

/// What the controller knows beside the object itself.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own
pub(crate) struct Known {
    /// When the providers last answered, if this process has seen it. The status may be older, because an
    /// unchanged refresh is not always written.
    pub(crate) last_read: Option<Timestamp>,
    /// Whether the Secret is as it was written ([`super::policy::is_in_order`]).
    pub(crate) in_order: bool,
    /// Whether an object that its template is read from changed since it was rendered.
    pub(crate) template_changed: bool,
    /// Whether an event woke it since it was read.
    pub(crate) event: bool,
    /// A refresh may happen as soon as its window is open, to share a call with others of its store.
    pub(crate) joining: bool,
    /// What this process cannot know of the time before it.
    pub(crate) restart: Restart,
    /// The time.
    pub(crate) now: Timestamp,
}

/// The start of this process. Where an interval is shorter than the heartbeat, the one before may have read an object
/// later than its status says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Restart {
    /// When this process started.
    pub(crate) at: Timestamp,
    /// How old the refresh time of an unchanged object may get before it is written again.
    pub(crate) heartbeat: SignedDuration,
}

impl Restart {
    /// The latest moment at which the process before may have read an object whose status says `written`.
    ///
    /// Taking it for the moment of the last read makes a restart read nothing by itself; the next read is then at
    /// most one interval after the restart.
    fn latest_read(self, written: Timestamp, interval: SignedDuration) -> Timestamp {
        if interval >= self.heartbeat {
            return written; // every refresh was written
        }
        let unwritten = written.checked_add(self.heartbeat).unwrap_or(written);
        unwritten.min(self.at).max(written)
    }
}

/// When `object` is to be read.
///
/// An edit counts under `refreshInterval: 0`, too. Under `CreatedOnce` only a first success, and a Secret
/// that is not in order, count.
pub(crate) fn due(object: &ExternalSecret, known: Known) -> Result<Due, PlanError> {
    says_on_event(object)?;
    let status = object.status.as_ref();
    let synced =
        status.and_then(|s| s.synced_resource_version.as_deref()).filter(|v| !v.is_empty());
    let written = status.and_then(|s| s.refresh_time.as_ref()).map(|time| time.0);
    let (Some(synced), Some(written)) = (synced, written) else {
        return Ok(Due::Now(Why::NeverSynced));
    };
    let policy = object.spec.refresh_policy.as_ref().unwrap_or(&RefreshPolicy::Periodic);
    let edited = synced != version(object);
    match policy {
        RefreshPolicy::Other(value) => {
            Err(PlanError::UnknownValue { field: "refreshPolicy".to_owned(), value: value.clone() })
        }
        RefreshPolicy::OnChange | RefreshPolicy::Periodic if edited => Ok(Due::Now(Why::Edited)),
        _ if !known.in_order => Ok(Due::Now(Why::Drift)),
        RefreshPolicy::OnChange | RefreshPolicy::Periodic if known.template_changed => {
            Ok(Due::Now(Why::Template))
        }
        RefreshPolicy::OnChange | RefreshPolicy::CreatedOnce => Ok(Due::Never),
        // Whatever made it fail may be gone without a trace, as when an edit is taken back.
        RefreshPolicy::Periodic if has_failed(object) => Ok(Due::Now(Why::Failed)),
        RefreshPolicy::Periodic => {
            let heeds_events = heeds_events(object)?;
            let interval = interval(object)?;
            let last = known
                .last_read
                .filter(|read| *read <= known.now)
                .map_or_else(|| known.restart.latest_read(written, interval), |r| r.max(written));
            let due = match periodic(object, last, &known, interval) {
                due @ Due::Now(_) => due,
                _ if known.event && heeds_events => Due::Now(Why::Event),
                due => due,
            };
            let windows = object.spec.sync_windows.as_ref();
            // They hold back refreshes that are merely due, not edits and repairs.
            match (due, windows) {
                (Due::Now(why @ (Why::Interval | Why::Event)), Some(windows)) => {
                    Ok(held_back(why, window::gate(windows, known.now)?))
                }
                (due, _) => Ok(due),
            }
        }
    }
}

fn held_back(why: Why, gate: Gate) -> Due {
    match gate {
        Gate::Open => Due::Now(why),
        Gate::ClosedUntil(then) => Due::At(then),
        Gate::Closed => Due::Never,
    }
}

fn has_failed(object: &ExternalSecret) -> bool {
    let conditions = object.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().any(|condition| condition.type_ == READY && condition.status == "False")
}

fn periodic(
    object: &ExternalSecret,
    last: Timestamp,
    known: &Known,
    interval: SignedDuration,
) -> Due {
    if !interval.is_positive() {
        return Due::Never;
    }
    if last > known.now {
        return Due::Now(Why::Clock);
    }
    let early = if known.joining {
        interval / EARLY
    } else {
        share(interval, jitter(object.metadata.uid.as_deref().unwrap_or_default()))
    };
    match last.checked_add(interval - early) {
        Ok(at) if at <= known.now => Due::Now(Why::Interval),
        Ok(at) => Due::At(at),
        Err(_) => Due::Never,
    }
}

/// Whether an event refreshes it: an interval of zero means "never by itself", unless the annotation says otherwise.
pub(crate) fn heeds_events(object: &ExternalSecret) -> Result<bool, PlanError> {
    let periodic = matches!(object.spec.refresh_policy, None | Some(RefreshPolicy::Periodic));
    Ok(periodic && (says_on_event(object)? || interval(object)?.is_positive()))
}

/// Whether the annotation asks for refreshes by events.
fn says_on_event(object: &ExternalSecret) -> Result<bool, PlanError> {
    match object.annotations().get(ON_EVENT_ANNOTATION).map(String::as_str) {
        None => Ok(false),
        Some(REFRESH) => Ok(true),
        Some(value) => Err(PlanError::Annotation {
            name: ON_EVENT_ANNOTATION,
            value: shortened(value, 64),
            wanted: REFRESH,
        }),
    }
}

/// The refresh interval; zero or less means that there is none.
pub fn interval(object: &ExternalSecret) -> Result<SignedDuration, PlanError> {
    let Some(text) = object.spec.refresh_interval.as_deref() else { return Ok(DEFAULT_INTERVAL) };
    let wrong =
        || PlanError::Duration { field: "refreshInterval".to_owned(), text: text.to_owned() };
    duration::parse(text).ok_or_else(wrong)
}

/// What `status.syncedResourceVersion` of an object that is in step says.
pub(crate) fn version(object: &ExternalSecret) -> String {
    hash::object_version(
        object.metadata.generation.unwrap_or_default(),
        Some(object.labels()),
        Some(object.annotations()),
    )
}

/// A number from 0 to 65535 that is always the same for one uid and spread evenly over many (FNV-1a).
fn jitter(uid: &str) -> u16 {
    let hash = uid.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let folded = hash ^ (hash >> 32);
    let [.., high, low] = (folded ^ (folded >> 16)).to_be_bytes();
    u16::from_be_bytes([high, low])
}

/// `jitter` as a share of the tenth of the interval by which a refresh may come early.
fn share(interval: SignedDuration, jitter: u16) -> SignedDuration {
    let nanos = interval.as_nanos() / i128::from(EARLY) * i128::from(jitter) / i128::from(u16::MAX);
    // A tenth of a duration is a duration.
    i64::try_from(nanos).map_or(SignedDuration::ZERO, SignedDuration::from_nanos)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use proptest::prelude::*;

    use super::*;
    use crate::api::external_secrets::external_secret::ExternalSecretSpec;
    use crate::api::external_secrets::external_secret::ExternalSecretStatus;
    use crate::api::external_secrets::references::Condition;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    /// An object that was read at second 0 and is in step.
    fn synced(policy: Option<RefreshPolicy>, interval: &str) -> ExternalSecret {
        let mut object = ExternalSecret::new("a", ExternalSecretSpec::default());
        object.spec.refresh_policy = policy;
        object.spec.refresh_interval = Some(interval.to_owned());
        object.metadata.generation = Some(1);
        object.metadata.uid = Some("6f1d7f6e-2a59-4f9c-8b0e-000000000001".to_owned());
        object.status = Some(ExternalSecretStatus {
            refresh_time: Some(Time(at(0))),
            synced_resource_version: Some(version(&object)),
            ..ExternalSecretStatus::default()
        });
        object
    }

    fn known(seconds: i64) -> Known {
        Known {
            last_read: None,
            in_order: true,
            template_changed: false,
            event: false,
            joining: false,
            restart: Restart { at: at(0), heartbeat: SignedDuration::from_mins(15) },
            now: at(seconds),
        }
    }

    #[test]
    fn a_restart_does_not_make_an_object_due_whose_refresh_time_the_heartbeat_held_back() {
        let object = synced(None, "5m");
        let restarted = |restart: i64, seconds| Known {
            restart: Restart { at: at(restart), ..known(0).restart },
            ..known(seconds)
        };
        // It was read at second 0 by the status, and every five minutes since.
        let Due::At(when) = due(&object, restarted(800, 801)).unwrap() else { panic!("due") };
        assert!(at(800 + 270) <= when && when <= at(800 + 300), "{when}");
        assert_eq!(due(&object, restarted(800, 1101)).unwrap(), Due::Now(Why::Interval));
        // A process that was away for long cannot have read it.
        assert_eq!(due(&object, restarted(9000, 9001)).unwrap(), Due::Now(Why::Interval));
        // Of a longer interval every refresh is on record.
        let object = synced(None, "20m");
        assert_eq!(due(&object, restarted(1300, 1301)).unwrap(), Due::Now(Why::Interval));
    }

    #[test]
    fn what_failed_last_is_due_unless_it_is_read_only_once() {
        let ready = |status: &str| Condition {
            type_: READY.to_owned(),
            status: status.to_owned(),
            reason: None,
            message: None,
            last_transition_time: None,
            observed_generation: None,
        };
        for (policy, due_again) in [
            (None, Due::Now(Why::Failed)),
            (Some(RefreshPolicy::CreatedOnce), Due::Never),
            (Some(RefreshPolicy::OnChange), Due::Never),
        ] {
            let mut object = synced(policy, "1h");
            let status = object.status.as_mut().unwrap();
            status.conditions = vec![ready("False")];
            assert_eq!(due(&object, known(1)).unwrap(), due_again);
        }
        let mut object = synced(None, "1h");
        object.status.as_mut().unwrap().conditions = vec![ready("True")];
        assert!(matches!(due(&object, known(1)).unwrap(), Due::At(_)));
    }

    #[test]
    fn a_new_object_is_due() {
        for policy in [None, Some(RefreshPolicy::CreatedOnce), Some(RefreshPolicy::OnChange)] {
            for interval in ["1h", "0"] {
                let mut object = synced(policy.clone(), interval);
                object.status = None;
                assert_eq!(due(&object, known(1)).unwrap(), Due::Now(Why::NeverSynced));
            }
        }
    }

    #[test]
    fn an_object_that_only_ever_failed_is_due() {
        let mut object = synced(None, "1h");
        object.status.as_mut().unwrap().refresh_time = None;
        assert_eq!(due(&object, known(1)).unwrap(), Due::Now(Why::NeverSynced));
    }

    #[test]
    fn a_refresh_comes_at_most_a_tenth_of_the_interval_early_and_never_late() {
        let object = synced(None, "1h");
        let Due::At(when) = due(&object, known(1)).unwrap() else { panic!("not at a time") };
        assert!(at(3240) <= when && when <= at(3600), "{when}");
        assert_eq!(due(&object, known(3600)).unwrap(), Due::Now(Why::Interval));
        assert_eq!(due(&object, known(3239)).unwrap(), Due::At(when));
    }

    #[test]
    fn a_refresh_joins_others_from_the_start_of_its_window_on() {
        let object = synced(None, "1h");
        let joining = |seconds| Known { joining: true, ..known(seconds) };
        assert_eq!(due(&object, joining(3239)).unwrap(), Due::At(at(3240)));
        assert_eq!(due(&object, joining(3240)).unwrap(), Due::Now(Why::Interval));
    }

    #[test]
    fn an_edit_is_due_whatever_the_interval() {
        for interval in ["1h", "0", "0s", "-1s"] {
            for policy in [None, Some(RefreshPolicy::Periodic), Some(RefreshPolicy::OnChange)] {
                let mut object = synced(policy, interval);
                object.annotations_mut().insert("force-sync".to_owned(), "1".to_owned());
                assert_eq!(due(&object, known(1)).unwrap(), Due::Now(Why::Edited));
                let mut object = synced(None, interval);
                object.metadata.generation = Some(2);
                assert_eq!(due(&object, known(1)).unwrap(), Due::Now(Why::Edited));
            }
        }
    }

    #[test]
    fn a_template_that_changed_elsewhere_is_due_unless_it_is_read_only_once() {
        let changed = Known { template_changed: true, ..known(1) };
        for (policy, wanted) in [
            (None, Due::Now(Why::Template)),
            (Some(RefreshPolicy::OnChange), Due::Now(Why::Template)),
            (Some(RefreshPolicy::CreatedOnce), Due::Never),
        ] {
            assert_eq!(due(&synced(policy, "0"), changed).unwrap(), wanted);
        }
    }

    #[test]
    fn e11_an_event_is_a_refresh_that_comes_early() {
        let woken = |seconds| Known { event: true, ..known(seconds) };
        let of = |policy, interval| due(&synced(policy, interval), woken(1)).unwrap();
        assert_eq!(of(None, "1h"), Due::Now(Why::Event));
        assert_eq!(of(Some(RefreshPolicy::OnChange), "1h"), Due::Never);
        assert_eq!(of(Some(RefreshPolicy::CreatedOnce), "1h"), Due::Never);
        assert_eq!(of(None, "0"), Due::Never);
        // A refresh that is due anyway is one for which values are made, too.
        assert_eq!(due(&synced(None, "1h"), woken(3600)).unwrap(), Due::Now(Why::Interval));
        let mut object = synced(None, "0");
        object.annotations_mut().insert(ON_EVENT_ANNOTATION.to_owned(), REFRESH.to_owned());
        let status = object.status.clone().unwrap();
        let in_step = Some(version(&object));
        object.status = Some(ExternalSecretStatus {
            synced_resource_version: in_step.clone(),
            ..status.clone()
        });
        assert_eq!(due(&object, woken(1)).unwrap(), Due::Now(Why::Event));
        assert_eq!(due(&object, known(1)).unwrap(), Due::Never);
        object.annotations_mut().insert(ON_EVENT_ANNOTATION.to_owned(), "yes".to_owned());
        let in_step = Some(version(&object));
        object.status = Some(ExternalSecretStatus { synced_resource_version: in_step, ..status });
        let problem = due(&object, woken(1)).unwrap_err().to_string();
        assert!(problem.contains("gabion.dev/on-event"), "{problem}");
    }

    #[test]
    fn created_once_ignores_edits_and_time() {
        let mut object = synced(Some(RefreshPolicy::CreatedOnce), "1h");
        object.metadata.generation = Some(2);
        assert_eq!(due(&object, known(1_000_000)).unwrap(), Due::Never);
    }

    #[test]
    fn on_change_ignores_time() {
        assert_eq!(
            due(&synced(Some(RefreshPolicy::OnChange), "1h"), known(1_000_000)).unwrap(),
            Due::Never
        );
    }

    #[test]
    fn zero_and_less_read_once() {
        for interval in ["0", "0s", "-5m"] {
            assert_eq!(due(&synced(None, interval), known(1_000_000)).unwrap(), Due::Never);
        }
    }

    #[test]
    fn a_secret_that_is_not_in_order_is_due_under_every_policy() {
        for policy in [None, Some(RefreshPolicy::CreatedOnce), Some(RefreshPolicy::OnChange)] {
            for interval in ["1h", "0"] {
                let known = Known { in_order: false, ..known(1) };
                let due = due(&synced(policy.clone(), interval), known).unwrap();
                assert_eq!(due, Due::Now(Why::Drift));
            }
        }
    }

    #[test]
    fn a_refresh_in_the_future_is_a_clock_that_was_set_back() {
        assert_eq!(due(&synced(None, "1h"), known(-1)).unwrap(), Due::Now(Why::Clock));
    }

    #[test]
    fn what_this_process_read_counts_more_than_what_the_status_says() {
        let object = synced(None, "1m");
        let read = |seconds| Known { last_read: Some(at(seconds)), ..known(100) };
        assert!(matches!(due(&object, read(95)).unwrap(), Due::At(when) if when >= at(149)));
        assert_eq!(due(&object, read(0)).unwrap(), Due::Now(Why::Interval));
        assert_eq!(
            due(&object, read(200)).unwrap(),
            Due::Now(Why::Interval),
            "not what lies in the future"
        );
    }

    #[test]
    fn a_window_holds_back_the_interval_and_nothing_else() {
        // Second 0 is 08:00 UTC.
        let mut object = synced(None, "1h");
        object.spec.sync_windows = serde_json::from_value(serde_json::json!({
            "kind": "deny", "windows": [{"schedule": "0 8 * * *", "duration": "3h"}],
        }))
        .unwrap();
        object.status.as_mut().unwrap().synced_resource_version = Some(version(&object));
        assert!(matches!(due(&object, known(1)).unwrap(), Due::At(when) if when <= at(3600)));
        assert_eq!(due(&object, known(3600)).unwrap(), Due::At(at(10_800)));
        assert_eq!(due(&object, known(10_800)).unwrap(), Due::Now(Why::Interval));
        let drifted = Known { in_order: false, ..known(3600) };
        assert_eq!(due(&object, drifted).unwrap(), Due::Now(Why::Drift));
        object.metadata.generation = Some(2);
        assert_eq!(due(&object, known(3600)).unwrap(), Due::Now(Why::Edited));
    }

    #[test]
    fn an_absent_interval_is_an_hour_and_a_wrong_one_is_named() {
        let mut object = synced(None, "1h");
        object.spec.refresh_interval = None;
        assert_eq!(interval(&object).unwrap(), SignedDuration::from_hours(1));
        object.spec.refresh_interval = Some("1d".to_owned());
        assert_eq!(
            due(&object, known(1)).unwrap_err().to_string(),
            r#"spec.refreshInterval is "1d", which is no duration: write for example 30s, 15m or 1h0m0s"#
        );
    }

    #[test]
    fn an_unknown_policy_is_named() {
        let object = synced(Some(RefreshPolicy::Other("Sometimes".to_owned())), "1h");
        assert!(
            due(&object, known(1))
                .unwrap_err()
                .to_string()
                .contains("refreshPolicy is \"Sometimes\"")
        );
    }

    #[test]
    fn refreshes_of_many_objects_are_spread() {
        let mut tenths = [0; 10];
        for n in 0..10_000 {
            let jitter = jitter(&format!("6f1d7f6e-2a59-4f9c-8b0e-{n:012}"));
            tenths[usize::from(jitter) * 10 / 65_536] += 1;
        }
        assert!(tenths.iter().all(|count| (800..1200).contains(count)), "{tenths:?}");
    }

    proptest! {
        #[test]
        fn a_promise_is_kept(uid in "[0-9a-f-]{36}", seconds in 1_i64..1_000_000, now in 0_i64..2_000_000) {
            let mut object = synced(None, &format!("{seconds}s"));
            object.metadata.uid = Some(uid);
            let latest = at(seconds);
            let earliest = latest - SignedDuration::from_secs(seconds) / EARLY;
            match due(&object, known(now)).unwrap() {
                Due::Now(Why::Interval) => prop_assert!(at(now) >= earliest),
                Due::At(when) => prop_assert!(earliest <= when && when <= latest && when > at(now)),
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
