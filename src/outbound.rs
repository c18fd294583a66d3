//! HTTPS to servers that users of the cluster name.
//!
//! Whoever names a server decides where this process connects to. So certificates are always verified, no redirect is
//! followed, no proxy is asked, time and size of an answer are bounded, and addresses that answer this machine alone
//! (loopback, link-local, the metadata service of a cloud) are refused, also where a host name resolves to one.

mod allowed;

use std::{
    error::Error as StdError,
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{
            HttpConnector, HttpInfo,
            dns::{GaiResolver, Name},
        },
    },
    rt::TokioExecutor,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};
use tokio::{sync::Semaphore, time::timeout};
use tower_service::Service;
use zeroize::Zeroizing;

pub(crate) use allowed::{AllowedHost, reach};

/// A server that takes longer to accept a connection is away.
const CONNECT: Duration = Duration::from_secs(5);
/// Connections kept open between requests.
const IDLE: usize = 4;
/// For how long they are kept.
const IDLE_FOR: Duration = Duration::from_secs(30);
/// For how long the certificates of the system count as they were read.
const ROOTS_STAY: Duration = Duration::from_mins(10);
/// An answer that is larger waits for others that are: each is in memory as a whole.
const SMALL: usize = 64 << 10;
/// Large answers that are received at once, of servers that tenants name.
pub(crate) static LARGE: Semaphore = Semaphore::const_new(16);
/// Where clouds hand out credentials to whoever asks from inside, beside link-local addresses.
const METADATA: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// Whom a server's certificate must come from.
pub(crate) enum Roots {
    /// Those that this machine trusts.
    System,
    /// These.
    Only(Vec<CertificateDer<'static>>),
    /// Those that this machine trusts, if there are any, and these.
    Also(Vec<CertificateDer<'static>>),
}

/// Which addresses may be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// All but those that answer this machine alone, and those of private networks.
    Public,
    /// All but those that answer this machine alone.
    Outside,
    /// All: an administrator named this server.
    Anywhere,
}

/// Who asks, where a certificate says so.
pub(crate) struct ClientCertificate {
    /// The certificate, and what stands between it and its root.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// Its key.
    pub(crate) key: PrivateKeyDer<'static>,
}

/// How servers are connected to.
pub(crate) struct Settings {
    /// Whom to trust.
    pub(crate) roots: Roots,
    /// Which addresses may be reached.
    pub(crate) reach: Reach,
    /// The name in the certificate, if it is not that of the host.
    pub(crate) server_name: Option<String>,
    /// Who asks.
    pub(crate) certificate: Option<ClientCertificate>,
    /// Whether a server without TLS may be asked.
    pub(crate) plain: bool,
    /// Who resolves names.
    pub(crate) names: Names,
    /// Places for large answers, which are in memory as a whole.
    pub(crate) large: &'static Semaphore,
}

/// A name and its addresses.
#[cfg(test)]
type Resolve = Arc<dyn Fn(&str) -> Vec<IpAddr> + Send + Sync>;

/// Who resolves names.
#[derive(Clone)]
pub(crate) enum Names {
    /// The resolver of this machine.
    System(GaiResolver),
    /// A test.
    #[cfg(test)]
    Fixed(Resolve),
}

impl Default for Names {
    fn default() -> Self {
        Self::System(GaiResolver::new())
    }
}

/// How much an answer may be, and how long it may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// From the first byte sent to the last one received.
    pub(crate) time: Duration,
    /// Bytes of the body.
    pub(crate) bytes: usize,
    /// Bytes of the body that are kept if the status is no success: what is beyond is not read. `None`: as above.
    pub(crate) failure: Option<usize>,
}

/// An answer. Its body may hold secrets.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Who answered.
    pub(crate) from: Option<IpAddr>,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

/// Why there is no answer. `Display` is fixed text and what the host is called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OutboundError {
    /// The address may not be reached.
    #[error(
        "{0} is, or resolves to, a loopback or link-local address, or the metadata service of a cloud"
    )]
    Internal(String),
    /// The certificate is not of a root that is trusted, or for another name, or expired.
    #[error("the certificate of {0} is not trusted")]
    Untrusted(String),
    /// The server ended the handshake.
    #[error("{0} refused the TLS connection")]
    Tls(String),
    /// There is no such host.
    #[error("the host name {0} does not resolve")]
    Unresolved(String),
    /// It does not listen, or closes the connection.
    #[error("the connection to {0} failed")]
    Failed(String),
    /// It takes too long.
    #[error("{0} did not answer within {1} s")]
    Late(String, u64),
    /// The answer is too large.
    #[error("the answer of {0} is larger than {1} bytes")]
    TooLarge(String, usize),
}

