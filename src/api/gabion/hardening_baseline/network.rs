//! Network isolation of the selected namespaces.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::selector::Selector;
use crate::api::crd_enum::crd_enum;
use crate::api::gabion::schema::cidr;
use crate::api::gabion::schema::dns_label;
use crate::api::gabion::schema::excepted_cidrs;
use crate::api::gabion::schema::label_selector;
use crate::api::gabion::schema::port;
use crate::api::gabion::schema::rules;

crd_enum! {
    /// A direction of traffic, seen from the pods of the namespace.
    Direction {
        /// Into the pods.
        Ingress = "Ingress",
        /// Out of the pods.
        Egress = "Egress",
    }
}

crd_enum! {
    /// How pods keep reaching DNS when egress is denied.
    Dns {
        /// Look for the cluster's DNS and allow exactly that.
        Auto = "Auto",
        /// The allow rules say it.
        Custom = "Custom",
        /// The pods need none.
        None = "None",
    }
}

crd_enum! {
    /// The service mesh whose plumbing must stay reachable.
    Mesh {
        /// No mesh.
        None = "None",
        /// Istio with sidecars.
        IstioSidecar = "IstioSidecar",
        /// Istio in ambient mode.
        IstioAmbient = "IstioAmbient",
    }
}

crd_enum! {
    /// What happens to network policies that users add beside the generated ones.
    UserPolicies {
        /// Nothing.
        Ignore = "Ignore",
        /// Policies that are wider than the baseline are reported.
        Report = "Report",
        /// Policies that are wider than the baseline are refused.
        Deny = "Deny",
    }
}

crd_enum! {
    /// A transport protocol.
    Protocol {
        /// TCP.
        Tcp = "TCP",
        /// UDP.
        Udp = "UDP",
        /// SCTP.
        Sctp = "SCTP",
    }
}

/// Default deny, and what stays open.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    (
        "(has(self.acknowledgeAnyCIDR) && self.acknowledgeAnyCIDR) || !has(self.allow) || self.allow.all(r, (has(r.acknowledgeAnyCIDR) && r.acknowledgeAnyCIDR) || ((!has(r.from) || r.from.all(p, !has(p.ipBlock) || !p.ipBlock.cidr.endsWith('/0'))) && (!has(r.toPeers) || r.toPeers.all(p, !has(p.ipBlock) || !p.ipBlock.cidr.endsWith('/0')))))",
        "allow: a rule opens to every address (0.0.0.0/0 or ::/0); name a smaller block, or set acknowledgeAnyCIDR: true on the rule",
    ),
])))]
pub struct Network {
    /// Directions that are denied unless allowed. Default: [Ingress, Egress].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2), extend("x-kubernetes-list-type" = "set"))]
    pub default_deny: Option<Vec<Direction>>,
    /// How DNS stays reachable when egress is denied. Default: Auto.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<Dns>,
    /// Service mesh whose plumbing stays reachable. Not acted on yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mesh: Option<Mesh>,
    /// Traffic that stays open under the default deny.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub allow: Vec<AllowRule>,
    /// Join the rules of a baseline with a higher priority instead of being replaced by them. Default: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub additive: Option<bool>,
    /// What happens to policies that users add themselves and that open to everyone what is denied. Deny is for stage Enforce, and
    /// reports before it. Default: Report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard_user_policies: Option<UserPolicies>,
    /// Count an equivalent policy of the user as ours and create none. Not acted on yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub respect_existing: Option<bool>,
    /// Every rule of this baseline may name 0.0.0.0/0 or ::/0. Default: false.
    #[serde(rename = "acknowledgeAnyCIDR", default, skip_serializing_if = "Option::is_none")]
    #[schemars(rename = "acknowledgeAnyCIDR")]
    pub acknowledge_any_cidr: Option<bool>,
}

/// Traffic that stays open: into pods of the namespace (`to` and `from`), or out of them (`fromPods` and
/// `toPeers`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    (
        "has(self.toPeers) ? !has(self.from) && !has(self.to) : has(self.from) && !has(self.fromPods)",
        "a rule needs peers: either from (with to: the pods that may be reached) or toPeers (with fromPods: the pods that may reach them)",
    ),
    ("self.name != 'dns'", "the name dns is taken by the generated rule for DNS; choose another name"),
])))]
pub struct AllowRule {
    /// Name of the rule, part of the name of the generated policy.
    #[schemars(schema_with = "dns_label")]
    pub name: String,
    /// Pods of the namespace that may be reached; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "label_selector")]
    pub to: Option<Selector>,
    /// Who may reach them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub from: Vec<Peer>,
    /// Pods of the namespace that may reach out; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "label_selector")]
    pub from_pods: Option<Selector>,
    /// What they may reach.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub to_peers: Vec<Peer>,
    /// Ports of the receiving pods; every port when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub ports: Vec<AllowPort>,
    /// This rule may name 0.0.0.0/0 or ::/0. Default: false.
    #[serde(rename = "acknowledgeAnyCIDR", default, skip_serializing_if = "Option::is_none")]
    #[schemars(rename = "acknowledgeAnyCIDR")]
    pub acknowledge_any_cidr: Option<bool>,
}

/// One side of a connection. podSelector alone means pods of the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    (
        "has(self.podSelector) || has(self.namespaceSelector) || has(self.ipBlock)",
        "an empty peer would mean everyone; name a podSelector, a namespaceSelector or an ipBlock",
    ),
    (
        "!has(self.ipBlock) || (!has(self.podSelector) && !has(self.namespaceSelector))",
        "ipBlock stands alone; write the selectors as a second peer",
    ),
])))]
pub struct Peer {
    /// Pods with these labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "label_selector")]
    pub pod_selector: Option<Selector>,
    /// In namespaces with these labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "label_selector")]
    pub namespace_selector: Option<Selector>,
    /// Addresses outside the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_block: Option<IpBlock>,
}

/// A block of addresses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("x-kubernetes-validations" = rules(&[(
    "!has(self.except) || !isCIDR(self.cidr) || self.except.all(e, !isCIDR(e) || (cidr(self.cidr).containsCIDR(e) && cidr(e).prefixLength() > cidr(self.cidr).prefixLength()))",
    "except must lie inside cidr, and be smaller",
)])))]
pub struct IpBlock {
    /// The block, such as 10.0.0.0/8.
    #[schemars(schema_with = "cidr")]
    pub cidr: String,
    /// Blocks inside it that stay closed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "excepted_cidrs")]
    pub except: Vec<String>,
}

/// A port, or a range of ports, of the receiving pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[(
    "!has(self.endPort) || (has(self.port) && (type(self.port) == int ? int(self.port) <= self.endPort : false))",
    "endPort needs a numeric port that is not above it",
)])))]
pub struct AllowPort {
    /// Transport protocol. Default: TCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// Number or name of the port; every port of the protocol when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "port")]
    pub port: Option<IntOrString>,
    /// Last port of a range that begins with port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535))]
    pub end_port: Option<i32>,
}
