//! What the template of an `ExternalSecret` makes of the data read.
//!
//! Precedence, from high to low: `template.data`; `templateFrom`, the later before the earlier and inside one
//! the literal before the Secret before the ConfigMap; the data read, where it is kept at all.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    decode::{check_key, decode},
    desired::Rendered,
    error::PlanError,
    key::Key,
    metadata::{Written, check_metadata},
};
use crate::api::external_secrets::external_secret::ExternalSecret;
use crate::api::external_secrets::references::DecodingStrategy;
use crate::api::external_secrets::template::EngineVersion;
use crate::api::external_secrets::template::Template as Spec;
use crate::api::external_secrets::template::TemplateFrom;
use crate::api::external_secrets::template::TemplateMergePolicy;
use crate::api::external_secrets::template::TemplateRef;
use crate::api::external_secrets::template::TemplateScope;
use crate::provider::SecretBytes;
use gotemplate::Cache;
use gotemplate::Context;
use gotemplate::Data;
use gotemplate::Delimiters;
use gotemplate::Environment;
use gotemplate::ErrorKind;
use gotemplate::Failure;
use gotemplate::Limits;
use gotemplate::MissingKey;
use gotemplate::Template;
use gotemplate::yaml;

/// What renders all templates of one object, within bounds that they share.
pub struct Engine<'a> {
    cache: &'a Cache,
    delimiters: &'a Delimiters,
    context: Context<'a>,
}

/// The same mistake at the same place, without a word of the template.
fn silent(error: gotemplate::Error) -> gotemplate::Error {
    let message = match error.kind {
        ErrorKind::Parse => "it cannot be parsed",
        ErrorKind::MissingKey => "it names a key that was not read",
        ErrorKind::Type | ErrorKind::Function | ErrorKind::Exec => "it cannot be evaluated",
        ErrorKind::Bound => return error,
    };
    gotemplate::Error { message: message.to_owned(), ..error }
}

impl<'a> Engine<'a> {
    /// One that takes time and randomness from `environment`.
    pub fn new(
        cache: &'a Cache,
        delimiters: &'a Delimiters,
        environment: &'a mut dyn Environment,
        limits: &'a Limits,
    ) -> Self {
        Self { cache, delimiters, context: Context::new(environment, limits) }
    }

    /// The output of a template that the object itself holds. `name` is what errors in it call it.
    pub(crate) fn render(
        &mut self,
        field: &str,
        name: &str,
        text: &str,
        dot: &Data,
    ) -> Result<SecretBytes, PlanError> {
        let parsed = self.cache.parse(name, text.as_bytes(), self.delimiters);
        self.output(field, parsed, dot)
    }

    /// The output of a template that was read elsewhere, and that no cache may keep.
    ///
    /// Messages repeat words of the template. Those of one in a Secret are nobody's to read.
    fn render_read(
        &mut self,
        field: &str,
        (kind, name): (InputKind, &str),
        text: &SecretBytes,
        dot: &Data,
    ) -> Result<SecretBytes, PlanError> {
        let parsed = Template::parse(name, text.expose(), self.delimiters);
        let output = self.output(field, parsed.map(Arc::new), dot);
        output.map_err(|error| match error {
            PlanError::Template { field, source } if kind == InputKind::Secret => {
                PlanError::Template { field, source: silent(source) }
            }
            error => error,
        })
    }

    /// A template of which a missing key is nothing, printed as `<no value>`.
    pub(crate) fn lenient(
        &self,
        field: &str,
        name: &str,
        text: &str,
    ) -> Result<Arc<Template>, PlanError> {
        let parsed = Template::parse(name, text.as_bytes(), self.delimiters);
        parsed
            .map(|template| Arc::new(template.with_missing_key(MissingKey::Invalid)))
            .map_err(|error| PlanError::Template { field: field.to_owned(), source: error })
    }

    /// What a parsed template makes.
    pub(crate) fn output(
        &mut self,
        field: &str,
        parsed: Result<Arc<Template>, gotemplate::Error>,
        dot: &Data,
    ) -> Result<SecretBytes, PlanError> {
        parsed
            .and_then(|template| template.render_within(dot, &mut self.context))
            .map(SecretBytes::from)
            .map_err(|error| PlanError::Template { field: field.to_owned(), source: error })
    }

    /// Reads an output as Go's YAML library reads a map of strings.
    pub(crate) fn pairs(
        &mut self,
        field: &str,
        name: &str,
        output: &SecretBytes,
    ) -> Result<BTreeMap<String, SecretBytes>, PlanError> {
        let pairs = yaml::string_map(&mut self.context, output.expose()).map_err(|failure| {
            let (template, line, column) = (name.to_owned(), 1, 1);
            let Failure { kind, message, .. } = failure;
            let source = gotemplate::Error { kind, template, line, column, message };
            PlanError::Template { field: field.to_owned(), source }
        })?;
        let pairs = pairs.ok_or_else(|| PlanError::NotAMap { field: field.to_owned() })?;
        Ok(pairs.into_iter().map(|(key, value)| (key, SecretBytes::from(value))).collect())
    }
}

