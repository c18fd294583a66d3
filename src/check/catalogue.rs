//! The controls as a user asks for them: by id, as a list, one at length.

use std::fmt::Write as _;

use crate::policy::Control;
use crate::policy::ControlId;
use crate::policy::controls::{self, Target};

/// The control that a user names.
pub(crate) fn named(id: &str) -> Result<ControlId, String> {
    ControlId::parse(id).ok_or_else(|| {
        let hint = nearest(id).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        format!("is no control{hint} (`gabion check --list` lists them)")
    })
}

/// The id that is written most like this one, if any is.
fn nearest(id: &str) -> Option<ControlId> {
    let plain = |id: &str| {
        let id = id.to_ascii_lowercase().replace('_', "-");
        ["hb-", "pss-"].iter().find_map(|start| id.strip_prefix(start)).unwrap_or(&id).to_owned()
    };
    let wanted = plain(id);
    let by_distance = ControlId::ALL
        .iter()
        .map(|known| (strsim::osa_distance(&plain(known.as_str()), &wanted), *known));
    // A short id is near to everything.
    let most = (wanted.chars().count() / 3).min(2);
    by_distance.min().filter(|(distance, _)| *distance <= most).map(|(_, known)| known)
}

/// All controls that files are evaluated by, one a line.
pub(crate) fn list() -> String {
    let mut text = String::new();
    let evaluated = controls::all().filter(|control| is_evaluated(control));
    for control in evaluated {
        let _ = writeln!(text, "{:<34}{:<10}{}", control.id, control.severity, control.title);
    }
    text
}

fn is_evaluated(control: &Control) -> bool {
    matches!(control.target, Target::Pod | Target::File)
}

/// All that the table says of a control.
pub(crate) fn explain(id: ControlId) -> String {
    let control = id.control();
    let mut text = format!("{id}: {} ({})\n\n", control.title, control.severity);
    let where_it_holds = match control.target {
        Target::Pod => "at admission, in what already runs, and by `gabion check`",
        Target::File => "by `gabion check`",
        Target::Cluster => "by the controller, which makes and repairs the objects",
        Target::None => "nowhere yet: the id is taken",
    };
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(text, "{name:<14}{value}");
        }
    };
    line("Why", id.why().to_owned());
    line("Reads", control.looks_at.to_owned());
    line("Remedy", control.remedy.to_owned());
    line("Evaluated", where_it_holds.to_owned());
    let level = control.level.map(|level| format!("{level} of the Pod Security Standards"));
    line("Level", level.unwrap_or_default());
    line("CIS", control.cis.join(", "));
    line("NSA", control.nsa.join(", "));
    line(
        "Suppress",
        format!("# gabion:ignore {id} <reason>, or annotation gabion.dev/ignore-{id}"),
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_in_an_id_is_answered_with_the_right_one() {
        for (wrong, right) in [
            ("HB-ROSF", "HB-ROFS"),
            ("rofs", "HB-ROFS"),
            ("hb_img_tag", "HB-IMG-TAG"),
            ("PSS-runasnonroot", "PSS-runAsNonRoot"),
            ("privileged", "PSS-privileged"),
        ] {
            let said = named(wrong).expect_err("no control");
            assert!(said.contains(&format!("did you mean {right}?")), "{wrong}: {said}");
        }
        assert!(named("xyz").is_err_and(|said| !said.contains("did you mean")));
        assert!(named("").is_err_and(|said| !said.contains("did you mean")));
        assert_eq!(named("HB-ROFS"), Ok(ControlId::HbRofs));
    }

    #[test]
    fn every_control_is_explained_and_every_evaluated_one_is_listed() {
        let list = list();
        for control in controls::all() {
            let text = explain(control.id);
            for part in [control.title, control.remedy, control.id.why()] {
                assert!(text.contains(part), "{text}");
            }
            let listed = list.lines().any(|line| line.starts_with(&format!("{} ", control.id)));
            assert_eq!(listed, is_evaluated(control), "{}", control.id);
        }
    }
}
