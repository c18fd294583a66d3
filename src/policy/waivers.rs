//! What approved exceptions excuse: some containers of one workload, from some controls, until a moment.
//!
//! AND means AND: namespace, workload, list, name and image of the container, control and clock all have to match.
//! The clock is the API server's and part of the expression, so an exception ends although nobody is there to end it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::controls::ControlId;
use super::literal::{all_of, any_of, text as literal};
use super::rules;
use super::rules::pod::{Container, ContainerKind, Pod, list, text};
use super::subject::{Subject, WorkloadKind};
use crate::api::gabion::baseline_exception::ExemptContainerType;
use crate::api::gabion::baseline_exception::WorkloadTargetKind as Kind;

/// Most waivers in one policy.
pub const MAX_WAIVERS: usize = 200;
/// Most characters that the waivers of one policy may take.
pub(crate) const MAX_TEXT: usize = 256 * 1024;
/// What an image may have after its repository.
const TAG_AND_DIGEST: &str = "(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?$";

/// One approved exception, as policies know it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Waiver {
    /// The namespace.
    pub namespace: String,
    /// Name of the exception.
    pub exception: String,
    /// What is waived.
    pub controls: BTreeSet<ControlId>,
    /// The kind of the workload.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The containers that are excused.
    pub containers: Vec<ExemptOne>,
    /// Pods that are created from then on are not excused.
    pub until: Timestamp,
}

/// One container that is excused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExemptOne {
    /// The list that it is in.
    pub list: ExemptContainerType,
    /// Its name.
    pub name: String,
    /// Its image without tag and digest, as the pod writes it.
    pub repository: String,
}

/// Whether a control is one that a waiver can excuse: those that policies judge in pods.
///
/// The log volume is judged across containers, so nobody could say which of them is excused.
pub(crate) fn is_waivable(id: ControlId) -> bool {
    id != ControlId::HbLogRo && rules::all().any(|rule| rule.id == id)
}

/// Whether a control is judged by images: then the images of volumes are nobody's, and never excused.
fn is_about_images(id: ControlId) -> bool {
    matches!(id, ControlId::HbImgRegistry | ControlId::HbImgBase | ControlId::HbImgTag)
}

/// The waivers as CEL.
pub(super) struct Compiled<'a>(pub(super) &'a [Waiver]);

impl Compiled<'_> {
    /// Names of the containers that each waiver excuses in the object, as variables.
    pub(super) fn variables(&self, templates: bool) -> Vec<(String, String)> {
        let named = self.0.iter().enumerate();
        named.map(|(nth, waiver)| (format!("x{nth}"), waiver.cel(templates))).collect()
    }

    /// Names of the containers that are excused from one control; `None` if nobody ever is.
    pub(super) fn excused(&self, id: ControlId) -> Option<String> {
        let of = self.0.iter().enumerate().filter(|(_, waiver)| waiver.controls.contains(&id));
        let names: Vec<_> = of.map(|(nth, _)| format!("variables.x{nth}")).collect();
        (!names.is_empty()).then(|| names.join(" + "))
    }
}

impl Waiver {
    /// Characters of its expression at most.
    pub(crate) fn size(&self) -> usize {
        self.cel(false).len().max(self.cel(true).len())
    }

    fn cel(&self, templates: bool) -> String {
        let target = if templates { self.target_of_template() } else { self.target_of_pod() };
        let applies = all_of([
            format!("request.namespace == {}", literal(&self.namespace)),
            target,
            format!(
                "timestamp(object.metadata.creationTimestamp) < timestamp({})",
                literal(&self.until.to_string())
            ),
        ]);
        let containers = any_of(self.containers.iter().map(ExemptOne::cel));
        format!("{applies} ? variables.containers.filter(c, {containers}).map(c, c.name) : []")
    }

    fn target_of_pod(&self) -> String {
        let name = literal(&self.name);
        let exact = format!("o.name == {name}");
        let apps = |kind: &str| owned_by("apps/v1", kind, &exact);
        match self.kind {
            Kind::Pod => format!("object.metadata.name == {name}"),
            Kind::Deployment => {
                owned_by("apps/v1", "ReplicaSet", &begins(&self.name, "^[a-z0-9]+$"))
            }
            Kind::ReplicaSet => apps("ReplicaSet"),
            Kind::StatefulSet => apps("StatefulSet"),
            Kind::DaemonSet => apps("DaemonSet"),
            Kind::Job => owned_by("batch/v1", "Job", &exact),
            Kind::CronJob => owned_by("batch/v1", "Job", &begins(&self.name, "^[0-9]+$")),
            Kind::Unknown => "false".to_owned(),
        }
    }

