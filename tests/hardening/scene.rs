//! The namespace and the baselines of one test.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use serde_json::{Value, json};
use support::{
    Cluster, Failure, Result, SOON, Subsystem, TestEnv,
    audit::{self, Request},
    condition, eventually,
};

/// Prefix of the Pod Security labels.
pub const PSS: &str = "pod-security.kubernetes.io/";

/// A namespace with the label `set: NAME`.
pub struct Scene<'a> {
    /// What it is in.
    pub env: &'a TestEnv,
    /// The name of the namespace, the value of its label, and the name of the test's first baseline.
    pub name: String,
    /// The administrator.
    pub cluster: Cluster,
}

impl Scene<'static> {
    /// A namespace of this name in the shared environment.
    pub async fn new(name: &str) -> Result<Self> {
        Self::within(Subsystem::Hardening.shared()?, name).await
    }
}

impl<'a> Scene<'a> {
    /// A namespace of this name in `env`.
    pub async fn within(env: &'a TestEnv, name: &str) -> Result<Self> {
        let scene = Self::without_namespace(env, name).await?;
        scene.create_namespace(name, json!({})).await?;
        Ok(scene)
    }

    /// Only the name.
    pub async fn without_namespace(env: &'a TestEnv, name: &str) -> Result<Self> {
        let cluster = Cluster::new(env.plane()).await?;
        Ok(Self { env, name: name.to_owned(), cluster })
    }

