//! Tasks of the manager's API that move a queue's messages to other queues: back to where they died, or all
//! to one queue.
//!
//! | request | answer |
//! |---|---|
//! | `POST /v1/redrives` ([`RedriveRequest`]) | 201 [`RedriveInfo`]; 409 `busy`: a task of this queue runs |
//! | `GET /v1/redrives?queue` ([`RedriveQuery`]) | 200 `[`[`RedriveInfo`]`]`, newest first |
//! | `POST /v1/redrives/{queue}/cancel` ([`CancelRedrive`]) | 200 [`RedriveInfo`]; 404 `not_found`: no such task; 409 `invalid_request` at `task`: it does not run |

use serde::{Deserialize, Serialize};
use shoal_types::{QueueName, Ts};

/// Tasks that move messages.
pub const REDRIVES_PATH: &str = "/v1/redrives";

/// A task is to move a queue's messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedriveRequest {
    /// The queue whose messages go, which must be the dead-letter queue of another one.
    pub queue: QueueName,
    /// Where to; if not given, each message to the queue in which it died.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<QueueName>,
    /// Messages a second, 1 to [`shoal_types::limits::MOVED_PER_SECOND_MAX`]; as fast as it goes if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_second: Option<u16>,
}

/// Whose tasks to show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedriveQuery {
    /// The queue whose messages they move.
    pub queue: QueueName,
}

/// A task is to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CancelRedrive {
    /// Which; the one that runs if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<u64>,
}

/// A task that moves a queue's messages, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedriveInfo {
    /// Tells it from all other tasks; at most 2⁵³ − 1, so that every reader of JSON has it whole.
    pub task: u64,
    /// The queue whose messages go.
    pub queue: QueueName,
    /// Where to; if missing, each to the queue in which it died.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<QueueName>,
    /// Messages a second at most; missing: as fast as it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_second: Option<u16>,
    /// What became of it.
    pub status: RedriveStatus,
    /// Messages that could be received when it began.
    pub to_move: u64,
    /// Messages that their targets have.
    pub moved: u64,
    /// Messages that stay because nobody knows where they died, or where they died is gone.
    pub failed: u64,
    /// When it was asked for, by the manager's clock: microseconds since 1970.
    pub started_at: Ts,
    /// Why it failed, in words; empty if it did not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// What became of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RedriveStatus {
    /// It goes on.
    Running,
    /// What was to be moved is.
    Completed,
    /// It is to end; what is on its way arrives yet.
    Cancelling,
    /// It was ended; what had not gone stays.
    Cancelled,
    /// It cannot go on; what had not gone stays.
    Failed,
}

impl RedriveStatus {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Running,
        Self::Completed,
        Self::Cancelling,
        Self::Cancelled,
        Self::Failed,
    ];

    /// As in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    /// True while messages may still go.
    #[must_use]
    pub fn is_under_way(self) -> bool {
        matches!(self, Self::Running | Self::Cancelling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_written_as_they_are_called() {
        for status in RedriveStatus::ALL {
            let written = serde_json::to_string(&status).unwrap();
            assert_eq!(written, format!("\"{}\"", status.as_str()));
        }
    }

    #[test]
    fn what_is_not_said_is_not_written() {
        let request = RedriveRequest {
            queue: "dead".parse().unwrap(),
            to: None,
            max_per_second: None,
        };
        let written = serde_json::to_string(&request).unwrap();
        assert_eq!(written, r#"{"queue":"dead"}"#);
        assert_eq!(
            serde_json::from_str::<RedriveRequest>(&written).unwrap(),
            request
        );
    }
}
