//! The story of secrets: a secret arrives, rotates, and is put back when somebody edits it.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;

use gabion::api::external_secrets::external_secret::ExternalSecret;

use super::check;
use super::screen::{Screen, spoken};
use super::stage::{NAMESPACE, REGION, Stage};
use support::{Context as _, Result};

/// The secret in Secrets Manager that `examples/guide/rotation.yaml` asks for.
const KEY: &str = "prod/app/database";
/// The Secret that it asks for.
const TARGET: &str = "app-secret";
/// Passwords before and after the rotation, and of somebody's own making. The first two must be seen nowhere
/// but in the Secret.
pub const PASSWORDS: [&str; 2] = ["dAybr3ak-0f-the-first", "n1ghtfall-0f-the-second"];
const TAMPERED: &str = "changed-by-hand";
/// How the story shows that a password is another one without showing it.
const FINGERPRINT: &str = "kubectl get secret app-secret -n shop -o jsonpath='{.data.password}' \
                           | base64 -d | sha256sum | cut -c1-16";

/// How long something took, and the fingerprint of the password then.
pub struct Outcome {
    /// From the cause to the effect, as the API server reported them.
    pub took: Duration,
    /// A hash of the password.
    pub fingerprint: String,
}

/// The guide's sample as it stands, and what it needs around it.
pub async fn arrival(stage: &Stage, screen: &mut Screen) -> Result<Outcome> {
    let shell = &stage.shell;
    screen.heading("A secret arrives")?;
    screen.say(
        "A team has a namespace, a ServiceAccount that may assume a role in AWS, and a password in Secrets \
         Manager.",
    )?;
    shell.show(screen, "kubectl create namespace shop").await?;
    shell.show(screen, "kubectl label namespace shop env=prod").await?;
    shell.show(screen, "kubectl create serviceaccount external-secrets-sa -n shop").await?;
    let role = "eks.amazonaws.com/role-arn=arn:aws:iam::123456789012:role/shop";
    let annotate = format!("kubectl annotate sa external-secrets-sa -n shop {role}");
    shell.show(screen, &annotate).await?;
    aws(screen, "create-secret --name")?;
    let client = stage.secrets_manager().await;
    let created = client.create_secret().name(KEY).secret_string(value(PASSWORDS[0])).send();
    created.await.context("CreateSecret")?;

    screen.gap()?;
    screen.say(
        "The store says where secrets are and as whom to read them; the ExternalSecret says which of them \
         become which keys. Both are written for External Secrets Operator, in its old v1beta1.",
    )?;
    let (secrets, objects) = (stage.secrets.mark(), stage.external_secrets.mark());
    shell.show(screen, "kubectl apply -n shop -f examples/guide/rotation.yaml").await?;
    screen.awaiting("the Secret")?;
    let asked =
        stage.external_secrets.awaits(objects, "the ExternalSecret is there", named).await?;
    let came = stage.secrets.awaits(secrets, "the Secret arrives", holds(PASSWORDS[0])).await?;
    let took = came.at.saturating_duration_since(asked.at);
    stage.external_secrets.awaits(objects, "the ExternalSecret is Ready", is_ready).await?;
    screen.done(&format!("the Secret was there {} after the ExternalSecret", spoken(took)))?;
    let table = shell.show(screen, "kubectl get es -n shop").await?;
    check(table.contains("SecretSynced"), || "the ExternalSecret says no SecretSynced".to_owned())?;
    let owner = "kubectl get secret app-secret -n shop \
                 -o custom-columns=NAME:.metadata.name,OWNER:.metadata.ownerReferences[*].kind";
    let owner = shell.show(screen, owner).await?;
    check(owner.contains("ExternalSecret"), || format!("it has another owner: {owner}"))?;
    screen.say("The password itself is not for the screen; this is its fingerprint:")?;
    let fingerprint = fingerprint(stage, screen, PASSWORDS[0]).await?;
    Ok(Outcome { took, fingerprint })
}

/// A new value at the source, and a refresh at once.
pub async fn rotation(stage: &Stage, screen: &mut Screen) -> Result<Outcome> {
    screen.heading("It rotates")?;
    aws(screen, "put-secret-value --secret-id")?;
    let client = stage.secrets_manager().await;
    let put = client.put_secret_value().secret_id(KEY).secret_string(value(PASSWORDS[1])).send();
    put.await.context("PutSecretValue")?;
    screen.say(
        "The sample has refreshInterval: 1h, so the new password comes by itself within the hour. To have it \
         now:",
    )?;
    let (secrets, objects) = (stage.secrets.mark(), stage.external_secrets.mark());
    let annotate = "kubectl annotate es app-secret -n shop force-sync=now --overwrite";
    stage.shell.show(screen, annotate).await?;
    screen.awaiting("the new password")?;
    let asked = stage.external_secrets.awaits(objects, "the annotation is there", named).await?;
    let came =
        stage.secrets.awaits(secrets, "the new password arrives", holds(PASSWORDS[1])).await?;
    let took = came.at.saturating_duration_since(asked.at);
    screen.done(&format!("the new password was there {} after the annotation", spoken(took)))?;
    let fingerprint = fingerprint(stage, screen, PASSWORDS[1]).await?;
    Ok(Outcome { took, fingerprint })
}

/// Somebody changes the Secret.
pub async fn repair(stage: &Stage, screen: &mut Screen) -> Result<Outcome> {
    screen.heading("Somebody edits the Secret")?;
    let mark = stage.secrets.mark();
    let edit = format!(
        "kubectl patch secret app-secret -n shop -p '{{\"stringData\":{{\"password\":\"{TAMPERED}\"}}}}'"
    );
    stage.shell.show(screen, &edit).await?;
    screen.awaiting("the Secret is put back")?;
    let edited = stage.secrets.awaits(mark, "the edit is seen", holds(TAMPERED)).await?;
    let restored =
        stage.secrets.awaits(mark, "the Secret is put back", holds(PASSWORDS[1])).await?;
    let took = restored.at.saturating_duration_since(edited.at);
    screen.done(&format!("put back {} after the edit", spoken(took)))?;
    let fingerprint = fingerprint(stage, screen, PASSWORDS[1]).await?;
    Ok(Outcome { took, fingerprint })
}

/// The command for the AWS side. It is done through the SDK, as this machine need not have the program.
fn aws(screen: &mut Screen, what: &str) -> Result<()> {
    screen.command(&format!(
        "aws secretsmanager {what} {KEY} --region {REGION} --secret-string '{{\"password\":\"****\"}}'"
    ))
}

fn value(password: &str) -> String {
    serde_json::json!({ "password": password, "username": "app" }).to_string()
}

fn named(object: &ExternalSecret) -> bool {
    object.name_any() == TARGET
}

fn is_ready(object: &ExternalSecret) -> bool {
    let conditions = object.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn holds(password: &'static str) -> impl Fn(&Secret) -> bool {
    move |secret| {
        let data = secret.data.iter().flatten().find(|(key, _)| *key == "password");
        secret.name_any() == TARGET && data.is_some_and(|(_, value)| value.0 == password.as_bytes())
    }
}

/// Shows the fingerprint of the password in the cluster, which must be that of `password`.
async fn fingerprint(stage: &Stage, screen: &mut Screen, password: &str) -> Result<String> {
    let shown = stage.shell.show(screen, FINGERPRINT).await?.trim().to_owned();
    let known = format!("printf %s '{password}' | sha256sum | cut -c1-16");
    let known = stage.shell.quietly(&known).await?.trim().to_owned();
    check(shown == known, || format!("in {NAMESPACE}/{TARGET} is another password: {shown}"))?;
    Ok(shown)
}
