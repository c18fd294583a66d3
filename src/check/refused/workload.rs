//! What makes pods: selectors, restarts, updates, schedules.

use serde_json::Value;

use super::{Found, fields, items, listed, names, quoted, root, text};
use crate::duration;
use crate::policy::FieldPath;
use crate::policy::Subject;
use crate::policy::WorkloadKind;

pub(super) fn evaluate(subject: &Subject<'_>, object: &Value, found: &mut Found) {
    let (spec, at) = (&object["spec"], root().key("spec"));
    restart(subject, found);
    deadline(subject, found);
    match subject.kind {
        WorkloadKind::Deployment
        | WorkloadKind::ReplicaSet
        | WorkloadKind::StatefulSet
        | WorkloadKind::DaemonSet => {
            if fields(&spec["selector"]).all(|(_, value)| empty(value))
                && spec["selector"].is_object()
            {
                found.add(
                    at.key("selector"),
                    "an empty selector is not allowed: name labels of the template",
                );
            } else {
                selects(&spec["selector"], subject, &at.key("selector"), found);
            }
            selector(&spec["selector"], &at.key("selector"), found);
        }
        WorkloadKind::ReplicationController => {
            let labels = &subject.metadata["labels"];
            let missed = fields(&spec["selector"]).find(|(key, value)| labels[*key] != **value);
            if let Some((key, _)) = missed {
                found.add(at.key("selector"), mismatch(key));
            }
        }
        WorkloadKind::CronJob => schedule(spec, &at, found),
        _ => {}
    }
    for field in ["replicas", "minReadySeconds", "progressDeadlineSeconds"] {
        found.bounded(spec, &at, field, (0, i64::from(i32::MAX)));
    }
    job(subject, object, found);
    updates(subject, spec, &at, found);
}

fn empty(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty)
        || value.as_array().is_some_and(Vec::is_empty)
}

fn mismatch(key: &str) -> String {
    format!("does not fit the label {} of the template", quoted(key))
}

/// The selector must fit the labels of the template.
fn selects(selector: &Value, subject: &Subject<'_>, at: &FieldPath, found: &mut Found) {
    let labels = &subject.metadata["labels"];
    let later = |value: &Value| value.is_string() && text(value).is_none();
    let wrong = fields(&selector["matchLabels"]).find(|(key, value)| {
        let own = &labels[key.as_str()];
        own != *value && !later(own) && !later(value)
    });
    if let Some((key, _)) = wrong {
        return found.add(at.key("matchLabels").key(key), mismatch(key));
    }
    for (expression, at) in listed(selector, at, "matchExpressions") {
        let key = expression["key"].as_str().unwrap_or_default();
        let own = &labels[key];
        if later(own) {
            continue;
        }
        let listed = items(&expression["values"]).contains(own);
        let fits = match expression["operator"].as_str() {
            Some("In") => listed,
            Some("NotIn") => !listed,
            Some("Exists") => !own.is_null(),
            Some("DoesNotExist") => own.is_null(),
            _ => true,
        };
        if !fits {
            found.add(at, mismatch(key));
        }
    }
}

/// Expressions of a selector of labels.
pub(super) fn selector(selector: &Value, at: &FieldPath, found: &mut Found) {
    names::labels(&selector["matchLabels"], &at.key("matchLabels"), found);
    for (expression, at) in listed(selector, at, "matchExpressions") {
        let values = items(&expression["values"]);
        match expression["operator"].as_str() {
            Some("In" | "NotIn") if values.is_empty() => {
                found.add(at.key("values"), "values are needed for In and NotIn");
            }
            Some("Exists" | "DoesNotExist") if !values.is_empty() => {
                found.add(at.key("values"), "must be left out for Exists and DoesNotExist");
            }
            Some("In" | "NotIn" | "Exists" | "DoesNotExist") | None => {}
            Some(other) => {
                let message =
                    format!("{} is not one of In, NotIn, Exists, DoesNotExist", quoted(other));
                found.add(at.key("operator"), message);
            }
        }
    }
}

/// Pods that are to run for ever have no deadline.
fn deadline(subject: &Subject<'_>, found: &mut Found) {
    let endless = matches!(
        subject.kind,
        WorkloadKind::Deployment
            | WorkloadKind::StatefulSet
            | WorkloadKind::DaemonSet
            | WorkloadKind::ReplicaSet
            | WorkloadKind::ReplicationController
    );
    if endless && !subject.spec["activeDeadlineSeconds"].is_null() {
        let kind = subject.kind.as_str();
        found.add(
            subject.in_spec(&["activeDeadlineSeconds"]),
            format!("must be left out in a {kind}"),
        );
    }
}

