//! `gabion check --eso`: which objects of External Secrets Operator (ESO) do not work under Gabion, or work differently.
//!
//! Each object is compared with the schema of Gabion's own definition ([`kinds`]), and then with the differences that
//! `docs/external-secrets.md` lists. What depends on another object is settled at the end ([`references`]). What is not
//! understood is a finding: it is never taken for something that works.

mod cluster;
mod external_secret;
mod installation;
mod kinds;
mod monitoring;
mod references;
mod store;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde_json::Value;

pub(crate) use cluster::report;
pub(crate) use references::{Asked, Pushed, References, asked, pushes};

use super::object::{Object, short};
use crate::api::external_secrets::push_secret::PushSecretSpec;
use crate::policy::ControlId;
use crate::policy::FieldPath;
use crate::policy::Finding;
use crate::policy::Severity;
use crate::secrets::plan::push::{data_to, entries};
use kinds::{Found, Kinds};

/// API group of secrets and stores.
const GROUP: &str = "external-secrets.io";
/// API group of generators.
const GENERATORS: &str = "generators.external-secrets.io";

/// The generators that Gabion has.
const GENERATORS_HERE: [&str; 9] = [
    "Password",
    "UUID",
    "SSHKey",
    "MFA",
    "Fake",
    "ECRAuthorizationToken",
    "STSSessionToken",
    "Webhook",
    "ClusterGenerator",
];

/// The page that says what can be done.
const PAGE: &str = "docs/migrate-from-eso.md";

/// What objects are compared with.
#[derive(Debug)]
pub(crate) struct Switch {
    kinds: Kinds,
    /// Flags of `gabion run`, without dashes.
    flags: BTreeSet<String>,
    /// Those of them that have no effect.
    without_effect: BTreeSet<String>,
}

impl Switch {
    /// Compares with this program, whose command line has these flags; the latter have no effect.
    pub(crate) fn new(
        flags: impl IntoIterator<Item = String>,
        without_effect: impl IntoIterator<Item = String>,
    ) -> Result<Self, String> {
        let kinds = Kinds::of_this_program().map_err(|error| error.to_string())?;
        let without_effect = without_effect.into_iter().collect();
        Ok(Self { kinds, flags: flags.into_iter().collect(), without_effect })
    }
}

/// Something that does not work.
fn lacks(path: FieldPath, message: impl Into<String>, remedy: &str) -> Finding {
    Finding::new(ControlId::HbEsoLacks, path, message).with_remedy(remedy)
}

/// Something that works differently.
fn differs(path: FieldPath, message: impl Into<String>, remedy: &str) -> Finding {
    Finding::new(ControlId::HbEsoDiffers, path, message).with_remedy(remedy)
}

/// Something that loses its effect and does no harm.
fn idle(path: FieldPath, message: impl Into<String>, remedy: &str) -> Finding {
    Finding { severity: Severity::Low, ..differs(path, message, remedy) }
}

fn spec() -> FieldPath {
    FieldPath::default().key("spec")
}

/// The text of a field, if it has one.
fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// What to say of an object; `None` if it has nothing to do with ESO.
pub(crate) fn evaluate(switch: &Switch, object: &Object<'_>) -> Option<Vec<Finding>> {
    match (object.group(), object.kind) {
        (GROUP | GENERATORS, _) => Some(of_eso(switch, object)),
        ("apps", "Deployment") => installation::deployment(switch, object.value),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration") => {
            installation::webhook(object.value)
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            installation::definition(switch, object.value)
        }
        ("", "Namespace") => installation::namespace(object.value),
        ("monitoring.coreos.com", "PrometheusRule") | ("", "ConfigMap") => {
            monitoring::evaluate(object.value)
        }
        _ => None,
    }
}

