//! A queue: its settings, its partitions and where they are, and how far their clusters have followed.
//!
//! ```text
//!            PUT                cluster created it           PATCH
//!  (nothing) ───► Creating ─────────────────────► Active ◄─────────► Configuring
//!      ▲                                            │    clusters did     │
//!      │   clusters deleted them         DELETE     ▼                     │
//!      └──────────────────────────────────────── Deleting ◄───────────────┘
//! ```
//! Each arrow is one transaction. In the stages with "-ing" the clusters have an instruction to carry
//! out, fenced by the revision at which the record was written: repeating it changes nothing. Which
//! partitions there are changes by moves ([`super::MoveRecord`]).

use serde::{Deserialize, Serialize};
use shoal_types::{
    ClusterId, Command, Epoch, GroupRange, PartitionId, PartitionRoute, PartitionState, QueueId,
    QueueName, QueueRoute, QueueSettings, Ts,
};

use super::{At, Noted, Record};
use crate::keys;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub(crate) struct QueueRecord {
    pub(crate) name: QueueName,
    pub(crate) queue: QueueId,
    pub(crate) stage: QueueStage,
    pub(crate) settings: QueueSettings,
    /// Oldest epoch first; never empty.
    pub(crate) partitions: Vec<PartitionRecord>,
    /// The highest epoch that was ever given, also to partitions that are gone.
    pub(crate) last_epoch: Epoch,
    /// When it was last split or merged; before that, when it was created.
    pub(crate) resized_at: Ts,
    /// By the manager's clock.
    pub(crate) created_at: Ts,
    /// When its settings were changed last, by the manager's clock; before that, when it was created.
    pub(crate) changed_at: Ts,
}

/// A part of a queue's messages, and where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartitionRecord {
    pub(crate) partition: PartitionId,
    pub(crate) epoch: Epoch,
    pub(crate) cluster: ClusterId,
    #[serde(default)]
    pub(crate) stage: PartitionStage,
    /// The message groups that are sent there.
    #[serde(default)]
    pub(crate) groups: GroupRange,
    /// When it came into its stage, by the manager's clock.
    #[serde(default)]
    pub(crate) since: Ts,
}

/// What a partition takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PartitionStage {
    /// Decided to follow others; nobody can count on it yet.
    Held,
    /// Sends and receives.
    #[default]
    Active,
    /// Sealed: receives until it is empty.
    Draining,
}

/// How far the clusters have followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum QueueStage {
    /// Decided, not yet created at its cluster. Nobody else hears of it.
    Creating,
    /// As the record says.
    Active,
    /// The record has settings that the clusters may not have yet.
    Configuring,
    /// To be deleted at its clusters. For everybody else it is gone already.
    Deleting,
}

/// A record as this version and the earlier ones wrote it.
#[derive(Deserialize)]
struct Stored {
    name: QueueName,
    queue: QueueId,
    stage: QueueStage,
    settings: QueueSettings,
    /// Queues had one partition once.
    partition: Option<PartitionRecord>,
    #[serde(default)]
    partitions: Vec<PartitionRecord>,
    last_epoch: Option<Epoch>,
    resized_at: Option<Ts>,
    created_at: Ts,
    changed_at: Option<Ts>,
}

impl From<Stored> for QueueRecord {
    fn from(stored: Stored) -> Self {
        let mut partitions = stored.partitions;
        partitions.extend(stored.partition.map(|only| PartitionRecord {
            since: stored.created_at,
            ..only
        }));
        let newest = partitions.iter().map(|partition| partition.epoch).max();
        Self {
            name: stored.name,
            queue: stored.queue,
            stage: stored.stage,
            settings: stored.settings,
            last_epoch: stored.last_epoch.or(newest).unwrap_or_default(),
            resized_at: stored.resized_at.unwrap_or(stored.created_at),
            partitions,
            created_at: stored.created_at,
            changed_at: stored.changed_at.unwrap_or(stored.created_at),
        }
    }
}

impl Record for QueueRecord {
    fn key(&self) -> String {
        keys::queue(&self.name)
    }
}

impl QueueRecord {
    /// True if users see the queue.
    pub(crate) fn is_visible(&self) -> bool {
        matches!(self.stage, QueueStage::Active | QueueStage::Configuring)
    }

