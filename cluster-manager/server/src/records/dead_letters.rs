//! Where a queue's dead letters go, as its partitions are told: what was decided, and who has confirmed it.
//!
//! Written before anybody is told. The revision of that write is the fence of the instructions, so whoever finds
//! the record goes on with the same ones. There is none of a queue whose messages never died.

use serde::{Deserialize, Serialize};
use shoal_types::{Command, DeadLetters, PartitionId, QueueId, QueueName, Revision};

use super::{At, QueueRecord, Record};
use crate::keys;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeadLettersRecord {
    /// The queue whose messages die.
    pub(crate) name: QueueName,
    pub(crate) queue: QueueId,
    /// What they are told. `None`: that no messages die.
    pub(crate) dead_letters: Option<DeadLetters>,
    /// The fence; `None`: the revision of this record, which was not written again since it was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fence: Option<Revision>,
    /// Those that have confirmed it; only partitions that the queue has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) told: Vec<PartitionId>,
}

impl Record for DeadLettersRecord {
    fn key(&self) -> String {
        keys::dead_letters(self.queue)
    }
}

impl DeadLettersRecord {
    /// What is decided now, of which nobody has heard.
    pub(crate) fn decided(queue: &QueueRecord, dead_letters: Option<DeadLetters>) -> Self {
        Self {
            name: queue.name.clone(),
            queue: queue.queue,
            dead_letters,
            fence: None,
            told: Vec::new(),
        }
    }
}

impl At<DeadLettersRecord> {
    /// Of all instructions about this decision.
    pub(crate) fn fence(&self) -> Revision {
        self.record.fence.unwrap_or(self.revision)
    }

    /// The instruction to one of the queue's partitions.
    pub(crate) fn instruction(&self, partition: PartitionId) -> Command {
        Command::SetDeadLetters {
            partition,
            dead_letters: self.record.dead_letters.clone().map(Box::new),
            revision: self.fence(),
        }
    }

    /// The record once these have confirmed it too; nothing is kept of partitions that the queue has no more.
    pub(crate) fn and_told(
        &self,
        confirmed: &[PartitionId],
        queue: &QueueRecord,
    ) -> DeadLettersRecord {
        let mut told = [&self.record.told, confirmed].concat();
        told.retain(|partition| queue.partition(*partition).is_some());
        told.sort_unstable();
        told.dedup();
        DeadLettersRecord {
            fence: Some(self.fence()),
            told,
            ..self.record.clone()
        }
    }
}