/// What to say of an object of ESO's groups.
fn of_eso(switch: &Switch, object: &Object<'_>) -> Vec<Finding> {
    let (group, kind) = (object.group(), object.kind);
    if group == GENERATORS && !GENERATORS_HERE.contains(&kind) {
        return vec![generator_lacks(kind)];
    }
    let at = FieldPath::default();
    let mut found = match switch.kinds.find(object.api_version, kind) {
        Found::Nothing => {
            let message = format!("Gabion has no kind {} in {}", short(kind), short(group));
            return vec![lacks(at.key("kind"), message, "keep ESO for it, beside Gabion")];
        }
        Found::OtherVersion(version) => {
            let message = format!("{kind} is not served in {}", short(object.api_version));
            let remedy = format!("write apiVersion: {group}/{version}");
            return vec![lacks(at.key("apiVersion"), message, &remedy)];
        }
        Found::Schema(schema) => kinds::misfits(schema, object.value),
    };
    let inner = &object.value["spec"];
    match kind {
        "ExternalSecret" => {
            external_secret::evaluate(inner, &spec(), &mut found);
            external_secret::marks(object.value, &mut found);
        }
        "ClusterExternalSecret" => {
            let at = spec().key("externalSecretSpec");
            external_secret::evaluate(&inner["externalSecretSpec"], &at, &mut found);
        }
        "PushSecret" => found.extend(pushed(inner, &spec())),
        "ClusterPushSecret" => {
            let at = spec().key("pushSecretSpec");
            found.extend(pushed(&inner["pushSecretSpec"], &at));
        }
        "SecretStore" | "ClusterSecretStore" => store::evaluate(object, &mut found),
        "ClusterGenerator" => {
            found.extend(cluster_generator(inner));
            let hook = &inner["generator"]["webhookSpec"];
            found.extend(webhook(hook, &spec().keys(&["generator", "webhookSpec"])));
        }
        "Webhook" => found.extend(webhook(inner, &spec())),
        _ => {}
    }
    found
}

/// What differs of a generator that asks a server.
fn webhook(hook: &Value, at: &FieldPath) -> Vec<Finding> {
    if !hook.is_object() {
        return Vec::new();
    }
    let message = "Gabion asks only hosts that --webhook-generator-hosts names, follows no redirect and uses no proxy";
    let remedy = "name the host of the last address in the flag";
    let mut found = vec![differs(at.key("url"), message, remedy)];
    if !hook["auth"].is_null() {
        let remedy = "send credentials in headers";
        found.push(lacks(at.key("auth"), "Gabion does not authenticate by NTLM", remedy));
    }
    found
}

fn generator_lacks(kind: &str) -> Finding {
    let at = FieldPath::default().key("kind");
    if kind == "GeneratorState" {
        let message = "Gabion keeps a GeneratorState and does not use it";
        return idle(at, message, "delete it once ESO is gone and nothing is left to revoke")
            .noted();
    }
    let message = format!("Gabion has no generator {}", short(kind));
    lacks(at, message, "keep ESO for the ExternalSecrets that use it, in a class of its own")
}

/// What a PushSecret asks for that is not pushed here, in the words of its condition.
fn pushed(inner: &Value, at: &FieldPath) -> Vec<Finding> {
    // What cannot be read does not fit the schema, and is said already.
    let Ok(wanted) = serde_json::from_value::<PushSecretSpec>(inner.clone()) else {
        return Vec::new();
    };
    let refusals = [
        entries::source(&wanted).err(),
        entries::groups(&wanted).err(),
        entries::interval(&wanted).err(),
    ];
    let refusals = refusals.into_iter().flatten().map(|error| error.to_string());
    let remedy = "change it, or keep ESO for this object, with a store of a class of its own";
    let all = refusals.chain(data_to::problem(&wanted));
    all.map(|error| lacks(at.clone(), error, remedy)).collect()
}

fn cluster_generator(inner: &Value) -> Option<Finding> {
    let kind = text(inner, "/kind")?;
    let inside = GENERATORS_HERE.contains(&kind) && kind != "ClusterGenerator";
    (!inside)
        .then(|| generator_lacks(kind))
        .map(|finding| Finding { path: spec().key("kind"), ..finding })
}
