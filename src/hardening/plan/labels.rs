//! Pod Security labels of a namespace: what is wanted, what was there before, and what to write.
//!
//! What a label was before we set it is kept in an annotation of the namespace that is written together with
//! the label, so that no crash can part them.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::merge::{Merged, Mode};
use super::owned::{owns_annotation, owns_label};
use crate::api::gabion::hardening_baseline::ConflictPolicy;
use crate::api::gabion::hardening_baseline::DeletionPolicy;
use crate::api::gabion::namespace_hardening::PreviousValue;
use crate::meta::{ResourceVersion, Uid};

/// Prefix of the Pod Security labels.
pub const PREFIX: &str = "pod-security.kubernetes.io/";
/// Annotation of a namespace with what we set and what was there before.
pub const RECORD: &str = "gabion.dev/pod-security";

type Labels = BTreeMap<String, String>;

/// What we set a label to, and what it was before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// The value that we set.
    pub(crate) set: String,
    /// The value before; `None` when there was none.
    pub(crate) was: Option<String>,
}

/// Our memory of a namespace's labels, by full key.
pub type Record = BTreeMap<String, Recorded>;

/// One write to a namespace: a server-side apply of `apply` and the record, or, where something gets an
/// earlier value back or only the record goes, a merge patch of everything with the resource version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelPatch {
    /// All labels that we keep; a server-side apply names every one of them, or it would drop the others.
    pub apply: Labels,
    /// Labels that get back an earlier value; `None` removes the label.
    pub restore: BTreeMap<String, Option<String>>,
    /// New text of the annotation [`RECORD`]; `None` removes it.
    pub record: Option<String>,
    /// Keys whose present value is not what we keep: drift when they were ours before.
    pub(crate) changed: Vec<String>,
    /// Keys that we set before and that somebody changed since.
    pub(crate) drifted: Vec<String>,
    /// Uid of the namespace.
    pub(crate) uid: Uid,
    /// Resource version of the namespace that was read.
    pub(crate) resource_version: ResourceVersion,
}

impl LabelPatch {
    /// What it notes.
    pub(crate) fn noted(&self) -> Record {
        let text = self.record.as_deref().unwrap_or("{}");
        serde_json::from_str(text).unwrap_or_default()
    }

    /// Leaves one label to somebody else who declares it. What it was before stays known if it was ours once.
    pub(crate) fn leave(&mut self, key: &str) {
        self.apply.remove(key);
        self.changed.retain(|changed| changed != key);
        if !self.drifted.iter().any(|drifted| drifted == key)
            && let Some(text) = &self.record
        {
            let mut record: Record = serde_json::from_str(text).unwrap_or_default();
            record.remove(key);
            self.record =
                (!record.is_empty()).then(|| serde_json::to_string(&record).unwrap_or_default());
        }
    }
}

/// The labels that the baselines come to, by full key.
pub(crate) fn wanted(merged: &Merged) -> Labels {
    let mut labels = Labels::new();
    for mode in Mode::ALL {
        if let Some((level, version)) = merged.pod_security.get(&mode) {
            labels.insert(format!("{PREFIX}{}", mode.as_str()), level.to_string());
            labels.insert(format!("{PREFIX}{}-version", mode.as_str()), version.to_string());
        }
    }
    labels
}

/// What a namespace says of its labels, and how much of that is ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// What we set, and what was there before.
    pub(crate) record: Record,
    /// Whether the annotation [`RECORD`] says anything else, or is missing.
    pub stray: bool,
    /// Pod Security labels that are there as we wrote them.
    pub(crate) owned: BTreeSet<String>,
}

impl Memory {
    /// Reads a namespace. `known` is what we noted of the same one before. The annotation can be written by
    /// others too, so it counts only while the API server says that we wrote it, and only for what we write.
    pub fn of(meta: &ObjectMeta, known: Option<&Record>) -> Self {
        let text = meta.annotations.as_ref().and_then(|notes| notes.get(RECORD));
        let read = text.and_then(|text| serde_json::from_str::<Record>(text).ok());
        let noted = read.filter(|_| owns_annotation(meta, RECORD)).filter(is_plausible);
        let stray = match known {
            Some(known) if known.is_empty() => text.is_some() && noted.is_none(),
            Some(known) => noted.as_ref() != Some(known),
            None => text.is_some() && noted.is_none(),
        };
        let known = known.filter(|known| !known.is_empty()).cloned();
        let present = meta.labels.iter().flatten().map(|(key, _)| key);
        let owned = present.filter(|key| key.starts_with(PREFIX) && owns_label(meta, key));
        Self { record: known.or(noted).unwrap_or_default(), stray, owned: owned.cloned().collect() }
    }
}

