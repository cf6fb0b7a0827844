//! The commands that a cluster executes, in one order, on every host alike.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    DeadLetters, Description, Heir, HostId, Incarnation, Inherited, MachineVersion, Micros,
    MoveTask, Parcel, PartitionId, PartitionSettings, Piece, Receipt, RequestId, Revision, Seal,
    Successor, Ts,
};

/// A command with what makes it safe to repeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The same over all attempts of one client operation. [`RequestId`] 0 marks a host's own
    /// commands (ticks, cancelled waiters, raises), which are idempotent and not remembered.
    pub id: RequestId,
    /// In cluster time; a command that executes later does nothing and says so. The result is
    /// remembered until then. At most [`crate::limits::DEADLINE_AHEAD_MAX`] ahead.
    pub deadline: Ts,
    /// Which host's client waits for the answer. Set by the coordinator, not by the frontend.
    pub origin: Origin,
    /// What to do.
    pub command: Command,
}

/// One life of one host.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Origin {
    /// The host.
    pub host: HostId,
    /// Which start of its process.
    pub incarnation: Incarnation,
}

/// What can be asked of a cluster's queues.
///
/// The variants' order is the wire and log format: add at the end only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Manager: make a partition, or do nothing if it is there with this or a later revision.
    CreatePartition {
        /// The new partition.
        partition: PartitionId,
        /// Its behaviour.
        settings: PartitionSettings,
        /// Fence: compared with the revision kept in the partition.
        revision: Revision,
    },
    /// Manager: change a partition's behaviour. Messages keep the delay they were sent with.
    ConfigurePartition {
        /// Which partition.
        partition: PartitionId,
        /// The new behaviour.
        settings: PartitionSettings,
        /// Fence.
        revision: Revision,
    },
    /// Manager: drop a partition with all its messages. Its id is never used again.
    DeletePartition {
        /// Which partition.
        partition: PartitionId,
        /// Fence.
        revision: Revision,
    },
    /// Number and keep messages. The bodies travel beside the command, one per item, in order.
    Send {
        /// Where to.
        partition: PartitionId,
        /// The messages, in order; at most [`crate::limits::SEND_BATCH_MAX`].
        items: Vec<SendItem>,
    },
    /// Lease messages, smallest number first.
    Receive {
        /// Where from.
        partition: PartitionId,
        /// At most so many; 1 to [`crate::limits::RECEIVE_BATCH_MAX`].
        max: u16,
        /// How long the lease lasts, if not as the partition says.
        visibility: Option<Micros>,
        /// If nothing is ready: wait until then (cluster time) instead of answering empty.
        wait_until: Option<Ts>,
        /// A repeated receive with the same key gives the same messages again, while their leases last.
        attempt: Option<AttemptKey>,
        /// Lease and delete in one command: at most once. A message whose answer gets lost is gone.
        auto_ack: bool,
    },
    /// Delete leased messages. Idempotent.
    Acknowledge {
        /// Where they lie.
        partition: PartitionId,
        /// Which leases of which messages.
        receipts: Vec<Receipt>,
    },
    /// Let leases end later (extend) or earlier.
    ChangeVisibility {
        /// Where they lie.
        partition: PartitionId,
        /// Each with its own new end.
        changes: Vec<LeaseChange>,
    },
    /// Give messages back: ready again after a delay. They count as received.
    Release {
        /// Where they lie.
        partition: PartitionId,
        /// Which leases.
        receipts: Vec<Receipt>,
        /// 0: at once.
        delay: Micros,
    },
    /// The client was gone before the answer was written: back to ready, not counted as received.
    Unreceive {
        /// Where they lie.
        partition: PartitionId,
        /// Which leases.
        receipts: Vec<Receipt>,
    },
    /// Delete all messages that were sent before, leased ones included. Of a sealed partition only those
    /// that are still there; answered with [`crate::Outcome::PurgedBut`].
    Purge {
        /// Which partition.
        partition: PartitionId,
    },
    /// The client of a waiting receive is gone: forget the waiter. Messages that it was given in the
    /// meantime go back as by `Unreceive`.
    CancelWaiter {
        /// Where it waits.
        partition: PartitionId,
        /// The receive's request id.
        waiter: RequestId,
    },
    /// Nothing but time: due work is done up to the entry's timestamp.
    Tick,
    /// A host, when every member has announced support: execute by this version's rules from the next
    /// command on. Nothing happens if they are in force already.
    RaiseVersion {
        /// The new version.
        to: MachineVersion,
    },
    /// Manager: make a partition that takes no sends until it has been shown the seals of all that it
    /// follows, or do nothing if it is there with this or a later revision.
    CreateSuccessor {
        /// The new partition.
        partition: PartitionId,
        /// Its behaviour; the epoch above those of all that it follows.
        settings: PartitionSettings,
        /// Fence.
        revision: Revision,
        /// What it follows; 1 to [`crate::limits::SUCCESSORS_MAX`], each once.
        succeeds: Vec<PartitionId>,
    },
    /// Manager: no send is taken here any more. Answered with [`crate::Outcome::Sealed`]. Sealed
    /// already, it takes the successors' members and the revision, and refuses other successors.
    Seal {
        /// Which partition.
        partition: PartitionId,
        /// Who follows; 1 to [`crate::limits::SUCCESSORS_MAX`], each once.
        successors: Vec<Successor>,
        /// Fence.
        revision: Revision,
    },
    /// Anyone who was shown a seal, to a successor: this is what you follow.
    Succeed {
        /// The successor.
        partition: PartitionId,
        /// Of what it follows.
        seal: Box<Seal>,
        /// What it inherits.
        news: Inherited,
    },
    /// A host of the sealed partition's cluster: these successors have been told that it is drained.
    ToldDrained {
        /// The sealed partition.
        partition: PartitionId,
        /// Of its successors.
        successors: Vec<PartitionId>,
    },
    /// Manager: keep this beside the partition, for a manager that knows nothing of it any more. Changes
    /// nothing of what the partition does, nor its fence; an older description than is kept is refused.
    Describe {
        /// Which partition.
        partition: PartitionId,
        /// What is kept; its revision is the fence.
        description: Description,
    },
    /// Manager: make a partition that takes over the messages of a sealed one, and is sealed as that is.
    /// Nothing happens if it is there with this or a later revision.
    CreateHeir {
        /// The new partition.
        partition: PartitionId,
        /// Its behaviour, with the epoch of the one whose messages it takes over.
        settings: PartitionSettings,
        /// Fence.
        revision: Revision,
        /// The partition whose messages it takes over.
        source: PartitionId,
        /// What that one shows. If it is an heir itself, the seal is of the first of them.
        seal: Box<Seal>,
    },
    /// Manager, to a sealed partition: its messages go on to this heir. Repeated, it takes the heir's
    /// members, and refuses another heir as long as the forwarding to this one was not ended.
    Forward {
        /// The sealed partition.
        partition: PartitionId,
        /// Who takes its messages over.
        heir: Heir,
        /// Fence.
        revision: Revision,
    },
    /// A host of the sealed partition's cluster: the heir has all pieces up to this one, so their messages
    /// are gone from here; and if none is on its way then, make the next piece of what can go.
    NextPiece {
        /// The sealed partition.
        partition: PartitionId,
        /// Its heir.
        heir: PartitionId,
        /// The last piece that the heir took; 0: none.
        taken: u64,
    },
    /// A host of the source's cluster, to the target: take this piece, if it was not taken before. Bodies
    /// travel beside the command, one per message, in order. Answered with [`crate::Outcome::Taken`].
    TakePiece {
        /// The target.
        partition: PartitionId,
        /// The source.
        from: PartitionId,
        /// What is to be taken.
        piece: Piece,
    },
    /// A host of the sealed partition's cluster: the heir is gone for good. What is on its way is as it was
    /// before, and nothing goes on any more.
    EndForwarding {
        /// The sealed partition.
        partition: PartitionId,
        /// The heir that is gone.
        heir: PartitionId,
    },
    /// Manager: when this partition's messages die, and where they go then. `None`: they do not; those that
    /// have not gone yet come to life again.
    SetDeadLetters {
        /// Which partition.
        partition: PartitionId,
        /// The new setting.
        dead_letters: Option<Box<DeadLetters>>,
        /// Fence: compared with that of the last such instruction alone.
        revision: Revision,
    },
    /// Manager: move to another queue what can be received here now. Refused while another task runs.
    StartMove {
        /// Which partition.
        partition: PartitionId,
        /// What to move where.
        task: Box<MoveTask>,
        /// Fence: compared with that of the last such instruction alone.
        revision: Revision,
    },
    /// Manager: what has not gone of a task's messages stays. What is on its way arrives.
    CancelMove {
        /// Which partition.
        partition: PartitionId,
        /// The task.
        task: u64,
        /// Fence, as of [`Command::StartMove`].
        revision: Revision,
    },
    /// A host of the source's cluster: the parcel with this number was taken, so its messages are gone from
    /// here; and if none is on its way then, make the next one if there is anything to go.
    NextParcel {
        /// The source.
        partition: PartitionId,
        /// The last parcel that was taken by whom it was for; 0: none.
        taken: u64,
    },
    /// A host of the source's cluster, to the target: take this parcel, if it was not taken before. Bodies
    /// travel beside the command, one per message, in order. Answered with [`crate::Outcome::Taken`], or with
    /// [`crate::Outcome::Sealed`] or [`crate::Outcome::Closed`] as a send would be.
    TakeParcel {
        /// The target.
        partition: PartitionId,
        /// The source.
        from: PartitionId,
        /// What is to be taken.
        parcel: Parcel,
    },
    /// A host of the source's cluster: whom the parcel was for is sealed and has not taken it. It was not
    /// made, and what follows takes the place of the one that is sealed.
    RedirectParcel {
        /// The source.
        partition: PartitionId,
        /// The parcel's number.
        parcel: u64,
        /// What was shown instead of taking it.
        seal: Box<Seal>,
    },
    /// A host of the source's cluster: whom the parcel was for is gone for good, or will never take it. It
    /// was not made.
    ReturnParcel {
        /// The source.
        partition: PartitionId,
        /// The parcel's number.
        parcel: u64,
    },
}

