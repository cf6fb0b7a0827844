//! Identifiers. Each is a newtype: what can be confused is a different type.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

macro_rules! shown_as_hex {
    ($($name:ident $prefix:literal),*) => { $(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{:x}"), self.0)
            }
        }
        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;
            /// Takes the form that `Display` prints, with or without its prefix.
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                u64::from_str_radix(s.strip_prefix($prefix).unwrap_or(s), 16).map(Self)
            }
        }
    )* };
}

macro_rules! shown_as_number {
    ($($name:ident),*) => { $(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    )* };
}

number_id! {
    /// A host's identity: drawn at random once per data folder, never reused, never 0.
    HostId(u64)
}
number_id! {
    /// A cluster's identity, given by the manager when it forms the cluster, never 0.
    ClusterId(u64)
}
number_id! {
    /// A queue's identity. A queue that is deleted and created again under its old name gets a new one.
    QueueId(u64)
}
number_id! {
    /// A partition's identity, unique over all queues and clusters.
    PartitionId(u64)
}
shown_as_hex!(HostId "h", ClusterId "c", QueueId "q", PartitionId "p");

number_id! {
    /// Counts the starts of a host's process; 1 is the first. Grows at each start, kept in the log.
    Incarnation(u64)
}
number_id! {
    /// The number of a view; 1 is the one that formation writes, 0 means "not formed".
    ViewNumber(u64)
}
number_id! {
    /// A revision of the manager's metadata store: one total order over all its writes. Instructions
    /// to hosts carry one as a fencing token, and a host refuses an older one than it has seen.
    Revision(u64)
}
number_id! {
    /// Which generation of a queue's partitions this is. The first partition has epoch 0; every move,
    /// split or merge takes a higher one. At most [`Epoch::MAX`].
    Epoch(u32)
}
number_id! {
    /// What rules the commands of a cluster are executed by; 1 is the first. Raised by a command, once
    /// every member supports the next one, so that hosts of two releases never execute differently.
    MachineVersion(u16)
}
shown_as_number!(Incarnation, ViewNumber, Revision, Epoch, MachineVersion);

impl Epoch {
    /// 24 bits: the upper part of a [`Sequence`].
    pub const MAX: Self = Self((1 << 24) - 1);
}

impl ViewNumber {
    /// The view of a host that belongs to no cluster yet.
    pub const NOT_FORMED: Self = Self(0);

    /// The view after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A message's number in its queue: `epoch << 40 | n`, n = 1, 2, 3 … without a gap in a partition.
/// A queue that never moved therefore shows 1, 2, 3 …
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequence(pub u64);

impl Sequence {
    /// Bits of n. At a million messages a second they last 12 days, at 10,000 a second 3.4 years;
    /// a new epoch starts with n = 1 again.
    pub const NUMBER_BITS: u32 = 40;

    /// The sequence of the `number`-th message (from 1) of a partition with this epoch.
    ///
    /// # Panics
    /// If `number` does not fit in 40 bits; the queue refuses sends long before (limits.rs).
    #[must_use]
    pub fn new(epoch: Epoch, number: u64) -> Self {
        assert!(
            number < 1 << Self::NUMBER_BITS,
            "message number {number} exceeds 40 bits"
        );
        Self((u64::from(epoch.0) << Self::NUMBER_BITS) | number)
    }

    /// The partition's generation.
    #[must_use]
    pub fn epoch(self) -> Epoch {
        Epoch((self.0 >> Self::NUMBER_BITS) as u32)
    }

    /// n: 1 for the first message of the partition.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0 & ((1 << Self::NUMBER_BITS) - 1)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl std::str::FromStr for Sequence {
    type Err = std::num::ParseIntError;

    /// Takes the form that `Display` prints.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        s.parse().map(Self)
    }
}

impl fmt::Debug for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sequence({}/{})", self.epoch().0, self.number())
    }
}

/// Names one client operation over all its attempts, on whichever hosts: 128 random bits drawn by
/// the frontend. A host that sees it again gives the first answer again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub u128);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({self})")
    }
}

/// What a user sees as a message's id: partition and sequence, so it needs no storage of its own and
/// stays the same over retries. Shown as a UUID-shaped string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageId {
    /// Where the message was sent to.
    pub partition: PartitionId,
    /// Its number there.
    pub sequence: Sequence,
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = format!("{:016x}{:016x}", self.partition.0, self.sequence.0);
        write!(
            f,
            "{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_of_a_queue_that_never_moved_counts_from_one() {
        assert_eq!(Sequence::new(Epoch(0), 1).to_string(), "1");
        let moved = Sequence::new(Epoch(3), 7);
        assert_eq!((moved.epoch(), moved.number()), (Epoch(3), 7));
        assert!(moved > Sequence::new(Epoch(2), (1 << 40) - 1));
    }

    #[test]
    fn ids_read_back_what_they_print() {
        let id = HostId(0xab12);
        assert_eq!(id.to_string(), "hab12");
        assert_eq!("hab12".parse::<HostId>().unwrap(), id);
        assert_eq!("ab12".parse::<HostId>().unwrap(), id);
        assert!("hxyz".parse::<HostId>().is_err());
    }

    #[test]
    fn message_id_looks_like_a_uuid() {
        let id = MessageId {
            partition: PartitionId(1),
            sequence: Sequence(2),
        };
        assert_eq!(id.to_string(), "00000000-0000-0001-0000-000000000002");
    }
}
