//! A manifest gets from `gabion check` the verdict that the API server gives it under the same baseline: every
//! manifest of this repository, and generated ones in each of the kinds that hold a pod.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use gabion::api::gabion::hardening_baseline::HardeningBaseline;
use gabion::policy::ControlId;
use gabion::policy::Settings;
use gabion::policy::Target;
use gabion::policy::WorkloadKind;
use gabion::policy::version::NEWEST_KNOWN;
use gabion::policy::version::PssVersion;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use support::{Failure, Result};
use tokio::task::spawn_blocking;

use crate::{
    images::generated,
    live::{Api, plane},
    ours,
    test_random::TestRandom,
};

/// Folders of this repository in which manifests are.
const FOLDERS: [&str; 4] = ["examples", "config", "tests", "bench"];

/// Programs that run at a time.
const FILES_AT_ONCE: usize = 4;

/// A baseline that asks for everything, with this verdict on templates.
fn baseline(templates: &str) -> String {
    format!(
        "apiVersion: gabion.dev/v1alpha1
kind: HardeningBaseline
metadata: {{name: corpus-{}}}
spec:
  allNamespaces: true
  podSecurity: {{level: restricted}}
  pods:
    readOnlyRootFilesystem: true
    runAsUser: {{min: 1000, max: 65535}}
    runAsGroup: {{min: 1000, max: 65535}}
    fsGroup: {{min: 1000, max: 65535}}
    localhostSeccompProfiles: [operator/app1.json]
    minContainerPort: 1024
    templates: {templates}
  resources: {{require: [limits.memory, requests.cpu, limits.ephemeral-storage]}}
  images:
    allowedRegistries: [registry.corp.example/prod, docker.io, registry.example]
    deniedRepositories: [docker.io/library/ubuntu]
    tags: DenyLatest
  serviceAccounts: {{automountToken: Disabled}}
  secrets: {{literalCredentialEnv: Deny, secretEnv: Warn}}
  logging: {{requireEnv: [LOG_LEVEL, LOG_FORMAT], sharedLogVolumeReadOnlyForSidecars: true}}
",
        templates.to_lowercase()
    )
}

/// Every YAML file below a folder. What kustomizations patch is left out: files are evaluated as they are deployed.
fn manifests(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.ends_with("fixtures/kustomize") {
            continue;
        }
        if path.is_dir() {
            manifests(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
    found.sort();
    Ok(())
}

/// A pod as an object of a kind.
fn as_kind(kind: WorkloadKind, pod: &Value, name: &str) -> Value {
    let version = match kind.group() {
        "" => "v1".to_owned(),
        group => format!("{group}/v1"),
    };
    let labels = json!({"app": name});
    let mut object =
        json!({"apiVersion": version, "kind": kind.as_str(), "metadata": {"name": name}});
    if kind == WorkloadKind::Pod {
        object["spec"] = pod["spec"].clone();
        return object;
    }
    let mut holder = &mut object;
    for key in kind.pod() {
        holder = &mut holder[*key];
    }
    *holder = json!({"metadata": {"labels": labels}, "spec": pod["spec"]});
    match kind {
        WorkloadKind::Job => object["spec"]["template"]["spec"]["restartPolicy"] = "Never".into(),
        WorkloadKind::CronJob => {
            object["spec"]["schedule"] = "@daily".into();
            object["spec"]["jobTemplate"]["spec"]["template"]["spec"]["restartPolicy"] =
                "Never".into();
        }
        WorkloadKind::PodTemplate => {}
        WorkloadKind::ReplicationController => object["spec"]["selector"] = labels,
        _ => object["spec"]["selector"] = json!({"matchLabels": labels}),
    }
    if kind == WorkloadKind::StatefulSet {
        object["spec"]["serviceName"] = name.into();
    }
    object
}

/// Generated pods in every kind, as the documents of one file.
fn generated_documents(count: u64) -> String {
    let kinds = WorkloadKind::TEMPLATES.into_iter().chain([WorkloadKind::Pod]).cycle();
    let seeds = TestRandom::new(crate::agreement::number("GABION_JUDGES_SEED", 20_261_126)).next();
    let documents = (0..count).zip(kinds).map(|(nth, kind)| {
        let pod = generated(seeds ^ (nth << 8));
        as_kind(kind, &pod, &format!("generated-{nth}")).to_string()
    });
    documents.collect::<Vec<_>>().join("\n---\n")
}

fn kind_of(object: &Value) -> Option<WorkloadKind> {
    let version = object["apiVersion"].as_str()?;
    let group = version.split_once('/').map_or("", |(group, _)| group);
    WorkloadKind::named(group, object["kind"].as_str()?)
}

/// What `gabion check` says of one document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Verdict {
    refused: BTreeSet<String>,
    warned: BTreeSet<String>,
}

/// What `gabion check` says of each document of a file.
fn by_the_program(baseline: &Path, file: &Path, documents: usize) -> Result<Vec<Verdict>> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gabion"));
    // Admission knows neither suppressions nor what a project excludes.
    command.args(["check", "-o", "json", "--no-suppress", "--baseline"]).arg(baseline).arg(file);
    let output = command.output()?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let mut verdicts = vec![Verdict::default(); documents];
    for finding in report["files"][0]["findings"].as_array().into_iter().flatten() {
        let number = finding["document"].as_u64().and_then(|n| usize::try_from(n).ok());
        let document = number.and_then(|number| verdicts.get_mut(number));
        let document =
            document.ok_or_else(|| Failure::new(format!("no document for {finding}")))?;
        let id = finding["control"].as_str().unwrap_or_default().to_owned();
        // The others are about what admission does not decide.
        let of_pods = |id: ControlId| id.control().target == Target::Pod;
        if !ControlId::parse(&id).is_some_and(of_pods) {
            continue;
        }
        match finding["verdict"].as_str() {
            Some("Deny") => document.refused.insert(id),
            _ => document.warned.insert(id),
        };
    }
    Ok(verdicts)
}

