//! The controls that only files can break, by name.

use crate::policy::Control;
use crate::policy::Severity;
use crate::policy::control;

/// A control by its id. Every id that this module is asked for is in the table, which a test holds.
pub(crate) fn rule(id: &'static str) -> &'static Control {
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
        target: crate::policy::controls::Target::File,
    };
    control(id).unwrap_or(&UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_control_that_files_are_checked_for_is_in_the_table() {
        for id in [
            "HB-CI",
            "HB-DF-BASE",
            "HB-DF-CLEAN",
            "HB-DF-FETCH",
            "HB-DF-HEALTH",
            "HB-DF-SECRET",
            "HB-DF-STAGE",
            "HB-DF-USER",
            "HB-ESO",
            "HB-IMG-REGISTRY",
            "HB-NP-OPEN",
            "HB-PORT",
            "HB-PSA",
            "HB-SECRET-GIT",
            "HB-VULN",
        ] {
            assert_eq!(rule(id).id, id);
        }
    }
}