/// Whether a record holds nothing but what we set: Pod Security labels, with values that these can have.
fn is_plausible(record: &Record) -> bool {
    record.iter().all(|(key, recorded)| {
        let Some(mode) = key.strip_prefix(PREFIX) else { return false };
        let known = Mode::ALL.iter().any(|known| {
            mode.strip_prefix(known.as_str())
                .is_some_and(|rest| rest.is_empty() || rest == "-version")
        });
        let values = std::iter::once(&recorded.set).chain(&recorded.was);
        let possible = |value: &String| {
            if mode.ends_with("-version") {
                value == "latest" || is_version(value)
            } else {
                ["privileged", "baseline", "restricted"].contains(&value.as_str())
            }
        };
        known && values.into_iter().all(possible)
    })
}

/// Whether the API server could have taken this as a version, whatever its own is.
fn is_version(value: &str) -> bool {
    let minor = value.strip_prefix("v1.").unwrap_or_default();
    (1..=4).contains(&minor.len()) && minor.bytes().all(|byte| byte.is_ascii_digit())
}

/// The earlier values, for status.
pub(crate) fn previous(record: &Record) -> Vec<PreviousValue> {
    record
        .iter()
        .map(|(key, was)| PreviousValue {
            item: format!("Namespace label {key}"),
            value: was.was.clone(),
        })
        .collect()
}

/// The write that brings the labels to what is wanted, if any. Keys in `contested` are left alone: somebody
/// else keeps writing them. With [`DeletionPolicy::Retain`] labels that are no longer wanted stay.
pub(crate) fn patch(
    wanted: &Labels,
    present: &Labels,
    memory: &Memory,
    contested: &BTreeSet<String>,
    leaving: DeletionPolicy,
) -> Option<LabelPatch> {
    let mut patch = LabelPatch::default();
    let record = &memory.record;
    let mut next = Record::new();
    for (key, value) in wanted {
        if contested.contains(key) {
            record.get(key).map(|kept| next.insert(key.clone(), kept.clone()));
            continue;
        }
        let now = present.get(key);
        let before = record.get(key);
        let was = before.map_or_else(|| now.cloned(), |recorded| recorded.was.clone());
        if now != Some(value) {
            patch.changed.push(key.clone());
            if before.is_some_and(|recorded| recorded.set == *value) {
                patch.drifted.push(key.clone());
            }
        }
        patch.apply.insert(key.clone(), value.clone());
        next.insert(key.clone(), Recorded { set: value.clone(), was });
    }
    for (key, recorded) in record.iter().filter(|(key, _)| !wanted.contains_key(*key)) {
        let ours = present.get(key) == Some(&recorded.set) && memory.owned.contains(key);
        if ours && leaving == DeletionPolicy::Revert && recorded.was.as_ref() != Some(&recorded.set)
        {
            patch.restore.insert(key.clone(), recorded.was.clone());
        }
    }
    // An annotation that somebody else writes again and again is left to them, as a label would be.
    let stray =
        memory.stray && !contested.contains(RECORD) && !(next.is_empty() && record.is_empty());
    if patch.changed.is_empty() && patch.restore.is_empty() && next == *record && !stray {
        return None;
    }
    if stray && !record.is_empty() {
        patch.drifted.push(RECORD.to_owned());
    }
    patch.record = (!next.is_empty()).then(|| serde_json::to_string(&next).unwrap_or_default());
    Some(patch)
}

/// What differs between the labels that somebody else writes and what the baselines ask for.
pub(crate) fn differences(wanted: &Labels, present: &Labels) -> Option<Error> {
    let differing: Vec<String> = wanted
        .iter()
        .filter(|(key, value)| present.get(*key) != Some(value))
        .map(|(key, value)| {
            let now = present.get(key).map_or("absent", String::as_str);
            format!("{} is {now}, should be {value}", key.trim_start_matches(PREFIX))
        })
        .collect();
    (!differing.is_empty()).then(|| Error::LabelsDiffer(differing.join(", ")))
}

/// Who owns a field that a server-side apply was refused for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FieldOwner {
    /// Something that applies its own manifest, again and again.
    Declarative(String),
    /// Something that once wrote the value.
    Once(String),
}

