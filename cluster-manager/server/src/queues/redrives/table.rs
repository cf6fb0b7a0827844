//! The tasks that are under way, with what was heard of them last.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use shoal_types::{QueueId, QueueName, Ts};

use crate::limits::REDRIVES_MAX;
use crate::records::{At, RedriveTask, RedrivesRecord};

/// By the queue whose messages go. At most [`REDRIVES_MAX`] are begun.
#[derive(Default)]
pub(in crate::queues) struct Table(Mutex<BTreeMap<QueueId, At<RedrivesRecord>>>);

impl Table {
    fn known(&self) -> MutexGuard<'_, BTreeMap<QueueId, At<RedrivesRecord>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over a record that was read or written.
    pub(in crate::queues) fn put(&self, at: At<RedrivesRecord>) {
        let at = at.numbered();
        match at.record.under_way() {
            Some(_) => self.known().insert(at.record.queue, at),
            None => self.known().remove(&at.record.queue),
        };
    }

    pub(in crate::queues) fn remove(&self, queue: QueueId) {
        self.known().remove(&queue);
    }

    pub(super) fn get(&self, queue: QueueId) -> Option<At<RedrivesRecord>> {
        self.known().get(&queue).cloned()
    }

    pub(super) fn all(&self) -> Vec<At<RedrivesRecord>> {
        self.known().values().cloned().collect()
    }

    pub(super) fn has_room(&self) -> bool {
        self.known().len() < REDRIVES_MAX
    }

    /// This was heard of the task of a record, unless that was written again meanwhile.
    pub(super) fn heard(&self, at: &At<RedrivesRecord>, task: &RedriveTask) {
        let mut known = self.known();
        let known = known.get_mut(&at.record.queue);
        if let Some(known) = known.filter(|known| known.revision == at.revision) {
            known.record.tasks.pop();
            known.record.tasks.push(task.clone());
        }
    }

    /// A task that may send messages to partitions that this queue had when they were `sealed`: to one that is
    /// named, or to all whose dead letters the queue takes that it empties.
    pub(in crate::queues) fn may_name(
        &self,
        queue: &QueueName,
        dead_letter_queue: Option<&QueueName>,
        sealed: Option<Ts>,
    ) -> Option<u64> {
        let known = self.known();
        let tasks = known
            .values()
            .filter_map(|at| Some((&at.record.name, at.record.under_way()?)));
        let mut tasks =
            tasks.filter(|(_, task)| sealed.is_none_or(|sealed| task.started_at <= sealed));
        let goes_there = |from: &QueueName, task: &RedriveTask| match &task.to {
            Some(to) => to == queue,
            None => dead_letter_queue == Some(from),
        };
        let found = tasks.find(|(from, task)| goes_there(from, task));
        found.map(|(_, task)| task.task)
    }
}
