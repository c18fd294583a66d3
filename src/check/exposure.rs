//! How traffic comes in: Services and Ingresses.

use serde_json::Value;

use crate::policy::ControlId;
use crate::policy::FieldPath;
use crate::policy::Finding;

/// What is wrong with a Service.
pub(crate) fn of_service(service: &Value) -> Vec<Finding> {
    let spec = &service["spec"];
    let at = |key: &str| FieldPath::default().key("spec").key(key);
    let mut findings = Vec::new();
    if spec["type"] == "NodePort" {
        let message =
            "the Service opens a port on every node, which bypasses an Ingress and its TLS";
        findings.push(Finding::new(ControlId::HbSvcNodePort, at("type"), message));
    }
    if spec["externalIPs"].as_array().is_some_and(|addresses| !addresses.is_empty()) {
        let message = "externalIPs redirects traffic for these addresses, whoever owns them";
        findings.push(Finding::new(ControlId::HbSvcExternalIp, at("externalIPs"), message));
    }
    findings
}

/// What is wrong with an Ingress.
pub(crate) fn of_ingress(ingress: &Value) -> Vec<Finding> {
    if is_encrypted_elsewhere(ingress) {
        return Vec::new();
    }
    let list = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
    let spec = &ingress["spec"];
    let at = FieldPath::default().key("spec");
    let tls = list(&spec["tls"]);
    if tls.is_empty() {
        let message = "the Ingress has no tls: requests cross the network unencrypted";
        return vec![Finding::new(ControlId::HbIngTls, at.key("tls"), message)];
    }
    // An entry without hosts is for all of them.
    if tls.iter().any(|entry| list(&entry["hosts"]).is_empty()) {
        return Vec::new();
    }
    let covered: Vec<_> = tls.iter().flat_map(|entry| list(&entry["hosts"])).collect();
    let rules = list(&spec["rules"]);
    let bare = rules.iter().enumerate().filter_map(|(number, rule)| {
        let host = rule["host"].as_str().filter(|host| !host.is_empty())?;
        let is_covered = covered.iter().filter_map(Value::as_str).any(|own| covers(own, host));
        (!is_covered).then(|| {
            let message =
                format!("no entry of tls names the host {:?}", super::object::short(host));
            Finding::new(ControlId::HbIngTls, at.key("rules").index(number).key("host"), message)
        })
    });
    bare.collect()
}

/// `*.example.com` covers one more label.
fn covers(own: &str, host: &str) -> bool {
    let below = |suffix: &str| host.split_once('.').is_some_and(|(_, rest)| rest == suffix);
    own == host || own.strip_prefix("*.").is_some_and(below)
}

/// Whether an annotation makes something other than the field `tls` end the encryption: a load balancer with a
/// certificate of its own, or the pods themselves. What annotations say about the way to the pods, about clients or about
/// redirects encrypts nothing on the way in.
fn is_encrypted_elsewhere(ingress: &Value) -> bool {
    let annotations = &ingress["metadata"]["annotations"];
    let stated = |key: &str| annotations[key].as_str().map(str::trim);
    // A list of ports decides for every load balancer that has one, whatever certificate is named.
    if let Some(ports) = stated("alb.ingress.kubernetes.io/listen-ports") {
        return listens_encrypted(ports);
    }
    let mut all = annotations.as_object().into_iter().flatten();
    all.any(|(key, value)| value.as_str().is_some_and(|value| ends_tls(key, value.trim())))
}

/// `[{"HTTP": 80}, {"HTTPS": 443}]`.
fn listens_encrypted(ports: &str) -> bool {
    let entries: Vec<serde_json::Map<String, Value>> =
        serde_json::from_str(ports).unwrap_or_default();
    entries.iter().flat_map(|entry| entry.keys()).any(|protocol| protocol == "HTTPS")
}

/// What an annotation has to say.
enum Says {
    /// Anything: it names a certificate.
    Something,
    /// Yes.
    True,
}

