//! Copies of registry credentials in a namespace, and the `ServiceAccounts` that use them.
//!
//! A copy is written before any account uses it, and removed after none does. A Secret of somebody else under the name
//! of a copy is never written, and neither is an entry of `imagePullSecrets` that we did not add.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::error::Error;
use super::merge::Merged;
use super::namespace::NamespaceObserved;
use super::pull_secrets::{Credential, PullSecretAsk, Source, Sources, is_name, problem};
use super::service_accounts::ObservedServiceAccount;
use crate::api::gabion::hardening_baseline::{Attach, DeletionPolicy};
use crate::meta::{ResourceVersion, Uid};

/// Label of every copy: what the watch asks for.
pub(crate) const COPY_LABEL: &str = "gabion.dev/pull-secret";
/// Its value.
pub(crate) const COPY: &str = "copy";
/// Annotation of a copy: the revision of the source that it holds.
pub(crate) const REVISION: &str = "gabion.dev/pull-secret-revision";
/// Field manager of copies and of entries in `imagePullSecrets`: none of the other writes may own these fields.
pub(crate) const COPIES_MANAGER: &str = "gabion-pull-secrets";
/// Annotation of a `ServiceAccount`: the names in its `imagePullSecrets` that we added.
pub(crate) const ATTACHED: &str = "gabion.dev/attached-pull-secrets";
/// Longest text of [`ATTACHED`]: as long as that of all copies of a namespace.
pub(crate) const LONGEST_ATTACHED: usize = MOST_TARGETS * 254;
/// Most copies in one namespace, of all baselines together.
pub(crate) const MOST_TARGETS: usize = 16;
/// Most entries of `imagePullSecrets` that an account may have: it is written whole.
pub(crate) const MOST_ENTRIES: usize = 64;

/// A copy as it is seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedCopy {
    /// Its uid.
    pub uid: Uid,
    /// Its resource version.
    pub resource_version: ResourceVersion,
    /// Whether we wrote it, by the record of the API server. Its label can be copied by anybody.
    pub ours: bool,
    /// The revision that it says it holds.
    pub revision: String,
    /// Whether nobody changed the value, or what it says of it, since we wrote both.
    pub intact: bool,
    /// Whoever wrote it last, apart from us.
    pub manager: String,
}

impl ObservedCopy {
    /// Reads the metadata of a Secret.
    pub(crate) fn of(meta: &ObjectMeta, manager: String) -> Self {
        let entries = meta.managed_fields.iter().flatten();
        let own: Vec<_> =
            entries.filter(|entry| entry.manager.as_deref() == Some(COPIES_MANAGER)).collect();
        let owns = |has: &dyn Fn(&serde_json::Value) -> bool| {
            own.iter().any(|entry| entry.fields_v1.as_ref().is_some_and(|fields| has(&fields.0)))
        };
        let note = format!("f:{REVISION}");
        let notes =
            |fields: &serde_json::Value| fields["f:metadata"]["f:annotations"].get(&note).is_some();
        let values = |fields: &serde_json::Value| {
            fields["f:data"]
                .as_object()
                .is_some_and(|data| data.keys().any(|key| key.starts_with("f:.docker")))
        };
        let annotations = meta.annotations.as_ref();
        let revision = annotations.and_then(|notes| notes.get(REVISION)).cloned();
        Self {
            uid: Uid::of(meta),
            resource_version: ResourceVersion::of(meta),
            ours: !own.is_empty(),
            // What is not as long as ours is none of ours.
            revision: revision.filter(|text| text.len() <= 64).unwrap_or_default(),
            // Whoever changes a value takes the field over.
            intact: owns(&notes) && owns(&values) && meta.deletion_timestamp.is_none(),
            manager,
        }
    }
}

/// What is seen of the copies in a namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Copies {
    /// Whether all are known: before that, what is not seen may be there.
    pub known: bool,
    /// Secrets with our label, by name.
    pub seen: BTreeMap<String, ObservedCopy>,
    /// Names that a Secret of somebody else had when a copy was to be made.
    pub taken: BTreeSet<String>,
    /// What may be copied.
    pub sources: Arc<Sources>,
}

/// What a `ServiceAccount` says about pull secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullSecretsOf {
    /// The names in `imagePullSecrets`.
    pub entries: Vec<String>,
    /// Those of them that we added. Whoever may write this note may write the list as well, so it is believed.
    pub attached: Vec<String>,
    /// Whether there are more than [`MOST_ENTRIES`].
    pub too_many: bool,
}