/// Who restarts what ends: the controller, or the kubelet.
fn restart(subject: &Subject<'_>, found: &mut Found) {
    let stated = text(&subject.spec["restartPolicy"]);
    if subject.spec["restartPolicy"].is_string() && stated.is_none() {
        return;
    }
    let problem = match subject.kind {
        WorkloadKind::Job | WorkloadKind::CronJob
            if !matches!(stated, Some("Never" | "OnFailure")) =>
        {
            "must be Never or OnFailure"
        }
        WorkloadKind::Deployment
        | WorkloadKind::StatefulSet
        | WorkloadKind::DaemonSet
        | WorkloadKind::ReplicaSet
        | WorkloadKind::ReplicationController
            if matches!(stated, Some("Never" | "OnFailure")) =>
        {
            "must be Always, or left out"
        }
        _ => return,
    };
    if subject.spec.is_object() {
        let kind = subject.kind.as_str();
        found.add(
            subject.in_spec(&["restartPolicy"]),
            format!("restartPolicy of a {kind} {problem}"),
        );
    }
}

fn job(subject: &Subject<'_>, object: &Value, found: &mut Found) {
    let (spec, at) = match subject.kind {
        WorkloadKind::Job => (&object["spec"], root().key("spec")),
        WorkloadKind::CronJob => {
            (&object["spec"]["jobTemplate"]["spec"], root().keys(&["spec", "jobTemplate", "spec"]))
        }
        _ => return,
    };
    for field in [
        "backoffLimit",
        "completions",
        "parallelism",
        "activeDeadlineSeconds",
        "ttlSecondsAfterFinished",
    ] {
        found.bounded(spec, &at, field, (0, i64::MAX));
    }
    let is_chosen = fields(&spec["selector"]).any(|(_, part)| !empty(part));
    if is_chosen && spec["manualSelector"] != true {
        let message = "must be left out: it is made for each Job, unless manualSelector is true";
        found.add(at.key("selector"), message);
    }
    if spec["completionMode"] == "Indexed" && spec["completions"].is_null() {
        found.add(at.key("completions"), "must be given, as the completionMode is Indexed");
    }
    if spec["podFailurePolicy"].is_object() && subject.spec["restartPolicy"] == "OnFailure" {
        let message = "restartPolicy must be Never, as there is a podFailurePolicy";
        found.add(subject.in_spec(&["restartPolicy"]), message);
    }
}

fn schedule(spec: &Value, at: &FieldPath, found: &mut Found) {
    if let Some(problem) = text(&spec["schedule"]).and_then(no_schedule) {
        found.add(at.key("schedule"), problem);
    }
    for field in ["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"]
    {
        found.bounded(spec, at, field, (0, i64::MAX));
    }
    if let Some(zone) = text(&spec["timeZone"])
        && (zone.is_empty() || zone == "Local" || jiff::tz::TimeZone::get(zone).is_err())
    {
        found.add(at.key("timeZone"), format!("there is no time zone {}", quoted(zone)));
    }
}

/// Why something is no schedule, as the API server reads it.
fn no_schedule(schedule: &str) -> Option<String> {
    const FIELDS: [(&str, u32, u32); 5] = [
        ("minute", 0, 59),
        ("hour", 0, 23),
        ("day of the month", 1, 31),
        ("month", 1, 12),
        ("day of the week", 0, 6),
    ];
    const WORDS: [&str; 7] =
        ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];
    if schedule.contains("TZ") {
        return Some("the time zone must be in timeZone, and not in the schedule".to_owned());
    }
    if schedule.starts_with('@') {
        let every = schedule.strip_prefix("@every ");
        let known =
            WORDS.contains(&schedule) || every.is_some_and(|d| duration::parse(d).is_some());
        return (!known).then(|| format!("{} is no schedule", quoted(schedule)));
    }
    let parts: Vec<_> = schedule.split_whitespace().collect();
    if parts.len() != FIELDS.len() {
        return Some(format!("a schedule has 5 fields, and this has {}", parts.len()));
    }
    let mut wrong = parts.iter().zip(FIELDS).filter(|(part, field)| !fits(part, *field));
    wrong.next().map(|(part, (name, least, most))| {
        format!(
            "{} is no {name}: numbers from {least} to {most}, '*', lists, ranges and steps",
            quoted(part)
        )
    })
}

