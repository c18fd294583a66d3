//! Where a finding is, in words that outlive edits of the file around it.

use serde_json::Value;

use crate::policy::Finding;
use crate::policy::Segment;

/// Fields that tell the items of a list apart, best first.
const KEYS: [&str; 5] = ["name", "mountPath", "containerPort", "key", "ip"];

/// The field of a finding, items of lists by their names. Where an object has no fields, as in a report of a scanner,
/// what was said.
pub(crate) fn of(object: &Value, finding: &Finding) -> String {
    if object.is_null() {
        return finding.message.clone();
    }
    let (mut value, mut anchor) = (Some(object), String::new());
    for step in &finding.path.0 {
        match step {
            Segment::Key(key) => {
                value = value.and_then(|value| value.get(key));
                let dot = if anchor.is_empty() { "" } else { "." };
                anchor = format!("{anchor}{dot}{key}");
            }
            Segment::Index(index) => {
                value = value.and_then(|value| value.get(index));
                let name = value.and_then(name).unwrap_or_else(|| index.to_string());
                anchor = format!("{anchor}[{name}]");
            }
        }
    }
    anchor
}

fn name(item: &Value) -> Option<String> {
    const LONGEST: usize = 100;
    let name = KEYS.iter().map(|key| &item[*key]).find(|name| name.is_string() || name.is_number());
    name.map(|name| name.as_str().map_or_else(|| name.to_string(), ToOwned::to_owned))
        .map(|name| name.chars().take(LONGEST).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::{ControlId, FieldPath};

    #[test]
    fn items_are_called_by_their_names() {
        let object = json!({"spec": {"containers": [{"name": "a"}, {"name": "b", "args": ["x"]}]}});
        let path = FieldPath::default().keys(&["spec", "containers"]).index(1);
        for (path, wanted) in [
            (
                path.keys(&["securityContext", "privileged"]),
                "spec.containers[b].securityContext.privileged",
            ),
            (path.key("args").index(0), "spec.containers[b].args[0]"),
            (FieldPath::default().key("spec").index(9).key("x"), "spec[9].x"),
        ] {
            let finding = Finding::new(ControlId::HbRofs, path, "said");
            assert_eq!(of(&object, &finding), wanted);
            assert_eq!(of(&Value::Null, &finding), "said");
        }
    }
}
