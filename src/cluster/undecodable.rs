//! Objects that exist and cannot be decoded: what can be read of one all the same, and how its owner is told in its
//! status. An event goes after an hour; a condition stays, and is what dashboards and health checks look at.

use std::time::Duration;

use jiff::Timestamp;
use kube::Resource;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tokio::{sync::mpsc, time};

use super::{
    decode::Identity,
    write::{ApiError, Part, PatchKind, Writer},
};
use crate::retry::Pauses;

/// Reason of the event and of the condition.
pub(crate) const REASON: &str = "NotDecodable";
/// Objects whose status waits to be written, of one kind. Beyond them there is the event only.
const WAITING: usize = 256;
/// Conditions of others that are kept, and the longest status that is read for them.
const MOST_CONDITIONS: usize = 16;
const LONGEST_STATUS: usize = 64 << 10;
/// Attempts at one status, and the pauses between them.
const ATTEMPTS: u32 = 6;
const RETRY: Pauses = Pauses { first: Duration::from_secs(2), longest: Duration::from_mins(1) };

/// An object that exists and cannot be decoded. What was known of it before stays.
#[derive(Clone, Debug)]
pub(crate) struct Undecodable {
    pub(crate) identity: Identity,
    /// Which field, and why. Quotes nothing of the object.
    pub(crate) problem: String,
    /// `spec.controller`, if there is one.
    pub(crate) controller: String,
    generation: Option<i64>,
    conditions: Vec<Value>,
}

impl Undecodable {
    /// Reads what can be read.
    pub(crate) fn new(identity: Identity, problem: String, text: &str) -> Self {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Object<'a> {
            metadata: Metadata,
            spec: Spec,
            #[serde(borrow)]
            status: Option<&'a RawValue>,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Metadata {
            generation: Option<i64>,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Spec {
            controller: String,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Status {
            conditions: Vec<Value>,
        }
        let object: Object<'_> = serde_json::from_str(text).unwrap_or_default();
        let status = object.status.map(RawValue::get).filter(|raw| raw.len() <= LONGEST_STATUS);
        let status: Status = status.and_then(|s| serde_json::from_str(s).ok()).unwrap_or_default();
        Self {
            identity,
            problem,
            controller: object.spec.controller,
            generation: object.metadata.generation,
            conditions: status.conditions,
        }
    }

    /// For people.
    pub(crate) fn says(&self) -> String {
        let problem = &self.problem;
        format!(
            "Gabion cannot decode this object and leaves it out: {problem}; correct what is named"
        )
    }

    /// The conditions that tell it. `None` if they do already.
    fn next_conditions(&self, now: Timestamp) -> Option<Vec<Value>> {
        let is_ready = |condition: &&Value| condition["type"] == "Ready";
        let before = self.conditions.iter().find(is_ready).cloned().unwrap_or_default();
        let message = self.says();
        let observed = json!(self.generation);
        // A definition of another operator may have no field for the generation.
        let seen = &before["observedGeneration"];
        let seen = if seen.is_null() { &observed } else { seen };
        let said = (&before["reason"], &before["message"], seen);
        if before["status"] == "False" && said == (&json!(REASON), &json!(message), &observed) {
            return None;
        }
        let since = before["lastTransitionTime"].as_str().filter(|_| before["status"] == "False");
        let since = since.filter(|since| since.parse::<Timestamp>().is_ok());
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now).to_string();
        let others = self.conditions.iter().filter(|condition| !is_ready(condition));
        let mut next: Vec<_> = others.take(MOST_CONDITIONS).cloned().collect();
        next.push(json!({"type": "Ready", "status": "False", "reason": REASON, "message": message,
            "lastTransitionTime": since.unwrap_or(&now), "observedGeneration": observed}));
        Some(next)
    }
}

/// Where objects of one kind are handed over whose status is to tell it.
pub(crate) type Statuses = mpsc::Sender<Undecodable>;

