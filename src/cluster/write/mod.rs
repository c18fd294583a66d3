//! The only code that changes objects, and, but for registry credentials that are copied, the only code that reads a
//! `Secret` with its values.
//!
//! Every write passes the fence, takes one of a bounded number of permits, has a deadline and is counted. A write never
//! outlives the fence as it was when the write was sent: whoever leads next does not meet it.
//! Answers are asked for as metadata only, so the values just sent do not come back over the wire.

mod dry_run;
mod error;

use std::{future::Future, sync::Arc, time::Duration};

use http::{
    Request, StatusCode,
    header::{ACCEPT, CONTENT_TYPE},
};
use http_body_util::BodyExt as _;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ListMeta, ObjectMeta};
use kube::{Client, Resource};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use tokio::sync::Semaphore;

use super::{
    Fence, ObjectKey,
    decode::{Identity, decode},
    metadata::slim,
    requests::RequestCounts,
};
use crate::meta::{ResourceVersion, Uid};
pub(crate) use dry_run::DryRun;
pub use error::{ApiError, FieldCause};
use error::{outcome_label, refusal};

/// Longest time one request to the API server may take.
const DEADLINE: Duration = Duration::from_secs(30);
const METADATA_ONLY: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
/// Largest answer that is read: the API server's own object limit is below 3 MiB.
const MAX_ANSWER: usize = 8 << 20;
/// Objects of one page of a list: with large ones well below [`MAX_ANSWER`].
const PAGE_SIZE: u32 = 250;

/// What a patch is applied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The object itself.
    Object,
    /// Its `/status`.
    Status,
}

/// How a patch body is to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchKind {
    /// RFC 7386.
    Merge,
    /// RFC 6902.
    Json,
    /// Server-side apply, unforced or forced.
    Apply {
        /// Take fields over from other managers.
        force: bool,
    },
}

/// The writing side of the API server.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    fence: Fence,
    max_concurrent: Arc<Semaphore>,
    requests: RequestCounts,
}

#[derive(Deserialize)]
struct Items<'a> {
    #[serde(default)]
    metadata: ListMeta,
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct MetadataOnly {
    #[serde(default, deserialize_with = "slim")]
    metadata: ObjectMeta,
}

impl Writer {
    /// A writer that has at most `concurrency` requests under way.
    pub fn new(client: Client, fence: Fence, concurrency: usize, requests: RequestCounts) -> Self {
        Self { client, fence, max_concurrent: Arc::new(Semaphore::new(concurrency)), requests }
    }

    /// Whether this process may write, anywhere: for what is written outside of the cluster.
    pub(crate) fn may_write(&self) -> Result<(), ApiError> {
        self.fence.check().map(|_| ()).map_err(|_| ApiError::Fenced)
    }

    /// Creates an object. Fails with [`ApiError::AlreadyExists`] rather than touching an existing one.
    pub async fn create<K>(
        &self,
        key: &ObjectKey,
        body: &impl Serialize,
        manager: &str,
    ) -> Result<ObjectMeta, ApiError>
    where
        K: Resource<DynamicType = ()>,
    {
        let url = format!("{}?fieldManager={}", collection::<K>(key), encode(manager));
        let request = build("POST", &url, "application/json", to_bytes(body)?)?;
        self.write::<K>("create", key, request).await
    }

    /// Patches an object or its status and returns its new metadata.
    pub async fn patch<K>(
        &self,
        key: &ObjectKey,
        part: Part,
        kind: PatchKind,
        body: &impl Serialize,
        manager: &str,
    ) -> Result<ObjectMeta, ApiError>
    where
        K: Resource<DynamicType = ()>,
    {
        let mut url = object::<K>(key);
        if part == Part::Status {
            url.push_str("/status");
        }
        url.push_str("?fieldManager=");
        url.extend(encode(manager));
        let content_type = match kind {
            PatchKind::Merge => "application/merge-patch+json",
            PatchKind::Json => "application/json-patch+json",
            PatchKind::Apply { force } => {
                if force {
                    url.push_str("&force=true");
                }
                "application/apply-patch+yaml"
            }
        };
        let verb = if part == Part::Status { "patch-status" } else { "patch" };
        let request = build("PATCH", &url, content_type, to_bytes(body)?)?;
        self.write::<K>(verb, key, request).await
    }

    /// Replaces an object whole. The body must carry the uid and resourceVersion that were read.
    pub(crate) async fn replace<K>(
        &self,
        key: &ObjectKey,
        body: &impl Serialize,
        manager: &str,
    ) -> Result<ObjectMeta, ApiError>
    where
        K: Resource<DynamicType = ()>,
    {
        let url = format!("{}?fieldManager={}", object::<K>(key), encode(manager));
        let request = build("PUT", &url, "application/json", to_bytes(body)?)?;
        self.write::<K>("update", key, request).await
    }

