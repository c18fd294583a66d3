//! One registry: how it is connected to, and what is known of it.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use http::HeaderValue;
use tokio::sync::Semaphore;

use super::{
    super::RegistryError,
    ClientError, HostSettings,
    challenge::Challenge,
    credentials::CredentialSource,
    pace::{Pace, Wait},
    realm::Target,
};
use crate::outbound::{self, Names, Outbound, Reach, Roots};

/// Requests to one registry at once.
const CONCURRENT: usize = 4;
/// For how long a repository is remembered to have no referrers API.
const WITHOUT_API: Duration = Duration::from_mins(10);
/// Repositories that are remembered of one registry.
const REMEMBERED: usize = 512;
/// Large answers of registries that are in memory at once.
static LARGE: Semaphore = Semaphore::const_new(8);

/// A registry that may be asked.
pub(super) struct Place {
    /// Its canonical name, which messages use.
    pub(super) host: String,
    /// Scheme, host and port.
    pub(super) base: String,
    /// Hosts that make its tokens, beside the usual ones.
    pub(super) token_hosts: Vec<String>,
    /// Who asks.
    pub(super) credentials: Option<Arc<dyn CredentialSource>>,
    /// Places for requests.
    pub(super) permits: Semaphore,
    /// To the registry itself.
    pub(super) near: Outbound,
    far: Far,
    known: Mutex<Known>,
}

/// To hosts that the registry names.
struct Far {
    /// On the internet.
    public: Outbound,
    /// Also in private networks.
    private: Outbound,
    /// To hosts that an administrator lists as insecure.
    insecure: Option<(BTreeSet<String>, Outbound)>,
}

#[derive(Default)]
struct Known {
    pace: Pace,
    challenge: Option<Challenge>,
    /// Whether it is in a private network, or on this machine.
    is_private: bool,
    tokens: HashMap<String, (HeaderValue, Instant)>,
    without_api: HashMap<String, Instant>,
}

