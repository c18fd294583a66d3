//! Secrets Manager, Parameter Store and STS in this process: fast, scriptable, and it counts.
//!
//! It follows AWS's documentation where tests need it: version stages, per-item errors of a batch, pages by
//! size, texts of errors. Signatures are not checked; the access key id of each request is recorded. It runs
//! on a thread of its own, on a free loopback port, and ends when the value is dropped.

mod stages;
mod writes;

pub use stages::Managed;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt::Write as _,
    future::pending,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::parameter_store::Parameters;

/// What happens to a call instead of, or before, its answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The answer comes, but late.
    Delay(Duration),
    /// 500 `InternalServiceError`.
    Broken,
    /// 400 `ThrottlingException`.
    Throttle,
    /// No answer, ever.
    Hang,
    /// It is done, and there is no answer, ever.
    Unanswered,
    /// Status 200 and half a JSON document with a value in it.
    Garbage,
    /// The connection is closed without an answer.
    Drop,
    /// 400 (403 for STS) with this code and message.
    Refuse(&'static str, &'static str),
}

/// Who may not do what; `None` means anything.
#[derive(Clone, Debug, Default)]
pub struct Denial {
    pub operation: Option<&'static str>,
    pub access_key: Option<String>,
    /// Name of the secret or ARN of the role. A denial of one secret shows as an item error in a batch.
    pub secret: Option<String>,
}

/// One request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub operation: String,
    pub access_key: String,
    /// `SecretId`, `SecretIdList`, or nothing.
    pub ids: Vec<String>,
    /// Parameters of an STS request.
    pub parameters: BTreeMap<String, String>,
}

#[derive(Clone, Default)]
struct Secret {
    arn: String,
    versions: BTreeMap<String, Stored>,
    tags: BTreeMap<String, String>,
    description: Option<String>,
    kms_key: Option<String>,
    deleted: bool,
    managed: Managed,
    lag: stages::Lag,
}

#[derive(Clone)]
struct Stored {
    stages: Vec<String>,
    /// Ready to go into an answer: `"SecretString":"..."` or `"SecretBinary":"..."`.
    field: String,
    /// A time long ago where there is none.
    created: Option<SystemTime>,
}

#[derive(Default)]
struct Contents {
    secrets: BTreeMap<String, Secret>,
    parameters: Parameters,
    names_by_arn: HashMap<String, String>,
    denials: Vec<Denial>,
    rejected_keys: HashMap<String, &'static str>,
    scripts: HashMap<String, VecDeque<Fault>>,
    standing: HashMap<String, Fault>,
    standing_of_key: HashMap<String, Fault>,
    omitted: Vec<String>,
    sessions: HashMap<String, SystemTime>,
    session_life: Duration,
    page_bytes: usize,
    page_names: usize,
    counts: HashMap<(String, String), usize>,
    received: Option<Vec<Received>>,
    serial: u64,
}

struct State {
    contents: Mutex<Contents>,
    connections: AtomicUsize,
}

