//! Objects as JSON, by kind and name: what a person does with kubectl, without a process for each call.

use kube::Client;
use serde_json::{Value, json};

use crate::{ControlPlane, Result, SOON, eventually};

/// A client of the administrator.
#[derive(Clone)]
pub struct Cluster {
    /// The client.
    pub client: Client,
}

/// Where objects of a kind are, in its default version.
struct Address {
    version: &'static str,
    plural: &'static str,
    namespaced: bool,
}

fn address(kind: &str) -> Address {
    let (version, plural, namespaced) = match kind {
        "Namespace" => ("v1", "namespaces", false),
        "Pod" => ("v1", "pods", true),
        "Service" => ("v1", "services", true),
        "ServiceAccount" => ("v1", "serviceaccounts", true),
        "Secret" => ("v1", "secrets", true),
        "ConfigMap" => ("v1", "configmaps", true),
        "ResourceQuota" => ("v1", "resourcequotas", true),
        "LimitRange" => ("v1", "limitranges", true),
        "Deployment" => ("apps/v1", "deployments", true),
        "DaemonSet" => ("apps/v1", "daemonsets", true),
        "StatefulSet" => ("apps/v1", "statefulsets", true),
        "ReplicaSet" => ("apps/v1", "replicasets", true),
        "Job" => ("batch/v1", "jobs", true),
        "Event" => ("events.k8s.io/v1", "events", true),
        "NetworkPolicy" => ("networking.k8s.io/v1", "networkpolicies", true),
        "Role" => ("rbac.authorization.k8s.io/v1", "roles", true),
        "RoleBinding" => ("rbac.authorization.k8s.io/v1", "rolebindings", true),
        "ClusterRole" => ("rbac.authorization.k8s.io/v1", "clusterroles", false),
        "CustomResourceDefinition" => {
            ("apiextensions.k8s.io/v1", "customresourcedefinitions", false)
        }
        "ValidatingAdmissionPolicy" => {
            ("admissionregistration.k8s.io/v1", "validatingadmissionpolicies", false)
        }
        "ValidatingAdmissionPolicyBinding" => {
            ("admissionregistration.k8s.io/v1", "validatingadmissionpolicybindings", false)
        }
        "HardeningBaseline" => ("gabion.dev/v1alpha1", "hardeningbaselines", false),
        "BaselineException" => ("gabion.dev/v1alpha1", "baselineexceptions", true),
        "BaselineExceptionApproval" => ("gabion.dev/v1alpha1", "baselineexceptionapprovals", false),
        "NamespaceHardening" => ("gabion.dev/v1alpha1", "namespacehardenings", true),
        "SecretRotation" => ("gabion.dev/v1alpha1", "secretrotations", true),
        "ExternalSecret" => ("external-secrets.io/v1", "externalsecrets", true),
        "Password" => ("generators.external-secrets.io/v1alpha1", "passwords", true),
        "UUID" => ("generators.external-secrets.io/v1alpha1", "uuids", true),
        "SSHKey" => ("generators.external-secrets.io/v1alpha1", "sshkeys", true),
        "Fake" => ("generators.external-secrets.io/v1alpha1", "fakes", true),
        "MFA" => ("generators.external-secrets.io/v1alpha1", "mfas", true),
        "ECRAuthorizationToken" => {
            ("generators.external-secrets.io/v1alpha1", "ecrauthorizationtokens", true)
        }
        "STSSessionToken" => ("generators.external-secrets.io/v1alpha1", "stssessiontokens", true),
        "Webhook" => ("generators.external-secrets.io/v1alpha1", "webhooks", true),
        "Grafana" => ("generators.external-secrets.io/v1alpha1", "grafanas", true),
        "ClusterGenerator" => {
            ("generators.external-secrets.io/v1alpha1", "clustergenerators", false)
        }
        "ClusterPushSecret" => ("external-secrets.io/v1alpha1", "clusterpushsecrets", false),
        "PushSecret" => ("external-secrets.io/v1alpha1", "pushsecrets", true),
        "SecretStore" => ("external-secrets.io/v1", "secretstores", true),
        "ClusterExternalSecret" => ("external-secrets.io/v1", "clusterexternalsecrets", false),
        "ClusterSecretStore" => ("external-secrets.io/v1", "clustersecretstores", false),
        other => panic!("no address for {other}"),
    };
    Address { version, plural, namespaced }
}

/// The path of an object, or of all of its kind. A kind without namespaces ignores `namespace`.
pub fn path(kind: &str, namespace: &str, name: &str) -> String {
    path_in_version(address(kind).version, kind, namespace, name)
}

fn path_in_version(version: &str, kind: &str, namespace: &str, name: &str) -> String {
    let Address { plural, namespaced, .. } = address(kind);
    let root = if version.contains('/') { "apis" } else { "api" };
    let place = if namespaced && !namespace.is_empty() {
        format!("/namespaces/{namespace}")
    } else {
        String::new()
    };
    let path = format!("/{root}/{version}{place}/{plural}");
    if name.is_empty() { path } else { format!("{path}/{name}") }
}

