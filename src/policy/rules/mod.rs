//! The rules: each control that is about a pod, as Rust over a manifest and as CEL for the API server.

mod baseline;
pub(crate) mod credentials;
mod environment;
mod guide;
mod images;
pub(crate) mod pod;
mod restricted;

use super::controls::{Control, ControlId};
use super::settings::Settings;
use crate::api::gabion::hardening_baseline::Verdict;
pub(crate) use pod::Pod;
use pod::Violations;

/// One control, both ways.
pub struct Rule {
    /// Id of the control.
    pub id: ControlId,
    /// Whether the settings ask for it, and what happens to pods that break it.
    pub(crate) when: fn(&Settings) -> Verdict,
    /// Finds what breaks it.
    pub(crate) evaluate: fn(&Settings, &Pod<'_>, &mut Violations),
    /// The same in CEL.
    pub(crate) cel: fn(&Settings) -> Cel,
    /// The remedy where the settings say more than the table can.
    pub(crate) remedy: Option<fn(&Settings) -> String>,
}

impl Rule {
    /// The row of the table.
    pub fn control(&self) -> &'static Control {
        self.id.control()
    }

    /// How to put it right under these settings.
    pub(crate) fn remedy(&self, settings: &Settings) -> String {
        self.remedy.map_or_else(|| self.control().remedy.to_owned(), |remedy| remedy(settings))
    }
}

/// What an expression walks.
///
/// Expressions name `spec`, the pod's; `whole`, its security context; `annotations`; and what belongs to the item.
/// Both security contexts are optional values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// Init containers, containers and ephemeral containers, each as `c`, with its security context as `own`.
    Containers,
    /// Init containers and containers, each as `c`.
    Lasting,
    /// Containers that are neither init nor ephemeral, each as `c`.
    Main,
    /// Images of all containers and of image volumes: `image` as it is written, `repo` and `tag` as they are read.
    Images,
}

/// When a rule is kept, in CEL: `unless || (pod && every item)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cel {
    /// The rule does not apply to such pods.
    pub(crate) unless: Option<String>,
    /// Holds for the pod as a whole.
    pub(crate) pod: Option<String>,
    /// Holds for every item.
    pub(crate) each: Option<(Over, String)>,
    /// Holds for no `image` that breaks the rule, and needs it to be a plain one ([`super::image::CEL_PLAIN`]) but
    /// not to be read: the short way. `None` if there is none.
    pub(crate) plain: Option<String>,
}

impl Cel {
    fn pod(expression: impl Into<String>) -> Self {
        Self { pod: Some(expression.into()), ..Self::default() }
    }

    fn each(over: Over, expression: impl Into<String>) -> Self {
        Self { each: Some((over, expression.into())), ..Self::default() }
    }

    fn and_each(self, over: Over, expression: impl Into<String>) -> Self {
        Self { each: Some((over, expression.into())), ..self }
    }

    fn or_plain(self, expression: impl Into<String>) -> Self {
        Self { plain: Some(expression.into()), ..self }
    }

    fn unless(self, unless: Option<&str>) -> Self {
        Self { unless: unless.map(str::to_owned), ..self }
    }
}

/// Every rule, in the order of the table of controls.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    [baseline::RULES.as_slice(), &restricted::RULES, &guide::RULES, &images::RULES]
        .into_iter()
        .chain([environment::RULES.as_slice()])
        .flatten()
}

/// The rules that the settings ask for, and the verdict of each.
pub fn asked(settings: &Settings) -> impl Iterator<Item = (&'static Rule, Verdict)> {
    all()
        .map(|rule| (rule, (rule.when)(settings)))
        .filter(|(_, verdict)| matches!(verdict, Verdict::Warn | Verdict::Deny))
}
