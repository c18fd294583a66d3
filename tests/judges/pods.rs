//! Cases: pods made from a few good ones by changing one field, two, or many.

use serde_json::{Value, json};

use crate::{
    fields::{Field, Place, of_containers, of_pods, set},
    test_random::TestRandom,
};

/// The lists of containers of a pod.
pub const GROUPS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// A pod to be evaluated.
#[derive(Clone, Debug)]
pub struct Case {
    /// Makes the same case again.
    pub seed: u64,
    /// What was done to which good pod.
    pub story: String,
    /// Which of the [`bases`] it was made from: pods with ephemeral containers are evaluated as a change of it.
    pub base: usize,
    /// The whole pod, ephemeral containers with it.
    pub pod: Value,
}

impl Case {
    /// Whether it has ephemeral containers: those are added to a pod that exists.
    pub fn is_ephemeral(&self) -> bool {
        self.pod["spec"].get("ephemeralContainers").is_some()
    }
}

fn container(name: &str) -> Value {
    json!({
        "name": name,
        "image": "registry.corp.example/prod/app:1.2",
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "runAsNonRoot": true,
            "runAsUser": 1001,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    })
}

fn debugger() -> Value {
    let mut container = container("debugger");
    container["targetContainerName"] = "app".into();
    container
}

fn pod(spec: Value) -> Value {
    let mut spec = spec;
    spec["serviceAccountName"] = "default".into();
    spec["automountServiceAccountToken"] = false.into();
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "evaluated"}, "spec": spec})
}

/// Pods to begin with, each with its name. The first passes every check of every version.
pub fn bases() -> Vec<(&'static str, Value)> {
    let restricted = json!({
        "runAsNonRoot": true, "runAsUser": 1001, "seccompProfile": {"type": "RuntimeDefault"}});
    let mut sidecar = container("sidecar");
    sidecar["restartPolicy"] = "Always".into();
    let bare = |name: &str| {
        json!({"name": name, "image": "registry.corp.example/prod/app:1.2",
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}})
    };
    let host_process = json!({"hostProcess": true, "runAsUserName": "NT AUTHORITY\\SYSTEM"});
    vec![
        (
            "full",
            pod(json!({
                "securityContext": restricted,
                "volumes": [{"name": "tmp", "emptyDir": {}}],
                "initContainers": [container("start"), sidecar.clone()],
                "containers": [container("app"), container("helper")],
            })),
        ),
        (
            "no init containers",
            pod(json!({
            "securityContext": restricted, "containers": [container("app")]})),
        ),
        (
            "set on the pod only",
            pod(json!({
            "securityContext": restricted, "initContainers": [bare("start")], "containers": [bare("app")]})),
        ),
        (
            "set on containers only",
            pod(json!({
            "initContainers": [container("start")], "containers": [container("app")]})),
        ),
        (
            "user namespace",
            pod(json!({
            "hostUsers": false,
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "initContainers": [bare("start")], "containers": [bare("app")]})),
        ),
        ("says nothing", pod(json!({"containers": [{"name": "app", "image": "nginx"}]}))),
        (
            "windows",
            pod(json!({
            "os": {"name": "windows"},
            "securityContext": {"runAsNonRoot": true},
            "initContainers": [{"name": "start", "image": "mcr.example/nano:1"}],
            "containers": [{"name": "app", "image": "mcr.example/nano:1"}]})),
        ),
        (
            "windows that says nothing",
            pod(json!({
            "os": {"name": "windows"}, "containers": [{"name": "app", "image": "mcr.example/nano:1"}]})),
        ),
        (
            "windows host process",
            pod(json!({
            "os": {"name": "windows"}, "hostNetwork": true,
            "securityContext": {"windowsOptions": host_process, "runAsNonRoot": true},
            "containers": [{"name": "app", "image": "mcr.example/nano:1"}]})),
        ),
        (
            "host process without a system",
            pod(json!({
            "hostNetwork": true,
            "securityContext": {"runAsNonRoot": true},
            "containers": [{"name": "app", "image": "mcr.example/nano:1",
                "securityContext": {"windowsOptions": host_process}}]})),
        ),
    ]
}

/// How often each of the [`bases`] is taken: seldom, those that can hardly be changed without becoming invalid.
const WEIGHTS: [usize; 10] = [5, 4, 4, 4, 8, 4, 2, 1, 1, 1];

/// One of the [`bases`].
fn chosen(random: &mut TestRandom) -> usize {
    let mut at = random.below(WEIGHTS.iter().sum());
    for (number, weight) in WEIGHTS.iter().enumerate() {
        match at.checked_sub(*weight) {
            Some(left) => at = left,
            None => return number,
        }
    }
    0
}