fn fits(part: &str, (name, least, most): (&str, u32, u32)) -> bool {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
    let words: (&[&str], u32) = match name {
        "month" => (&MONTHS, 1),
        "day of the week" => (&DAYS, 0),
        _ => (&[], 0),
    };
    let number = |text: &str| {
        let word = words.0.iter().position(|word| word.eq_ignore_ascii_case(text));
        let word = word.and_then(|at| u32::try_from(at).ok()).map(|at| at + words.1);
        word.or_else(|| text.parse().ok().filter(|_| !text.starts_with('+')))
    };
    part.split(',').filter(|one| !one.is_empty()).all(|one| {
        let (range, step) = one.split_once('/').map_or((one, None), |(r, s)| (r, Some(s)));
        let stepped = step.is_none_or(|step| number(step).is_some_and(|step| step > 0));
        let within = match range.split_once('-') {
            _ if range == "*" || range == "?" => true,
            Some((first, last)) => number(first)
                .zip(number(last))
                .is_some_and(|(first, last)| least <= first && first <= last && last <= most),
            None => number(range).is_some_and(|number| (least..=most).contains(&number)),
        };
        stepped && within
    })
}

fn is_zero(value: &Value) -> bool {
    value.as_i64() == Some(0) || matches!(value.as_str(), Some("0%" | "0"))
}

fn updates(subject: &Subject<'_>, spec: &Value, at: &FieldPath, found: &mut Found) {
    let field = match subject.kind {
        WorkloadKind::Deployment => "strategy",
        WorkloadKind::DaemonSet => "updateStrategy",
        _ => return,
    };
    let (strategy, at) = (&spec[field], at.key(field));
    let (rolling, at) = (&strategy["rollingUpdate"], at.key("rollingUpdate"));
    if strategy["type"] == "Recreate" && !rolling.is_null() {
        return found.add(at, "must be left out, as the strategy is Recreate");
    }
    for field in ["maxSurge", "maxUnavailable"] {
        if let Some(text) = text(&rolling[field]).filter(|text| !is_percent(text)) {
            let message = format!("{} is neither a number nor a percentage", quoted(text));
            found.add(at.key(field), message);
        }
        if rolling[field].as_i64().is_some_and(|number| number < 0) {
            found.add(at.key(field), "is below zero");
        }
    }
    let (down, surge) = (&rolling["maxUnavailable"], &rolling["maxSurge"]);
    let of_daemons = subject.kind == WorkloadKind::DaemonSet;
    if is_zero(down) && (is_zero(surge) || of_daemons && surge.is_null()) {
        found.add(at.key("maxUnavailable"), "must not be 0, as maxSurge is 0");
    } else if of_daemons && !surge.is_null() && !is_zero(surge) && !is_zero(down) {
        found.add(at.key("maxUnavailable"), "must be 0, as there is a maxSurge");
    }
    let ready = spec["minReadySeconds"].as_i64().unwrap_or_default();
    if spec["progressDeadlineSeconds"].as_i64().is_some_and(|deadline| deadline <= ready) {
        let path = FieldPath::default().keys(&["spec", "progressDeadlineSeconds"]);
        found.add(path, "must be above minReadySeconds");
    }
}

/// Whether a text is a percentage, as in `25%`.
pub(super) fn is_percent(text: &str) -> bool {
    let number = text.strip_suffix('%');
    number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_read_as_the_api_server_does() {
        for fine in [
            "0 1 * * *",
            "*/5 * * * *",
            "0 0 1,15 * MON-FRI",
            "@daily",
            "@every 1h",
            "0-10/2 1 ? jan sun",
            "5/10 * * * *",
        ] {
            assert_eq!(no_schedule(fine), None, "{fine}");
        }
        for wrong in [
            "",
            "* * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 7",
            "5-1 * * * *",
            "*/0 * * * *",
            "@often",
            "@every 1d",
            "@every soon",
            "TZ=UTC 0 1 * * *",
            "0 0 0 1 1 *",
            "a * * * *",
        ] {
            assert!(no_schedule(wrong).is_some(), "{wrong}");
        }
    }
}
