//! Webhooks: values that an HTTP server makes. Which hosts are asked, an administrator decides; with which Secrets, a label
//! on each of them.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use gotemplate::{Data, Limits};
use http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use zeroize::Zeroizing;

use crate::api::external_secrets::kubernetes::{CaProvider, CaProviderType};
use crate::api::generators::webhook::WebhookSpec;
use crate::cluster::ObjectKey;
use crate::duration;
use crate::generator::Values;
use crate::outbound::{self, Bounds, LARGE, Names, Outbound, OutboundError, Roots, Settings};
use crate::provider::{ProviderError, SecretBytes};
use crate::secrets::environment::SystemEnvironment;
use crate::secrets::error::Error;
use crate::secrets::plan::template::Engine;
use crate::secrets::plan::{generate::GeneratorUse, webhook};
use crate::secrets::reconciler::Reconciler;

/// Label of a Secret that webhooks may use.
const LABEL: (&str, &str) = ("external-secrets.io/type", "webhook");
const METHODS: [Method; 5] =
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
/// Headers that say to whom a request goes and where it ends: an administrator decides that.
const OF_TRANSPORT: [HeaderName; 10] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::EXPECT,
    header::PROXY_AUTHORIZATION,
    header::PROXY_AUTHENTICATE,
];
const USUAL: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(15);
/// Largest answer.
const MOST_BYTES: usize = 1 << 20;
/// Most Secrets and headers of one webhook.
const MOST_PARTS: usize = 32;
/// What Go leaves as it is in a query; it makes a plus of a space.
const QUERY: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b' ');

/// A request that may be sent.
pub(super) struct Call {
    outbound: Outbound,
    method: Method,
    url: Uri,
    called: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Zeroizing<Vec<u8>>,
    time: Duration,
    path: Option<String>,
}

/// The Secrets that templates use, by the name that they have there.
type Secrets = BTreeMap<String, BTreeMap<String, SecretBytes>>;

fn wrong(one: &GeneratorUse, reason: impl Into<String>) -> Error {
    Error::GeneratorField {
        field: one.field(),
        kind: one.kind.to_string(),
        name: one.name.clone(),
        reason: reason.into(),
    }
}