impl Place {
    pub(super) fn new(
        host: &str,
        settings: &HostSettings,
        insecure: &BTreeSet<String>,
        names: &Names,
    ) -> Result<Self, ClientError> {
        let own = || settings.roots.clone();
        let connect = |roots: Roots, reach: Reach, plain: bool| {
            let (server_name, certificate, names) = (None, None, names.clone());
            let settings = outbound::Settings {
                roots,
                reach,
                server_name,
                certificate,
                plain,
                names,
                large: &LARGE,
            };
            Outbound::new(settings)
                .map_err(|why| ClientError { host: host.to_owned(), why: why.to_string() })
        };
        let is_insecure = insecure.contains(host);
        let has_roots = !settings.roots.is_empty();
        let (near, scheme) = match (is_insecure, has_roots) {
            (true, false) => (connect(Roots::Only(Vec::new()), Reach::Anywhere, true)?, "http"),
            (true, true) => (connect(Roots::Only(own()), Reach::Anywhere, false)?, "https"),
            (false, true) => (connect(Roots::Only(own()), Reach::Outside, false)?, "https"),
            (false, false) => (connect(Roots::System, Reach::Outside, false)?, "https"),
        };
        // An insecure registry needs no certificates of this machine.
        let far = |reach| {
            let roots = if is_insecure { Roots::Only(own()) } else { Roots::Also(own()) };
            connect(roots, reach, false)
        };
        let listed = if insecure.is_empty() {
            None
        } else {
            let any = connect(Roots::Only(own()), Reach::Anywhere, true)?;
            Some((insecure.clone(), any))
        };
        let far =
            Far { public: far(Reach::Public)?, private: far(Reach::Outside)?, insecure: listed };
        let authority = if host == "docker.io" { "registry-1.docker.io" } else { host };
        Ok(Self {
            host: host.to_owned(),
            base: format!("{scheme}://{authority}"),
            token_hosts: settings.token_hosts.clone(),
            credentials: settings.credentials.clone(),
            permits: Semaphore::new(CONCURRENT),
            near,
            far,
            known: Mutex::default(),
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How a host that the registry names is connected to, or why it is not.
    pub(super) fn far(&self, target: &Target) -> Result<&Outbound, RegistryError> {
        let listed = self.far.insecure.as_ref().filter(|(all, _)| all.contains(&target.host));
        if let Some((_, outbound)) = listed {
            return Ok(outbound);
        }
        if !target.is_tls() {
            return Err(self.refused("it sends us to a server without TLS"));
        }
        let is_private = self.known().is_private;
        Ok(if is_private { &self.far.private } else { &self.far.public })
    }

    /// An error that a rule of ours is.
    pub(super) fn refused(&self, why: impl Into<String>) -> RegistryError {
        RegistryError::Refused { place: self.host.clone(), why: why.into() }
    }

    /// Whether it may be asked now.
    pub(super) fn admit(&self, now: Instant) -> Result<(), RegistryError> {
        let place = || self.host.clone();
        self.known().pace.admit(now).map_err(|wait| match wait {
            Wait::Throttled(left) => {
                RegistryError::Throttled { place: place(), seconds: left.as_secs().max(1) }
            }
            Wait::Away(left) => RegistryError::Unavailable {
                place: place(),
                why: format!(
                    "it did not answer several times; it is asked again in {} s",
                    left.as_secs().max(1)
                ),
            },
        })
    }

    pub(super) fn answered(&self) {
        self.known().pace.answered();
    }

    pub(super) fn throttled(&self, now: Instant, after: Option<Duration>) -> Duration {
        self.known().pace.throttled(now, after)
    }

    pub(super) fn failed(&self, now: Instant) {
        self.known().pace.failed(now);
    }

    /// Remembers where the registry is.
    pub(super) fn seen_at(&self, from: Option<IpAddr>) {
        let is_private = |at| outbound::is_private(at) || outbound::is_internal(at);
        self.known().is_private = from.is_some_and(is_private);
    }

    pub(super) fn challenge(&self) -> Option<Challenge> {
        self.known().challenge.clone()
    }

    pub(super) fn learn(&self, challenge: Challenge) {
        self.known().challenge = Some(challenge);
    }

    pub(super) fn token(&self, path: &str, now: Instant) -> Option<HeaderValue> {
        let known = self.known();
        known.tokens.get(path).filter(|(_, until)| now < *until).map(|(token, _)| token.clone())
    }

    pub(super) fn keep_token(&self, path: &str, token: HeaderValue, until: Instant, now: Instant) {
        let tokens = &mut self.known().tokens;
        make_room(tokens, |(_, until)| now < *until);
        tokens.insert(path.to_owned(), (token, until));
    }

    pub(super) fn forget_token(&self, path: &str) {
        self.known().tokens.remove(path);
    }

    /// Whether a repository is known to have no referrers API.
    pub(super) fn is_without_api(&self, path: &str, now: Instant) -> bool {
        self.known().without_api.get(path).is_some_and(|until| now < *until)
    }

    pub(super) fn remember_without_api(&self, path: &str, now: Instant) {
        let all = &mut self.known().without_api;
        make_room(all, |until| now < *until);
        all.insert(path.to_owned(), now + WITHOUT_API);
    }

    /// With whose credentials it is asked, in words.
    pub(super) fn who(&self) -> String {
        match &self.credentials {
            Some(source) => {
                format!("with {}; Gabion uses its own credentials, never a pod's", source.name())
            }
            None => "without credentials; give Gabion some, a pod's are never used".to_owned(),
        }
    }
}

/// Who may push makes names of repositories, so there is an end to what is remembered of them.
fn make_room<V>(all: &mut HashMap<String, V>, is_of_use: impl Fn(&V) -> bool) {
    if all.len() >= REMEMBERED {
        all.retain(|_, value| is_of_use(value));
    }
    if all.len() >= REMEMBERED {
        all.clear();
    }
}