/// One change: a field of the pod, or of one container.
#[derive(Clone, Debug)]
struct Change {
    group: Option<(&'static str, usize)>,
    path: Vec<&'static str>,
    value: Option<Value>,
}

impl Change {
    fn apply(&self, pod: &mut Value) {
        let value = self.value.as_ref();
        match self.group {
            None => set(pod, &self.path, value),
            Some((group, index)) => {
                if let Some(container) = pod["spec"][group].get_mut(index) {
                    set(container, &self.path, value);
                }
            }
        }
    }

    fn story(&self) -> String {
        let place =
            self.group.map(|(group, index)| format!("{group}[{index}].")).unwrap_or_default();
        let value = self.value.as_ref().map_or("unset".to_owned(), Value::to_string);
        format!("{place}{} {value}", self.path.join("."))
    }
}

/// Where a field can be in a pod.
fn sites(field: &Field, pod: &Value) -> Vec<Option<(&'static str, usize)>> {
    if field.place == Place::Pod {
        return vec![None];
    }
    let mut sites = Vec::new();
    for group in GROUPS {
        for (index, container) in pod["spec"][group].as_array().into_iter().flatten().enumerate() {
            let fits = match field.place {
                Place::Pod | Place::Container => true,
                Place::Ported => group != "ephemeralContainers",
                Place::Probed => group == "containers" || container["restartPolicy"] == "Always",
            };
            if fits {
                sites.push(Some((group, index)));
            }
        }
    }
    sites
}

/// Whatever makes cases.
pub struct Generator {
    bases: Vec<(&'static str, Value)>,
    fields: Vec<Field>,
}

impl Generator {
    /// The one that there is.
    pub fn new() -> Self {
        let mut fields = of_pods();
        fields.extend(of_containers());
        Self { bases: bases(), fields }
    }

    /// The pods that cases are made from, each also with ephemeral containers.
    fn base(&self, number: usize, ephemeral: bool) -> Value {
        let mut pod = self.bases[number].1.clone();
        if ephemeral {
            let windows = pod["spec"]["os"]["name"] == "windows" || number == 9;
            let mut extra = debugger();
            if windows {
                extra = json!({"name": "debugger", "image": "mcr.example/nano:1"});
            }
            let mut second = extra.clone();
            second["name"] = "second".into();
            pod["spec"]["ephemeralContainers"] = json!([extra, second]);
        }
        pod
    }

    /// Every field of the first bases given every value, one at a time.
    pub fn one_at_a_time(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for (number, (name, _)) in self.bases.iter().enumerate() {
            for ephemeral in [false, true] {
                let pod = self.base(number, ephemeral);
                for field in &self.fields {
                    for group in sites(field, &pod) {
                        let is_debugger =
                            group.is_some_and(|(group, _)| group == "ephemeralContainers");
                        // A pod cannot be changed while an ephemeral container is added to it.
                        if ephemeral != is_debugger {
                            continue;
                        }
                        for value in &field.values {
                            let change =
                                Change { group, path: field.path.clone(), value: value.clone() };
                            let mut pod = pod.clone();
                            change.apply(&mut pod);
                            let story = format!("{name}: {}", change.story());
                            cases.push(Case { seed: 0, story, base: number, pod });
                        }
                    }
                }
            }
        }
        cases
    }

    /// A case with so many changes, as the seed decides.
    pub fn changed(&self, seed: u64, changes: usize) -> Case {
        let mut random = TestRandom::new(seed);
        let number = chosen(&mut random);
        let ephemeral = random.below(4) == 0;
        let mut pod = self.base(number, ephemeral);
        let mut story = format!("{}:", self.bases[number].0);
        for _ in 0..changes {
            let (mut field, mut group) = (&self.fields[0], None);
            for _ in 0..50 {
                field = random.one_of(&self.fields);
                let mut sites = sites(field, &pod);
                sites.retain(|site| {
                    ephemeral == site.is_some_and(|(group, _)| group == "ephemeralContainers")
                });
                if !sites.is_empty() {
                    group = *random.one_of(&sites);
                    break;
                }
            }
            if ephemeral && group.is_none() {
                continue;
            }
            let change = Change {
                group,
                path: field.path.clone(),
                value: random.one_of(&field.values).clone(),
            };
            change.apply(&mut pod);
            story = format!("{story} {};", change.story());
        }
        Case { seed, story, base: number, pod }
    }
}
