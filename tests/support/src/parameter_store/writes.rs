//! What changes parameters, with AWS's refusals.

use serde_json::{Value, json};

use super::{Parameters, Refusal};

impl Parameters {
    /// Whether an operation changes anything.
    pub(crate) fn is_write(operation: &str) -> bool {
        matches!(
            operation,
            "PutParameter" | "DeleteParameter" | "AddTagsToResource" | "RemoveTagsFromResource"
        )
    }

    pub(crate) fn write(&mut self, operation: &str, input: &Value) -> Result<String, Refusal> {
        let text = |field: &str| input[field].as_str().unwrap_or_default();
        match operation {
            "PutParameter" => self.put_parameter(input),
            "DeleteParameter" => match self.0.remove(text("Name")) {
                Some(_) => Ok("{}".to_owned()),
                None => Err(("ParameterNotFound", String::new())),
            },
            _ => {
                let missing = ("InvalidResourceId", "The resource ID isn't valid.".to_owned());
                let tags = &mut self.0.get_mut(text("ResourceId")).ok_or(missing)?.tags;
                for key in input["TagKeys"].as_array().into_iter().flatten() {
                    tags.remove(key.as_str().unwrap_or_default());
                }
                tags.extend(pairs(input));
                Ok("{}".to_owned())
            }
        }
    }

    fn put_parameter(&mut self, input: &Value) -> Result<String, Refusal> {
        let text = |field: &str| input[field].as_str().map(ToOwned::to_owned);
        let (name, overwrite) = (text("Name").unwrap_or_default(), input["Overwrite"] == true);
        let exists = self.0.contains_key(&name);
        if exists && !overwrite {
            return Err(("ParameterAlreadyExists", "The parameter already exists.".to_owned()));
        }
        if overwrite && input["Tags"].is_array() {
            let message = "Invalid request: tags and overwrite can't be used together.";
            return Err(("ValidationException", message.to_owned()));
        }
        let value = text("Value").unwrap_or_default();
        let tier = text("Tier").unwrap_or_else(|| "Standard".to_owned());
        let most = if tier == "Standard" { 4096 } else { 8192 };
        if value.is_empty() || value.len() > most {
            return Err(("ValidationException", format!("Value must be at most {most} long")));
        }
        self.put(&name, &value, &[]);
        let parameter = self.0.entry(name).or_default();
        let kind = text("Type").unwrap_or_else(|| "String".to_owned());
        if exists && parameter.kind.as_ref().is_some_and(|of| *of != kind) {
            return Err(("ValidationException", "The type can't be changed".to_owned()));
        }
        parameter.kind = Some(kind);
        // Whatever is not repeated is lost.
        parameter.tier = Some(tier);
        parameter.key = text("KeyId");
        parameter.description = text("Description");
        parameter.tags.extend(pairs(input));
        Ok(json!({"Version": parameter.versions.len(), "Tier": parameter.tier}).to_string())
    }
}

fn pairs(input: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let tags = input["Tags"].as_array().into_iter().flatten();
    tags.map(|tag| (text(&tag["Key"]), text(&tag["Value"]))).collect()
}