/// What the API server says of an object: nothing, if it finds it invalid.
async fn by_the_server(
    api: &Api,
    namespace: &str,
    kind: WorkloadKind,
    object: &Value,
) -> Result<Option<Verdict>> {
    let group = match kind.group() {
        "" => "api/v1".to_owned(),
        group => format!("apis/{group}/v1"),
    };
    let mut object = object.clone();
    object["metadata"]["namespace"] = namespace.into();
    let url = format!("/{group}/namespaces/{namespace}/{}?dryRun=All", kind.resource());
    let request = http::Request::post(url).header("content-type", "application/json");
    let answer = api.0.send(request.body(serde_json::to_vec(&object)?.into())?).await?;
    let code = answer.status().as_u16();
    let warnings = answer.headers().get_all("warning").into_iter();
    let warnings: Vec<_> =
        warnings.filter_map(|value| value.to_str().ok()).map(str::to_owned).collect();
    let body: Value = serde_json::from_slice(&answer.into_body().collect().await?.to_bytes())?;
    let refused = match code {
        200 | 201 => BTreeSet::new(),
        _ => match ours::denied_controls(body["message"].as_str().unwrap_or_default()) {
            Some(refused) => refused,
            None if code == 422 || code == 403 || code == 400 => return Ok(None),
            None => return Err(Failure::new(format!("{code}: {body}"))),
        },
    };
    let warned = warnings.iter().filter(|warning| warning.contains("hardening baseline "));
    let warned = warned.flat_map(|warning| named(warning)).collect();
    Ok(Some(Verdict { refused, warned }))
}

/// The controls that a warning of ours names.
fn named(warning: &str) -> Vec<String> {
    let text = warning.split_once("): ").map_or("", |(_, text)| text);
    let ids = text.split("; ").filter_map(|part| part.split_once(": ")).map(|(id, _)| id);
    ids.filter(|id| gabion::policy::ControlId::parse(id).is_some()).map(str::to_owned).collect()
}

struct Court {
    api: Api,
    namespace: String,
    baseline: PathBuf,
    templates: &'static str,
}

