//! `gabion doctor`: whether the installation is in order.

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::guards;
use super::leftovers::{self, Finding};
use super::rights::{self, Extras, Subsystem};
use super::{ExitStatus, InspectError, definitions, text};
use crate::api::crds;
use crate::cluster::{ReadError, Reader, Target};

/// The oldest API server that is supported.
const OLDEST: u64 = 33;
/// Pause between two looks with `--wait`.
const PAUSE: Duration = Duration::from_secs(2);
/// Permissions that are named; the rest is counted.
const NAMED: usize = 6;

/// What is asked.
#[derive(Debug)]
pub struct Doctor {
    pub(crate) target: Target,
    /// The ServiceAccount of the operator, `NAMESPACE/NAME`; `None` = whoever asks.
    pub(crate) account: Option<(String, String)>,
    /// The namespace that it is restricted to.
    pub(crate) scope: Option<String>,
    /// What of it is switched on.
    pub(crate) subsystem: Subsystem,
    /// What is off by default and is on.
    pub(crate) extras: Extras,
    pub(crate) before_uninstall: bool,
    pub(crate) wait: Duration,
}

/// How one check ended.
enum Outcome {
    /// In order; what was seen.
    Fine(String),
    /// Not in order.
    Problems(Vec<Finding>),
    /// It could not be looked at, and why.
    Unknown(String),
}

