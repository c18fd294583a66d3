//! What an object should be: each remedy fills in what is missing.

use serde_json::{Value, json};

use super::super::{report::Located, rules::Rules};
use crate::policy::ControlId as Id;
use crate::policy::FieldPath;
use crate::policy::Finding;
use crate::policy::Segment;
use crate::policy::settings::Range;
use crate::quantity::Quantity;

/// Lists of containers in a pod.
const CONTAINERS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

/// Folders that programs write to, with the names of the volumes for them.
const WRITTEN: [(&str, &str); 2] = [("/tmp", "tmp"), ("/var/log", "var-log")];

/// The user and group of the guide's own example.
const GUIDE_ID: i64 = 1001;

/// The document as it should be.
pub(crate) fn wanted(document: &Value, findings: &[&Located], rules: &Rules) -> Value {
    let mut wanted = document.clone();
    for Located { finding, .. } in findings {
        if let Some(paths) = PodPaths::of(&finding.path) {
            remedy(&mut wanted, finding, &paths, rules);
        }
    }
    wanted
}

/// Where a finding is.
struct PodPaths {
    /// The pod's spec.
    pod: FieldPath,
    /// The container, if it is in one.
    container: Option<FieldPath>,
}

impl PodPaths {
    fn of(path: &FieldPath) -> Option<Self> {
        let in_container = path.0.windows(2).position(|pair| match pair {
            [Segment::Key(list), Segment::Index(_)] => CONTAINERS.contains(&list.as_str()),
            _ => false,
        });
        let cut = |end: usize| path.0.get(..end).map(|start| FieldPath(start.to_vec()));
        if let Some(list) = in_container {
            return Some(Self { pod: cut(list)?, container: cut(list + 2) });
        }
        let spec = path.0.iter().rposition(|step| *step == Segment::Key("spec".to_owned()))?;
        Some(Self { pod: cut(spec + 1)?, container: None })
    }
}

/// What `--fix` can write.
enum Remedy {
    NoPrivilegeEscalation,
    DropCapabilities,
    RunAsNonRoot,
    SeccompProfile,
    ReadOnlyRoot,
    User,
    Group,
    VolumeGroup,
    Resource,
    NoToken,
    ReadOnlyLogVolume,
}

/// The remedy of a control; `None` where there is more than one right answer. A new control has to be entered.
#[allow(clippy::match_same_arms, reason = "a long arm has one id a line")]
const fn remedy_of(id: Id) -> Option<Remedy> {
    Some(match id {
        Id::PssAllowPrivilegeEscalation => Remedy::NoPrivilegeEscalation,
        Id::PssCapabilitiesRestricted => Remedy::DropCapabilities,
        Id::PssRunAsNonRoot => Remedy::RunAsNonRoot,
        Id::PssSeccompProfileRestricted => Remedy::SeccompProfile,
        Id::HbRofs => Remedy::ReadOnlyRoot,
        Id::HbUid => Remedy::User,
        Id::HbGid => Remedy::Group,
        Id::HbFsg => Remedy::VolumeGroup,
        Id::HbRes => Remedy::Resource,
        Id::HbToken => Remedy::NoToken,
        Id::HbLogRo => Remedy::ReadOnlyLogVolume,
        Id::HbEso | Id::HbEsoLacks | Id::HbEsoDiffers => return None,
        Id::PssHostNamespaces
        | Id::PssPrivileged
        | Id::PssCapabilitiesBaseline
        | Id::PssHostPathVolumes
        | Id::PssHostPorts
        | Id::PssHostProbesAndHostLifecycle
        | Id::PssAppArmorProfile
        | Id::PssSeLinuxOptions
        | Id::PssProcMount
        | Id::PssSeccompProfileBaseline
        | Id::PssSysctls
        | Id::PssWindowsHostProcess
        | Id::PssRestrictedVolumes
        | Id::PssRunAsUser
        | Id::PssProcMountRestricted
        | Id::HbSeccompLocal
        | Id::HbImgRegistry
        | Id::HbImgBase
        | Id::HbImgTag
        | Id::HbPort
        | Id::HbSecretLiteral
        | Id::HbSecretEnv
        | Id::HbLogEnv
        | Id::HbDfUser
        | Id::HbDfStage
        | Id::HbDfBase
        | Id::HbDfSecret
        | Id::HbDfFetch
        | Id::HbDfClean
        | Id::HbDfHealth
        | Id::HbVuln
        | Id::HbSecretGit
        | Id::HbSecretConfig
        | Id::HbNpOpen
        | Id::HbNpDeny
        | Id::HbNpAllow
        | Id::HbPull
        | Id::HbPullAttach
        | Id::HbMtls
        | Id::HbAuthz
        | Id::HbFalcoShell
        | Id::HbSign
        | Id::HbPsa
        | Id::HbCi => return None,
    })
}

