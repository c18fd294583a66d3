//! The page of documentation that lists the controls.

use std::fmt::Write as _;

use super::controls::{Control, Target, all};

const OPENING: &str = "# Controls\n
<!-- Generated from src/policy/controls; `UPDATE=1 cargo test controls` writes it. -->\n
Every control that Gabion knows: what it inspects, how to put it right, and which rule of other frameworks it is. Exceptions,
reports and suppressions name controls by these ids. `PSS-` controls are the checks of the
[Pod Security Standards](https://kubernetes.io/docs/concepts/security/pod-security-standards/) under the ids of the upstream
admission plugin, by level and pinned version; `HB-` controls are ours. CIS is the CIS Kubernetes Benchmark, NSA the
Kubernetes Hardening Guidance of NSA and CISA.\n";

/// The whole page.
pub(crate) fn page() -> String {
    let mut page = OPENING.to_owned();
    for (target, title, note) in [
        (
            Target::Pod,
            "Pods and templates",
            "Evaluated at admission, in what already runs, and by `gabion check` on files: the same rule each time.",
        ),
        (Target::File, "Files", "Evaluated by `gabion check`: the API server never sees these."),
        (
            Target::Cluster,
            "Cluster",
            "Kept by the controller: it makes the objects, repairs and reports them.",
        ),
        (
            Target::None,
            "Not in force yet",
            "Nothing evaluates or keeps these in this version, whatever a baseline says: the ids are taken, so that \
             exceptions and reports can count on them.",
        ),
    ] {
        let _ = write!(page, "\n## {title}\n\n{note}\n\n");
        page.push_str("| id | severity | what holds | reads | remedy | CIS | NSA |\n|---|---|---|---|---|---|---|\n");
        for control in all().filter(|control| control.target == target) {
            page.push_str(&row(control));
        }
    }
    page
}

fn row(control: &Control) -> String {
    let level = control.level.map(|level| format!(" ({level})")).unwrap_or_default();
    let cells = [
        format!("`{}`{level}", control.id),
        control.severity.to_string(),
        control.title.to_owned(),
        control.looks_at.to_owned(),
        control.remedy.to_owned(),
        control.cis.join(", "),
        control.nsa.join(", "),
    ];
    let cells = cells.map(|cell| cell.replace('<', "\\<").replace('|', "\\|"));
    format!("| {} |\n", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_controls_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/controls.md");
        let page = page();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &page).expect("docs can be written");
        }
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        assert!(stored == page, "docs/controls.md is stale: run UPDATE=1 cargo test controls");
    }
}
