//! From External Secrets Operator's chart to ours and back. A stand-in plays theirs: it has their names, labels and
//! definitions, and nothing marks these to be kept.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use support::{Failure, Kubectl, Result, SOON, eventually, repository};

use super::helm::{Helm, chart, text};
use super::life::{KEPT, populate, seen, uids};

/// What their chart has and ours lacks.
const PROVIDERS: &str = r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: clusterproviders.external-secrets.io }
spec:
  group: external-secrets.io
  names: { kind: ClusterProvider, plural: clusterproviders, singular: clusterprovider }
  scope: Cluster
  versions:
    - name: v1alpha1
      served: true
      storage: true
      schema: { openAPIV3Schema: { type: object, x-kubernetes-preserve-unknown-fields: true } }
";

const DEFINITIONS: &str = r#"
{{- range $path, $_ := .Files.Glob "definitions/*.yaml" }}
{{- $object := $.Files.Get $path | fromYaml }}
{{- with $.Values.crds.annotations }}{{ $_ := set $object.metadata "annotations" . }}{{ end }}
{{- if contains "externalsecrets." $path }}
{{- $service := dict "name" "external-secrets-webhook" "namespace" $.Release.Namespace "path" "/convert" }}
{{- $webhook := dict "conversionReviewVersions" (list "v1") "clientConfig" (dict "service" $service) }}
{{- $_ := set $object.spec "conversion" (dict "strategy" "Webhook" "webhook" $webhook) }}
{{- end }}
---
{{ toYaml $object }}
{{- end }}
"#;

const OPERATOR: &str = r"
apiVersion: v1
kind: ServiceAccount
metadata:
  name: external-secrets
  namespace: {{ .Release.Namespace }}
  annotations: { eks.amazonaws.com/role-arn: 'arn:aws:iam::123456789012:role/eso' }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: external-secrets, namespace: {{ .Release.Namespace }} }
spec:
  selector: { matchLabels: &labels { app.kubernetes.io/name: external-secrets, app.kubernetes.io/instance: {{ .Release.Name }} } }
  template:
    metadata: { labels: *labels }
    spec:
      serviceAccountName: external-secrets
      containers: [{ name: external-secrets, image: 'example.com/operator:1' }]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: { name: externalsecret-validate }
webhooks:
  - name: validate.externalsecret.external-secrets.io
    rules: [{ apiGroups: [external-secrets.io], apiVersions: [v1], operations: [DELETE], resources: [externalsecrets] }]
    clientConfig: { service: { name: external-secrets-webhook, namespace: {{ .Release.Namespace }} } }
    admissionReviewVersions: [v1]
    sideEffects: None
    timeoutSeconds: 1
    failurePolicy: Ignore
";

/// Values as their users have them; the role is what IAM trusts.
const VALUES: [&str; 2] = [
    "--set=installCRDs=true,webhook.replicaCount=2,concurrent=5",
    r"--set=serviceAccount.annotations.eks\.amazonaws\.com/role-arn=arn:aws:iam::123456789012:role/eso",
];

/// The one change of values that the page asks for first.
const KEEP: &str = r"--set=crds.annotations.helm\.sh/resource-policy=keep";

fn stand_in(helm: &Helm) -> Result<PathBuf> {
    let folder = helm.folder().join("external-secrets");
    fs::create_dir_all(folder.join("templates"))?;
    fs::create_dir_all(folder.join("definitions"))?;
    let about = "apiVersion: v2\nname: external-secrets\nversion: 2.9.0\n";
    fs::write(folder.join("Chart.yaml"), about)?;
    fs::write(folder.join("values.yaml"), "crds: { annotations: {} }\n")?;
    fs::write(folder.join("templates/crds.yaml"), DEFINITIONS)?;
    fs::write(folder.join("templates/operator.yaml"), OPERATOR)?;
    fs::write(folder.join("definitions/clusterproviders.yaml"), PROVIDERS)?;
    for kind in ["externalsecrets", "secretstores", "clustersecretstores"] {
        let file = format!("{kind}.external-secrets.io.yaml");
        fs::copy(repository().join("crds").join(&file), folder.join("definitions").join(&file))?;
    }
    Ok(folder)
}

/// Their release with an ExternalSecret, its store and its Secret.
fn installed(helm: &Helm, kubectl: &Kubectl) -> Result<String> {
    let theirs = text(&stand_in(helm)?)?;
    let install = ["install", "external-secrets", &theirs, "-n", "eso", "--create-namespace"];
    helm.run(&[&install[..], &VALUES].concat())?;
    populate(kubectl)?;
    Ok(theirs)
}

fn get(kubectl: &Kubectl, kind: &str, name: &str) -> Result<Value> {
    Ok(serde_json::from_str(&kubectl.run(&["get", kind, name, "-n", "eso", "-o", "json"])?)?)
}