/// The running server.
pub struct SecretsManager {
    address: SocketAddr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl SecretsManager {
    /// Starts on a free port and records every request.
    pub fn start() -> Self {
        let server = Self::start_at(([127, 0, 0, 1], 0).into());
        server.contents().received = Some(Vec::new());
        server
    }

    /// For benchmarks: listens on the given port (0: any), and counts, but keeps no list of requests.
    pub fn start_at(address: SocketAddr) -> Self {
        let listener = std::net::TcpListener::bind(address).expect("a free port");
        listener.set_nonblocking(true).expect("a socket option");
        let address = listener.local_addr().expect("an address");
        let contents = Contents {
            session_life: Duration::from_hours(1),
            page_bytes: 1_000_000,
            page_names: 100,
            ..Contents::default()
        };
        let state =
            Arc::new(State { contents: Mutex::new(contents), connections: AtomicUsize::new(0) });
        let (stop, stopped) = oneshot::channel();
        let shared = state.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                tokio::select! {
                    () = serve(listener, shared) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, state, stop: Some(stop), thread: Some(thread) }
    }

    /// For `AWS_ENDPOINT_URL` and its kin.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A new current version with a text; its ARN.
    pub fn put(&self, name: &str, text: &str) -> String {
        self.contents().put(name, format!("\"SecretString\":{}", json!(text)))
    }

    /// A new current version with bytes; its ARN.
    pub fn put_binary(&self, name: &str, bytes: &[u8]) -> String {
        self.contents().put(name, format!("\"SecretBinary\":\"{}\"", BASE64.encode(bytes)))
    }

    /// A version with exactly this id and these stages; stages leave the versions that had them.
    pub fn put_version(&self, name: &str, id: &str, stages: &[&str], text: &str) -> String {
        let field = format!("\"SecretString\":{}", json!(text));
        self.contents().put_version(name, id, stages, field)
    }

    pub fn tag(&self, name: &str, key: &str, value: &str) {
        self.contents().secret(name).tags.insert(key.to_owned(), value.to_owned());
    }

    /// Marks for deletion, with a recovery window.
    pub fn untag(&self, name: &str, key: &str) {
        self.contents().secret(name).tags.remove(key);
    }

    pub fn schedule_deletion(&self, name: &str) {
        self.contents().secret(name).deleted = true;
    }

    pub fn restore(&self, name: &str) {
        self.contents().secret(name).deleted = false;
    }

    pub fn remove(&self, name: &str) {
        self.contents().secrets.remove(name);
    }

    /// The current value, of whichever form; `None` if the secret does not exist or is marked for deletion.
    pub fn value_of(&self, name: &str) -> Option<String> {
        let contents = self.contents();
        let secret = contents.secrets.get(name).filter(|secret| !secret.deleted)?;
        let current = secret.versions.values().find(|v| v.stages.iter().any(|s| s == "AWSCURRENT"));
        let field: Value = serde_json::from_str(&format!("{{{}}}", current?.field)).ok()?;
        if let Some(text) = field["SecretString"].as_str() {
            return Some(text.to_owned());
        }
        let bytes = BASE64.decode(field["SecretBinary"].as_str()?).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Tags, description and KMS key of a secret, also of one that is marked for deletion.
    pub fn settings_of(&self, name: &str) -> Option<Value> {
        let contents = self.contents();
        let secret = contents.secrets.get(name)?;
        Some(json!({"tags": secret.tags, "description": secret.description,
            "kms": secret.kms_key, "deleted": secret.deleted}))
    }

    /// Whether the current value is text, and not binary.
    pub fn is_text(&self, name: &str) -> bool {
        let contents = self.contents();
        let versions = contents.secrets.get(name).into_iter().flat_map(|it| it.versions.values());
        let mut current = versions.filter(|v| v.stages.iter().any(|s| s == "AWSCURRENT"));
        current.any(|version| version.field.starts_with("\"SecretString"))
    }

    /// Gives a secret a description and a KMS key, as its owner does.
    pub fn describe_secret(&self, name: &str, description: &str, kms_key: &str) {
        let mut contents = self.contents();
        let secret = contents.secret(name);
        secret.description = Some(description.to_owned());
        secret.kms_key = Some(kms_key.to_owned());
    }

    /// Value, type, tier, key, description and tags of a parameter.
    pub fn parameter(&self, name: &str) -> Option<Value> {
        self.contents().parameters.shown(name)
    }

    /// Requests that change secrets or parameters.
    pub fn writes(&self) -> Vec<Received> {
        let reads = ["Get", "BatchGet", "Describe", "List", "Assume"];
        let all = self.received().into_iter();
        all.filter(|call| !reads.iter().any(|read| call.operation.starts_with(read))).collect()
    }

    /// A new version of a parameter with a text; the labels leave the versions that had them.
    pub fn put_parameter(&self, name: &str, text: &str, labels: &[&str]) {
        self.contents().parameters.put(name, text, labels);
    }

    pub fn tag_parameter(&self, name: &str, key: &str, value: &str) {
        self.contents().parameters.tag(name, key, value);
    }

    pub fn remove_parameter(&self, name: &str) {
        self.contents().parameters.remove(name);
    }

    pub fn deny(&self, denial: Denial) {
        self.contents().denials.push(denial);
    }

    pub fn allow_everything(&self) {
        let mut contents = self.contents();
        contents.denials.clear();
        contents.rejected_keys.clear();
    }

    /// Every request of this key gets this error code, such as `UnrecognizedClientException`.
    pub fn reject_key(&self, access_key: &str, code: &'static str) {
        self.contents().rejected_keys.insert(access_key.to_owned(), code);
    }

    /// The next `times` calls of this operation meet this fault; after faults scripted before.
    pub fn fault(&self, operation: &str, fault: &Fault, times: usize) {
        let mut contents = self.contents();
        let script = contents.scripts.entry(operation.to_owned()).or_default();
        script.extend(std::iter::repeat_n(fault.clone(), times));
    }

    /// Every call of this operation meets this fault, until it is taken back with `None`.
    pub fn standing_fault(&self, operation: &str, fault: Option<Fault>) {
        let mut contents = self.contents();
        match fault {
            Some(fault) => contents.standing.insert(operation.to_owned(), fault),
            None => contents.standing.remove(operation),
        };
    }

    /// Every call of this key meets this fault, until it is taken back with `None`.
    pub fn fault_of_key(&self, access_key: &str, fault: Option<Fault>) {
        let mut contents = self.contents();
        match fault {
            Some(fault) => contents.standing_of_key.insert(access_key.to_owned(), fault),
            None => contents.standing_of_key.remove(access_key),
        };
    }

    /// Batches leave this secret out: no value and no error. Those of parameters call it invalid.
    pub fn omit_from_batches(&self, name: &str) {
        self.contents().omitted.push(name.to_owned());
    }

    /// How long STS sessions live from now on.
    pub fn session_life(&self, life: Duration) {
        self.contents().session_life = life;
    }

    /// A page of a batch ends after this many bytes of values (AWS: about one megabyte).
    pub fn page_bytes(&self, bytes: usize) {
        self.contents().page_bytes = bytes;
    }

    /// A page of a list has so many names at most (AWS: 100).
    pub fn page_names(&self, names: usize) {
        self.contents().page_names = names;
    }

    /// Requests of one operation, retries included.
    pub fn calls(&self, operation: &str) -> usize {
        let contents = self.contents();
        contents.counts.iter().filter(|((of, _), _)| of == operation).map(|(_, count)| count).sum()
    }

    /// Requests of one operation with one access key id.
    pub fn calls_of(&self, operation: &str, access_key: &str) -> usize {
        let key = (operation.to_owned(), access_key.to_owned());
        self.contents().counts.get(&key).copied().unwrap_or_default()
    }

    /// Remembers requests from now on, which a server at a given address does not.
    pub fn remember(&self) {
        self.contents().received.get_or_insert_default();
    }

    /// Everything that arrived, in order.
    pub fn received(&self) -> Vec<Received> {
        self.contents().received.clone().unwrap_or_default()
    }

    /// Starts counting and recording anew.
    pub fn reset_counts(&self) {
        let mut contents = self.contents();
        contents.counts.clear();
        if let Some(received) = &mut contents.received {
            received.clear();
        }
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Relaxed)
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.state.contents.lock().expect("no panic while held")
    }
}

impl Drop for SecretsManager {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: tokio::net::TcpListener, state: Arc<State>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        state.connections.fetch_add(1, Ordering::Relaxed);
        let state = state.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| answer(state.clone(), request));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            // An error here is a client that went away, or a connection dropped on purpose.
            let _ = connection.await;
        });
    }
}

