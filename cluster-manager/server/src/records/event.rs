//! Something that was decided, or came of a decision. Written with the change that it tells of, never
//! changed; the oldest go.

use serde::{Deserialize, Serialize};
use shoal_api::plan::{Event, EventKind};
use shoal_types::{ClusterId, QueueName, Ts};

use super::Record;
use crate::keys;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EventRecord {
    /// Its place among all events, from 1.
    pub(crate) number: u64,
    /// By the manager's clock.
    pub(crate) at: Ts,
    pub(crate) kind: EventKind,
    /// Those that take part.
    pub(crate) clusters: Vec<ClusterId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) queue: Option<QueueName>,
    /// What and why, in words.
    pub(crate) text: String,
}

impl Record for EventRecord {
    fn key(&self) -> String {
        keys::event(self.number)
    }
}

impl From<EventRecord> for Event {
    fn from(record: EventRecord) -> Self {
        let EventRecord {
            number,
            at,
            kind,
            clusters,
            queue,
            text,
        } = record;
        Self {
            number,
            at,
            kind,
            clusters,
            queue,
            text,
        }
    }
}
