//! One remote secret: brought to what is asked for, or removed.

use std::sync::Arc;

use super::super::error::Error;
use super::super::index::StoreKey;
use super::super::plan::push::PushError;
use super::super::plan::push::claims::Claim;
use super::super::plan::push::decide::{
    Admission, Corrections, Known, Removal, admit, corrections, has_made_nothing, is_known, removal,
};
use super::super::plan::push::entries::{Group, id};
use super::super::plan::push::settings::{Service, Settings, settings};
use super::super::plan::push::value::{self, Parts};
use super::super::secret_store::check_key;
use super::super::store::Store;
use super::data::Source;
use super::{Pusher, Whose};
use crate::api::external_secrets::aws::AwsService;
use crate::provider::fetcher::Connection;
use crate::provider::push::{Change, Deletion, Remote, RemoteSettings};
use crate::provider::{Fetched, ProviderError, SecretBytes};

/// What came of one remote secret.
pub(super) enum Pushed {
    /// It is as it should be.
    Done,
    /// It is somebody's who is not to be replaced.
    Skipped,
    /// There is none, and none was made.
    NotCreated(Error),
}

/// A store that is written to.
pub(super) struct Target {
    pub(super) store: Arc<Store>,
    pub(super) connection: Connection,
    pub(super) service: Service,
}

impl Target {
    /// The store, if it can be written to.
    pub(super) fn of(
        pusher: &Pusher<'_>,
        store: Arc<Store>,
        connection: Connection,
    ) -> Result<Self, PushError> {
        let provider = &store.spec.provider;
        let read_only = || PushError::ReadOnly {
            store: store.key.to_string(),
            provider: provider.name().to_owned(),
        };
        let service = match provider.aws.as_ref().map(|aws| &aws.service) {
            Some(AwsService::SecretsManager) => Service::SecretsManager,
            Some(AwsService::ParameterStore) => Service::ParameterStore,
            _ => return Err(read_only()),
        };
        if !pusher.context.fetcher.can_push(&connection) {
            return Err(read_only());
        }
        Ok(Self { store, connection, service })
    }

    fn deletion(&self) -> Deletion {
        let aws = self.store.spec.provider.aws.as_ref();
        let settings = aws.and_then(|aws| aws.secrets_manager.as_ref());
        Deletion {
            force: settings.and_then(|it| it.force_delete_without_recovery).unwrap_or_default(),
            recovery_days: settings
                .and_then(|it| it.recovery_window_in_days)
                .filter(|days| *days > 0),
        }
    }

    fn place(&self, remote_key: &str) -> (StoreKey, String) {
        (self.store.key.clone(), remote_key.to_owned())
    }
}

