//! The API server as a judge: every question is a dry run, so that no answer changes the next.

use std::sync::OnceLock;

use http::StatusCode;
use http_body_util::BodyExt as _;
use kube::Client;
use serde_json::{Value, json};

use gabion::policy::PolicySet;
use support::{ControlPlane, Failure, Options, Result, eventually};

use crate::{
    ours,
    pods::{Case, bases},
};

/// A bound for what takes a second or two on a quiet machine.
pub const SOON: std::time::Duration = std::time::Duration::from_secs(90);

/// The control plane that these tests share, without an audit log: it would be the slowest part.
pub fn plane() -> Result<&'static ControlPlane> {
    static SHARED: OnceLock<Result<ControlPlane, String>> = OnceLock::new();
    let options = Options { audit: false, ..Options::default() };
    let made = SHARED
        .get_or_init(|| ControlPlane::start_with(&options).map_err(|failure| failure.to_string()));
    made.as_ref().map_err(|why| Failure::new(why.as_str()))
}

/// What the API server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub code: u16,
    /// The object, or the refusal.
    pub body: Vec<u8>,
    /// What the API server warns of.
    pub warnings: Vec<String>,
}

impl Answer {
    /// Whether it was taken.
    pub const fn is_yes(&self) -> bool {
        self.code / 100 == 2
    }

    /// The object, or the refusal.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Why it was refused.
    pub fn message(&self) -> String {
        if self.is_yes() {
            return String::new();
        }
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }
}

/// A client of the administrator that does not look into answers.
#[derive(Clone)]
pub struct Api(pub Client);

impl Api {
    /// Sends one request.
    pub async fn send(&self, method: &str, url: &str, kind: &str, body: &Value) -> Result<Answer> {
        let bytes = if body.is_null() { Vec::new() } else { serde_json::to_vec(body)? };
        let mut request = http::Request::builder().method(method).uri(url);
        if !kind.is_empty() {
            request = request.header("content-type", kind);
        }
        let answer = self.0.send(request.body(bytes.into())?).await?;
        let code = answer.status();
        let warnings = answer.headers().get_all("warning").iter();
        let warnings = warnings.map(|text| String::from_utf8_lossy(text.as_bytes()).into_owned());
        let warnings = warnings.collect();
        let body = answer.into_body().collect().await?.to_bytes().into();
        if code == StatusCode::TOO_MANY_REQUESTS {
            return Err(Failure::new("the API server asks to come back later"));
        }
        Ok(Answer { code: code.as_u16(), body, warnings })
    }

    /// Creates an object at this address; one that is there is well too.
    pub async fn create(&self, url: &str, object: &Value) -> Result<Value> {
        let answer = self.send("POST", url, "application/json", object).await?;
        match answer.code {
            200..300 | 409 => Ok(answer.json()),
            _ => Err(Failure::new(format!("{url}: {} {}", answer.code, answer.message()))),
        }
    }

    /// Merges a change into an object at this address.
    pub async fn merge(&self, url: &str, change: &Value) -> Result<Value> {
        let answer = self.send("PATCH", url, "application/merge-patch+json", change).await?;
        if answer.is_yes() {
            return Ok(answer.json());
        }
        Err(Failure::new(format!("{url}: {} {}", answer.code, answer.message())))
    }

    /// A namespace in which pods can be made.
    pub async fn namespace(&self, name: &str) -> Result<()> {
        let object = json!({"metadata": {"name": name}});
        self.create("/api/v1/namespaces", &object).await?;
        // The plugin that gives pods a ServiceAccount would refuse them for want of one.
        let accounts = format!("/api/v1/namespaces/{name}/serviceaccounts");
        self.create(&accounts, &json!({"metadata": {"name": "default"}})).await?;
        // It mounts no token, as in a namespace that is hardened, whoever has created it.
        let no_token = json!({"automountServiceAccountToken": false});
        self.merge(&format!("{accounts}/default"), &no_token).await?;
        eventually(SOON, &format!("pods of {name} get no token"), || async {
            let answer = self.try_pod(name, &bases()[1].1).await.map_err(|e| e.to_string())?;
            let mounts = answer.json().to_string().contains("serviceAccountToken\":{");
            if answer.is_yes() && !mounts { Ok(()) } else { Err(answer.message()) }
        })
        .await
    }

