//! The verdicts, rule by rule. The same rules in CEL are compared with these on a live API server.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::Settings;
use super::Subject;
use super::WorkloadKind;
use crate::api::gabion::hardening_baseline::Level;
use crate::api::gabion::hardening_baseline::RequiredResource;
use crate::api::gabion::hardening_baseline::Tags;
use crate::api::gabion::hardening_baseline::Verdict;
use crate::policy::evaluate;
use crate::policy::settings::Range;
use crate::policy::version::PssVersion;

fn standard(level: Level, minor: u16) -> Settings {
    Settings { pod_security: Some((level, PssVersion::Pinned(minor))), ..Settings::default() }
}

fn restricted() -> Settings {
    standard(Level::Restricted, 37)
}

/// A pod that holds the restricted level at every version.
fn good() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "good" },
        "spec": {
            "securityContext": { "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } },
            "containers": [{
                "name": "app", "image": "registry.example.com/app:1",
                "securityContext": {
                    "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] },
                },
            }],
        },
    })
}

/// The good pod with a value at a JSON pointer; parents that are absent are made.
fn with(pointer: &str, value: Value) -> Value {
    let mut pod = good();
    set(&mut pod, pointer, value);
    pod
}

fn set(pod: &mut Value, pointer: &str, value: Value) {
    let mut place = pod;
    for key in pointer.trim_start_matches('/').split('/') {
        place = child(place, &key.replace("~1", "/"));
    }
    *place = value;
}

/// The child at a key or an index, made when it is absent.
fn child<'a>(place: &'a mut Value, key: &str) -> &'a mut Value {
    if let Ok(index) = key.parse::<usize>() {
        if !place.is_array() {
            *place = json!([]);
        }
        let items = place.as_array_mut().expect("a list");
        while items.len() <= index {
            items.push(json!({}));
        }
        return &mut items[index];
    }
    if !place.is_object() {
        *place = json!({});
    }
    place.as_object_mut().expect("a map").entry(key).or_insert(Value::Null)
}

/// The subject in a manifest; `None` for kinds that hold no pod.
fn subject_of(object: &Value) -> Option<Subject<'_>> {
    let version = object["apiVersion"].as_str()?;
    let group = version.split_once('/').map_or("", |(group, _)| group);
    Some(Subject::of_kind(WorkloadKind::named(group, object["kind"].as_str()?)?, object))
}

fn ids(settings: &Settings, object: &Value) -> BTreeSet<&'static str> {
    let subject = subject_of(object).expect("a workload");
    evaluate(settings, &subject).iter().map(|finding| finding.control.id.as_str()).collect()
}

fn paths(settings: &Settings, object: &Value) -> Vec<String> {
    let subject = subject_of(object).expect("a workload");
    evaluate(settings, &subject).iter().map(|finding| finding.path.to_string()).collect()
}

const APP: &str = "/spec/containers/0";

#[test]
fn a_good_pod_breaks_nothing_at_any_level_and_version() {
    for minor in 0..=37 {
        for level in [Level::Privileged, Level::Baseline, Level::Restricted] {
            assert_eq!(ids(&standard(level, minor), &good()), BTreeSet::new(), "{level} {minor}");
        }
    }
}

