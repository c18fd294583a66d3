//! What EventBridge puts on a queue when a secret changes, in every shape that there is.

use serde_json::{Value, json};

/// The account of [`crate::secrets_manager`].
const ACCOUNT: &str = "000000000000";

fn envelope(source: &str, kind: &str, resources: &[&str], time: &str, detail: &Value) -> Value {
    json!({
        "version": "0",
        "id": "b4a1b0e4-0000-0000-0000-000000000000",
        "detail-type": kind,
        "source": source,
        "account": ACCOUNT,
        "time": time,
        "region": "eu-west-1",
        "resources": resources,
        "detail": detail,
    })
}

/// Secrets Manager's own event: a label moved to a version.
pub fn label_updated(arn: &str, name: &str, label: &str, version: &str, time: &str) -> Value {
    let detail = json!({"name": name, "labelUpdated": label, "versionId": version});
    envelope("aws.secretsmanager", "Secret Label Updated", &[arn], time, &detail)
}

/// A call of the API, by way of CloudTrail.
pub fn api_call(operation: &str, parameters: &Value, answer: &Value, time: &str) -> Value {
    let detail = json!({
        "eventVersion": "1.08",
        "eventSource": "secretsmanager.amazonaws.com",
        "eventName": operation,
        "awsRegion": "eu-west-1",
        "requestParameters": parameters,
        "responseElements": answer,
    });
    envelope("aws.secretsmanager", "AWS API Call via CloudTrail", &[], time, &detail)
}

/// What AWS's own rotation did, by way of CloudTrail.
pub fn service_event(event: &str, arn: &str, time: &str) -> Value {
    let detail = json!({
        "eventSource": "secretsmanager.amazonaws.com",
        "eventName": event,
        "requestParameters": null,
        "responseElements": null,
        "additionalEventData": {"SecretId": arn},
    });
    envelope("aws.secretsmanager", "AWS Service Event via CloudTrail", &[], time, &detail)
}

/// A parameter changed.
pub fn parameter_change(name: &str, operation: &str, time: &str) -> Value {
    let arn = format!("arn:aws:ssm:eu-west-1:{ACCOUNT}:parameter/{}", name.trim_start_matches('/'));
    let detail = json!({"operation": operation, "name": name, "type": "SecureString"});
    envelope("aws.ssm", "Parameter Store Change", &[&arn], time, &detail)
}

/// The same through a topic of SNS without raw delivery.
pub fn through_sns(event: &Value) -> Value {
    json!({
        "Type": "Notification",
        "MessageId": "22b80b92-0000-0000-0000-000000000000",
        "TopicArn": "arn:aws:sns:eu-west-1:000000000000:events",
        "Message": event.to_string(),
    })
}
