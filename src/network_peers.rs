//! Whether the peers of a network policy mean everyone, whatever words say so.
//!
//! One place decides this for the definition's own rules, for the policies of users, and for `gabion check`.

use ipnet::IpNet;
use k8s_openapi::api::networking::v1::{NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// Label that the API server puts on every namespace.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// Ports that make a rule for outgoing traffic as good as one without ports.
const MANY_PORTS: i64 = 1 << 15;
/// IPv4 blocks without public addresses.
const NOT_PUBLIC: [&str; 9] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/3",
];
/// The public part of IPv6.
const PUBLIC_V6: &str = "2000::/3";

/// Why peers mean everyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Everyone {
    /// There is no peer, or one without any field.
    Unrestricted,
    /// Most addresses of a family, or most of its public ones.
    Addresses,
    /// Every pod of every namespace.
    Pods,
}

impl Everyone {
    /// For a message.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unrestricted => "everyone, as it is empty",
            Self::Addresses => "every address",
            Self::Pods => "every pod of every namespace",
        }
    }
}

/// Whether peers together mean everyone. No peers at all mean everyone, too.
pub(crate) fn everyone(peers: &[NetworkPolicyPeer]) -> Option<Everyone> {
    let is_empty = |peer: &NetworkPolicyPeer| *peer == NetworkPolicyPeer::default();
    if peers.is_empty() || peers.iter().any(is_empty) {
        return Some(Everyone::Unrestricted);
    }
    if namespace_selectors(peers).any(holds_always) {
        return Some(Everyone::Pods);
    }
    most_addresses(peers).then_some(Everyone::Addresses)
}

/// Whether the blocks of peers together hold most addresses of a family, or most of its public ones.
pub(crate) fn most_addresses(peers: &[NetworkPolicyPeer]) -> bool {
    let blocks = peers.iter().filter_map(|peer| peer.ip_block.as_ref());
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for block in blocks {
        let Some(cidr) = parse(&block.cidr) else { continue };
        let except: Vec<_> = block.except.iter().flatten().filter_map(|text| parse(text)).collect();
        let kept = without(vec![range(&cidr)], except.iter().filter(|e| same_family(e, &cidr)));
        if matches!(cidr, IpNet::V4(_)) { v4.extend(kept) } else { v6.extend(kept) }
    }
    let public_v6: Vec<_> = parse(PUBLIC_V6).iter().map(range).collect();
    is_most(&v4, &[(0, u128::from(u32::MAX))])
        || is_most(&v4, &public_v4())
        || is_most(&v6, &[(0, u128::MAX)])
        || is_most(&v6, &public_v6)
}

/// Half of the public addresses of IPv4.
pub(crate) fn half_of_public_v4() -> u128 {
    public_v4().iter().map(|(first, last)| last - first + 1).sum::<u128>() / 2
}

fn public_v4() -> Vec<Range> {
    let not_public: Vec<_> = NOT_PUBLIC.iter().filter_map(|text| parse(text)).collect();
    without(vec![(0, u128::from(u32::MAX))], not_public.iter())
}

/// Selectors of namespaces of those peers that mean every pod there. What they hold for depends on the cluster.
pub(crate) fn namespace_selectors(
    peers: &[NetworkPolicyPeer],
) -> impl Iterator<Item = &LabelSelector> {
    let all_pods = |peer: &&NetworkPolicyPeer| peer.pod_selector.as_ref().is_none_or(holds_always);
    peers.iter().filter(all_pods).filter_map(|peer| peer.namespace_selector.as_ref())
}

/// Whether ports leave so little that a rule for outgoing traffic may leave its peers out: DNS and the
/// internet are meant to be reachable so.
pub(crate) fn few_ports(ports: &[NetworkPolicyPort]) -> bool {
    let count = |port: &NetworkPolicyPort| match (&port.port, port.end_port) {
        (None, _) => MANY_PORTS,
        (Some(IntOrString::Int(first)), Some(last)) => i64::from(last) - i64::from(*first) + 1,
        _ => 1,
    };
    !ports.is_empty() && ports.iter().map(count).fold(0, i64::saturating_add) < MANY_PORTS
}

/// Whether a selector holds for everything: it is empty, or asks only for the label that every namespace has.
fn holds_always(selector: &LabelSelector) -> bool {
    let labels = selector.match_labels.iter().flatten();
    let expressions = selector.match_expressions.iter().flatten();
    labels.count() == 0
        && expressions.into_iter().all(|e| e.key == NAME_LABEL && e.operator == "Exists")
}

/// First and last address, as numbers.
type Range = (u128, u128);

fn parse(text: &str) -> Option<IpNet> {
    text.parse().ok()
}

fn same_family(a: &IpNet, b: &IpNet) -> bool {
    matches!(a, IpNet::V4(_)) == matches!(b, IpNet::V4(_))
}

fn range(net: &IpNet) -> Range {
    match net {
        IpNet::V4(net) => (u128::from(u32::from(net.network())), u32::from(net.broadcast()).into()),
        IpNet::V6(net) => (net.network().into(), net.broadcast().into()),
    }
}

/// The ranges without some blocks, of which a user may write tens of thousands.
fn without<'a>(ranges: Vec<Range>, blocks: impl Iterator<Item = &'a IpNet>) -> Vec<Range> {
    let mut taken: Vec<Range> = blocks.map(range).collect();
    taken.sort_unstable();
    let mut kept = Vec::new();
    for (first, last) in ranges {
        let mut next = Some(first);
        for (from, to) in &taken {
            let Some(start) = next.filter(|start| *start <= last) else { break };
            if *to < start {
                continue;
            }
            if *from > start {
                kept.push((start, last.min(from - 1)));
            }
            next = to.checked_add(1);
        }
        kept.extend(next.filter(|start| *start <= last).map(|start| (start, last)));
    }
    kept
}

