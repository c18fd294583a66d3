//! Stores of the provider `kubernetes`: which API server, and as whom.
//!
//! Never as the operator: a tenant's store would read whatever the operator may.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::Uri;
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use super::kubeconfig::Kubeconfig;
use super::{Resolver, is_unset};
use crate::api::external_secrets::kubernetes::{
    CaProvider, CaProviderType, KubernetesAuth, KubernetesProvider, KubernetesServer,
};
use crate::api::external_secrets::references::{SecretKeySelector, ServiceAccountSelector};
use crate::cluster::ObjectKey;
use crate::outbound::{self, ClientCertificate, LARGE, Names, Outbound, Reach, Roots};
use crate::provider::SecretBytes;
use crate::provider::aws::unusable;
use crate::provider::fetcher::{Connection, Identity};
use crate::provider::kubernetes::{Auth, KubernetesSource, Tokens};
use crate::secrets::error::Error;
use crate::secrets::store::{Input, InputVersion};
use crate::secrets::token::ServiceAccountToken;

const FIELD: &str = "spec.provider.kubernetes";
const URL: &str = "spec.provider.kubernetes.server.url";
/// Names of this cluster's API server, as External Secrets Operator has the first one by default.
const OWN: [&str; 4] = [
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "kubernetes",
];

/// True if something of a ClusterSecretStore is looked up in the namespace of whoever uses it.
pub(super) fn is_referent(provider: &KubernetesProvider) -> bool {
    let is_open = |selector: &SecretKeySelector| is_unset(selector.namespace.as_deref());
    if let Some(selector) = &provider.auth_ref {
        return is_open(selector);
    }
    let authority = provider.server.as_ref().and_then(|server| server.ca_provider.as_ref());
    if authority.is_some_and(|authority| is_unset(authority.namespace.as_deref())) {
        return true;
    }
    let Some(auth) = &provider.auth else { return false };
    let account = auth.service_account.as_ref();
    let cert = auth.cert.iter().flat_map(|cert| [&cert.client_cert, &cert.client_key]);
    let token = auth.token.iter().map(|token| &token.bearer_token);
    account.is_some_and(|account| is_unset(account.namespace.as_deref()))
        || cert.chain(token).flatten().any(is_open)
}

/// An API server, and what its certificate must be.
struct Server {
    url: Uri,
    roots: Roots,
    name: Option<String>,
    reach: Reach,
}

/// Who asks.
struct Who {
    auth: Auth,
    certificate: Option<ClientCertificate>,
    name: String,
}

fn wrong(field: impl Into<String>, reason: impl Into<String>) -> Error {
    Error::StoreField { field: field.into(), reason: reason.into() }
}

