//! Scenario 22: with every policy in place and nobody to look after them, a cluster starts.

use serde_json::{Value, json};
use support::{Cluster, Failure, Result, SOON, Server, Signal, Subsystem, TestEnv, eventually};

use crate::{
    policies::{POLICY, bad, enforced, good, refusal},
    scene::{Scene, pod},
};

/// A request for a node's certificate; its key was thrown away.
const REQUEST: &str = "-----BEGIN CERTIFICATE REQUEST-----
MIHsMIGSAgEAMDAxFTATBgNVBAoMDHN5c3RlbTpub2RlczEXMBUGA1UEAwwOc3lz
dGVtOm5vZGU6bjEwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATtUJ2ZNaXgdmH/
OErhY9YhWoi5p54M9QwqLTdnv9vSxTEg366qPQj+FVu+5ny1PGhQ6oVTgtPwPDSi
EYUvtia+oAAwCgYIKoZIzj0EAwIDSQAwRgIhANwgRfMct8uUgglaniknL1Ywbxga
tlYttb8prarTDlyEAiEAtVi0O2dOz4C+DOt8daWf5j6NetE9rro8Xnlv162j1Lk=
-----END CERTIFICATE REQUEST-----
";

/// What a kubelet sends.
async fn as_node(cluster: &Cluster, method: &str, url: &str, body: &Value) -> Result<Value> {
    let request = http::Request::builder()
        .method(method)
        .uri(url)
        .header("content-type", "application/json")
        .header("impersonate-user", "system:node:n1")
        .header("impersonate-group", "system:nodes");
    Ok(cluster.client.request(request.body(body.to_string().into_bytes())?).await?)
}

/// A pod that holds no rule, as the kubelet shows one that it read from a file.
fn mirror(ns: &str, node: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "kube-apiserver-n1", "namespace": ns,
            "annotations": {"kubernetes.io/config.mirror": "a1", "kubernetes.io/config.hash": "a1",
                "kubernetes.io/config.source": "file"},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n1", "controller": true,
                "uid": node["metadata"]["uid"]}],
        },
        "spec": {
            "nodeName": "n1", "hostNetwork": true, "priorityClassName": "system-node-critical",
            "containers": [{"name": "main", "image": "evil.example.com/kube-apiserver",
                "securityContext": {"privileged": true}}],
            "volumes": [{"name": "etc", "hostPath": {"path": "/etc/kubernetes"}}],
        },
    })
}

/// The operator is stopped, the API server is killed and comes back with empty caches.
async fn in_the_dark(env: &mut TestEnv) -> Result<Cluster> {
    env.operator.stop(SOON)?;
    env.plane().signal(Server::Apiserver, Signal::KILL)?;
    Cluster::new(env.plane()).await
}

/// A node registers itself, renews its lease, gets its certificate approved and shows its static pod.
async fn a_node_joins(cluster: &Cluster) -> Result<()> {
    let rights = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "nodes"}, "subjects": [{"kind": "Group", "name": "system:nodes",
            "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"kind": "ClusterRole", "name": "system:node", "apiGroup": "rbac.authorization.k8s.io"}});
    let url = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    eventually(SOON, "the API server is back", || async {
        match cluster.send("POST", url, "application/json", &rights).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    })
    .await?;
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}});
    let node = eventually(SOON, "a node registers itself", || async {
        as_node(cluster, "POST", "/api/v1/nodes", &node).await
    })
    .await?;
    let mut ready = node.clone();
    ready["metadata"]["labels"] = json!({"kubernetes.io/hostname": "n1"});
    let ready = as_node(cluster, "PUT", "/api/v1/nodes/n1", &ready).await?;
    let mut status = ready.clone();
    status["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]);
    as_node(cluster, "PUT", "/api/v1/nodes/n1/status", &status).await?;

    let leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "n1", "namespace": "kube-node-lease"}, "spec": {"holderIdentity": "n1"}});
    let mut lease = as_node(cluster, "POST", leases, &lease).await?;
    lease["spec"]["leaseDurationSeconds"] = 40.into();
    as_node(cluster, "PUT", &format!("{leases}/n1"), &lease).await?;

    let requests = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    let request = json!({"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
        "metadata": {"name": "n1"}, "spec": {"signerName": "kubernetes.io/kube-apiserver-client-kubelet",
            "usages": ["digital signature", "client auth"], "request": base64(REQUEST)}});
    let mut request = as_node(cluster, "POST", requests, &request).await?;
    request["status"]["conditions"] =
        json!([{"type": "Approved", "status": "True", "reason": "Test"}]);
    let url = format!("{requests}/n1/approval");
    let approved = cluster.send("PUT", &url, "application/json", &request).await?;
    assert_eq!(approved["status"]["conditions"][0]["type"], "Approved", "{approved}");

    let pods = "/api/v1/namespaces/kube-system/pods";
    let shown = as_node(cluster, "POST", pods, &mirror("kube-system", &node)).await?;
    let mut running = shown.clone();
    running["status"]["phase"] = "Running".into();
    as_node(cluster, "PUT", &format!("{pods}/kube-apiserver-n1/status"), &running).await?;
    Ok(())
}