/// Where, what, and the checks that refuse it at restricted v1.37 and at baseline v1.37.
type Case = (&'static str, Value, &'static str, &'static str);

fn pod_cases() -> Vec<Case> {
    vec![
        ("/spec/hostNetwork", json!(true), "hostNamespaces", "hostNamespaces"),
        ("/spec/hostPID", json!(true), "hostNamespaces", "hostNamespaces"),
        ("/spec/hostIPC", json!(true), "hostNamespaces", "hostNamespaces"),
        ("/spec/hostIPC", json!(false), "", ""),
        (
            "/spec/volumes/0",
            json!({ "name": "v", "hostPath": { "path": "/" } }),
            "restrictedVolumes",
            "hostPathVolumes",
        ),
        (
            "/spec/volumes/0",
            json!({ "name": "v", "nfs": { "server": "s" } }),
            "restrictedVolumes",
            "",
        ),
        ("/spec/volumes/0", json!({ "name": "v" }), "", ""),
        ("/spec/volumes/0", json!({ "name": "v", "image": { "reference": "a" } }), "", ""),
        (
            "/spec/securityContext/appArmorProfile/type",
            json!("Unconfined"),
            "appArmorProfile",
            "appArmorProfile",
        ),
        (
            "/metadata/annotations/container.apparmor.security.beta.kubernetes.io~1app",
            json!("unconfined"),
            "appArmorProfile",
            "appArmorProfile",
        ),
        (
            "/metadata/annotations/container.apparmor.security.beta.kubernetes.io~1app",
            json!("localhost/x"),
            "",
            "",
        ),
        (
            "/spec/securityContext/seLinuxOptions/type",
            json!("spc_t"),
            "seLinuxOptions",
            "seLinuxOptions",
        ),
        (
            "/spec/securityContext/seccompProfile/type",
            json!("Unconfined"),
            "seccompProfile_restricted",
            "seccompProfile_baseline",
        ),
        ("/spec/securityContext/seccompProfile", json!(null), "seccompProfile_restricted", ""),
        ("/spec/securityContext/sysctls/0/name", json!("kernel.msgmax"), "sysctls", "sysctls"),
        ("/spec/securityContext/sysctls/0/name", json!("net.ipv4.tcp_notsent_lowat"), "", ""),
        (
            "/spec/securityContext/windowsOptions/hostProcess",
            json!(true),
            "windowsHostProcess",
            "windowsHostProcess",
        ),
        ("/spec/securityContext/runAsNonRoot", json!(false), "runAsNonRoot", ""),
        ("/spec/securityContext/runAsNonRoot", json!(null), "runAsNonRoot", ""),
        ("/spec/securityContext/runAsUser", json!(0), "runAsUser", ""),
    ]
}

/// The same, below a container.
fn container_cases() -> Vec<Case> {
    vec![
        ("securityContext/privileged", json!(true), "privileged", "privileged"),
        ("securityContext/privileged", json!(null), "", ""),
        (
            "securityContext/capabilities/add/0",
            json!("NET_RAW"),
            "capabilities_restricted",
            "capabilities_baseline",
        ),
        ("securityContext/capabilities/add/0", json!("CHOWN"), "capabilities_restricted", ""),
        ("securityContext/capabilities/add/0", json!("NET_BIND_SERVICE"), "", ""),
        ("securityContext/capabilities/drop", json!(["all"]), "capabilities_restricted", ""),
        ("securityContext/capabilities", json!(null), "capabilities_restricted", ""),
        ("ports/0", json!({ "containerPort": 80, "hostPort": 80 }), "hostPorts", "hostPorts"),
        ("ports/0", json!({ "containerPort": 80, "hostPort": 0 }), "", ""),
        (
            "livenessProbe/httpGet/host",
            json!("h"),
            "hostProbesAndHostLifecycle",
            "hostProbesAndHostLifecycle",
        ),
        (
            "readinessProbe/tcpSocket/host",
            json!("h"),
            "hostProbesAndHostLifecycle",
            "hostProbesAndHostLifecycle",
        ),
        (
            "startupProbe/httpGet/host",
            json!("h"),
            "hostProbesAndHostLifecycle",
            "hostProbesAndHostLifecycle",
        ),
        (
            "lifecycle/preStop/httpGet/host",
            json!("h"),
            "hostProbesAndHostLifecycle",
            "hostProbesAndHostLifecycle",
        ),
        (
            "lifecycle/postStart/tcpSocket/host",
            json!("h"),
            "hostProbesAndHostLifecycle",
            "hostProbesAndHostLifecycle",
        ),
        ("livenessProbe/httpGet/host", json!(""), "", ""),
        (
            "securityContext/appArmorProfile/type",
            json!("Unconfined"),
            "appArmorProfile",
            "appArmorProfile",
        ),
        ("securityContext/appArmorProfile/type", json!("Localhost"), "", ""),
        ("securityContext/seLinuxOptions/user", json!("u"), "seLinuxOptions", "seLinuxOptions"),
        ("securityContext/seLinuxOptions/role", json!("r"), "seLinuxOptions", "seLinuxOptions"),
        ("securityContext/seLinuxOptions/type", json!("container_engine_t"), "", ""),
        ("securityContext/seLinuxOptions/level", json!("s0"), "", ""),
        ("securityContext/procMount", json!("Unmasked"), "procMount_restricted", "procMount"),
        ("securityContext/procMount", json!("Default"), "", ""),
        (
            "securityContext/seccompProfile/type",
            json!("Unconfined"),
            "seccompProfile_restricted",
            "seccompProfile_baseline",
        ),
        (
            "securityContext/windowsOptions/hostProcess",
            json!(true),
            "windowsHostProcess",
            "windowsHostProcess",
        ),
        ("securityContext/allowPrivilegeEscalation", json!(null), "allowPrivilegeEscalation", ""),
        ("securityContext/allowPrivilegeEscalation", json!(true), "allowPrivilegeEscalation", ""),
        ("securityContext/runAsNonRoot", json!(false), "runAsNonRoot", ""),
        ("securityContext/runAsUser", json!(0), "runAsUser", ""),
        ("securityContext/runAsUser", json!(7), "", ""),
    ]
}

#[test]
fn each_check_finds_what_it_is_about() {
    let below = |(field, value, restricted, baseline): Case| {
        (format!("{APP}/{field}"), value, restricted, baseline)
    };
    let whole = |(place, value, restricted, baseline): Case| {
        (place.to_owned(), value, restricted, baseline)
    };
    let cases = pod_cases().into_iter().map(whole);
    for (place, value, at_restricted, at_baseline) in
        cases.chain(container_cases().into_iter().map(below))
    {
        let pod = with(&place, value.clone());
        for (level, expected) in
            [(Level::Restricted, at_restricted), (Level::Baseline, at_baseline)]
        {
            let expected: BTreeSet<_> =
                expected.split_whitespace().map(|id| format!("PSS-{id}")).collect();
            let found: BTreeSet<_> =
                ids(&standard(level, 37), &pod).into_iter().map(str::to_owned).collect();
            assert_eq!(found, expected, "{level} {place} {value}");
        }
        assert!(ids(&standard(Level::Privileged, 37), &pod).is_empty());
    }
}

#[test]
fn init_and_ephemeral_containers_are_evaluated_like_the_others() {
    for list in ["initContainers", "ephemeralContainers"] {
        let mut bad = good()["spec"]["containers"][0].clone();
        bad["name"] = json!("other");
        bad["securityContext"]["privileged"] = json!(true);
        let pod = with(&format!("/spec/{list}/0"), bad);
        assert_eq!(ids(&restricted(), &pod), ["PSS-privileged"].into(), "{list}");
        let path = format!("spec.{list}[0].securityContext.privileged");
        assert_eq!(paths(&restricted(), &pod), [path]);
    }
}

/// What it is, the pod, its check, the level, and versions at the edges of a change with their verdicts.
type Edges<'a> = (&'a str, &'a Value, &'a str, Level, &'a [(u16, bool)]);

#[test]
fn versions_change_what_they_changed_upstream() {
    let host = with(&format!("{APP}/livenessProbe/httpGet/host"), json!("h"));
    let engine = with("/spec/securityContext/seLinuxOptions/type", json!("container_engine_t"));
    let mut unmasked = with(&format!("{APP}/securityContext/procMount"), json!("Unmasked"));
    set(&mut unmasked, "/spec/hostUsers", json!(false));
    let mut root = with("/spec/securityContext/runAsUser", json!(0));
    set(&mut root, "/spec/hostUsers", json!(false));
    let mut anybody = with("/spec/securityContext/runAsNonRoot", json!(null));
    set(&mut anybody, "/spec/hostUsers", json!(false));
    let annotated = with(
        "/metadata/annotations/seccomp.security.alpha.kubernetes.io~1pod",
        json!("unconfined"),
    );
    let sysctl = |name: &str| with("/spec/securityContext/sysctls/0/name", json!(name));
    let mut windows = good();
    set(&mut windows, "/spec/os/name", json!("windows"));
    set(&mut windows, &format!("{APP}/securityContext"), json!(null));
    set(&mut windows, "/spec/securityContext", json!({ "runAsNonRoot": true }));
    let escalating = with(&format!("{APP}/securityContext/allowPrivilegeEscalation"), json!(true));
    let undropped = with(&format!("{APP}/securityContext/capabilities"), json!(null));
    let (baseline, restricted) = (Level::Baseline, Level::Restricted);
    let cases: Vec<Edges<'_>> = vec![
        ("host probe", &host, "hostProbesAndHostLifecycle", baseline, &[(33, false), (34, true)]),
        ("container_engine_t", &engine, "seLinuxOptions", baseline, &[(30, true), (31, false)]),
        ("procMount", &unmasked, "procMount", baseline, &[(34, true), (35, false)]),
        ("procMount", &unmasked, "procMount", restricted, &[(34, true), (35, false)]),
        ("procMount", &unmasked, "procMount_restricted", restricted, &[(34, false), (35, true)]),
        (
            "runAsUser",
            &root,
            "runAsUser",
            restricted,
            &[(22, false), (23, true), (34, true), (35, false)],
        ),
        (
            "runAsNonRoot",
            &anybody,
            "runAsNonRoot",
            restricted,
            &[(0, true), (34, true), (35, false)],
        ),
        (
            "annotation",
            &annotated,
            "seccompProfile_baseline",
            baseline,
            &[(0, true), (18, true), (19, false)],
        ),
        (
            "escalation",
            &escalating,
            "allowPrivilegeEscalation",
            restricted,
            &[(7, false), (8, true)],
        ),
        (
            "capabilities",
            &undropped,
            "capabilities_restricted",
            restricted,
            &[(21, false), (22, true)],
        ),
        ("windows", &windows, "allowPrivilegeEscalation", restricted, &[(24, true), (25, false)]),
        ("windows", &windows, "capabilities_restricted", restricted, &[(24, true), (25, false)]),
        (
            "windows",
            &windows,
            "seccompProfile_restricted",
            restricted,
            &[(18, false), (24, true), (25, false)],
        ),
    ];
    for (name, pod, check, level, edges) in cases {
        for (minor, refused) in edges {
            let found = ids(&standard(level, *minor), pod);
            let id = format!("PSS-{check}");
            assert_eq!(found.contains(id.as_str()), *refused, "{name} {check} {level} v1.{minor}");
        }
    }
    for (name, since) in [
        ("net.ipv4.tcp_syncookies", 0),
        ("net.ipv4.ip_local_reserved_ports", 27),
        ("net.ipv4.tcp_fin_timeout", 29),
        ("net.ipv4.tcp_wmem", 32),
        ("net.ipv4.tcp_slow_start_after_idle", 37),
    ] {
        for minor in 0..=37 {
            let found = ids(&standard(baseline, minor), &sysctl(name));
            assert_eq!(found.contains("PSS-sysctls"), minor < since, "{name} v1.{minor}");
        }
    }
}

