//! What is said on a host's port by frontends and the manager, inside the frames of
//! `shoal-transport`. (What hosts say among themselves is in `shoal-replication`.)

use serde::{Deserialize, Serialize};

use crate::{
    ClusterId, HostId, Incarnation, LoadReport, Outbox, Outcome, PartitionId, PartitionPage,
    Position, Request, Revision, Sequence, Succession, Ts, ViewNumber,
};

/// A request to a host. Bodies of a send travel beside it.
///
/// The variants' order is the wire format: add at the end only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostRequest {
    /// Replicate and execute; answered with [`HostReply::Outcome`].
    Execute {
        /// The cluster the caller believes to be talking to; another one refuses with `StaleRoute`.
        cluster: ClusterId,
        /// The command.
        request: Request,
    },
    /// Read this host's executed state; may lag behind what was acknowledged elsewhere.
    Query {
        /// As for `Execute`.
        cluster: ClusterId,
        /// What to read.
        query: Query,
    },
    /// Manager: form a cluster, once. Repeating the same spec is a no-op; another one is refused.
    Form {
        /// Who belongs to it.
        spec: ClusterSpec,
    },
    /// How is it? Answered by any host in any state.
    Status,
    /// Manager, to any member: one member more, one less, or other addresses. Answered with
    /// [`HostReply::MembersChanged`] once a quorum of these members is at it, or with a refusal that says
    /// whether asking again can help. The present list again is no change; a revision that is not higher
    /// than that of the present list is refused.
    ChangeMembers {
        /// The cluster as it is to be.
        spec: ClusterSpec,
    },
    /// Manager, to a host of no cluster, before `ChangeMembers`: follow this cluster, you are to become a
    /// member. Repeating it is a no-op; a list of a higher revision replaces it.
    Learn {
        /// The cluster as it is to be, this host in it.
        spec: ClusterSpec,
    },
}

/// Reads of a host's own state.
///
/// The variants' order is the wire format: add at the end only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    /// A partition's counts.
    Counts {
        /// Which.
        partition: PartitionId,
    },
    /// The first messages, ready ones only, without leasing them. Bodies travel beside the reply.
    Peek {
        /// Which.
        partition: PartitionId,
        /// At most so many.
        limit: u16,
    },
    /// How far a partition is in following others and being followed.
    Succession {
        /// Which.
        partition: PartitionId,
    },
    /// Manager: the partitions and what it noted down beside them, by id, in pages of at most
    /// [`crate::limits::PARTITIONS_TOLD_MAX`].
    Partitions {
        /// Only those with larger ids than this one.
        after: Option<PartitionId>,
        /// At most so many; fewer if their descriptions are long.
        limit: u16,
    },
    /// What a partition sends to other queues.
    Outbox {
        /// Which.
        partition: PartitionId,
    },
}

/// The answer to a [`HostRequest`], if it is not a [`crate::Refusal`]. Bodies of delivered or peeked
/// messages travel beside it, one per message, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostReply {
    /// Of `Execute`. Never [`Outcome::Waiting`]: the host answers when the wait is over.
    Outcome(Outcome),
    /// Of `Query`.
    Query(QueryReply),
    /// Of `Form`.
    Formed,
    /// Of `Status`.
    Status(Box<HostStatus>),
    /// Of `ChangeMembers`.
    MembersChanged,
    /// Of `Learn`: it is on disk. How far the host is, its state tells.
    Learning,
}

/// The answer to a [`Query`].
///
/// The variants' order is the wire format: add at the end only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueryReply {
    /// Of `Counts`.
    Counts(PartitionCounts),
    /// Of `Peek`.
    Peeked(Vec<Peeked>),
    /// Of `Succession`.
    Succession(Succession),
    /// Of `Partitions`.
    Partitions(PartitionPage),
    /// Of `Outbox`.
    Outbox(Box<Outbox>),
}

/// How many messages are where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PartitionCounts {
    /// Can be received now.
    pub ready: u64,
    /// Leased.
    pub in_flight: u64,
    /// Held back until due.
    pub delayed: u64,
    /// Bytes of stored form, all of the above.
    pub bytes: u64,
    /// When the oldest message was sent.
    pub oldest_sent_at: Option<Ts>,
    /// The number the last message got; 0 if there was none.
    pub last_sequence: Sequence,
}

/// A message that was looked at, not leased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peeked {
    /// Its number.
    pub sequence: Sequence,
    /// When it was sent.
    pub sent_at: Ts,
    /// How often it was received.
    pub receive_count: u32,
    /// Its group.
    pub group: Option<crate::GroupName>,
    /// Bytes of the stored form.
    pub size: u32,
    /// CRC-32C of the stored form as sent.
    pub crc: u32,
}

/// Who belongs to a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterSpec {
    /// The cluster.
    pub cluster: ClusterId,
    /// Its hosts; [`crate::limits::CLUSTER_HOSTS`] of them, sorted by id, each once.
    pub members: Vec<ClusterMember>,
    /// Fence: of two lists the one with the higher revision is in force.
    pub revision: Revision,
    /// This member alone is to write, whenever it can; otherwise all that can do.
    pub only: Option<HostId>,
}

/// A host and where it listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterMember {
    /// The host.
    pub host: HostId,
    /// What others dial: `name:port`, see [`is_address`].
    pub address: String,
}