impl Command {
    /// The partition it is about, if it is about one.
    #[must_use]
    pub fn partition(&self) -> Option<PartitionId> {
        match self {
            Self::CreatePartition { partition, .. }
            | Self::ConfigurePartition { partition, .. }
            | Self::DeletePartition { partition, .. }
            | Self::Send { partition, .. }
            | Self::Receive { partition, .. }
            | Self::Acknowledge { partition, .. }
            | Self::ChangeVisibility { partition, .. }
            | Self::Release { partition, .. }
            | Self::Unreceive { partition, .. }
            | Self::Purge { partition }
            | Self::CancelWaiter { partition, .. }
            | Self::CreateSuccessor { partition, .. }
            | Self::Seal { partition, .. }
            | Self::Succeed { partition, .. }
            | Self::ToldDrained { partition, .. }
            | Self::Describe { partition, .. }
            | Self::CreateHeir { partition, .. }
            | Self::Forward { partition, .. }
            | Self::NextPiece { partition, .. }
            | Self::TakePiece { partition, .. }
            | Self::EndForwarding { partition, .. }
            | Self::SetDeadLetters { partition, .. }
            | Self::StartMove { partition, .. }
            | Self::CancelMove { partition, .. }
            | Self::NextParcel { partition, .. }
            | Self::TakeParcel { partition, .. }
            | Self::RedirectParcel { partition, .. }
            | Self::ReturnParcel { partition, .. } => Some(*partition),
            Self::Tick | Self::RaiseVersion { .. } => None,
        }
    }

