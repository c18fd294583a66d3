//! Parameter Store, as far as [`crate::secrets_manager`] plays it: versions, labels, hierarchies, exact tag filters,
//! pages, and a call of many names that is refused whole when one of them is.

mod writes;

use std::collections::BTreeMap;

use serde_json::{Value, json};

type Refusal = (&'static str, String);

/// What stands in front of a name in an ARN.
const ARN: &str = "arn:aws:ssm:eu-west-1:000000000000:parameter";

/// All parameters.
#[derive(Default)]
pub(crate) struct Parameters(BTreeMap<String, Parameter>);

#[derive(Default)]
struct Parameter {
    /// Value and labels of each version; the first is version 1.
    versions: Vec<(String, Vec<String>)>,
    tags: BTreeMap<String, String>,
    kind: Option<String>,
    tier: Option<String>,
    key: Option<String>,
    description: Option<String>,
}

impl Parameters {
    pub(crate) fn put(&mut self, name: &str, text: &str, labels: &[&str]) {
        let parameter = self.0.entry(name.to_owned()).or_default();
        for (_, held) in &mut parameter.versions {
            held.retain(|label| !labels.contains(&label.as_str()));
        }
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        parameter.versions.push((text.to_owned(), labels));
    }

    pub(crate) fn tag(&mut self, name: &str, key: &str, value: &str) {
        let parameter = self.0.get_mut(name).expect("a parameter of that name");
        parameter.tags.insert(key.to_owned(), value.to_owned());
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Everything about a parameter.
    pub(crate) fn shown(&self, name: &str) -> Option<Value> {
        let parameter = self.0.get(name)?;
        let (text, _) = parameter.versions.last()?;
        Some(json!({"value": text, "type": parameter.kind, "tier": parameter.tier,
            "key": parameter.key, "description": parameter.description, "tags": parameter.tags}))
    }

    /// The answer to an operation; `omitted` are missing in it if it is about many, and `may_read` says whether a name
    /// may be read by it.
    pub(crate) fn reply(
        &self,
        operation: &str,
        input: &Value,
        omitted: &[String],
        may_read: impl Fn(&str) -> Result<(), Refusal>,
    ) -> Result<String, Refusal> {
        let output = match operation {
            "GetParameter" => {
                let name = input["Name"].as_str().unwrap_or_default();
                may_read(plain(name))?;
                json!({"Parameter": self.value(name, decrypts(input))?})
            }
            "GetParameters" => self.many(input, omitted, may_read)?,
            "GetParametersByPath" => {
                let path = input["Path"].as_str().unwrap_or_default();
                may_read(path)?;
                let names = self.below(path)?;
                let page = self.page(&names, input, 10, "Parameters", |name| {
                    self.value(name, decrypts(input)).unwrap_or_default()
                });
                page?
            }
            "DescribeParameters" => {
                let filters = input["ParameterFilters"].as_array().cloned().unwrap_or_default();
                let mut names: Vec<_> = self.0.keys().cloned().collect();
                for filter in &filters {
                    let passing = self.passing(filter)?;
                    names.retain(|name| passing.contains(name));
                }
                self.page(&names, input, 50, "Parameters", |name| self.described(name))?
            }
            "ListTagsForResource" => {
                let name = input["ResourceId"].as_str().unwrap_or_default();
                may_read(name)?;
                let missing = ("InvalidResourceId", "The resource ID isn't valid.".to_owned());
                let tags = &self.0.get(name).ok_or(missing)?.tags;
                let tags: Vec<_> =
                    tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
                json!({"TagList": tags})
            }
            _ => return Err(("InvalidAction", "no such operation".to_owned())),
        };
        Ok(output.to_string())
    }

    /// A version is a number or a label behind a colon.
    fn value(&self, name: &str, decrypts: bool) -> Result<Value, Refusal> {
        let name = name.strip_prefix(ARN).unwrap_or(name);
        if name.contains("//") || plain(name).contains(' ') {
            return Err(("ValidationException", "Parameter name: can't be prefixed".to_owned()));
        }
        let missing = || ("ParameterNotFound", String::new());
        let parameter = self.0.get(plain(name)).ok_or_else(missing)?;
        let found = match name.rsplit_once(':') {
            None => parameter.versions.last().map(|version| (parameter.versions.len(), version)),
            Some((_, wanted)) => {
                parameter.versions.iter().enumerate().map(|(nth, version)| (nth + 1, version)).find(
                    |(nth, (_, labels))| {
                        nth.to_string() == wanted || labels.iter().any(|label| label == wanted)
                    },
                )
            }
        };
        let missing = ("ParameterVersionNotFound", "Systems Manager could not find it".to_owned());
        let (version, (text, _)) = found.ok_or(missing)?;
        let text = if decrypts { text.clone() } else { "ciphertext".to_owned() };
        let arn = format!("{ARN}{}", plain(name));
        let mut output = json!({"Name": plain(name), "Type": "SecureString", "Value": text,
            "Version": version, "ARN": arn});
        if let Some(selector) = name.strip_prefix(plain(name)).filter(|text| !text.is_empty()) {
            output["Selector"] = json!(selector);
        }
        Ok(output)
    }

    fn many(
        &self,
        input: &Value,
        omitted: &[String],
        may_read: impl Fn(&str) -> Result<(), Refusal>,
    ) -> Result<Value, Refusal> {
        let names: Vec<_> = input["Names"].as_array().into_iter().flatten().collect();
        let names: Vec<_> = names.into_iter().filter_map(Value::as_str).collect();
        if names.is_empty() || names.len() > 10 {
            return Err(("ValidationException", "Member must have length at most 10".to_owned()));
        }
        let (mut found, mut invalid) = (Vec::new(), Vec::new());
        for name in names {
            may_read(plain(name))?;
            match self.value(name, decrypts(input)) {
                Ok(_) if omitted.iter().any(|omitted| omitted == name) => invalid.push(name),
                Ok(value) => found.push(value),
                Err(refusal @ ("ValidationException", _)) => return Err(refusal),
                Err(_) => invalid.push(name),
            }
        }
        // In no particular order.
        found.reverse();
        Ok(json!({"Parameters": found, "InvalidParameters": invalid}))
    }

    /// Names below a path of the hierarchy.
    fn below(&self, path: &str) -> Result<Vec<String>, Refusal> {
        if !path.starts_with('/') || path.contains("//") {
            let message = "The parameter doesn't meet the parameter name requirements.".to_owned();
            return Err(("ValidationException", message));
        }
        let folder = format!("{}/", path.trim_end_matches('/'));
        Ok(self.0.keys().filter(|name| name.starts_with(&folder)).cloned().collect())
    }

    /// Names that pass one filter of a description. Those of tags are exact.
    fn passing(&self, filter: &Value) -> Result<Vec<String>, Refusal> {
        let (key, option) = (filter["Key"].as_str().unwrap_or_default(), filter["Option"].as_str());
        let values: Vec<_> = filter["Values"].as_array().into_iter().flatten().collect();
        let values: Vec<_> = values.into_iter().filter_map(Value::as_str).collect();
        if values.is_empty() || values.contains(&"") {
            return Err(("ValidationException", "Member must have length at least 1".to_owned()));
        }
        let names = |wanted: &dyn Fn(&str, &Parameter) -> bool| {
            let all = self.0.iter().filter(|(name, parameter)| wanted(name, parameter));
            all.map(|(name, _)| name.clone()).collect()
        };
        match (key, option) {
            ("Path", Some("Recursive")) => self.below(values.first().copied().unwrap_or_default()),
            ("Name", Some("Equals")) => Ok(names(&|name, _| values.contains(&name))),
            ("Name", Some("BeginsWith")) => {
                Ok(names(&|name, _| values.iter().any(|value| name.starts_with(value))))
            }
            _ => match key.strip_prefix("tag:") {
                Some(tag) => Ok(names(&|_, parameter| {
                    parameter.tags.get(tag).is_some_and(|value| values.contains(&value.as_str()))
                })),
                None => Err(("InvalidFilterKey", "The specified key isn't valid.".to_owned())),
            },
        }
    }

    fn described(&self, name: &str) -> Value {
        let Some(parameter) = self.0.get(name) else { return Value::Null };
        let mut described = json!({"Name": name, "Version": parameter.versions.len(),
            "Type": parameter.kind.as_deref().unwrap_or("SecureString"),
            "Tier": parameter.tier.as_deref().unwrap_or("Standard")});
        for (field, value) in [("KeyId", &parameter.key), ("Description", &parameter.description)] {
            if let Some(value) = value {
                described[field] = json!(value);
            }
        }
        described
    }

    fn page(
        &self,
        names: &[String],
        input: &Value,
        most: usize,
        field: &str,
        entry: impl Fn(&str) -> Value,
    ) -> Result<Value, Refusal> {
        let asked = input["MaxResults"].as_u64().and_then(|most| usize::try_from(most).ok());
        if asked.is_some_and(|asked| asked > most) {
            return Err(("ValidationException", format!("Member must be at most {most}")));
        }
        let most = asked.unwrap_or(10).min(self.0.len().max(1));
        let start = input["NextToken"].as_str().unwrap_or_default();
        let mut rest = names.iter().filter(|name| name.as_str() >= start);
        let page: Vec<_> = rest.by_ref().take(most).map(|name| entry(name)).collect();
        let mut output = json!({field: page});
        if let Some(next) = rest.next() {
            output["NextToken"] = json!(next);
        }
        Ok(output)
    }
}

/// The name without a version.
fn plain(name: &str) -> &str {
    let name = name.strip_prefix(ARN).unwrap_or(name);
    name.rsplit_once(':').map_or(name, |(name, _)| name)
}

fn decrypts(input: &Value) -> bool {
    input["WithDecryption"].as_bool().unwrap_or_default()
}
