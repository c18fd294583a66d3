//! Why an `ExternalSecret` cannot be synced, in words for the person who wrote it.

use super::key::KeyName;
use crate::provider::ProviderError;
use crate::retry::Retry;

/// Everything that `plan` refuses. `Display` names the field and what to do, and holds no value.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PlanError {
    /// A field that this release cannot honour. Ignoring it would give a wrong Secret.
    #[error("spec.{field} is not supported by this release of Gabion: remove it")]
    NotImplemented {
        /// Path below `spec`.
        field: String,
    },
    /// A value that this release does not know.
    #[error(
        "spec.{field} is {value:?}, which this release does not know: use one of the values that `kubectl explain` lists"
    )]
    UnknownValue {
        /// Path below `spec`.
        field: String,
        /// The value.
        value: String,
    },
    /// An annotation of ours has a value that it does not have.
    #[error("metadata.annotations[{name}] is {value:?}: write {wanted}, or remove it")]
    Annotation {
        /// Its name.
        name: &'static str,
        /// The value.
        value: String,
        /// What it may be.
        wanted: &'static str,
    },
    /// Not a duration.
    #[error("spec.{field} is {text:?}, which is no duration: write for example 30s, 15m or 1h0m0s")]
    Duration {
        /// Path below `spec`.
        field: String,
        /// The text.
        text: String,
    },
    /// Not a schedule.
    #[error(
        "spec.{field} is {text:?}, which is no schedule: write five cron fields, or for example @daily"
    )]
    Schedule {
        /// Path below `spec`.
        field: String,
        /// The text.
        text: String,
    },
    /// Not a regular expression.
    #[error("spec.{field} is {text:?}, which is no regular expression: correct it")]
    Regexp {
        /// Path below `spec`.
        field: String,
        /// The text.
        text: String,
    },
    /// A regular expression that is too large, or takes too long.
    #[error(
        "spec.{field} is too costly a regular expression: {reason}; make it simpler, or select by path or tags"
    )]
    CostlyRegexp {
        /// Path below `spec`.
        field: String,
        /// Fixed text.
        reason: &'static str,
    },
    /// A find that selects nothing in particular.
    #[error("spec.{field} names nothing to find: set name.regexp, path or tags")]
    EmptyFind {
        /// Path below `spec`.
        field: String,
    },
    /// More tags than a remote secret can have.
    #[error(
        "spec.{field}.tags has {count} tags, and no secret has more than {most}: it can never match; remove some"
    )]
    TooManyTags {
        /// Path below `spec`.
        field: String,
        /// How many there are.
        count: usize,
        /// How many a secret can have.
        most: usize,
    },
    /// More secrets than one object may read.
    #[error(
        "spec.{field} matches {count} secrets, and one ExternalSecret finds at most {most}: select fewer by name, path or tags, or divide it among several ExternalSecrets"
    )]
    TooManyFound {
        /// Path below `spec`.
        field: String,
        /// How many match, those of other entries included.
        count: usize,
        /// How many may.
        most: usize,
    },
    /// More bytes than one object may read.
    #[error(
        "spec.{field}: what the ExternalSecret finds has more than {most} bytes, and a Secret holds at most 1048576: select fewer by name, path or tags"
    )]
    FoundTooLarge {
        /// Path below `spec`.
        field: String,
        /// How many there may be.
        most: usize,
    },
    /// A field that another one needs.
    #[error("spec.{field} is needed by {why}: set it")]
    Missing {
        /// Path below `spec`.
        field: String,
        /// What needs it.
        why: &'static str,
    },
    /// Two merged objects have the same key.
    #[error(
        "spec.{field}: {key} is in more than one of the merged secrets: set conflictPolicy Ignore, or remove it from all but one"
    )]
    MergeConflict {
        /// Path below `spec`.
        field: String,
        /// The key.
        key: KeyName,
    },
    /// A key in the priority list is not there.
    #[error(
        "spec.{field}.priority names {key:?}, which was not read: remove it, or set priorityPolicy IgnoreNotFound"
    )]
    PriorityAbsent {
        /// Path below `spec`.
        field: String,
        /// The key.
        key: String,
    },
    /// No store to read from.
    #[error(
        "spec.{field} names no store: set spec.secretStoreRef.name or the entry's sourceRef.storeRef.name"
    )]
    NoStore {
        /// Path below `spec`.
        field: String,
    },
    /// An entry that reads nothing.
    #[error("spec.{field} has no source: set one of extract, find or sourceRef.generatorRef")]
    NoSource {
        /// Path below `spec`.
        field: String,
    },
    /// Neither data nor dataFrom.
    #[error("spec names no remote secret: set data or dataFrom")]
    Nothing,
    /// More generators than one object may use.
    #[error(
        "spec.dataFrom names {count} generators and at most 16 are asked: use several ExternalSecrets"
    )]
    TooManyGenerators {
        /// How many.
        count: usize,
    },
    /// Two entries of one key.
    #[error("spec.data has two entries with secretKey {key:?}: rename or remove one")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// The provider refused.
    #[error("spec.{field}: {source}")]
    Provider {
        /// Path below `spec`.
        field: String,
        /// Its words.
        source: ProviderError,
    },
    /// The remote secret has no such property.
    #[error("spec.{field}: key {property:?} does not exist in secret {key:?}")]
    PropertyAbsent {
        /// Path below `spec`.
        field: String,
        /// The remote secret.
        key: String,
        /// What was searched for.
        property: String,
    },
    /// A path that cannot be followed.
    #[error("spec.{field}.property cannot be followed: {reason}; name the key more directly")]
    PropertyPath {
        /// Path below `spec`.
        field: String,
        /// Fixed text.
        reason: String,
    },
    /// JSON was needed.
    #[error(
        "spec.{field}: secret {key:?} is not valid JSON, so it has no properties: remove `property`, or correct the secret"
    )]
    NotJson {
        /// Path below `spec`.
        field: String,
        /// The remote secret.
        key: String,
    },
    /// A JSON object was needed.
    #[error(
        "spec.{field}: secret {key:?} is not a JSON object, which extract needs: use data with a secretKey in its place"
    )]
    NotAnObject {
        /// Path below `spec`.
        field: String,
        /// The remote secret.
        key: String,
    },
    /// A value that is to be merged and is no JSON object.
    #[error("spec.{field}: the value of {key} is not a JSON object, which merge needs: correct it")]
    NotMergeable {
        /// Path below `spec`.
        field: String,
        /// The key.
        key: KeyName,
    },
    /// A secret with neither text nor bytes.
    #[error("spec.{field}: secret {key:?} holds neither a string nor bytes")]
    NoValue {
        /// Path below `spec`.
        field: String,
        /// The remote secret.
        key: String,
    },
    /// A rewrite makes a key, or is made of a text, that no key can be.
    #[error("spec.{field} comes to more than {most} characters, which no key has: shorten it")]
    LongKey {
        /// Path below `spec`.
        field: String,
        /// The bound.
        most: usize,
    },
    /// Two keys became one.
    #[error(
        "spec.{field}: two keys become the same, {first} and {second}: use conversionStrategy Unicode or rewrite them"
    )]
    KeyCollision {
        /// Path below `spec`.
        field: String,
        /// One key.
        first: KeyName,
        /// The other.
        second: KeyName,
    },
    /// A key that a Secret cannot have.
    #[error(
        "spec.{field}: {key} is no valid Secret key (1 to 253 of A-Z, a-z, 0-9, '-', '_', '.'; not '.' alone, nor '..' in front): use rewrite or conversionStrategy"
    )]
    BadKey {
        /// Path below `spec`.
        field: String,
        /// The key.
        key: KeyName,
    },
    /// A value that is not encoded as claimed.
    #[error("spec.{field}: the value of {key} is not {strategy}: correct decodingStrategy")]
    Undecodable {
        /// Path below `spec`.
        field: String,
        /// The key.
        key: KeyName,
        /// The strategy.
        strategy: &'static str,
    },
    /// A zero byte where none is allowed.
    #[error("spec.{field}: the value of {key} has a zero byte, which nullBytePolicy Fail refuses")]
    NullByte {
        /// Path below `spec`.
        field: String,
        /// The key.
        key: KeyName,
    },
    /// A template that cannot be parsed or rendered.
    #[error("spec.{field}: {source}")]
    Template {
        /// Path below `spec`.
        field: String,
        /// What is wrong, and where in the template.
        source: gotemplate::Error,
    },
    /// An object that holds templates, or one of its keys, that does not exist.
    #[error("spec.{field}: {}: create it, or correct the name", absent(kind, name, key))]
    TemplateAbsent {
        /// Path below `spec`.
        field: String,
        /// Kind of the object.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The key that it has not; empty if there is no such object.
        key: String,
    },
    /// A template whose output should be a map.
    #[error(
        "spec.{field}: the output is no YAML map from keys to strings: write one `key: value` per line, and quote values that are not plain words"
    )]
    NotAMap {
        /// Path below `spec`.
        field: String,
    },
    /// A label or annotation that Kubernetes does not take.
    #[error("spec.{field}: {key}: {reason}: correct the template")]
    BadMetadata {
        /// Path below `spec`.
        field: String,
        /// The key.
        key: KeyName,
        /// Why not; fixed text.
        reason: &'static str,
    },
    /// A Secret that was there before.
    #[error(
        "Secret {name:?} exists and was not made by this ExternalSecret: annotate the ExternalSecret with gabion.dev/adopt: \"true\" to replace its data, set another target.name, or use creationPolicy Merge"
    )]
    Foreign {
        /// Name of the Secret.
        name: String,
    },
    /// A Secret of another `ExternalSecret`.
    #[error(
        "Secret {name:?} belongs to ExternalSecret {owner:?}: set another target.name, or use creationPolicy Merge in both"
    )]
    OwnedByAnother {
        /// Name of the Secret.
        name: String,
        /// The other `ExternalSecret`.
        owner: String,
    },
    /// A Secret that another controller owns.
    #[error("Secret {name:?} belongs to {owner}: set another target.name")]
    OwnedByOther {
        /// Name of the Secret.
        name: String,
        /// Kind and name of its owner.
        owner: String,
    },
    /// A Secret that cannot be changed.
    #[error(
        "Secret {name:?} is immutable and the data has changed: delete it to have it written again"
    )]
    Immutable {
        /// Name of the Secret.
        name: String,
    },
    /// `deletionPolicy: Delete` without ownership.
    #[error(
        "deletionPolicy Delete needs creationPolicy Owner, not {creation}: Secret {name:?} is left as it is"
    )]
    DeleteNeedsOwner {
        /// Name of the Secret.
        name: String,
        /// The policy that is set.
        creation: String,
    },
    /// A Secret that would be more than data.
    #[error(
        "a Secret of type {type_} is not written, because the cluster would act on it: use type Opaque"
    )]
    ForbiddenType {
        /// The type.
        type_: String,
    },
    /// Kubernetes does not change the type of a Secret.
    #[error(
        "Secret {name:?} has type {from:?} and cannot become {to:?}: delete it to have it created with the new type"
    )]
    TypeChange {
        /// Name of the Secret.
        name: String,
        /// The type it has.
        from: String,
        /// The type asked for.
        to: String,
    },
    /// More than a Secret can hold.
    #[error(
        "the data for Secret {name:?} has {bytes} bytes and a Secret holds at most 1048576: read fewer keys into it"
    )]
    TooLarge {
        /// Name of the Secret.
        name: String,
        /// Sum of all values.
        bytes: usize,
    },
    /// An object without name, namespace or uid: it did not come from an API server.
    #[error("the ExternalSecret has no {what}")]
    NotPersisted {
        /// What is missing.
        what: &'static str,
    },
}