    /// The fence, if it is an instruction of the manager.
    #[must_use]
    pub fn revision(&self) -> Option<Revision> {
        match self {
            Self::CreatePartition { revision, .. }
            | Self::ConfigurePartition { revision, .. }
            | Self::DeletePartition { revision, .. }
            | Self::CreateSuccessor { revision, .. }
            | Self::Seal { revision, .. }
            | Self::CreateHeir { revision, .. }
            | Self::Forward { revision, .. }
            | Self::SetDeadLetters { revision, .. }
            | Self::StartMove { revision, .. }
            | Self::CancelMove { revision, .. }
            | Self::Describe {
                description: Description { revision, .. },
                ..
            } => Some(*revision),
            Self::Send { .. }
            | Self::Receive { .. }
            | Self::Acknowledge { .. }
            | Self::ChangeVisibility { .. }
            | Self::Release { .. }
            | Self::Unreceive { .. }
            | Self::Purge { .. }
            | Self::CancelWaiter { .. }
            | Self::Tick
            | Self::RaiseVersion { .. }
            | Self::Succeed { .. }
            | Self::ToldDrained { .. }
            | Self::NextPiece { .. }
            | Self::TakePiece { .. }
            | Self::EndForwarding { .. }
            | Self::NextParcel { .. }
            | Self::TakeParcel { .. }
            | Self::RedirectParcel { .. }
            | Self::ReturnParcel { .. } => None,
        }
    }