fn remedy(document: &mut Value, finding: &Finding, paths: &PodPaths, rules: &Rules) {
    let settings = &rules.settings;
    let container = paths.container.as_ref();
    // What is set and wrong was meant, and would win over what the pod says.
    let absent = get(document, &finding.path).is_null();
    match remedy_of(finding.control.id) {
        None => {}
        Some(Remedy::NoPrivilegeEscalation) => {
            if let Some(at) = container.filter(|at| !gains_privileges(get(document, at))) {
                let field = at.keys(&["securityContext", "allowPrivilegeEscalation"]);
                fill(document, &field, json!(false));
            }
        }
        Some(Remedy::DropCapabilities) => {
            if let Some(at) = container {
                drop_all(document, &at.keys(&["securityContext", "capabilities"]));
            }
        }
        Some(Remedy::RunAsNonRoot) => run_as_non_root(document, &paths.pod),
        Some(Remedy::ReadOnlyRoot) => {
            if let Some(at) = container {
                read_only_root(document, &paths.pod, at);
            }
        }
        Some(Remedy::Resource) => {
            if let (Some(at), [.., Segment::Key(kind), Segment::Key(name)]) =
                (container, finding.path.0.as_slice())
            {
                resource(document, &at.key("resources"), kind, name, rules);
            }
        }
        Some(Remedy::NoToken) => {
            // The one value that is replaced: the finding is about nothing but it.
            let field = paths.pod.key("automountServiceAccountToken");
            if finding.path == field
                && let Some(token) = entry(document, &field)
            {
                *token = json!(false);
            }
        }
        Some(Remedy::ReadOnlyLogVolume) => {
            let mount = finding.path.0.iter().rposition(|step| matches!(step, Segment::Index(_)));
            if let Some(start) = mount.and_then(|mount| finding.path.0.get(..=mount)) {
                fill(document, &FieldPath(start.to_vec()).key("readOnly"), json!(true));
            }
        }
        Some(_) if !absent => {}
        Some(Remedy::SeccompProfile) => {
            let profile = json!({ "type": "RuntimeDefault" });
            fill(document, &paths.pod.keys(&["securityContext", "seccompProfile"]), profile);
        }
        Some(Remedy::User) => identity(document, &paths.pod, "runAsUser", settings.user_ids),
        Some(Remedy::Group) => identity(document, &paths.pod, "runAsGroup", settings.group_ids),
        Some(Remedy::VolumeGroup) => identity(document, &paths.pod, "fsGroup", settings.fs_groups),
    }
}

fn run_as_non_root(document: &mut Value, pod: &FieldPath) {
    if !names_root(get(document, pod)) {
        fill(document, &pod.keys(&["securityContext", "runAsNonRoot"]), json!(true));
    }
}

fn get<'v>(document: &'v Value, path: &FieldPath) -> &'v Value {
    const NOTHING: &Value = &Value::Null;
    let found = path.0.iter().try_fold(document, |value, step| match step {
        Segment::Key(key) => value.get(key),
        Segment::Index(index) => value.get(index),
    });
    found.unwrap_or(NOTHING)
}

/// The paths of a path, with the mappings that lead to it; `None` where something else is in the way.
fn entry<'v>(document: &'v mut Value, path: &FieldPath) -> Option<&'v mut Value> {
    path.0.iter().try_fold(document, |value, step| match step {
        Segment::Key(key) => {
            if value.is_null() {
                *value = json!({});
            }
            Some(value.as_object_mut()?.entry(key).or_insert(Value::Null))
        }
        Segment::Index(index) => value.get_mut(index),
    })
}

/// Sets what is not set.
fn fill(document: &mut Value, path: &FieldPath, value: Value) {
    if get(document, path).is_null()
        && let Some(paths) = entry(document, path)
    {
        *paths = value;
    }
}

fn gains_privileges(container: &Value) -> bool {
    let context = &container["securityContext"];
    let added = context["capabilities"]["add"].as_array();
    // The API server refuses the combination.
    context["privileged"] == true
        || added.is_some_and(|added| {
            added.iter().any(|name| name == "SYS_ADMIN" || name == "CAP_SYS_ADMIN")
        })
}

