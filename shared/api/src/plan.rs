//! What the manager plans, did and has under way, for operators. Ids are text, as people write them.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/plan` | 200 [`PlanInfo`] |
//! | `GET /v1/events?after&limit` ([`EventQuery`]) | 200 [`EventPage`] |
//! | `GET /v1/moves` | 200 `[`[`MoveInfo`]`]` |
//! | `POST /v1/moves` ([`MoveRequest`]) | 202 [`MoveInfo`], 409 `busy`: not now, and why |

use serde::{Deserialize, Serialize};
use shoal_types::{ClusterId, PartitionId, QueueName, Ts};

use crate::{Problem, text};

/// The last round of planning.
pub const PLAN_PATH: &str = "/v1/plan";
/// What was decided and what came of it.
pub const EVENTS_PATH: &str = "/v1/events";

/// Moves, splits and merges that are under way.
pub const MOVES_PATH: &str = "/v1/moves";

/// Events of one page.
pub const EVENTS_PAGE_MAX: u64 = 1_000;
/// Events of a page if the request does not say.
pub const EVENTS_PAGE: u64 = 100;

/// The last round of planning: what was seen, what is to be done and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanInfo {
    /// When it was made, by the manager's clock: microseconds since 1970. 0: there was none yet.
    pub at: Ts,
    /// Every cluster that is not retired, hottest first.
    pub clusters: Vec<ClusterHeat>,
    /// What was planned, in the order in which it was begun.
    pub actions: Vec<PlannedAction>,
    /// Overheated clusters for which nothing was begun, and drained ones on which something stays.
    pub not_helped: Vec<NotHelpedInfo>,
    /// What the fleet lacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_needed: Option<CapacityInfo>,
}

/// How hot a cluster is, and of what that consists. Heat is in percent: 100 is at the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterHeat {
    /// Which.
    #[serde(with = "text")]
    pub cluster: ClusterId,
    /// What three of the last five windows reached, by which the cluster is judged; none while too little
    /// was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heat: Option<u64>,
    /// What it is that is so hot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measure: Option<String>,
    /// The last window, each measure with its target; none before the first one.
    pub measures: Vec<MeasureInfo>,
    /// Its busiest partitions in the last window, busiest first; at most five.
    pub busiest: Vec<BusyPartition>,
}

/// One measure of a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasureInfo {
    /// What.
    pub measure: String,
    /// How much, in the target's unit: a second, percent, microseconds, messages.
    pub value: u64,
    /// How much it is to be at most.
    pub target: u64,
    /// Value over target, in percent.
    pub heat: u64,
}

/// A partition that does much.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BusyPartition {
    /// Its queue.
    pub queue: QueueName,
    /// Which: `p` and hex digits.
    #[serde(with = "text")]
    pub partition: PartitionId,
    /// Messages sent, received or acknowledged a second.
    pub operations: u64,
    /// Bytes sent a second.
    pub bytes: u64,
}

/// Something that was planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedAction {
    /// What, in words.
    pub action: String,
    /// Why, in words.
    pub reason: String,
    /// The queue that it is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueName>,
    /// Clusters that take part.
    #[serde(with = "text::list")]
    pub clusters: Vec<ClusterId>,
    /// True if it was begun.
    pub begun: bool,
    /// What came of it: how far it is, or why it was not begun.
    pub outcome: String,
}

/// An overheated cluster that nothing is done for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotHelpedInfo {
    /// Which.
    #[serde(with = "text")]
    pub cluster: ClusterId,
    /// How hot and why nothing is done, in words.
    pub why: String,
}

/// Hosts that are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapacityInfo {
    /// Hosts, all together.
    pub hosts: usize,
    /// Clusters that they would form.
    pub clusters: usize,
    /// Dead members that they would replace.
    pub replacements: usize,
}

/// A partition is to move to another cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoveRequest {
    /// The queue.
    pub queue: QueueName,
    /// Where to.
    #[serde(with = "text")]
    pub to: ClusterId,
    /// Which of its partitions; the one that takes sends, if it has only one such.
    #[serde(
        default,
        with = "text::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub partition: Option<PartitionId>,
}

/// A move, split or merge that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveInfo {
    /// The first partition that it opens: names the move.
    #[serde(with = "text")]
    pub id: PartitionId,
    /// The queue.
    pub queue: QueueName,
    /// `move`, `split` or `merge`.
    pub kind: String,
    /// `creating`, `sealing`, `opening`, `draining`, `forwarding` or `undoing`.
    pub stage: String,
    /// Partitions that are followed and not empty yet.
    #[serde(with = "text::list")]
    pub seals: Vec<PartitionId>,
    /// Partitions that follow.
    #[serde(with = "text::list")]
    pub opens: Vec<PartitionId>,
    /// Where those are that are followed.
    #[serde(with = "text::list")]
    pub from: Vec<ClusterId>,
    /// Where those are that follow.
    #[serde(with = "text::list")]
    pub to: Vec<ClusterId>,
    /// What and why, in words.
    pub text: String,
    /// What it waits for; empty if its step was just begun.
    pub progress: String,
    /// When it was decided, by the manager's clock: microseconds since 1970.
    pub begun_at: Ts,
    /// Seconds since then.
    pub under_way_s: u64,
}

/// Which events to give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventQuery {
    /// Those with a higher number than this. If not given: the newest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// At most so many, 1 to [`EVENTS_PAGE_MAX`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

impl EventQuery {
    /// How many events are asked for.
    ///
    /// # Errors
    /// If there are to be none, or too many at once.
    pub fn limit(&self) -> Result<u64, Problem> {
        let limit = self.limit.unwrap_or(EVENTS_PAGE);
        if (1..=EVENTS_PAGE_MAX).contains(&limit) {
            return Ok(limit);
        }
        let why = format!("{limit} is not within 1 to {EVENTS_PAGE_MAX}");
        Err(Problem::invalid("limit", why))
    }
}

/// Events in the order of their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventPage {
    /// The events.
    pub events: Vec<Event>,
    /// What to pass as `after` to get those that come next.
    pub next: u64,
}

/// Something that the manager decided, or that came of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its place among all events, from 1; numbers may be missing.
    pub number: u64,
    /// When, by the manager's clock: microseconds since 1970.
    pub at: Ts,
    /// What it is about.
    pub kind: EventKind,
    /// Clusters that take part.
    #[serde(with = "text::list")]
    pub clusters: Vec<ClusterId>,
    /// The queue, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueName>,
    /// What happened and why, in words.
    pub text: String,
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// Something was decided and is being carried out.
    Decided,
    /// A decision has come about.
    Done,
    /// A decision was taken back.
    Undone,
    /// Something that was planned cannot be carried out, or that is over.
    NotBegun,
    /// Hosts are missing, or not any more.
    Capacity,
    /// Something was found while the store was rebuilt from what hosts report.
    Found,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Decided,
        Self::Done,
        Self::Undone,
        Self::NotBegun,
        Self::Capacity,
        Self::Found,
    ];

    /// As in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decided => "decided",
            Self::Done => "done",
            Self::Undone => "undone",
            Self::NotBegun => "not_begun",
            Self::Capacity => "capacity",
            Self::Found => "found",
        }
    }
}
