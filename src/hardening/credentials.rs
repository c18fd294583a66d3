//! The Secrets that may be copied, each followed by its name, and the copies, of which only metadata is read.

use std::{borrow::Cow, sync::Arc};

use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api, Resource, ResourceExt,
    core::{NamespaceResourceScope, PartialObjectMeta},
};
use serde::{Deserialize, Deserializer, de::IgnoredAny};

use super::{
    Context,
    plan::{
        copy::{COPY, COPY_LABEL},
        pull_secrets::{Source, SourceName},
    },
    slim_metadata::metadata,
};
use crate::cluster::{Change, ObjectKey, Selected, queue::Lane};
use crate::meta::Uid;
use crate::runtime::{Dependency, Watches};
use crate::secret_bytes::SecretBytes;

/// A Secret of which only the two values that kubelets give to registries are kept.
pub(crate) struct Credentials {
    metadata: ObjectMeta,
    secret_type: String,
    config_json: Option<SecretBytes>,
    config: Option<SecretBytes>,
}

impl<'de> Deserialize<'de> for Credentials {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Data {
            #[serde(rename = ".dockerconfigjson")]
            config_json: Option<String>,
            #[serde(rename = ".dockercfg")]
            config: Option<String>,
        }
        #[derive(Deserialize)]
        struct Parts {
            #[serde(deserialize_with = "metadata", default)]
            metadata: ObjectMeta,
            #[serde(rename = "type", default)]
            secret_type: Option<String>,
            #[serde(default)]
            data: Option<Data>,
            #[serde(default, rename = "stringData")]
            _plain: Option<IgnoredAny>,
        }
        let parts = Parts::deserialize(deserializer)?;
        let data = parts.data.unwrap_or_default();
        Ok(Self {
            metadata: parts.metadata,
            secret_type: parts.secret_type.unwrap_or_default(),
            config_json: data.config_json.map(SecretBytes::from),
            config: data.config.map(SecretBytes::from),
        })
    }
}

impl Resource for Credentials {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        Secret::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        Secret::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        Secret::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        Secret::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// Starts the watches that copies need; none if nothing may be copied.
pub(super) fn follow(watches: &mut Watches<'_, '_, Context>, sources: &[SourceName]) {
    if sources.is_empty() {
        return;
    }
    let client = watches.client();
    let copies: Api<PartialObjectMeta<Secret>> = Api::all(client.clone());
    let selected = Selected { labels: Some(format!("{COPY_LABEL}={COPY}")), fields: None };
    // What is missing here keeps nothing else from being done.
    let optional = Dependency::Optional;
    watches.follow_selected("Secret (copies)", optional, copies, selected, copy);
    for source in sources {
        let api: Api<Credentials> = Api::namespaced(client.clone(), &source.namespace);
        let fields = Some(format!("metadata.name={}", source.name));
        let (selected, source) = (Selected { labels: None, fields }, source.clone());
        watches.follow_selected(
            "Secret (source)",
            optional,
            api,
            selected,
            move |context, change| {
                let found = match change {
                    Change::Applied(object) if object.name_any() == source.name => of(&object),
                    Change::Deleted(object) if object.name_any() == source.name => Source::Missing,
                    Change::Replaced(present) if !present.contains(&key(&source)) => {
                        Source::Missing
                    }
                    _ => return,
                };
                if context.index.source_seen(&source, found) {
                    tracing::info!(%source, "a source of registry credentials changed");
                    context.wake_all();
                }
            },
        );
    }
}

fn key(source: &SourceName) -> ObjectKey {
    ObjectKey::new(&source.namespace, &source.name)
}

fn of(object: &Credentials) -> Source {
    if object.metadata.deletion_timestamp.is_some() {
        return Source::Missing;
    }
    Source::of(&Uid::of(&object.metadata), &object.secret_type, |key| match key {
        ".dockerconfigjson" => object.config_json.clone(),
        ".dockercfg" => object.config.clone(),
        _ => None,
    })
}

fn copy(context: &Context, change: Change<PartialObjectMeta<Secret>>) {
    let woken: Vec<Arc<str>> = match change {
        Change::Applied(object) => {
            let key = ObjectKey::of(&object);
            let news = context.index.copy_seen(&key, &object.metadata);
            news.then(|| Arc::clone(&key.namespace)).into_iter().collect()
        }
        Change::Deleted(object) => {
            let (key, uid) = (ObjectKey::of(&object), Uid::of(&object.metadata));
            let known = context.index.copy_gone(&key, &uid);
            known.then(|| Arc::clone(&key.namespace)).into_iter().collect()
        }
        Change::Replaced(present) => {
            let (concerned, first) = context.index.copies_listed(&present);
            if first {
                context.wake_all();
            }
            concerned
        }
    };
    for namespace in woken {
        context.namespaces.wake(&namespace, &(), Lane::Urgent);
    }
}
