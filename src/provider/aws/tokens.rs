//! Credentials that AWS makes for others: sessions of STS, and logins to the registries of ECR.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials as Keys;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_runtime_api::client::{http::HttpConnector as _, orchestrator::HttpRequest};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::errors::{refused, unreachable_because};
use super::{AwsSource, Platform, calls::Calls};
use crate::lane::Lane;
use crate::provider::metrics::Operation;
use crate::provider::rate_limit::Meter;
use crate::provider::{ProviderError, SecretBytes};

/// Longest time one call to a registry may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// Largest answer of a registry that is read.
const MOST_BYTES: usize = 64 << 10;

/// What is made, by key.
pub(crate) type Made = Vec<(&'static str, SecretBytes)>;

/// Which session to make.
#[derive(Clone, Debug, Default)]
pub(crate) struct SessionRequest {
    /// Seconds for which it lasts.
    pub(crate) seconds: Option<i32>,
    /// Serial number of a device for multi-factor authentication.
    pub(crate) serial_number: Option<String>,
    /// Its code.
    pub(crate) token_code: Option<String>,
}

/// Which registries a login is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Registry {
    /// Those of the account.
    Private,
    /// The public one, which is in one region only.
    Public,
}

/// A session of the source's identity.
pub(crate) async fn session(
    platform: &Platform,
    source: &AwsSource,
    meter: Meter,
    request: SessionRequest,
) -> Result<Made, ProviderError> {
    let calls = Calls::new(platform, source, meter, Duration::ZERO);
    let client = platform.sts(source, Some(&calls.credentials), &calls.meter);
    let call = client
        .get_session_token()
        .set_duration_seconds(request.seconds)
        .set_serial_number(request.serial_number)
        .set_token_code(request.token_code);
    let operation = Operation::GetSessionToken;
    let answer = calls.call(operation, Lane::Urgent, "", Box::pin(call.send())).await?;
    let made = answer.credentials.ok_or_else(|| {
        unreachable_because("the answer was not understood", calls.subject(operation, ""))
    })?;
    Ok(vec![
        ("access_key_id", made.access_key_id.into()),
        ("secret_access_key", made.secret_access_key.into()),
        ("session_token", made.session_token.into()),
        ("expiration", made.expiration.secs().to_string().into()),
    ])
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Login {
    authorization_token: Zeroizing<String>,
    #[serde(default)]
    expires_at: f64,
    #[serde(default)]
    proxy_endpoint: Option<String>,
}

/// A login to registries. Their services are asked without an SDK of their own, each for one operation.
pub(crate) async fn login(
    platform: &Platform,
    source: &AwsSource,
    meter: Meter,
    registry: Registry,
) -> Result<Made, ProviderError> {
    let calls = Calls::new(platform, source, meter, Duration::ZERO);
    let operation = match registry {
        Registry::Private => Operation::GetAuthorizationToken,
        Registry::Public => Operation::GetPublicAuthorizationToken,
    };
    let keys = calls.credentials.current().await?;
    let subject = calls.subject(operation, "");
    let failed = |what: &str| unreachable_because(what, subject);
    let sent = async {
        let request =
            signed(platform, source, registry, &keys).ok_or_else(|| ProviderError::Invalid {
                key: String::new(),
                reason: "the request could not be formed".to_owned(),
            })?;
        let connector = super::connector(None, None);
        let answer = timeout(DEADLINE, async {
            let answer =
                connector.call(request).await.map_err(|_| failed("the connection failed"))?;
            let status = answer.status().as_u16();
            let body = bounded(answer.into_body()).await;
            Ok((status, body.ok_or_else(|| failed("the answer was not understood"))?))
        });
        let (status, body) = answer.await.map_err(|_| failed("no answer in time"))??;
        if !(200..300).contains(&status) {
            let (code, message) = reason(&body);
            return Err(refused(&code, &message, status, subject));
        }
        read(&body, registry).ok_or_else(|| failed("the answer was not understood"))
    };
    let made = calls.meter.call(operation, Lane::Urgent, sent).await;
    if matches!(made, Err(ProviderError::Credentials { .. })) {
        calls.credentials.discard(&keys);
    }
    made
}

fn signed(
    platform: &Platform,
    source: &AwsSource,
    registry: Registry,
    keys: &Keys,
) -> Option<HttpRequest> {
    let (url, region) = address(platform, source.region(), registry);
    let (service, target) = match registry {
        Registry::Private => ("ecr", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"),
        Registry::Public => ("ecr-public", "SpencerFrontendService.GetAuthorizationToken"),
    };
    let mut request = http::Request::post(&url)
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", target)
        .body(SdkBody::from("{}"))
        .ok()?;
    let identity = keys.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&region)
        .name(service)
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .ok()?
        .into();
    let headers = request.headers().iter();
    let headers: Vec<_> =
        headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect();
    let body = SignableBody::Bytes(b"{}");
    let signable = SignableRequest::new("POST", &url, headers.into_iter(), body).ok()?;
    let (instructions, _) = sign(signable, &params).ok()?.into_parts();
    instructions.apply_to_request_http1x(&mut request);
    request.try_into().ok()
}

/// Where a service is, and the region that signatures name.
fn address(platform: &Platform, region: &str, registry: Registry) -> (String, String) {
    let endpoints = &platform.0.endpoints;
    let region = match registry {
        Registry::Private => region,
        Registry::Public => "us-east-1",
    };
    if let Some(url) = &endpoints.registry {
        return (format!("{}/", url.trim_end_matches('/')), region.to_owned());
    }
    let domain = match region.split('-').next() {
        Some("cn") => "amazonaws.com.cn",
        Some("eusc") => "amazonaws.eu",
        _ => "amazonaws.com",
    };
    let url = match registry {
        Registry::Public => "https://api.ecr-public.us-east-1.amazonaws.com/".to_owned(),
        Registry::Private if endpoints.fips => {
            format!("https://ecr-fips.{region}.{domain}/")
        }
        Registry::Private => format!("https://api.ecr.{region}.{domain}/"),
    };
    (url, region.to_owned())
}

async fn bounded(body: SdkBody) -> Option<Zeroizing<Vec<u8>>> {
    let (mut stream, mut whole) = (ByteStream::new(body), Zeroizing::new(Vec::new()));
    while let Some(part) = stream.next().await {
        let part = part.ok()?;
        if whole.len() + part.len() > MOST_BYTES {
            return None;
        }
        whole.extend_from_slice(&part);
    }
    Some(whole)
}

/// The code and the message of a refusal.
fn reason(body: &[u8]) -> (String, String) {
    #[derive(Deserialize, Default)]
    struct Refusal {
        #[serde(rename = "__type", default)]
        code: String,
        #[serde(default, alias = "Message")]
        message: String,
    }
    let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
    (refusal.code, refusal.message)
}

fn read(body: &[u8], registry: Registry) -> Option<Made> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Private {
        authorization_data: Vec<Login>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Public {
        authorization_data: Login,
    }
    let login = match registry {
        Registry::Private => {
            serde_json::from_slice::<Private>(body).ok()?.authorization_data.pop()?
        }
        Registry::Public => serde_json::from_slice::<Public>(body).ok()?.authorization_data,
    };
    let decoded = Zeroizing::new(STANDARD.decode(login.authorization_token.as_bytes()).ok()?);
    let text = std::str::from_utf8(&decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    let mut made = vec![
        ("username", user.to_owned().into()),
        ("password", password.to_owned().into()),
        ("expires_at", format!("{:.0}", login.expires_at.floor()).into()),
    ];
    if registry == Registry::Private {
        made.push(("proxy_endpoint", login.proxy_endpoint?.into()));
    }
    Some(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::aws::Endpoints;

    fn text(made: &Made, key: &str) -> Option<String> {
        let value = made.iter().find(|(name, _)| *name == key)?.1.expose();
        Some(String::from_utf8_lossy(value).into_owned())
    }

    #[test]
    fn a_login_is_read_from_both_kinds_of_answer() {
        let token = STANDARD.encode("AWS:a:b");
        let one = format!(
            r#"{{"authorizationToken": "{token}", "expiresAt": 1700000000.25, "proxyEndpoint": "https://1.dkr"}}"#
        );
        let private =
            read(format!(r#"{{"authorizationData": [{one}]}}"#).as_bytes(), Registry::Private);
        let private = private.expect("readable");
        assert_eq!(text(&private, "username").as_deref(), Some("AWS"));
        assert_eq!(text(&private, "password").as_deref(), Some("a:b"));
        assert_eq!(text(&private, "expires_at").as_deref(), Some("1700000000"));
        assert_eq!(text(&private, "proxy_endpoint").as_deref(), Some("https://1.dkr"));
        let public =
            read(format!(r#"{{"authorizationData": {one}}}"#).as_bytes(), Registry::Public);
        assert_eq!(text(&public.expect("readable"), "proxy_endpoint"), None);
        for body in [
            "",
            "{}",
            r#"{"authorizationData": []}"#,
            r#"{"authorizationData": [{"authorizationToken": "x"}]}"#,
        ] {
            assert!(read(body.as_bytes(), Registry::Private).is_none(), "{body}");
        }
    }

    #[test]
    fn registries_have_addresses_by_partition_and_rule() {
        let at = |endpoints: Endpoints, region: &str, registry| {
            address(&Platform::new(endpoints), region, registry)
        };
        let plain = || Endpoints::default();
        assert_eq!(
            at(plain(), "eu-west-1", Registry::Private).0,
            "https://api.ecr.eu-west-1.amazonaws.com/"
        );
        assert_eq!(
            at(plain(), "cn-north-1", Registry::Private).0,
            "https://api.ecr.cn-north-1.amazonaws.com.cn/"
        );
        let fips = Endpoints { fips: true, ..plain() };
        assert_eq!(
            at(fips, "us-east-2", Registry::Private).0,
            "https://ecr-fips.us-east-2.amazonaws.com/"
        );
        assert_eq!(at(plain(), "eu-west-1", Registry::Public).1, "us-east-1");
        let own = Endpoints { registry: Some("http://127.0.0.1:1".to_owned()), ..plain() };
        assert_eq!(at(own, "eu-west-1", Registry::Private).0, "http://127.0.0.1:1/");
    }
}
