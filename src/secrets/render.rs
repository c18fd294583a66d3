//! From the data read to what is written: the template, and the objects that it is read from.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};

use super::error::Error;
use super::plan::desired::Rendered;
use super::plan::template;
use super::plan::template::Contents;
use super::plan::template::Engine;
use super::plan::template::InputKind;
use crate::api::external_secrets::external_secret::DeletionPolicy;
use crate::cluster::ObjectKey;
use crate::provider::SecretBytes;
use crate::secrets::environment::SystemEnvironment;
use crate::secrets::reconciler::Reconciler;
use crate::secrets::template_inputs::Mark;
use crate::secrets::template_inputs::Version;
use gotemplate::Limits;

impl Reconciler<'_> {
    /// What the object contributes to its Secret, and a mark of the objects that its template was read from.
    pub(crate) async fn render(
        &self,
        data: BTreeMap<String, SecretBytes>,
    ) -> Result<(Rendered, Option<String>), Error> {
        let object = self.object();
        // What becomes of a Secret for which there is nothing any more is no question to a template.
        let is_wanted =
            !data.is_empty() || object.spec.target.deletion_policy == DeletionPolicy::Merge;
        if object.spec.target.template.is_none() || !is_wanted {
            return Ok((Rendered::without_template(object, data), None));
        }
        let (contents, mark) = self.template_contents().await?;
        let rendered =
            self.with_engine(|engine| template::render(object, data, &contents, engine)).await?;
        Ok((rendered, mark))
    }

    /// Runs what renders templates. They may take tens of milliseconds, for which others on this thread should
    /// not have to wait.
    pub(crate) async fn with_engine<T>(&self, work: impl FnOnce(&mut Engine<'_>) -> T + Send) -> T {
        let (context, spec) = (self.context, &self.object().spec);
        let mut rewrites = spec.data_from.iter().flat_map(|entry| &entry.rewrite);
        let is_templated =
            spec.target.template.is_some() || rewrites.any(|rewrite| rewrite.transform.is_some());
        let work = || {
            let (source, limits) = (&mut SystemEnvironment, Limits::default());
            work(&mut Engine::new(&context.templates, &context.config.delimiters, source, &limits))
        };
        if !is_templated {
            return work();
        }
        let _turn = context.rendering.turn(&self.key.namespace).await;
        tokio::task::block_in_place(work)
    }

    /// Reads the objects that the template is read from.
    async fn template_contents(&self) -> Result<(Contents, Option<String>), Error> {
        let mut contents = Contents::new();
        let mut mark = Mark::default();
        for (kind, name) in template::inputs(self.object()) {
            let key = ObjectKey::new(&self.key.namespace, &name);
            let read = match kind {
                InputKind::ConfigMap => self.config_map(&key).await?,
                InputKind::Secret => self.secret(&key).await?,
            };
            let (content, version) = read.unzip();
            if kind != InputKind::Secret || key != self.target() {
                mark.add(kind, &key, version.as_ref());
            }
            contents.insert((kind, name), content);
        }
        let mark = (!contents.is_empty()).then(|| mark.finish());
        Ok((contents, mark))
    }

    async fn config_map(&self, key: &ObjectKey) -> Result<Option<(Texts, Version)>, Error> {
        let read: Option<ConfigMap> = self.context.writer.read::<ConfigMap, _>(key).await?;
        let Some(read) = read else { return Ok(None) };
        self.context.template_inputs.seen(InputKind::ConfigMap, key, &read.metadata);
        let texts = read.data.into_iter().flatten();
        let texts = texts.map(|(key, text)| (key, SecretBytes::from(text))).collect();
        Ok(Some((texts, Version::of(&read.metadata))))
    }

    async fn secret(&self, key: &ObjectKey) -> Result<Option<(Texts, Version)>, Error> {
        let read: Option<Secret> = self.context.writer.read::<Secret, _>(key).await?;
        let Some(read) = read else { return Ok(None) };
        self.context.template_inputs.seen(InputKind::Secret, key, &read.metadata);
        let values = read.data.into_iter().flatten();
        let texts = values.map(|(key, value)| (key, SecretBytes::new(value.0))).collect();
        Ok(Some((texts, Version::of(&read.metadata))))
    }
}

type Texts = BTreeMap<String, SecretBytes>;
