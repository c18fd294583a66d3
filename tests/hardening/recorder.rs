//! Writes down every change of the objects of a kind in a namespace, as a watch delivers it.

use std::sync::{Arc, Mutex};

use futures::StreamExt as _;
use kube::core::{DynamicObject, WatchEvent};
use serde_json::{Value, json};
use support::{Cluster, Result, path};
use tokio::task::JoinHandle;

/// One change: `ADDED`, `MODIFIED` or `DELETED`, and the object.
pub type Record = (&'static str, Value);

/// A running watch. It ends when this is dropped.
pub struct Recorder {
    records: Arc<Mutex<Vec<Record>>>,
    task: JoinHandle<()>,
}

impl Recorder {
    /// Starts to record; what exists already is not part of the record.
    pub async fn start(cluster: &Cluster, kind: &str, namespace: &str) -> Result<Self> {
        let url = path(kind, namespace, "");
        let list = cluster.send("GET", &url, "", &Value::Null).await?;
        let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        let url = format!("{url}?watch=1&timeoutSeconds=600&resourceVersion={version}");
        let request = http::Request::get(url).body(Vec::new())?;
        let mut events = Box::pin(cluster.client.request_events::<DynamicObject>(request).await?);
        let records = Arc::<Mutex<Vec<Record>>>::default();
        let kept = Arc::clone(&records);
        let task = tokio::spawn(async move {
            while let Some(event) = events.next().await {
                let record = match event {
                    Ok(WatchEvent::Added(object)) => ("ADDED", json!(object)),
                    Ok(WatchEvent::Modified(object)) => ("MODIFIED", json!(object)),
                    Ok(WatchEvent::Deleted(object)) => ("DELETED", json!(object)),
                    Ok(_) => continue,
                    Err(error) => panic!("the watch failed: {error}"),
                };
                kept.lock().expect("no panic").push(record);
            }
        });
        Ok(Self { records, task })
    }

    /// Everything so far.
    pub fn all(&self) -> Vec<Record> {
        self.records.lock().expect("no panic").clone()
    }

    /// Everything so far, as `ADDED name`.
    pub fn texts(&self) -> Vec<String> {
        let all = self.all();
        all.iter()
            .map(|(what, object)| {
                format!("{what} {}", object["metadata"]["name"].as_str().unwrap_or_default())
            })
            .collect()
    }

    /// Forgets everything so far.
    pub fn clear(&self) {
        self.records.lock().expect("no panic").clear();
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}
