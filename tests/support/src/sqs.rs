//! SQS in this process: queues with long polling, visibility, receive counts and redrive, and it counts.
//!
//! It speaks the JSON protocol of the SDK. Signatures are not checked; the access key id of each request is recorded.
//! FIFO queues are not played.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::{Notify, oneshot};

/// What happens to a call instead of its answer.
#[derive(Clone, Debug)]
pub enum SqsFault {
    /// 500 `InternalError`.
    Broken,
    /// 400 with this code.
    Refuse(&'static str),
    /// The call is done, and its answer is lost.
    LoseAnswer,
}

/// One request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqsRequest {
    pub operation: String,
    pub access_key: String,
    /// Name of the queue.
    pub queue: String,
    /// The host that was addressed.
    pub host: String,
}

struct Message {
    id: String,
    body: String,
    sent: jiff::Timestamp,
    visible_at: Instant,
    receives: u64,
    handle: String,
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<Message>,
    /// Name of the dead-letter queue, and after how many receives a message goes there.
    redrive: Option<(String, u64)>,
    deleted: usize,
    /// How often each message was received, by its id.
    receives: BTreeMap<String, u64>,
}

#[derive(Default)]
struct Contents {
    queues: BTreeMap<String, Queue>,
    /// Access keys that may do nothing with a queue.
    denied: Vec<(String, String)>,
    scripts: HashMap<String, VecDeque<SqsFault>>,
    standing: HashMap<String, SqsFault>,
    requests: Vec<SqsRequest>,
    serial: u64,
}

#[derive(Default)]
struct State {
    contents: Mutex<Contents>,
    arrived: Notify,
}

/// The running server.
pub struct Sqs {
    address: SocketAddr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sqs {
    /// Starts on a free port, without any queue.
    pub fn start() -> Self {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket option");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(State::default());
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

    /// For `AWS_ENDPOINT_URL_SQS`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A new queue; its ARN.
    pub fn create(&self, name: &str) -> String {
        self.contents().queues.entry(name.to_owned()).or_default();
        format!("arn:aws:sqs:eu-west-1:000000000000:{name}")
    }

    /// Messages that were received more often than this go to another queue.
    pub fn redrive(&self, name: &str, dead: &str, most_receives: u64) {
        self.create(dead);
        let mut contents = self.contents();
        contents.queue(name).redrive = Some((dead.to_owned(), most_receives));
    }

    /// Puts a message on a queue; its id.
    pub fn send(&self, name: &str, body: impl Into<String>) -> String {
        let id = self.contents().send(name, body.into());
        self.state.arrived.notify_waiters();
        id
    }

    /// Every message is visible now, as when the time of hiding it is over.
    pub fn show(&self, name: &str) {
        for message in &mut self.contents().queue(name).messages {
            message.visible_at = Instant::now();
        }
        self.state.arrived.notify_waiters();
    }

    /// This access key may do nothing with this queue.
    pub fn deny(&self, name: &str, access_key: &str) {
        self.contents().denied.push((name.to_owned(), access_key.to_owned()));
    }

    pub fn allow_everything(&self) {
        self.contents().denied.clear();
    }

    /// The next `times` calls of this operation meet this fault.
    pub fn fault(&self, operation: &str, fault: &SqsFault, times: usize) {
        let mut contents = self.contents();
        let script = contents.scripts.entry(operation.to_owned()).or_default();
        script.extend(std::iter::repeat_n(fault.clone(), times));
    }

    /// Every call of this operation meets this fault, until it is taken back with `None`.
    pub fn standing_fault(&self, operation: &str, fault: Option<SqsFault>) {
        let mut contents = self.contents();
        match fault {
            Some(fault) => contents.standing.insert(operation.to_owned(), fault),
            None => contents.standing.remove(operation),
        };
    }

    /// Messages that are on a queue, those in hand included.
    pub fn depth(&self, name: &str) -> usize {
        self.contents().queue(name).messages.len()
    }

    /// Messages that were deleted.
    pub fn deleted(&self, name: &str) -> usize {
        self.contents().queue(name).deleted
    }

    /// How often a message was received.
    pub fn receives_of(&self, name: &str, id: &str) -> u64 {
        self.contents().queue(name).receives.get(id).copied().unwrap_or_default()
    }

    /// Everything that arrived, in order.
    pub fn requests(&self) -> Vec<SqsRequest> {
        self.contents().requests.clone()
    }

    /// Requests of one operation about one queue.
    pub fn calls(&self, operation: &str, name: &str) -> usize {
        let contents = self.contents();
        let of = |it: &&SqsRequest| it.operation == operation && it.queue == name;
        contents.requests.iter().filter(of).count()
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.state.contents.lock().expect("no panic while held")
    }
}

impl Drop for Sqs {
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
        let state = state.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| answer(state.clone(), request));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            // An error here is a client that went away.
            let _ = connection.await;
        });
    }
}

