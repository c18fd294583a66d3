//! One row for each object.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{State, text};

/// The kinds in the order in which they are read: stores before what refers to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// SecretStore.
    SecretStore,
    /// ClusterSecretStore.
    ClusterSecretStore,
    /// ExternalSecret.
    ExternalSecret,
    /// HardeningBaseline.
    HardeningBaseline,
    /// NamespaceHardening.
    NamespaceHardening,
}

impl Kind {
    /// All, in that order.
    pub(crate) const ALL: [Self; 5] = [
        Self::SecretStore,
        Self::ClusterSecretStore,
        Self::ExternalSecret,
        Self::HardeningBaseline,
        Self::NamespaceHardening,
    ];

    /// The short name that kubectl knows.
    pub(crate) const fn short(self) -> &'static str {
        match self {
            Self::SecretStore => "ss",
            Self::ClusterSecretStore => "css",
            Self::ExternalSecret => "es",
            Self::HardeningBaseline => "hb",
            Self::NamespaceHardening => "nsh",
        }
    }

    /// The name of the kind.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::SecretStore => "SecretStore",
            Self::ClusterSecretStore => "ClusterSecretStore",
            Self::ExternalSecret => "ExternalSecret",
            Self::HardeningBaseline => "HardeningBaseline",
            Self::NamespaceHardening => "NamespaceHardening",
        }
    }

    /// The name in paths.
    pub(crate) const fn plural(self) -> &'static str {
        match self {
            Self::SecretStore => "secretstores",
            Self::ClusterSecretStore => "clustersecretstores",
            Self::ExternalSecret => "externalsecrets",
            Self::HardeningBaseline => "hardeningbaselines",
            Self::NamespaceHardening => "namespacehardenings",
        }
    }

    /// Group and version that this program reads.
    pub(crate) const fn group(self) -> (&'static str, &'static str) {
        match self {
            Self::SecretStore | Self::ClusterSecretStore | Self::ExternalSecret => {
                ("external-secrets.io", "v1")
            }
            Self::HardeningBaseline | Self::NamespaceHardening => ("gabion.dev", "v1alpha1"),
        }
    }

    /// Whether objects are in namespaces.
    pub(crate) const fn is_namespaced(self) -> bool {
        matches!(self, Self::SecretStore | Self::ExternalSecret | Self::NamespaceHardening)
    }

    /// The kind that a user means: short name, kind, plural or singular, in any case.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        let word = word.to_ascii_lowercase();
        let word = word.split('.').next().unwrap_or_default();
        Self::ALL.into_iter().find(|kind| {
            word == kind.short()
                || word == kind.plural()
                || word == kind.name().to_ascii_lowercase()
        })
    }
}

/// What is known of one object.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Its kind.
    pub(crate) kind: Kind,
    /// Its namespace, if it is in one.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    /// Its state.
    pub(crate) state: State,
    /// Since when it is in it.
    pub(crate) since: Option<Timestamp>,
    /// When it was last in step with the provider.
    pub(crate) last: Option<Timestamp>,
    /// When it is read again.
    pub(crate) next: Option<Timestamp>,
    /// The store it reads from.
    pub(crate) store: String,
    /// Why it is in this state, if that is not plain.
    pub(crate) why: String,
}

impl Row {
    /// A row of which nothing is known but its name.
    pub(super) fn named(kind: Kind, object: &Value) -> Self {
        Self {
            kind,
            namespace: text(object, "/metadata/namespace").to_owned(),
            name: text(object, "/metadata/name").to_owned(),
            state: State::Synced,
            since: None,
            last: None,
            next: None,
            store: String::new(),
            why: String::new(),
        }
    }

    /// Worst first, then whoever is in that state longest, then by name.
    pub(crate) fn order(&self, other: &Self) -> std::cmp::Ordering {
        let since = |row: &Self| row.since.unwrap_or(Timestamp::MAX);
        self.state
            .cmp(&other.state)
            .then_with(|| since(self).cmp(&since(other)))
            .then_with(|| self.kind.cmp(&other.kind))
            .then_with(|| self.namespace.cmp(&other.namespace))
            .then_with(|| self.name.cmp(&other.name))
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        json!({
            "kind": self.kind.name(),
            "namespace": self.namespace,
            "name": self.name,
            "state": self.state.word(),
            "since": self.since.map(|time| time.to_string()),
            "lastSync": self.last.map(|time| time.to_string()),
            "next": self.next.map(|time| time.to_string()),
            "store": self.store,
            "why": self.why,
        })
    }
}
