//! Bodies of `/v1/queues/{queue}/redrive`: tasks that move a queue's messages, as users see them.

use serde::{Deserialize, Serialize};
use shoal_types::{QueueName, limits};

use crate::redrive::{RedriveInfo, RedriveRequest, RedriveStatus};
use crate::{Problem, Timestamp, Whole, text};

/// Tasks of a queue that are shown: the newest ones.
pub const REDRIVES_SHOWN_MAX: usize = 10;

/// The body of `POST`: where the messages go and how fast. An empty object, or no body, is each to the queue
/// in which it died, as fast as it goes.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedriveBody {
    /// Where to; if not said, each message to the queue in which it died.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<QueueName>,
    /// Messages a second at most; as fast as it goes if not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_per_second: Option<Whole<1, { limits::MOVED_PER_SECOND_MAX as u64 }>>,
}

impl RedriveBody {
    /// What the manager is asked to do with this queue.
    ///
    /// # Errors
    /// If the messages are to go to another account or region, or to where they are.
    pub fn request(self, queue: QueueName) -> Result<RedriveRequest, Problem> {
        if let Some(to) = &self.to {
            if to.scope() != queue.scope() {
                return Err(Problem::invalid("to", "is in another account or region"));
            }
            if *to == queue {
                return Err(Problem::invalid("to", "is the queue itself"));
            }
        }
        let rate = |rate: Whole<1, { limits::MOVED_PER_SECOND_MAX as u64 }>| {
            u16::try_from(rate.get()).expect("the range was chosen to fit")
        };
        Ok(RedriveRequest {
            queue,
            to: self.to,
            max_per_second: self.max_per_second.map(rate),
        })
    }
}

/// The answer to `GET`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RedriveList {
    /// The queue's newest tasks, at most [`REDRIVES_SHOWN_MAX`], newest first.
    pub redrives: Vec<RedriveTask>,
}

/// A task that moves a queue's messages, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedriveTask {
    /// Tells it from all other tasks: a decimal number as text.
    #[serde(with = "text")]
    pub task: u64,
    /// The queue whose messages go.
    pub queue: QueueName,
    /// Where to; missing: each message to the queue in which it died.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<QueueName>,
    /// Messages a second at most; missing: as fast as it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_second: Option<u16>,
    /// What became of it.
    pub status: RedriveStatus,
    /// Messages that could be received when it began.
    pub to_move: u64,
    /// Messages that arrived.
    pub moved: u64,
    /// Messages that stay, because where they died is unknown or gone.
    pub failed: u64,
    /// When it was asked for, by the manager's clock.
    pub started_at: Timestamp,
    /// Why it failed, for people; missing if it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl From<RedriveInfo> for RedriveTask {
    fn from(info: RedriveInfo) -> Self {
        Self {
            task: info.task,
            queue: info.queue,
            to: info.to,
            max_per_second: info.max_per_second,
            status: info.status,
            to_move: info.to_move,
            moved: info.moved,
            failed: info.failed,
            started_at: Timestamp(info.started_at),
            reason: Some(info.reason).filter(|reason| !reason.is_empty()),
        }
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::Ts;

    use super::*;
    use crate::json;

    fn name(name: &str) -> QueueName {
        name.parse().unwrap()
    }

    #[test]
    fn a_body_says_where_to_and_how_fast_or_nothing() {
        let body: RedriveBody = json::read(br#"{"to":"orders","max_per_second":500}"#).unwrap();
        let asked = body.request(name("dead")).unwrap();
        assert_eq!(asked.to, Some(name("orders")));
        assert_eq!(asked.max_per_second, Some(500));
        let nothing: RedriveBody = json::read(br#"{"to":null}"#).unwrap();
        let asked = nothing.request(name("dead")).unwrap();
        assert_eq!((asked.to, asked.max_per_second), (None, None));
    }

    #[test]
    fn wrong_bodies_name_their_field() {
        for (body, field) in [
            (r#"{"max_per_second":0}"#, "max_per_second"),
            (r#"{"max_per_second":501}"#, "max_per_second"),
            (r#"{"to":"a b"}"#, "to"),
            (r#"{"rate":1}"#, "rate"),
        ] {
            let problem = json::read::<RedriveBody>(body.as_bytes()).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some(field), "{body}");
        }
        for to in ["dead", "123456789012/us-east-1/orders"] {
            let body = RedriveBody {
                to: Some(name(to)),
                max_per_second: None,
            };
            let problem = body.request(name("dead")).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some("to"), "{to}");
        }
    }

    #[test]
    fn a_task_is_shown_with_its_number_as_text_and_its_time_as_everyone_writes_it() {
        let info = RedriveInfo {
            task: (1 << 53) - 1,
            queue: name("dead"),
            to: None,
            max_per_second: None,
            status: RedriveStatus::Running,
            to_move: 3,
            moved: 2,
            failed: 1,
            started_at: Ts(951_782_400_000_000),
            reason: String::new(),
        };
        let task = RedriveTask::from(info);
        let written = serde_json::to_value(&task).unwrap();
        assert_eq!(written["task"], "9007199254740991");
        assert_eq!(written["started_at"], "2000-02-29T00:00:00.000000Z");
        assert!(written.get("reason").is_none() && written.get("to").is_none());
        assert_eq!(
            serde_json::from_value::<RedriveTask>(written).unwrap(),
            task
        );
    }
}