/// A kind of object that holds templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum InputKind {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
}

impl InputKind {
    /// Its name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }
}

/// What objects that hold templates contain; `None` for one that does not exist.
pub(crate) type Contents = BTreeMap<(InputKind, String), Option<BTreeMap<String, SecretBytes>>>;

/// The objects, in the namespace of the `ExternalSecret`, that its template is read from.
pub(crate) fn inputs(object: &ExternalSecret) -> BTreeSet<(InputKind, String)> {
    inputs_of(object.spec.target.template.as_ref())
}

/// The objects that a template is read from.
pub(crate) fn inputs_of(template: Option<&Spec>) -> BTreeSet<(InputKind, String)> {
    let from = template.into_iter().flat_map(|template| &template.template_from);
    from.flat_map(references).map(|(kind, reference)| (kind, reference.name.clone())).collect()
}

/// What one `templateFrom` refers to, in the order in which it counts.
fn references(from: &TemplateFrom) -> impl Iterator<Item = (InputKind, &TemplateRef)> {
    let config_map = from.config_map.iter().map(|reference| (InputKind::ConfigMap, reference));
    config_map.chain(from.secret.iter().map(|reference| (InputKind::Secret, reference)))
}

/// What the `ExternalSecret` contributes to its Secret, given what was read for it.
pub(crate) fn render(
    object: &ExternalSecret,
    data: BTreeMap<String, SecretBytes>,
    contents: &Contents,
    engine: &mut Engine<'_>,
) -> Result<Rendered, PlanError> {
    let Some(template) = &object.spec.target.template else {
        return Ok(Rendered::without_template(object, data));
    };
    let (data, made) = make("target.template", template, data, contents, engine)?;
    let metadata = template.metadata.as_ref();
    let written = Written {
        labels: metadata.map(|metadata| &metadata.labels),
        annotations: metadata.map(|metadata| &metadata.annotations),
    };
    check_metadata(&made.labels, &made.annotations, written)?;
    Ok(Rendered {
        data,
        labels: made.labels,
        annotations: made.annotations,
        type_: template.type_.clone(),
        finalizers: metadata.map(|metadata| metadata.finalizers.clone()).unwrap_or_default(),
    })
}

/// What a template at `root` makes of the data: nothing but data counts.
pub(crate) fn data_of(
    root: &str,
    template: &Spec,
    data: BTreeMap<String, SecretBytes>,
    contents: &Contents,
    engine: &mut Engine<'_>,
) -> Result<BTreeMap<String, SecretBytes>, PlanError> {
    make(root, template, data, contents, engine).map(|(data, _)| data)
}

/// All data, and what else was made.
fn make(
    root: &str,
    template: &Spec,
    data: BTreeMap<String, SecretBytes>,
    contents: &Contents,
    engine: &mut Engine<'_>,
) -> Result<(BTreeMap<String, SecretBytes>, Made), PlanError> {
    if let EngineVersion::Other(value) = &template.engine_version {
        let field = format!("{root}.engineVersion");
        return Err(PlanError::UnknownValue { field, value: value.clone() });
    }
    let mut rendering = Rendering { root, dot: dot(&data), engine, made: Made::default() };
    for (nth, from) in template.template_from.iter().enumerate() {
        rendering.template_from(&format!("{root}.templateFrom[{nth}]"), from, contents)?;
    }
    for (key, text) in &template.data {
        let field = format!("{root}.data[{key}]");
        let value = rendering.render(&field, key, text)?;
        rendering.made.data.insert(key.clone(), value);
    }
    rendering.metadata(template)?;
    let mut made = rendering.made;
    let mut all = if keeps_data(root, template)? { data } else { BTreeMap::new() };
    all.extend(std::mem::take(&mut made.data));
    Ok((all, made))
}

/// Whether the data read stays beside what the template makes.
fn keeps_data(root: &str, template: &Spec) -> Result<bool, PlanError> {
    match &template.merge_policy {
        TemplateMergePolicy::Merge => Ok(true),
        TemplateMergePolicy::Replace => {
            Ok(template.data.is_empty() && template.template_from.is_empty())
        }
        TemplateMergePolicy::Other(value) => Err(PlanError::UnknownValue {
            field: format!("{root}.mergePolicy"),
            value: value.clone(),
        }),
    }
}

/// The data as templates see it: a map from strings to strings.
fn dot(data: &BTreeMap<String, SecretBytes>) -> Data {
    data.iter().map(|(key, value)| (key.as_str(), value.expose())).collect()
}

/// Where a template's output goes.
#[derive(Clone, Copy)]
enum Target {
    Data,
    Labels,
    Annotations,
}

