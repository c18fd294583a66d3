//! Scenario 3: allow before deny, and DNS survives; and DNS is found where it is.

use serde_json::{Value, json};
use support::{
    Cluster, ControlPlane, Options, Result, Subsystem, condition, fetch,
    network_evaluator::{End, Network},
    repository,
};

use crate::{
    recorder::{Record, Recorder},
    scene::{Scene, frontend_to_backend},
};

fn end(namespace: Option<&str>, labels: Value, address: &str, ports: &[(&str, &str, i64)]) -> End {
    let ports = ports
        .iter()
        .map(|(name, protocol, number)| ((*name).to_owned(), (*protocol).to_owned(), *number));
    End {
        name: format!("{} {labels} {address}", namespace.unwrap_or("outside")),
        namespace: namespace.map(ToOwned::to_owned),
        labels,
        address: address.parse().expect("an address"),
        ports: ports.collect(),
    }
}

/// Pods of a namespace that asks for frontend -> backend.
fn pods(ns: &str) -> Vec<End> {
    let apps = ["frontend", "backend", "other"].iter().zip(1..);
    apps.map(|(app, last)| end(Some(ns), json!({"app": app}), &format!("10.1.0.{last}"), &[]))
        .collect()
}

/// Where DNS listens: ends, each with protocol and port.
type Listeners = Vec<(End, &'static str, i64)>;

/// The one that is assumed where nothing is found.
fn usual_dns() -> Listeners {
    let mut all = Vec::new();
    for protocol in ["UDP", "TCP"] {
        let labels = json!({"k8s-app": "kube-dns"});
        all.push((end(Some("kube-system"), labels, "10.1.9.1", &[]), protocol, 53));
        all.push((end(None, json!({}), "169.254.20.10", &[]), protocol, 53));
    }
    all
}

/// The policies of a namespace after each event, from none on.
fn states(ns: &str, records: &[Record]) -> Vec<Network> {
    let namespaces = ["kube-system", "openshift-dns", "elsewhere", ns];
    let namespaces: Vec<_> = namespaces
        .iter()
        .map(|name| ((*name).to_owned(), json!({"kubernetes.io/metadata.name": name})))
        .collect();
    let mut policies: Vec<Value> = Vec::new();
    let mut states = Vec::new();
    for (what, object) in records {
        policies.retain(|known| known["metadata"]["name"] != object["metadata"]["name"]);
        if *what != "DELETED" {
            policies.push(object.clone());
        }
        states.push(Network { namespaces: namespaces.clone(), policies: policies.clone() });
    }
    states
}

fn denies(network: &Network) -> bool {
    network.policies.iter().any(|policy| policy["metadata"]["name"] == "gabion-default-deny")
}

/// Every pod reaches DNS; where the deny is in force, only the asked edge is open besides.
fn assert_open_as_asked(ns: &str, network: &Network, listeners: &Listeners, when: &str) {
    for pod in pods(ns) {
        for (listener, protocol, port) in listeners {
            let passes = network.passes(&pod, listener, protocol, *port);
            assert!(passes, "{when}: {} -> {} {protocol} {port}", pod.name, listener.name);
        }
    }
    if !denies(network) {
        return;
    }
    let outside = [
        end(None, json!({}), "192.0.2.7", &[]),
        end(Some("elsewhere"), json!({"app": "frontend"}), "10.1.5.1", &[]),
    ];
    let ends: Vec<End> = pods(ns).into_iter().chain(outside).collect();
    for from in &ends {
        for to in ends.iter().filter(|to| to.name != from.name) {
            let within = |end: &End| end.namespace.as_deref() == Some(ns);
            if !within(from) && !within(to) {
                continue;
            }
            for (protocol, port) in [("TCP", 8080), ("UDP", 8080), ("TCP", 443), ("TCP", 53)] {
                let asked = from.labels["app"] == "frontend" && to.labels["app"] == "backend";
                let asked =
                    asked && within(from) && within(to) && (protocol, port) == ("TCP", 8080);
                let passes = network.passes(from, to, protocol, port);
                assert_eq!(passes, asked, "{when}: {} -> {} {protocol} {port}", from.name, to.name);
            }
        }
    }
}

/// Position of an event.
fn at(texts: &[String], event: &str) -> usize {
    texts.iter().position(|text| text == event).unwrap_or_else(|| panic!("no {event} in {texts:?}"))
}

#[tokio::test]
async fn what_stays_open_comes_before_the_deny_and_goes_after_it() -> Result<()> {
    let scene = Scene::new("ordered").await?;
    let recorder = Recorder::start(&scene.cluster, "NetworkPolicy", "ordered").await?;
    let sections = json!({
        "rollout": {"target": "Observe"},
        "network": {"allow": [frontend_to_backend()]},
    });
    scene.baseline("ordered", sections).await?;
    scene.effective_says("ordered", "True", "Applied").await?;
    assert_eq!(recorder.texts(), Vec::<String>::new());

    scene.change("ordered", json!({"rollout": {"target": "Enforce"}})).await?;
    scene.effective("ordered", |status| status["stage"] == "Enforce").await?;
    scene.hardened("ordered", &["ordered"]).await?;

    let arrival = recorder.texts();
    assert_eq!(arrival.len(), 4, "{arrival:?}");
    assert_eq!(at(&arrival, "ADDED gabion-allow-dns"), 2);
    assert_eq!(at(&arrival, "ADDED gabion-default-deny"), 3);
    for (index, network) in states("ordered", &recorder.all()).iter().enumerate() {
        assert_open_as_asked("ordered", network, &usual_dns(), &arrival[index]);
    }

    scene.take_back("ordered").await?;
    scene.bare("ordered").await?;

    let departure = recorder.texts().split_off(4);
    assert_eq!(departure.len(), 4, "{departure:?}");
    assert_eq!(at(&departure, "DELETED gabion-default-deny"), 0);
    assert_eq!(at(&departure, "DELETED gabion-allow-dns"), 1);
    for network in &states("ordered", &recorder.all())[4..] {
        assert_open_as_asked("ordered", network, &usual_dns(), "on the way out");
    }
    Ok(())
}

#[tokio::test]
async fn a_rule_that_changes_leaves_no_moment_without_dns() -> Result<()> {
    let scene = Scene::new("changing").await?;
    let recorder = Recorder::start(&scene.cluster, "NetworkPolicy", "changing").await?;
    let other = json!({
        "name": "scrape",
        "to": {"matchLabels": {"app": "other"}},
        "from": [{"ipBlock": {"cidr": "198.51.100.0/24"}}],
        "ports": [{"port": 9090}],
    });
    scene.baseline("changing", json!({"network": {"allow": [other]}})).await?;
    scene.hardened("changing", &["changing"]).await?;

    scene.change("changing", json!({"network": {"allow": [frontend_to_backend()]}})).await?;
    scene.cluster.gone("NetworkPolicy", "changing", "gabion-allow-scrape").await?;
    scene.hardened("changing", &["changing"]).await?;

    let texts = recorder.texts();
    let new = at(&texts, "ADDED gabion-allow-frontend-to-backend");
    assert!(new < at(&texts, "DELETED gabion-allow-scrape"), "{texts:?}");
    assert!(!texts.contains(&"DELETED gabion-default-deny".to_owned()), "{texts:?}");
    let states = states("changing", &recorder.all());
    for network in &states {
        for pod in pods("changing") {
            for (listener, protocol, port) in usual_dns() {
                assert!(network.passes(&pod, &listener, protocol, port), "{}", pod.name);
            }
        }
    }
    assert_open_as_asked("changing", states.last().unwrap(), &usual_dns(), "at the end");
    Ok(())
}

fn dns_service(namespace: &str, name: &str, addresses: &Value) -> Value {
    json!({
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "clusterIP": addresses[0],
            "clusterIPs": addresses,
            "ipFamilyPolicy": "PreferDualStack",
            "selector": {"dns": name},
            "ports": [
                {"name": "dns", "protocol": "UDP", "port": 53, "targetPort": 5353},
                {"name": "dns-tcp", "protocol": "TCP", "port": 53, "targetPort": "dns-tcp"},
                {"name": "metrics", "protocol": "TCP", "port": 9153, "targetPort": 9153},
            ],
        },
    })
}

