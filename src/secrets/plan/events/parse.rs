//! What a message on a queue says. Everybody may write one: it is read within bounds, and nothing of it is believed
//! beyond "look at this secret".

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::secret::{Arn, EventSecret, Holder};

/// SQS's limit of a message.
const MOST_BYTES: usize = 1 << 20;
/// Objects and arrays inside one another.
const DEEPEST: usize = 32;
/// Longer than any name, ARN, label or version.
const LONGEST: usize = 2048;

/// Where an event came from: label `source` of the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// Secrets Manager's own.
    Native,
    /// A call of the API, by way of CloudTrail.
    ApiCall,
    /// Something AWS did itself, by way of CloudTrail.
    ServiceEvent,
    /// Parameter Store's own.
    Parameter,
    /// None that is known.
    Other,
}

impl Source {
    /// Label `source`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Native => "secretsmanager",
            Self::ApiCall => "cloudtrail_call",
            Self::ServiceEvent => "cloudtrail_service",
            Self::Parameter => "ssm",
            Self::Other => "other",
        }
    }
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// This label moved.
    Label(String),
    /// Some label or value; nobody says which.
    Any,
    /// Tags.
    Tags,
}

/// An event about one secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) source: Source,
    /// EventBridge's id of it.
    pub(crate) id: String,
    pub(crate) time: Option<Timestamp>,
    pub(crate) secret: EventSecret,
    pub(crate) change: Change,
    /// The version that the label moved to.
    pub(crate) version: Option<String>,
}

/// What a message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// An event about a secret.
    Event(Box<Event>),
    /// Understood, and nothing that anybody could read.
    Quiet(Source),
    /// Something else than an event of a secret.
    Unknown,
    /// Too large, too deep, or no JSON.
    Malformed,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "Type", borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(rename = "Message", borrow, default)]
    message: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    source: Option<Cow<'a, str>>,
    #[serde(rename = "detail-type", borrow, default)]
    detail_type: Option<Cow<'a, str>>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    time: Option<String>,
    #[serde(default)]
    account: Option<String>,
    #[serde(default)]
    region: Option<String>,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(borrow, default)]
    detail: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NativeDetail {
    #[serde(default)]
    name: Option<String>,
    label_updated: String,
    #[serde(default)]
    version_id: Option<String>,
}

