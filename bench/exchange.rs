//! Requests as bytes, for what the client library does not let one choose.

use http::Request;
use http_body_util::BodyExt as _;
use kube::Client;
use serde_json::Value;
use support::{Failure, Result};

/// Sends a body, none if it is null, and returns the status code and the answer.
pub async fn exchange(
    client: &Client,
    method: &str,
    url: &str,
    body: &Value,
) -> Result<(u16, Value)> {
    let content_type = match method {
        "PATCH" if body.is_array() => "application/json-patch+json",
        "PATCH" => "application/merge-patch+json",
        _ => "application/json",
    };
    let bytes = if body.is_null() { Vec::new() } else { serde_json::to_vec(body)? };
    let request = Request::builder().method(method).uri(url).header("content-type", content_type);
    let answer = client.send(request.body(bytes.into())?).await?;
    let code = answer.status().as_u16();
    let bytes = answer.into_body().collect().await?.to_bytes();
    Ok((code, serde_json::from_slice(&bytes).unwrap_or_default()))
}

/// The answer, if it is none of refusal.
pub fn expect((code, body): (u16, Value)) -> Result<Value> {
    if code < 400 {
        return Ok(body);
    }
    Err(Failure::new(format!("{code}: {}", body["message"])))
}
