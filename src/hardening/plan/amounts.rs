//! Amounts as manifests write them.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Written;

use super::baseline::Amounts;
use crate::quantity::Quantity;

/// Amounts as they are written; what is no amount is left out.
pub(super) fn read(stated: Option<&BTreeMap<String, Written>>) -> Amounts {
    let read =
        |(name, amount): (&String, &Written)| Quantity::parse(&amount.0).map(|q| (name.clone(), q));
    stated.into_iter().flatten().filter_map(read).collect()
}