#[test]
fn the_port_of_a_pod_on_the_host_network_is_a_host_port_but_not_in_a_template() {
    let mut pod = with("/spec/hostNetwork", json!(true));
    set(&mut pod, &format!("{APP}/ports/0"), json!({ "containerPort": 80 }));
    assert_eq!(ids(&restricted(), &pod), ["PSS-hostNamespaces", "PSS-hostPorts"].into());
    let deployment = json!({ "apiVersion": "apps/v1", "kind": "Deployment",
        "spec": { "template": { "spec": pod["spec"] } } });
    assert_eq!(ids(&restricted(), &deployment), ["PSS-hostNamespaces"].into());
}

#[test]
fn every_kind_that_holds_a_pod_is_evaluated_at_its_own_place() {
    let bad = with(&format!("{APP}/securityContext/privileged"), json!(true));
    for kind in WorkloadKind::TEMPLATES.into_iter().chain([WorkloadKind::Pod]) {
        let version =
            if kind.group().is_empty() { "v1".into() } else { format!("{}/v1", kind.group()) };
        let mut object = json!({ "apiVersion": version, "kind": kind.as_str() });
        let pointer = [kind.pod(), &["spec"]].concat().join("/");
        set(&mut object, &pointer, bad["spec"].clone());
        let mut place = kind.pod().join(".");
        if !place.is_empty() {
            place.push('.');
        }
        let path = format!("{place}spec.containers[0].securityContext.privileged");
        assert_eq!(paths(&restricted(), &object), [path], "{kind:?}");
    }
    let service = json!({ "apiVersion": "v1", "kind": "Service" });
    let foreign = json!({ "apiVersion": "example.com/v1", "kind": "Deployment" });
    assert!(subject_of(&service).is_none() && subject_of(&foreign).is_none());
}

