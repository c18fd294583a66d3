//! Why a secret is not rotated.

use crate::text::shortened;

/// What is wrong with what a SecretRotation asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RotationError {
    /// A field cannot be what it is.
    #[error("spec.{field} {problem}")]
    Field {
        /// Path below `spec`.
        field: &'static str,
        /// What is wrong, and what to do.
        problem: String,
    },
}

/// Why nothing is begun now. It is looked at again later, or when something changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    AwsRotates,
    ManagedElsewhere(String),
    Replica(String),
    MarkedForDeletion,
    NotFound,
    Pushed,
    RotatedElsewhere(String),
    MarkedElsewhere(String),
    Duplicate(String),
    PendingElsewhere(String),
    TooSoon,
    NoCurrent,
    NotAllowed(String),
}

impl Refusal {
    /// Reason of the condition.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::AwsRotates => "AwsRotates",
            Self::ManagedElsewhere(_) => "ManagedElsewhere",
            Self::Replica(_) => "Replica",
            Self::MarkedForDeletion => "MarkedForDeletion",
            Self::NotFound => "NotFound",
            Self::Pushed => "Pushed",
            Self::RotatedElsewhere(_) | Self::MarkedElsewhere(_) => "RotatedElsewhere",
            Self::Duplicate(_) => "Duplicate",
            Self::PendingElsewhere(_) => "PendingElsewhere",
            Self::TooSoon => "TooSoon",
            Self::NoCurrent => "NoCurrent",
            Self::NotAllowed(_) => "NotAllowed",
        }
    }

    /// What is wrong, and what to do.
    pub(crate) fn message(&self) -> String {
        let shown = |text: &str| shortened(text, 128);
        match self {
            Self::AwsRotates => "AWS rotates this secret: turn off its rotation, or delete this \
                                 SecretRotation"
                .to_owned(),
            Self::ManagedElsewhere(by) => {
                format!("{:?} manages this secret: rotate it there", shown(by))
            }
            Self::Replica(region) => format!(
                "this secret is a replica of one in {:?}: name a store of that region",
                shown(region)
            ),
            Self::MarkedForDeletion => {
                "the secret is marked for deletion: restore it, or delete this SecretRotation"
                    .to_owned()
            }
            Self::NotFound => "the secret does not exist: create it, or correct \
                               spec.remoteRef.key in another SecretRotation"
                .to_owned(),
            Self::Pushed => "a PushSecret writes this secret, and would take back each rotation: \
                             delete the PushSecret and remove the tag managed-by, or delete this \
                             SecretRotation"
                .to_owned(),
            Self::RotatedElsewhere(by) => format!(
                "another SecretRotation rotates this secret (tag {TAG} is {:?}): delete that one and \
                 remove the tag",
                shown(by)
            ),
            Self::MarkedElsewhere(label) => format!(
                "another SecretRotation rotates this secret (its label is {:?}), and the store's \
                 identity may not say by a tag whose it is: allow secretsmanager:TagResource, or \
                 delete the other one and remove its label",
                shown(label)
            ),
            Self::Duplicate(other) => {
                format!("the older SecretRotation {other} rotates this secret: delete one of them")
            }
            Self::PendingElsewhere(version) => format!(
                "another rotation is under way: version {:?} has AWSPENDING; if nobody works on it, \
                 remove that label",
                shown(version)
            ),
            Self::TooSoon => {
                "the present value is younger than 10 minutes: it is looked at again".to_owned()
            }
            Self::NotAllowed(store) => format!(
                "{store} does not let its users rotate: annotate it with \
                 gabion.dev/allow-rotation: \"true\", or name a SecretStore"
            ),
            Self::NoCurrent => "no version of the secret has AWSCURRENT: put a value".to_owned(),
        }
    }
}

/// Tag that says who rotates a secret.
pub(crate) const TAG: &str = "gabion.dev/rotated-by";