    /// Of a command that bodies travel beside: bytes and CRC-32C of each, in order. Empty for all others.
    pub fn bodies(&self) -> impl Iterator<Item = (u32, u32)> {
        let (items, forwarded, parceled) = match self {
            Self::Send { items, .. } => (items.as_slice(), &[][..], &[][..]),
            Self::TakePiece { piece, .. } => (&[][..], piece.messages.as_slice(), &[][..]),
            Self::TakeParcel { parcel, .. } => (&[][..], &[][..], parcel.messages.as_slice()),
            _ => (&[][..], &[][..], &[][..]),
        };
        let items = items.iter().map(|item| (item.size, item.crc));
        let forwarded = forwarded.iter().map(|one| (one.size, one.crc));
        let parceled = parceled.iter().map(|one| (one.size, one.crc));
        items.chain(forwarded).chain(parceled)
    }
}

/// One message of a send, without its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendItem {
    /// Bytes of the stored form (attributes and body); what counts towards the queue's `max_bytes`.
    pub size: u32,
    /// CRC-32C of the stored form, handed to the consumer's side to check what it got.
    pub crc: u32,
    /// Not given out before so long after the send, if not as the partition says.
    pub delay: Option<Micros>,
    /// Dropped so long after the send, if sooner than the partition's retention.
    pub ttl: Option<Micros>,
    /// Message group. FIFO queues need one.
    pub group: Option<GroupName>,
    /// Sends with the same key within five minutes are one message.
    pub deduplication: Option<Deduplication>,
}

/// A message group's name, 1 to [`crate::limits::GROUP_CHARS_MAX`] characters, checked at the edge.
pub type GroupName = Arc<str>;

/// Says that two sends are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deduplication {
    /// Equal keys are the same message.
    pub key: DedupKey,
    /// If given and another than that of the first send: a conflict instead of a repetition.
    pub fingerprint: Option<u64>,
}

/// The first 16 bytes of the SHA-256 of a deduplication id, content or idempotency key (each with a
/// prefix of its own, so that they never meet).
pub type DedupKey = [u8; 16];
/// As [`DedupKey`], of a receive's attempt id.
pub type AttemptKey = [u8; 16];

/// A new end for one lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseChange {
    /// Which lease.
    pub receipt: Receipt,
    /// It ends so long after this command's timestamp. 0 gives the message back at once.
    pub visibility: Micros,
}