impl PlanError {
    /// The first half of the condition's message. These texts are known to dashboards and alerts.
    pub(crate) fn headline(&self) -> &'static str {
        match self {
            Self::Foreign { .. } | Self::OwnedByOther { .. } => {
                "failed to take ownership of target secret"
            }
            Self::OwnedByAnother { .. } => "target is owned by another ExternalSecret",
            Self::Immutable { .. } => "could not update secret, target is immutable",
            Self::DeleteNeedsOwner { .. } => "could not delete secret",
            Self::ForbiddenType { .. }
            | Self::TypeChange { .. }
            | Self::TooLarge { .. }
            | Self::Template { .. }
            | Self::TemplateAbsent { .. }
            | Self::NotAMap { .. }
            | Self::BadMetadata { .. }
            | Self::NotPersisted { .. } => "could not update secret",
            Self::NotImplemented { field } if field == "target.manifest" => {
                "invalid generic target"
            }
            Self::NotImplemented { field } if field.starts_with("target") => {
                "could not update secret"
            }
            Self::NotImplemented { .. }
            | Self::UnknownValue { .. }
            | Self::Annotation { .. }
            | Self::Duration { .. }
            | Self::Schedule { .. }
            | Self::Regexp { .. }
            | Self::CostlyRegexp { .. }
            | Self::EmptyFind { .. }
            | Self::TooManyTags { .. }
            | Self::TooManyFound { .. }
            | Self::FoundTooLarge { .. }
            | Self::Missing { .. }
            | Self::MergeConflict { .. }
            | Self::PriorityAbsent { .. }
            | Self::NoStore { .. }
            | Self::NoSource { .. }
            | Self::Nothing
            | Self::TooManyGenerators { .. }
            | Self::DuplicateKey { .. }
            | Self::Provider { .. }
            | Self::PropertyAbsent { .. }
            | Self::PropertyPath { .. }
            | Self::NotJson { .. }
            | Self::NotAnObject { .. }
            | Self::NotMergeable { .. }
            | Self::NoValue { .. }
            | Self::KeyCollision { .. }
            | Self::LongKey { .. }
            | Self::BadKey { .. }
            | Self::Undecodable { .. }
            | Self::NullByte { .. } => "could not get secret data from provider",
        }
    }

    /// Whether trying again by itself can help.
    ///
    /// What comes from the remote secret may be corrected there, where no watch reports it: those back off.
    pub(crate) fn retry(&self) -> Retry {
        match self {
            // The text itself is wrong, whatever the data.
            Self::Template { source, .. } if source.kind == gotemplate::ErrorKind::Parse => {
                Retry::OnChange
            }
            Self::Template { .. }
            | Self::TemplateAbsent { .. }
            | Self::NotAMap { .. }
            | Self::BadMetadata { .. }
            | Self::Provider { .. }
            | Self::CostlyRegexp { .. }
            | Self::TooManyFound { .. }
            | Self::FoundTooLarge { .. }
            | Self::PropertyAbsent { .. }
            | Self::MergeConflict { .. }
            | Self::PriorityAbsent { .. }
            | Self::NotJson { .. }
            | Self::NotAnObject { .. }
            | Self::NotMergeable { .. }
            | Self::NoValue { .. }
            | Self::KeyCollision { .. }
            | Self::LongKey { .. }
            | Self::BadKey { .. }
            | Self::Undecodable { .. }
            | Self::NullByte { .. }
            | Self::TooLarge { .. } => Retry::Backoff,
            Self::NotImplemented { .. }
            | Self::UnknownValue { .. }
            | Self::Annotation { .. }
            | Self::Duration { .. }
            | Self::Schedule { .. }
            | Self::Regexp { .. }
            | Self::EmptyFind { .. }
            | Self::TooManyTags { .. }
            | Self::Missing { .. }
            | Self::NoStore { .. }
            | Self::NoSource { .. }
            | Self::Nothing
            | Self::TooManyGenerators { .. }
            | Self::DuplicateKey { .. }
            | Self::PropertyPath { .. }
            | Self::Foreign { .. }
            | Self::OwnedByAnother { .. }
            | Self::OwnedByOther { .. }
            | Self::Immutable { .. }
            | Self::DeleteNeedsOwner { .. }
            | Self::ForbiddenType { .. }
            | Self::TypeChange { .. }
            | Self::NotPersisted { .. } => Retry::OnChange,
        }
    }
}

fn absent(kind: &str, name: &str, key: &str) -> String {
    if key.is_empty() {
        format!("{kind} {name:?} does not exist in the namespace of the ExternalSecret")
    } else {
        format!("{kind} {name:?} has no key {key:?}")
    }
}
