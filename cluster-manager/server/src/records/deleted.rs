//! A name that lost its queue: how frontends hear of it. Gone when the name is used again, since the
//! new queue's record says more.

use serde::{Deserialize, Serialize};
use shoal_types::{QueueId, QueueName};

use super::Record;
use crate::keys;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeletedRecord {
    pub(crate) name: QueueName,
    /// The life of the name that ended.
    pub(crate) queue: QueueId,
}

impl Record for DeletedRecord {
    fn key(&self) -> String {
        keys::deleted(&self.name)
    }
}