impl Resolver<'_> {
    pub(super) async fn kubernetes(
        &mut self,
        provider: &KubernetesProvider,
    ) -> Result<Connection, Error> {
        let (server, who) = if let Some(selector) = &provider.auth_ref {
            self.by_kubeconfig(selector).await?
        } else {
            let server = self.server(provider.server.as_ref()).await?;
            let who = self.who(provider.auth.as_ref(), &server).await?;
            (server, who)
        };
        let namespace = provider.remote_namespace.clone().filter(|name| !name.is_empty());
        let settings = outbound::Settings {
            roots: server.roots,
            reach: server.reach,
            server_name: server.name,
            certificate: who.certificate,
            plain: false,
            names: Names::default(),
            large: &LARGE,
        };
        let outbound = Outbound::new(settings).map_err(|error| wrong(FIELD, error.to_string()))?;
        let digest = std::mem::take(&mut self.digest);
        let identity = Identity::new(self.store.uid.clone(), self.store.generation, digest);
        // Namespaces that bring their own server, or trust, share neither its outages nor its pace.
        let caller = if self.of_caller { self.tenant.as_str() } else { "" };
        let meter = format!("kubernetes/{}/{caller}", &*self.store.uid);
        let meter = self.context.fetcher.meter(&meter);
        Ok(Connection::connected(
            &identity,
            Arc::new(KubernetesSource {
                server: server.url,
                namespace: namespace.unwrap_or_else(|| "default".to_owned()),
                outbound,
                auth: who.auth,
                who: who.name,
                meter,
            }),
        ))
    }

    async fn server(&mut self, server: Option<&KubernetesServer>) -> Result<Server, Error> {
        let text = server.and_then(|server| server.url.as_deref()).unwrap_or_default();
        let mut found = self.named(URL, text)?;
        if let Some(roots) = self.authority(server).await? {
            found.roots = Roots::Only(roots);
            // Whoever brings certificates means the host as it is written.
            if !text.is_empty() {
                found.name = None;
            }
        }
        Ok(found)
    }

    /// The server at an address.
    fn named(&self, field: &str, text: &str) -> Result<Server, Error> {
        let own = &self.context.server;
        let host = text.strip_prefix("https://").unwrap_or(text).trim_end_matches('/');
        let host = host.strip_suffix(":443").unwrap_or(host);
        let url = if host.is_empty() || OWN.contains(&host) {
            own.url.clone()
        } else if text.contains("://") {
            parsed(field, text)?
        } else {
            parsed(field, &format!("https://{text}"))?
        };
        if url != own.url {
            return Ok(Server { url, roots: Roots::System, name: None, reach: Reach::Outside });
        }
        let roots = own.roots.as_ref().map_or(Roots::System, |roots| {
            Roots::Only(roots.iter().cloned().map(CertificateDer::from).collect())
        });
        // Where it is, an administrator said.
        Ok(Server { url, roots, name: own.name.clone(), reach: Reach::Anywhere })
    }

    async fn authority(
        &mut self,
        server: Option<&KubernetesServer>,
    ) -> Result<Option<Vec<CertificateDer<'static>>>, Error> {
        let Some(server) = server else { return Ok(None) };
        if let Some(encoded) = server.ca_bundle.as_deref().filter(|text| !text.is_empty()) {
            let field = format!("{FIELD}.server.caBundle");
            let pem = STANDARD.decode(encoded).map_err(|_| wrong(&field, "is no base64"))?;
            return certificates(&field, &pem).map(Some);
        }
        let Some(provider) = &server.ca_provider else { return Ok(None) };
        let field = format!("{FIELD}.server.caProvider");
        let pem = self.certificates_of(&field, provider).await?;
        certificates(&field, pem.expose()).map(Some)
    }

    async fn certificates_of(
        &mut self,
        field: &str,
        provider: &CaProvider,
    ) -> Result<SecretBytes, Error> {
        if let CaProviderType::Secret = provider.type_ {
            let selector = SecretKeySelector {
                name: Some(provider.name.clone()),
                key: provider.key.clone(),
                namespace: provider.namespace.clone(),
            };
            return Ok(self.value(field.to_owned(), Some(&selector)).await?.0);
        }
        let CaProviderType::ConfigMap = provider.type_ else {
            return Err(wrong(format!("{field}.type"), "must be Secret or ConfigMap"));
        };
        let key = provider.key.clone().filter(|key| !key.is_empty());
        let key = key.ok_or_else(|| wrong(field, "needs both name and key"))?;
        let namespace = self.namespace_of(field, provider.namespace.as_deref())?;
        let object = ObjectKey::new(&namespace, &provider.name);
        let found: Option<ConfigMap> = self.context.writer.read::<ConfigMap, _>(&object).await?;
        let version =
            found.as_ref().map(|map| InputVersion::of_secret(&map.metadata)).unwrap_or_default();
        self.note(Input::ConfigMap(object.clone()), version);
        let missing = |what: String| Error::AuthMissing { field: field.to_owned(), what };
        let found = found.ok_or_else(|| missing(format!("ConfigMap {object} does not exist")))?;
        let text = found.data.and_then(|mut data| data.remove(&key));
        text.map(SecretBytes::from)
            .ok_or_else(|| missing(format!("ConfigMap {object} has no key {key:?}")))
    }

    async fn who(&mut self, auth: Option<&KubernetesAuth>, server: &Server) -> Result<Who, Error> {
        let field = format!("{FIELD}.auth");
        let Some(auth) = auth else {
            let reason = "is not set, and the operator never reads Secrets for others as itself: \
                          set auth.serviceAccount, auth.token or auth.cert";
            return Err(wrong(field, reason));
        };
        if let Some(account) = &auth.service_account {
            return self.account(account, server).await;
        }
        if let Some(token) = &auth.token {
            let field = format!("{field}.token.bearerToken");
            let (value, what) = self.value(field.clone(), token.bearer_token.as_ref()).await?;
            return with_token(&field, value.expose(), &what);
        }
        let Some(cert) = &auth.cert else {
            return Err(wrong(field, "names none of serviceAccount, token and cert: set one"));
        };
        let field = format!("{field}.cert");
        let chain = format!("{field}.clientCert");
        let (chain_pem, _) = self.value(chain.clone(), cert.client_cert.as_ref()).await?;
        let key = format!("{field}.clientKey");
        let (key_pem, _) = self.value(key.clone(), cert.client_key.as_ref()).await?;
        with_certificate((&chain, chain_pem.expose()), (&key, key_pem.expose()))
    }

    async fn account(
        &mut self,
        selector: &ServiceAccountSelector,
        server: &Server,
    ) -> Result<Who, Error> {
        let field = format!("{FIELD}.auth.serviceAccount");
        if selector.name.is_empty() {
            return Err(wrong(field, "needs a name"));
        }
        let namespace = self.namespace_of(&field, selector.namespace.as_deref())?;
        let key = ObjectKey::new(&namespace, &selector.name);
        let found: Option<ServiceAccount> =
            self.context.writer.read::<ServiceAccount, _>(&key).await?;
        let version =
            found.as_ref().map(|a| InputVersion::of_account(&a.metadata)).unwrap_or_default();
        self.note(Input::ServiceAccount(key.clone()), version);
        if found.is_none() {
            let what = format!("ServiceAccount {key} does not exist");
            return Err(Error::AuthMissing { field, what });
        }
        let name = format!("system:serviceaccount:{namespace}:{}", selector.name);
        let mut source = ServiceAccountToken {
            writer: self.context.writer.clone(),
            key,
            audiences: selector.audiences.clone(),
        };
        if server.reach == Reach::Outside {
            // Whoever runs that server gets the token, and must not be able to use it here.
            if source.audiences.is_empty() {
                source.audiences = vec![server.url.to_string().trim_end_matches('/').to_owned()];
            }
            let ours = source.audiences_of_this_cluster().await?;
            if let Some(audience) = source.audiences.iter().find(|one| ours.contains(one)) {
                let reason = format!(
                    "holds {audience:?}, which this cluster's own API server accepts, and the token \
                     goes to another server: name an audience of that server"
                );
                return Err(wrong(format!("{field}.audiences"), reason));
            }
        }
        let auth = Auth::Tokens(Tokens::new(Arc::new(source)));
        Ok(Who { auth, certificate: None, name })
    }

    async fn by_kubeconfig(
        &mut self,
        selector: &SecretKeySelector,
    ) -> Result<(Server, Who), Error> {
        let field = format!("{FIELD}.authRef");
        let (value, what) = self.value(field.clone(), Some(selector)).await?;
        let config = Kubeconfig::read(value.expose())
            .map_err(|problem| wrong(&field, format!("{what}: {problem}")))?;
        let decoded = |text: &str| {
            STANDARD.decode(text.trim()).map(SecretBytes::new).map_err(|_| {
                wrong(&field, format!("{what}: its certificates or keys are no base64"))
            })
        };
        let mut server = self.named(&field, &config.server)?;
        if let Some(authority) = &config.authority {
            server.roots = Roots::Only(certificates(&field, decoded(authority)?.expose())?);
            server.name = None;
        }
        if let Some(name) = config.server_name {
            server.name = Some(name);
        }
        let user = &config.user;
        let who = match (&user.token, &user.client_certificate_data, &user.client_key_data) {
            (Some(token), _, _) => with_token(&field, token.as_bytes(), &what)?,
            (None, Some(chain), Some(key)) => with_certificate(
                (&field, decoded(chain)?.expose()),
                (&field, decoded(key)?.expose()),
            )?,
            _ => {
                return Err(wrong(
                    field,
                    format!("{what}: its user has no token and no certificate with key"),
                ));
            }
        };
        Ok((server, who))
    }
}

