//! Something that was decided, or came of a decision. Written with the change that it tells of, never
//! changed; the oldest go.

use serde::{Deserialize, Serialize};
use shoal_api::plan::{Event, EventKind};
use shoal_types::{ClusterId, QueueName, Ts};

use super::Record;
use crate::keys;
use crate::limits::{EVENT_CLUSTERS_MAX, EVENT_TEXT_BYTES_MAX};

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

impl EventRecord {
    /// Cut off where it says more than an event may.
    pub(crate) fn within_bounds(mut self) -> Self {
        self.clusters.truncate(EVENT_CLUSTERS_MAX);
        if self.text.len() > EVENT_TEXT_BYTES_MAX {
            const CUT: &str = " …";
            let end = self
                .text
                .floor_char_boundary(EVENT_TEXT_BYTES_MAX - CUT.len());
            self.text.truncate(end);
            self.text.push_str(CUT);
        }
        self
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::RECORD_BYTES_MAX;

    /// What is found while a store is rebuilt names partitions and clusters, however many there are.
    #[test]
    fn an_event_that_names_too_much_is_cut_off_and_fits() {
        let long = EventRecord {
            number: 1,
            at: Ts(1),
            kind: EventKind::Found,
            clusters: (1..10_000).map(ClusterId).collect(),
            queue: None,
            text: "ö\u{1}".repeat(1 << 20),
        };
        let cut = long.within_bounds();
        assert!(cut.text.ends_with("ö …") || cut.text.ends_with("\u{1} …"));
        assert!(cut.text.len() <= EVENT_TEXT_BYTES_MAX);
        assert!(cut.encode().len() < RECORD_BYTES_MAX / 10);
        assert_eq!(cut.clone().within_bounds(), cut, "it is not cut twice");
    }
}
