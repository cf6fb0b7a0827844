//! Queues whose clusters have an instruction to carry out.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use shoal_types::{ClusterId, QueueName};

use crate::metric_names;
use crate::records::QueueRecord;

/// Names with their clusters; bounded by the number of queues.
#[derive(Default)]
pub(super) struct Unsettled(Mutex<BTreeMap<QueueName, Vec<ClusterId>>>);

impl Unsettled {
    pub(super) fn add(&self, queue: &QueueRecord) {
        self.names()
            .insert(queue.name.clone(), queue.clusters().collect());
    }

    pub(super) fn remove(&self, name: &QueueName) {
        self.names().remove(name);
    }

    /// Those whose clusters all pass.
    pub(super) fn of(&self, mut cluster: impl FnMut(ClusterId) -> bool) -> Vec<QueueName> {
        let names = self.names();
        metrics::gauge!(metric_names::UNSETTLED).set(names.len() as f64);
        names
            .iter()
            .filter(|(_, clusters)| clusters.iter().all(|id| cluster(*id)))
            .map(|(name, _)| name.clone())
            .collect()
    }

    fn names(&self) -> MutexGuard<'_, BTreeMap<QueueName, Vec<ClusterId>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