/// Why no client can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SetupError {
    /// The certificate or key of the client.
    #[error("the client certificate and its key do not fit, or cannot be read")]
    Certificate,
    /// The roots.
    #[error("the certificates of the authority cannot be read")]
    Roots,
    /// The name in the certificate.
    #[error("the name of the server is none")]
    ServerName,
}

/// Connections to servers of one kind. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Outbound {
    client: Client<HttpsConnector<HttpConnector<Guard>>, Full<Bytes>>,
    reach: Reach,
    large: &'static Semaphore,
}

impl Outbound {
    /// Sends nothing yet.
    pub(crate) fn new(settings: Settings) -> Result<Self, SetupError> {
        let Settings { roots, reach, server_name, certificate, plain, names, large } = settings;
        let mut connector = HttpConnector::new_with_resolver(Guard { names, reach });
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT));
        let builder =
            hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls(roots, certificate)?);
        let builder = if plain { builder.https_or_http() } else { builder.https_only() };
        let builder = match server_name {
            Some(name) => {
                let name = ServerName::try_from(name).map_err(|_| SetupError::ServerName)?;
                builder.with_server_name_resolver(FixedServerNameResolver::new(name))
            }
            None => builder,
        };
        let connector = builder.enable_http1().wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(IDLE)
            .pool_timer(hyper_util::rt::TokioTimer::new())
            .pool_idle_timeout(IDLE_FOR)
            .build(connector);
        Ok(Self { client, reach, large })
    }

    /// Sends a request and reads the answer, whatever its status: also a redirect is an answer. `called` is what errors
    /// call the host: one that a template made may hold a secret value.
    pub(crate) async fn send(
        &self,
        request: Request<Full<Bytes>>,
        bounds: Bounds,
        called: &str,
    ) -> Result<Answer, OutboundError> {
        let host = host(request.uri());
        if host.parse().is_ok_and(|at| !self.reach.allows(at)) {
            return Err(OutboundError::Internal(called.to_owned()));
        }
        let answer = timeout(bounds.time, self.exchange(called, request, bounds)).await;
        let late = || OutboundError::Late(called.to_owned(), bounds.time.as_secs());
        answer.unwrap_or_else(|_| Err(late()))
    }

    async fn exchange(
        &self,
        called: &str,
        request: Request<Full<Bytes>>,
        bounds: Bounds,
    ) -> Result<Answer, OutboundError> {
        let sent = self.client.request(request).await;
        let (head, mut body) = sent.map_err(|error| cause(&error, called))?.into_parts();
        let from = head.extensions.get::<HttpInfo>().map(|info| info.remote_addr().ip());
        let cut = bounds.failure.filter(|_| !head.status.is_success());
        let (mut whole, mut permit) = (Zeroizing::new(Vec::new()), None);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| OutboundError::Failed(called.to_owned()))?;
            let Some(part) = frame.data_ref() else { continue };
            let room = cut.unwrap_or(bounds.bytes).saturating_sub(whole.len());
            if part.len() > room {
                if cut.is_none() {
                    return Err(OutboundError::TooLarge(called.to_owned(), bounds.bytes));
                }
                whole.extend_from_slice(part.get(..room).unwrap_or_default());
                break;
            }
            if permit.is_none() && whole.len() + part.len() > SMALL {
                let waited = self.large.acquire().await;
                permit = Some(waited.map_err(|_| OutboundError::Failed(called.to_owned()))?);
            }
            whole.extend_from_slice(part);
        }
        Ok(Answer { status: head.status, headers: head.headers, from, body: whole })
    }
}

/// Those of the system. They are read again now and then: an image's bundle may be mounted and replaced.
fn system_roots() -> Result<Arc<RootCertStore>, SetupError> {
    static READ: Mutex<Option<(Instant, Arc<RootCertStore>)>> = Mutex::new(None);
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((at, roots)) = read.as_ref()
        && at.elapsed() < ROOTS_STAY
    {
        return Ok(Arc::clone(roots));
    }
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if store.is_empty() {
        return Err(SetupError::Roots);
    }
    let roots = Arc::new(store);
    *read = Some((Instant::now(), Arc::clone(&roots)));
    Ok(roots)
}

