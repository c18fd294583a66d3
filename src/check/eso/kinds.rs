//! The kinds of ESO that Gabion has, with their schemas.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{PAGE, lacks, spec};
use crate::api::crds::{self, CrdError};
use crate::check::object::short;
use crate::check::schema;
use crate::policy::FieldPath;
use crate::policy::Finding;

/// Schemas of specs, by group and kind, and then by version.
#[derive(Debug)]
pub(super) struct Kinds(BTreeMap<(String, String), BTreeMap<String, Value>>);

/// What is known of a kind.
pub(super) enum Found<'k> {
    /// The schema of its spec.
    Schema(&'k Value),
    /// It is served in this version only.
    OtherVersion(&'k str),
    /// There is none of that name.
    Nothing,
}

impl Kinds {
    pub(super) fn of_this_program() -> Result<Self, CrdError> {
        let mut kinds = BTreeMap::new();
        for crd in crds::all()? {
            let versions = crd.spec.versions.iter().filter(|version| version.served);
            let schemas = versions.filter_map(|version| {
                let schema = version.schema.as_ref()?.open_api_v3_schema.as_ref()?;
                let schema = serde_json::to_value(schema).ok()?;
                Some((version.name.clone(), schema["properties"]["spec"].clone()))
            });
            kinds.insert((crd.spec.group.clone(), crd.spec.names.kind.clone()), schemas.collect());
        }
        Ok(Self(kinds))
    }

    pub(super) fn find(&self, api_version: &str, kind: &str) -> Found<'_> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let Some(versions) = self.0.get(&(group.to_owned(), kind.to_owned())) else {
            return Found::Nothing;
        };
        match (versions.get(version), versions.keys().next()) {
            (Some(schema), _) => Found::Schema(schema),
            (None, Some(other)) => Found::OtherVersion(other),
            (None, None) => Found::Nothing,
        }
    }
}

/// Where the spec of an object does not fit Gabion's definition. A null is no value: the API server drops it.
pub(super) fn misfits(schema: &Value, object: &Value) -> Vec<Finding> {
    let mut inner = object["spec"].clone();
    if inner.is_null() {
        return Vec::new();
    }
    drop_nulls(&mut inner);
    let all = schema::misfits(schema, &inner).into_iter();
    all.map(|misfit| {
        let steps = spec().0.into_iter().chain(misfit.path.0);
        let path = FieldPath(steps.collect());
        if misfit.problem.starts_with("unknown field") {
            let message = format!("Gabion has no field {}", short(&path.to_string()));
            return lacks(path, message, "remove it: the API server drops what a definition lacks");
        }
        let message = format!("Gabion's definition refuses this: {}", short(&misfit.problem));
        let remedy = format!("correct it before the next edit, which would be refused ({PAGE})");
        lacks(path, message, &remedy)
    })
    .collect()
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, inner| !inner.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}