impl Pusher<'_> {
    /// What goes into a remote secret, if the store lets this namespace use it.
    pub(super) fn parts(
        &self,
        target: &Target,
        group: &Group,
        source: &Source,
    ) -> Result<Parts, Error> {
        let field = group.entries.first().map_or("data", |entry| &entry.field);
        self.check_key(target, field, &group.remote_key)?;
        let templated = self.object.spec.template.is_some();
        Ok(value::parts(group, &source.data, target.service, templated)?)
    }

    /// Brings a remote secret to what is asked for.
    pub(super) async fn push(
        &self,
        target: &Target,
        group: &Group,
        source: &Source,
    ) -> Result<Pushed, Error> {
        let parts = &self.parts(target, group, source)?;
        self.check_claims(target, group)?;
        let place = target.place(&group.remote_key);
        let _turn = self.context.pushes.turns(&target.store.key).turn(&self.key.namespace).await;
        let lock = self.context.pushes.lock_of(&place);
        let _lock = lock.lock().await;
        // While this waited the object may have been edited, and somebody else may have come.
        if !self.still_means(target, group) {
            return Ok(Pushed::Skipped);
        }
        self.check_claims(target, group)?;
        let remote = self.describe(target, &group.remote_key).await?;
        let policy = &self.object.spec.update_policy;
        let restore = match admit(group, remote.as_ref(), policy)? {
            Admission::Skip => return Ok(Pushed::Skipped),
            Admission::Create => {
                self.context.pushes.attempted(self.object, &group.store, group);
                return self.create(target, group, parts).await;
            }
            Admission::Update { restore } => restore,
        };
        self.context.pushes.attempted(self.object, &group.store, group);
        let remote = remote.unwrap_or_default();
        if restore {
            self.change(target, &group.remote_key, Change::Restore).await?;
        }
        let before = self.settings_before(group);
        let amends = corrections(&remote, &group.settings, before.as_ref());
        let revision = self.update(target, group, parts, &remote, &amends).await?;
        self.correct(target, group, &amends).await?;
        let known = Known { revision, digest: digest(group, parts) };
        self.context.pushes.remember(self.object, &place, Some(known));
        Ok(Pushed::Done)
    }

    async fn create(&self, target: &Target, group: &Group, parts: &Parts) -> Result<Pushed, Error> {
        let value = match value::desired(group, parts, None, target.service) {
            Ok(value) => value,
            Err(error) => return Ok(Pushed::NotCreated(error.into())),
        };
        let change = Change::Create { value: &value, settings: &group.settings.remote };
        let revision = match self.change(target, &group.remote_key, change).await {
            Err(Error::Provider(error)) if has_made_nothing(&error) => {
                return Ok(Pushed::NotCreated(error.into()));
            }
            created => created?,
        };
        let known = revision.map(|revision| Known { revision, digest: digest(group, parts) });
        self.context.pushes.remember(self.object, &target.place(&group.remote_key), known);
        Ok(Pushed::Done)
    }

    /// Writes a new version if one is needed. The version that is there afterwards.
    async fn update(
        &self,
        target: &Target,
        group: &Group,
        parts: &Parts,
        remote: &Remote,
        amends: &Corrections,
    ) -> Result<String, Error> {
        let of_parameter = target.service == Service::ParameterStore;
        let with_value = of_parameter
            && (amends.with_value || amends.description.is_some() || amends.kms_key.is_some());
        let place = target.place(&group.remote_key);
        let known = self.context.pushes.known(self.key, &place);
        if !with_value && is_known(known.as_ref(), remote, &digest(group, parts)) {
            return Ok(remote.revision.clone());
        }
        let present = match self.current(target, &group.remote_key).await {
            Ok(fetched) => Some(fetched),
            // It has no version yet.
            Err(Error::Provider(
                ProviderError::NotFound { .. } | ProviderError::NoSuchVersion { .. },
            )) => None,
            Err(error) => return Err(error),
        };
        let as_text = present.as_ref().map(|fetched| fetched.text.is_some());
        let present = present.and_then(bytes);
        let value = value::desired(group, parts, present.as_ref(), target.service)?;
        let wanted = group.settings.remote.as_text;
        let is_form = of_parameter || wanted.is_none() || wanted == as_text;
        if present.as_ref() == Some(&value) && is_form && !with_value {
            return Ok(remote.revision.clone());
        }
        // Whoever reads it as text goes on reading text.
        let mut settings = group.settings.remote.clone();
        settings.as_text = wanted.or(as_text).filter(|text| !text || is_text(&value));
        let change = Change::Put { value: &value, settings: &settings, remote };
        let revision = self.change(target, &group.remote_key, change).await?;
        tracing::info!(key = %self.key, store = ?target.store.key, remote = group.remote_key, "pushed");
        Ok(revision.unwrap_or_default())
    }

    async fn correct(
        &self,
        target: &Target,
        group: &Group,
        amends: &Corrections,
    ) -> Result<(), Error> {
        let described = amends.description.is_some() || amends.kms_key.is_some();
        if described && target.service == Service::SecretsManager {
            let (description, kms_key) = (amends.description.as_deref(), amends.kms_key.as_deref());
            let change = Change::Describe { description, kms_key };
            self.change(target, &group.remote_key, change).await?;
        }
        if !amends.tag.is_empty() {
            self.change(target, &group.remote_key, Change::Tag(&amends.tag)).await?;
        }
        if !amends.untag.is_empty() {
            self.change(target, &group.remote_key, Change::Untag(&amends.untag)).await?;
        }
        Ok(())
    }

    /// The settings that were pushed last, as the status has them.
    fn settings_before(&self, group: &Group) -> Option<Settings> {
        let status = self.object.status.as_ref()?;
        let synced = status.synced_push_secrets.get(&group.store)?;
        let recorded = group.entries.iter().filter_map(|entry| {
            let record = synced.get(&id(&entry.record.matches.remote_ref))?;
            settings("", record.metadata.as_ref()).ok()
        });
        recorded.max_by_key(|settings| *settings != Settings::default())
    }

    /// Whether the store lets this namespace use the key.
    pub(super) fn check_key(&self, target: &Target, field: &str, key: &str) -> Result<(), Error> {
        let (store, namespace) = (&target.store.key, &self.key.namespace);
        match self.context.allowed_keys(store, namespace)? {
            None => Ok(()),
            Some(patterns) => check_key(&patterns, store, namespace, (field, Some(key))),
        }
    }

    /// Removes properties of a remote secret that are not pushed any more; an empty one means all of it.
    pub(super) async fn remove(
        &self,
        target: &Target,
        remote_key: &str,
        properties: &[String],
        meant: Whose,
    ) -> Result<(), Error> {
        let place = target.place(remote_key);
        let _turn = self.context.pushes.turns(&target.store.key).turn(&self.key.namespace).await;
        let lock = self.context.pushes.lock_of(&place);
        let _lock = lock.lock().await;
        // What another object means by now, or an entry that has changed, is not to be removed.
        let is_free = |property: &&String| {
            !self.is_meant(&target.store, &Claim::at(remote_key, property), meant)
        };
        let properties: Vec<_> = properties.iter().filter(is_free).cloned().collect();
        if properties.is_empty() {
            return Ok(());
        }
        // The record of what was pushed is a status, which others may have written.
        self.check_key(target, "data", remote_key)?;
        let remote = self.describe(target, remote_key).await?;
        let (mut what, mut as_text) = (removal(remote.as_ref(), &properties, None), None);
        if what == Removal::NeedsValue {
            let fetched = self.current(target, remote_key).await?;
            as_text = Some(fetched.text.is_some());
            let present = bytes(fetched);
            what = removal(remote.as_ref(), &properties, Some(&present.unwrap_or_default()));
        }
        self.context.pushes.remember(self.object, &place, None);
        match (what, remote) {
            (Removal::Delete, _) => {
                let change = Change::Delete(target.deletion());
                self.change(target, remote_key, change).await?;
                tracing::info!(key = %self.key, store = ?target.store.key, remote = remote_key, "deleted");
            }
            (Removal::Put(value), Some(remote)) => {
                let settings = RemoteSettings { as_text, ..RemoteSettings::default() };
                let change = Change::Put { value: &value, settings: &settings, remote: &remote };
                self.change(target, remote_key, change).await?;
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) async fn describe(
        &self,
        target: &Target,
        key: &str,
    ) -> Result<Option<Remote>, Error> {
        let described = self.context.fetcher.describe(&target.connection, key, self.lane).await;
        self.note(target, described)
    }

    async fn current(&self, target: &Target, key: &str) -> Result<Fetched, Error> {
        let current = self.context.fetcher.current(&target.connection, key, self.lane).await;
        self.note(target, current)
    }

    async fn change(
        &self,
        target: &Target,
        key: &str,
        change: Change<'_>,
    ) -> Result<Option<String>, Error> {
        // Whoever does not lead any more writes nothing.
        self.context.writer.may_write()?;
        let fetcher = &self.context.fetcher;
        let changed = fetcher.change(&target.connection, key, change, self.lane).await;
        self.note(target, changed)
    }

    /// Notes whether the provider answered, and keys that it refused.
    fn note<T>(&self, target: &Target, answer: Result<T, ProviderError>) -> Result<T, Error> {
        let silent = matches!(answer, Err(ProviderError::Unavailable { .. }));
        self.context.pushes.answered(self.key, !silent);
        if matches!(answer, Err(ProviderError::Credentials { .. })) {
            self.context.doubt(&target.store.key);
        }
        Ok(answer?)
    }
}

/// Digest of what is put there, and in which form.
fn digest(group: &Group, parts: &Parts) -> String {
    format!("{} {:?}", value::digest(parts), group.settings.remote.as_text)
}

fn is_text(value: &SecretBytes) -> bool {
    std::str::from_utf8(value.expose()).is_ok()
}

/// The value, in whichever form it is.
fn bytes(fetched: Fetched) -> Option<SecretBytes> {
    fetched.binary.or(fetched.text)
}
