//! The manager's API, as hosts, frontends and tools speak it. Its errors are [`crate::Problem`]s.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `POST /v1/hosts/heartbeat` | [`shoal_types::HostStatus`] | [`HeartbeatReply`] |
//! | `PUT /v1/queues/{q}` | [`shoal_types::QueueSettings`] | 201 or 200 (same settings) [`QueueRoute`], 409 `queue_exists` |
//! | `PATCH /v1/queues/{q}` | the full new [`shoal_types::QueueSettings`] | 200 [`QueueRoute`] |
//! | `DELETE /v1/queues/{q}` | | 204 |
//! | `GET /v1/queues/{q}` | | 200 [`QueueRoute`], 404 `queue_not_found` |
//! | `GET /v1/queues?prefix&limit&cursor` | | 200 [`RouteList`] |
//! | `GET /v1/feed?since&wait_s` ([`FeedQuery`]) | | 200 [`Feed`] |
//! | `GET /v1/clusters` | | 200 `[`[`ClusterInfo`]`]` |
//! | `POST /v1/clusters` | [`FormRequest`] | 201 or 200 (formed so already) [`ClusterInfo`] |
//! | `POST /v1/clusters/{c}/changes` | [`ChangeRequest`] | 202, or 200 (it is so already) [`ClusterInfo`] |
//! | `POST /v1/clusters/{c}/drain` | [`DrainRequest`] | 200 [`ClusterInfo`] |
//! | `GET /v1/hosts` | | 200 `[`[`HostInfo`]`]` |
//!
//! What it plans and did is in [`crate::plan`], how its store is made anew in [`crate::rebuild`]. While
//! the store lacks what hosts know, everything about queues, the feed and clusters' changes is answered
//! with 503 `manager_unavailable`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use shoal_types::{
    ClusterId, ClusterRoute, ClusterSpec, HostId, HostState, Incarnation, QueueName, QueueRoute,
    Revision, Ts, ViewNumber,
};

use crate::text;

/// Where hosts report themselves.
pub const HEARTBEAT_PATH: &str = "/v1/hosts/heartbeat";
/// Queues, and with `/{name}` one of them.
pub const QUEUES_PATH: &str = "/v1/queues";
/// What changed.
pub const FEED_PATH: &str = "/v1/feed";
/// All clusters.
pub const CLUSTERS_PATH: &str = "/v1/clusters";
/// All hosts.
pub const HOSTS_PATH: &str = "/v1/hosts";

/// Between two heartbeats of a host that belongs to a cluster. One that belongs to none reports more often.
pub const HEARTBEAT_EVERY: Duration = Duration::from_secs(1);
/// For the answer to a heartbeat; a host does not wait longer, and reports again.
pub const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(2);

/// Queues, deletions and clusters in one page of the feed, together: about 5 MB of JSON.
pub const FEED_PAGE_MAX: usize = 10_000;
/// Seconds that the feed waits for something new at most.
pub const FEED_WAIT_S_MAX: u32 = 30;

/// The answer to a heartbeat. It says nothing as long as the store may lack what hosts know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatReply {
    /// The cluster this host belongs to, with its members' current addresses.
    pub cluster: Option<ClusterSpec>,
    /// The store's revision when this was read.
    pub revision: Revision,
}

/// What to ask the feed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeedQuery {
    /// Only what is newer than this.
    pub since: Revision,
    /// If nothing is newer: seconds to wait for it, at most [`FEED_WAIT_S_MAX`].
    pub wait_s: u32,
}

/// One page of what changed, in the order of revisions.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Feed {
    /// Up to where this page goes: what to pass as `since` next time.
    pub revision: Revision,
    /// True if the next page is there already.
    pub more: bool,
    /// Queues that are new or changed.
    pub queues: Vec<QueueRoute>,
    /// Names that have no queue as of `revision`. A route with a larger revision is newer than this.
    pub deleted: Vec<QueueName>,
    /// Clusters that are new or changed.
    pub clusters: Vec<ClusterRoute>,
}

/// One page of queues, by name.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RouteList {
    /// The queues.
    pub queues: Vec<QueueRoute>,
    /// What to pass as `cursor` to get the next page; none on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A cluster, for operators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterInfo {
    /// Which: `c` and hex digits.
    #[serde(with = "text")]
    pub cluster: ClusterId,
    /// Whether it serves.
    pub state: ClusterState,
    /// The newest view that one of its hosts reported; 0 before the first.
    pub view: ViewNumber,
    /// All its hosts: `h` and hex digits.
    #[serde(with = "text::list")]
    pub members: Vec<HostId>,
    /// Those that take commands in that view.
    #[serde(with = "text::list")]
    pub active: Vec<HostId>,
    /// Queues placed there.
    pub queues: u64,
    /// Messages waiting there, leased and delayed ones included.
    pub messages: u64,
    /// The member that alone is to take commands, if an operator wants that.
    #[serde(
        default,
        with = "text::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub only: Option<HostId>,
    /// The change of its members that is under way, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangeInfo>,
}

/// A change that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeInfo {
    /// What is still to be done, in this order.
    pub steps: Vec<ChangeStep>,
    /// How far the first step is, or why it is not done yet; for people.
    pub progress: String,
    /// When it was asked for, by the manager's clock: microseconds since 1970.
    pub asked_at: Ts,
}