/// The sending half, and the task that writes.
pub(crate) fn statuses<K: Resource<DynamicType = ()>>(
    writer: Writer,
    manager: &'static str,
) -> (Statuses, impl Future<Output = ()> + Send + 'static) {
    let (sender, mut receiver) = mpsc::channel::<Undecodable>(WAITING);
    let write = async move {
        while let Some(object) = receiver.recv().await {
            let key = object.identity.key.clone();
            if let Err(error) = tell::<K>(&writer, &object, manager).await {
                tracing::warn!(kind = %K::kind(&()), object = %key, %error, "its status does not say that it cannot be decoded");
            }
        }
    };
    (sender, write)
}

/// Whoever changed the object first has it reported anew, and one that is gone needs no status.
async fn tell<K: Resource<DynamicType = ()>>(
    writer: &Writer,
    object: &Undecodable,
    manager: &str,
) -> Result<(), ApiError> {
    let Some(conditions) = object.next_conditions(Timestamp::now()) else { return Ok(()) };
    let body = json!({
        "metadata": {"resourceVersion": object.identity.resource_version},
        "status": {"conditions": conditions},
    });
    let mut attempt = 0;
    loop {
        let key = &object.identity.key;
        let patched = writer.patch::<K>(key, Part::Status, PatchKind::Merge, &body, manager).await;
        attempt += 1;
        match patched {
            Ok(_) | Err(ApiError::Conflict { .. } | ApiError::NotFound { .. }) => return Ok(()),
            Err(ApiError::Unavailable { .. }) if attempt < ATTEMPTS => {
                time::sleep(RETRY.after(key, attempt)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::ObjectKey;

    fn undecodable(status: &Value) -> Undecodable {
        let deep = format!("{}1{}", "{\"a\":".repeat(140), "}".repeat(140));
        let text = format!(
            r#"{{"metadata":{{"name":"s","namespace":"t","uid":"u","resourceVersion":"7","generation":3}},
                "spec":{{"controller":"dev","provider":{{"gcpsm":{deep}}}}},"status":{status}}}"#
        );
        let identity = Identity::of(&text).unwrap();
        assert_eq!(identity.key, ObjectKey::new("t", "s"));
        Undecodable::new(identity, "spec.provider: recursion limit exceeded".to_owned(), &text)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn s1_the_status_tells_it_once_and_keeps_what_others_say() {
        let other = json!({"type": "Other", "status": "True"});
        let ready = json!({"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let first =
            undecodable(&json!({"conditions": [ready, other], "capabilities": "ReadWrite"}));
        assert_eq!(first.controller, "dev");
        let told = first.next_conditions(at(1_800_000_000)).expect("a status");
        assert_eq!(told[0], other);
        assert_eq!(told[1]["lastTransitionTime"], "2027-01-15T08:00:00Z");
        assert_eq!(told[1]["observedGeneration"], 3);
        assert!(told[1]["message"].as_str().unwrap().contains("spec.provider"), "{told:?}");
        let again = undecodable(&json!({"conditions": told}));
        assert_eq!(again.next_conditions(at(1_900_000_000)), None);
        let failed = json!([{"type": "Ready", "status": "False", "reason": "InvalidProviderConfig",
            "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
        let told = undecodable(&json!({"conditions": failed})).next_conditions(at(1)).unwrap();
        assert_eq!(told[0]["lastTransitionTime"], "2026-01-01T00:00:00Z");
    }

    #[test]
    fn s1_a_status_that_is_odd_itself_is_replaced() {
        let deep = "[".repeat(200) + &"]".repeat(200);
        for status in ["null", "5", "{\"conditions\":5}", &format!("{{\"conditions\":{deep}}}")] {
            let text = format!(
                r#"{{"metadata":{{"name":"s"}},"spec":{{"provider":5}},"status":{status}}}"#
            );
            let object = Undecodable::new(Identity::of(&text).unwrap(), "x".into(), &text);
            let told = object.next_conditions(at(1)).expect("a status");
            assert_eq!(told.len(), 1, "{status}");
        }
    }
}
