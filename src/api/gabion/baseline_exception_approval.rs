//! `BaselineExceptionApproval`: somebody's word for just one state of one `BaselineException`.

#![allow(
    clippy::doc_markdown,
    reason = "these texts are read with kubectl explain, where marks are noise"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::gabion::schema::{dns_label, object_name, rules, spec_hash, user_name};

/// Approves one BaselineException as it stands: any later edit of it voids the approval.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "gabion.dev",
    version = "v1alpha1",
    kind = "BaselineExceptionApproval",
    plural = "baselineexceptionapprovals",
    shortname = "bexa",
    category = "gabion",
    derive = "PartialEq",
    doc = "Approves one BaselineException as it stands: any later edit of it voids the approval.",
    printcolumn = r#"{"name":"NAMESPACE","type":"string","jsonPath":".spec.exceptionRef.namespace"}"#,
    printcolumn = r#"{"name":"EXCEPTION","type":"string","jsonPath":".spec.exceptionRef.name"}"#,
    printcolumn = r#"{"name":"APPROVER","type":"string","jsonPath":".spec.approver"}"#,
    printcolumn = r#"{"name":"NOT-AFTER","type":"string","jsonPath":".spec.notAfter"}"#,
    printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    ("self == oldSelf", "an approval cannot be changed; delete it and create another"),
    (
        "self.approver != self.requestedBy",
        "approver must not be requestedBy: nobody approves a request of their own",
    ),
])))]
pub struct BaselineExceptionApprovalSpec {
    /// The exception, in the one state that is approved.
    pub exception_ref: ExceptionRef,
    /// User who asked, as the exception says.
    #[schemars(schema_with = "user_name")]
    pub requested_by: String,
    /// User who approves; must be whoever creates the approval.
    #[schemars(schema_with = "user_name")]
    pub approver: String,
    /// When the approval ends, at most 90 days after it was created.
    pub not_after: Time,
}

/// One state of one exception.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExceptionRef {
    /// Its namespace.
    #[schemars(schema_with = "dns_label")]
    pub namespace: String,
    /// Its name.
    #[schemars(schema_with = "object_name")]
    pub name: String,
    /// Its uid.
    #[schemars(length(min = 1, max = 64))]
    pub uid: String,
    /// Its generation.
    #[schemars(range(min = 1))]
    pub generation: i64,
    /// Its status.specHash.
    #[schemars(schema_with = "spec_hash")]
    pub spec_hash: String,
}
