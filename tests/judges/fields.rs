//! Every field that a Pod Security check looks at, with values for each verdict.

use serde_json::{Value, json};

/// Where a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Below the pod.
    Pod,
    /// Below one container of whatever group.
    Container,
    /// Below one container of a group that may have ports and a life cycle: not ephemeral ones.
    Ported,
    /// Below one container of a group that may have probes: neither ephemeral ones nor those that only start.
    Probed,
}

/// One field and the values that it is given. `None` takes it away.
#[derive(Clone, Debug)]
pub struct Field {
    /// Path below the pod or container, without escapes.
    pub path: Vec<&'static str>,
    /// What it is given.
    pub values: Vec<Option<Value>>,
    /// What the path is below.
    pub place: Place,
}

/// Allowed by some version of some check, in the order of the standard, and what is near it and not allowed.
const SYSCTLS: [&str; 18] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "net.ipv4.tcp_slow_start_after_idle",
    "net.ipv4.tcp_notsent_lowat",
    "kernel.msgmax",
    "net.ipv4.tcp_keepalive",
    "net.ipv4.tcp_rmem_max",
    "net/ipv4/tcp_syncookies",
];

const CAPABILITIES: [&str; 24] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
    "NET_RAW",
    "NET_ADMIN",
    "SYS_ADMIN",
    "SYS_PTRACE",
    "ALL",
    "all",
    "chown",
    "CAP_CHOWN",
    "CAP_NET_BIND_SERVICE",
    "net_bind_service",
    "BPF",
];

fn field(place: Place, path: &str, values: Vec<Value>) -> Field {
    let path: &'static str = Box::leak(path.to_owned().into_boxed_str());
    let mut all = vec![None];
    all.extend(values.into_iter().map(Some));
    Field { path: path.split('|').collect(), values: all, place }
}

fn bools() -> Vec<Value> {
    vec![json!(false), json!(true)]
}

fn se_linux() -> Vec<Value> {
    let mut values = vec![
        json!({}),
        json!({"type": ""}),
        json!({"user": ""}),
        json!({"role": ""}),
        json!({"level": "s0:c123,c456"}),
        json!({"user": "system_u"}),
        json!({"role": "system_r"}),
        json!({"type": "container_t", "user": "u", "role": "r", "level": "l"}),
    ];
    for kind in [
        "container_t",
        "container_init_t",
        "container_kvm_t",
        "container_engine_t",
        "spc_t",
        "container_logreader_t",
        "Container_t",
        "container_t ",
        "unconfined_t",
    ] {
        values.push(json!({"type": kind}));
    }
    values
}

fn seccomp() -> Vec<Value> {
    vec![
        json!({"type": "RuntimeDefault"}),
        json!({"type": "Unconfined"}),
        json!({"type": "Localhost", "localhostProfile": "operator/app1.json"}),
    ]
}

fn app_armor() -> Vec<Value> {
    vec![
        json!({"type": "RuntimeDefault"}),
        json!({"type": "Unconfined"}),
        json!({"type": "Localhost", "localhostProfile": "k8s-nginx"}),
    ]
}

/// The server takes `Unmasked` only in a user namespace, so that most of these are made in vain.
fn proc_mounts() -> Vec<Value> {
    vec![json!("Default"), json!("Unmasked"), json!("Unmasked"), json!("Unmasked")]
}

fn windows() -> Vec<Value> {
    vec![
        json!({}),
        json!({"hostProcess": false}),
        json!({"hostProcess": true}),
        json!({"runAsUserName": "ContainerUser"}),
    ]
}

fn capabilities() -> Vec<Value> {
    let mut values = vec![
        json!({}),
        json!({"add": []}),
        json!({"drop": []}),
        json!({"add": [], "drop": ["ALL"]}),
        json!({"drop": ["all"]}),
        json!({"drop": ["NET_RAW"]}),
        json!({"drop": ["NET_RAW", "ALL"]}),
        json!({"drop": ["ALL", "CHOWN"], "add": ["NET_BIND_SERVICE"]}),
        json!({"drop": ["ALL"], "add": ["NET_BIND_SERVICE", "CHOWN"]}),
        json!({"drop": ["CAP_ALL"], "add": ["NET_BIND_SERVICE"]}),
    ];
    values.extend(CAPABILITIES.iter().map(|name| json!({"add": [name], "drop": ["ALL"]})));
    values.extend(CAPABILITIES.iter().take(15).map(|name| json!({"add": [name]})));
    values
}

