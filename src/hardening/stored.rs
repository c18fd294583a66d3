//! A baseline as it is stored, which an older definition may have let in with other types than today's: one
//! that cannot be read must not keep all others from being listed.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, core::ClusterResourceScope};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::plan::error::Error;
use crate::api::gabion::hardening_baseline::HardeningBaseline;
use crate::api::gabion::hardening_baseline::HardeningBaselineSpec;

/// A baseline, or as much of it as can be read.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// The object; its spec is empty if it cannot be read.
    pub(crate) object: HardeningBaseline,
    /// Why the spec cannot be read.
    pub(crate) unreadable: Option<Error>,
}

impl<'de> Deserialize<'de> for Stored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Raw {
            #[serde(default)]
            metadata: ObjectMeta,
            #[serde(default)]
            spec: Value,
            #[serde(default)]
            status: Value,
        }
        let raw = Raw::deserialize(deserializer)?;
        let spec = HardeningBaselineSpec::deserialize(&raw.spec);
        let unreadable = spec.is_err().then(|| problem(&raw.spec));
        let mut object = HardeningBaseline::new("", spec.unwrap_or_default());
        object.metadata = raw.metadata;
        object.status = serde_json::from_value(raw.status).unwrap_or_default();
        Ok(Self { object, unreadable })
    }
}

/// Which field it is: the first that cannot be read by itself.
fn problem(spec: &Value) -> Error {
    let fields = spec.as_object().into_iter().flatten();
    let mut unreadable = fields.filter(|&(field, value)| {
        HardeningBaselineSpec::deserialize(json!({ field: value })).is_err()
    });
    let field = unreadable.next().map_or("", |(field, _)| field);
    Error::invalid(
        field,
        "is of a type that this version does not know; write it as the schema says",
    )
}

impl Resource for Stored {
    type DynamicType = ();
    type Scope = ClusterResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        HardeningBaseline::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        HardeningBaseline::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        HardeningBaseline::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        HardeningBaseline::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.object.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.object.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(spec: &Value) -> Stored {
        let object = json!({"metadata": {"name": "prod", "uid": "u"}, "spec": spec});
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_wrong_type_costs_the_spec_and_not_the_object() {
        let fine = stored(&json!({"priority": 3}));
        assert_eq!((fine.object.spec.priority, fine.unreadable), (Some(3), None));
        let odd = stored(&json!({"priority": "high", "excludeNames": []}));
        assert_eq!(odd.object.metadata.name.as_deref(), Some("prod"));
        let why = odd.unreadable.map(|error| error.to_string()).unwrap_or_default();
        assert!(why.starts_with("spec.priority: is of a type"), "{why}");
    }
}