    fn target_of_template(&self) -> String {
        let name = literal(&self.name);
        let is = |kind: &str| {
            format!("(request.kind.kind == '{kind}' && object.metadata.name == {name})")
        };
        let made = |kind: &str, api: &str, owner: &str| {
            let owned = owned_by(api, owner, &format!("o.name == {name}"));
            format!("(request.kind.kind == '{kind}' && {owned})")
        };
        match self.kind {
            Kind::Deployment => {
                any_of([is("Deployment"), made("ReplicaSet", "apps/v1", "Deployment")])
            }
            Kind::CronJob => any_of([is("CronJob"), made("Job", "batch/v1", "CronJob")]),
            Kind::ReplicaSet | Kind::StatefulSet | Kind::DaemonSet | Kind::Job => {
                is(self.kind.as_str())
            }
            Kind::Pod | Kind::Unknown => "false".to_owned(),
        }
    }
}

/// Whether the object has a controller of this kind whose name, `o.name`, passes a test.
fn owned_by(api: &str, kind: &str, test: &str) -> String {
    format!(
        "object.metadata.?ownerReferences.orValue([]).exists(o, o.?controller.orValue(false) \
         && o.apiVersion == '{api}' && o.kind == '{kind}' && {test})"
    )
}

/// The name that a controller gives: its own, a hyphen, and what it makes up, in which there is none.
fn begins(name: &str, rest: &str) -> String {
    let begin = format!("{name}-");
    // CEL counts code points.
    let length = begin.chars().count();
    format!(
        "o.name.startsWith({}) && o.name.substring({length}).matches({})",
        literal(&begin),
        literal(rest)
    )
}

impl ExemptOne {
    /// Names are unique over the three lists of a pod, so the list is found by the name.
    fn cel(&self) -> String {
        let name = literal(&self.name);
        let of = match self.list {
            ExemptContainerType::Container => "containers",
            ExemptContainerType::InitContainer => "initContainers",
            ExemptContainerType::Ephemeral => "ephemeralContainers",
            ExemptContainerType::Unknown => return "false".to_owned(),
        };
        let image = format!("^{}{TAG_AND_DIGEST}", regex::escape(&self.repository));
        all_of([
            format!("c.name == {name}"),
            format!("c.?image.orValue('').matches({})", literal(&image)),
            format!("variables.spec.?{of}.orValue([]).exists(l, l.name == {name})"),
        ])
    }

    fn is(&self, container: &Container<'_>) -> bool {
        let list = match container.kind {
            ContainerKind::Main => ExemptContainerType::Container,
            ContainerKind::Init => ExemptContainerType::InitContainer,
            ContainerKind::Ephemeral => ExemptContainerType::Ephemeral,
        };
        let image = text(container.value, &["image"]).unwrap_or_default();
        list == self.list
            && container.name == self.name
            && image.strip_prefix(self.repository.as_str()).is_some_and(is_tag_and_digest)
    }
}

fn is_tag_and_digest(rest: &str) -> bool {
    let (tag, digest) = rest.split_once('@').map_or((rest, None), |(tag, d)| (tag, Some(d)));
    let is_tag = |tag: &str| {
        let mut bytes = tag.bytes();
        let word = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
        bytes.next().is_some_and(word)
            && tag.len() <= 128
            && bytes.all(|c| word(c) || c == b'.' || c == b'-')
    };
    let is_digest = |digest: &str| {
        digest.strip_prefix("sha256:").is_some_and(|hex| {
            hex.len() == 64 && hex.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
        })
    };
    (tag.is_empty() || tag.strip_prefix(':').is_some_and(is_tag)) && digest.is_none_or(is_digest)
}

/// Where an object is and when it came: what a file does not say, and a request does.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its own metadata.
    pub metadata: &'a Value,
    /// When it was created.
    pub created: Timestamp,
}

/// What one object is excused from.
pub(super) struct Excuse<'a> {
    waivers: Vec<&'a Waiver>,
}

impl<'a> Excuse<'a> {
    pub(super) fn of(waivers: &'a [Waiver], request: &Request<'_>) -> Self {
        Self { waivers: waivers.iter().filter(|waiver| waiver.applies(request)).collect() }
    }

    /// Whether the finding of a control at a place is excused: by its container, or, where it is the pod's, because
    /// every container is.
    pub(super) fn covers(
        &self,
        id: ControlId,
        path: &super::finding::FieldPath,
        pod: &Pod<'_>,
    ) -> bool {
        let excused = |container: &Container<'_>| {
            let of = self.waivers.iter().filter(|waiver| waiver.controls.contains(&id));
            of.flat_map(|waiver| &waiver.containers).any(|one| one.is(container))
        };
        match pod.containers.iter().find(|c| path.0.starts_with(&c.path.0)) {
            Some(container) => excused(container),
            None => {
                !is_about_images(id)
                    && !pod.containers.is_empty()
                    && pod.containers.iter().all(excused)
            }
        }
    }
}