/// One member more or one less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeStep {
    /// This host becomes a member.
    Add(#[serde(with = "text")] HostId),
    /// This host is a member no longer.
    Remove(#[serde(with = "text")] HostId),
    /// This member alone takes commands.
    Only(#[serde(with = "text")] HostId),
    /// All members that can take commands.
    All,
}

/// Which hosts are to be a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormRequest {
    /// 3 or 4 hosts that belong to no cluster; fewer if `confirm` is set. If not given, the manager takes
    /// as many free hosts as its clusters have, by its own choice: each such request is one cluster more.
    #[serde(
        default,
        with = "text::option_list",
        skip_serializing_if = "Option::is_none"
    )]
    pub hosts: Option<Vec<HostId>>,
    /// Fewer than 3 hosts are meant: such a cluster stops with any one of them.
    #[serde(default)]
    pub confirm: bool,
}

/// Whether a cluster is to become empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrainRequest {
    /// True: no queue is placed there any more, and those that it has are moved away. False: it takes
    /// queues again.
    pub drain: bool,
    /// Only with `drain`: what nobody consumes there goes on to other clusters at once, not only when the
    /// manager's patience has ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forward: bool,
}

/// Who takes a cluster's commands. Whoever does, a quorum of the members has every one on disk before it
/// is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActiveRequest {
    /// This member, as long as it can; if it cannot, all others.
    Only(#[serde(with = "text")] HostId),
    /// All members that can.
    All,
}

/// How a cluster's members are to change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeRequest {
    /// This host, which belongs to no cluster, becomes a member.
    #[serde(
        default,
        with = "text::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub add: Option<HostId>,
    /// This member is removed, for good; if another one is added, then after that.
    #[serde(
        default,
        with = "text::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub remove: Option<HostId>,
    /// Who takes commands, if that is to change; not together with members that change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<ActiveRequest>,
    /// Fewer than 3 members are meant: such a cluster stops with any one of them.
    #[serde(default)]
    pub confirm: bool,
}

/// Whether a cluster serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClusterState {
    /// Decided, but not all its hosts have confirmed it yet.
    Forming,
    /// A majority of its hosts acts.
    Serving,
    /// Fewer than a majority were heard from lately.
    Unavailable,
    /// A majority acts, and it gives its queues away.
    Draining,
    /// It is empty and serves nobody any more. Its hosts can be switched off.
    Retired,
}

/// A host, for operators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostInfo {
    /// Which: `h` and hex digits.
    #[serde(with = "text")]
    pub host: HostId,
    /// What others dial.
    pub address: String,
    /// Where it stands, as its operator said.
    pub zone: String,
    /// Which hosts it may be in a cluster with: those of the same pool. Left out if it has no name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pool: String,
    /// Its cluster, if it has one.
    #[serde(with = "text::option")]
    pub cluster: Option<ClusterId>,
    /// What it said last.
    pub state: HostState,
    /// True if it was heard from lately.
    pub alive: bool,
    /// Milliseconds since it was heard from.
    pub heard_ms_ago: u64,
    /// Which start of its process.
    pub incarnation: Incarnation,
    /// The last view it installed.
    pub view: ViewNumber,
    /// Messages it keeps.
    pub messages: u64,
    /// Bytes of bodies it keeps.
    pub message_bytes: u64,
    /// Percent of its data volume in use.
    pub disk_used_percent: u8,
    /// The entry executed last, `view/time/lane`.
    pub executed: String,
    /// The hash of everything executed, 16 hex digits: hosts of a cluster that executed the same entry
    /// last have the same.
    pub state_hash: String,
    /// Why it takes no commands, if it said why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

#[cfg(test)]
mod tests {
    use shoal_types::{GroupRange, PartitionRoute, PartitionState};

    use super::*;

    #[test]
    fn ids_are_text_where_people_read_them() {
        let cluster = ClusterInfo {
            cluster: ClusterId(0xc1),
            state: ClusterState::Serving,
            view: ViewNumber(3),
            members: vec![HostId(0xa), HostId(u64::MAX)],
            active: vec![HostId(0xa)],
            queues: 1,
            messages: 2,
            only: None,
            change: None,
        };
        let json = serde_json::to_value(&cluster).unwrap();
        assert_eq!(json["cluster"], "cc1");
        assert_eq!(json["members"][1], "hffffffffffffffff");
        assert_eq!(
            serde_json::from_value::<ClusterInfo>(json).unwrap(),
            cluster
        );
    }

    #[test]
    fn a_partition_in_the_feed_that_says_no_groups_takes_all() {
        let told = r#"{"partition": 1, "epoch": 0, "cluster": 2, "state": "draining"}"#;
        let route: PartitionRoute = serde_json::from_str(told).unwrap();
        assert_eq!(route.groups, GroupRange::ALL);
        assert_eq!(route.state, PartitionState::Draining);
        let again = serde_json::to_string(&route).unwrap();
        assert_eq!(
            serde_json::from_str::<PartitionRoute>(&again).unwrap(),
            route
        );
    }
}
