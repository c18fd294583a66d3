//! Copies of registry credentials in a namespace, and the `ServiceAccounts` that use them.
//!
//! A copy is written before any account uses it, and removed after none does. A Secret of somebody else under the name
//! of a copy is never written, and neither is an entry of `imagePullSecrets` that we did not add.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::copy::{AttachPatch, Copies, CopyStep, MOST_ENTRIES, PullSecretsOf, field_of};
use super::error::Error;
use super::merge::Merged;
use super::pull_secrets::{PullSecretAsk, Source, problem};
use super::service_accounts::ObservedServiceAccount;
use crate::api::gabion::hardening_baseline::{Attach, DeletionPolicy};

/// What is decided about the copies of a namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Decided {
    /// Copies, then accounts, then what goes.
    pub(crate) steps: Vec<CopyStep>,
    /// Copies that are just as they should be, each with its revision.
    pub(crate) right: Vec<(String, String)>,
}

/// Names that accounts use, and names at which they stay as they are.
#[derive(Default)]
struct Names<'a> {
    attached: Vec<(&'a str, Attach)>,
    untouched: BTreeSet<&'a str>,
}

/// What is seen of a namespace that matters here.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'a> {
    /// Its name.
    pub(crate) namespace: &'a str,
    /// Its copies.
    pub(crate) copies: &'a Copies,
    /// Its `ServiceAccounts`.
    pub(crate) accounts: &'a [ObservedServiceAccount],
}

/// Decides about the copies of a namespace and its accounts.
pub(crate) fn decide(
    merged: &Merged,
    observed: Seen<'_>,
    contested: &BTreeMap<String, String>,
    leaving: DeletionPolicy,
    problems: &mut Vec<Error>,
) -> Decided {
    let copies = observed.copies;
    let mut decided = Decided::default();
    if !copies.known {
        // Nothing is ours that cannot be seen, and nothing that is there may be overwritten.
        for ask in &merged.pull_secrets {
            let unread = Error::PullSecretUnusable {
                secret: ask.source.to_string(),
                why: "cannot be copied before the copies are listed; see /readyz, and apply config/overlays/pull-secrets".into(),
            };
            problems.push(problem(&copies.sources, &ask.source).unwrap_or(unread));
        }
        return decided;
    }
    let mut names = Names::default();
    for ask in &merged.pull_secrets {
        match copy(ask, observed, contested) {
            Ok(step) => {
                let live = copies.seen.get(&ask.target);
                match step {
                    Some(step) => decided.steps.push(step),
                    None => decided
                        .right
                        .extend(live.map(|live| (ask.target.clone(), live.revision.clone()))),
                }
                names.attached.push((&ask.target, ask.attach));
            }
            Err(error) => {
                problems.push(error);
                // What was copied before stays, and stays in use.
                names.untouched.insert(&ask.target);
            }
        }
    }
    accounts(&names, observed, contested, leaving, problems, &mut decided.steps);
    leftovers(merged, observed, leaving, &mut decided.steps);
    decided
}

/// The write that brings a copy up to date, if any, or why there is none.
fn copy(
    ask: &PullSecretAsk,
    observed: Seen<'_>,
    contested: &BTreeMap<String, String>,
) -> Result<Option<CopyStep>, Error> {
    let copies = observed.copies;
    let Some(Source::Usable(credential)) = copies.sources.get(&ask.source) else {
        let unread = || Error::PullSecretUnusable {
            secret: ask.source.to_string(),
            why: "cannot be copied; see the operator's log".into(),
        };
        return Err(problem(&copies.sources, &ask.source).unwrap_or_else(unread));
    };
    if ask.source.namespace == observed.namespace && ask.source.name == ask.target {
        return Ok(None); // the source itself
    }
    let object = format!("Secret/{}", ask.target);
    let live = copies.seen.get(&ask.target);
    if live.is_some_and(|live| !live.ours) || (live.is_none() && copies.taken.contains(&ask.target))
    {
        return Err(Error::SecretNameTaken { object });
    }
    if live.is_some_and(|live| live.intact && live.revision == credential.revision) {
        return Ok(None);
    }
    if let Some(manager) = contested.get(&object) {
        return Err(Error::FieldOwnedBy { field: object, manager: manager.clone() });
    }
    Ok(Some(CopyStep::Write {
        name: ask.target.clone(),
        credential: Arc::clone(credential),
        live: live.map(|live| (live.uid.clone(), live.resource_version.clone())),
        manager: live.map_or_else(|| "unknown".to_owned(), |live| live.manager.clone()),
    }))
}

