//! An API server that answers from a list and writes down what it was asked.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http::{Request, Response};
use http_body_util::BodyExt as _;
use kube::{Client, client::Body};
use serde_json::{Value, json};

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    /// Path and query.
    pub uri: String,
    pub content_type: String,
    pub accept: String,
    pub body: Value,
}

/// One answer.
#[derive(Clone, Debug)]
pub enum Step {
    /// This status and body.
    Answer(u16, Value),
    /// This status and a body that is no JSON.
    Text(u16, &'static str),
    /// None at all.
    Silence,
}

/// Answers step by step; when the list is at its end, with 500.
#[derive(Clone, Default)]
pub struct Script(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    steps: VecDeque<Step>,
    asked: Vec<Asked>,
}

impl Script {
    pub fn of(steps: impl IntoIterator<Item = Step>) -> Self {
        let state = State { steps: steps.into_iter().collect(), asked: Vec::new() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Adds a step at the end.
    pub fn then(&self, step: Step) {
        self.0.lock().unwrap().steps.push_back(step);
    }

    /// Everything that was asked.
    pub fn asked(&self) -> Vec<Asked> {
        self.0.lock().unwrap().asked.clone()
    }

    /// A client of it.
    pub fn client(&self) -> Client {
        let script = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let script = script.clone();
            async move { Ok::<_, Infallible>(script.answer(request).await) }
        });
        Client::new(service, "default")
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let header = |name: &str| {
            let value = head.headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let step = {
            let mut state = self.0.lock().unwrap();
            state.asked.push(Asked {
                method: head.method.to_string(),
                uri: head.uri.to_string(),
                content_type: header("content-type"),
                accept: header("accept"),
                body: serde_json::from_slice(&bytes).unwrap_or_default(),
            });
            state.steps.pop_front()
        };
        let (status, text) = match step.unwrap_or(Step::Text(500, "the script is at its end")) {
            Step::Answer(status, body) => (status, body.to_string()),
            Step::Text(status, text) => (status, text.to_owned()),
            Step::Silence => std::future::pending().await,
        };
        let answer = Response::builder().status(status).header("content-type", "application/json");
        answer.body(Body::from(text.into_bytes())).expect("an answer")
    }
}

/// A refusal as the API server words it.
pub fn refusal(code: u16, reason: &str) -> Step {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
        "reason": reason, "code": code, "message": format!("{reason}: hunter2 was sent")});
    Step::Answer(code, status)
}

/// Metadata as an answer to a write.
pub fn metadata(uid: &str, version: &str) -> Step {
    let meta = json!({"name": "db", "namespace": "t", "uid": uid, "resourceVersion": version});
    let body = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
        "metadata": meta});
    Step::Answer(200, body)
}
