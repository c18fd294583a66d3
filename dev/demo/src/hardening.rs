//! The story of hardening: a namespace is hardened, keeps a bad pod out, lets a good one in, and is as it was when
//! the baseline is gone.

use std::time::Duration;

use gabion::api::gabion::hardening_baseline::HardeningBaseline;
use gabion::api::gabion::namespace_hardening::NamespaceHardening;
use k8s_openapi::api::core::v1::{Namespace, Pod, ResourceQuota, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};

use super::audit::Write;
use super::check;
use super::screen::{Screen, spoken};
use super::stage::{NAMESPACE, Stage};
use super::witness::PATIENCE;
use support::{Failure, Result, eventually};

const BASELINE: &str = "production";
const POD_SECURITY: &str = "pod-security.kubernetes.io/";
const DENY: &str = "networkpolicies/gabion-default-deny";
/// The labels that Pod Security goes by, as columns.
const LABELS: &str = "kubectl get namespace shop \
                      -L pod-security.kubernetes.io/enforce,pod-security.kubernetes.io/enforce-version";

/// What was written, in order.
pub struct Changes {
    /// From the change of the baseline to the last of them.
    pub took: Duration,
    /// Gabion's writes in the namespace.
    pub writes: Vec<Write>,
}

/// A baseline selects the namespace.
pub async fn hardened(stage: &Stage, screen: &mut Screen) -> Result<Changes> {
    let shell = &stage.shell;
    screen.heading("A namespace is hardened")?;
    screen.say("One object says what every production namespace is to have:")?;
    shell.show(screen, "tail -n +4 dev/demo/baseline.yaml").await?;
    screen.gap()?;
    let audit = stage.audit()?;
    shell.show(screen, "kubectl apply -f dev/demo/baseline.yaml").await?;
    screen.awaiting("the namespace is hardened")?;
    let reports = Api::<NamespaceHardening>::namespaced(stage.client.clone(), NAMESPACE);
    eventually(PATIENCE, "NamespaceHardening effective is Ready", || async {
        let status = reports.get("effective").await?.status.unwrap_or_default();
        ready(&status.conditions)
    })
    .await?;
    let baselines = Api::<HardeningBaseline>::all(stage.client.clone());
    eventually(PATIENCE, "the baseline is Ready", || async {
        let status = baselines.get(BASELINE).await?.status.unwrap_or_default();
        ready(&status.conditions)
    })
    .await?;
    let took = audit.took("hardeningbaselines", NAMESPACE)?;
    let writes = audit.writes(NAMESPACE)?;
    screen.done(&format!(
        "hardened {} after the baseline came, by {} writes. The API server's audit log has them in this order, allow \
         before deny:",
        spoken(took),
        writes.len()
    ))?;
    list(screen, &writes)?;
    deny_comes_last(&writes)?;
    shell.show(screen, "kubectl get hb").await?;
    shell.show(screen, "kubectl get nsh effective -n shop").await?;
    let labels = shell.show(screen, LABELS).await?;
    check(labels.contains("restricted"), || "there is no label enforce".to_owned())?;
    shell.show(screen, "kubectl get networkpolicy,quota,limits -n shop").await?;
    accounts_keep_their_tokens(stage).await?;
    why(stage, screen).await?;
    Ok(Changes { took, writes })
}

/// Where each value comes from.
async fn why(stage: &Stage, screen: &mut Screen) -> Result<()> {
    screen.say(
        "Why is it so? The report has every value, the baseline that decided, and the rule:",
    )?;
    let command = "kubectl get nsh effective -n shop -o jsonpath='{range .status.values[*]}\
                   {.item} = {.value}  ({.baseline}: {.reason}){\"\\n\"}{end}' | grep -v version";
    let values = stage.shell.show_end(screen, command, 8).await?;
    check(values.contains("podSecurity.enforce = restricted"), || {
        format!("podSecurity.enforce is not explained in: {values}")
    })
}

/// A pod that does not fit is refused; one that does is admitted. Gives the refusal.
pub async fn admission(stage: &Stage, screen: &mut Screen) -> Result<String> {
    screen.heading("A bad pod stays out, a good one comes in")?;
    quota_counts(stage).await?;
    let bad = "kubectl run debug -n shop --image=ubuntu:20.04 --privileged";
    let refusal = stage.shell.show_refused(screen, bad).await?;
    check(refusal.contains("violates PodSecurity \"restricted"), || {
        format!("it was refused, but for another reason: {refusal}")
    })?;
    screen.done("refused by the API server itself: this holds even while Gabion is not running")?;
    stage.shell.show(screen, "kubectl apply -n shop -f examples/guide/pod.yaml").await?;
    let pods = Api::<Pod>::namespaced(stage.client.clone(), NAMESPACE);
    let pod = pods.get("secure-app").await?;
    let limits = pod.spec.iter().flat_map(|spec| &spec.containers).find_map(|container| {
        container.resources.as_ref()?.limits.as_ref()?.get("memory").cloned()
    });
    let limit = limits.ok_or_else(|| Failure::new("the pod has no memory limit"))?;
    screen.done(&format!(
        "admitted; it names no limits, so it got the namespace's: {} of memory",
        limit.0
    ))?;
    Ok(refusal)
}

