//! A load's queues are moved back and forth between clusters while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use shoal_api::plan::MoveRequest;
use shoal_client::Client;
use shoal_types::{ClusterId, PartitionState, QueueName};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::operator::Operator;

/// A move that is not over after so long has failed.
const MOVE_WITHIN: Duration = Duration::from_secs(60);
/// Between looks.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Moves each of the queues to the other cluster and back, all of them side by side, until so many moves
/// are over. Gives the time that the longest took, from the order to the old partition's end.
///
/// # Errors
/// If one is refused for good or not over within [`MOVE_WITHIN`].
pub async fn back_and_forth(
    frontend: &str,
    operator: &Operator,
    queues: &[String],
    moves: u64,
) -> Result<Duration> {
    let left = Arc::new(AtomicU64::new(moves));
    let clusters: Vec<ClusterId> = {
        let infos = operator.clusters().await?;
        infos.iter().map(|info| info.cluster).collect()
    };
    ensure!(clusters.len() >= 2, "there is nowhere to move to");
    let mut movers = JoinSet::new();
    for queue in queues {
        let mover = Mover {
            client: Client::new(frontend)?,
            operator: operator.clone(),
            name: queue.parse().ok().context("a queue's name")?,
            clusters: clusters.clone(),
        };
        movers.spawn(mover.run(Arc::clone(&left)));
    }
    let mut longest = Duration::ZERO;
    while let Some(moved) = movers.join_next().await {
        longest = longest.max(moved??);
    }
    Ok(longest)
}

/// Moves one queue.
struct Mover {
    client: Client,
    operator: Operator,
    name: QueueName,
    clusters: Vec<ClusterId>,
}

impl Mover {
    async fn run(self, left: Arc<AtomicU64>) -> Result<Duration> {
        let mut longest = Duration::ZERO;
        let take_one = |left: u64| left.checked_sub(1);
        while left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take_one)
            .is_ok()
        {
            let begun = Instant::now();
            self.move_on(begun).await?;
            longest = longest.max(begun.elapsed());
        }
        Ok(longest)
    }

    /// One move, from the order until only the new partition is left.
    async fn move_on(&self, begun: Instant) -> Result<()> {
        let from = self.place().await?.context("it has several partitions")?;
        let at = self.clusters.iter().position(|cluster| *cluster == from);
        let next = at.map_or(0, |at| at + 1) % self.clusters.len();
        let asked = MoveRequest {
            queue: self.name.clone(),
            to: self.clusters[next],
            partition: None,
        };
        // An order whose answer is lost with the manager may have been carried out.
        while self.place().await? == Some(from) {
            ensure!(begun.elapsed() < MOVE_WITHIN, "{asked:?} is not begun");
            match self.operator.start_move(&asked).await {
                Ok(Ok(_)) => break,
                Ok(Err(refused)) => ensure!(refused.retryable, "{asked:?}: {refused}"),
                Err(_no_manager) => {}
            }
            sleep(LOOK_AGAIN).await;
        }
        while self.place().await? != Some(asked.to) {
            let moves = self.operator.moves().await;
            ensure!(begun.elapsed() < MOVE_WITHIN, "not over: {moves:?}");
            sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// The cluster of its only partition; `None` while it has several.
    async fn place(&self) -> Result<Option<ClusterId>> {
        let info = self.client.queue(self.name.as_str()).info().await?;
        Ok(match &info.partitions[..] {
            [only] if only.state == PartitionState::Active => Some(only.cluster),
            _ => None,
        })
    }
}
