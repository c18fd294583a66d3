//! A client of registries that believes nothing: the distribution specification, within bounds.
//!
//! Only hosts that an administrator wrote are asked, only over TLS, and only at addresses that a registry may have. Where
//! a registry sends us for a token or a blob is checked by rules of ours ([`realm`]). Tokens are for reading one
//! repository. Nothing is redirected but blobs, and without credentials.

pub(crate) mod challenge;
mod credentials;
mod exchange;
mod pace;
mod place;
pub(crate) mod realm;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod server_tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Instant,
};

use http::{Request, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::body::Bytes;
use rustls::pki_types::CertificateDer;

pub use credentials::{CredentialSource, Credentials, DockerConfig, DockerConfigError, Found};

use self::{
    exchange::{Ask, Budget},
    place::Place,
    realm::{next_page, target},
};
use super::{
    Artifacts, Descriptor, Digest, Manifest, RegistryError, Repository, bounds, referrers,
};
use crate::{
    outbound::{Answer, Names},
    policy::image::{canonical_prefix, is_tag},
};

/// Pages of a list of referrers.
const PAGES: usize = 10;
/// Redirects of a blob.
const REDIRECTS: usize = 3;
/// What a manifest may be.
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, \
     application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.docker.distribution.manifest.list.v2+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Which registries may be asked, and how.
#[derive(Clone, Default)]
pub struct ClientSettings {
    /// The only hosts that are ever asked, by their canonical name ([`Repository::host`]), and the mirrors among them.
    pub hosts: BTreeMap<String, HostSettings>,
    /// Credentials for hosts that have none of their own.
    pub credentials: Option<Arc<dyn CredentialSource>>,
    /// Hosts, with their port, that may be on this machine and are asked without TLS, unless they have `roots`.
    pub insecure: BTreeSet<String>,
}

/// What an administrator says of one registry.
#[derive(Clone, Default)]
pub struct HostSettings {
    /// Who asks.
    pub credentials: Option<Arc<dyn CredentialSource>>,
    /// Where its images are fetched instead: a host, or a path in one.
    pub mirror: Option<String>,
    /// The only authorities for its certificate; empty: those of this machine.
    pub roots: Vec<CertificateDer<'static>>,
    /// Hosts that make its tokens, beside itself, hosts below it and those that are known.
    pub token_hosts: Vec<String>,
}

/// Why there can be no client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("registry {host}: {why}")]
pub struct ClientError {
    /// The registry.
    pub host: String,
    /// What is wrong with its settings.
    pub why: String,
}

/// Where a repository of this host is fetched.
struct Route {
    place: Arc<Place>,
    /// Host and path of the mirror.
    mirror: Option<(String, String)>,
}

/// What all who ask share: connections, tokens, and what is known of each registry. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    routes: Arc<BTreeMap<String, Route>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.routes.keys()).finish()
    }
}

impl Client {
    /// Sends nothing yet.
    ///
    /// # Errors
    ///
    /// Certificates of an authority, or of this machine, cannot be read.
    pub fn new(settings: &ClientSettings) -> Result<Self, ClientError> {
        Self::with_names(settings, &Names::default())
    }

    pub(super) fn with_names(
        settings: &ClientSettings,
        names: &Names,
    ) -> Result<Self, ClientError> {
        let mut places: BTreeMap<String, Arc<Place>> = BTreeMap::new();
        let mut place = |host: &str| -> Result<Arc<Place>, ClientError> {
            if let Some(place) = places.get(host) {
                return Ok(Arc::clone(place));
            }
            let mut own = settings.hosts.get(host).cloned().unwrap_or_default();
            own.credentials = own.credentials.or_else(|| settings.credentials.clone());
            let made = Arc::new(Place::new(host, &own, &settings.insecure, names)?);
            places.insert(host.to_owned(), Arc::clone(&made));
            Ok(made)
        };
        let mut routes = BTreeMap::new();
        for (host, own) in &settings.hosts {
            let mirror = own.mirror.as_deref().map(|text| {
                let full = canonical_prefix(text);
                let (host, path) = full.split_once('/').unwrap_or((&full, ""));
                (host.to_owned(), path.to_owned())
            });
            let asked = mirror.as_ref().map_or(host, |(host, _)| host);
            routes.insert(host.clone(), Route { place: place(asked)?, mirror });
        }
        Ok(Self { routes: Arc::new(routes) })
    }

    /// For one image: what it may cost is bounded in sum, in time, requests and bytes.
    pub fn session(&self, deadline: Instant) -> Session {
        Session { client: self.clone(), budget: Budget::until(deadline) }
    }