#[derive(Default)]
struct Made {
    data: BTreeMap<String, SecretBytes>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

struct Rendering<'e, 'a> {
    root: &'e str,
    dot: Data,
    engine: &'e mut Engine<'a>,
    made: Made,
}

impl Rendering<'_, '_> {
    fn render(&mut self, field: &str, name: &str, text: &str) -> Result<SecretBytes, PlanError> {
        self.engine.render(field, name, text, &self.dot)
    }

    fn template_from(
        &mut self,
        field: &str,
        from: &TemplateFrom,
        contents: &Contents,
    ) -> Result<(), PlanError> {
        let target = match from.target.to_ascii_lowercase().as_str() {
            "data" | "" => Target::Data,
            "labels" => Target::Labels,
            "annotations" => Target::Annotations,
            _ => {
                let field = format!("{field}.target");
                return Err(PlanError::UnknownValue { field, value: from.target.clone() });
            }
        };
        let strategy = from.values_decoding_strategy.clone().unwrap_or_default();
        for (kind, reference) in references(from) {
            let part = if kind == InputKind::Secret { "secret" } else { "configMap" };
            let place = format!("{field}.{part}");
            let found = contents.get(&(kind, reference.name.clone())).and_then(Option::as_ref);
            let absent = |key: &str| PlanError::TemplateAbsent {
                field: place.clone(),
                kind: kind.as_str(),
                name: reference.name.clone(),
                key: key.to_owned(),
            };
            let found = found.ok_or_else(|| absent(""))?;
            for item in &reference.items {
                let text = found.get(&item.key).ok_or_else(|| absent(&item.key))?;
                let output = self.engine.render_read(&place, (kind, &item.key), text, &self.dot)?;
                let outputs = match &item.template_as {
                    TemplateScope::Values => {
                        let key = Key::from(item.key.as_str());
                        self.take(&place, target, &strategy, key, output)?;
                        continue;
                    }
                    TemplateScope::KeysAndValues => {
                        self.engine.pairs(&place, &item.key, &output)?
                    }
                    TemplateScope::Other(value) => {
                        let field = format!("{place}.items[{}].templateAs", item.key);
                        return Err(PlanError::UnknownValue { field, value: value.clone() });
                    }
                };
                self.take_all(&place, target, &strategy, outputs)?;
            }
        }
        if let Some(literal) = &from.literal {
            let place = format!("{field}.literal");
            let output = self.render(&place, "literal", literal)?;
            let outputs = self.engine.pairs(&place, "literal", &output)?;
            self.take_all(&place, target, &strategy, outputs)?;
        }
        Ok(())
    }

    /// Adds keys and values that a template made.
    fn take_all(
        &mut self,
        field: &str,
        target: Target,
        strategy: &DecodingStrategy,
        outputs: BTreeMap<String, SecretBytes>,
    ) -> Result<(), PlanError> {
        for (nth, (key, value)) in outputs.into_iter().enumerate() {
            self.take(field, target, strategy, Key::made(nth, &key), value)?;
        }
        Ok(())
    }

    fn take(
        &mut self,
        field: &str,
        target: Target,
        strategy: &DecodingStrategy,
        key: Key<'_>,
        value: SecretBytes,
    ) -> Result<(), PlanError> {
        let value = decode(field, key, strategy, value)?;
        match target {
            Target::Data => {
                check_key(field, key)?;
                self.made.data.insert(key.text().to_owned(), value);
            }
            Target::Labels => {
                let value = text(field, key, &value)?;
                self.made.labels.insert(key.text().to_owned(), value);
            }
            Target::Annotations => {
                let value = text(field, key, &value)?;
                self.made.annotations.insert(key.text().to_owned(), value);
            }
        }
        Ok(())
    }

    /// Labels and annotations of the template itself; they win over those of `templateFrom`.
    fn metadata(&mut self, template: &Spec) -> Result<(), PlanError> {
        let Some(metadata) = &template.metadata else { return Ok(()) };
        for (part, templates) in
            [("labels", &metadata.labels), ("annotations", &metadata.annotations)]
        {
            for (key, template) in templates {
                let field = format!("{}.metadata.{part}[{key}]", self.root);
                let output = self.render(&field, key, template)?;
                let value = text(&field, Key::from(key.as_str()), &output)?;
                let map = if part == "labels" {
                    &mut self.made.labels
                } else {
                    &mut self.made.annotations
                };
                map.insert(key.clone(), value);
            }
        }
        Ok(())
    }
}

fn text(field: &str, key: Key<'_>, value: &SecretBytes) -> Result<String, PlanError> {
    let text = std::str::from_utf8(value.expose()).map_err(|_| PlanError::BadMetadata {
        field: field.to_owned(),
        key: key.name(),
        reason: "its value is not UTF-8",
    })?;
    Ok(text.to_owned())
}

#[cfg(test)]
pub(super) mod tests;
