//! The end: what it took, and that no password went where it should not.

use super::check;
use super::screen::{Screen, spoken};
use super::secrets::PASSWORDS;
use super::stage::Stage;
use support::{Failure, Result};

/// What the story took.
pub struct Summary {
    /// Writes to the API server, Events apart.
    pub writes: u64,
    /// Reads of single objects and lists, watches apart.
    pub reads: u64,
    /// Requests for tokens of ServiceAccounts.
    pub tokens: u64,
    /// Calls to AWS.
    pub aws: u64,
    /// Memory in use, in bytes.
    pub memory: u64,
}

/// The namespace goes, and everything is counted.
pub async fn farewell(stage: &Stage, screen: &mut Screen) -> Result<Summary> {
    screen.heading("Cleaning up, and what it took")?;
    stage.shell.show(screen, "kubectl delete namespace shop").await?;
    let found = summary(stage)?;
    screen.done(&format!(
        "/metrics has the sums: {} writes to the API server, {} reads beside the watches, {} token request, {} \
         calls to AWS. Gabion, a debug build, holds {} MiB of memory",
        found.writes,
        found.reads,
        found.tokens,
        found.aws,
        found.memory >> 20
    ))?;
    nowhere_else(stage)?;
    screen.done("neither password is in Gabion's log or in the API server's audit log")?;
    screen.done(&format!(
        "shown in {}: a secret arrived, rotated and was put back; a namespace was hardened, kept a bad pod out, \
         and is as it was",
        spoken(stage.began.elapsed())
    ))?;
    Ok(found)
}

/// What `/metrics` says so far.
pub fn summary(stage: &Stage) -> Result<Summary> {
    let text = stage.metrics()?;
    let of = |wanted: fn(&str) -> bool| total(&text, "gabion_api_requests_total", wanted);
    let token = |labels: &str| labels.contains("verb=\"token\"");
    let read = |labels: &str| labels.contains("verb=\"get\"") || labels.contains("verb=\"list\"");
    let (tokens, reads, all) = (of(token), of(read), of(|_| true));
    Ok(Summary {
        writes: all.saturating_sub(tokens + reads),
        reads,
        tokens,
        aws: total(&text, "gabion_provider_calls_total", |_| true),
        memory: memory(stage.operator.pid()?)?,
    })
}

/// Sum of the series of one name whose labels are `wanted`.
fn total(text: &str, name: &str, wanted: fn(&str) -> bool) -> u64 {
    let series =
        text.lines().filter_map(|line| line.strip_prefix(name)).filter(|line| wanted(line));
    series.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

fn memory(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| Failure::new("its memory cannot be read"))
}

fn nowhere_else(stage: &Stage) -> Result<()> {
    let (own, audit) = (stage.operator.log(), std::fs::read_to_string(stage.audit_log()?)?);
    for (name, text) in [("Gabion's log", own), ("the audit log", audit)] {
        let leaked = PASSWORDS.iter().any(|password| text.contains(password));
        check(!leaked, || format!("a password is in {name}"))?;
    }
    Ok(())
}

/// What can be tried while everything stays up.
pub fn keep(stage: &Stage, screen: &mut Screen) -> Result<()> {
    screen.heading("Everything stays up until Ctrl-C")?;
    let kubectl = support::python_environment()?.join("bin");
    screen.say("In another terminal:")?;
    let address = stage.moto.url();
    for line in [
        format!("export KUBECONFIG={}", stage.plane.kubeconfig().display()),
        format!("export PATH={}:$PATH   # kubectl", kubectl.display()),
        "kubectl get es,ss,hb,nsh,networkpolicy -A".to_owned(),
        "kubectl delete networkpolicy gabion-allow-dns -n shop   # and look again".to_owned(),
        "kubectl describe es app-secret -n shop".to_owned(),
        "kubectl delete hb production".to_owned(),
        format!("curl -s http://{}/metrics | grep ^gabion_", stage.metrics),
        format!("tail -f {}", stage.operator.log_path().display()),
    ] {
        screen.output(&format!("  {line}"))?;
    }
    screen.say("To rotate the password once more:")?;
    screen.output(&format!(
        "  curl -s {address} -H 'X-Amz-Target: secretsmanager.PutSecretValue' \\\n    \
         -H 'Content-Type: application/x-amz-json-1.1' \\\n    \
         -H 'Authorization: AWS4-HMAC-SHA256 Credential=x/20260101/us-west-2/secretsmanager/aws4_request' \\\n    \
         -d '{{\"SecretId\": \"prod/app/database\", \"SecretString\": \"{{\\\"password\\\": \\\"third\\\"}}\"}}'\n  \
         kubectl annotate es app-secret -n shop force-sync=again --overwrite"
    ))
}