impl FieldOwner {
    /// Reads the message of a conflict's cause. The API server adds the version to managers that update and
    /// leaves it out for managers that apply.
    pub(crate) fn read(message: &str) -> Self {
        let mut parts = message.split('"');
        let manager = parts.nth(1).unwrap_or("unknown").to_owned();
        let rest = parts.next().unwrap_or_default();
        if rest.contains("using") { Self::Once(manager) } else { Self::Declarative(manager) }
    }

    /// Whether a label of this owner is taken over. A value that was once written by hand is: the baseline
    /// was applied to change it, and it is recorded. A manifest of somebody else wins unless Force is asked.
    pub(crate) fn gives_way(&self, policy: ConflictPolicy) -> bool {
        matches!(self, Self::Once(_)) || policy == ConflictPolicy::Force
    }

    /// Its name.
    pub(crate) fn manager(&self) -> &str {
        match self {
            Self::Declarative(manager) | Self::Once(manager) => manager,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardening::plan::owned::claim;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(k, v)| (format!("{PREFIX}{k}"), (*v).to_owned())).collect()
    }

    fn key(name: &str) -> String {
        format!("{PREFIX}{name}")
    }

    /// Applies a patch the way the API server would.
    fn applied(present: &Labels, patch: &LabelPatch) -> (Labels, Record) {
        let mut present = present.clone();
        present.extend(patch.apply.clone());
        for (key, value) in &patch.restore {
            match value {
                Some(value) => present.insert(key.clone(), value.clone()),
                None => present.remove(key),
            };
        }
        let record =
            patch.record.as_deref().map(|text| serde_json::from_str(text).expect("a record"));
        (present, record.unwrap_or_default())
    }

    const REVERT: DeletionPolicy = DeletionPolicy::Revert;

    /// A record that we wrote, beside labels that we wrote.
    fn memory(record: Record) -> Memory {
        let owned = record.keys().cloned().collect();
        Memory { record, stray: false, owned }
    }

    /// A namespace with these labels and this annotation, all written by `manager`.
    fn namespace(labels: Labels, record: &str, manager: &str) -> ObjectMeta {
        let mut meta = ObjectMeta {
            labels: Some(labels),
            annotations: Some([(RECORD.to_owned(), record.to_owned())].into()),
            ..ObjectMeta::default()
        };
        claim(&mut meta);
        meta.managed_fields.as_mut().unwrap()[0].manager = Some(manager.to_owned());
        meta
    }

