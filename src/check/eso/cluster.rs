//! The objects of a cluster, read with the rights of whoever asks, and never a Secret. What cannot be read is an error
//! of the run: it is not taken for absent.

use serde_json::Value;
use serde_json::ser::{PrettyFormatter, Serializer};

use serde::Serialize as _;

use super::installation::NAMES;
use super::{GENERATORS, GROUP};
use crate::check::cross_references::CrossReferences;
use crate::check::manifest;
use crate::check::report::{FileReport, Report};
use crate::check::rules::Rules;
use crate::cluster::{ReadError, Reader, Step, Target};

/// The kinds beside ESO's own: where they are, and what they are.
const OTHERS: [(&str, &str, &str); 4] = [
    ("/api/v1/namespaces", "v1", "Namespace"),
    (
        "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
    ),
    (
        "/apis/monitoring.coreos.com/v1/prometheusrules",
        "monitoring.coreos.com/v1",
        "PrometheusRule",
    ),
    ("/apis/apps/v1/deployments", "apps/v1", "Deployment"),
];

/// Evaluates the objects of a cluster.
pub(crate) fn report(target: &Target, rules: &Rules) -> Report {
    let mut survey = Survey {
        rules,
        across: CrossReferences::default(),
        report: Report::default(),
        faults: Vec::new(),
    };
    // Without a provider TLS cannot begin. It fails only if there is one already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(survey.run(target)),
        Err(error) => survey.faults.push(FileReport::fault("cluster", error.to_string())),
    }
    let Survey { across, mut report, faults, .. } = survey;
    across.finish(&mut report);
    // What has nothing to do with ESO is not listed: a cluster holds much of it.
    report.unevaluated.clear();
    report.files.retain(|file| !file.objects.is_empty() || !file.faults.is_empty());
    report.files.extend(faults);
    report
}

struct Survey<'r> {
    rules: &'r Rules,
    across: CrossReferences,
    report: Report,
    faults: Vec<FileReport>,
}

impl Survey<'_> {
    async fn run(&mut self, target: &Target) {
        let reader = match Reader::connect(target).await {
            Ok(reader) => reader,
            Err(error) => return self.fault("cluster", &error),
        };
        let mut kinds = Vec::new();
        for group in [GROUP, GENERATORS] {
            match served(&reader, group).await {
                Ok(served) => kinds.extend(served),
                Err(ReadError::NotFound(_)) if group == GENERATORS => {}
                Err(ReadError::NotFound(_)) => {
                    let message =
                        format!("{} serves no {GROUP}: is ESO in this cluster?", reader.url());
                    self.faults.push(FileReport::fault(reader.url(), message));
                    return;
                }
                Err(error) => return self.fault(group, &error),
            }
        }
        for kind in &kinds {
            let path = format!("/apis/{}/{}", kind.api_version, kind.plural);
            if self.list(&reader, &path, None, &kind.api_version, &kind.kind).await {
                return;
            }
            let definition = format!("{}.{}", kind.plural, kind.group());
            self.definition(&reader, &definition).await;
        }
        for (path, api_version, kind) in OTHERS {
            let labels = (kind == "Deployment")
                .then(|| format!("app.kubernetes.io/name in ({})", NAMES.join(",")));
            if self.list(&reader, path, labels.as_deref(), api_version, kind).await {
                return;
            }
        }
        // Where Grafana's sidecar looks for dashboards. All ConfigMaps would be too many.
        let dashboards = Some("grafana_dashboard");
        self.list(&reader, "/api/v1/configmaps", dashboards, "v1", "ConfigMap").await;
    }

    fn fault(&mut self, what: &str, error: &ReadError) {
        self.faults.push(FileReport::fault(what, format!("cannot be read: {error}")));
    }

    /// Evaluates all objects of a list; true if nothing else can be read either.
    async fn list(
        &mut self,
        reader: &Reader,
        path: &str,
        labels: Option<&str>,
        api_version: &str,
        kind: &str,
    ) -> bool {
        let mut objects = Vec::new();
        let listed = reader
            .list(path, labels, &mut |step| match step {
                Step::Begin => objects.clear(),
                Step::Object(object) => objects.push(slim(object)),
            })
            .await;
        match listed {
            Ok(_) => {}
            // A kind that the cluster does not know has no objects.
            Err(ReadError::NotFound(_)) => return false,
            Err(error) => {
                self.fault(path.trim_start_matches('/'), &error);
                return error.is_final();
            }
        }
        for mut object in objects {
            object["apiVersion"] = api_version.into();
            object["kind"] = kind.into();
            self.object(&object);
        }
        false
    }

    async fn definition(&mut self, reader: &Reader, name: &str) {
        let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
        match reader.get(&path).await {
            Ok(mut object) => {
                // The schema is long, and nothing is asked of it.
                object["spec"]["versions"] = Value::Null;
                object["apiVersion"] = "apiextensions.k8s.io/v1".into();
                object["kind"] = "CustomResourceDefinition".into();
                self.object(&slim(object));
            }
            Err(ReadError::NotFound(_)) => {}
            Err(error) => self.fault(name, &error),
        }
    }

    /// Evaluates one object as the text that `kubectl get -o json` prints, so that lines are those of that text.
    fn object(&mut self, object: &Value) {
        let metadata = &object["metadata"];
        let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
        let name = metadata["name"].as_str().unwrap_or_default();
        let name = match metadata["namespace"].as_str() {
            Some(namespace) => format!("cluster/{namespace}/{kind}/{name}"),
            None => format!("cluster/{kind}/{name}"),
        };
        let file = manifest::check(&name, &shown(object), self.rules, &mut self.across);
        self.report.files.push(file);
        self.across.next_file();
    }
}

/// Without what kubectl does not show.
fn slim(mut object: Value) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    object
}

/// The text that kubectl prints.
fn shown(object: &Value) -> String {
    let mut text = Vec::new();
    let mut writer = Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b"    "));
    // Writing JSON into memory does not fail.
    let _ = object.serialize(&mut writer);
    String::from_utf8(text).unwrap_or_default()
}

/// A kind that a cluster serves.
struct Served {
    api_version: String,
    plural: String,
    kind: String,
}

impl Served {
    fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }
}

/// Every kind of a group, in the version that the API server prefers.
async fn served(reader: &Reader, group: &str) -> Result<Vec<Served>, ReadError> {
    let about = reader.get(&format!("/apis/{group}")).await?;
    let versions = about["versions"].as_array().into_iter().flatten();
    let mut all: Vec<Served> = Vec::new();
    for version in versions.filter_map(|version| version["groupVersion"].as_str()) {
        let list = reader.get(&format!("/apis/{version}")).await?;
        for resource in list["resources"].as_array().into_iter().flatten() {
            let text = |field: &str| resource[field].as_str().unwrap_or_default().to_owned();
            let (plural, kind) = (text("name"), text("kind"));
            let is_new = all.iter().all(|known| known.kind != kind);
            if !plural.contains('/') && is_new {
                all.push(Served { api_version: version.to_owned(), plural, kind });
            }
        }
    }
    Ok(all)
}
