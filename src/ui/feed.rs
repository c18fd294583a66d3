//! One task for each kind: reads it, follows it, and says in a sentence of ours when it cannot.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time;

use super::board::{Board, Reading};
use super::slim::slim;
use crate::cluster::{Follower, News, ReadError, Reader, Step};
use crate::survey::Kind;

/// Pause after a failure.
const PAUSE: Duration = Duration::from_secs(2);
/// The API server is asked this often whether it is there.
const PULSE: Duration = Duration::from_secs(3);
/// Pause after a refusal: rights do not change every second.
const LONG_PAUSE: Duration = Duration::from_secs(30);

/// The path of a kind's list.
pub(super) fn path(kind: Kind, namespace: Option<&str>) -> String {
    let (group, version) = kind.group();
    match namespace.filter(|_| kind.is_namespaced()) {
        Some(namespace) => {
            format!("/apis/{group}/{version}/namespaces/{namespace}/{}", kind.plural())
        }
        None => format!("/apis/{group}/{version}/{}", kind.plural()),
    }
}

/// A failure by its class. What the API server said is not quoted: it may name what the viewer should not see.
pub(super) fn sentence(error: &ReadError) -> String {
    match error {
        ReadError::NoCluster(_) => "There is no cluster: set KUBECONFIG.",
        ReadError::Unreachable { .. } => "The API server cannot be reached.",
        ReadError::Stalled { .. } => "The API server does not answer in time.",
        ReadError::Unauthorized { .. } => {
            "The API server does not accept your credentials: log in again."
        }
        ReadError::Forbidden(_) => "You may not read it: ask for the ClusterRole gabion-viewer.",
        ReadError::NotFound(_) => "The cluster does not have it.",
        ReadError::Refused { .. } => "The API server refuses the request.",
    }
    .to_owned()
}

/// Keeps one kind up to date until the program ends.
pub(super) async fn feed(kind: Kind, reader: Arc<Reader>, board: Arc<Board>) {
    loop {
        let pause = match once(kind, &reader, &board).await {
            Ok(()) => Duration::ZERO,
            Err(error) => {
                board.say(kind, Reading::Amiss(sentence(&error)));
                let lasting = matches!(error, ReadError::Forbidden(_) | ReadError::NotFound(_));
                if lasting { LONG_PAUSE } else { PAUSE }
            }
        };
        time::sleep(pause.max(Duration::from_millis(100))).await;
    }
}

/// Asks whether the API server answers: a watch that is silent does not tell.
pub(super) async fn pulse(reader: Arc<Reader>, board: Arc<Board>) {
    loop {
        time::sleep(PULSE).await;
        let amiss = match reader.get("/version").await {
            Err(error) if error.is_final() => Some(sentence(&error)),
            _ => None,
        };
        board.pulse(amiss);
    }
}

/// One list, and watches after it while one goes on where the other ended.
async fn once(kind: Kind, reader: &Reader, board: &Board) -> Result<(), ReadError> {
    let (everywhere, reading) = (path(kind, None), Reading::Whole);
    let (path, reading, listed) = match list(kind, reader, &everywhere).await {
        Err(ReadError::Forbidden(_)) if kind.is_namespaced() => {
            let own = reader.namespace();
            let path = path(kind, Some(own));
            let listed = list(kind, reader, &path).await?;
            (path, Reading::Only(own.to_owned()), listed)
        }
        listed => (everywhere, reading, listed?),
    };
    let (objects, mut version) = listed;
    board.replace(kind, &objects, reading);
    let follower = reader.follower()?;
    while let Some(next) = watch(kind, &follower, board, (&path, &version)).await? {
        version = next;
    }
    Ok(())
}

async fn list(kind: Kind, reader: &Reader, path: &str) -> Result<(Vec<Value>, String), ReadError> {
    let mut objects = Vec::new();
    let version = {
        let mut each = |step: Step| match step {
            Step::Begin => objects.clear(),
            Step::Object(object) => objects.push(slim(kind, &object)),
        };
        reader.list(path, None, &mut each).await?
    };
    Ok((objects, version))
}

async fn watch(
    kind: Kind,
    follower: &Follower<'_>,
    board: &Board,
    (path, version): (&str, &str),
) -> Result<Option<String>, ReadError> {
    let mut each = |news: News| match news {
        News::Applied(object) => board.apply(kind, &object),
        News::Deleted(object) => board.remove(kind, &object),
    };
    match follower.follow(path, version, &mut each).await {
        // Too old: a new list helps.
        Err(ReadError::Refused { code: 410, .. }) => Ok(None),
        outcome => outcome,
    }
}