/// What the guide's own controls find in a good pod with one value changed.
fn guide_case(settings: &Settings, pointer: &str, value: Value) -> Vec<(String, String)> {
    let pod = with(pointer, value);
    let subject = subject_of(&pod).expect("a pod");
    let findings = evaluate(settings, &subject);
    findings.iter().map(|f| (f.control.id.to_string(), f.path.to_string())).collect()
}

#[test]
fn ids_must_be_stated_and_lie_in_the_range() {
    let range = Some(Range { min: 1000, max: 2000 });
    let users = Settings { user_ids: range, ..Settings::default() };
    let case = |pointer: &str, value: i64| guide_case(&users, pointer, json!(value));
    assert_eq!(case("/spec/securityContext/runAsUser", 1000), []);
    assert_eq!(case(&format!("{APP}/securityContext/runAsUser"), 2000), []);
    let finding = |path: &str| [("HB-UID".to_owned(), path.to_owned())];
    assert_eq!(
        case("/spec/securityContext/runAsUser", 999),
        finding("spec.securityContext.runAsUser")
    );
    assert_eq!(
        case(&format!("{APP}/securityContext/runAsUser"), 2001),
        finding("spec.containers[0].securityContext.runAsUser")
    );
    assert_eq!(ids(&users, &good()), ["HB-UID"].into());
    let groups = Settings { group_ids: range, ..Settings::default() };
    let mut pod = with("/spec/securityContext/runAsGroup", json!(1500));
    assert_eq!(ids(&groups, &pod), BTreeSet::new());
    set(&mut pod, "/spec/securityContext/supplementalGroups", json!([1500, 0]));
    assert_eq!(paths(&groups, &pod), ["spec.securityContext.supplementalGroups[1]"]);
    let volumes = Settings { fs_groups: range, ..Settings::default() };
    assert_eq!(ids(&volumes, &good()), BTreeSet::new());
    assert_eq!(ids(&volumes, &with("/spec/securityContext/fsGroup", json!(0))), ["HB-FSG"].into());
}