type Checked = (&'static str, Outcome);

pub(super) async fn run(doctor: &Doctor, out: &mut dyn Write) -> Result<ExitStatus, InspectError> {
    let begun = Instant::now();
    loop {
        let looked = look(doctor).await;
        let problem = match &looked {
            Ok(all) => all.iter().any(|(_, outcome)| matches!(outcome, Outcome::Problems(_))),
            Err(_) => true,
        };
        if problem && begun.elapsed() + PAUSE < doctor.wait {
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        let all = looked?;
        tell(&all, out)?;
        return Ok(verdict(&all));
    }
}

/// Checks without which nobody can say that all is in order. The others look at what stands beside the operator, which
/// an account with the rights of the operator may not read.
const NEEDED: [&str; 2] = ["permissions", "finalizers"];

fn verdict(all: &[Checked]) -> ExitStatus {
    let unknown =
        |(what, outcome): &Checked| matches!(outcome, Outcome::Unknown(_)) && NEEDED.contains(what);
    if all.iter().any(|(_, outcome)| matches!(outcome, Outcome::Problems(_))) {
        ExitStatus::Problem
    } else if all.iter().any(unknown) {
        ExitStatus::Unknown
    } else {
        ExitStatus::Fine
    }
}

fn tell(all: &[Checked], out: &mut dyn Write) -> std::io::Result<()> {
    for (what, outcome) in all {
        match outcome {
            Outcome::Fine(seen) => writeln!(out, "ok       {what}: {}", text::plain(seen))?,
            Outcome::Unknown(why) => writeln!(out, "unknown  {what}: {}", text::plain(why))?,
            Outcome::Problems(found) => {
                for Finding(problem, remedy) in found {
                    let problem = text::plain(problem);
                    writeln!(out, "problem  {what}: {problem}\n         {}", text::plain(remedy))?;
                }
            }
        }
    }
    Ok(())
}

async fn look(doctor: &Doctor) -> Result<Vec<Checked>, InspectError> {
    let reader = Reader::connect(&doctor.target).await?;
    let mut all = vec![("API server", server(&reader).await?)];
    all.push(("definitions", served(&reader).await?));
    all.push(("permissions", permissions(doctor, &reader).await?));
    if doctor.scope.is_none() && doctor.subsystem != Subsystem::Secrets {
        let fine = "who asks for exceptions and who approves them is checked";
        all.push(("guards", of(guards::missing(&reader).await, fine)));
    }
    all.push(("operator", rollout(&reader).await));
    all.push(("other operators", of(leftovers::operators(&reader).await, "none")));
    all.push(("webhooks", of(leftovers::webhooks(&reader).await, "none is left over")));
    if doctor.before_uninstall {
        let none = "nothing would hang after an uninstall";
        all.push(("finalizers", of(leftovers::finalizers(&reader).await, none)));
    }
    Ok(all)
}

fn of(outcome: Result<Vec<Finding>, ReadError>, fine: &str) -> Outcome {
    match outcome {
        Ok(found) if found.is_empty() => Outcome::Fine(fine.to_owned()),
        Ok(found) => Outcome::Problems(found),
        Err(error) => Outcome::Unknown(error.to_string()),
    }
}

fn problem(what: String, remedy: &str) -> Outcome {
    Outcome::Problems(vec![Finding(what, remedy.to_owned())])
}

async fn server(reader: &Reader) -> Result<Outcome, ReadError> {
    let version = reader.get("/version").await?;
    let minor = version["minor"].as_str().unwrap_or_default();
    let digits: String = minor.chars().take_while(char::is_ascii_digit).collect();
    let name = version["gitVersion"].as_str().unwrap_or("an unknown version");
    Ok(match digits.parse::<u64>() {
        Ok(minor) if minor < OLDEST => problem(
            format!("{name} is older than 1.{OLDEST}"),
            "upgrade the cluster: policies of baselines need a newer API server",
        ),
        _ => Outcome::Fine(format!("{name} at {}", reader.url())),
    })
}

/// Every definition is served and has every field that this program knows.
async fn served(reader: &Reader) -> Result<Outcome, InspectError> {
    const INSTALL: &str = "gabion crds | kubectl apply --server-side -f -";
    let ours = crds::all().map_err(|error| InspectError::Read(error.to_string()))?;
    let (mut found, mut seen) = (Vec::new(), 0);
    for crd in &ours {
        let (group, kind) = (&crd.spec.group, &crd.spec.names.kind);
        for version in crd.spec.versions.iter().filter(|version| version.served) {
            let path = format!("/openapi/v3/apis/{group}/{}", version.name);
            let document = match reader.get(&path).await {
                Err(ReadError::NotFound(_)) => Value::Null,
                outcome => outcome?,
            };
            let schema =
                version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
            let schema = serde_json::to_value(schema).unwrap_or_default();
            let who = (group.as_str(), version.name.as_str(), kind.as_str());
            let missing = definitions::missing(&document, who, &schema);
            found.extend(missing.map(|what| Finding(what, INSTALL.to_owned())));
            seen += 1;
        }
    }
    Ok(match found {
        found if found.is_empty() => Outcome::Fine(format!("{seen} versions are served in full")),
        found => Outcome::Problems(found),
    })
}

async fn permissions(doctor: &Doctor, reader: &Reader) -> Result<Outcome, InspectError> {
    let wanted = rights::wanted(doctor.scope.as_deref(), doctor.subsystem, doctor.extras)
        .map_err(InspectError::Read)?;
    let account = doctor.account.as_ref().map(|(namespace, name)| (&**namespace, &**name));
    let mut missing = Vec::new();
    for right in &wanted {
        match rights::has(reader, account, right).await {
            Ok(true) => {}
            Ok(false) => missing.push(right.shown()),
            Err(ReadError::Forbidden(_)) => {
                let why =
                    "you may not ask what another account may do (create subjectaccessreviews)";
                return Ok(Outcome::Unknown(why.to_owned()));
            }
            Err(error) => return Err(error.into()),
        }
    }
    if missing.is_empty() {
        return Ok(Outcome::Fine(format!("all {} of docs/rbac.md", wanted.len())));
    }
    let named = missing.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
    let more = missing.len().saturating_sub(NAMED);
    let more = if more == 0 { String::new() } else { format!("; and {more} more") };
    let remedy = "install the chart again, or kubectl apply -k config/rbac; if a subsystem is switched off, say so: --secrets-only, --hardening-only";
    Ok(problem(format!("{} are missing: {named}{more}", missing.len()), remedy))
}

/// Whether a Deployment of ours has a pod that is available, and values that nothing reads.
async fn rollout(reader: &Reader) -> Outcome {
    let path =
        "/apis/apps/v1/deployments?labelSelector=app.kubernetes.io%2Fpart-of%3Dgabion&limit=50";
    let list = match reader.get(path).await {
        Ok(list) => list,
        Err(error) => return Outcome::Unknown(error.to_string()),
    };
    let (mut found, mut seen) = (Vec::new(), Vec::new());
    for item in list["items"].as_array().into_iter().flatten() {
        let of = |field: &str| item["metadata"][field].as_str().unwrap_or_default().to_owned();
        let name = format!("{}/{}", of("namespace"), of("name"));
        let wanted = item["spec"]["replicas"].as_u64().unwrap_or(1);
        let available = item["status"]["availableReplicas"].as_u64().unwrap_or(0);
        if available == 0 && wanted > 0 {
            let remedy =
                format!("kubectl describe deployment {} -n {}", of("name"), of("namespace"));
            found.push(Finding(format!("{name} has no pod that is available"), remedy));
        }
        if wanted == 0 {
            found.push(Finding(format!("{name} is scaled to zero"), "set replicaCount".to_owned()));
        }
        if let Some(values) = item["metadata"]["annotations"]["gabion.dev/ignored-values"].as_str()
        {
            seen.push(format!("{name} ignores the values {values}"));
        }
        seen.push(format!("{name} has {available} of {wanted} pods"));
    }
    if seen.is_empty() && found.is_empty() {
        return problem(
            "there is no Deployment of Gabion".to_owned(),
            "install it: docs/install.md",
        );
    }
    if found.is_empty() { Outcome::Fine(seen.join("; ")) } else { Outcome::Problems(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_knowing_the_permissions_is_no_good_news() {
        let unknown = || Outcome::Unknown("you may not ask".to_owned());
        let fine = || Outcome::Fine("all".to_owned());
        for (all, verdict) in [
            (vec![("permissions", fine()), ("webhooks", unknown())], ExitStatus::Fine),
            (vec![("permissions", unknown()), ("webhooks", fine())], ExitStatus::Unknown),
            (vec![("permissions", fine()), ("finalizers", unknown())], ExitStatus::Unknown),
            (
                vec![("permissions", unknown()), ("webhooks", problem("x".to_owned(), "y"))],
                ExitStatus::Problem,
            ),
        ] {
            assert_eq!(super::verdict(&all), verdict);
        }
    }
}