/// Copies that nothing asks for any more.
fn leftovers(
    merged: &Merged,
    observed: Seen<'_>,
    leaving: DeletionPolicy,
    steps: &mut Vec<CopyStep>,
) {
    let wanted = |name: &String| merged.pull_secrets.iter().any(|ask| ask.target == *name);
    let seen = observed.copies.seen.iter();
    for (name, live) in seen.filter(|(name, live)| live.ours && !wanted(name)) {
        let (name, uid) = (name.clone(), live.uid.clone());
        let resource_version = live.resource_version.clone();
        steps.push(match leaving {
            DeletionPolicy::Retain => CopyStep::Release { name, uid, resource_version },
            _ => CopyStep::Delete { name, uid, resource_version },
        });
    }
}

fn accounts(
    names: &Names<'_>,
    observed: Seen<'_>,
    contested: &BTreeMap<String, String>,
    leaving: DeletionPolicy,
    problems: &mut Vec<Error>,
    steps: &mut Vec<CopyStep>,
) {
    let nothing = PullSecretsOf::default();
    for account in observed.accounts {
        let said = account.pull_secrets.as_deref().unwrap_or(&nothing);
        let Some(patch) = attach(names, account, said, leaving) else { continue };
        let field = field_of(&account.name);
        if said.too_many {
            let account = account.name.clone();
            problems.push(Error::TooManyPullSecrets { account, most: MOST_ENTRIES });
        } else if let Some(manager) = contested.get(&field).filter(|_| patch.drifted) {
            problems.push(Error::FieldOwnedBy { field, manager: manager.clone() });
        } else {
            steps.push(CopyStep::Attach(patch));
        }
    }
}

/// The write to one account, if any.
fn attach(
    names: &Names<'_>,
    account: &ObservedServiceAccount,
    said: &PullSecretsOf,
    leaving: DeletionPolicy,
) -> Option<AttachPatch> {
    let uses = |attach: Attach| match attach {
        Attach::AllServiceAccounts => true,
        Attach::DefaultServiceAccount => account.name == "default",
        Attach::None | Attach::Unknown => false,
    };
    let attached = names.attached.iter().filter(|(_, attach)| uses(*attach));
    let wanted: BTreeSet<&str> = attached.map(|(name, _)| *name).collect();
    let is_ours = |name: &str| said.attached.iter().any(|ours| ours == name);
    let stays = |name: &str| wanted.contains(name) || names.untouched.contains(name);
    let goes = |name: &str| is_ours(name) && !stays(name);
    let keep = leaving == DeletionPolicy::Retain;

    let mut entries: Vec<String> =
        said.entries.iter().filter(|name| keep || !goes(name)).cloned().collect();
    let missing = wanted.iter().filter(|name| !said.entries.iter().any(|entry| entry == **name));
    let missing: Vec<String> = missing.map(|name| (*name).to_owned()).collect();
    let note: BTreeSet<String> =
        said.attached.iter().filter(|name| stays(name)).chain(&missing).cloned().collect();
    let note: Vec<String> = note.into_iter().collect();
    let drifted = missing.iter().any(|name| is_ours(name));
    entries.extend(missing);
    if entries == said.entries && note == said.attached {
        return None;
    }
    Some(AttachPatch {
        account: account.name.clone(),
        uid: account.uid.clone(),
        resource_version: account.resource_version.clone(),
        entries,
        removes: said.attached.iter().any(|name| goes(name)),
        attached: note,
        drifted,
        manager: account.manager.clone(),
    })
}

#[cfg(test)]
mod tests;
