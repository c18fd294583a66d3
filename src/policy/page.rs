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
        (
            Target::File,
            "Files and other objects",
            "Evaluated by `gabion check` only: files that the API server never sees, and objects that no admission policy of \
             Gabion covers.",
        ),
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
        format!("[`{id}`](controls/{id}.md){level}", id = control.id),
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

/// The page of one control. `examples` are its bad and its good file, each with its name, and what they are
/// evaluated by.
#[cfg(test)]
fn page_of(control: &Control, examples: Option<&Examples>) -> String {
    let mut page = format!("# {}: {}\n\n", control.id, control.title);
    page.push_str("<!-- Generated from src/policy/controls; `UPDATE=1 cargo test controls` writes it. -->\n\n");
    let _ = writeln!(page, "{}\n", control.id.why());
    let who = match control.target {
        Target::Pod => "at admission, in what already runs, and by `gabion check`",
        Target::File => "by `gabion check` only; admission does not enforce it",
        Target::Cluster => "by the controller, which creates and repairs the objects",
        Target::None => "nowhere in this version: the id is reserved",
    };
    let list = |all: &[&str]| if all.is_empty() { "none".to_owned() } else { all.join(", ") };
    for (name, text) in [
        ("Severity", control.severity.to_string()),
        ("Evaluated", who.to_owned()),
        ("Reads", control.looks_at.to_owned()),
        ("Remedy", control.remedy.replace('<', "\\<")),
        ("CIS Kubernetes Benchmark", list(control.cis)),
        ("NSA and CISA guidance", list(control.nsa)),
    ] {
        let _ = writeln!(page, "- {name}: {text}");
    }
    if let Some(level) = control.level_name() {
        let _ = writeln!(page, "- Pod Security Standards: level {level}");
    }
    if let Some(examples) = examples {
        if let Some(baseline) = &examples.baseline {
            let _ = write!(page, "\n## With this baseline\n\n```yaml\n{baseline}```\n");
        }
        for (title, (kind, text)) in [("Bad", &examples.bad), ("Good", &examples.good)] {
            let _ = write!(page, "\n## {title}\n\n```{kind}\n{text}```\n");
        }
    }
    page
}

/// The examples of a control, each with the language that it is in.
#[cfg(test)]
struct Examples {
    bad: (String, String),
    good: (String, String),
    baseline: Option<String>,
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
    }

    /// The file of this name must hold this text; with UPDATE it is written.
    fn current(path: &Path, text: &str) {
        if std::env::var_os("UPDATE").is_some() {
            fs::create_dir_all(path.parent().expect("a folder")).expect("docs can be written");
            fs::write(path, text).expect("docs can be written");
        }
        let stored = fs::read_to_string(path).unwrap_or_default();
        assert!(stored == text, "{} is stale: run UPDATE=1 cargo test controls", path.display());
    }

    #[test]
    fn the_page_of_controls_is_current() {
        current(&root().join("docs/controls.md"), &page());
    }

    /// What `tests/check` runs, as it lies there.
    fn examples(id: &str) -> Option<Examples> {
        let folder = root().join("tests/check/pages").join(id);
        let names = fs::read_dir(&folder).ok()?;
        let names: Vec<_> =
            names.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        let read = |stem: &str| {
            let name = names.iter().find(|name| name.split('.').next() == Some(stem))?;
            let kind = name.rsplit('.').next()?.to_lowercase();
            Some((kind, fs::read_to_string(folder.join(name)).ok()?))
        };
        let baseline = read("baseline").map(|(_, text)| text);
        Some(Examples { bad: read("bad")?, good: read("good")?, baseline })
    }

    #[test]
    fn the_page_of_each_control_is_current_under_controls() {
        let folder = root().join("docs/controls");
        let mut wanted = BTreeSet::new();
        for control in all() {
            let name = format!("{}.md", control.id);
            current(&folder.join(&name), &page_of(control, examples(control.id.as_str()).as_ref()));
            wanted.insert(name);
        }
        let there = fs::read_dir(&folder).expect("docs/controls");
        let there: BTreeSet<_> =
            there.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        assert_eq!(there, wanted, "pages of controls that are no more");
    }
}
