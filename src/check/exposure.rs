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

/// Whether an annotation gives the load balancer a certificate, or makes it pass TLS through. Each ingress controller
/// has its own names for this. Annotations of `cert-manager` and redirects are about the field `tls`.
fn is_encrypted_elsewhere(ingress: &Value) -> bool {
    const WORDS: [&str; 9] = [
        "tls",
        "ssl",
        "cert",
        "certs",
        "certificate",
        "certificates",
        "termination",
        "passthrough",
        "websecure",
    ];
    let annotations = ingress["metadata"]["annotations"].as_object().into_iter().flatten();
    let mut stated = annotations.filter_map(|(key, value)| {
        let (domain, name) = key.rsplit_once('/').unwrap_or(("", key));
        Some((domain, name, value.as_str()?))
    });
    stated.any(|(domain, name, value)| {
        let about_field = domain.contains("cert-manager.io") || name == "ssl-redirect";
        let mut words =
            [name, value].into_iter().flat_map(|text| text.split(|c: char| !c.is_alphanumeric()));
        let off = value.is_empty() || value.eq_ignore_ascii_case("false");
        let named = words.any(|word| WORDS.contains(&word)) || value.contains("HTTPS");
        named && !off && !about_field
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
        ] {
            assert_eq!(of(key, value), [""; 0], "{key}");
        }
        for (key, value) in [
            ("cert-manager.io/cluster-issuer", "letsencrypt"),
            ("nginx.ingress.kubernetes.io/ssl-redirect", "true"),
            ("nginx.ingress.kubernetes.io/ssl-passthrough", "false"),
            ("alb.ingress.kubernetes.io/listen-ports", "[{\"HTTP\": 80}]"),
            ("nginx.ingress.kubernetes.io/rewrite-target", "/"),
        ] {
            assert_eq!(of(key, value), ["HB-ING-TLS spec.tls"], "{key}");
        }
    }
}