fn with(
    mut store: RootCertStore,
    certificates: Vec<CertificateDer<'static>>,
) -> Result<RootCertStore, SetupError> {
    for certificate in certificates {
        store.add(certificate).map_err(|_| SetupError::Roots)?;
    }
    Ok(store)
}

fn tls(roots: Roots, certificate: Option<ClientCertificate>) -> Result<ClientConfig, SetupError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| SetupError::Roots)?;
    let builder = match roots {
        Roots::System => builder.with_root_certificates(system_roots()?),
        Roots::Only(certificates) => {
            builder.with_root_certificates(with(RootCertStore::empty(), certificates)?)
        }
        Roots::Also(certificates) => {
            // A machine without any is no reason not to trust what an administrator gives.
            let system = system_roots().map(|roots| RootCertStore::clone(&roots));
            let system = system.unwrap_or_else(|_| RootCertStore::empty());
            builder.with_root_certificates(with(system, certificates)?)
        }
    };
    match certificate {
        Some(ClientCertificate { chain, key }) => {
            builder.with_client_auth_cert(chain, key).map_err(|_| SetupError::Certificate)
        }
        None => Ok(builder.with_no_client_auth()),
    }
}

/// The host of a URL, without the brackets of an IPv6 address.
pub(crate) fn host(url: &Uri) -> String {
    url.host().unwrap_or_default().trim_matches(['[', ']']).to_owned()
}

impl Reach {
    fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::Anywhere => true,
            Self::Outside => !is_internal(address),
            Self::Public => !is_internal(address) && !is_private(address),
        }
    }
}

/// Whether an address is of a private network, or of none that the internet has.
pub(crate) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, third, _] = address.octets();
            address.is_private()
                // Between a provider and its customers; for tests of networks; reserved; for protocols; in documents.
                || (first == 100 && second & 0xc0 == 64)
                || (first == 198 && second & 0xfe == 18)
                || first >= 240
                || (first == 192 && second == 0 && third == 0)
                || address.is_documentation()
        }
        IpAddr::V6(address) => {
            // Unique local, and site-local of old.
            address.is_unique_local()
                || address.segments().first().is_some_and(|first| first & 0xffc0 == 0xfec0)
                || inner(address).is_some_and(|inner| is_private(IpAddr::V4(inner)))
        }
    }
}

/// Whether an address answers this machine alone.
pub(crate) fn is_internal(address: IpAddr) -> bool {
    if METADATA.contains(&address) {
        return true;
    }
    match address {
        IpAddr::V4(address) => {
            METADATA.contains(&IpAddr::V4(address))
                || address.is_loopback()
                || address.is_link_local()
                || address.is_multicast()
                || address.is_broadcast()
                || address.octets()[0] == 0
        }
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_multicast()
                || address.is_unicast_link_local()
                // Metadata, time, names and identities of AWS.
                || matches!(address.segments(), [0xfd00, 0xec2, ..])
                || inner(address).is_some_and(|inner| is_internal(IpAddr::V4(inner)))
        }
    }
}

/// The IPv4 address that an IPv6 address leads to: mapped, compatible, or by the well-known prefix of NAT64.
fn inner(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let (prefix, address) = (address.to_bits() >> 32, address.to_bits() & 0xffff_ffff);
    let is_embedded = matches!(prefix, 0 | 0xffff) || prefix == 0x64_ff9b << 64;
    is_embedded.then(|| u32::try_from(address).ok().map(Ipv4Addr::from_bits)).flatten()
}

/// A resolver, without the addresses that may not be reached.
#[derive(Clone)]
struct Guard {
    names: Names,
    reach: Reach,
}

/// A host name resolves to an address that tenants may not reach.
#[derive(Debug, thiserror::Error)]
#[error("the address is not for tenants")]
struct Kept;

type Resolved = Result<std::vec::IntoIter<SocketAddr>, Box<dyn StdError + Send + Sync>>;

impl Service<Name> for Guard {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Box<dyn StdError + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Resolved> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (names, reach) = (self.names.clone(), self.reach);
        Box::pin(async move {
            let found: Vec<SocketAddr> = match names {
                Names::System(mut system) => system.call(name).await?.collect(),
                #[cfg(test)]
                Names::Fixed(resolve) => {
                    resolve(name.as_str()).into_iter().map(|at| SocketAddr::new(at, 0)).collect()
                }
            };
            // One that is refused makes the name suspect: another answer may follow.
            if found.iter().any(|at| !reach.allows(at.ip())) {
                return Err(Kept.into());
            }
            Ok(found.into_iter())
        })
    }
}