fn with_token(field: &str, value: &[u8], what: &str) -> Result<Who, Error> {
    if let Some(problem) = unusable(value) {
        return Err(wrong(field, format!("{what} {problem}")));
    }
    let token = SecretBytes::new(value.trim_ascii().to_vec());
    Ok(Who { auth: Auth::Token(token), certificate: None, name: format!("the token in {what}") })
}

fn with_certificate(chain: (&str, &[u8]), key: (&str, &[u8])) -> Result<Who, Error> {
    let certificate = ClientCertificate {
        chain: certificates(chain.0, chain.1)?,
        key: PrivateKeyDer::from_pem_slice(key.1)
            .map_err(|_| wrong(key.0, "is no private key in PEM"))?,
    };
    let name = "the client certificate of the store".to_owned();
    Ok(Who { auth: Auth::Certificate, certificate: Some(certificate), name })
}

fn certificates(field: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => Err(wrong(field, "holds no certificate in PEM")),
    }
}

/// An address that a request can be sent to: no credentials, no query, and never without TLS.
fn parsed(field: &str, text: &str) -> Result<Uri, Error> {
    let reason = "must be https://HOST[:PORT][/PATH], without a user or a query";
    let url: Uri = text.parse().map_err(|_| wrong(field, reason))?;
    let has_user = url.authority().is_none_or(|authority| authority.as_str().contains('@'));
    if url.scheme_str() != Some("https") || has_user || url.query().is_some() {
        return Err(wrong(field, reason));
    }
    Ok(url)
}
