//! Reports of vulnerability scanners: Trivy's JSON, CycloneDX, SARIF.

use jiff::Timestamp;
use std::collections::BTreeSet;

use serde_json::Value;

use super::rules::Rules;
use crate::policy::ControlId;
use crate::policy::FieldPath;
use crate::policy::Finding;
use crate::policy::Severity;

/// Vulnerabilities that a message names; the report has them all.
const NAMED: usize = 5;

/// What a scanner found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// The scanner and what it inspected.
    pub(crate) title: String,
    /// When it was made.
    made: Option<String>,
    critical: BTreeSet<String>,
    high: BTreeSet<String>,
}

impl Scan {
    fn add(&mut self, severity: &str, what: String) {
        match severity.to_ascii_lowercase().as_str() {
            "critical" => self.critical.insert(what),
            "high" => self.high.insert(what),
            _ => false,
        };
    }
}

/// Why a report says nothing that could be relied on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// The field at which it shows.
    pub(crate) path: FieldPath,
    /// What is wrong and what to do.
    pub(crate) problem: String,
}

/// Reads a report; `None` for what is none. One that is not as it should be is an error: read as one that lists
/// nothing, it would open the gate that it is to guard.
pub(crate) fn read(document: &Value) -> Option<Result<Scan, Unreadable>> {
    if document.get("SchemaVersion").is_some() && document.get("ArtifactName").is_some() {
        Some(trivy_is_whole(document).map(|()| trivy(document)))
    } else if document["bomFormat"] == "CycloneDX" {
        Some(cyclone_is_whole(document).map(|()| cyclone(document)))
    } else if document.get("runs").is_some() && document.get("version").is_some() {
        Some(sarif_is_whole(document).map(|()| sarif(document)))
    } else {
        None
    }
}

fn wrong(path: FieldPath, what: &str) -> Unreadable {
    let problem =
        format!("this report cannot be relied on: {what}; scan again and check the new one");
    Unreadable { path, problem }
}

/// The items of a list that may be left out; what is there must be one.
fn list<'v>(
    holder: &'v Value,
    field: &str,
    at: &FieldPath,
) -> Result<Vec<(&'v Value, FieldPath)>, Unreadable> {
    let at = at.key(field);
    match holder.get(field) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => {
            Ok(items.iter().enumerate().map(|(number, item)| (item, at.index(number))).collect())
        }
        Some(_) => Err(wrong(at, &format!("{field} is no list"))),
    }
}

fn trivy_is_whole(document: &Value) -> Result<(), Unreadable> {
    let root = FieldPath::default();
    for (result, at) in list(document, "Results", &root)? {
        for (found, at) in list(result, "Vulnerabilities", &at)? {
            if !found["Severity"].is_string() {
                return Err(wrong(at, "a vulnerability has no Severity"));
            }
        }
    }
    Ok(())
}

fn cyclone_is_whole(document: &Value) -> Result<(), Unreadable> {
    let root = FieldPath::default();
    if document["vulnerabilities"].is_null() {
        let what = "it has no list of vulnerabilities, so it tells what is in the image and not what is wrong with it";
        return Err(wrong(root, what));
    }
    for (found, at) in list(document, "vulnerabilities", &root)? {
        list(found, "ratings", &at)?;
    }
    Ok(())
}

