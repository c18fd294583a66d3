//! Reports of vulnerability scanners: Trivy's JSON, CycloneDX, SARIF.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{age, manifest::Draft, rules::Rules, table::rule};
use crate::hardening::plan::policy::{FieldPath, Severity};

/// Vulnerabilities that a message names; the report has them all.
const NAMED: usize = 5;

/// What a scanner found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// The scanner and what it looked at.
    pub title: String,
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

/// Reads a report; `None` for what is none.
pub fn read(document: &Value) -> Option<Scan> {
    if document["SchemaVersion"].is_number() && document.get("ArtifactName").is_some() {
        Some(trivy(document))
    } else if document["bomFormat"] == "CycloneDX" {
        Some(cyclone(document))
    } else if document["runs"].is_array() && document["version"].is_string() {
        Some(sarif(document))
    } else {
        None
    }
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
        // What the vendor has looked at and found harmless does not count.
        if matches!(
            word(&found["analysis"]["state"]),
            "not_affected" | "false_positive" | "resolved"
        ) {
            continue;
        }
        let severities: Vec<_> =
            items(&found["ratings"]).map(|rating| word(&rating["severity"])).collect();
        let worst = ["critical", "high"].into_iter().find(|worst| severities.contains(worst));
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
pub fn judge(scan: &Scan, rules: &Rules) -> Vec<Draft> {
    let accepted = &rules.vulnerabilities;
    let counted = [
        (Severity::Critical, &scan.critical, accepted.critical),
        (Severity::High, &scan.high, accepted.high),
    ];
    let mut drafts = Vec::new();
    for (severity, found, most) in counted {
        let Some(most) = most.filter(|most| found.len() > *most as usize) else { continue };
        let named: Vec<_> = found.iter().take(NAMED).map(String::as_str).collect();
        let more = found.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let message = format!(
            "{} {severity} vulnerabilities, accepted are {most}: {}{more}",
            found.len(),
            named.join(", ")
        );
        let mut draft = Draft::new(rule("HB-VULN"), FieldPath::default(), message);
        draft.severity = severity;
        drafts.push(draft);
    }
    let age = scan.made.as_deref().and_then(|made| age::of(made, rules.now));
    if let Some((age, most)) = age.zip(accepted.max_age).filter(|(age, most)| age > most) {
        let message =
            format!("the report is {} hours old, accepted are {}", age / 3600, most / 3600);
        let mut draft = Draft::new(rule("HB-VULN"), FieldPath::default(), message);
        "scan the image again".clone_into(&mut draft.remedy);
        drafts.push(draft);
    }
    drafts
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
        judge(&scan, &rules).into_iter().map(|draft| draft.message).collect()
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
                "1 critical vulnerabilities, accepted are 0: CVE-1 (openssl, fixed in 3.0.2)",
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
            ["1 critical vulnerabilities, accepted are 0: CVE-1"]
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
                "1 critical vulnerabilities, accepted are 0: A",
                "7 high vulnerabilities, accepted are 1: CVE-0, CVE-1, CVE-2, CVE-3, CVE-4 and 2 more",
            ]
        );
        let own = json!({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "gabion"}}, "results": [{"ruleId": "X", "level": "error"}]}]});
        assert!(messages(&own, Thresholds { high: Some(0), ..strict() }).is_empty());
        assert_eq!(read(&json!({"kind": "Pod"})), None);
    }
}