/// Every kind of volume, and one that says nothing of its kind.
fn volumes() -> Vec<Value> {
    let kinds = [
        ("", json!(null)),
        ("emptyDir", json!({})),
        ("hostPath", json!({"path": "/var/run"})),
        ("secret", json!({"secretName": "s"})),
        ("configMap", json!({"name": "c"})),
        (
            "downwardAPI",
            json!({"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}),
        ),
        ("projected", json!({"sources": [{"secret": {"name": "s"}}]})),
        ("persistentVolumeClaim", json!({"claimName": "p"})),
        ("csi", json!({"driver": "secrets-store.csi.k8s.io"})),
        (
            "ephemeral",
            json!({"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}}}}}),
        ),
        (
            "image",
            json!({"reference": "registry.corp.example/data:1", "pullPolicy": "IfNotPresent"}),
        ),
        ("nfs", json!({"server": "s", "path": "/"})),
        (
            "iscsi",
            json!({"targetPortal": "1.2.3.4", "iqn": "iqn.2001-04.com.example:storage", "lun": 0}),
        ),
        ("gcePersistentDisk", json!({"pdName": "p"})),
        ("awsElasticBlockStore", json!({"volumeID": "v"})),
        ("gitRepo", json!({"repository": "https://example.com/r.git"})),
        ("glusterfs", json!({"endpoints": "e", "path": "p"})),
        ("rbd", json!({"monitors": ["m"], "image": "i"})),
        ("flexVolume", json!({"driver": "example.com/lvm"})),
        ("cinder", json!({"volumeID": "v"})),
        ("cephfs", json!({"monitors": ["m"]})),
        ("flocker", json!({"datasetName": "d"})),
        ("fc", json!({"targetWWNs": ["50060e801049cfd1"], "lun": 0})),
        ("azureFile", json!({"secretName": "s", "shareName": "f"})),
        ("azureDisk", json!({"diskName": "d", "diskURI": "https://blob/d.vhd"})),
        ("vsphereVolume", json!({"volumePath": "p"})),
        ("quobyte", json!({"registry": "r:1", "volume": "v"})),
        ("photonPersistentDisk", json!({"pdID": "p"})),
        ("portworxVolume", json!({"volumeID": "v"})),
        (
            "scaleIO",
            json!({"gateway": "g", "system": "s", "secretRef": {"name": "n"}, "volumeName": "v"}),
        ),
        ("storageos", json!({"volumeName": "v"})),
    ];
    let mut values = vec![json!([])];
    for (kind, source) in kinds {
        let mut volume = json!({"name": "extra"});
        if !kind.is_empty() {
            volume[kind] = source;
        }
        values.push(json!([volume]));
    }
    for path in ["/", "/proc", "/var/lib/kubelet", "/dev/null", "relative"] {
        values.push(
            json!([{"name": "a", "emptyDir": {}}, {"name": "b", "hostPath": {"path": path}}]),
        );
    }
    values.push(json!([{"name": "a", "hostPath": {"path": "/sock", "type": "Socket"}}]));
    values.push(json!([{"name": "a"}, {"name": "b", "nfs": {"server": "s", "path": "/"}}]));
    values
}

fn handler(kind: &str, host: Option<&str>) -> Value {
    let mut action = json!({"port": 8080});
    if let Some(host) = host {
        action["host"] = host.into();
    }
    json!({ kind: action })
}

fn handlers() -> Vec<Value> {
    let mut values = Vec::new();
    for kind in ["httpGet", "tcpSocket"] {
        for host in [None, Some(""), Some("127.0.0.1"), Some("metadata.internal")] {
            values.push(handler(kind, host));
        }
    }
    values.push(json!({"exec": {"command": ["true"]}}));
    values.push(json!({"grpc": {"port": 8080}}));
    values
}

fn hooks() -> Vec<Value> {
    let mut values: Vec<Value> =
        handlers().into_iter().filter(|hook| hook.get("grpc").is_none()).collect();
    values.push(json!({"sleep": {"seconds": 1}}));
    values
}

fn ports() -> Vec<Value> {
    vec![
        json!([]),
        json!([{"containerPort": 8080}]),
        json!([{"containerPort": 8080, "hostPort": 0}]),
        json!([{"containerPort": 8080, "hostPort": 8080}]),
        json!([{"containerPort": 8080}, {"containerPort": 9090, "hostPort": 9090, "protocol": "UDP"}]),
    ]
}

fn sysctls() -> Vec<Value> {
    let mut values = vec![json!([])];
    values.extend(SYSCTLS.iter().map(|name| json!([{"name": name, "value": "1"}])));
    values.push(json!([
        {"name": "kernel.shm_rmid_forced", "value": "1"}, {"name": "kernel.sem", "value": "1"}]));
    values
}

/// Annotations that AppArmor and seccomp were asked for with before there were fields.
fn annotations() -> Vec<Value> {
    let mut values = vec![json!({}), json!({"example.com/team": "shop"})];
    for profile in
        ["", "runtime/default", "localhost/app", "unconfined", "runtime/defaults", "Unconfined"]
    {
        for container in ["app", "start", "absent"] {
            let key = format!("container.apparmor.security.beta.kubernetes.io/{container}");
            values.push(json!({ key: profile }));
        }
    }
    let profiles = [
        "",
        "runtime/default",
        "docker/default",
        "localhost/app",
        "unconfined",
        "localhost",
        "docker/default2",
    ];
    for profile in profiles {
        values.push(json!({"seccomp.security.alpha.kubernetes.io/pod": profile}));
        for container in ["app", "start"] {
            let key = format!("container.seccomp.security.alpha.kubernetes.io/{container}");
            values.push(json!({ key: profile }));
        }
    }
    values.push(json!({"seccomp.security.alpha.kubernetes.io/pod": "unconfined",
        "container.seccomp.security.alpha.kubernetes.io/app": "runtime/default"}));
    values
}

/// Fields of the pod.
pub fn of_pods() -> Vec<Field> {
    let pod = |path: &str, values| field(Place::Pod, path, values);
    let users = || vec![json!(0), json!(1), json!(1000)];
    vec![
        pod("spec|hostNetwork", bools()),
        pod("spec|hostPID", bools()),
        pod("spec|hostIPC", bools()),
        pod("spec|hostUsers", bools()),
        pod("spec|os", vec![json!({"name": "linux"}), json!({"name": "windows"})]),
        pod("spec|securityContext", vec![json!({})]),
        pod("spec|securityContext|runAsNonRoot", bools()),
        pod("spec|securityContext|runAsUser", users()),
        pod("spec|securityContext|seccompProfile", seccomp()),
        pod("spec|securityContext|appArmorProfile", app_armor()),
        pod("spec|securityContext|seLinuxOptions", se_linux()),
        pod("spec|securityContext|windowsOptions", windows()),
        pod("spec|securityContext|sysctls", sysctls()),
        pod("spec|securityContext|fsGroup", users()),
        pod("spec|volumes", volumes()),
        pod("spec|initContainers", vec![json!([])]),
        pod("metadata|annotations", annotations()),
    ]
}

/// Fields of a container.
pub fn of_containers() -> Vec<Field> {
    let any = |path: &str, values| field(Place::Container, path, values);
    let ported = |path: &str, values| field(Place::Ported, path, values);
    let probed = |path: &str, values| field(Place::Probed, path, values);
    vec![
        any(
            "securityContext",
            vec![json!({}), json!({"privileged": true}), json!({"privileged": false})],
        ),
        any("securityContext|privileged", bools()),
        any("securityContext|allowPrivilegeEscalation", bools()),
        any("securityContext|capabilities", capabilities()),
        any("securityContext|runAsNonRoot", bools()),
        any("securityContext|runAsUser", vec![json!(0), json!(1), json!(1000)]),
        any("securityContext|readOnlyRootFilesystem", bools()),
        any("securityContext|seccompProfile", seccomp()),
        any("securityContext|appArmorProfile", app_armor()),
        any("securityContext|seLinuxOptions", se_linux()),
        any("securityContext|windowsOptions", windows()),
        any("securityContext|procMount", proc_mounts()),
        ported("ports", ports()),
        probed("lifecycle", vec![json!({})]),
        probed("lifecycle|postStart", hooks()),
        probed("lifecycle|preStop", hooks()),
        probed("livenessProbe", handlers()),
        probed("readinessProbe", handlers()),
        probed("startupProbe", handlers()),
    ]
}

/// Sets or takes away what is at a path, and makes what is above it.
pub fn set(object: &mut Value, path: &[&str], value: Option<&Value>) {
    let Some((last, parents)) = path.split_last() else { return };
    let mut at = object;
    for part in parents {
        if value.is_none() && at.get(part).is_none() {
            return;
        }
        if at.get(part).is_none_or(|below| !below.is_object()) {
            at[*part] = json!({});
        }
        at = &mut at[*part];
    }
    match value {
        Some(value) => at[*last] = value.clone(),
        None => {
            at.as_object_mut().map(|fields| fields.remove(*last));
        }
    }
}