    /// The same queue in another stage.
    pub(crate) fn in_stage(&self, stage: QueueStage) -> Self {
        Self {
            stage,
            ..self.clone()
        }
    }

    /// The highest epoch of those partitions that exist.
    pub(crate) fn newest_epoch(&self) -> Epoch {
        let epochs = self.partitions.iter().map(|partition| partition.epoch);
        epochs.max().unwrap_or_default()
    }

    pub(crate) fn partition(&self, partition: PartitionId) -> Option<&PartitionRecord> {
        let mut all = self.partitions.iter();
        all.find(|known| known.partition == partition)
    }

    /// Where its partitions are; a cluster once for each.
    pub(crate) fn clusters(&self) -> impl Iterator<Item = ClusterId> {
        self.partitions.iter().map(|partition| partition.cluster)
    }

    /// True while a partition waits to take over from others.
    pub(crate) fn is_moving(&self) -> bool {
        let mut all = self.partitions.iter();
        all.any(|partition| partition.stage == PartitionStage::Held)
    }
}

impl At<QueueRecord> {
    /// What the clusters still have to do, fenced by the record's revision: for each partition its cluster
    /// and the instructions to it, in order.
    pub(crate) fn instructions(&self) -> Vec<(ClusterId, Vec<Command>)> {
        let partitions = self.record.partitions.iter();
        let instructions = partitions.filter_map(|partition| {
            let first = self.instruction(partition)?;
            let noted = match self.record.stage {
                QueueStage::Deleting => None,
                _ => Some(self.description(partition)),
            };
            let all = [Some(first), noted].into_iter().flatten();
            Some((partition.cluster, all.collect()))
        });
        instructions.collect()
    }

    /// The instruction to note down beside a partition what it is of.
    pub(crate) fn description(&self, of: &PartitionRecord) -> Command {
        Noted::of(&self.record, of).instruction(of.partition, self.revision)
    }

    fn instruction(&self, of: &PartitionRecord) -> Option<Command> {
        let revision = self.revision;
        let partition = of.partition;
        let settings = self.record.settings.partition(of.epoch);
        match self.record.stage {
            QueueStage::Creating => Some(Command::CreatePartition {
                partition,
                settings,
                revision,
            }),
            QueueStage::Configuring => Some(Command::ConfigurePartition {
                partition,
                settings,
                revision,
            }),
            QueueStage::Deleting => Some(Command::DeletePartition {
                partition,
                revision,
            }),
            QueueStage::Active => None,
        }
    }

    /// What frontends are told of a visible queue.
    pub(crate) fn route(&self) -> QueueRoute {
        let visible = self.record.is_visible();
        let route = |of: &PartitionRecord| PartitionRoute {
            partition: of.partition,
            epoch: of.epoch,
            cluster: of.cluster,
            state: match of.stage {
                _ if !visible => PartitionState::Pending,
                PartitionStage::Held => PartitionState::Held,
                PartitionStage::Active => PartitionState::Active,
                PartitionStage::Draining => PartitionState::Draining,
            },
            groups: of.groups,
        };
        QueueRoute {
            name: self.record.name.clone(),
            queue: self.record.queue,
            settings: self.record.settings.clone(),
            partitions: self.record.partitions.iter().map(route).collect(),
            revision: self.revision,
            created_at: self.record.created_at,
            changed_at: self.record.changed_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_the_time_when_queues_had_one_partition_is_read() {
        let old = r#"{"name":"orders","queue":7,"stage":"active","settings":{},
            "partition":{"partition":9,"epoch":0,"cluster":2},"created_at":1000}"#;
        let record: QueueRecord = serde_json::from_str(old).unwrap();
        let only = PartitionRecord {
            partition: PartitionId(9),
            epoch: Epoch(0),
            cluster: ClusterId(2),
            stage: PartitionStage::Active,
            groups: GroupRange::ALL,
            since: Ts(1_000),
        };
        assert_eq!(record.partitions, [only]);
        assert_eq!(
            (record.last_epoch, record.resized_at),
            (Epoch(0), Ts(1_000))
        );
        assert_eq!(record.changed_at, record.created_at);
        let written = serde_json::to_string(&record).unwrap();
        assert_eq!(
            serde_json::from_str::<QueueRecord>(&written).unwrap(),
            record
        );
    }
}
