//! What changes secrets, with AWS's refusals.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Call, Contents, Refusal};

const MARKED: &str =
    "You can't perform this operation on the secret because it was marked for deletion.";
/// AWS's limit of one value.
const MOST_BYTES: usize = 65_536;

impl Contents {
    pub(super) fn write(&mut self, call: &Call) -> Result<String, Refusal> {
        let id = call.text("Name").or(call.text("SecretId")).unwrap_or_default();
        let name = self.name_of(id).to_owned();
        if self.is_denied(call, &call.operation, Some(&name)) {
            return Err(call.denied(&name));
        }
        if call.operation == "CreateSecret" {
            return self.create(call, &name);
        }
        let Some(secret) = self.secrets.get(&name) else {
            let message = "Secrets Manager can't find the specified secret.";
            return Err(("ResourceNotFoundException", message.to_owned()));
        };
        if secret.deleted && !matches!(call.operation.as_str(), "RestoreSecret" | "DeleteSecret") {
            return Err(("InvalidRequestException", MARKED.to_owned()));
        }
        match call.operation.as_str() {
            "PutSecretValue" => return self.put_value(call, &name),
            "UpdateSecretVersionStage" => return self.stage(call, &name),
            "UpdateSecret" => self.describe_anew(call, &name),
            "TagResource" => self.secret(&name).tags.extend(tags(call)),
            "UntagResource" => {
                for key in call.input["TagKeys"].as_array().into_iter().flatten() {
                    self.secret(&name).tags.remove(key.as_str().unwrap_or_default());
                }
            }
            "RestoreSecret" => self.secret(&name).deleted = false,
            _ => self.delete(call, &name)?,
        }
        Ok(json!({"Name": name}).to_string())
    }

    fn create(&mut self, call: &Call, name: &str) -> Result<String, Refusal> {
        match self.secrets.get(name) {
            Some(secret) if secret.deleted => {
                let message = "You can't create this secret because a secret with this name is \
                               already scheduled for deletion.";
                return Err(("InvalidRequestException", message.to_owned()));
            }
            Some(_) => {
                let message = "The operation failed because the secret already exists.";
                return Err(("ResourceExistsException", message.to_owned()));
            }
            None => {}
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c);
        if name.is_empty() || name.len() > 512 || !name.chars().all(is_plain) {
            return Err(("ValidationException", "Invalid name.".to_owned()));
        }
        let field = value(call)?;
        let arn = self.put(name, field);
        self.secret(name).tags = tags(call);
        self.describe_anew(call, name);
        Ok(self.written(name, &arn))
    }

    fn describe_anew(&mut self, call: &Call, name: &str) {
        let secret = self.secret(name);
        if let Some(text) = call.text("Description") {
            secret.description = Some(text.to_owned());
        }
        if let Some(key) = call.text("KmsKeyId") {
            secret.kms_key = Some(key.to_owned());
        }
    }

    fn delete(&mut self, call: &Call, name: &str) -> Result<(), Refusal> {
        let days = call.input["RecoveryWindowInDays"].as_i64();
        if days.is_some_and(|days| !(7..=30).contains(&days)) {
            return Err(("InvalidParameterException", "The RecoveryWindowInDays is wrong".into()));
        }
        if call.input["ForceDeleteWithoutRecovery"] == true {
            self.secrets.remove(name);
        } else {
            self.secret(name).deleted = true;
        }
        Ok(())
    }

    fn written(&self, name: &str, arn: &str) -> String {
        let versions = self.secrets.get(name).map(|secret| &secret.versions);
        let current = versions.into_iter().flatten();
        let current = current
            .filter(|(_, version)| version.stages.iter().any(|stage| stage == "AWSCURRENT"))
            .map(|(id, _)| id.as_str());
        json!({"ARN": arn, "Name": name, "VersionId": current.max()}).to_string()
    }
}

pub(super) fn value(call: &Call) -> Result<String, Refusal> {
    let (field, text) = match (call.text("SecretString"), call.text("SecretBinary")) {
        (Some(text), None) => ("SecretString", text),
        (None, Some(binary)) => ("SecretBinary", binary),
        _ => return Err(("InvalidParameterException", "one value is needed".to_owned())),
    };
    let bytes = if field == "SecretBinary" { text.len() / 4 * 3 } else { text.len() };
    if bytes > MOST_BYTES + 3 {
        return Err(("ValidationException", "Member must have length at most 65536".to_owned()));
    }
    Ok(format!("\"{field}\":{}", json!(text)))
}

fn tags(call: &Call) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let tags = call.input["Tags"].as_array().into_iter().flatten();
    tags.map(|tag| (text(&tag["Key"]), text(&tag["Value"]))).collect()
}