fn node_cache(addresses: &str) -> Value {
    json!({
        "kind": "DaemonSet",
        "metadata": {"name": "node-local-dns", "namespace": "kube-system"},
        "spec": {
            "selector": {"matchLabels": {"k8s-app": "node-local-dns"}},
            "template": {
                "metadata": {"labels": {"k8s-app": "node-local-dns"}},
                "spec": {"containers": [{
                    "name": "node-cache",
                    "image": "registry.example.com/node-cache:1",
                    "args": ["-localip", addresses, "-conf", "/etc/Corefile"],
                }]},
            },
        },
    })
}

/// What a found DNS listens on.
fn found_dns(namespace: &str, name: &str) -> Listeners {
    let labels = json!({"dns": name});
    let pod = end(Some(namespace), labels, "10.1.9.7", &[("dns-tcp", "TCP", 5300)]);
    vec![(pod.clone(), "UDP", 5353), (pod, "TCP", 5300)]
}

fn addresses(texts: &[&str]) -> Listeners {
    let pairs = texts.iter().flat_map(|text| [(text, "UDP"), (text, "TCP")]);
    pairs.map(|(text, protocol)| (end(None, json!({}), text, &[]), protocol, 53)).collect()
}

async fn present(cluster: &Cluster, ns: &str) -> Result<Network> {
    let records: Vec<Record> =
        cluster.list("NetworkPolicy", ns).await?.into_iter().map(|p| ("ADDED", p)).collect();
    Ok(states(ns, &records).pop().unwrap_or_default())
}