#[tokio::test]
async fn in_place_it_takes_over_and_gives_back_without_a_write_to_a_secret() -> Result<()> {
    let (_plane, helm, kubectl) = super::life::plane()?;
    let theirs = installed(&helm, &kubectl)?;
    let upgrade = |chart: &str, more: &[&str]| {
        let to = ["upgrade", "external-secrets", chart, "-n", "eso", "--reset-values"];
        helm.run(&[&to[..], &VALUES, more].concat())
    };
    let before = seen(&kubectl, KEPT)?;
    let account = get(&kubectl, "serviceaccount", "external-secrets")?;

    upgrade(&theirs, &[KEEP])?;
    let notes = upgrade(&chart()?, &[KEEP])?;
    for named in ["webhook: there is no webhook", "concurrent: one worker"] {
        assert!(notes.contains(named), "{notes}");
    }
    let after = seen(&kubectl, KEPT)?;
    for (name, (uid, version)) in &before {
        let now = after.get(name).ok_or_else(|| Failure::new(format!("{name} is gone")))?;
        assert_eq!(&now.0, uid, "{name}");
        assert!(name.contains("CustomResource") || now.1 == *version, "{name} was written");
    }
    let now = get(&kubectl, "serviceaccount", "external-secrets")?;
    assert_eq!(now["metadata"]["uid"], account["metadata"]["uid"]);
    assert_eq!(
        now["metadata"]["annotations"]["eks.amazonaws.com/role-arn"],
        "arn:aws:iam::123456789012:role/eso"
    );
    let pod = get(&kubectl, "deployment", "external-secrets-gabion")?;
    assert_eq!(pod["spec"]["template"]["spec"]["serviceAccountName"], "external-secrets");
    assert!(get(&kubectl, "deployment", "external-secrets").is_err());
    assert!(get(&kubectl, "validatingwebhookconfiguration", "externalsecret-validate").is_err());
    let definition = get(&kubectl, "crd", "externalsecrets.external-secrets.io")?;
    assert_eq!(definition["spec"]["conversion"]["strategy"], "None");
    assert!(
        get(&kubectl, "crd", "clusterproviders.external-secrets.io").is_ok(),
        "the mark keeps it"
    );

    upgrade(&theirs, &[KEEP])?;
    let back = seen(&kubectl, "externalsecrets,secretstores,secrets")?;
    for (name, version) in back {
        assert_eq!(before[&name], version, "{name}");
    }
    assert!(get(&kubectl, "deployment", "external-secrets").is_ok());
    assert!(get(&kubectl, "deployment", "external-secrets-gabion").is_err());
    Ok(())
}

#[tokio::test]
async fn with_the_mark_an_uninstall_loses_nothing_and_another_release_takes_over() -> Result<()> {
    let (_plane, helm, kubectl) = super::life::plane()?;
    let theirs = installed(&helm, &kubectl)?;
    helm.run(&["upgrade", "external-secrets", &theirs, "-n", "eso", "--reuse-values", KEEP])?;
    let before = seen(&kubectl, KEPT)?;
    helm.run(&["uninstall", "external-secrets", "-n", "eso"])?;
    assert_eq!(uids(&seen(&kubectl, KEPT)?), uids(&before));

    let install = ["install", "gabion", &chart()?, "-n", "eso"];
    match helm.run(&install) {
        Ok(_) => return Err(Failure::new("it took over what another release owns, unasked")),
        Err(refusal) => assert!(refusal.to_string().contains("ownership"), "{refusal}"),
    }
    helm.run(&[&install[..], &["--take-ownership"]].concat())?;
    let after = seen(&kubectl, KEPT)?;
    for (name, (uid, version)) in &before {
        assert_eq!(&after[name].0, uid, "{name}");
        assert!(name.contains("CustomResource") || after[name].1 == *version, "{name} was written");
    }
    Ok(())
}

/// Why the page begins with the mark.
#[tokio::test]
async fn without_the_mark_an_uninstall_takes_every_external_secret() -> Result<()> {
    let (_plane, helm, kubectl) = super::life::plane()?;
    installed(&helm, &kubectl)?;
    helm.run(&["uninstall", "external-secrets", "-n", "eso"])?;
    // The garbage collector takes the Secrets afterwards, as soon as it knows the kind of their owners.
    eventually(SOON, "the definition is gone, and its objects with it", || async {
        let definition =
            ["get", "crd", "externalsecrets.external-secrets.io", "--ignore-not-found"];
        match kubectl.run(&definition)?.trim() {
            "" => Ok(()),
            left => Err(Failure::new(left)),
        }
    })
    .await
}