#[derive(Deserialize)]
struct ParameterDetail {
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct TrailDetail {
    event_source: Option<String>,
    event_name: Option<String>,
    error_code: Option<String>,
    request_parameters: Option<Parameters>,
    response_elements: Option<Answer>,
    additional_event_data: Option<Named>,
    service_event_details: Option<Named>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Parameters {
    secret_id: Option<String>,
    name: Option<String>,
    version_stage: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    arn: Option<String>,
    /// Before February 2024.
    #[serde(rename = "aRN")]
    old_arn: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    #[serde(alias = "SecretId", alias = "secretId")]
    secret_id: Option<String>,
}

/// Reads a message.
pub(crate) fn parse(text: &str) -> Parsed {
    if text.len() > MOST_BYTES || is_too_deep(text) {
        return Parsed::Malformed;
    }
    let Some(envelope) = envelope(text) else { return unread(text) };
    let is_notification = envelope.kind.as_deref() == Some("Notification");
    let Some(inner) = envelope.message.as_deref().filter(|_| is_notification) else {
        return read(&envelope).unwrap_or(Parsed::Unknown);
    };
    if is_too_deep(inner) {
        return Parsed::Malformed;
    }
    match self::envelope(inner) {
        Some(envelope) => read(&envelope).unwrap_or(Parsed::Unknown),
        None => unread(inner),
    }
}

fn envelope(text: &str) -> Option<Envelope<'_>> {
    serde_json::from_str(text).ok()
}

/// JSON of another shape is something else than no JSON.
fn unread(text: &str) -> Parsed {
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    if is_json { Parsed::Unknown } else { Parsed::Malformed }
}

/// Counts brackets outside of texts: what reads JSON recursively must not be led into the depth.
fn is_too_deep(text: &str) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                if depth > DEEPEST {
                    return true;
                }
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

fn read(envelope: &Envelope<'_>) -> Option<Parsed> {
    let (source, kind) = (envelope.source.as_deref()?, envelope.detail_type.as_deref()?);
    let detail = envelope.detail?.get();
    match (source, kind) {
        ("aws.secretsmanager", "Secret Label Updated") => native(envelope, detail),
        ("aws.ssm", "Parameter Store Change") => parameter(envelope, detail),
        _ if kind.ends_with("API Call via CloudTrail") => api_call(envelope, detail),
        _ if kind.ends_with("Service Event via CloudTrail") => service_event(envelope, detail),
        _ => None,
    }
}

fn native(envelope: &Envelope<'_>, detail: &str) -> Option<Parsed> {
    let detail: NativeDetail = serde_json::from_str(detail).ok()?;
    let arn = envelope.resources.first().map(String::as_str);
    let holder = Holder::SecretsManager;
    let secret = secret(envelope, holder, (arn, true), detail.name.as_deref())?;
    // Labels of Gabion's own rotations: nobody reads them.
    if detail.label_updated.starts_with("GABION-") {
        return Some(Parsed::Quiet(Source::Native));
    }
    let change = Change::Label(bounded(&detail.label_updated)?);
    let version = detail.version_id.as_deref().and_then(bounded);
    Some(event(envelope, Source::Native, secret, change, version))
}

fn parameter(envelope: &Envelope<'_>, detail: &str) -> Option<Parsed> {
    let detail: ParameterDetail = serde_json::from_str(detail).ok()?;
    let arn = envelope.resources.first().map(String::as_str);
    let holder = Holder::ParameterStore;
    let secret = secret(envelope, holder, (arn, true), Some(&detail.name))?;
    Some(event(envelope, Source::Parameter, secret, Change::Any, None))
}

fn api_call(envelope: &Envelope<'_>, detail: &str) -> Option<Parsed> {
    let detail: TrailDetail = serde_json::from_str(detail).ok()?;
    if detail.event_source.as_deref()? != "secretsmanager.amazonaws.com" {
        return None;
    }
    let quiet = Some(Parsed::Quiet(Source::ApiCall));
    let parameters = detail.request_parameters.unwrap_or_default();
    let change = match detail.event_name.as_deref()? {
        _ if detail.error_code.is_some() => return quiet,
        "PutSecretValue"
        | "UpdateSecret"
        | "UpdateSecretVersionStage"
        | "CreateSecret"
        | "RestoreSecret"
        | "DeleteSecret"
        | "ReplicateSecretToRegions" => match parameters.version_stage.as_deref() {
            Some(label) if label.starts_with("GABION-") => return quiet,
            Some(label) => Change::Label(bounded(label)?),
            None => Change::Any,
        },
        "TagResource" | "UntagResource" => Change::Tags,
        _ => return quiet,
    };
    let answer = detail.response_elements.unwrap_or_default();
    let arn = answer.arn.or(answer.old_arn);
    let asked = parameters.secret_id.or(parameters.name);
    let secret = match (&arn, &asked) {
        (Some(arn), _) => secret(envelope, Holder::SecretsManager, (Some(arn), true), None),
        (None, Some(asked)) if asked.starts_with("arn:") => {
            secret(envelope, Holder::SecretsManager, (Some(asked), false), None)
        }
        (None, asked) => secret(envelope, Holder::SecretsManager, (None, false), asked.as_deref()),
    };
    Some(event(envelope, Source::ApiCall, secret?, change, None))
}

fn service_event(envelope: &Envelope<'_>, detail: &str) -> Option<Parsed> {
    let detail: TrailDetail = serde_json::from_str(detail).ok()?;
    if detail.event_source.as_deref()? != "secretsmanager.amazonaws.com" {
        return None;
    }
    let name = detail.event_name.as_deref()?;
    // That a rotation began, failed or was given up changes no value.
    if name != "RotationSucceeded" && !name.contains("SecretVersionDelet") {
        return Some(Parsed::Quiet(Source::ServiceEvent));
    }
    let id = |named: Option<Named>| named.and_then(|named| named.secret_id);
    let arn = id(detail.additional_event_data)
        .or_else(|| id(detail.service_event_details))
        .or_else(|| envelope.resources.first().cloned())?;
    let (arn, name) =
        if arn.starts_with("arn:") { (Some(&*arn), None) } else { (None, Some(&*arn)) };
    let secret = secret(envelope, Holder::SecretsManager, (arn, true), name)?;
    let change = Change::Label("AWSCURRENT".to_owned());
    Some(event(envelope, Source::ServiceEvent, secret, change, None))
}

/// The secret that an ARN (and whether it is known to be complete) and a name mean.
fn secret(
    envelope: &Envelope<'_>,
    holder: Holder,
    (arn, is_complete): (Option<&str>, bool),
    name: Option<&str>,
) -> Option<EventSecret> {
    let arn = arn.filter(|arn| arn.len() <= LONGEST);
    let parsed = arn.and_then(Arn::parse).filter(|parsed| parsed.holder == holder);
    let mut names: Vec<String> = name.and_then(bounded).into_iter().collect();
    if let Some(parsed) = &parsed
        && names.is_empty()
    {
        let all = parsed.names();
        let few = if is_complete && all.len() > 1 { &all[1..] } else { &all[..] };
        names.extend(few.iter().map(|name| (*name).to_owned()));
    }
    if names.is_empty() {
        return None;
    }
    let region = parsed.map(|parsed| parsed.region).or(envelope.region.as_deref());
    let account = parsed.map(|parsed| parsed.account).or(envelope.account.as_deref());
    Some(EventSecret {
        holder,
        region: bounded(region?)?,
        account: account.and_then(bounded),
        arn: arn.filter(|_| is_complete && parsed.is_some()).map(str::to_owned),
        names,
    })
}

fn event(
    envelope: &Envelope<'_>,
    source: Source,
    secret: EventSecret,
    change: Change,
    version: Option<String>,
) -> Parsed {
    let id = envelope.id.as_deref().and_then(bounded).unwrap_or_default();
    let time = envelope.time.as_deref().and_then(|time| time.parse().ok());
    Parsed::Event(Box::new(Event { source, id, time, secret, change, version }))
}

fn bounded(text: &str) -> Option<String> {
    (!text.is_empty() && text.len() <= LONGEST).then(|| text.to_owned())
}

#[cfg(test)]
mod tests;