    /// Labels a namespace.
    pub async fn label(&self, namespace: &str, labels: &Value) -> Result<()> {
        let change = json!({"metadata": {"labels": labels}});
        self.merge(&format!("/api/v1/namespaces/{namespace}"), &change).await?;
        Ok(())
    }

    /// A namespace that holds every base as a pod, for ephemeral containers to be added to.
    pub async fn populated_namespace(&self, name: &str) -> Result<()> {
        self.namespace(name).await?;
        for (number, (_, mut pod)) in bases().into_iter().enumerate() {
            pod["metadata"]["name"] = base_name(number).into();
            self.create(&format!("/api/v1/namespaces/{name}/pods"), &pod).await?;
        }
        Ok(())
    }

    /// Asks whether a case would be taken in a namespace.
    pub async fn evaluate(&self, namespace: &str, case: &Case) -> Result<Answer> {
        let pods = format!("/api/v1/namespaces/{namespace}/pods");
        if case.is_ephemeral() {
            let url = format!("{pods}/{}/ephemeralcontainers?dryRun=All", base_name(case.base));
            let extra = &case.pod["spec"]["ephemeralContainers"];
            let change = json!({"spec": {"ephemeralContainers": extra}});
            self.send("PATCH", &url, "application/strategic-merge-patch+json", &change).await
        } else {
            let url = format!("{pods}?dryRun=All");
            self.send("POST", &url, "application/json", &case.pod).await
        }
    }

    /// Asks whether a pod would be taken in a namespace.
    pub async fn try_pod(&self, namespace: &str, pod: &Value) -> Result<Answer> {
        let url = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
        self.send("POST", &url, "application/json", pod).await
    }

    /// Puts a set of policies into force, and waits until each of them has answered its own mark in a namespace that
    /// it reaches: the API server takes them up one by one.
    pub async fn put_in_force(&self, set: &PolicySet, namespace: &str) -> Result<()> {
        for (url, object) in ours::objects(set) {
            self.create(&url, &object).await?;
        }
        for probe in &set.probes {
            // Not the probe itself: settings that no definition lets in may make it invalid.
            let mut pod = bases()[1].1.clone();
            let annotations = probe.denied["metadata"]["annotations"].clone();
            let (url, object) = if probe.denied["kind"] == "Pod" {
                pod["metadata"]["annotations"] = annotations;
                (format!("/api/v1/namespaces/{namespace}/pods?dryRun=All"), pod)
            } else {
                let labels = json!({"app": "probe"});
                let template = json!({"metadata": {"labels": labels}, "spec": pod["spec"]});
                let spec = json!({"replicas": 0, "selector": {"matchLabels": labels}, "template": template});
                let metadata = json!({"name": "probe", "annotations": annotations});
                let url = format!("/apis/apps/v1/namespaces/{namespace}/deployments?dryRun=All");
                (url, json!({"metadata": metadata, "spec": spec}))
            };
            let what =
                format!("{namespace} is under revision {}: {}", set.revision, probe.sentinel);
            eventually(SOON, &what, || async {
                let answer = self.send("POST", &url, "application/json", &object).await;
                let answer = answer.map_err(|error| error.to_string())?;
                let text = format!("{} {} {:?}", answer.code, answer.message(), answer.warnings);
                if text.contains(&probe.sentinel) { Ok(()) } else { Err(text) }
            })
            .await?;
        }
        Ok(())
    }

    /// Waits until a policy has come into force.
    pub async fn until_evaluated(
        &self,
        namespace: &str,
        case: &Case,
        wanted: impl Fn(&Answer) -> bool,
    ) -> Result<()> {
        let what = format!("{} in {namespace} is evaluated as it should be", case.story);
        eventually(SOON, &what, || async {
            let answer = self.evaluate(namespace, case).await.map_err(|error| error.to_string())?;
            if wanted(&answer) {
                Ok(())
            } else {
                Err(format!("{} {}", answer.code, answer.message()))
            }
        })
        .await
    }
}

fn base_name(number: usize) -> String {
    format!("base-{number}")
}