impl Court {
    async fn sit(folder: &Path, templates: &'static str) -> Result<Self> {
        let api = Api(plane()?.client().await?);
        let text = baseline(templates);
        let parsed: HardeningBaseline = serde_saphyr::from_str(&text)?;
        let settings = Settings::of(&parsed.spec, PssVersion::Pinned(NEWEST_KNOWN))
            .map_err(|error| Failure::new(error.to_string()))?;
        let namespace = format!("corpus-{}", templates.to_lowercase());
        api.namespace(&namespace).await?;
        api.label(&namespace, &json!({"bar": namespace})).await?;
        api.put_in_force(&ours::compiled(&settings, &namespace), &namespace).await?;
        let baseline = folder.join(format!("{namespace}.yaml"));
        std::fs::write(&baseline, text)?;
        Ok(Self { api, namespace, baseline, templates })
    }

    /// Compares both on each document of a file that holds a pod. How many were evaluated, and how many refused.
    async fn evaluate(&self, file: &Path) -> Result<(usize, usize)> {
        let Ok(documents) = serde_saphyr::from_multiple::<Value>(&std::fs::read_to_string(file)?)
        else {
            return Ok((0, 0));
        };
        // A program is started for each file, so none for a file that no control of pods looks at.
        if !documents.iter().any(|object| kind_of(object).is_some()) {
            return Ok((0, 0));
        }
        let (baseline, path, count) = (self.baseline.clone(), file.to_owned(), documents.len());
        let program = spawn_blocking(move || by_the_program(&baseline, &path, count)).await??;
        let cases = documents
            .iter()
            .zip(&program)
            .filter_map(|(object, program)| Some((kind_of(object)?, object, program)));
        let evaluated: Vec<Option<bool>> = stream::iter(cases)
            .map(|(kind, object, program)| self.compare(file, kind, object, program))
            .buffer_unordered(16)
            .try_collect()
            .await?;
        let refused = evaluated.iter().flatten().filter(|refused| **refused).count();
        Ok((evaluated.iter().flatten().count(), refused))
    }

    async fn compare(
        &self,
        file: &Path,
        kind: WorkloadKind,
        object: &Value,
        program: &Verdict,
    ) -> Result<Option<bool>> {
        let plain = by_the_server(&self.api, "corpus-plain", kind, object).await?;
        if plain.is_none() {
            return Ok(None);
        }
        let server = by_the_server(&self.api, &self.namespace, kind, object).await?;
        let mut wanted = program.clone();
        if kind != WorkloadKind::Pod && self.templates == "Warn" {
            // All that a template's pods would be refused or warned for is a warning there.
            wanted.warned.append(&mut wanted.refused);
        } else if kind != WorkloadKind::Pod {
            wanted.warned.clear();
        }
        assert_eq!(server, Some(wanted), "{} {}: {object}", file.display(), self.templates);
        Ok(Some(!program.refused.is_empty()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_get_the_verdict_that_admission_gives_their_objects() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir()?;
    let mut files = Vec::new();
    for name in FOLDERS {
        manifests(&root.join(name), &mut files)?;
    }
    let made = folder.path().join("generated.yaml");
    std::fs::write(&made, generated_documents(270))?;
    Api(plane()?.client().await?).namespace("corpus-plain").await?;
    // Both at once: most of the time the API server is asked again whether the policies are in force.
    let sit = |templates| Court::sit(folder.path(), templates);
    let (warns, denies) = tokio::try_join!(sit("Warn"), sit("Deny"))?;
    for court in [warns, denies] {
        let templates = court.templates;
        let tried: Vec<_> = stream::iter(&files)
            .map(|file| court.evaluate(file))
            .buffer_unordered(FILES_AT_ONCE)
            .try_collect()
            .await?;
        let (own, own_refused) = tried.iter().fold((0, 0), |(all, no), (a, n)| (all + a, no + n));
        let (evaluated, refused) = court.evaluate(&made).await?;
        say!(
            "templates {templates}: {own} objects of {} files, {own_refused} refused; {evaluated} generated, {refused} refused: \
             gabion check and admission agree on the controls of each",
            files.len()
        );
        assert!(
            own >= 7 && evaluated >= 100 && refused > 20 && refused < evaluated,
            "too little was evaluated"
        );
    }
    Ok(())
}
