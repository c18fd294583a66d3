//! DNS: what is found in the cluster, and the traffic that keeps it reachable.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicyEgressRule, NetworkPolicyPeer, NetworkPolicyPort,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::api::gabion::namespace_hardening::DnsFound;
use crate::policy::selection::NAME_LABEL;

/// Services that are DNS, by namespace and name.
pub(crate) const DNS_SERVICES: [(&str, &str); 2] =
    [("kube-system", "kube-dns"), ("openshift-dns", "dns-default")];
/// `DaemonSet` of the DNS cache on each node.
pub(crate) const NODE_LOCAL: (&str, &str) = ("kube-system", "node-local-dns");
/// Address on which that cache listens unless its `DaemonSet` says otherwise.
pub(crate) const NODE_LOCAL_ADDRESS: &str = "169.254.20.10";
const DNS_PORT: i32 = 53;

/// What the cluster says about DNS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsFacts {
    /// The Services that were found.
    pub services: Vec<DnsService>,
    /// Addresses of the cache on each node; `None` when its `DaemonSet` is absent or could not be read.
    pub node_local: Option<Vec<IpNet>>,
}

/// One DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsService {
    /// Namespace of the Service.
    pub(crate) namespace: String,
    /// Name of the Service.
    pub(crate) name: String,
    /// Labels of the pods behind it.
    pub(crate) selector: BTreeMap<String, String>,
    /// Its addresses, of both families, each as a block of one.
    pub(crate) addresses: Vec<IpNet>,
    /// Ports of the pods that answer on port 53 of the Service.
    pub(crate) targets: Vec<IntOrString>,
}

impl DnsService {
    /// Reads a Service; `None` when it does not serve port 53.
    pub fn of(service: &Service) -> Option<Self> {
        let spec = service.spec.as_ref()?;
        let mut targets: Vec<IntOrString> = Vec::new();
        for port in spec.ports.iter().flatten().filter(|p| p.port == DNS_PORT) {
            let target = match &port.target_port {
                None | Some(IntOrString::Int(0)) => IntOrString::Int(port.port),
                Some(target) => target.clone(),
            };
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
        let texts = spec.cluster_ips.iter().flatten().chain(&spec.cluster_ip);
        let addresses: BTreeSet<IpNet> = texts.filter_map(|ip| single(ip)).collect();
        (!targets.is_empty()).then(|| Self {
            namespace: service.metadata.namespace.clone().unwrap_or_default(),
            name: service.metadata.name.clone().unwrap_or_default(),
            selector: spec.selector.clone().unwrap_or_default(),
            addresses: addresses.into_iter().collect(),
            targets,
        })
    }
}

/// Addresses in the `-localip` argument of the cache's `DaemonSet`; `None` when it names none.
pub(crate) fn node_local_addresses(set: &DaemonSet) -> Option<Vec<IpNet>> {
    let containers = &set.spec.as_ref()?.template.spec.as_ref()?.containers;
    let words: Vec<&String> = containers
        .iter()
        .flat_map(|c| c.command.iter().flatten().chain(c.args.iter().flatten()))
        .collect();
    let mut lists = words.iter().enumerate().filter_map(|(index, word)| {
        let flag = word.trim_start_matches('-');
        match flag.strip_prefix("localip") {
            Some("") if word.starts_with('-') => words.get(index + 1).map(|next| next.as_str()),
            Some(value) if word.starts_with('-') => value.strip_prefix('='),
            _ => None,
        }
    });
    let found: Vec<IpNet> = lists.next()?.split(',').filter_map(|ip| single(ip.trim())).collect();
    (!found.is_empty()).then_some(found)
}

/// The traffic that keeps DNS reachable, and what it was derived from.
pub(crate) fn reachable(facts: &DnsFacts) -> (Vec<NetworkPolicyEgressRule>, DnsFound) {
    let mut rules = Vec::new();
    let mut found = DnsFound::default();
    let mut sources = Vec::new();
    let mut addresses: BTreeSet<IpNet> = BTreeSet::new();
    for service in &facts.services {
        if !service.selector.is_empty() {
            rules.push(pods(&service.namespace, &service.selector, &service.targets));
        }
        addresses.extend(&service.addresses);
        sources.push(format!("Service {}/{}", service.namespace, service.name));
        found.ports.extend(service.targets.iter().map(port_text));
    }
    if facts.services.is_empty() {
        let selector = [("k8s-app".to_owned(), "kube-dns".to_owned())].into();
        rules.push(pods("kube-system", &selector, &[IntOrString::Int(DNS_PORT)]));
        sources.push("no Service found: pods k8s-app=kube-dns in kube-system".to_owned());
        found.ports.push(DNS_PORT.to_string());
    }
    match &facts.node_local {
        Some(listening) => {
            addresses.extend(listening);
            sources.push(format!("DaemonSet {}/{}", NODE_LOCAL.0, NODE_LOCAL.1));
        }
        None => addresses.extend(single(NODE_LOCAL_ADDRESS)),
    }
    let blocks: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let peers = blocks.iter().map(|cidr| NetworkPolicyPeer {
        ip_block: Some(IPBlock { cidr: cidr.clone(), except: None }),
        ..NetworkPolicyPeer::default()
    });
    rules.push(NetworkPolicyEgressRule {
        to: Some(peers.collect()),
        ports: Some(both_protocols(&[IntOrString::Int(DNS_PORT)])),
    });
    found.ports.sort();
    found.ports.dedup();
    found.addresses = blocks;
    found.source = sources.join(", ");
    (rules, found)
}

fn pods(
    namespace: &str,
    selector: &BTreeMap<String, String>,
    targets: &[IntOrString],
) -> NetworkPolicyEgressRule {
    let namespaces = [(NAME_LABEL.to_owned(), namespace.to_owned())].into();
    let peer = NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector {
            match_labels: Some(namespaces),
            ..LabelSelector::default()
        }),
        pod_selector: Some(LabelSelector {
            match_labels: Some(selector.clone()),
            ..LabelSelector::default()
        }),
        ip_block: None,
    };
    NetworkPolicyEgressRule { to: Some(vec![peer]), ports: Some(both_protocols(targets)) }
}