fn base64(text: &str) -> String {
    use ::base64::{Engine as _, prelude::BASE64_STANDARD};
    BASE64_STANDARD.encode(text)
}

/// What a cluster needs next: its own pods, ours, and definitions.
async fn the_rest_starts(cluster: &Cluster) -> Result<()> {
    for (ns, account) in [("kube-system", "default"), ("gabion-system", "gabion")] {
        let mut first = pod(ns, "first", json!({}));
        first["spec"]["containers"][0]["image"] = "evil.example.com/app:1".into();
        first["spec"]["serviceAccountName"] = account.into();
        eventually(SOON, &format!("a pod in {ns}"), || async {
            match cluster.create(first.clone()).await {
                Ok(_) => Ok(()),
                Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await?;
    }
    let labels = json!({"app": "dns"});
    let dns = json!({"kind": "Deployment", "metadata": {"name": "dns", "namespace": "kube-system"},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
            "spec": mirror("kube-system", &json!({}))["spec"]}}});
    cluster.create(dns).await?;
    eventually(SOON, "a pod of a Deployment in kube-system", || async {
        let pods = cluster.list("Pod", "kube-system").await?;
        let made = pods.iter().any(|pod| pod["metadata"]["labels"]["app"] == "dns");
        if made { Ok(()) } else { Err(Failure::new("there is none")) }
    })
    .await?;
    let name = "hardeningbaselines.gabion.dev";
    let ours = cluster.get("CustomResourceDefinition", "", name).await?.unwrap_or_default();
    let note = json!({"metadata": {"annotations": {"example.com/applied": "again"}}});
    cluster.patch("CustomResourceDefinition", "", name, note).await?;
    let mut other = json!({"kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"}, "spec": ours["spec"]});
    other["spec"]["group"] = "example.com".into();
    other["spec"]["names"] = json!({"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"});
    cluster.create(other).await?;
    Ok(())
}

#[tokio::test]
async fn the_cluster_boots_with_every_policy_in_place_and_the_operator_down() -> Result<()> {
    let mut env = Subsystem::Hardening.start(&[])?;
    let spec = json!({"allNamespaces": true, "rollout": {"target": "Enforce"}, "podSecurity": {},
        "images": {"allowedRegistries": ["registry.example.com/prod"]}, "pods": {"templates": "Deny"}});
    {
        let scene = Scene::within(&env, "boot").await?;
        let object =
            json!({"kind": "HardeningBaseline", "metadata": {"name": "boot"}, "spec": spec});
        scene.cluster.create(object).await?;
        enforced(&scene, "boot").await?;
        for policy in scene.cluster.list(POLICY, "").await? {
            assert!(policy["spec"]["paramKind"].is_null());
            for rule in
                policy["spec"]["matchConstraints"]["resourceRules"].as_array().into_iter().flatten()
            {
                assert!(!rule["resources"].to_string().contains('*'), "{rule}");
                assert!(!rule["apiGroups"].to_string().contains('*'), "{rule}");
            }
        }
    }
    let cluster = in_the_dark(&mut env).await?;
    a_node_joins(&cluster).await?;
    the_rest_starts(&cluster).await?;
    eventually(SOON, "what tenants send is evaluated without the operator", || async {
        if refusal(&cluster, &good("boot")).await?.is_some() {
            return Err(Failure::new("the good pod is refused"));
        }
        let why = refusal(&cluster, &bad("boot")).await?;
        why.filter(|why| why.contains("hardening baseline boot"))
            .map(|_| ())
            .ok_or_else(|| Failure::new("the bad pod comes in"))
    })
    .await?;
    // A kubelet that has to run a file gets no pod into a namespace of tenants by it.
    let node = cluster.send("GET", "/api/v1/nodes/n1", "", &Value::Null).await?;
    let smuggled =
        as_node(&cluster, "POST", "/api/v1/namespaces/boot/pods", &mirror("boot", &node)).await;
    let why = smuggled.expect_err("it is refused").to_string();
    assert!(why.contains("hardening baseline boot") || why.contains("PodSecurity"), "{why}");
    Ok(())
}
