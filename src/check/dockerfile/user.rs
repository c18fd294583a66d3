//! As whom the image runs.

use super::base_user::{self, BaseUser};
use super::{Model, finding};
use crate::policy::ControlId;
use crate::policy::Finding;

/// What is wrong with the user of the image.
pub(crate) fn evaluate(model: &Model<'_>) -> Vec<Finding> {
    let mut last = None;
    model.walk(&mut |number, step, variables| {
        if step.name == "USER" {
            last = Some((number, step.text.clone(), variables.expand(&step.text, step.escape)));
        }
    });
    let found = match last {
        // What is set when the image is built cannot be evaluated here.
        Some((number, written, user)) => user.and_then(|user| stated(number, &written, &user)),
        None => inherited(model),
    };
    found.into_iter().collect()
}

/// The user that an instruction names.
fn stated(number: usize, written: &str, user: &str) -> Option<Finding> {
    let control = ControlId::HbDfUser;
    let name = user.split(':').next().unwrap_or_default().trim_matches(['"', '\'']);
    if name.is_empty() {
        let message =
            format!("USER {written} is empty, as nothing sets it: the image runs as root");
        return Some(finding(control, number, message));
    }
    if name == "root" || name.parse() == Ok(0_u32) {
        return Some(finding(control, number, format!("the last USER of the image is {user}")));
    }
    if name.parse::<u32>().is_ok() {
        return None;
    }
    let message = format!("USER {name} is a name: Kubernetes cannot tell that it is not root");
    let remedy =
        "write USER with a number, or set runAsUser in the pod; runAsNonRoot fails otherwise";
    Some(finding(control, number, message).noted().with_remedy(remedy))
}

/// The user of the base, as far as its name shows it.
fn inherited(model: &Model<'_>) -> Option<Finding> {
    let lineage = model.lineage();
    let base = lineage.last()?;
    let from = lineage.first()?.range.start;
    match base_user::of(&base.written, base.image.as_deref()) {
        BaseUser::Other => None,
        BaseUser::Root => {
            let message = "the final stage has no USER, so the image runs as root";
            Some(finding(ControlId::HbDfUser, from, message))
        }
        BaseUser::Unknown => {
            let message = format!(
                "the final stage has no USER, and the user of its base {:?} is not known",
                base.written
            );
            let remedy = "end the final stage with USER <id>, whatever the base says";
            Some(finding(ControlId::HbDfUser, from, message).noted().with_remedy(remedy))
        }
    }
}
