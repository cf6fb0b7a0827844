//! A queue: its settings, where it is, and how far its cluster has followed.
//!
//! ```text
//!            PUT                cluster created it           PATCH
//!  (nothing) ───► Creating ─────────────────────► Active ◄─────────► Configuring
//!      ▲                                            │    cluster did      │
//!      │   cluster deleted it            DELETE     ▼                     │
//!      └──────────────────────────────────────── Deleting ◄───────────────┘
//! ```
//! Each arrow is one transaction. In the stages with "-ing" the cluster has an instruction to carry
//! out, fenced by the revision at which the stage was written: repeating it changes nothing.

use serde::{Deserialize, Serialize};
use shoal_types::{
    ClusterId, Command, Epoch, GroupRange, PartitionId, PartitionRoute, PartitionState, QueueId,
    QueueName, QueueRoute, QueueSettings, Ts,
};

use super::{At, Record};
use crate::keys;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueueRecord {
    pub(crate) name: QueueName,
    pub(crate) queue: QueueId,
    pub(crate) stage: QueueStage,
    pub(crate) settings: QueueSettings,
    pub(crate) partition: PartitionRecord,
    /// By the manager's clock.
    pub(crate) created_at: Ts,
}

/// Where a queue's messages are. At present a queue has one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartitionRecord {
    pub(crate) partition: PartitionId,
    pub(crate) epoch: Epoch,
    pub(crate) cluster: ClusterId,
}

/// How far the cluster has followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum QueueStage {
    /// Decided, not yet created at its cluster. Nobody else hears of it.
    Creating,
    /// As the record says.
    Active,
    /// The record has settings that the cluster may not have yet.
    Configuring,
    /// To be deleted at its cluster. For everybody else it is gone already.
    Deleting,
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
}

impl At<QueueRecord> {
    /// What the cluster still has to do, fenced by the record's revision.
    pub(crate) fn instruction(&self) -> Option<Command> {
        let PartitionRecord {
            partition, epoch, ..
        } = self.record.partition;
        let revision = self.revision;
        let settings = self.record.settings.partition(epoch);
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
        let PartitionRecord {
            partition,
            epoch,
            cluster,
        } = self.record.partition;
        let state = if self.record.is_visible() {
            PartitionState::Active
        } else {
            PartitionState::Pending
        };
        QueueRoute {
            name: self.record.name.clone(),
            queue: self.record.queue,
            settings: self.record.settings.clone(),
            partitions: vec![PartitionRoute {
                partition,
                epoch,
                cluster,
                state,
                groups: GroupRange::ALL,
            }],
            revision: self.revision,
            created_at: self.record.created_at,
        }
    }
}