fn sarif_is_whole(document: &Value) -> Result<(), Unreadable> {
    let root = FieldPath::default();
    let runs = list(document, "runs", &root)?;
    if runs.is_empty() {
        return Err(wrong(root.key("runs"), "it holds no run"));
    }
    for (run, at) in runs {
        if !run["results"].is_array() {
            return Err(wrong(at, "a run has no results, so the scanner did not finish"));
        }
        let ended = &run["invocations"][0]["executionSuccessful"];
        if *ended == false && run["tool"]["driver"]["name"] != "gabion" {
            return Err(wrong(at.key("invocations"), "the scanner says that it failed"));
        }
    }
    Ok(())
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn time(value: &Value) -> Option<String> {
    value.as_str().map(ToOwned::to_owned)
}

fn trivy(document: &Value) -> Scan {
    let title = format!("Trivy report on {}", word(&document["ArtifactName"]));
    let mut scan = Scan { title, made: time(&document["CreatedAt"]), ..Scan::default() };
    for found in items(&document["Results"]).flat_map(|result| items(&result["Vulnerabilities"])) {
        let (id, package) = (word(&found["VulnerabilityID"]), word(&found["PkgName"]));
        let repair = found["FixedVersion"].as_str().filter(|version| !version.is_empty());
        let repair = repair.map(|version| format!(", fixed in {version}")).unwrap_or_default();
        scan.add(word(&found["Severity"]), format!("{id} ({package}{repair})"));
    }
    scan
}

fn cyclone(document: &Value) -> Scan {
    let metadata = &document["metadata"];
    let title = format!("CycloneDX report on {}", word(&metadata["component"]["name"]));
    let mut scan = Scan { title, made: time(&metadata["timestamp"]), ..Scan::default() };
    for found in items(&document["vulnerabilities"]) {
        // What the vendor has inspected and found harmless does not count.
        if matches!(
            word(&found["analysis"]["state"]),
            "not_affected" | "false_positive" | "resolved"
        ) {
            continue;
        }
        let ratings = items(&found["ratings"]).map(|rating| word(&rating["severity"]));
        let severities: Vec<_> = ratings.map(str::to_ascii_lowercase).collect();
        let worst =
            ["critical", "high"].into_iter().find(|worst| severities.iter().any(|s| s == worst));
        scan.add(worst.unwrap_or_default(), word(&found["id"]).to_owned());
    }
    scan
}

fn sarif(document: &Value) -> Scan {
    let mut scan = Scan::default();
    let mut tools = Vec::new();
    for run in items(&document["runs"]) {
        let driver = &run["tool"]["driver"];
        tools.push(word(&driver["name"]).to_owned());
        // Our own reports are about configuration.
        if driver["name"] == "gabion" {
            continue;
        }
        scan.made = scan.made.take().or(time(&run["invocations"][0]["endTimeUtc"]));
        for result in
            items(&run["results"]).filter(|result| items(&result["suppressions"]).next().is_none())
        {
            let id = word(&result["ruleId"]);
            let rule = rule_of(driver, result, id);
            scan.add(severity(result, rule), id.to_owned());
        }
    }
    scan.title = format!("SARIF report of {}", tools.join(", "));
    scan
}

fn rule_of<'v>(driver: &'v Value, result: &Value, id: &str) -> &'v Value {
    let number = result["ruleIndex"].as_u64().and_then(|number| usize::try_from(number).ok());
    let by_number = number.map(|number| &driver["rules"][number]);
    let by_id = || items(&driver["rules"]).find(|rule| rule["id"] == id);
    by_number.filter(|rule| rule["id"] == id).or_else(by_id).unwrap_or(&Value::Null)
}

fn severity(result: &Value, rule: &Value) -> &'static str {
    let score = |holder: &Value| {
        let score = &holder["properties"]["security-severity"];
        score.as_f64().or(score.as_str().and_then(|text| text.parse().ok()))
    };
    match (score(result).or(score(rule)), word(&result["level"])) {
        (Some(score), _) if score >= 9.0 => "critical",
        (Some(score), _) if score >= 7.0 => "high",
        (None, "error") => "high",
        _ => "low",
    }
}

/// What of a report is beyond what is accepted.
pub(crate) fn evaluate(scan: &Scan, rules: &Rules) -> Vec<Finding> {
    let accepted = &rules.vulnerabilities;
    let counted = [
        (Severity::Critical, &scan.critical, accepted.critical),
        (Severity::High, &scan.high, accepted.high),
    ];
    let mut findings = Vec::new();
    for (severity, found, most) in counted {
        let Some(most) = most.filter(|most| found.len() > *most as usize) else { continue };
        let named: Vec<_> = found.iter().take(NAMED).map(String::as_str).collect();
        let more = found.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let word = if found.len() == 1 { "vulnerability" } else { "vulnerabilities" };
        let message = format!(
            "{} {severity} {word}, accepted are {most}: {}{more}",
            found.len(),
            named.join(", ")
        );
        let mut finding = Finding::new(ControlId::HbVuln, FieldPath::default(), message);
        finding.severity = severity;
        findings.push(finding);
    }
    let old = scan.made.as_deref().and_then(|made| age(made, rules.now));
    if let Some((age, most)) = old.zip(accepted.max_age).filter(|(age, most)| age > most) {
        let message =
            format!("the report is {} hours old, accepted are {}", age / 3600, most / 3600);
        let mut finding = Finding::new(ControlId::HbVuln, FieldPath::default(), message);
        "scan the image again".clone_into(&mut finding.remedy);
        findings.push(finding);
    }
    findings
}

