//! Why a policy cannot be compiled.

/// A baseline that cannot be made into a policy. The text names fields, never contents.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The stored spec breaks a rule of today.
    #[error("spec.{field}: {problem}")]
    InvalidSpec {
        /// Path below spec.
        field: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A compiled policy costs more than the API server spends.
    #[error("revision {revision} {problem}, and is not used; shorten {field}")]
    BudgetExceeded {
        /// The revision.
        revision: String,
        /// What it would need, and what there is.
        problem: String,
        /// The field of the spec that adds most, or those that may.
        field: String,
    },
}

impl PolicyError {
    pub(crate) fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::InvalidSpec { field: field.into(), problem: problem.into() }
    }
}
