//! Asking what would become of an object, without making it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use kube::Resource;
use serde::Serialize;

use super::{
    ApiError, DEADLINE, METADATA_ONLY, ObjectKey, Writer, build, collection, encode, outcome_label,
    refusal, to_bytes, with_accept, within,
};

/// What would become of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DryRun {
    /// It would be created.
    Taken,
    /// Admission refuses it, in these words.
    Refused(String),
}

impl Writer {
    /// Asks whether an object would be created. Whatever admission says is an answer; an error is what kept the
    /// question from being asked: no such namespace, no right, no connection.
    pub(crate) async fn try_create<K>(
        &self,
        key: &ObjectKey,
        body: &impl Serialize,
        manager: &str,
    ) -> Result<DryRun, ApiError>
    where
        K: Resource<DynamicType = ()>,
    {
        self.fence.check().map_err(|_| ApiError::Fenced)?;
        let url = format!("{}?dryRun=All&fieldManager={}", collection::<K>(key), encode(manager));
        let request = build("POST", &url, "application/json", to_bytes(body)?)?;
        let Ok(_place) = self.max_concurrent.acquire().await else { return Err(ApiError::Fenced) };
        let answer = within(DEADLINE, self.send(with_accept(request, METADATA_ONLY))).await;
        let outcome = answer.and_then(|(status, body)| match status.as_u16() {
            200..300 => Ok(DryRun::Taken),
            code @ (400 | 403 | 409 | 422) => {
                let answer: Status = serde_json::from_slice(&body).unwrap_or_default();
                let words = answer.message.unwrap_or_default();
                match code {
                    // A name that is taken is found out after admission.
                    409 => Ok(DryRun::Taken),
                    403 if words.contains("cannot create resource") => {
                        Err(ApiError::Forbidden { message: words })
                    }
                    _ => Ok(DryRun::Refused(words)),
                }
            }
            _ => Err(refusal::<K>(key, status, &body)),
        });
        self.requests.count("try-create", K::kind(&()).as_ref(), outcome_label(&outcome));
        outcome
    }
}