impl Waiver {
    fn applies(&self, request: &Request<'_>) -> bool {
        self.namespace == request.namespace
            && request.created < self.until
            && self.is_target(request)
    }

    fn is_target(&self, request: &Request<'_>) -> bool {
        let named = text(request.metadata, &["name"]) == Some(&self.name);
        let owner = |api: &str, kind: &str, name: &dyn Fn(&str) -> bool| {
            list(request.metadata, &["ownerReferences"]).iter().any(|owner| {
                owner["controller"] == true
                    && text(owner, &["apiVersion"]) == Some(api)
                    && text(owner, &["kind"]) == Some(kind)
                    && name(text(owner, &["name"]).unwrap_or_default())
            })
        };
        let exact = |name: &str| name == self.name;
        let made = |name: &str, made_up: &dyn Fn(u8) -> bool| {
            let rest = name.strip_prefix(&self.name).and_then(|rest| rest.strip_prefix('-'));
            rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(made_up))
        };
        let hash = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        match (request.kind, self.kind) {
            (WorkloadKind::Pod, Kind::Pod) => named,
            (WorkloadKind::Pod, Kind::Deployment) => {
                owner("apps/v1", "ReplicaSet", &|name| made(name, &hash))
            }
            (WorkloadKind::Pod, Kind::CronJob) => {
                owner("batch/v1", "Job", &|name| made(name, &|c| c.is_ascii_digit()))
            }
            (WorkloadKind::Pod, Kind::Job) => owner("batch/v1", "Job", &exact),
            (WorkloadKind::Pod, kind) => owner("apps/v1", kind.as_str(), &exact),
            (WorkloadKind::ReplicaSet, Kind::Deployment) => owner("apps/v1", "Deployment", &exact),
            (WorkloadKind::Job, Kind::CronJob) => owner("batch/v1", "CronJob", &exact),
            (kind, wanted) => named && kind.as_str() == wanted.as_str(),
        }
    }
}

/// The request of a subject that stands in a namespace.
impl<'a> Request<'a> {
    /// Of an object that is created now.
    pub fn created(
        subject: &Subject<'_>,
        object: &'a Value,
        namespace: &'a str,
        created: Timestamp,
    ) -> Self {
        Self { namespace, kind: subject.kind, metadata: &object["metadata"], created }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_and_a_digest_may_follow_a_repository_and_nothing_else() {
        let digest = format!("@sha256:{}", "0".repeat(64));
        for rest in ["", ":1", ":v1_2-3.4", &digest, &format!(":1{digest}")] {
            assert!(is_tag_and_digest(rest), "{rest}");
        }
        for rest in
            [":5000/x", "/x", "x", ":", ":-1", "@sha256:00", "@md5:0", ":1:2", ":1@", "\n", ":1\n"]
        {
            assert!(!is_tag_and_digest(rest), "{rest:?}");
        }
        let image = regex::Regex::new(&format!("^a{TAG_AND_DIGEST}")).expect("a pattern");
        for rest in [":5000/x", ":1\n", "\n", "@sha256:00", digest.as_str(), ":1", ""] {
            assert_eq!(image.is_match(&format!("a{rest}")), is_tag_and_digest(rest), "{rest:?}");
        }
    }

    #[test]
    fn hardening_12_no_word_of_a_tenant_leaves_its_literal() {
        let hostile = "') || true || ('\u{2028}\\ \n${x}";
        let waiver = Waiver {
            namespace: hostile.to_owned(),
            exception: hostile.to_owned(),
            controls: [ControlId::PssPrivileged].into(),
            kind: Kind::Deployment,
            name: hostile.to_owned(),
            containers: vec![ExemptOne {
                list: ExemptContainerType::Container,
                name: hostile.to_owned(),
                repository: hostile.to_owned(),
            }],
            until: Timestamp::UNIX_EPOCH,
        };
        for templates in [false, true] {
            let cel = waiver.cel(templates);
            // Every quote of it would be written as its code point.
            assert!(cel.is_ascii() && !cel.contains("') || true"), "{cel}");
            assert!(cel.matches("\\u0027) || true || (\\u0027").count() > 3, "{cel}");
        }
    }

    #[test]
    fn what_policies_judge_in_pods_can_be_waived_and_nothing_else() {
        let waivable = ControlId::ALL.iter().filter(|id| is_waivable(**id));
        assert!(waivable.clone().all(|id| id.control().target == super::super::Target::Pod));
        assert_eq!(waivable.count(), rules::all().count() - 1);
    }
}
