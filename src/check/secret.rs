//! Secrets whose values lie in the manifest.

use serde_json::Value;

use crate::policy::ControlId;
use crate::policy::FieldPath;
use crate::policy::Finding;

/// What is wrong with a Secret. Values are inspected and never shown.
pub(crate) fn evaluate(secret: &Value) -> Vec<Finding> {
    // A token is filled in by the cluster; what SOPS has encrypted can lie anywhere.
    if secret["type"] == "kubernetes.io/service-account-token" || !secret["sops"].is_null() {
        return Vec::new();
    }
    let findings = ["data", "stringData"].into_iter().filter_map(|field| {
        let literal: Vec<&str> = secret[field]
            .as_object()?
            .iter()
            .filter(|(_, value)| value.as_str().is_some_and(is_literal))
            .map(|(key, _)| key.as_str())
            .collect();
        let first = *literal.first()?;
        let keys = literal.join(", ");
        let message = format!("the Secret holds {keys} in plain sight: base64 is no encryption");
        let path = FieldPath::default().keys(&[field, first]);
        Some(Finding::new(ControlId::HbSecretGit, path, message))
    });
    findings.collect()
}

/// Whether a text is a value, and not a mark that some tool replaces later.
fn is_literal(text: &str) -> bool {
    let text = text.trim();
    let marked = [("${", "}"), ("{{", "}}"), ("<path:", ">"), ("ENC[", "]"), ("ref+", "")];
    !text.is_empty()
        && !marked.iter().any(|(start, end)| text.starts_with(start) && text.ends_with(end))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_values_that_anyone_can_read_are_named_and_never_shown() {
        let secret = json!({
            "data": {"password": "c3dvcmRmaXNo", "empty": ""},
            "stringData": {"a": "${PASSWORD}", "b": "ref+vault://x", "c": "swordfish"},
        });
        let findings = evaluate(&secret);
        let paths: Vec<_> = findings.iter().map(|finding| finding.path.to_string()).collect();
        assert_eq!(paths, ["data.password", "stringData.c"]);
        assert!(findings.iter().all(|finding| !format!("{finding:?}").contains("swordfish")));
        for harmless in [
            json!({"data": {}}),
            json!({"sops": {"mac": "x"}, "data": {"a": "ENC[AES]"}}),
            json!({"type": "kubernetes.io/service-account-token", "data": {"token": "x"}}),
            json!({"data": {"a": "<path:secret/data#a>"}}),
        ] {
            assert!(evaluate(&harmless).is_empty(), "{harmless}");
        }
    }
}