fn both_protocols(ports: &[IntOrString]) -> Vec<NetworkPolicyPort> {
    let pairs = ports.iter().flat_map(|port| [("UDP", port), ("TCP", port)]);
    pairs
        .map(|(protocol, port)| NetworkPolicyPort {
            protocol: Some(protocol.into()),
            port: Some(port.clone()),
            end_port: None,
        })
        .collect()
}

/// The block of one address; `None` when the text is no address, such as the `None` of a headless Service.
fn single(address: &str) -> Option<IpNet> {
    let v4 = || format!("{address}/32").parse::<Ipv4Net>().map(IpNet::V4);
    let v6 = || format!("{address}/128").parse::<Ipv6Net>().map(IpNet::V6);
    v4().or_else(|_| v6()).ok()
}

fn port_text(port: &IntOrString) -> String {
    match port {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(name) => name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn service() -> Service {
        serde_json::from_value(json!({
            "metadata": { "namespace": "openshift-dns", "name": "dns-default" },
            "spec": { "selector": { "dns.operator.openshift.io/daemonset-dns": "default" },
                "clusterIP": "172.30.0.10", "clusterIPs": ["172.30.0.10", "fd00::a"],
                "ports": [
                    { "name": "dns", "port": 53, "protocol": "UDP", "targetPort": "dns" },
                    { "name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": "dns-tcp" },
                    { "name": "metrics", "port": 9154, "protocol": "TCP", "targetPort": "metrics" }] } }))
        .expect("a Service")
    }

    #[test]
    fn a_service_gives_its_pods_targets_and_addresses_of_both_families() {
        let found = DnsService::of(&service()).expect("serves 53");
        assert_eq!(
            found.addresses,
            [single("172.30.0.10").expect("ip"), single("fd00::a").expect("ip")]
        );
        assert_eq!(
            found.targets,
            [IntOrString::String("dns".into()), IntOrString::String("dns-tcp".into())]
        );
        let facts = DnsFacts { services: vec![found], node_local: None };
        let (rules, reported) = reachable(&facts);
        assert_eq!(rules.len(), 2);
        assert_eq!(reported.addresses, ["169.254.20.10/32", "172.30.0.10/32", "fd00::a/128"]);
        assert_eq!(reported.source, "Service openshift-dns/dns-default");
    }

    #[test]
    fn a_headless_service_has_no_address() {
        let mut headless = service();
        let spec = headless.spec.as_mut().expect("spec");
        (spec.cluster_ip, spec.cluster_ips) = (Some("None".into()), Some(vec!["None".into()]));
        assert!(DnsService::of(&headless).expect("serves 53").addresses.is_empty());
    }

    #[test]
    fn nothing_found_falls_back_to_the_usual_names() {
        let (rules, reported) = reachable(&DnsFacts::default());
        let text = serde_json::to_string(&rules).expect("JSON");
        assert!(text.contains(r#""k8s-app":"kube-dns""#) && text.contains("169.254.20.10/32"));
        assert!(reported.source.starts_with("no Service found"));
    }

    #[test]
    fn the_listen_address_of_the_node_cache_is_read_from_its_arguments() {
        for (args, wanted) in [
            (json!(["-localip", "169.254.25.10,10.96.0.10", "-conf", "/etc/Corefile"]), Some(2)),
            (json!(["--localip=fd00::53"]), Some(1)),
            (json!(["-localip=169.254.20.10", "-upstreamsvc", "kube-dns-upstream"]), Some(1)),
            (json!(["-conf", "localip"]), None),
            (json!(["-localip", "nonsense"]), None),
        ] {
            let set = json!({ "metadata": {}, "spec": { "selector": {}, "template": { "metadata": {},
                "spec": { "containers": [{ "name": "node-cache", "args": args }] } } } });
            let set: DaemonSet = serde_json::from_value(set).expect("a DaemonSet");
            assert_eq!(node_local_addresses(&set).map(|found| found.len()), wanted, "{args}");
        }
    }
}