impl PullSecretsOf {
    /// Reads a `ServiceAccount`; `None` if it says nothing.
    pub(crate) fn of(account: &ServiceAccount) -> Option<Box<Self>> {
        let all = account.image_pull_secrets.as_deref().unwrap_or_default();
        let notes = account.metadata.annotations.as_ref();
        let attached = notes.and_then(|notes| notes.get(ATTACHED)).map_or("", String::as_str);
        if all.is_empty() && attached.is_empty() {
            return None;
        }
        let attached: BTreeSet<_> = attached.split(',').filter(|name| is_name(name)).collect();
        Some(Box::new(Self {
            entries: all.iter().take(MOST_ENTRIES).map(|entry| entry.name.clone()).collect(),
            attached: attached.into_iter().take(MOST_TARGETS).map(ToOwned::to_owned).collect(),
            too_many: all.len() > MOST_ENTRIES,
        }))
    }
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum CopyStep {
    /// Make a copy, or bring the one that is seen up to date.
    Write {
        /// Its name.
        name: String,
        /// What it holds.
        credential: Arc<Credential>,
        /// Uid and resource version that it must have; without them it must not exist.
        live: Option<(Uid, ResourceVersion)>,
        /// Whoever wrote it last, apart from us.
        manager: String,
    },
    /// Delete a copy.
    Delete {
        /// Its name.
        name: String,
        /// Uid that it must have.
        uid: Uid,
        /// Resource version that it must have.
        resource_version: ResourceVersion,
    },
    /// Leave a copy to the namespace.
    Release {
        /// Its name.
        name: String,
        /// Uid that it must have.
        uid: Uid,
        /// Resource version that it must have.
        resource_version: ResourceVersion,
    },
    /// Write the pull secrets of a `ServiceAccount`.
    Attach(AttachPatch),
}

/// The pull secrets of one `ServiceAccount` as they shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachPatch {
    /// Name of the account.
    pub account: String,
    /// Uid that it must have.
    pub uid: Uid,
    /// Resource version that it must have: nobody's entry is lost.
    pub resource_version: ResourceVersion,
    /// All of `imagePullSecrets`.
    pub entries: Vec<String>,
    /// Those of them that we added.
    pub attached: Vec<String>,
    /// Whether somebody took away what we had added.
    pub drifted: bool,
    /// Whether anything of ours goes.
    pub removes: bool,
    /// Whoever wrote it last, apart from us.
    pub manager: String,
}

impl CopyStep {
    /// The object concerned, for messages.
    pub fn object(&self) -> String {
        match self {
            Self::Write { name, .. } | Self::Delete { name, .. } | Self::Release { name, .. } => {
                format!("Secret/{name}")
            }
            Self::Attach(patch) => field_of(&patch.account),
        }
    }

    /// Whether it takes back what a baseline brought.
    pub(crate) fn takes_back(&self) -> bool {
        match self {
            Self::Write { .. } => false,
            Self::Delete { .. } | Self::Release { .. } => true,
            Self::Attach(patch) => patch.removes,
        }
    }
}

fn field_of(account: &str) -> String {
    format!("ServiceAccount/{account} imagePullSecrets")
}

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

/// Decides about the copies of a namespace and its accounts.
pub(crate) fn decide(
    merged: &Merged,
    observed: &NamespaceObserved,
    contested: &BTreeMap<String, String>,
    leaving: DeletionPolicy,
    problems: &mut Vec<Error>,
) -> Decided {
    let copies = &observed.copies;
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
    observed: &NamespaceObserved,
    contested: &BTreeMap<String, String>,
) -> Result<Option<CopyStep>, Error> {
    let copies = &observed.copies;
    let Some(Source::Usable(credential)) = copies.sources.get(&ask.source) else {
        let unread = || Error::PullSecretUnusable {
            secret: ask.source.to_string(),
            why: "cannot be copied; see the operator's log".into(),
        };
        return Err(problem(&copies.sources, &ask.source).unwrap_or_else(unread));
    };
    if ask.source.namespace == observed.name && ask.source.name == ask.target {
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
    observed: &NamespaceObserved,
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
    observed: &NamespaceObserved,
    contested: &BTreeMap<String, String>,
    leaving: DeletionPolicy,
    problems: &mut Vec<Error>,
    steps: &mut Vec<CopyStep>,
) {
    let nothing = PullSecretsOf::default();
    for account in &observed.service_accounts {
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