/// Ends the connection without an answer.
#[derive(Debug)]
struct Dropped;

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("dropped on purpose")
    }
}

impl std::error::Error for Dropped {}

struct Reply {
    status: u16,
    body: String,
    xml: bool,
}

async fn answer(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Dropped> {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let access_key = header("authorization")
        .and_then(|value| value.split_once("Credential="))
        .and_then(|(_, rest)| rest.split('/').next())
        .unwrap_or_default()
        .to_owned();
    let target = header("x-amz-target").and_then(|value| {
        let (service, operation) = value.split_once('.')?;
        let ssm = service == "AmazonSSM";
        match service {
            "AmazonSSM" | "secretsmanager" | "AmazonEC2ContainerRegistry_V20150921" => {
                Some((ssm, operation.to_owned()))
            }
            "SpencerFrontendService" => Some((false, format!("Public{operation}"))),
            _ => None,
        }
    });
    let body = request.into_body().collect().await.map_err(|_| Dropped)?.to_bytes();
    let call = Call::parse(target, access_key, &body);
    let fault = state.contents.lock().expect("no panic while held").receive(&call);
    match &fault {
        Some(Fault::Delay(time)) => tokio::time::sleep(*time).await,
        Some(Fault::Hang) => pending::<()>().await,
        Some(Fault::Drop) => return Err(Dropped),
        _ => {}
    }
    let reply = match &fault {
        Some(Fault::Broken) => call.refusal("InternalServiceError", "request 0f3b failed", 500),
        Some(Fault::Throttle) if call.sts => call.refusal("Throttling", "Rate exceeded", 400),
        Some(Fault::Throttle) => call.refusal("ThrottlingException", "Rate exceeded", 400),
        Some(Fault::Garbage) => {
            let body = "{\"SecretString\":\"hunter2-garbage\",".to_owned();
            Reply { status: 200, body, xml: call.sts }
        }
        Some(Fault::Refuse(code, message)) => {
            call.refusal(code, message, if call.sts { 403 } else { 400 })
        }
        _ => state.contents.lock().expect("no panic while held").reply(&call),
    };
    if matches!(fault, Some(Fault::Unanswered)) {
        pending::<()>().await;
    }
    let kind = if reply.xml { "text/xml" } else { "application/x-amz-json-1.1" };
    Ok(Response::builder()
        .status(reply.status)
        .header("content-type", kind)
        .header("x-amzn-requestid", "00000000-0000-0000-0000-000000000000")
        .body(Full::new(Bytes::from(reply.body)))
        .expect("a valid response"))
}

struct Call {
    operation: String,
    access_key: String,
    sts: bool,
    ssm: bool,
    input: Value,
}

impl Call {
    fn parse(target: Option<(bool, String)>, access_key: String, body: &[u8]) -> Self {
        if let Some((ssm, operation)) = target {
            let input = serde_json::from_slice(body).unwrap_or_default();
            return Self { operation, access_key, sts: false, ssm, input };
        }
        let text = String::from_utf8_lossy(body);
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        let input: serde_json::Map<_, _> =
            pairs.map(|(key, value)| (unescaped(key), Value::from(unescaped(value)))).collect();
        let operation = input.get("Action").and_then(Value::as_str).unwrap_or_default().to_owned();
        Self { operation, access_key, sts: true, ssm: false, input: Value::Object(input) }
    }

    fn text(&self, field: &str) -> Option<&str> {
        self.input.get(field).and_then(Value::as_str)
    }

    fn ids(&self) -> Vec<String> {
        let lists = ["SecretIdList", "Names"].map(|field| self.input.get(field));
        let many = lists.into_iter().flatten().filter_map(Value::as_array).flatten();
        let many = many.filter_map(Value::as_str);
        let one = [self.text("SecretId"), self.text("Name")].into_iter().flatten();
        one.chain(many).map(str::to_owned).collect()
    }

    fn refusal(&self, code: &str, message: &str, status: u16) -> Reply {
        let body = if self.sts {
            format!(
                "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>\
                 <Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
                 <RequestId>0</RequestId></ErrorResponse>"
            )
        } else {
            json!({ "__type": code, "Message": message }).to_string()
        };
        Reply { status, body, xml: self.sts }
    }

    fn denied(&self, what: &str) -> (&'static str, String) {
        self.denied_to(&self.operation, what)
    }

    fn denied_to(&self, operation: &str, what: &str) -> (&'static str, String) {
        let service = match (self.sts, self.ssm) {
            (true, _) => "sts",
            (_, true) => "ssm",
            _ => "secretsmanager",
        };
        let key = &self.access_key;
        let message = format!(
            "User: arn:aws:iam::000000000000:user/{key} is not authorized to perform: \
             {service}:{operation} on resource: {what} because no identity-based policy allows it"
        );
        (if self.sts { "AccessDenied" } else { "AccessDeniedException" }, message)
    }
}

type Refusal = (&'static str, String);

impl Contents {
    fn put(&mut self, name: &str, field: String) -> String {
        self.serial += 1;
        let id = format!("00000000-0000-0000-0000-{:012}", self.serial);
        if let Some(secret) = self.secrets.get_mut(name) {
            for version in secret.versions.values_mut() {
                version.stages.retain(|stage| stage != "AWSPREVIOUS");
                for stage in &mut version.stages {
                    if stage == "AWSCURRENT" {
                        "AWSPREVIOUS".clone_into(stage);
                    }
                }
            }
        }
        self.put_version(name, &id, &["AWSCURRENT"], field)
    }

    fn put_version(&mut self, name: &str, id: &str, stages: &[&str], field: String) -> String {
        let secret = self.secrets.entry(name.to_owned()).or_default();
        if secret.arn.is_empty() {
            secret.arn = format!(
                "arn:aws:secretsmanager:eu-west-1:000000000000:secret:{name}-{}",
                suffix(name)
            );
        }
        for version in secret.versions.values_mut() {
            version.stages.retain(|stage| !stages.contains(&stage.as_str()));
        }
        let stages = stages.iter().map(|stage| (*stage).to_owned()).collect();
        secret.versions.insert(id.to_owned(), Stored { stages, field, created: None });
        let arn = secret.arn.clone();
        let partial = arn[..arn.len() - 7].to_owned();
        self.names_by_arn.insert(arn.clone(), name.to_owned());
        self.names_by_arn.insert(partial, name.to_owned());
        arn
    }

    fn secret(&mut self, name: &str) -> &mut Secret {
        self.secrets.get_mut(name).expect("a secret of that name")
    }

    fn receive(&mut self, call: &Call) -> Option<Fault> {
        let key = (call.operation.clone(), call.access_key.clone());
        *self.counts.entry(key).or_default() += 1;
        if let Some(received) = &mut self.received {
            let parameters = if call.sts { call.input.as_object() } else { None };
            received.push(Received {
                operation: call.operation.clone(),
                access_key: call.access_key.clone(),
                ids: call.ids(),
                parameters: parameters
                    .into_iter()
                    .flatten()
                    .map(|(key, value)| {
                        (key.clone(), value.as_str().unwrap_or_default().to_owned())
                    })
                    .collect(),
            });
        }
        let scripted = self.scripts.get_mut(&call.operation).and_then(VecDeque::pop_front);
        let of_key = || self.standing_of_key.get(&call.access_key).cloned();
        scripted.or_else(of_key).or_else(|| self.standing.get(&call.operation).cloned())
    }

    fn reply(&mut self, call: &Call) -> Reply {
        if let Some(code) = self.rejected_keys.get(&call.access_key) {
            return call.refusal(
                code,
                "The security token included in the request is invalid",
                400,
            );
        }
        if let Some(expiry) = self.sessions.get(&call.access_key)
            && *expiry <= SystemTime::now()
        {
            let message = "The security token included in the request is expired";
            let code = if call.sts { "ExpiredToken" } else { "ExpiredTokenException" };
            return call.refusal(code, message, 400);
        }
        if self.is_denied(call, &call.operation, None) {
            let (code, message) = call.denied("*");
            return call.refusal(code, &message, if call.sts { 403 } else { 400 });
        }
        if call.ssm && Parameters::is_write(&call.operation) {
            let name = call.text("Name").or(call.text("ResourceId")).unwrap_or_default();
            if self.is_denied(call, &call.operation, Some(name)) {
                let (code, message) = call.denied(name);
                return call.refusal(code, &message, 400);
            }
            return match self.parameters.write(&call.operation, &call.input) {
                Ok(body) => Reply { status: 200, body, xml: false },
                Err((code, message)) => call.refusal(code, &message, 400),
            };
        }
        let may_read = |name: &str| {
            let denied = self.is_denied(call, &call.operation, Some(name));
            if denied { Err(call.denied(name)) } else { Ok(()) }
        };
        let result = match call.operation.as_str() {
            operation if call.ssm => {
                self.parameters.reply(operation, &call.input, &self.omitted, may_read)
            }
            "GetSecretValue" => self.get(call),
            "BatchGetSecretValue" => self.batch(call),
            "DescribeSecret" => self.describe(call),
            "ListSecrets" => self.list(call),
            "CreateSecret"
            | "PutSecretValue"
            | "UpdateSecret"
            | "TagResource"
            | "UntagResource"
            | "RestoreSecret"
            | "DeleteSecret"
            | "UpdateSecretVersionStage" => self.write(call),
            "AssumeRole" | "AssumeRoleWithWebIdentity" | "GetSessionToken" => self.assume(call),
            "GetAuthorizationToken" | "PublicGetAuthorizationToken" => Ok(login(call)),
            "GetCallerIdentity" => Ok(caller(call)),
            _ => Err(("InvalidAction", "no such operation".to_owned())),
        };
        match result {
            Ok(body) => Reply { status: 200, body, xml: call.sts },
            Err((code, message)) => call.refusal(code, &message, if call.sts { 403 } else { 400 }),
        }
    }

    /// Whether a rule forbids this; `secret: None` asks for rules that name no secret.
    fn is_denied(&self, call: &Call, operation: &str, secret: Option<&str>) -> bool {
        self.denials.iter().any(|denial| {
            denial.operation.is_none_or(|of| of == operation)
                && denial.access_key.as_ref().is_none_or(|of| *of == call.access_key)
                && denial.secret.as_deref() == secret
        })
    }

    fn name_of<'a>(&'a self, id: &'a str) -> &'a str {
        self.names_by_arn.get(id).map_or(id, String::as_str)
    }

    fn find(&self, id: &str) -> Result<(&str, &Secret), Refusal> {
        let name = self.name_of(id);
        let found = self.secrets.get_key_value(name);
        let (name, secret) = found.ok_or_else(|| {
            let message = "Secrets Manager can't find the specified secret.";
            ("ResourceNotFoundException", message.to_owned())
        })?;
        if secret.deleted {
            let message = "You can't perform this operation on the secret because it was marked for \
                           deletion.";
            return Err(("InvalidRequestException", message.to_owned()));
        }
        Ok((name, secret))
    }

    /// The members of one value, without braces.
    fn entry(
        &self,
        call: &Call,
        id: &str,
        version: Option<&str>,
        stage: Option<&str>,
    ) -> Result<String, Refusal> {
        let name = self.name_of(id);
        for operation in ["GetSecretValue", call.operation.as_str()] {
            if self.is_denied(call, operation, Some(name)) {
                // In a batch, too, it is the single read of the item that is not allowed.
                return Err(call.denied_to("GetSecretValue", id));
            }
        }
        let (name, secret) = self.find(id)?;
        let stage = stage.unwrap_or("AWSCURRENT");
        let found = match version {
            Some(version) => secret.versions.get_key_value(version),
            None => secret.versions.iter().find(|(_, v)| v.stages.iter().any(|s| s == stage)),
        };
        let (version_id, stored) = found.ok_or_else(|| {
            let what = match version {
                Some(version) => format!("VersionId: {version}"),
                None => format!("staging label: {stage}"),
            };
            let message =
                format!("Secrets Manager can't find the specified secret value for {what}");
            ("ResourceNotFoundException", message)
        })?;
        let mut text = String::with_capacity(256 + stored.field.len());
        let (arn, stages) = (&secret.arn, json!(stored.stages));
        let _ = write!(
            text,
            "\"ARN\":\"{arn}\",\"Name\":\"{name}\",\"VersionId\":\"{version_id}\",{},\
             \"VersionStages\":{stages},\"CreatedDate\":{}",
            stored.field,
            stored.created()
        );
        Ok(text)
    }

    fn get(&mut self, call: &Call) -> Result<String, Refusal> {
        let id = call.text("SecretId").unwrap_or_default();
        let entry = self.entry(call, id, call.text("VersionId"), call.text("VersionStage"))?;
        Ok(format!("{{{entry}}}"))
    }

    fn batch(&mut self, call: &Call) -> Result<String, Refusal> {
        let ids = call.ids();
        if ids.len() > 20 {
            return Err(("InvalidParameterException", "at most 20 secrets".to_owned()));
        }
        if ids.iter().any(|id| id.contains(' ')) {
            return Err(("InvalidParameterException", "Invalid name".to_owned()));
        }
        let start = call.text("NextToken").and_then(|token| token.parse().ok()).unwrap_or(0_usize);
        let (mut values, mut errors, mut next) = (Vec::new(), Vec::new(), None);
        let mut bytes = 0;
        for (index, id) in ids.iter().enumerate().skip(start) {
            if self.omitted.iter().any(|name| name == self.name_of(id)) {
                continue;
            }
            match self.entry(call, id, None, None) {
                Ok(entry) if bytes > 0 && bytes + entry.len() > self.page_bytes => {
                    next = Some(index);
                    break;
                }
                Ok(entry) => {
                    bytes += entry.len();
                    values.push(format!("{{{entry}}}"));
                }
                Err((code, message)) => errors.push(
                    json!({ "SecretId": id, "ErrorCode": code, "Message": message }).to_string(),
                ),
            }
        }
        let token = next.map(|index| format!(",\"NextToken\":\"{index}\"")).unwrap_or_default();
        let (values, errors) = (values.join(","), errors.join(","));
        Ok(format!("{{\"SecretValues\":[{values}],\"Errors\":[{errors}]{token}}}"))
    }

    fn describe(&mut self, call: &Call) -> Result<String, Refusal> {
        let id = call.text("SecretId").unwrap_or_default();
        if self.is_denied(call, "DescribeSecret", Some(self.name_of(id))) {
            return Err(call.denied(id));
        }
        let name = self.name_of(id).to_owned();
        let secret = self.secrets.get_mut(&name).ok_or_else(|| {
            let message = "Secrets Manager can't find the specified secret.";
            ("ResourceNotFoundException", message.to_owned())
        })?;
        let stages = secret.shown();
        let tags: Vec<_> =
            secret.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
        let mut output = json!({
            "ARN": secret.arn, "Name": name, "Tags": tags, "VersionIdsToStages": stages,
        });
        if let Some(text) = &secret.description {
            output["Description"] = json!(text);
        }
        if let Some(key) = &secret.kms_key {
            output["KmsKeyId"] = json!(key);
        }
        if secret.deleted {
            output["DeletedDate"] = json!(1.7e9);
        }
        let managed = &secret.managed;
        output["RotationEnabled"] = json!(managed.rotates);
        let texts = [
            ("OwningService", &managed.owner),
            ("Type", &managed.partner),
            ("PrimaryRegion", &managed.primary_region),
        ];
        for (field, text) in texts {
            if let Some(text) = text {
                output[field] = json!(text);
            }
        }
        Ok(output.to_string())
    }

    fn list(&self, call: &Call) -> Result<String, Refusal> {
        let filters = call.input["Filters"].as_array().cloned().unwrap_or_default();
        if filters.len() > 10 || !filters.iter().all(is_valid_filter) {
            let message = "1 validation error detected".to_owned();
            return Err(("ValidationException", message));
        }
        let most = call.input["MaxResults"].as_u64().and_then(|most| usize::try_from(most).ok());
        let most = most.unwrap_or(100).min(self.page_names);
        let start = call.text("NextToken").unwrap_or_default();
        let mut matching = self.secrets.iter().filter(|(name, secret)| {
            name.as_str() >= start
                && !secret.deleted
                && filters.iter().all(|filter| lets_through(filter, name, &secret.tags))
        });
        let page: Vec<_> = matching
            .by_ref()
            .take(most)
            .map(|(name, secret)| {
                let tags: Vec<_> = secret
                    .tags
                    .iter()
                    .map(|(key, value)| json!({"Key": key, "Value": value}))
                    .collect();
                json!({"ARN": secret.arn, "Name": name, "Tags": tags})
            })
            .collect();
        let mut output = json!({"SecretList": page});
        if let Some((name, _)) = matching.next() {
            output["NextToken"] = json!(name);
        }
        Ok(output.to_string())
    }

    fn assume(&mut self, call: &Call) -> Result<String, Refusal> {
        let role = call.text("RoleArn").unwrap_or_default();
        if self.is_denied(call, &call.operation, Some(role)) {
            return Err(call.denied(role));
        }
        self.serial += 1;
        let key = format!("ASIA{:016}", self.serial);
        let expiry = SystemTime::now() + self.session_life;
        self.sessions.insert(key.clone(), expiry);
        let time = jiff::Timestamp::try_from(expiry).unwrap_or_default();
        let operation = &call.operation;
        Ok(format!(
            "<{operation}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
             <{operation}Result><Credentials><AccessKeyId>{key}</AccessKeyId>\
             <SecretAccessKey>secret-of-{key}</SecretAccessKey>\
             <SessionToken>token-of-{key}</SessionToken><Expiration>{time}</Expiration>\
             </Credentials></{operation}Result></{operation}Response>"
        ))
    }
}

/// What AWS takes as a filter of a list.
fn is_valid_filter(filter: &Value) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b" :_@/+=.-!".contains(&b);
    let keys = ["name", "tag-key", "tag-value", "description", "all"];
    let values = filter["Values"].as_array().cloned().unwrap_or_default();
    let is_text = |value: &Value| {
        value.as_str().is_some_and(|text| text.len() <= 512 && text.bytes().all(is_plain))
    };
    filter["Key"].as_str().is_some_and(|key| keys.contains(&key))
        && (1..=10).contains(&values.len())
        && values.iter().all(is_text)
}

/// AWS's filters match beginnings, any tag's key and any tag's value, and mean "not" with an exclamation mark in front.
fn lets_through(filter: &Value, name: &str, tags: &BTreeMap<String, String>) -> bool {
    let values: Vec<_> = filter["Values"].as_array().into_iter().flatten().collect();
    let begins = |text: &str| {
        values.iter().filter_map(|value| value.as_str()).any(|value| {
            match value.strip_prefix('!') {
                Some(value) => !text.starts_with(value),
                None => text.starts_with(value),
            }
        })
    };
    match filter["Key"].as_str() {
        Some("name") => begins(name),
        Some("tag-key") => tags.keys().any(|key| begins(key)),
        Some("tag-value") => tags.values().any(|value| begins(value)),
        _ => false,
    }
}

/// A login to the registries of whoever asks.
fn login(call: &Call) -> String {
    let password = format!("AWS:login:of:{}", call.access_key);
    let token = base64::engine::general_purpose::STANDARD.encode(password);
    let login = serde_json::json!({
        "authorizationToken": token,
        "expiresAt": 1_700_000_000.5,
        "proxyEndpoint": "https://000000000000.dkr.ecr.eu-west-1.amazonaws.com",
    });
    let public = call.operation.starts_with("Public");
    let data = if public { login } else { serde_json::json!([login]) };
    serde_json::json!({"authorizationData": data}).to_string()
}

fn caller(call: &Call) -> String {
    let key = &call.access_key;
    format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <GetCallerIdentityResult><Arn>arn:aws:iam::000000000000:user/{key}</Arn>\
         <UserId>{key}</UserId><Account>000000000000</Account></GetCallerIdentityResult>\
         </GetCallerIdentityResponse>"
    )
}

/// Six characters that depend on the name alone.
fn suffix(name: &str) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef";
    let hash = name.bytes().fold(5381_u32, |hash, b| hash.wrapping_mul(33) ^ u32::from(b));
    (0..6).map(|place| char::from(LETTERS[(hash >> (5 * place)) as usize & 31])).collect()
}

/// Form decoding.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = [rest.next().unwrap_or(b'0'), rest.next().unwrap_or(b'0')];
                let hex = std::str::from_utf8(&digits).unwrap_or("00");
                bytes.push(u8::from_str_radix(hex, 16).unwrap_or_default());
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