type Refusal = (u16, &'static str, String);

async fn answer(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let access_key = header("authorization")
        .and_then(|value| value.split_once("Credential="))
        .and_then(|(_, rest)| rest.split('/').next())
        .unwrap_or_default()
        .to_owned();
    let operation = header("x-amz-target").and_then(|value| value.strip_prefix("AmazonSQS."));
    let operation = operation.unwrap_or_default().to_owned();
    let host = header("host").unwrap_or_default().to_owned();
    let lost = || std::io::Error::other("lost on purpose");
    let body = request.into_body().collect().await.map_err(|_| lost())?.to_bytes();
    let input: Value = serde_json::from_slice(&body).unwrap_or_default();
    let queue = input["QueueName"]
        .as_str()
        .or_else(|| input["QueueUrl"].as_str().and_then(|url| url.rsplit('/').next()));
    let queue = queue.unwrap_or_default().to_owned();
    let call = SqsRequest { operation, access_key, queue, host };
    let fault = {
        let mut contents = state.contents.lock().expect("no panic while held");
        contents.requests.push(call.clone());
        let scripted = contents.scripts.get_mut(&call.operation).and_then(VecDeque::pop_front);
        scripted.or_else(|| contents.standing.get(&call.operation).cloned())
    };
    let result = match fault {
        Some(SqsFault::Broken) => Err((500, "InternalError", "request 0f3b failed".to_owned())),
        Some(SqsFault::Refuse(code)) => Err((400, code, "refused".to_owned())),
        _ => reply(&state, &call, &input).await,
    };
    if matches!(fault, Some(SqsFault::LoseAnswer)) {
        return Err(lost());
    }
    let (status, body) = match result {
        Ok(output) => (200, output),
        Err((status, code, message)) => {
            (status, json!({"__type": format!("com.amazonaws.sqs#{code}"), "message": message}))
        }
    };
    Ok(Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amzn-requestid", "00000000-0000-0000-0000-000000000000")
        .body(Full::new(Bytes::from(body.to_string())))
        .expect("a valid response"))
}

async fn reply(state: &State, call: &SqsRequest, input: &Value) -> Result<Value, Refusal> {
    let patience = Duration::from_secs(input["WaitTimeSeconds"].as_u64().unwrap_or_default());
    let until = Instant::now() + patience;
    loop {
        let arrived = state.arrived.notified();
        let (output, next) = {
            let mut contents = state.contents.lock().expect("no panic while held");
            let output = contents.reply(call, input)?;
            let next = contents.queue(&call.queue).messages.iter().map(|m| m.visible_at).min();
            (output, next)
        };
        let empty = call.operation == "ReceiveMessage" && output["Messages"].is_null();
        if !empty || Instant::now() >= until {
            return Ok(output);
        }
        let wake = next.map_or(until, |next| next.min(until)).max(Instant::now());
        tokio::select! {
            () = arrived => {}
            () = tokio::time::sleep_until((wake + Duration::from_millis(1)).into()) => {}
        }
    }
}

impl Contents {
    fn queue(&mut self, name: &str) -> &mut Queue {
        self.queues.get_mut(name).expect("a queue of that name")
    }

    fn send(&mut self, name: &str, body: String) -> String {
        self.serial += 1;
        let id = format!("m-{:08}", self.serial);
        self.queue(name).messages.push_back(Message {
            id: id.clone(),
            body,
            sent: jiff::Timestamp::now(),
            visible_at: Instant::now(),
            receives: 0,
            handle: String::new(),
        });
        id
    }

    fn reply(&mut self, call: &SqsRequest, input: &Value) -> Result<Value, Refusal> {
        let (name, key) = (&call.queue, &call.access_key);
        if self.denied.iter().any(|(of, who)| of == name && who == key) {
            let message = format!(
                "User: arn:aws:iam::000000000000:user/{key} is not authorized to perform: \
                 sqs:{} on resource: arn:aws:sqs:eu-west-1:000000000000:{name}",
                call.operation.to_lowercase()
            );
            return Err((403, "AccessDeniedException", message));
        }
        if !self.queues.contains_key(name) {
            let message = "The specified queue does not exist.".to_owned();
            return Err((400, "QueueDoesNotExist", message));
        }
        match call.operation.as_str() {
            // A host that nobody may be sent to: the endpoint is what counts.
            "GetQueueUrl" => {
                Ok(json!({"QueueUrl": format!("http://queue.invalid/000000000000/{name}")}))
            }
            "ReceiveMessage" => Ok(self.receive(name, input)),
            "DeleteMessageBatch" => Ok(self.each(name, input, |queue, at, _| {
                queue.messages.remove(at);
                queue.deleted += 1;
            })),
            "ChangeMessageVisibilityBatch" => Ok(self.each(name, input, |queue, at, entry| {
                let seconds = entry["VisibilityTimeout"].as_u64().unwrap_or_default();
                queue.messages[at].visible_at = Instant::now() + Duration::from_secs(seconds);
            })),
            _ => Err((400, "InvalidAction", "no such operation".to_owned())),
        }
    }

    fn receive(&mut self, name: &str, input: &Value) -> Value {
        let most = input["MaxNumberOfMessages"].as_u64().unwrap_or(1);
        let hidden = Duration::from_secs(input["VisibilityTimeout"].as_u64().unwrap_or(30));
        let (mut found, mut dead, now) = (Vec::new(), Vec::new(), Instant::now());
        let mut serial = self.serial;
        let queue = self.queue(name);
        let redrive = queue.redrive.clone();
        let mut at = 0;
        while at < queue.messages.len() && (found.len() as u64) < most {
            let message = &mut queue.messages[at];
            if message.visible_at > now {
                at += 1;
                continue;
            }
            if redrive.as_ref().is_some_and(|(_, most)| message.receives >= *most) {
                dead.extend(queue.messages.remove(at).map(|message| message.body));
                continue;
            }
            serial += 1;
            message.receives += 1;
            message.visible_at = now + hidden;
            message.handle = format!("{}#{serial}", message.id);
            *queue.receives.entry(message.id.clone()).or_default() += 1;
            found.push(json!({
                "MessageId": message.id,
                "ReceiptHandle": message.handle,
                "Body": message.body,
                "Attributes": {
                    "ApproximateReceiveCount": message.receives.to_string(),
                    "SentTimestamp": message.sent.as_millisecond().to_string(),
                },
            }));
            at += 1;
        }
        self.serial = serial;
        for body in dead {
            if let Some((dead, _)) = &redrive {
                self.send(dead, body);
            }
        }
        if found.is_empty() { json!({}) } else { json!({"Messages": found}) }
    }

    /// Does something to each message of a batch; an old receipt handle is refused.
    fn each(
        &mut self,
        name: &str,
        input: &Value,
        act: impl Fn(&mut Queue, usize, &Value),
    ) -> Value {
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for entry in input["Entries"].as_array().into_iter().flatten() {
            let queue = self.queue(name);
            let handle = entry["ReceiptHandle"].as_str().unwrap_or_default();
            match queue.messages.iter().position(|message| message.handle == handle) {
                Some(at) => {
                    act(queue, at, entry);
                    done.push(json!({"Id": entry["Id"]}));
                }
                None => failed.push(json!({
                    "Id": entry["Id"], "SenderFault": true, "Code": "ReceiptHandleIsInvalid",
                })),
            }
        }
        json!({"Successful": done, "Failed": failed})
    }
}