    /// The registry that is asked for a repository, and what the repository is called there.
    fn route(&self, repository: &Repository) -> Result<(&Place, Repository), RegistryError> {
        let host = repository.host();
        let route = self.routes.get(host).ok_or_else(|| RegistryError::Refused {
            place: host.to_owned(),
            why: "no TrustPolicy names this registry".to_owned(),
        })?;
        let Some((host, path)) = &route.mirror else {
            return Ok((&route.place, repository.clone()));
        };
        let path = if path.is_empty() {
            repository.path().to_owned()
        } else {
            format!("{path}/{}", repository.path())
        };
        Ok((&route.place, Repository::at(host.clone(), path)))
    }
}

/// Reads what belongs to one image, within bounds for all of it.
pub struct Session {
    client: Client,
    budget: Budget,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} requests", self.requests())
    }
}

impl Session {
    /// How many requests were sent, those for tokens included.
    pub fn requests(&self) -> usize {
        self.budget.requests_made()
    }

    /// A manifest by tag or digest; `None` if there is none.
    async fn find(
        &self,
        repository: &Repository,
        reference: &str,
        what: &str,
    ) -> Result<Option<Manifest>, RegistryError> {
        let (place, repository) = self.client.route(repository)?;
        let at = format!("/v2/{}/manifests/{reference}", repository.path());
        let (accept, most) = (MANIFESTS, bounds::MANIFEST);
        let ask = Ask { place, repository: &repository, at: &at, accept, what, most };
        let mut answer = ask.answer(&self.budget).await?;
        match answer.status {
            StatusCode::OK => {
                let declared = answer.headers.get(header::CONTENT_TYPE);
                let declared = declared.and_then(|kind| kind.to_str().ok()).map(ToOwned::to_owned);
                Ok(Some(Manifest::new(taken(&mut answer), declared.as_deref())))
            }
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(ask.refusal(&answer)),
        }
    }

    async fn find_tag(
        &self,
        repository: &Repository,
        tag: &str,
    ) -> Result<Option<Manifest>, RegistryError> {
        if !is_tag(tag) {
            let why = "what is asked for is no tag".to_owned();
            return Err(RegistryError::Refused { place: repository.host().to_owned(), why });
        }
        self.find(repository, tag, &format!("tag {tag}")).await
    }

    /// Follows a blob to where the registry keeps it. Nobody there learns who asks.
    async fn follow(&self, ask: &Ask<'_>, answer: Answer) -> Result<Answer, RegistryError> {
        let (mut answer, mut base) = (answer, ask.place.base.parse::<Uri>().unwrap_or_default());
        for times in 0.. {
            if !matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            if times == REDIRECTS {
                break;
            }
            let location = answer.headers.get(header::LOCATION);
            let location = location.and_then(|url| url.to_str().ok()).unwrap_or_default();
            let target = target(location, &base)
                .map_err(|why| ask.place.refused(format!("it redirects a blob to {why}")))?;
            let via = ask.place.far(&target)?;
            let request = Request::get(&target.url).body(Full::default());
            let request =
                request.map_err(|_| ask.place.refused("it redirects a blob to no URL"))?;
            answer = self.budget.send(via, request, (&target.host, ask.what, ask.most)).await?;
            base = target.url;
        }
        Err(ask.place.refused(format!("it redirects a blob more than {REDIRECTS} times")))
    }