/// Whether one annotation ends TLS. Each ingress controller has its own names for this.
fn ends_tls(key: &str, value: &str) -> bool {
    const KNOWN: [(&str, Says); 19] = [
        ("alb.ingress.kubernetes.io/certificate-arn", Says::Something),
        ("networking.gke.io/managed-certificates", Says::Something),
        ("networking.gke.io/certmap", Says::Something),
        ("ingress.gcp.kubernetes.io/pre-shared-cert", Says::Something),
        ("kubernetes.azure.com/tls-cert-keyvault-uri", Says::Something),
        ("appgw.ingress.kubernetes.io/appgw-ssl-certificate", Says::Something),
        ("oci-native-ingress.oraclecloud.com/certificate-ocid", Says::Something),
        ("kubernetes.io/elb.tls-certificate-ids", Says::Something),
        ("virtual-server.f5.com/clientssl", Says::Something),
        ("zalando.org/aws-load-balancer-ssl-cert", Says::Something),
        ("route.openshift.io/termination", Says::Something),
        ("traefik.ingress.kubernetes.io/router.tls", Says::True),
        ("traefik.ingress.kubernetes.io/router.tls.certresolver", Says::Something),
        ("traefik.ingress.kubernetes.io/router.tls.options", Says::Something),
        ("nginx.ingress.kubernetes.io/ssl-passthrough", Says::True),
        ("haproxy-ingress.github.io/ssl-passthrough", Says::True),
        ("ingress.kubernetes.io/ssl-passthrough", Says::True),
        ("haproxy.org/ssl-passthrough", Says::True),
        // For certificates in front of the cluster: without one, nobody gets an answer in the clear either.
        ("nginx.ingress.kubernetes.io/force-ssl-redirect", Says::True),
    ];
    // The entry points of Traefik that encrypt are called so by its chart; with another beside it, both are open.
    if key == "traefik.ingress.kubernetes.io/router.entrypoints" {
        return value.split(',').all(|name| name.trim() == "websecure");
    }
    KNOWN.iter().any(|(own, says)| {
        *own == key
            && match says {
                Says::Something => !value.is_empty(),
                Says::True => value.eq_ignore_ascii_case("true"),
            }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(findings: &[Finding]) -> Vec<String> {
        findings.iter().map(|f| format!("{} {}", f.control.id, f.path)).collect()
    }

    #[test]
    fn services_that_open_more_than_the_cluster_are_named() {
        let of = |spec: Value| shown(&of_service(&json!({ "spec": spec })));
        assert_eq!(of(json!({"type": "NodePort"})), ["HB-SVC-NODEPORT spec.type"]);
        assert_eq!(
            of(json!({"externalIPs": ["10.0.0.1"]})),
            ["HB-SVC-EXTERNALIP spec.externalIPs"]
        );
        for fine in [
            json!({}),
            json!({"type": "LoadBalancer"}),
            json!({"type": "ExternalName", "externalName": "db.example"}),
            json!({"clusterIP": "None"}),
            json!({"externalIPs": []}),
        ] {
            assert_eq!(of(fine.clone()), [""; 0], "{fine}");
        }
    }

    #[test]
    fn hosts_without_tls_are_named() {
        let of = |spec: Value| shown(&of_ingress(&json!({ "spec": spec })));
        let rules = json!([{"host": "a.example.com"}, {"host": "b.example.com"}, {"http": {}}]);
        assert_eq!(of(json!({"rules": rules})), ["HB-ING-TLS spec.tls"]);
        assert_eq!(
            of(json!({"rules": rules, "tls": [{"hosts": ["a.example.com"]}]})),
            ["HB-ING-TLS spec.rules[1].host"]
        );
        for tls in [json!([{"hosts": ["*.example.com"]}]), json!([{"secretName": "all"}])] {
            assert_eq!(of(json!({"rules": rules, "tls": tls})), [""; 0]);
        }
    }

    #[test]
    fn the_ports_of_a_load_balancer_decide_and_not_its_certificate() {
        let of = |ports: &str| {
            let annotations = json!({
                "alb.ingress.kubernetes.io/certificate-arn": "arn:aws:acm:eu-west-1:1:certificate/a",
                "alb.ingress.kubernetes.io/listen-ports": ports,
            });
            shown(&of_ingress(&json!({"metadata": {"annotations": annotations}, "spec": {}})))
        };
        assert_eq!(of("[{\"HTTP\": 80}]"), ["HB-ING-TLS spec.tls"]);
        assert_eq!(of("[{\"HTTPS\": 8443}]"), [""; 0]);
    }

    #[test]
    fn a_load_balancer_with_a_certificate_of_its_own_is_enough() {
        let of = |key: &str, value: &str| {
            let annotations = json!({ key: value });
            shown(&of_ingress(&json!({"metadata": {"annotations": annotations}, "spec": {}})))
        };
        for (key, value) in [
            ("alb.ingress.kubernetes.io/certificate-arn", "arn:aws:acm:eu-west-1:1:certificate/a"),
            ("alb.ingress.kubernetes.io/listen-ports", "[{\"HTTPS\": 443}]"),
            ("networking.gke.io/managed-certificates", "web"),
            ("ingress.gcp.kubernetes.io/pre-shared-cert", "web"),
            ("kubernetes.azure.com/tls-cert-keyvault-uri", "https://vault.example"),
            ("appgw.ingress.kubernetes.io/appgw-ssl-certificate", "web"),
            ("traefik.ingress.kubernetes.io/router.tls", "true"),
            ("traefik.ingress.kubernetes.io/router.entrypoints", "websecure"),
            ("nginx.ingress.kubernetes.io/ssl-passthrough", "true"),
            ("nginx.ingress.kubernetes.io/force-ssl-redirect", "true"),
            ("route.openshift.io/termination", "edge"),
            ("networking.gke.io/certmap", "shop"),
            ("alb.ingress.kubernetes.io/listen-ports", "[{\"HTTP\": 80}, {\"HTTPS\": 443}]"),
            ("haproxy.org/ssl-passthrough", "true"),
            ("oci-native-ingress.oraclecloud.com/certificate-ocid", "ocid1.certificate.oc1"),
            ("traefik.ingress.kubernetes.io/router.tls.certresolver", "le"),
        ] {
            assert_eq!(of(key, value), [""; 0], "{key}");
        }
        for (key, value) in [
            ("cert-manager.io/cluster-issuer", "letsencrypt"),
            ("nginx.ingress.kubernetes.io/ssl-redirect", "true"),
            ("nginx.ingress.kubernetes.io/ssl-passthrough", "false"),
            ("alb.ingress.kubernetes.io/listen-ports", "[{\"HTTP\": 80}]"),
            ("nginx.ingress.kubernetes.io/rewrite-target", "/"),
            // What these encrypt is not the way in.
            ("nginx.ingress.kubernetes.io/backend-protocol", "HTTPS"),
            ("nginx.ingress.kubernetes.io/proxy-ssl-secret", "shop/ca"),
            ("nginx.ingress.kubernetes.io/proxy-ssl-verify", "on"),
            ("nginx.ingress.kubernetes.io/auth-tls-secret", "shop/ca"),
            ("nginx.ingress.kubernetes.io/auth-tls-verify-client", "on"),
            ("nginx.ingress.kubernetes.io/ssl-ciphers", "HIGH"),
            ("kubernetes.io/tls-acme", "true"),
            ("ingress.kubernetes.io/ssl-redirect", "true"),
            ("alb.ingress.kubernetes.io/backend-protocol", "HTTPS"),
            ("alb.ingress.kubernetes.io/healthcheck-protocol", "HTTPS"),
            ("alb.ingress.kubernetes.io/ssl-policy", "ELBSecurityPolicy-TLS13-1-2-2021-06"),
            ("alb.ingress.kubernetes.io/ssl-redirect", "443"),
            ("alb.ingress.kubernetes.io/certificate-arn", ""),
            ("alb.ingress.kubernetes.io/listen-ports", "HTTPS"),
            ("appgw.ingress.kubernetes.io/backend-protocol", "https"),
            ("appgw.ingress.kubernetes.io/ssl-redirect", "true"),
            ("haproxy.org/server-ssl", "true"),
            ("konghq.com/https-redirect-status-code", "301"),
            ("traefik.ingress.kubernetes.io/service.serversscheme", "https"),
            ("traefik.ingress.kubernetes.io/router.entrypoints", "web,websecure"),
            ("traefik.ingress.kubernetes.io/router.tls", "false"),
            ("example.com/tls-contact", "ops"),
            ("meta.helm.sh/release-name", "tls-proxy"),
        ] {
            assert_eq!(of(key, value), ["HB-ING-TLS spec.tls"], "{key}");
        }
    }
}