/// What went wrong, of what the client's chain of errors says. None of its texts gets out.
fn cause(error: &(dyn StdError + 'static), called: &str) -> OutboundError {
    let host = called.to_owned();
    let mut is_name = false;
    let mut link = Some(error);
    while let Some(error) = link {
        if error.is::<Kept>() {
            return OutboundError::Internal(host);
        }
        match error.downcast_ref::<rustls::Error>() {
            Some(rustls::Error::InvalidCertificate(_)) => return OutboundError::Untrusted(host),
            Some(_) => return OutboundError::Tls(host),
            None => is_name |= error.to_string() == "dns error",
        }
        // The source of an I/O error is not what is in it, but the source of that.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        link = inner.map(|inner| -> &(dyn StdError + 'static) { inner }).or_else(|| error.source());
    }
    if is_name { OutboundError::Unresolved(host) } else { OutboundError::Failed(host) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn internal(text: &str) -> bool {
        is_internal(text.parse().expect("an address"))
    }

    #[test]
    fn an_address_that_answers_this_machine_alone_is_known_in_all_its_forms() {
        for address in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "100.100.100.200",
            "168.63.129.16",
            "::1",
            "::",
            "fe80::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
        ] {
            assert!(internal(address), "{address}");
        }
        for address in [
            "10.0.0.1",
            "192.168.1.1",
            "172.16.0.1",
            "100.64.0.1",
            "93.184.216.34",
            "fd00::1",
            "2001:db8::1",
            "64:ff9b::a00:1",
        ] {
            assert!(!internal(address), "{address}");
        }
    }

    #[test]
    fn a_private_address_is_known_in_all_its_forms() {
        let private = |text: &str| is_private(text.parse().expect("an address"));
        for address in [
            "10.0.0.1",
            "192.168.1.1",
            "172.16.0.1",
            "172.31.255.255",
            "100.64.0.1",
            "100.127.0.1",
            "198.19.0.1",
            "192.0.0.8",
            "240.0.0.1",
            "fd00::1",
            "fc00::1",
            "fec0::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
        ] {
            assert!(private(address), "{address}");
        }
        for address in ["93.184.216.34", "100.128.0.1", "172.32.0.1", "192.169.0.1", "2606:4700::1"]
        {
            assert!(!private(address), "{address}");
        }
    }

    async fn outcome(url: &str, reach: Reach, plain: bool) -> OutboundError {
        let settings = Settings {
            roots: Roots::Only(Vec::new()),
            reach,
            server_name: None,
            certificate: None,
            plain,
            names: Names::default(),
            large: &LARGE,
        };
        let client = Outbound::new(settings).expect("a client");
        let request = Request::get(url).body(Full::default()).expect("a request");
        let bounds = Bounds { time: Duration::from_secs(5), bytes: 10, failure: None };
        let called = host(&url.parse().expect("a URL"));
        client
            .send(request, bounds, &called)
            .await
            .map(|answer| answer.status)
            .expect_err("no answer")
    }

    #[tokio::test]
    async fn no_request_reaches_this_machine_by_address_or_by_name() {
        for host in ["127.0.0.1", "[::1]", "localhost", "127.1", "2130706433", "0x7f.0.0.1", "0"] {
            let error = outcome(&format!("http://{host}:1/"), Reach::Outside, true).await;
            assert!(
                matches!(error, OutboundError::Internal(_) | OutboundError::Unresolved(_)),
                "{host}: {error}"
            );
        }
        let error = outcome("https://localhost:1/", Reach::Outside, false).await;
        assert_eq!(error, OutboundError::Internal("localhost".to_owned()));
        let error = outcome("https://127.0.0.1:1/", Reach::Anywhere, false).await;
        assert_eq!(error, OutboundError::Failed("127.0.0.1".to_owned()));
    }

    #[tokio::test]
    async fn an_answer_is_read_to_its_bound_and_no_further() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
                let _ = stream.read(&mut [0; 1024]).await;
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n12345678901";
                let _ = stream.write_all(answer).await;
            }
        });
        let error = outcome(&format!("http://127.0.0.1:{port}/"), Reach::Anywhere, true).await;
        assert_eq!(error, OutboundError::TooLarge("127.0.0.1".to_owned(), 10));
    }
}