#[test]
fn weak_supplemental_groups_are_bounded_whatever_their_policy_is() {
    let range = Some(Range { min: 1000, max: 2000 });
    let groups = Settings { group_ids: range, ..Settings::default() };
    for policy in [json!(null), json!("Merge"), json!("Strict")] {
        let mut pod = with("/spec/securityContext/runAsGroup", json!(1500));
        set(&mut pod, "/spec/securityContext/supplementalGroupsPolicy", policy.clone());
        assert_eq!(paths(&groups, &pod), [""; 0], "{policy}");
        set(&mut pod, "/spec/securityContext/supplementalGroups", json!([0]));
        assert_eq!(
            paths(&groups, &pod),
            ["spec.securityContext.supplementalGroups[0]"],
            "{policy}"
        );
    }
}

#[test]
fn weak_a_pod_for_windows_is_excused_from_what_windows_does_not_know_and_from_nothing_else() {
    let settings = Settings {
        allowed_registries: vec!["registry.example".into()],
        no_token: true,
        ..Settings::built_in("guide").expect("built in")
    };
    let pod = |os: &Value| {
        json!({ "apiVersion": "v1", "kind": "Pod", "spec": { "os": os, "hostNetwork": true,
            "nodeSelector": { "kubernetes.io/os": "linux" }, "automountServiceAccountToken": true,
            "volumes": [{ "name": "v", "hostPath": { "path": "/" } }],
            "containers": [{ "name": "app", "image": "nginx",
                "env": [{ "name": "DB_PASSWORD", "value": "hunter2" }] }] } })
    };
    let linux = ids(&settings, &pod(&json!({ "name": "linux" })));
    let windows = ids(&settings, &pod(&json!({ "name": "windows" })));
    let excused: Vec<&str> = linux.difference(&windows).copied().collect();
    assert_eq!(
        excused,
        [
            "HB-GID",
            "HB-ROFS",
            "HB-UID",
            "PSS-allowPrivilegeEscalation",
            "PSS-capabilities_restricted",
            "PSS-seccompProfile_restricted",
        ]
    );
    assert!(windows.is_subset(&linux));
    // Only what the API server takes for Windows.
    for os in [json!(null), json!({}), json!({ "name": "Windows" }), json!({ "name": "windows " })]
    {
        assert_eq!(ids(&settings, &pod(&os)), linux, "{os}");
    }
}

#[test]
fn requests_may_come_from_limits_and_zero_is_no_amount() {
    let settings = Settings {
        required_resources: vec![RequiredResource::RequestsCpu, RequiredResource::LimitsMemory],
        ..Settings::default()
    };
    let of = |resources: Value| paths(&settings, &with(&format!("{APP}/resources"), resources));
    let place = |name: &str| format!("spec.containers[0].resources.{name}");
    assert_eq!(of(json!({ "limits": { "cpu": "1", "memory": "1Gi" } })), Vec::<String>::new());
    assert_eq!(of(json!({ "limits": { "cpu": 1, "memory": 1024 } })), Vec::<String>::new());
    assert_eq!(
        of(json!({ "limits": { "memory": "0" }, "requests": { "cpu": "100m" } })),
        [place("limits.memory")]
    );
    assert_eq!(of(json!({ "limits": { "memory": "much" } })).len(), 2);
    assert_eq!(of(json!(null)), [place("requests.cpu"), place("limits.memory")]);
    // The API forbids resources on ephemeral containers.
    let mut pod = with(&format!("{APP}/resources/limits"), json!({ "cpu": "1", "memory": "1" }));
    set(&mut pod, "/spec/ephemeralContainers/0", json!({ "name": "debug", "image": "x:1" }));
    assert_eq!(paths(&settings, &pod), Vec::<String>::new());
}

#[test]
fn a_limit_of_the_whole_pod_counts_for_its_containers_and_a_request_does_not() {
    let settings = Settings {
        required_resources: vec![RequiredResource::RequestsCpu, RequiredResource::LimitsMemory],
        ..Settings::default()
    };
    let of = |resources: Value| {
        let mut pod = with(&format!("{APP}/resources"), json!(null));
        set(&mut pod, "/spec/resources", resources);
        paths(&settings, &pod).len()
    };
    let bare = of(json!(null));
    assert_eq!(bare, 2);
    assert_eq!(of(json!({ "limits": { "cpu": "2", "memory": "1Gi" } })), 0);
    assert_eq!(of(json!({ "limits": { "memory": "1Gi" } })), 1);
    assert_eq!(of(json!({ "limits": { "cpu": "0", "memory": "0" } })), bare);
    // The API server fills it in by itself from what containers ask for.
    assert_eq!(of(json!({ "requests": { "cpu": "2", "memory": "1Gi" } })), bare);
}