impl Reconciler<'_> {
    /// Everything that a webhook needs: read in the namespace of the ExternalSecret, and in no other.
    pub(super) async fn webhook(
        &self,
        one: &GeneratorUse,
        spec: &WebhookSpec,
    ) -> Result<Call, Error> {
        if spec.auth.is_some() {
            return Err(wrong(
                one,
                "spec.auth (NTLM) is not supported: send credentials in spec.headers",
            ));
        }
        if spec.secrets.len() > MOST_PARTS || spec.headers.len() > MOST_PARTS {
            return Err(wrong(one, format!("it has more than {MOST_PARTS} secrets or headers")));
        }
        let mut secrets = Secrets::new();
        for (nth, secret) in spec.secrets.iter().enumerate() {
            let name = secret.secret_ref.name.as_deref().unwrap_or_default();
            let data = self.secret_of_webhook(one, nth, name).await?;
            secrets.insert(secret.name.clone(), data);
        }
        let time = time(one, spec)?;
        let roots = self.roots_of_webhook(one, spec).await?;
        let rendered = self.rendered(one, spec, &secrets).await?;
        let Parts { url, headers, body } = rendered;
        let called = called(&spec.url, &self.context.config.delimiters.left);
        let reach = outbound::reach(&self.context.config.webhook_hosts, &url, &called)
            .map_err(|reason| wrong(one, format!("spec.url: {reason}")))?;
        let method = spec.method.as_deref().filter(|text| !text.is_empty()).unwrap_or("GET");
        let method = Method::from_bytes(method.as_bytes()).ok().filter(|one| METHODS.contains(one));
        let method = method
            .ok_or_else(|| wrong(one, "spec.method must be GET, POST, PUT, PATCH or DELETE"))?;
        // Which servers may be asked without TLS is a part of the list as well.
        let settings = Settings {
            roots,
            reach,
            server_name: None,
            certificate: None,
            plain: true,
            names: Names::default(),
            large: &LARGE,
        };
        let outbound = Outbound::new(settings).map_err(|error| wrong(one, error.to_string()))?;
        let path = spec.result.json_path.clone();
        Ok(Call { outbound, method, url, called, headers, body, time, path })
    }

    async fn secret_of_webhook(
        &self,
        one: &GeneratorUse,
        nth: usize,
        name: &str,
    ) -> Result<BTreeMap<String, SecretBytes>, Error> {
        let at = format!("spec.secrets[{nth}].secretRef");
        if name.is_empty() {
            return Err(wrong(one, format!("{at} needs a name")));
        }
        let key = ObjectKey::new(&self.key.namespace, name);
        let found = self.context.writer.read::<Secret, Secret>(&key).await;
        let found =
            found.map_err(|source| Error::GeneratorUnreadable { field: one.field(), source })?;
        let found =
            found.ok_or_else(|| wrong(one, format!("{at}: Secret {key} does not exist")))?;
        let (label, value) = LABEL;
        let labels = found.metadata.labels.unwrap_or_default();
        if labels.get(label).map(String::as_str) != Some(value) {
            return Err(wrong(
                one,
                format!(
                    "{at}: Secret {key} has no label {label}: {value}, so webhooks may not send it: label it"
                ),
            ));
        }
        let data = found.data.unwrap_or_default().into_iter();
        Ok(data.map(|(key, value)| (key, SecretBytes::new(value.0))).collect())
    }

    async fn roots_of_webhook(
        &self,
        one: &GeneratorUse,
        spec: &WebhookSpec,
    ) -> Result<Roots, Error> {
        let pem = if let Some(encoded) = spec.ca_bundle.as_deref().filter(|text| !text.is_empty()) {
            STANDARD.decode(encoded).map_err(|_| wrong(one, "spec.caBundle is no base64"))?
        } else if let Some(provider) = &spec.ca_provider {
            self.authority_of_webhook(one, provider).await?
        } else {
            return Ok(Roots::System);
        };
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        match all {
            Ok(all) if !all.is_empty() => Ok(Roots::Only(all)),
            _ => Err(wrong(one, "spec.caBundle or caProvider holds no certificate in PEM")),
        }
    }

    async fn authority_of_webhook(
        &self,
        one: &GeneratorUse,
        provider: &CaProvider,
    ) -> Result<Vec<u8>, Error> {
        let own = &*self.key.namespace;
        if let Some(other) =
            provider.namespace.as_deref().filter(|name| !name.is_empty() && *name != own)
        {
            return Err(wrong(
                one,
                format!(
                    "spec.caProvider names namespace {other:?}, and a generator reads only the namespace \
                     of the ExternalSecret: remove the namespace"
                ),
            ));
        }
        let key = ObjectKey::new(own, &provider.name);
        let item = provider.key.as_deref().unwrap_or_default();
        let unreadable = |source| Error::GeneratorUnreadable { field: one.field(), source };
        let found = match &provider.type_ {
            CaProviderType::Secret => {
                let found = self.context.writer.read::<Secret, Secret>(&key).await;
                let data = found.map_err(unreadable)?.and_then(|found| found.data);
                data.and_then(|mut data| data.remove(item)).map(|value| value.0)
            }
            CaProviderType::ConfigMap => {
                let found = self.context.writer.read::<ConfigMap, ConfigMap>(&key).await;
                let data = found.map_err(unreadable)?.and_then(|found| found.data);
                data.and_then(|mut data| data.remove(item)).map(String::into_bytes)
            }
            CaProviderType::Other(_) => {
                return Err(wrong(one, "spec.caProvider.type must be Secret or ConfigMap"));
            }
        };
        found.ok_or_else(|| {
            wrong(one, format!("spec.caProvider: {key} or its key {item:?} does not exist"))
        })
    }

    async fn rendered(
        &self,
        one: &GeneratorUse,
        spec: &WebhookSpec,
        secrets: &Secrets,
    ) -> Result<Parts, Error> {
        let context = self.context;
        let _turn = context.rendering.turn(&self.key.namespace).await;
        tokio::task::block_in_place(|| {
            let (source, limits) = (&mut SystemEnvironment, Limits::default());
            let delimiters = &context.config.delimiters;
            let mut engine = Engine::new(&context.templates, delimiters, source, &limits);
            let mut render = |field: &str, text: &str, dot: &Data| {
                let name = format!("{}.{field}", one.name);
                engine
                    .render(field, &name, text, dot)
                    .map_err(|error| wrong(one, error.to_string()))
            };
            let plain = data(secrets, |value| value.expose().to_vec());
            let escaped = data(secrets, |value| {
                let text = percent_encode(value.expose(), QUERY).to_string();
                text.replace(' ', "+").into_bytes()
            });
            let url = render("url", &spec.url, &escaped)?;
            let url = Uri::try_from(url.expose().trim_ascii())
                .map_err(|_| wrong(one, "spec.url is no URL once it is rendered"))?;
            let mut headers = Vec::with_capacity(spec.headers.len());
            for (name, text) in &spec.headers {
                let at = format!("headers.{name}");
                let value = render(&at, text, &plain)?;
                let bad =
                    || wrong(one, format!("spec.{at} is no header of HTTP once it is rendered"));
                let header = HeaderName::try_from(name.as_str()).map_err(|_| bad())?;
                if OF_TRANSPORT.contains(&header) {
                    return Err(wrong(
                        one,
                        format!("spec.{at} is set by the client alone: remove it"),
                    ));
                }
                let mut value = HeaderValue::from_bytes(value.expose()).map_err(|_| bad())?;
                value.set_sensitive(true);
                headers.push((header, value));
            }
            let body = match &spec.body {
                Some(text) => Zeroizing::new(render("body", text, &plain)?.expose().to_vec()),
                None => Zeroizing::default(),
            };
            Ok(Parts { url, headers, body })
        })
    }
}