/// Whether `ranges` hold at least half of `whole`. The ranges may overlap; those of `whole` do not.
fn is_most(ranges: &[Range], whole: &[Range]) -> bool {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable();
    let mut joined: Vec<Range> = Vec::new();
    for (first, last) in sorted {
        match joined.last_mut() {
            Some((_, end)) if first <= *end => *end = (*end).max(last),
            _ => joined.push((first, last)),
        }
    }
    let halves = |(first, last): Range| (last - first) / 2 + 1;
    let common = |a: Range, b: Range| {
        let (first, last) = (a.0.max(b.0), a.1.min(b.1));
        (first <= last).then_some((first, last))
    };
    let held: u128 = joined
        .iter()
        .flat_map(|a| whole.iter().filter_map(|b| common(*a, *b)))
        .map(halves)
        .fold(0, u128::saturating_add);
    // In halves, so that all of IPv6 can be counted.
    let all: u128 = whole.iter().copied().map(halves).fold(0, u128::saturating_add);
    held != 0 && held >= all / 2
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn why(peers: &Value) -> Option<Everyone> {
        let peers: Vec<NetworkPolicyPeer> = serde_json::from_value(peers.clone()).unwrap();
        everyone(&peers)
    }

    fn blocks(cidrs: &[&str]) -> Value {
        cidrs.iter().map(|cidr| json!({"ipBlock": {"cidr": cidr}})).collect()
    }

    #[test]
    fn addresses_are_evaluated_by_what_all_blocks_hold_together() {
        for (cidrs, open) in [
            (&["0.0.0.0/0"][..], true),
            (&["::/0"], true),
            (&["0.0.0.0/1", "128.0.0.0/1"], true),
            (&["0.0.0.0/2", "64.0.0.0/2"], true),
            (&["2000::/4", "3000::/4"], true),
            (&["2000::/3"], true),
            (&["0.0.0.0/2", "0.0.0.0/2"], false),
            (&["10.0.0.0/8", "192.168.0.0/16"], false),
            (&["203.0.113.0/24"], false),
            (&["2001:db8::/32"], false),
            (&["nonsense"], false),
        ] {
            let found = why(&blocks(cidrs));
            assert_eq!(found, open.then_some(Everyone::Addresses), "{cidrs:?}");
        }
    }

    #[test]
    fn what_is_taken_out_of_a_block_does_not_count() {
        let block = |except: &[&str]| json!([{"ipBlock": {"cidr": "0.0.0.0/0", "except": except}}]);
        assert!(why(&block(&["10.0.0.0/8"])).is_some());
        assert!(why(&block(&["0.0.0.0/1", "128.0.0.0/2", "192.0.0.0/2"])).is_none());
    }

    #[test]
    fn selectors_are_evaluated_by_what_they_hold_for() {
        let name = json!({"matchExpressions": [{"key": NAME_LABEL, "operator": "Exists"}]});
        let web = json!({"matchLabels": {"app": "web"}});
        for (peers, wanted) in [
            (json!([]), Some(Everyone::Unrestricted)),
            (json!([{}]), Some(Everyone::Unrestricted)),
            (json!([{"namespaceSelector": {}}]), Some(Everyone::Pods)),
            (json!([{"namespaceSelector": name}]), Some(Everyone::Pods)),
            (json!([{"namespaceSelector": name, "podSelector": {}}]), Some(Everyone::Pods)),
            (json!([{"namespaceSelector": name, "podSelector": web}]), None),
            (json!([{"namespaceSelector": web}]), None),
            (json!([{"podSelector": {}}]), None),
        ] {
            assert_eq!(why(&peers), wanted, "{peers}");
        }
    }

    #[test]
    fn a_range_of_most_ports_is_no_bound() {
        let few = |ports: Value| few_ports(&serde_json::from_value::<Vec<_>>(ports).unwrap());
        assert!(few(json!([{"port": 53}])) && few(json!([{"port": "web"}])));
        assert!(!few(json!([])) && !few(json!([{"protocol": "TCP"}])));
        assert!(!few(json!([{"port": 1, "endPort": 65_535}])));
        assert!(!few(json!([{"port": 1, "endPort": 20_000}, {"port": 20_001, "endPort": 60_000}])));
    }

    #[test]
    fn what_is_taken_out_is_taken_out_in_any_order_and_overlap() {
        let net = |text: &str| parse(text).unwrap();
        let blocks =
            [net("10.0.0.0/30"), net("10.0.0.8/29"), net("10.0.0.10/32"), net("0.0.0.0/6")];
        let whole = range(&net("10.0.0.0/28"));
        let expected = [(whole.0 + 4, whole.0 + 7)];
        for turn in 0..blocks.len() {
            let turned = blocks.iter().cycle().skip(turn).take(blocks.len());
            assert_eq!(without(vec![whole], turned), expected, "{turn}");
        }
        let all = (0, u128::MAX);
        assert!(without(vec![all], [net("::/0")].iter()).is_empty());
        assert_eq!(without(vec![all], [net("8000::/1")].iter()), [(0, u128::MAX / 2)]);
        assert_eq!(without(vec![all], std::iter::empty()), [all]);
    }

    /// As many as fit into an object: each in turn against all that is left would take minutes.
    #[test]
    fn a6_a_block_with_very_many_exceptions_costs_little() {
        let except: Vec<_> =
            (0..60_000).map(|nth| format!("10.{}.{}.1/32", nth / 250, nth % 250)).collect();
        let begun = std::time::Instant::now();
        let peers = json!([{ "ipBlock": { "cidr": "0.0.0.0/0", "except": except } }]);
        assert_eq!(why(&peers), Some(Everyone::Addresses));
        assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    }
}