fn drop_all(document: &mut Value, capabilities: &FieldPath) {
    let added = get(document, &capabilities.key("add")).as_array().cloned().unwrap_or_default();
    if added.iter().any(|name| name != "NET_BIND_SERVICE") {
        return; // Taking away what somebody asked for is a decision.
    }
    let path = capabilities.key("drop");
    match get(document, &path) {
        Value::Null => fill(document, &path, json!(["ALL"])),
        Value::Array(dropped) if !dropped.iter().any(|name| name == "ALL") => {
            if let Some(Value::Array(dropped)) = entry(document, &path) {
                dropped.push(json!("ALL"));
            }
        }
        _ => {}
    }
}

/// Whether the pod or a container of it says that it runs as root, which `runAsNonRoot` would stop from starting.
fn names_root(pod: &Value) -> bool {
    let containers = CONTAINERS.iter().flat_map(|list| pod[*list].as_array().into_iter().flatten());
    containers.chain([pod]).any(|holder| {
        let context = &holder["securityContext"];
        context["runAsUser"] == 0 || context["runAsNonRoot"] == false
    })
}

fn identity(document: &mut Value, pod: &FieldPath, field: &str, range: Option<Range>) {
    if let Some(range) = range {
        let id = GUIDE_ID.clamp(range.min, range.max.max(range.min));
        fill(document, &pod.keys(&["securityContext", field]), json!(id));
    }
}

fn read_only_root(document: &mut Value, pod: &FieldPath, container: &FieldPath) {
    let field = container.keys(&["securityContext", "readOnlyRootFilesystem"]);
    let ephemeral = container.0.contains(&Segment::Key("ephemeralContainers".to_owned()));
    if !get(document, &field).is_null() {
        return;
    }
    fill(document, &field, json!(true));
    // The volumes of a pod cannot change while it runs, which is when ephemeral containers come.
    for (folder, base) in WRITTEN.iter().filter(|_| !ephemeral) {
        let mounts =
            get(document, &container.key("volumeMounts")).as_array().cloned().unwrap_or_default();
        let covers = |mount: &Value| {
            mount["mountPath"].as_str().map(|path| path.trim_end_matches('/')).is_some_and(|path| {
                path == *folder
                    || folder.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))
            })
        };
        if mounts.iter().any(covers) {
            continue;
        }
        let name = volume_name(get(document, pod), base, get(document, &container.key("name")));
        push(
            document,
            &container.key("volumeMounts"),
            json!({ "name": name, "mountPath": folder }),
        );
        push(document, &pod.key("volumes"), json!({ "name": name, "emptyDir": {} }));
    }
}

fn push(document: &mut Value, path: &FieldPath, item: Value) {
    fill(document, path, json!([]));
    if let Some(Value::Array(items)) = entry(document, path) {
        items.push(item);
    }
}

/// A name that no volume of the pod has; each container has a volume of its own, so that none sees another's files.
fn volume_name(pod: &Value, base: &str, container: &Value) -> String {
    let count: usize =
        CONTAINERS.iter().filter_map(|list| pod[*list].as_array()).map(Vec::len).sum();
    let own = container.as_str().filter(|_| count > 1).map(|name| format!("{base}-{name}"));
    let name: String = own.unwrap_or_else(|| base.to_owned()).chars().take(60).collect();
    let name = name.trim_end_matches('-').to_owned();
    let taken = |name: &str| {
        pod["volumes"].as_array().into_iter().flatten().any(|volume| volume["name"] == name)
    };
    let numbered = (2..100).map(|number| format!("{name}-{number}"));
    std::iter::once(name.clone()).chain(numbered).find(|name| !taken(name)).unwrap_or(name)
}

/// States a request or limit that is missing, in keeping with the other one.
fn resource(document: &mut Value, resources: &FieldPath, kind: &str, name: &str, rules: &Rules) {
    let defaults = match kind {
        "requests" => &rules.defaults.requests,
        "limits" => &rules.defaults.limits,
        _ => return,
    };
    let Some((_, default)) = defaults.iter().find(|(known, _)| known == name) else { return };
    let other = if kind == "requests" { "limits" } else { "requests" };
    let stated = get(document, &resources.keys(&[other, name])).clone();
    let quantity = |text: &str| Quantity::parse(text);
    let stated_text = stated.as_str().map_or_else(|| stated.to_string(), ToOwned::to_owned);
    // A request above its limit is refused by the API server.
    let beyond = match (quantity(&stated_text), quantity(default)) {
        (Some(stated), Some(default)) if kind == "requests" => default > stated,
        (Some(stated), Some(default)) => default < stated,
        _ => false,
    };
    let value = if beyond { stated } else { json!(default) };
    fill(document, &resources.keys(&[kind, name]), value);
}