#[test]
fn images_are_evaluated_in_every_place_that_names_one() {
    let settings = Settings {
        allowed_registries: vec!["registry.example.com".into()],
        tags: Tags::DenyLatest,
        ..Settings::default()
    };
    let mut pod = with("/spec/initContainers/0", json!({ "name": "i", "image": "busybox:1" }));
    set(
        &mut pod,
        "/spec/ephemeralContainers/0",
        json!({ "name": "e", "image": "registry.example.com/e" }),
    );
    set(&mut pod, "/spec/volumes/0", json!({ "name": "v", "image": { "reference": "models:2" } }));
    let subject = subject_of(&pod).expect("a pod");
    let findings = evaluate(&settings, &subject);
    let found: Vec<_> =
        findings.iter().map(|f| (f.control.id.as_str(), f.path.to_string())).collect();
    assert_eq!(
        found,
        [
            ("HB-IMG-REGISTRY", "spec.initContainers[0].image".to_owned()),
            ("HB-IMG-REGISTRY", "spec.volumes[0].image.reference".to_owned()),
            ("HB-IMG-TAG", "spec.ephemeralContainers[0].image".to_owned()),
        ]
    );
    assert!(findings[0].remedy.contains("registry.example.com"), "{}", findings[0].remedy);
}

#[test]
fn credentials_are_known_by_their_names_and_urls() {
    use crate::policy::rules::credentials::is_literal_credential as is;
    for name in [
        "DATABASE_PASSWORD",
        "PGPASSWORD",
        "MYSQL_PWD",
        "DB_PASS",
        "api.key",
        "API_KEY",
        "apikey",
        "GITHUB_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "client-secret",
        "PASSWORD_2",
        "RedisAuth_Token",
        "DB_PASSWORD_PROD",
    ] {
        assert!(is(name, "hunter2"), "{name}");
        assert!(!is(name, "") && !is(name, "$(FROM_ELSEWHERE)") && !is(name, "true"), "{name}");
    }
    for name in [
        "DATABASE_PASSWORD_FILE",
        "TOKEN_URL",
        "SECRET_NAME",
        "AWS_ACCESS_KEY_ID",
        "PASSWORD_MIN_LENGTH",
        "TOKEN_TTL",
        "LOG_LEVEL",
        "KEYBOARD",
        "COMPASS",
        "AUTHOR",
        "MONKEY",
    ] {
        assert!(!is(name, "x"), "{name}");
    }
    assert!(is("DATABASE_URL", "postgres://app:hunter2@db/app"));
    assert!(!is("DATABASE_URL", "postgres://db:5432/app") && !is("HOME_URL", "https://a.b/@c"));
}

#[test]
fn weak_a_reference_to_a_literal_of_the_same_container_is_a_literal() {
    let settings = Settings { literal_credential_env: Verdict::Deny, ..Settings::default() };
    let env = |entries: Value| paths(&settings, &with(&format!("{APP}/env"), entries));
    let entry = |name: &str, value: &str| json!({ "name": name, "value": value });
    let second = ["spec.containers[0].env[1].value"];
    assert_eq!(env(json!([entry("X", "hunter2"), entry("DB_PASSWORD", "$(X)")])), second);
    assert_eq!(env(json!([entry("X", "hunter2"), entry("U", "a://b:$(X)@c")])), second);
    let none = [""; 0];
    let secret =
        json!({ "name": "X", "valueFrom": { "secretKeyRef": { "name": "s", "key": "k" } } });
    assert_eq!(
        env(json!([secret, entry("DB_PASSWORD", "$(X)"), entry("U", "a://b:$(X)@c")])),
        none
    );
    assert_eq!(env(json!([entry("X", ""), entry("DB_PASSWORD", "$(X)")])), none);
    assert_eq!(env(json!([entry("X", "a"), entry("TOKEN_URL", "$(X)")])), none);
}

#[test]
fn a3_a4_a_token_is_refused_where_its_volume_is_asked_for() {
    let settings =
        Settings { no_token: true, token_audiences: vec!["vault".into()], ..Settings::default() };
    let source = |token: Value| json!({ "name": "t", "projected": { "sources": [{ "serviceAccountToken": token }] } });
    let found = |token: Value| paths(&settings, &with("/spec/volumes/0", source(token)));
    let place = ["spec.volumes[0].projected.sources[0].serviceAccountToken"];
    assert_eq!(found(json!({ "path": "token", "expirationSeconds": 3600 })), place);
    assert_eq!(found(json!({ "path": "token", "audience": "" })), place);
    assert_eq!(found(json!({ "path": "token", "audience": "other" })), place);
    assert_eq!(found(json!({ "path": "token", "audience": "vault" })), [""; 0]);
    // What the API server mounts for a ServiceAccount that asks for it.
    let mounted = json!({ "name": "kube-api-access-x", "projected": { "defaultMode": 420, "sources": [
        { "serviceAccountToken": { "expirationSeconds": 3607, "path": "token" } },
        { "configMap": { "name": "kube-root-ca.crt", "items": [] } },
    ] } });
    assert_eq!(paths(&settings, &with("/spec/volumes/0", mounted)), place);
    let asked = with("/spec/automountServiceAccountToken", json!(true));
    assert_eq!(paths(&settings, &asked), ["spec.automountServiceAccountToken"]);
}