/// What templates make.
struct Parts {
    url: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Zeroizing<Vec<u8>>,
}

fn data(secrets: &Secrets, shown: impl Fn(&SecretBytes) -> Vec<u8> + Copy) -> Data {
    let inner = |data: &BTreeMap<String, SecretBytes>| -> Vec<_> {
        data.iter().map(|(key, value)| (key.clone(), shown(value))).collect()
    };
    Data::nested(secrets.iter().map(|(name, data)| (name.clone(), inner(data))))
}

fn time(one: &GeneratorUse, spec: &WebhookSpec) -> Result<Duration, Error> {
    let Some(text) = spec.timeout.as_deref().filter(|text| !text.is_empty()) else {
        return Ok(USUAL);
    };
    let parsed = duration::parse(text).and_then(|time| Duration::try_from(time).ok());
    match parsed {
        Some(time) if !time.is_zero() => Ok(time.min(LONGEST)),
        _ => Err(wrong(one, format!("spec.timeout {text:?} is no duration: write it as in 10s"))),
    }
}

/// What errors call the host of a URL: as it is written, unless a template makes it, perhaps of a secret value.
fn called(url: &str, delimiter: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if scheme.contains(delimiter) || host.contains(delimiter) || scheme.is_empty() {
        return "the host that spec.url comes to".to_owned();
    }
    format!("{:?}", host.trim())
}

impl Call {
    /// Sends it. No redirect is followed, and what an error says holds nothing of the answer.
    pub(super) async fn ask(&self) -> Result<Values, ProviderError> {
        let host = &self.called;
        let invalid = |reason: String| ProviderError::Invalid { key: host.clone(), reason };
        let away = |reason: String| ProviderError::Unavailable { reason, source: None };
        let mut request = Request::builder().method(&self.method).uri(&self.url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(self.body.to_vec().into());
        let request = request.map_err(|_| invalid("the request could not be formed".to_owned()))?;
        let bounds = Bounds { time: self.time, bytes: MOST_BYTES, failure: None };
        let answer =
            self.outbound.send(request, bounds, host).await.map_err(|error| match error {
                OutboundError::Internal(_) | OutboundError::TooLarge(..) => {
                    invalid(error.to_string())
                }
                error => away(error.to_string()),
            })?;
        let status = answer.status;
        match status.as_u16() {
            200..300 => webhook::values(&answer.body, self.path.as_deref()).map_err(invalid),
            300..400 => Err(invalid(format!(
                "it answered {}, and redirects are not followed: name the last address in spec.url",
                status.as_u16()
            ))),
            429 => Err(ProviderError::Throttled),
            500.. => Err(away(format!("{host} answered {}", status.as_u16()))),
            _ => Err(invalid(format!("it answered {}", status.as_u16()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::called;

    #[test]
    fn a_host_that_a_template_makes_is_named_nowhere() {
        for url in [
            "https://{{ .s.host }}/",
            "https://a.{{ .s.b }}.example",
            "{{ .s.url }}",
            "{{ .a }}://b/c",
            "{{ .s.a }}/://b",
        ] {
            assert_eq!(called(url, "{{"), "the host that spec.url comes to", "{url}");
        }
        assert_eq!(
            called("https://a.example:8443/{{ .s.path }}?x={{ .s.q }}", "{{"),
            "\"a.example:8443\""
        );
        assert_eq!(called("https://[[ .s.host ]]/", "[["), "the host that spec.url comes to");
    }
}