/// Whether others may dial this: `name:port`, the name not empty, the port not 0, and at most
/// [`crate::limits::ADDRESS_BYTES_MAX`] bytes.
#[must_use]
pub fn is_address(text: &str) -> bool {
    let parts = text.rsplit_once(':');
    let named = parts
        .is_some_and(|(name, port)| !name.is_empty() && matches!(port.parse::<u16>(), Ok(1..)));
    named && text.len() <= crate::limits::ADDRESS_BYTES_MAX
}

/// What a host is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostState {
    /// Belongs to no cluster yet.
    Unassigned,
    /// Belongs to one, but takes no commands: starting, catching up, cut off, or in trouble, of which
    /// [`HostStatus::trouble`] tells.
    Joining,
    /// Acts in the current view and has caught up.
    Acting,
    /// Is to become a member of a cluster and catches up.
    Learning,
    /// Lacks what is in no log of its cluster any more.
    NeedsSnapshot,
    /// Was removed from its cluster. Its data folder is of no use any more.
    Removed,
    /// Refused by its cluster, which remembers more of it than it knows: its data folder was lost or set
    /// back. Its data folder is of no use any more.
    Forgotten,
}

/// A host's view of itself; also its heartbeat to the manager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostStatus {
    /// Who.
    pub host: HostId,
    /// Which start of its process.
    pub incarnation: Incarnation,
    /// What others dial.
    pub address: String,
    /// Where it stands, as its operator said.
    pub zone: String,
    /// Which hosts it may be in a cluster with: those that say the same. Only heartbeats tell, so that the
    /// binary form stays as it was. A host of an earlier release does not tell and is of the pool without
    /// a name, the empty one.
    #[serde(default, with = "crate::only_in_text")]
    pub pool: String,
    /// What it is at the moment.
    pub state: HostState,
    /// Its cluster, if it has one.
    pub cluster: Option<ClusterId>,
    /// The last view it installed.
    pub view: ViewSummary,
    /// Its clock.
    pub clock: Ts,
    /// Messages it keeps.
    pub messages: u64,
    /// Bytes of bodies it keeps.
    pub message_bytes: u64,
    /// Percent of the data volume in use.
    pub disk_used_percent: u8,
    /// The entry executed last.
    pub executed: Position,
    /// The rolling hash of everything executed: hosts of a cluster that executed the same entry last have
    /// the same.
    pub state_hash: u64,
    /// Why it takes no commands, if it does not: what is the matter and what to do about it.
    pub trouble: Option<String>,
    /// What it did lately. A host of an earlier release does not tell.
    #[serde(default)]
    pub load: LoadReport,
    /// The highest of the manager's revisions that it knows of: from instructions that its cluster carried
    /// out, from the list of members, or from an answer to a heartbeat of this process. A manager whose
    /// store is at a lower one has lost something. A host of an earlier release does not tell.
    #[serde(default)]
    pub revision: Revision,
}

/// A view, as far as others need to know.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ViewSummary {
    /// Its number; 0 if there is none.
    pub number: ViewNumber,
    /// All hosts of the cluster.
    pub members: Vec<HostId>,
    /// Those that take commands.
    pub active: Vec<HostId>,
}

/// What a host tells connected frontends without being asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Push {
    /// A view was installed: requests pending at hosts outside `active` are to be sent again elsewhere
    /// at once, under the same request id.
    View {
        /// Of which cluster.
        cluster: ClusterId,
        /// The view.
        view: ViewSummary,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(pool: &str) -> HostStatus {
        HostStatus {
            host: HostId(1),
            incarnation: Incarnation(1),
            address: "h1:9400".to_owned(),
            zone: "a".to_owned(),
            pool: pool.to_owned(),
            state: HostState::Unassigned,
            cluster: None,
            view: ViewSummary::default(),
            clock: Ts(0),
            messages: 0,
            message_bytes: 0,
            disk_used_percent: 0,
            executed: Position::default(),
            state_hash: 0,
            trouble: None,
            load: LoadReport::default(),
            revision: Revision(0),
        }
    }

    #[test]
    fn a_heartbeat_tells_the_pool_and_one_without_is_of_the_pool_without_a_name() {
        let mut told = serde_json::to_value(status("orders")).unwrap();
        let read = |told: &serde_json::Value| {
            serde_json::from_value::<HostStatus>(told.clone())
                .unwrap()
                .pool
        };
        assert_eq!(read(&told), "orders");
        told.as_object_mut().unwrap().remove("pool");
        assert_eq!(read(&told), "");
    }

    // A manager asks hosts of an earlier release for their status before it forms a cluster of them: a byte
    // more would not be understood by either side.
    #[test]
    fn the_pool_is_not_in_the_binary_form_of_a_status() {
        let (without, with) = (status(""), status("orders"));
        let bytes = postcard::to_allocvec(&with).unwrap();
        assert_eq!(bytes, postcard::to_allocvec(&without).unwrap());
        assert_eq!(postcard::from_bytes::<HostStatus>(&bytes), Ok(without));
        let before_pools = [
            &[1, 1, 7][..],
            b"h1:9400",
            &[1, b'a'],
            &[0; 14],
            &[0, 1, 0, 0, 0, 0, 0, 0],
            &[0],
        ];
        assert_eq!(bytes, before_pools.concat());
    }
}