#[test]
fn reports_16_the_stricter_profile_is_never_milder() {
    let pod = with(
        "/spec/volumes/0",
        json!({ "name": "v", "hostPath": { "path": "/var/run/docker.sock" } }),
    );
    for name in Settings::BUILT_IN {
        let settings = Settings::built_in(name).expect("built in");
        let findings = evaluate(&settings, &subject_of(&pod).expect("a pod"));
        let volume = findings.iter().filter(|f| f.path.to_string().contains("hostPath"));
        let severities: Vec<_> = volume.map(|f| f.severity).collect();
        assert_eq!(severities, [crate::policy::Severity::Critical], "{name}");
    }
    let nfs = with("/spec/volumes/0", json!({ "name": "v", "nfs": { "server": "s" } }));
    let findings = evaluate(
        &Settings::built_in("restricted").expect("built in"),
        &subject_of(&nfs).expect("a pod"),
    );
    assert_eq!(findings[0].severity, crate::policy::Severity::High);
}

#[test]
fn the_value_of_a_credential_is_in_no_message() {
    let settings = Settings { literal_credential_env: Verdict::Deny, ..Settings::default() };
    let pod = with(
        &format!("{APP}/env"),
        json!([{ "name": "A_PASSWORD", "value": "hunter2" }, { "name": "U", "value": "a://b:hunter2@c" }]),
    );
    let subject = subject_of(&pod).expect("a pod");
    let findings = evaluate(&settings, &subject);
    assert_eq!(findings.len(), 2);
    assert!(!format!("{findings:?}").contains("hunter2"));
}

#[test]
fn only_one_container_may_write_a_log_volume() {
    let settings = Settings { log_volume_read_only: true, ..Settings::default() };
    let mount = |path: &str, read_only: bool| json!([{ "name": "logs", "mountPath": path, "readOnly": read_only }]);
    let pod = |path: &str, forwarder: bool, init: Option<&str>| {
        let mut pod = with("/spec/volumes/0", json!({ "name": "logs", "emptyDir": {} }));
        set(&mut pod, &format!("{APP}/volumeMounts"), mount(path, false));
        set(
            &mut pod,
            "/spec/containers/1",
            json!({ "name": "fwd", "volumeMounts": mount("/in", forwarder) }),
        );
        if let Some(policy) = init {
            set(
                &mut pod,
                "/spec/initContainers/0",
                json!({ "name": "i", "restartPolicy": policy, "volumeMounts": mount("/x", false) }),
            );
        }
        paths(&settings, &pod)
    };
    let writer = "spec.containers[1].volumeMounts[0].readOnly";
    assert_eq!(pod("/var/log", true, None), Vec::<String>::new());
    assert_eq!(pod("/var/log", false, None), [writer]);
    assert_eq!(pod("/app/logs/", false, None), [writer]);
    assert_eq!(pod("/data", false, None), Vec::<String>::new());
    // An init container that ends has written before the others read.
    assert_eq!(pod("/var/log", true, Some("Never")), Vec::<String>::new());
    assert_eq!(pod("/var/log", true, Some("Always")).len(), 1);
}

#[test]
fn forwarders_are_not_asked_how_they_log() {
    let settings = Settings { required_env: vec!["LOG_LEVEL".into()], ..Settings::default() };
    assert_eq!(paths(&settings, &good()), ["spec.containers[0].env"]);
    let set_to =
        |field: &str, value: Value| paths(&settings, &with(&format!("{APP}/{field}"), value));
    let none = Vec::<String>::new();
    assert_eq!(set_to("env", json!([{ "name": "LOG_LEVEL", "value": "INFO" }])), none);
    assert_eq!(set_to("envFrom", json!([{ "configMapRef": { "name": "x" } }])), none);
    let read_only = json!([{ "name": "logs", "mountPath": "/var/log", "readOnly": true }]);
    assert_eq!(set_to("volumeMounts", read_only), none);
}

