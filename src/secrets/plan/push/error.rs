//! Why a `PushSecret` cannot be pushed, in words for the person who wrote it.

use crate::retry::Retry;
use crate::secrets::plan::key::KeyName;

/// Everything that the plan of a push refuses. `Display` names the field and what to do, and holds no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PushError {
    /// A field that this release cannot honour. Ignoring it would push something else.
    #[error("spec.{field} is not supported by this release of Gabion: {remedy}")]
    NotImplemented { field: String, remedy: &'static str },
    /// A value that this release does not know.
    #[error(
        "spec.{field} is {value:?}, which this release does not know: use one of the values that `kubectl explain` lists"
    )]
    UnknownValue { field: String, value: String },
    /// A field that has to be set.
    #[error("spec.{field} is not set: {remedy}")]
    Missing { field: String, remedy: &'static str },
    /// Not a duration.
    #[error("spec.{field} is {text:?}, which is no duration: write for example 30s, 15m or 1h0m0s")]
    Duration { field: String, text: String },
    /// Settings of a remote secret that are none.
    #[error("spec.{field}: {reason}")]
    Metadata { field: String, reason: String },
    /// More than one object may push.
    #[error(
        "it pushes {count} remote secrets and fields, and the most is {most}: make several PushSecrets of it"
    )]
    TooMany { count: usize, most: usize },
    /// Each entry goes over all keys.
    #[error(
        "there are {count} keys to push from, and the most is {most}: push from a Secret with fewer"
    )]
    ManyKeys { count: usize, most: usize },
    /// The status could not hold what is pushed.
    #[error(
        "what it pushes has {bytes} bytes over all stores, and the most is {most}, because the status repeats it: make several PushSecrets of it"
    )]
    TooLong { bytes: usize, most: usize },
    /// Two entries mean the same.
    #[error(
        "spec.{field} and spec.{other} push to the same place of {remote:?}: remove one, or give each a property of its own"
    )]
    Twice { field: String, other: String, remote: String },
    /// Two entries want different settings of one remote secret.
    #[error(
        "spec.{field} and spec.{other} want different metadata of {remote:?}: write the same in both"
    )]
    Settings { field: String, other: String, remote: String },
    /// A store that the object does not push to.
    #[error(
        "spec.{field} names {store:?}, which is none of spec.secretStoreRefs: add it there, or name another one"
    )]
    OtherStore { field: String, store: String },
    /// A remote secret without a name, or with a very long one.
    #[error(
        "spec.{field} makes a name of no characters, or of more than 2048 bytes, of the {key}: correct it"
    )]
    BadName { field: String, key: KeyName },
    /// Another PushSecret pushes there.
    #[error(
        "{remote:?} in {store} is pushed by PushSecret {by}: change one of the two, or delete one"
    )]
    Taken { remote: String, store: String, by: String },
    /// The Secret to push does not exist.
    #[error(
        "Secret {name:?} does not exist in the namespace of the PushSecret: create it, or correct spec.selector.secret.name"
    )]
    SourceMissing { name: String },
    /// The Secret lacks a key.
    #[error(
        "spec.{field}.match.secretKey: the {what} has no key {key:?}: correct the key, or add it"
    )]
    KeyMissing { field: String, what: &'static str, key: String },
    /// Two keys become one.
    #[error("spec.{field}.conversionStrategy: two keys of the Secret become one: rename one")]
    KeyCollision { field: String },
    /// Bytes where text is needed.
    #[error("spec.{field}: the value is not UTF-8, and {why}")]
    NotText { field: String, why: &'static str },
    /// More than the provider takes.
    #[error(
        "{remote:?} would have {bytes} bytes, and {service} takes {most}: push less into one remote secret{remedy}"
    )]
    TooLarge {
        remote: String,
        bytes: usize,
        service: &'static str,
        most: usize,
        remedy: &'static str,
    },
    /// Somebody else's.
    #[error(
        "secret not managed by external-secrets: {remote:?} exists in {store} without the tag managed-by=external-secrets, so it is somebody else's; choose another name, or set the tag to hand it over"
    )]
    NotManaged { remote: String, store: String },
    /// There is nothing that a property can be set in.
    #[error(
        "{remote:?} is not a JSON object, so its property {property:?} cannot be set: push without property, or to another name"
    )]
    NotAnObject { remote: String, property: String },
    /// The store cannot be written to.
    #[error("{store} cannot be written to: its provider is {provider:?}")]
    ReadOnly { store: String, provider: String },
}

impl PushError {
    /// A name for metrics and logs.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::NotImplemented { .. } => "NotImplemented",
            Self::UnknownValue { .. } => "UnknownValue",
            Self::Missing { .. } => "FieldMissing",
            Self::Duration { .. } => "InvalidDuration",
            Self::Metadata { .. } | Self::Settings { .. } => "InvalidMetadata",
            Self::TooMany { .. } | Self::ManyKeys { .. } | Self::TooLong { .. } => "TooManyPushed",
            Self::Twice { .. } => "DuplicateKey",
            Self::OtherStore { .. } => "OtherStore",
            Self::BadName { .. } => "InvalidKey",
            Self::Taken { .. } => "RemoteTaken",
            Self::SourceMissing { .. } => "SourceMissing",
            Self::KeyMissing { .. } => "KeyMissing",
            Self::KeyCollision { .. } => "KeyCollision",
            Self::NotText { .. } => "NotText",
            Self::TooLarge { .. } => "TooLarge",
            Self::NotManaged { .. } => "NotManaged",
            Self::NotAnObject { .. } => "NotAnObject",
            Self::ReadOnly { .. } => "StoreReadOnly",
        }
    }

    /// Whether trying again by itself can help: what is remote may be corrected there, where no watch reports it.
    pub(crate) fn retry(&self) -> Retry {
        match self {
            Self::NotManaged { .. } | Self::NotAnObject { .. } => Retry::Backoff,
            _ => Retry::OnChange,
        }
    }
}