    #[test]
    fn s6_an_annotation_of_somebody_else_gives_no_orders() {
        let enforce = key("enforce");
        let restricted = labels(&[("enforce", "restricted")]);
        let honest = format!(r#"{{"{enforce}":{{"set":"restricted","was":"privileged"}}}}"#);
        let team = r#"{"team":{"set":"a","was":"b"}}"#;
        let odd = format!(r#"{{"{enforce}":{{"set":"restricted","was":"anything"}}}}"#);
        for (text, manager, believed) in [
            (honest.as_str(), "gabion", true),
            (&honest, "kubectl-annotate", false),
            (team, "gabion", false),
            (&odd, "gabion", false),
            ("no JSON", "gabion", false),
        ] {
            let mut present = restricted.clone();
            present.insert("team".to_owned(), "a".to_owned());
            let seen = Memory::of(&namespace(present.clone(), text, manager), None);
            assert_eq!((!seen.record.is_empty(), seen.stray), (believed, !believed), "{text}");
            let write = patch(&Labels::new(), &present, &seen, &BTreeSet::new(), REVERT);
            assert_eq!(write.is_some(), believed, "{text} by {manager}");
        }
    }

    #[test]
    fn s6_a_label_that_somebody_else_set_is_not_taken_down() {
        let record = [(key("enforce"), Recorded { set: "restricted".into(), was: None })].into();
        let theirs = Memory { owned: BTreeSet::new(), ..memory(record) };
        let present = labels(&[("enforce", "restricted")]);
        let last = patch(&Labels::new(), &present, &theirs, &BTreeSet::new(), REVERT);
        assert!(last.expect("forgets").restore.is_empty());
    }

    #[test]
    fn what_we_noted_stands_while_somebody_else_writes_over_it() {
        let recorded = Recorded { set: "restricted".into(), was: Some("baseline".into()) };
        let known: Record = [(key("enforce"), recorded)].into();
        let wanted = labels(&[("enforce", "restricted")]);
        let mut meta = namespace(wanted.clone(), "{}", "kubectl-annotate");
        meta.annotations = None;
        let seen = Memory::of(&meta, Some(&known));
        assert_eq!((&seen.record, seen.stray), (&known, true));
        let again = patch(&wanted, &wanted, &seen, &BTreeSet::new(), REVERT).expect("a repair");
        assert_eq!(serde_json::from_str::<Record>(&again.record.unwrap()).unwrap(), known);
        assert_eq!(again.drifted, [RECORD]);
        let contested = [RECORD.to_owned()].into();
        assert_eq!(patch(&wanted, &wanted, &seen, &contested, REVERT), None, "a fight");
    }

    #[test]
    fn what_was_there_before_comes_back_and_what_was_not_goes() {
        let before = labels(&[("enforce", "baseline")]);
        let wanted = labels(&[("enforce", "restricted"), ("audit", "restricted")]);
        let first =
            patch(&wanted, &before, &Memory::default(), &BTreeSet::new(), REVERT).expect("a write");
        assert_eq!((first.changed.len(), first.drifted.len()), (2, 0));
        let (present, record) = applied(&before, &first);
        assert_eq!(present, wanted);
        assert_eq!(
            patch(&wanted, &present, &memory(record.clone()), &BTreeSet::new(), REVERT),
            None,
            "steady"
        );
        let last =
            patch(&Labels::new(), &present, &memory(record.clone()), &BTreeSet::new(), REVERT)
                .expect("a write");
        let (present, record) = applied(&present, &last);
        assert_eq!((present, record), (before, Record::new()));
    }

    #[test]
    fn a_value_that_is_no_longer_ours_is_not_restored() {
        let record: Record =
            [(key("enforce"), Recorded { set: "restricted".into(), was: None })].into();
        let present = labels(&[("enforce", "privileged")]);
        let last =
            patch(&Labels::new(), &present, &memory(record.clone()), &BTreeSet::new(), REVERT)
                .expect("forgets");
        assert!(last.restore.is_empty() && last.record.is_none());
    }

    #[test]
    fn retained_labels_stay_and_are_forgotten() {
        let record: Record =
            [(key("enforce"), Recorded { set: "restricted".into(), was: None })].into();
        let present = labels(&[("enforce", "restricted")]);
        let last = patch(
            &Labels::new(),
            &present,
            &memory(record.clone()),
            &BTreeSet::new(),
            DeletionPolicy::Retain,
        )
        .expect("forgets");
        assert!(last.restore.is_empty() && last.record.is_none());
    }

    #[test]
    fn drift_is_repaired_and_the_recorded_value_kept() {
        let wanted = labels(&[("enforce", "restricted")]);
        let record: Record =
            [(key("enforce"), Recorded { set: "restricted".into(), was: Some("baseline".into()) })]
                .into();
        let again =
            patch(&wanted, &Labels::new(), &memory(record.clone()), &BTreeSet::new(), REVERT)
                .expect("a repair");
        assert_eq!(again.drifted, [key("enforce")]);
        assert_eq!(applied(&Labels::new(), &again), (wanted, record));
    }

    #[test]
    fn a_contested_label_is_left_alone_and_the_others_are_kept() {
        let wanted = labels(&[("enforce", "restricted"), ("warn", "restricted")]);
        let contested = [key("enforce")].into();
        let first = patch(&wanted, &Labels::new(), &Memory::default(), &contested, REVERT)
            .expect("a write");
        assert_eq!(first.apply, labels(&[("warn", "restricted")]));
        let (present, record) = applied(&Labels::new(), &first);
        assert_eq!(patch(&wanted, &present, &memory(record.clone()), &contested, REVERT), None);
    }

    #[test]
    fn a_hand_written_label_gives_way_and_a_manifest_does_not() {
        let once =
            FieldOwner::read(r#"conflict with "kubectl-label" using v1 at 2026-01-01T00:00:00Z"#);
        let declared = FieldOwner::read(r#"conflict with "argocd-controller""#);
        assert_eq!((once.manager(), declared.manager()), ("kubectl-label", "argocd-controller"));
        assert!(
            once.gives_way(ConflictPolicy::Report) && !declared.gives_way(ConflictPolicy::Report)
        );
        assert!(declared.gives_way(ConflictPolicy::Force));
    }
}