    /// A namespace that the test's baselines select, with further labels.
    pub async fn create_namespace(&self, name: &str, labels: Value) -> Result<()> {
        let mut object = json!({
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {"set": self.name}},
        });
        merge(&mut object["metadata"]["labels"], labels);
        self.cluster.create(object).await?;
        Ok(())
    }

    /// A baseline of this name at Enforce that selects the test's namespaces, with these sections.
    pub async fn baseline(&self, name: &str, sections: Value) -> Result<Value> {
        Ok(self.cluster.create(self.baseline_object(name, sections)).await?)
    }

    /// The same, not created yet.
    pub fn baseline_object(&self, name: &str, sections: Value) -> Value {
        let mut spec = json!({
            "namespaceSelector": {"matchLabels": {"set": self.name}},
            "rollout": {"target": "Enforce"},
        });
        merge(&mut spec, sections);
        json!({"kind": "HardeningBaseline", "metadata": {"name": name}, "spec": spec})
    }

    /// Changes the spec of a baseline.
    pub async fn change(&self, baseline: &str, spec: Value) -> Result<()> {
        self.cluster.patch("HardeningBaseline", "", baseline, json!({"spec": spec})).await?;
        Ok(())
    }

    /// Confirms and deletes a baseline.
    pub async fn delete_baseline(&self, name: &str) -> Result<()> {
        self.confirm(name).await?;
        self.cluster.delete("HardeningBaseline", "", name).await?;
        Ok(())
    }

    /// Confirms the deletion of a baseline.
    pub async fn confirm(&self, name: &str) -> Result<()> {
        let note = json!({"metadata": {"annotations": {"gabion.dev/confirm-delete": name}}});
        self.cluster.patch("HardeningBaseline", "", name, note).await?;
        Ok(())
    }

    /// Confirms and deletes a baseline, and waits until it is gone.
    pub async fn take_back(&self, name: &str) -> Result<()> {
        self.delete_baseline(name).await?;
        self.cluster.gone("HardeningBaseline", "", name).await
    }

    /// Waits until a condition of the present generation of a baseline has this status and reason.
    pub async fn baseline_says(
        &self,
        name: &str,
        kind: &str,
        status: &str,
        reason: &str,
    ) -> Result<Value> {
        let object = self
            .cluster
            .until("HardeningBaseline", "", name, |object| {
                let found = condition(object, kind);
                let current = found["observedGeneration"] == object["metadata"]["generation"];
                let fits = found["status"] == status && found["reason"] == reason;
                if current && fits { Ok(()) } else { Err(format!("{}", object["status"])) }
            })
            .await?;
        Ok(condition(&object, kind))
    }

    /// Waits until a baseline is Ready in so many namespaces.
    pub async fn counted(&self, name: &str, namespaces: usize) -> Result<()> {
        let wanted = format!("Applied in {namespaces} namespaces.");
        let check = |object: &Value| {
            let ready = condition(object, "Ready");
            if ready["message"] == wanted { Ok(()) } else { Err(ready.to_string()) }
        };
        self.cluster.until("HardeningBaseline", "", name, check).await?;
        Ok(())
    }

    /// Waits until `effective` of a namespace says this of Ready, and returns its status.
    pub async fn effective_says(&self, ns: &str, status: &str, reason: &str) -> Result<Value> {
        self.effective(ns, |found| {
            let ready = condition(&json!({"status": found}), "Ready");
            ready["status"] == status && ready["reason"] == reason
        })
        .await
    }

    /// Waits until the status of `effective` is as wanted, and returns it.
    pub async fn effective(&self, ns: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let object = self
            .cluster
            .until("NamespaceHardening", ns, "effective", |object| {
                let status = &object["status"];
                if wanted(status) { Ok(()) } else { Err(status.to_string()) }
            })
            .await?;
        Ok(object["status"].clone())
    }

    /// Waits until a namespace is hardened as far as these baselines want, and nothing is left to do.
    pub async fn hardened(&self, ns: &str, baselines: &[&str]) -> Result<Value> {
        let status = self
            .effective(ns, |found| {
                let ready = condition(&json!({"status": found}), "Ready");
                ready["status"] == "True" && found["baselineNames"] == baselines.join(",")
            })
            .await?;
        if status["values"].to_string().contains("automountToken") {
            self.automount(ns, "default", json!(false)).await?;
        }
        Ok(status)
    }

    /// Waits until the automount field of a ServiceAccount is this (null = unset).
    pub async fn automount(&self, ns: &str, account: &str, wanted: Value) -> Result<Value> {
        self.cluster
            .until("ServiceAccount", ns, account, |object| {
                let found = &object["automountServiceAccountToken"];
                if *found == wanted { Ok(()) } else { Err(format!("automount is {found}")) }
            })
            .await
    }

    /// Labels of a namespace.
    pub async fn labels(&self, ns: &str) -> Result<Value> {
        let object = self.cluster.get("Namespace", "", ns).await?.unwrap_or_default();
        Ok(object["metadata"]["labels"].clone())
    }

    /// Waits until a label of a namespace has this value (null = unset).
    pub async fn label_is(&self, ns: &str, key: &str, wanted: Value) -> Result<()> {
        let check = |object: &Value| {
            let labels = &object["metadata"]["labels"];
            if labels[key] == wanted { Ok(()) } else { Err(labels.to_string()) }
        };
        self.cluster.until("Namespace", "", ns, check).await?;
        Ok(())
    }

    /// Names of the objects of ours in a namespace, as `Kind/name`, in order.
    pub async fn owned(&self, ns: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for kind in ["NetworkPolicy", "ResourceQuota", "LimitRange", "NamespaceHardening"] {
            for object in self.cluster.list(kind, ns).await? {
                if object["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "gabion" {
                    let name = object["metadata"]["name"].as_str().unwrap_or_default();
                    names.push(format!("{kind}/{name}"));
                }
            }
        }
        names.sort();
        Ok(names)
    }

    /// Waits until no object of ours and no note of ours is left in a namespace.
    pub async fn bare(&self, ns: &str) -> Result<()> {
        self.bare_but(ns, &[]).await
    }

    /// The same, apart from these notes.
    pub async fn bare_but(&self, ns: &str, notes: &[&str]) -> Result<()> {
        eventually(SOON, &format!("nothing is left in {ns}"), || async {
            let owned = self.owned(ns).await?;
            let namespace = self.cluster.get("Namespace", "", ns).await?.unwrap_or_default();
            let mut text = namespace["metadata"]["annotations"].to_string();
            for kind in ["ServiceAccount", "NetworkPolicy", "ResourceQuota", "LimitRange"] {
                for object in self.cluster.list(kind, ns).await? {
                    text += &object["metadata"]["annotations"].to_string();
                }
            }
            for note in notes {
                text = text.replace(note, "");
            }
            if owned.is_empty() && !text.contains("gabion.dev/") {
                Ok(())
            } else {
                Err(Failure::new(format!("{owned:?} {text}")))
            }
        })
        .await
    }

    /// Waits until the operator has seen all that happened before: a namespace that is made now is hardened.
    /// For tests that something does *not* happen.
    pub async fn settle(&self) -> Result<()> {
        static SERIAL: AtomicUsize = AtomicUsize::new(0);
        let name = format!("settle-{}", SERIAL.fetch_add(1, Ordering::Relaxed));
        let labels = json!({"set": name});
        let object = json!({"kind": "Namespace", "metadata": {"name": name, "labels": labels}});
        self.cluster.create(object).await?;
        let spec = json!({
            "namespaceSelector": {"matchLabels": labels},
            "rollout": {"target": "Enforce"},
            "podSecurity": {},
        });
        let baseline =
            json!({"kind": "HardeningBaseline", "metadata": {"name": name}, "spec": spec});
        self.cluster.create(baseline).await?;
        self.hardened(&name, &[&name]).await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok(())
    }

    /// Writes of the operator to a namespace and what is in it, so far.
    pub fn writes(&self, ns: &str) -> Vec<Request> {
        let all = audit::requests(self.env.plane());
        let about = |request: &Request| {
            request.is_write()
                && (request.namespace == ns
                    || (request.resource.starts_with("namespaces") && request.name == ns))
        };
        all.into_iter().filter(about).collect()
    }
}