/// Age in seconds of what was made at this time; `None` for what is no time.
fn age(made: &str, now: Timestamp) -> Option<i64> {
    let made: Timestamp = made.parse().ok()?;
    Some(now.as_second() - made.as_second())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::check::{baseline::built_in, rules::Thresholds};

    fn messages(document: &Value, accepted: Thresholds) -> Vec<String> {
        let mut rules = built_in("guide").unwrap();
        rules.vulnerabilities = accepted;
        rules.now = "2026-01-08T01:00:00Z".parse().unwrap();
        let scan = read(document).unwrap_or_else(|| panic!("no report: {document}"));
        let scan = scan.unwrap_or_else(|wrong| panic!("{wrong:?}: {document}"));
        evaluate(&scan, &rules).into_iter().map(|finding| finding.message).collect()
    }

    fn strict() -> Thresholds {
        Thresholds { critical: Some(0), high: Some(1), max_age: Some(7 * 24 * 3600) }
    }

    #[test]
    fn trivy_is_counted_by_package_and_named_with_the_repair() {
        let found = |id: &str, severity: &str| json!({"VulnerabilityID": id, "PkgName": "openssl", "Severity": severity, "FixedVersion": "3.0.2"});
        let report = json!({
            "SchemaVersion": 2, "ArtifactName": "app:1", "CreatedAt": "2026-01-01T00:00:00Z",
            "Results": [{"Vulnerabilities": [found("CVE-1", "CRITICAL"), found("CVE-2", "HIGH"), found("CVE-2", "HIGH"), found("CVE-3", "LOW")]}, {}],
        });
        assert_eq!(
            messages(&report, strict()),
            [
                "1 critical vulnerability, accepted are 0: CVE-1 (openssl, fixed in 3.0.2)",
                "the report is 169 hours old, accepted are 168",
            ]
        );
        assert!(messages(&report, Thresholds::default()).is_empty());
    }

    #[test]
    fn cyclonedx_takes_the_worst_rating_and_leaves_out_what_is_harmless() {
        let report = json!({"bomFormat": "CycloneDX", "vulnerabilities": [
            {"id": "CVE-1", "ratings": [{"severity": "low"}, {"severity": "critical"}]},
            {"id": "CVE-2", "ratings": [{"severity": "critical"}], "analysis": {"state": "not_affected"}},
            {"id": "CVE-3"},
        ]});
        assert_eq!(
            messages(&report, strict()),
            ["1 critical vulnerability, accepted are 0: CVE-1"]
        );
    }

    #[test]
    fn sarif_goes_by_the_score_of_the_rule_or_the_level() {
        let results: Vec<_> = (0..7)
            .map(|i| json!({"ruleId": format!("CVE-{i}"), "level": "error"}))
            .chain([
                json!({"ruleId": "A", "ruleIndex": 0}),
                json!({"ruleId": "A2", "level": "note", "properties": {"security-severity": "9.8"}, "suppressions": [{"kind": "external"}]}),
            ])
            .collect();
        let driver = json!({"name": "scanner", "rules": [{"id": "A", "properties": {"security-severity": "9.1"}}]});
        let report =
            json!({"version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]});
        assert_eq!(
            messages(&report, strict()),
            [
                "1 critical vulnerability, accepted are 0: A",
                "7 high vulnerabilities, accepted are 1: CVE-0, CVE-1, CVE-2, CVE-3, CVE-4 and 2 more",
            ]
        );
        let own = json!({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "gabion"}}, "results": [{"ruleId": "X", "level": "error"}]}]});
        assert!(messages(&own, Thresholds { high: Some(0), ..strict() }).is_empty());
        assert_eq!(read(&json!({"kind": "Pod"})), None);
    }

    #[test]
    fn a_report_that_says_nothing_opens_no_gate() {
        let run = |run: Value| json!({"version": "2.1.0", "runs": [run]});
        for (report, path, what) in [
            (
                json!({"SchemaVersion": 2, "ArtifactName": "a", "Results": {}}),
                "Results",
                "Results is no list",
            ),
            (
                json!({"SchemaVersion": 2, "ArtifactName": "a", "Results": [{"Vulnerabilities": "none"}]}),
                "Results[0].Vulnerabilities",
                "is no list",
            ),
            (
                json!({"SchemaVersion": 2, "ArtifactName": "a", "Results": [{"Vulnerabilities": [{}]}]}),
                "Results[0].Vulnerabilities[0]",
                "no Severity",
            ),
            (json!({"bomFormat": "CycloneDX", "components": []}), "", "no list of vulnerabilities"),
            (
                json!({"bomFormat": "CycloneDX", "vulnerabilities": [{"ratings": "high"}]}),
                "vulnerabilities[0].ratings",
                "is no list",
            ),
            (json!({"version": "2.1.0", "runs": []}), "runs", "no run"),
            (json!({"version": "2.1.0", "runs": "x"}), "runs", "is no list"),
            (run(json!({"tool": {}})), "runs[0]", "no results"),
            (
                run(json!({"results": [], "invocations": [{"executionSuccessful": false}]})),
                "runs[0].invocations",
                "says that it failed",
            ),
        ] {
            let Some(Err(wrong)) = read(&report) else { panic!("{report} was read") };
            assert_eq!(wrong.path.to_string(), path, "{report}");
            assert!(wrong.problem.contains(what), "{wrong:?}");
        }
        let clean = json!({"SchemaVersion": 2, "ArtifactName": "scratch"});
        assert!(messages(&clean, strict()).is_empty(), "Trivy leaves out what is empty");
    }
}
