//! What there is to push: the data of the Secret, or what the template makes of it.

use std::collections::BTreeMap;

use gotemplate::Limits;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::super::environment::SystemEnvironment;
use super::super::error::Error;
use super::super::plan::push::data_to::expand;
use super::super::plan::push::entries::{self, Group};
use super::super::plan::push::report::Synced;
use super::super::plan::rewrite;
use super::super::plan::template::{self, Contents, Engine, InputKind};
use super::super::template_inputs::{Mark, Version};
use super::Pusher;
use crate::cluster::ObjectKey;
use crate::lane::Lane;
use crate::provider::SecretBytes;

type Data = BTreeMap<String, SecretBytes>;

/// What is pushed, and a mark of the versions of all that it was made from.
pub(super) struct Source {
    pub(super) data: Data,
    pub(super) mark: String,
}

impl Pusher<'_> {
    /// The data to push; `None` if the Secret does not exist.
    pub(super) async fn source(&self, name: &str) -> Result<Option<Source>, Error> {
        let mut mark = Mark::default();
        let Some(data) = self.read(InputKind::Secret, name, &mut mark).await? else {
            return Ok(None);
        };
        let Some(spec) = &self.object.spec.template else {
            entries::check_keys(data.len())?;
            return Ok(Some(Source { data, mark: mark.finish() }));
        };
        let mut contents = Contents::new();
        for (kind, of) in template::inputs_of(Some(spec)) {
            let content = self.read(kind, &of, &mut mark).await?;
            contents.insert((kind, of), content);
        }
        let context = self.context;
        let _turn = context.rendering.turn(&self.key.namespace).await;
        let data = tokio::task::block_in_place(|| {
            let (environment, limits) = (&mut SystemEnvironment, Limits::default());
            let delimiters = &context.config.delimiters;
            let mut engine = Engine::new(&context.templates, delimiters, environment, &limits);
            template::data_of("template", spec, data, &contents, &mut engine)
        })?;
        entries::check_keys(data.len())?;
        Ok(Some(Source { data, mark: mark.finish() }))
    }

    /// What is asked for of these data. It counts as meant from now on.
    pub(super) async fn groups(&self, source: &Source) -> Result<Vec<Group>, Error> {
        let groups = self.expanded(source).await?;
        self.wake_rivals(self.context.pushes.means(self.key, &groups));
        Ok(groups)
    }

    /// There is nothing to push: others may have what this one only asked for.
    pub(super) fn means_only(&self, pushed: &Synced) {
        self.wake_rivals(self.context.pushes.means_only(self.key, pushed));
    }

    /// Others may have been refused what this one does not mean any more.
    fn wake_rivals(&self, rivals: Vec<ObjectKey>) {
        for rival in rivals {
            self.context.wake_push(&rival, Lane::Urgent);
        }
    }

    async fn expanded(&self, source: &Source) -> Result<Vec<Group>, Error> {
        let spec = &self.object.spec;
        if spec.data_to.is_empty() {
            return Ok(entries::groups(spec)?);
        }
        let context = self.context;
        let _turn = context.rendering.turn(&self.key.namespace).await;
        tokio::task::block_in_place(|| {
            let (environment, limits) = (&mut SystemEnvironment, Limits::default());
            let delimiters = &context.config.delimiters;
            let mut engine = Engine::new(&context.templates, delimiters, environment, &limits);
            let expanded = expand(spec, &source.data, |field, operations, names| {
                rewrite::rewrite(field, operations, names, &mut engine).map_err(Error::from)
            })?;
            Ok(entries::gather(spec, expanded)?)
        })
    }

    async fn read(
        &self,
        kind: InputKind,
        name: &str,
        mark: &mut Mark,
    ) -> Result<Option<Data>, Error> {
        let (key, writer) = (ObjectKey::new(&self.key.namespace, name), &self.context.writer);
        let read: Option<(Data, ObjectMeta)> = match kind {
            InputKind::Secret => writer.read::<Secret, Secret>(&key).await?.map(|secret| {
                let values = secret.data.into_iter().flatten();
                let data = values.map(|(key, value)| (key, SecretBytes::new(value.0))).collect();
                (data, secret.metadata)
            }),
            InputKind::ConfigMap => writer.read::<ConfigMap, ConfigMap>(&key).await?.map(|map| {
                let texts = map.data.into_iter().flatten();
                let data = texts.map(|(key, text)| (key, SecretBytes::from(text))).collect();
                (data, map.metadata)
            }),
        };
        let version = read.as_ref().map(|(_, meta)| Version::of(meta));
        mark.add(kind, &key, version.as_ref());
        Ok(read.map(|(data, meta)| {
            // The watch is behind, and this state will be no news when it comes: the others are told now.
            for user in self.context.pushes.inputs.seen(kind, &key, &meta) {
                if user != *self.key {
                    self.context.wake_push(&user, Lane::Urgent);
                }
            }
            data
        }))
    }
}