/// Sets the fields of `more` in an object.
pub fn merge(object: &mut Value, more: Value) {
    if let Value::Object(fields) = more {
        for (field, value) in fields {
            object[field] = value;
        }
    }
}

/// Every section that this version acts on.
pub fn full() -> Value {
    json!({
        "podSecurity": {"level": "restricted"},
        "network": {"allow": [frontend_to_backend()]},
        "resources": {
            "quota": {"hard": {"limits.memory": "64Gi", "pods": "200", "services.nodeports": "0"}},
            "containerDefaults": {
                "requests": {"cpu": "100m", "memory": "128Mi"},
                "limits": {"memory": "512Mi"},
            },
        },
        "serviceAccounts": {"automountToken": "Disabled"},
    })
}

/// What `full` makes, as `Scene::owned` lists it.
pub const FULL_SET: [&str; 7] = [
    "LimitRange/gabion-limits",
    "NamespaceHardening/effective",
    "NetworkPolicy/gabion-allow-dns",
    "NetworkPolicy/gabion-allow-frontend-to-backend",
    "NetworkPolicy/gabion-default-deny",
    "NetworkPolicy/gabion-egress-frontend-to-backend",
    "ResourceQuota/gabion-quota",
];

/// An allow rule.
pub fn frontend_to_backend() -> Value {
    json!({
        "name": "frontend-to-backend",
        "to": {"matchLabels": {"app": "backend"}},
        "from": [{"podSelector": {"matchLabels": {"app": "frontend"}}}],
        "ports": [{"protocol": "TCP", "port": 8080}],
    })
}

/// A pod that passes the level restricted, with these resources.
pub fn pod(ns: &str, name: &str, resources: Value) -> Value {
    json!({
        "kind": "Pod",
        "metadata": {"name": name, "namespace": ns, "labels": {"app": name}},
        "spec": {
            "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 1001,
                "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "main",
                "image": "registry.example.com/prod/app:1.2",
                "resources": resources,
                "securityContext": {"allowPrivilegeEscalation": false,
                    "capabilities": {"drop": ["ALL"]}},
            }],
        },
    })
}
