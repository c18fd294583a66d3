//! Where objects of each kind are.

/// The apiVersion of a kind.
pub fn api_version(kind: &str) -> &'static str {
    match kind {
        "SecretStore" | "ClusterSecretStore" | "ExternalSecret" => "external-secrets.io/v1",
        "Event" => "events.k8s.io/v1",
        "Lease" => "coordination.k8s.io/v1",
        _ => "v1",
    }
}

/// The address of an object, or of all of its kind.
pub fn path(kind: &str, namespace: &str, name: Option<&str>) -> String {
    let (prefix, plural) = match kind {
        "Namespace" => ("/api/v1".to_owned(), "namespaces"),
        "ClusterSecretStore" => ("/apis/external-secrets.io/v1".to_owned(), "clustersecretstores"),
        "SecretStore" => {
            (format!("/apis/external-secrets.io/v1/namespaces/{namespace}"), "secretstores")
        }
        "ExternalSecret" => {
            (format!("/apis/external-secrets.io/v1/namespaces/{namespace}"), "externalsecrets")
        }
        "Event" => (format!("/apis/events.k8s.io/v1/namespaces/{namespace}"), "events"),
        "Secret" => (format!("/api/v1/namespaces/{namespace}"), "secrets"),
        "ConfigMap" => (format!("/api/v1/namespaces/{namespace}"), "configmaps"),
        "ServiceAccount" => (format!("/api/v1/namespaces/{namespace}"), "serviceaccounts"),
        other => panic!("no path for {other}"),
    };
    match name {
        Some(name) => format!("{prefix}/{plural}/{name}"),
        None => format!("{prefix}/{plural}"),
    }
}