/// A control plane with two address families, where OpenShift's own DNS may be looked at.
fn plane_of_two_families() -> Result<ControlPlane> {
    let plane = Subsystem::Hardening.control_plane(&Options {
        apiserver: vec!["--service-cluster-ip-range=10.96.0.0/16,fd00:96::/112".into()],
        ..Options::default()
    })?;
    plane.kubectl(&["create", "namespace", "openshift-dns"])?;
    let file = "config/overlays/openshift/rbac-dns.yaml";
    let rights = std::fs::read_to_string(repository().join(file))?;
    plane.admin()?.apply_yaml(&rights)?;
    Ok(plane)
}

#[tokio::test]
async fn dns_is_found_where_it_is_and_followed_when_it_moves() -> Result<()> {
    let env = Subsystem::Hardening.start_on(plane_of_two_families()?, &[])?;
    let scene = Scene::within(&env, "shop").await?;
    let cluster = &scene.cluster;
    scene.baseline("shop", json!({"network": {"allow": [frontend_to_backend()]}})).await?;
    let status = scene.hardened("shop", &["shop"]).await?;
    assert!(status["dns"]["source"].as_str().unwrap().starts_with("no Service found"), "{status}");
    let network = present(cluster, "shop").await?;
    assert_open_as_asked("shop", &network, &usual_dns(), "nothing is found");

    let recorder = Recorder::start(cluster, "NetworkPolicy", "shop").await?;
    let ips = json!(["10.96.0.10", "fd00:96::a"]);
    cluster.create(dns_service("kube-system", "kube-dns", &ips)).await?;
    let status = scene
        .effective("shop", |status| status["dns"]["source"] == "Service kube-system/kube-dns")
        .await?;
    let dns = &status["dns"];
    assert_eq!(dns["ports"], json!(["5353", "dns-tcp"]), "{dns}");
    assert_eq!(dns["addresses"], json!(["10.96.0.10/32", "169.254.20.10/32", "fd00:96::a/128"]));
    let mut listeners = found_dns("kube-system", "kube-dns");
    listeners.extend(addresses(&["10.96.0.10", "fd00:96::a", "169.254.20.10"]));
    assert_open_as_asked("shop", &present(cluster, "shop").await?, &listeners, "a Service");

    cluster.create(node_cache("169.254.25.10,10.96.0.10")).await?;
    let status = scene
        .effective("shop", |status| status["dns"]["source"].to_string().contains("DaemonSet"))
        .await?;
    let wanted = json!(["10.96.0.10/32", "169.254.25.10/32", "fd00:96::a/128"]);
    assert_eq!(status["dns"]["addresses"], wanted);
    let mut listeners = found_dns("kube-system", "kube-dns");
    listeners.extend(addresses(&["10.96.0.10", "fd00:96::a", "169.254.25.10"]));
    let network = present(cluster, "shop").await?;
    assert_open_as_asked("shop", &network, &listeners, "a cache on each node");
    let (usual, _, _) = &usual_dns()[1];
    assert!(!network.passes(&pods("shop")[0], usual, "UDP", 53), "nothing listens there");

    // OpenShift's, beside the other.
    let ips = json!(["10.96.0.11"]);
    cluster.create(dns_service("openshift-dns", "dns-default", &ips)).await?;
    scene
        .effective("shop", |status| status["dns"]["source"].to_string().contains("openshift-dns"))
        .await?;
    listeners.extend(found_dns("openshift-dns", "dns-default"));
    listeners.extend(addresses(&["10.96.0.11"]));
    assert_open_as_asked("shop", &present(cluster, "shop").await?, &listeners, "OpenShift");

    cluster.delete("Service", "kube-system", "kube-dns").await?;
    cluster.delete("DaemonSet", "kube-system", "node-local-dns").await?;
    scene
        .effective("shop", |status| status["dns"]["source"] == "Service openshift-dns/dns-default")
        .await?;
    let texts = recorder.texts();
    // The policy of a rule for outgoing traffic contains what keeps DNS open, too.
    let follows = ["MODIFIED gabion-allow-dns", "MODIFIED gabion-egress-frontend-to-backend"];
    assert!(texts.iter().all(|text| follows.contains(&text.as_str())), "{texts:?}");
    Ok(())
}

#[tokio::test]
async fn a_cluster_that_is_not_openshift_is_not_troubled_by_it() -> Result<()> {
    let scene = Scene::new("no-openshift").await?;
    scene.baseline("no-openshift", json!({"network": {}})).await?;
    scene.hardened("no-openshift", &["no-openshift"]).await?;

    assert_eq!(fetch(&scene.env.health, "/readyz").await?.0, 200);
    let log = scene.env.operator.log();
    let refusals = log.lines().filter(|line| line.contains("not followed")).count();
    assert_eq!(refusals, 1, "{log}");
    let ready = scene.baseline_says("no-openshift", "Ready", "True", "Applied").await?;
    assert_eq!(condition(&json!({"status": {"conditions": [ready]}}), "Ready")["status"], "True");
    Ok(())
}
