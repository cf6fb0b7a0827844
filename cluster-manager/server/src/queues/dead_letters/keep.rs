//! Queues are told again whenever something has changed.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream;
use shoal_types::QueueName;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::debug;

use crate::limits::{MOVE_STEP_TIMEOUT, TELL_CONCURRENCY, TELL_INTERVAL};
use crate::queues::Queues;
use crate::records::{PartitionRecord, PartitionStage, QueueStage};

impl Queues {
    /// Tells queues where their dead letters go, as often as that changes; after a start all that an earlier
    /// process may not have told. Runs until it is dropped.
    pub(crate) async fn keep_sources_told(self: Arc<Self>) {
        let mut hosts = self.fleet.changes();
        hosts.mark_changed();
        let mut again = tokio::time::interval(TELL_INTERVAL);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            again.tick().await;
            if !self.whole.is_whole() {
                continue;
            }
            if hosts.has_changed().unwrap_or(false) {
                hosts.mark_unchanged();
                self.dead_letters.members_are(self.fleet.all_members());
            }
            stream::iter(self.dead_letters.due(Instant::now()))
                .for_each_concurrent(TELL_CONCURRENCY, |(name, mark)| self.tell_one(name, mark))
                .await;
        }
    }

    async fn tell_one(&self, name: QueueName, mark: u64) {
        match self.tell_all_of(&name).await {
            Ok(()) => self.dead_letters.done(&name, mark),
            Err(why) => {
                debug!(%name, why, "where dead letters go is not told yet");
                self.dead_letters.failed(&name, Instant::now());
            }
        }
    }

    /// Tells all partitions of a queue. What follows others and is not open yet was told when it was created; it is
    /// told anew once it is open.
    async fn tell_all_of(&self, name: &QueueName) -> Result<(), String> {
        let read = self.read(name).await;
        let Some(at) = read.map_err(|problem| problem.detail.to_string())? else {
            return Ok(());
        };
        match at.record.stage {
            QueueStage::Active => {}
            QueueStage::Deleting => return Ok(()),
            // It is told as part of that.
            QueueStage::Creating | QueueStage::Configuring => {
                return Err("it is being created or changed".to_owned());
            }
        }
        let until = Instant::now() + MOVE_STEP_TIMEOUT;
        // Who cannot be told now holds up nobody else: there messages would be given out too often.
        let can_be_told = |one: &PartitionRecord| {
            one.stage != PartitionStage::Held && self.fleet.is_serving(one.cluster)
        };
        let told = self
            .tell_where_dead_letters_go(name, at.record.queue, can_be_told, until)
            .await;
        told.map_err(|problem| problem.detail.to_string())?;
        let mut clusters = at.record.clusters();
        if let Some(cluster) = clusters.find(|cluster| !self.fleet.is_serving(*cluster)) {
            return Err(format!("{cluster} does not serve"));
        }
        match at.record.is_moving() {
            true => Err("a partition of it is not open yet".to_owned()),
            false => Ok(()),
        }
    }
}
