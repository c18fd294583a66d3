//! Disruption budgets: whether they let a node be drained.

use serde_json::Value;

use crate::policy::ControlId;
use crate::policy::FieldPath;
use crate::policy::Finding;

/// API group of disruption budgets.
pub(crate) const GROUP: &str = "policy";

/// A budget that never lets a pod go, however many there are.
pub(crate) fn of_budget(budget: &Value) -> Vec<Finding> {
    let spec = &budget["spec"];
    let found = [
        (is(&spec["maxUnavailable"], 0), "maxUnavailable"),
        (is_percent(&spec["minAvailable"], |share| share >= 100), "minAvailable"),
    ];
    let found = found.into_iter().filter(|(blocks, _)| *blocks);
    found
        .map(|(_, field)| blocking(field, "no pod may be evicted: a drain waits for ever"))
        .collect()
}

/// What is wrong with a budget that keeps as many pods as there are; other objects decide whether it does.
pub(crate) fn of_all_pods(budget: &Value) -> Option<Finding> {
    let kept = &budget["spec"]["minAvailable"];
    let some =
        kept.as_i64().is_some_and(|kept| kept > 0) || is_percent(kept, |s| (1..100).contains(&s));
    let message = "the budget keeps as many pods as there are: a drain waits for ever";
    some.then(|| blocking("minAvailable", message))
}

/// How many of these pods a budget keeps; the API server rounds up.
pub(crate) fn kept(min_available: &Value, pods: i64) -> Option<i64> {
    match min_available {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => {
            let share: i64 = text.strip_suffix('%')?.parse().ok()?;
            Some(pods.checked_mul(share)?.checked_add(99)? / 100)
        }
        _ => None,
    }
}

fn blocking(field: &str, message: &str) -> Finding {
    let path = FieldPath::default().key("spec").key(field);
    let remedy = "set maxUnavailable: 1, and run at least two replicas";
    Finding::new(ControlId::HbPdb, path, message).with_remedy(remedy)
}

fn is(value: &Value, number: i64) -> bool {
    *value == number || is_percent(value, |share| share == number)
}

fn is_percent(value: &Value, fits: impl Fn(i64) -> bool) -> bool {
    let share = value.as_str().and_then(|text| text.strip_suffix('%'));
    share.and_then(|share| share.parse().ok()).is_some_and(fits)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn budgets_that_never_let_a_pod_go_are_found() {
        let of = |spec: Value| {
            let found = of_budget(&json!({ "spec": spec }));
            found.iter().map(|f| f.path.to_string()).collect::<Vec<_>>()
        };
        for spec in [json!({"maxUnavailable": 0}), json!({"maxUnavailable": "0%"})] {
            assert_eq!(of(spec), ["spec.maxUnavailable"]);
        }
        assert_eq!(of(json!({"minAvailable": "100%"})), ["spec.minAvailable"]);
        for spec in [
            json!({"maxUnavailable": 1}),
            json!({"maxUnavailable": "1%"}),
            json!({"minAvailable": 0}),
            json!({"minAvailable": "99%"}),
            json!({"minAvailable": "all"}),
            json!({}),
        ] {
            assert_eq!(of(spec.clone()), [""; 0], "{spec}");
        }
    }

    #[test]
    fn shares_are_rounded_up() {
        for (min_available, pods, wanted) in [
            (json!(2), 5, Some(2)),
            (json!("50%"), 2, Some(1)),
            (json!("51%"), 2, Some(2)),
            (json!("90%"), 3, Some(3)),
            (json!("x"), 3, None),
            (json!(null), 3, None),
        ] {
            assert_eq!(kept(&min_available, pods), wanted, "{min_available}");
        }
    }
}