    /// The list by the referrers API; `None` if there is no such API.
    async fn by_api(
        &self,
        place: &Place,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<Vec<Descriptor>>, RegistryError> {
        let mut at = format!("/v2/{}/referrers/{digest}", repository.path());
        let mut all = Vec::new();
        for page in 0..PAGES {
            let (accept, what, most) = (INDEX, "list of referrers", bounds::MANIFEST);
            let ask = Ask { place, repository, at: &at, accept, what, most };
            let answer = ask.answer(&self.budget).await?;
            match answer.status.as_u16() {
                200 => {}
                300..=399 | 404 | 405 if page == 0 => return Ok(None),
                _ => return Err(ask.refusal(&answer)),
            }
            all.extend(listed(&place.host, &answer.body)?);
            if all.len() > bounds::REFERRERS {
                break;
            }
            let links = answer.headers.get_all(header::LINK).iter();
            let next = next_page(links.filter_map(|link| link.to_str().ok()));
            let Some(next) = next else { return Ok(Some(all)) };
            at = next_at(place, &at, next)?;
        }
        let (what, limit) = ("referrers, or pages of them", bounds::REFERRERS);
        Err(RegistryError::TooMany { place: place.host.clone(), what, limit })
    }

    async fn all_referrers(
        &self,
        written: &Repository,
        digest: &Digest,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        let (place, repository) = self.client.route(written)?;
        let path = repository.path();
        let known = place.is_without_api(path, Instant::now());
        let by_api = if known { None } else { self.by_api(place, &repository, digest).await? };
        let mut all = match by_api {
            Some(all) if !all.is_empty() => return Ok(all),
            Some(_) => Vec::new(),
            None => {
                let Some(list) = self.find_tag(written, &digest.tag("")).await? else {
                    return Ok(Vec::new());
                };
                // That the tag is there shows that the repository is: so the 404 was about the API.
                place.remember_without_api(path, Instant::now());
                return listed(&place.host, &list.bytes);
            }
        };
        if let Some(list) = self.find_tag(written, &digest.tag("")).await? {
            all.extend(listed(&place.host, &list.bytes)?);
        }
        Ok(all)
    }
}

/// Path and query of the next page, which must be at the same registry.
fn next_at(place: &Place, at: &str, next: &str) -> Result<String, RegistryError> {
    let base: Uri = format!("{}{at}", place.base).parse().unwrap_or_default();
    // Some registries name the next page by its query alone.
    let next =
        if next.starts_with('?') { format!("{}{next}", base.path()) } else { next.to_owned() };
    let target = target(&next, &base)
        .map_err(|why| place.refused(format!("its next page of referrers is at {why}")))?;
    let is_same = target.url.authority() == base.authority() || target.host == place.host;
    if !is_same || target.url.scheme() != base.scheme() {
        return Err(place.refused("its next page of referrers is at another host"));
    }
    let at = target.url.path_and_query().map(ToString::to_string);
    at.ok_or_else(|| place.refused("its next page of referrers is nowhere"))
}

fn listed(place: &str, bytes: &[u8]) -> Result<Vec<Descriptor>, RegistryError> {
    referrers(bytes).map_err(|why| match why {
        super::DocumentError::TooMany(limit) => {
            RegistryError::TooMany { place: place.to_owned(), what: "referrers", limit }
        }
        why => RegistryError::malformed(place, "list of referrers", &why),
    })
}

/// The body, without a copy.
fn taken(answer: &mut Answer) -> Bytes {
    std::mem::take(&mut *answer.body).into()
}

fn verified(place: &str, expected: &Digest, found: Digest) -> Result<(), RegistryError> {
    if found == *expected {
        return Ok(());
    }
    Err(RegistryError::DigestMismatch { place: place.to_owned(), expected: *expected, found })
}

impl Artifacts for Session {
    async fn resolve(&self, repository: &Repository, tag: &str) -> Result<Digest, RegistryError> {
        let found = self.find_tag(repository, tag).await?;
        found.map(|manifest| manifest.digest).ok_or_else(|| RegistryError::NotFound {
            place: repository.host().to_owned(),
            what: format!("tag {tag} of {}", repository.path()),
        })
    }

    async fn manifest(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Manifest, RegistryError> {
        let what = format!("manifest {digest}");
        let found = self.find(repository, &digest.to_string(), &what).await?;
        let place = repository.host();
        let found =
            found.ok_or_else(|| RegistryError::NotFound { place: place.to_owned(), what })?;
        verified(place, digest, found.digest)?;
        Ok(found)
    }

    async fn blob(
        &self,
        written: &Repository,
        digest: &Digest,
        limit: usize,
    ) -> Result<Bytes, RegistryError> {
        let (place, repository) = self.client.route(written)?;
        let at = format!("/v2/{}/blobs/{digest}", repository.path());
        let what = format!("blob {digest}");
        let (repository, accept) = (&repository, "*/*");
        let ask = Ask { place, repository, at: &at, accept, what: &what, most: limit };
        let answer = ask.answer(&self.budget).await?;
        let mut answer = self.follow(&ask, answer).await?;
        if answer.status != StatusCode::OK {
            return Err(ask.refusal(&answer));
        }
        let bytes = taken(&mut answer);
        verified(&place.host, digest, Digest::of(&bytes))?;
        Ok(bytes)
    }

    async fn referrers(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        let mut all = self.all_referrers(repository, digest).await?;
        let mut seen = BTreeSet::new();
        all.retain(|entry| seen.insert(entry.digest));
        if all.len() > bounds::REFERRERS {
            let (place, limit) = (repository.host().to_owned(), bounds::REFERRERS);
            return Err(RegistryError::TooMany { place, what: "referrers", limit });
        }
        Ok(all)
    }

    async fn tagged(
        &self,
        repository: &Repository,
        tag: &str,
    ) -> Result<Option<Manifest>, RegistryError> {
        self.find_tag(repository, tag).await
    }
}
