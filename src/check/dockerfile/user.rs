//! As whom the image runs, and on which ports and how it says that it is well.

use parse_dockerfile::Instruction;

use super::{Model, finding};
use crate::policy::ControlId;
use crate::policy::Finding;

/// What is wrong with the user of the image.
pub(crate) fn evaluate(model: &Model<'_, '_>) -> Vec<Finding> {
    let control = ControlId::HbDfUser;
    let lineage = model.lineage();
    let mut variables = model.variables.clone();
    let steps: Vec<_> = lineage.iter().rev().flat_map(|stage| stage.steps()).collect();
    for (_, step) in &steps {
        variables.learn(step);
    }
    let mut last = steps.into_iter().filter_map(|(number, step)| match step {
        Instruction::User(user) => Some((number, user.arguments.value.trim().to_owned())),
        _ => None,
    });
    let Some((number, written)) = last.next_back() else {
        let base = lineage.last().and_then(|stage| stage.image.as_deref()).unwrap_or_default();
        let from = lineage.first().map_or(0, |stage| stage.range.start);
        let message = "the final stage has no USER, so the image runs as root";
        // The variants of distroless and of some others say in their name that they do not.
        return if base.contains("nonroot") || base.contains("non-root") || base.contains("rootless")
        {
            Vec::new()
        } else {
            vec![finding(control, from, message)]
        };
    };
    // What is set when the image is built cannot be evaluated here.
    let Some(user) = variables.expand(&written) else { return Vec::new() };
    let name = user.split(':').next().unwrap_or_default();
    if name == "root" || name.parse() == Ok(0_u32) {
        return vec![finding(control, number, format!("the last USER of the image is {user}"))];
    }
    if name.parse::<u32>().is_ok() {
        return Vec::new();
    }
    let message = format!("USER {name} is a name: Kubernetes cannot tell that it is not root");
    let remedy =
        "write USER with a number, or set runAsUser in the pod; runAsNonRoot fails otherwise";
    vec![finding(control, number, message).noted().with_remedy(remedy)]
}