impl Cluster {
    /// A client of the administrator.
    pub async fn new(plane: &ControlPlane) -> Result<Self> {
        Ok(Self { client: plane.client().await? })
    }

    /// Sends a request and reads an object.
    pub async fn send(
        &self,
        method: &str,
        url: &str,
        content_type: &str,
        body: &Value,
    ) -> Result<Value, kube::Error> {
        let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let mut request = http::Request::builder().method(method).uri(url);
        if !content_type.is_empty() {
            request = request.header("content-type", content_type);
        }
        self.client.request(request.body(bytes).map_err(kube::Error::HttpError)?).await
    }

    /// Creates an object that has its kind, and its namespace in its metadata.
    pub async fn create(&self, object: Value) -> Result<Value, kube::Error> {
        self.create_as(object, "kubectl-create").await
    }

    /// Creates an object as a tool named `manager` would.
    pub async fn create_as(&self, object: Value, manager: &str) -> Result<Value, kube::Error> {
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
        self.create_in(&namespace, object, manager).await
    }

    /// The same, in a namespace that the object need not name.
    pub async fn create_in(
        &self,
        namespace: &str,
        mut object: Value,
        manager: &str,
    ) -> Result<Value, kube::Error> {
        let url = collection(&mut object, namespace);
        let url = format!("{url}?fieldManager={manager}");
        self.send("POST", &url, "application/json", &object).await
    }

    /// Replaces an object whole, as a tool named `manager` would.
    pub async fn replace_in(
        &self,
        namespace: &str,
        mut object: Value,
        manager: &str,
    ) -> Result<Value, kube::Error> {
        let url = collection(&mut object, namespace);
        let name = object["metadata"]["name"].as_str().expect("a name");
        let url = format!("{url}/{name}?fieldManager={manager}");
        self.send("PUT", &url, "application/json", &object).await
    }

    /// An object, or `None`.
    pub async fn get(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Value>, kube::Error> {
        match self.send("GET", &path(kind, namespace, name), "", &Value::Null).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            other => other.map(Some),
        }
    }

    /// All objects of a kind in a namespace.
    pub async fn list(&self, kind: &str, namespace: &str) -> Result<Vec<Value>, kube::Error> {
        let list = self.send("GET", &path(kind, namespace, ""), "", &Value::Null).await?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    /// Merges `change` into an object.
    pub async fn patch(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
        change: Value,
    ) -> Result<Value, kube::Error> {
        self.patch_as(kind, namespace, name, change, "kubectl-edit").await
    }

    /// Merges `change` into an object as a tool named `manager` would.
    pub async fn patch_as(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
        change: Value,
        manager: &str,
    ) -> Result<Value, kube::Error> {
        let url = format!("{}?fieldManager={manager}", path(kind, namespace, name));
        self.send("PATCH", &url, "application/merge-patch+json", &change).await
    }

    /// Merges `change` into the status of an object.
    pub async fn patch_status(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
        change: Value,
    ) -> Result<Value, kube::Error> {
        let url = format!("{}/status", path(kind, namespace, name));
        self.send("PATCH", &url, "application/merge-patch+json", &change).await
    }

    /// Deletes an object, as `kubectl delete --wait=false` does.
    pub async fn delete(&self, kind: &str, namespace: &str, name: &str) -> Result<(), kube::Error> {
        let body = json!({"propagationPolicy": "Background"});
        let url = path(kind, namespace, name);
        self.send("DELETE", &url, "application/json", &body).await.map(|_| ())
    }

    /// Waits until an object is as wanted, and returns it. `wanted` says what is amiss.
    pub async fn until(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
        wanted: impl Fn(&Value) -> Result<(), String>,
    ) -> Result<Value> {
        eventually(SOON, &format!("{kind} {namespace}/{name}"), || async {
            let object =
                self.get(kind, namespace, name).await.map_err(|error| error.to_string())?;
            let object = object.ok_or("it does not exist")?;
            wanted(&object).map(|()| object)
        })
        .await
    }

    /// Waits until an object does not exist.
    pub async fn gone(&self, kind: &str, namespace: &str, name: &str) -> Result<()> {
        eventually(SOON, &format!("{kind} {namespace}/{name} goes"), || async {
            match self.get(kind, namespace, name).await {
                Ok(None) => Ok(()),
                Ok(Some(object)) => Err(format!("it exists: {object}")),
                Err(error) => Err(error.to_string()),
            }
        })
        .await
    }
}

/// The path of all objects of the kind and version that an object has. One that has no version gets the default.
fn collection(object: &mut Value, namespace: &str) -> String {
    let kind = object["kind"].as_str().expect("a kind").to_owned();
    let version = object["apiVersion"].as_str().unwrap_or(address(&kind).version).to_owned();
    let url = path_in_version(&version, &kind, namespace, "");
    object["apiVersion"] = version.into();
    url
}

/// A condition of an object, or null.
pub fn condition(object: &Value, kind: &str) -> Value {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.into_iter().find(|condition| condition["type"] == kind).unwrap_or_default()
}