/// The baseline goes, and all that it brought.
pub async fn released(stage: &Stage, screen: &mut Screen) -> Result<Changes> {
    screen.heading("The baseline goes, and what it brought goes with it")?;
    let audit = stage.audit()?;
    stage.shell.show(screen, "kubectl delete hb production").await?;
    let took = audit.took("hardeningbaselines", NAMESPACE)?;
    let writes = audit.writes(NAMESPACE)?;
    screen.done(&format!(
        "gone after {}, deny before allow, so that nothing is cut off in between:",
        spoken(took)
    ))?;
    list(screen, &writes)?;
    deny_goes_first(&writes)?;
    stage.shell.show(screen, LABELS).await?;
    stage.shell.show(screen, "kubectl get networkpolicy,quota,limits -n shop").await?;
    nothing_is_left(stage).await?;
    let secret = stage.shell.show(screen, "kubectl get secret,pod -n shop").await?;
    check(secret.contains("app-secret"), || "the Secret is gone as well".to_owned())?;
    screen.done("the labels are as they were, and what is the team's is untouched")?;
    Ok(Changes { took, writes })
}

fn list(screen: &mut Screen, writes: &[Write]) -> Result<()> {
    let lines: Vec<_> =
        writes.iter().map(|write| format!("    {:<7} {}", write.verb, write.object)).collect();
    screen.output(&lines.join("\n"))
}

fn ready(conditions: &[Condition]) -> Result<()> {
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready");
    match ready {
        Some(condition) if condition.status == "True" => Ok(()),
        Some(condition) => Err(Failure::new(condition.message.clone())),
        None => Err(Failure::new("there is no condition yet")),
    }
}

/// Every other policy is there before the one that denies.
fn deny_comes_last(writes: &[Write]) -> Result<()> {
    let created = position(writes, "create", DENY)?;
    let late = writes
        .iter()
        .skip(created + 1)
        .find(|write| write.verb == "create" && write.object.starts_with("networkpolicies/"));
    check(late.is_none(), || format!("{late:?} came after the default deny"))
}

fn deny_goes_first(writes: &[Write]) -> Result<()> {
    let deleted = position(writes, "delete", DENY)?;
    let early = writes
        .iter()
        .take(deleted)
        .find(|write| write.verb == "delete" && write.object.starts_with("networkpolicies/"));
    check(early.is_none(), || format!("{early:?} went before the default deny"))
}

fn position(writes: &[Write], verb: &str, object: &str) -> Result<usize> {
    let found = writes.iter().position(|write| write.verb == verb && write.object == object);
    found.ok_or_else(|| Failure::new(format!("the audit log has no {verb} of {object}")))
}

async fn accounts_keep_their_tokens(stage: &Stage) -> Result<()> {
    let accounts = Api::<ServiceAccount>::namespaced(stage.client.clone(), NAMESPACE);
    for account in accounts.list(&ListParams::default()).await? {
        check(account.automount_service_account_token == Some(false), || {
            format!("ServiceAccount {} hands its token to pods", account.name_any())
        })?;
    }
    Ok(())
}

/// The API server admits no pod under a quota of which nobody has counted the use yet.
async fn quota_counts(stage: &Stage) -> Result<()> {
    let quotas = Api::<ResourceQuota>::namespaced(stage.client.clone(), NAMESPACE);
    eventually(PATIENCE, "the quota is counted", || async {
        let counted = quotas.list(&ListParams::default()).await?.into_iter().all(|quota| {
            quota.status.is_some_and(|status| status.hard.is_some_and(|hard| !hard.is_empty()))
        });
        check(counted, || "not yet".to_owned())
    })
    .await
}

async fn nothing_is_left(stage: &Stage) -> Result<()> {
    let namespace = Api::<Namespace>::all(stage.client.clone()).get(NAMESPACE).await?;
    let label = namespace.labels().keys().find(|key| key.starts_with(POD_SECURITY)).cloned();
    check(label.is_none(), || format!("the label {label:?} is still there"))?;
    let policies = Api::<NetworkPolicy>::namespaced(stage.client.clone(), NAMESPACE);
    let left = policies.list(&ListParams::default()).await?.items;
    check(left.is_empty(), || format!("{} network policies are still there", left.len()))?;
    let quotas = Api::<ResourceQuota>::namespaced(stage.client.clone(), NAMESPACE);
    let left = quotas.list(&ListParams::default()).await?.items;
    check(left.is_empty(), || "the quota is still there".to_owned())?;
    let accounts = Api::<ServiceAccount>::namespaced(stage.client.clone(), NAMESPACE);
    for account in accounts.list(&ListParams::default()).await? {
        check(account.automount_service_account_token.is_none(), || {
            format!("ServiceAccount {} is not as it was", account.name_any())
        })?;
    }
    Ok(())
}