fn example(name: &str) -> Value {
    let path = format!("{}/examples/guide/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("an example");
    let all: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
    all.into_iter().find(|object| object["kind"] == "Pod").expect("a pod")
}

#[test]
fn the_samples_of_the_guide_are_evaluated_as_it_says() {
    let guide = Settings::built_in("guide").expect("built in");
    let standards: BTreeSet<_> =
        ids(&guide, &example("pod")).into_iter().filter(|id| id.starts_with("PSS-")).collect();
    assert_eq!(standards, BTreeSet::new());
    assert!(ids(&guide, &example("pod")).contains("HB-IMG-TAG"));
    let logging = ids(&guide, &example("logging"));
    assert!(!logging.iter().any(|id| id.starts_with("HB-LOG")), "{logging:?}");
    let env = ids(&guide, &example("secret-in-env"));
    assert!(!env.iter().any(|id| id.starts_with("HB-SECRET")), "{env:?}");
    assert!(!ids(&guide, &example("read-only-root")).contains("HB-ROFS"));
    assert!(!ids(&guide, &example("resources")).contains("HB-RES"));
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        Just(json!({})),
        Just(json!([])),
        any::<bool>().prop_map(|b| json!(b)),
        (-1_i64..70_000).prop_map(|n| json!(n)),
        prop::sample::select(vec![
            "",
            "ALL",
            "NET_RAW",
            "Default",
            "Unmasked",
            "RuntimeDefault",
            "Unconfined",
            "windows",
            "container_t",
            "latest",
            "Always",
            "0",
            "1Gi",
            "a/b:latest",
            "kernel.msgmax",
        ])
        .prop_map(|s| json!(s)),
    ]
}

fn any_place() -> impl Strategy<Value = String> {
    let spec = vec![
        "hostNetwork",
        "hostPID",
        "hostUsers",
        "os/name",
        "volumes/0",
        "volumes/0/hostPath",
        "volumes/0/emptyDir",
        "securityContext",
        "securityContext/runAsNonRoot",
        "securityContext/runAsUser",
        "securityContext/seccompProfile",
        "securityContext/seccompProfile/type",
        "securityContext/sysctls/0/name",
        "securityContext/seLinuxOptions/type",
        "securityContext/windowsOptions/hostProcess",
        "securityContext/fsGroup",
        "initContainers",
        "ephemeralContainers/0",
        "containers",
        "automountServiceAccountToken",
    ];
    let container = vec![
        "securityContext",
        "securityContext/privileged",
        "securityContext/capabilities",
        "securityContext/capabilities/add/0",
        "securityContext/capabilities/drop",
        "securityContext/procMount",
        "securityContext/allowPrivilegeEscalation",
        "securityContext/runAsNonRoot",
        "securityContext/readOnlyRootFilesystem",
        "securityContext/seccompProfile/type",
        "ports/0/hostPort",
        "ports/0/containerPort",
        "livenessProbe/httpGet/host",
        "lifecycle/preStop",
        "image",
        "env/0",
        "env/0/value",
        "env/0/name",
        "envFrom/0/secretRef",
        "resources/limits/memory",
        "volumeMounts/0",
        "name",
    ];
    let lists = prop::sample::select(vec!["containers/0", "initContainers/0", "containers/1"]);
    prop_oneof![
        prop::sample::select(spec).prop_map(|field| format!("/spec/{field}")),
        (lists, prop::sample::select(container))
            .prop_map(|(list, field)| format!("/spec/{list}/{field}")),
    ]
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.clone(), without_nulls(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn null_is_unset_and_nothing_makes_the_evaluator_stumble(
        changes in prop::collection::vec((any_place(), any_value()), 0..6),
        minor in 0_u16..=37,
    ) {
        let mut pod = good();
        for (place, value) in changes {
            set(&mut pod, &place, value);
        }
        let guide = Settings::built_in("guide").expect("built in");
        let level = Level::Restricted;
        let settings = Settings { pod_security: Some((level, PssVersion::Pinned(minor))), ..guide };
        prop_assert_eq!(paths(&settings, &pod), paths(&settings, &without_nulls(&pod)));
        let subject = subject_of(&pod).expect("a pod");
        for finding in evaluate(&settings, &subject) {
            prop_assert!(!finding.message.is_empty() && !finding.message.contains('\n'));
            prop_assert!(!finding.remedy.is_empty() && !finding.path.0.is_empty());
        }
    }

    #[test]
    fn restricted_refuses_whatever_baseline_refuses_but_for_what_it_replaces(
        changes in prop::collection::vec((any_place(), any_value()), 1..4),
        minor in 0_u16..=37,
    ) {
        let mut pod = good();
        for (place, value) in changes {
            set(&mut pod, &place, value);
        }
        // The checks in their place excuse Windows, and volumes that the API server itself refuses.
        let replaced = [
            "PSS-hostPathVolumes",
            "PSS-capabilities_baseline",
            "PSS-seccompProfile_baseline",
            "PSS-procMount",
        ];
        let mut baseline = ids(&standard(Level::Baseline, minor), &pod);
        baseline.retain(|id| !replaced.contains(id));
        let restricted = ids(&standard(Level::Restricted, minor), &pod);
        prop_assert!(baseline.is_subset(&restricted), "{:?} {:?}", baseline, restricted);
    }
}
