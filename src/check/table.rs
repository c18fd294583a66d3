//! The controls that only files can break, by name.

use crate::hardening::plan::policy::{Control, Severity, control};

/// A control by its id. Every id that this module is asked for is in the table, which a test holds.
pub fn rule(id: &'static str) -> &'static Control {
    static UNKNOWN: Control = Control {
        id: "HB-UNKNOWN",
        check: None,
        level: None,
        title: "A control that is not in the table",
        severity: Severity::Low,
        looks_at: "",
        remedy: "report this to the authors of gabion",
        cis: &[],
        nsa: &[],
        judge: crate::hardening::plan::policy::controls::Judge::File,
    };
    control(id).unwrap_or(&UNKNOWN)
}