    /// Deletes exactly the object that was read. An object that is already gone is success.
    pub async fn delete<K>(
        &self,
        key: &ObjectKey,
        uid: &Uid,
        resource_version: &ResourceVersion,
    ) -> Result<(), ApiError>
    where
        K: Resource<DynamicType = ()>,
    {
        let body = serde_json::json!({
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid, "resourceVersion": resource_version},
        });
        let request = build("DELETE", &object::<K>(key), "application/json", to_bytes(&body)?)?;
        match self.write::<K>("delete", key, request).await {
            Ok(_) | Err(ApiError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Reads an object whole, or `None` where there is none.
    pub async fn read<K, T>(&self, key: &ObjectKey) -> Result<Option<T>, ApiError>
    where
        K: Resource<DynamicType = ()>,
        T: DeserializeOwned,
    {
        let request = build("GET", &object::<K>(key), "application/json", Vec::new())?;
        let what = describe::<K>(key);
        let answer = self.exchange::<K>("get", key, with_accept(request, "application/json")).await;
        match answer {
            // Decoded here, not by the client library: it would log the body of an answer it cannot decode.
            Ok(body) => match std::str::from_utf8(&body).map(decode) {
                Ok(Ok(decoded)) => Ok(Some(decoded.object)),
                _ => Err(ApiError::Unavailable {
                    reason: format!("{what} came back in an unknown form"),
                }),
            },
            Err(ApiError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lists the objects of one namespace, or of all if it is empty, page by page: for kinds that are not worth
    /// a watch.
    pub(crate) async fn list<K, T>(
        &self,
        namespace: &str,
        mut each: impl FnMut(T),
    ) -> Result<(), ApiError>
    where
        K: Resource<DynamicType = ()>,
        T: DeserializeOwned,
    {
        let key = ObjectKey::new(namespace, "");
        let first = format!("{}?limit={PAGE_SIZE}", collection::<K>(&key));
        let mut url = first.clone();
        loop {
            let request = build("GET", &url, "application/json", Vec::new())?;
            let request = with_accept(request, "application/json");
            let body = self.exchange::<K>("list", &key, request).await?;
            let list: Items<'_> =
                serde_json::from_slice(&body).map_err(|_| ApiError::Unavailable {
                    reason: format!("the list of {} came back in an unknown form", K::plural(&())),
                })?;
            for item in list.items {
                match decode(item.get()) {
                    Ok(decoded) => each(decoded.object),
                    Err(problem) => {
                        let key = Identity::of(item.get()).map(|identity| identity.key);
                        let kind = K::kind(&());
                        tracing::warn!(%kind, object = ?key, problem, "the object cannot be decoded and is left out");
                    }
                }
            }
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => url = format!("{first}&continue={}", encode(&token)),
                None => return Ok(()),
            }
        }
    }

    /// Sends a request to a subresource that answers with an object (`serviceaccounts/token`).
    pub async fn post_subresource<K, T>(
        &self,
        key: &ObjectKey,
        subresource: &'static str,
        body: &impl Serialize,
    ) -> Result<T, ApiError>
    where
        K: Resource<DynamicType = ()>,
        T: DeserializeOwned,
    {
        let url = format!("{}/{subresource}", object::<K>(key));
        let request = build("POST", &url, "application/json", to_bytes(body)?)?;
        let request = with_accept(request, "application/json");
        let body = self.exchange::<K>(subresource, key, request).await?;
        serde_json::from_slice(&body).map_err(|_| ApiError::Unavailable {
            reason: format!("{} {subresource} came back in an unknown form", describe::<K>(key)),
        })
    }

    async fn write<K>(
        &self,
        verb: &'static str,
        key: &ObjectKey,
        request: Request<Vec<u8>>,
    ) -> Result<ObjectMeta, ApiError>
    where
        K: Resource<DynamicType = ()>,
    {
        self.fence.check().map_err(|_| ApiError::Fenced)?;
        let request = with_accept(request, METADATA_ONLY);
        let body = self.exchange::<K>(verb, key, request).await?;
        let answer: MetadataOnly = serde_json::from_slice(&body).map_err(|_| {
            let reason = format!("{} came back in an unknown form", describe::<K>(key));
            ApiError::Unavailable { reason }
        })?;
        Ok(answer.metadata)
    }

    async fn exchange<K>(
        &self,
        verb: &'static str,
        key: &ObjectKey,
        request: Request<Vec<u8>>,
    ) -> Result<Vec<u8>, ApiError>
    where
        K: Resource<DynamicType = ()>,
    {
        let Ok(_permit) = self.max_concurrent.acquire().await else {
            return Err(ApiError::Fenced); // the semaphore is never closed
        };
        // The wait for a permit may have been long: check again before anything is sent.
        let deadline = if matches!(verb, "get" | "list" | "token") {
            DEADLINE
        } else {
            self.fence.check().map_err(|_| ApiError::Fenced)?.min(DEADLINE)
        };
        let outcome = within(deadline, self.send(request)).await;
        let outcome = outcome.and_then(|(status, body)| {
            if status.is_success() { Ok(body) } else { Err(refusal::<K>(key, status, &body)) }
        });
        self.requests.count(verb, K::kind(&()).as_ref(), outcome_label(&outcome));
        outcome
    }

    async fn send(&self, request: Request<Vec<u8>>) -> Result<(StatusCode, Vec<u8>), ApiError> {
        let unreachable = |error: &dyn std::fmt::Display| {
            tracing::debug!(%error, "request to the API server failed");
            ApiError::Unavailable { reason: "the connection failed".to_owned() }
        };
        let response =
            self.client.send(request.map(Into::into)).await.map_err(|error| unreachable(&error))?;
        let status = response.status();
        let body = http_body_util::Limited::new(response.into_body(), MAX_ANSWER)
            .collect()
            .await
            .map_err(|error| unreachable(&error))?;
        Ok((status, body.to_bytes().into()))
    }
}

/// Gives work a deadline.
pub(crate) async fn within<T>(
    deadline: Duration,
    work: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    match tokio::time::timeout(deadline, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(ApiError::Unavailable {
            reason: format!("no answer within {} s", deadline.as_secs()),
        }),
    }
}

fn describe<K: Resource<DynamicType = ()>>(key: &ObjectKey) -> String {
    format!("{} {key}", K::kind(&()))
}

fn collection<K: Resource<DynamicType = ()>>(key: &ObjectKey) -> String {
    let namespace = (!key.namespace.is_empty()).then_some(&*key.namespace);
    K::url_path(&(), namespace)
}

fn object<K: Resource<DynamicType = ()>>(key: &ObjectKey) -> String {
    format!("{}/{}", collection::<K>(key), encode(&key.name))
}

/// What needs no encoding in a path segment or a query value.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encodes one path segment or query value.
fn encode(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, UNRESERVED)
}

fn to_bytes(body: &impl Serialize) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(body)
        .map_err(|_| ApiError::Unavailable { reason: "the request cannot be written".to_owned() })
}

fn build(
    method: &str,
    url: &str,
    content_type: &str,
    body: Vec<u8>,
) -> Result<Request<Vec<u8>>, ApiError> {
    Request::builder()
        .method(method)
        .uri(url)
        .header(CONTENT_TYPE, content_type)
        .body(body)
        .map_err(|_| ApiError::Unavailable { reason: "the request cannot be addressed".to_owned() })
}

fn with_accept(mut request: Request<Vec<u8>>, accept: &'static str) -> Request<Vec<u8>> {
    request.headers_mut().insert(ACCEPT, http::HeaderValue::from_static(accept));
    request
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Secret;

    fn refused(code: u16, body: &serde_json::Value) -> ApiError {
        let status = StatusCode::from_u16(code).unwrap();
        refusal::<Secret>(&ObjectKey::new("t", "db"), status, body.to_string().as_bytes())
    }

    #[test]
    fn a_wrong_uid_is_read_as_a_conflict() {
        let body = serde_json::json!({"reason": "Invalid", "details": {"causes": [
            {"field": "metadata.uid", "reason": "FieldValueInvalid", "message": "x"}]}});
        assert!(matches!(refused(422, &body), ApiError::Conflict { .. }));
    }

    #[test]
    fn a_refused_secret_names_its_fields_and_quotes_nothing() {
        let body = serde_json::json!({"reason": "Invalid", "message": "leak: hunter2", "details": {"causes": [
            {"field": "data[a b]", "reason": "FieldValueInvalid", "message": "hunter2"}]}});
        let text = refused(422, &body).to_string();
        assert_eq!(text, "the API server refused Secret t/db: data[a b] (FieldValueInvalid)");
    }

    #[test]
    fn the_three_kinds_of_409_and_403_are_told_apart() {
        let exists = serde_json::json!({"reason": "AlreadyExists"});
        assert!(matches!(refused(409, &exists), ApiError::AlreadyExists { .. }));
        let conflict = serde_json::json!({"reason": "Conflict"});
        assert!(matches!(refused(409, &conflict), ApiError::Conflict { .. }));
        let going =
            serde_json::json!({"details": {"causes": [{"reason": "NamespaceTerminating"}]}});
        assert!(matches!(refused(403, &going), ApiError::NamespaceTerminating { .. }));
        let denied = serde_json::json!({"message": "cannot create"});
        assert_eq!(refused(403, &denied).to_string(), "not allowed: cannot create");
    }

    #[test]
    fn nothing_that_a_name_holds_can_change_the_address() {
        let key = ObjectKey::new("t", "../../nodes?x=1#");
        assert_eq!(
            object::<Secret>(&key),
            "/api/v1/namespaces/t/secrets/..%2F..%2Fnodes%3Fx%3D1%23"
        );
    }
}
