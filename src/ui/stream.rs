//! The live stream of a viewer: says that something is new, at most once a second, and never what.

use std::convert::Infallible;
use std::time::Duration;

use futures::Stream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time;

use super::board::Board;

/// News within this time is told together, and is in the picture when it is told.
const GATHER: Duration = Duration::from_millis(300);
/// At most one message in this time.
const PACE: Duration = Duration::from_secs(1);
/// Ages on the page grow: without news the page is drawn anew this often.
const CLOCK: Duration = Duration::from_secs(15);
/// Longest life of a stream. A browser opens another.
const LIFE: u32 = 1500;

/// The numbers of what is known. Only the latest matters, so a slow reader makes nobody wait.
pub(super) fn versions(
    board: &Board,
    permit: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<String, Infallible>> + Send + use<> {
    let seen = board.versions();
    futures::stream::unfold((seen, permit, 0_u32), |(mut seen, permit, told)| async move {
        if told >= LIFE {
            return None;
        }
        if told == 0 {
            // A browser shows that it is connected only when something has come.
            let now = *seen.borrow_and_update();
            return Some((Ok(message(now)), (seen, permit, 1)));
        }
        wait(&mut seen).await?;
        let now = *seen.borrow_and_update();
        Some((Ok(message(now)), (seen, permit, told + 1)))
    })
}

/// Waits for news, or for the clock. `None` when nobody can tell news any more.
async fn wait(seen: &mut watch::Receiver<u64>) -> Option<()> {
    time::sleep(PACE.saturating_sub(GATHER)).await;
    match time::timeout(CLOCK, seen.changed()).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(_)) => return None,
    }
    time::sleep(GATHER).await;
    Some(())
}

fn message(version: u64) -> String {
    format!("retry: 2000\ndata: {version}\n\n")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::StreamExt as _;
    use jiff::SignedDuration;
    use tokio::sync::Semaphore;
    use tokio::time::Instant;

    use super::*;
    use crate::survey::Kind;
    use crate::ui::board::Reading;

    #[tokio::test(start_paused = true)]
    async fn a_storm_of_news_is_one_message_a_second_and_silence_one_in_a_while() {
        let board = Board::new(SignedDuration::from_mins(15), "default".to_owned());
        let streams = Arc::new(Semaphore::new(1));
        let stream = versions(&board, Arc::clone(&streams).try_acquire_owned().unwrap());
        let mut stream = Box::pin(stream);
        let begun = Instant::now();
        assert_eq!(stream.next().await.unwrap().unwrap(), message(1));
        for told in 2..=5 {
            for number in 0..100 {
                board.say(Kind::ExternalSecret, Reading::Only(format!("{told}-{number}")));
            }
            let said = stream.next().await.unwrap().unwrap();
            assert_eq!(said, message(u64::from(told - 1_u32) * 100 + 1));
        }
        let storm = begun.elapsed();
        assert!(storm >= PACE * 4 && storm < PACE * 5, "{storm:?}");
        stream.next().await.unwrap().unwrap();
        assert!(begun.elapsed() > CLOCK);
        assert_eq!(streams.available_permits(), 0);
        drop(stream);
        assert_eq!(streams.available_permits(), 1);
    }
}
