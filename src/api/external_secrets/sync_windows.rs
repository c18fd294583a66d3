//! Windows of time in which periodic refreshes are allowed or denied.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::api::crd_enum::crd_enum;

/// Times at which periodic refreshes are allowed or denied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SyncWindows {
    /// allow: only inside a window. deny: never inside one.
    pub kind: SyncWindowKind,
    /// The windows.
    #[schemars(length(min = 1))]
    pub windows: Vec<SyncWindow>,
}

crd_enum! {
    /// Whether windows allow or deny.
    SyncWindowKind | String { Allow = "allow", Deny = "deny" }
}

/// One window: it opens at each time of the schedule and stays open for the duration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SyncWindow {
    /// When it opens: five cron fields in UTC, or a macro such as @daily.
    #[schemars(schema_with = "cron_schedule")]
    pub schedule: String,
    /// How long it stays open, for example 8h.
    pub duration: String,
}

fn cron_schedule(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "pattern": "^(@(annually|yearly|monthly|weekly|daily|midnight|hourly)|@every [^\\s]+.*|[^\\s]+( [^\\s]+){4})$",
    })
}
