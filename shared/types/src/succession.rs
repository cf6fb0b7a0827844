//! How partitions follow one another: what moves, splits and merges of queues are made of.
//!
//! A successor is created *closed*, under an epoch above all that its queue had. Then what it follows is
//! *sealed*: takes no sends any more, and shows everyone who comes to send the [`Seal`], which names the
//! successors. A successor opens when it has been shown the seals of all that it follows and holds what
//! they left to it. So no send lands in the old partition after one landed in the new.

use serde::{Deserialize, Serialize};

use crate::{
    ClusterId, ClusterMember, DedupKey, Epoch, Heir, PartitionId, Passed, Revision, Sequence, Ts,
    limits,
};

/// A partition that follows a sealed one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Successor {
    /// The partition.
    pub partition: PartitionId,
    /// Its generation, above that of everything it follows.
    pub epoch: Epoch,
    /// Where it is.
    pub cluster: ClusterId,
    /// That cluster's hosts when the seal was made; a later seal of the same partition may name others.
    pub members: Vec<ClusterMember>,
    /// The message groups that are sent there.
    pub groups: GroupRange,
}

/// What a sealed partition shows: the proof that it takes no sends any more, and where they go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// The sealed partition.
    pub partition: PartitionId,
    /// Its generation.
    pub epoch: Epoch,
    /// Who follows; at least one, together responsible for all groups that the sealed one was.
    pub successors: Vec<Successor>,
    /// How many sends with deduplication keys each successor must have been told of before it opens.
    pub keyed_sends: u32,
    /// The groups of which messages were left when it was sealed.
    pub held: HeldGroups,
    /// Of the instruction that sealed it, or that named other members since.
    pub revision: Revision,
    /// When it was sealed, in its cluster's time.
    pub sealed_at: Ts,
}

/// The groups that a successor must not hand out before it hears that they are gone from what it follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HeldGroups {
    /// None: the sealed partition is no FIFO partition, or held no message.
    None,
    /// Those with these hashes, ascending; at most [`limits::HELD_GROUPS_MAX`].
    These(Vec<GroupHash>),
    /// There were more: all of them, until the sealed partition is empty.
    All,
}

/// What a sealed partition's cluster tells a successor. Repeating any of it changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Inherited {
    /// Nothing but the seal itself.
    Seal,
    /// Sends with deduplication keys, as they were at the seal, from this place in their order on; at most
    /// [`limits::KEYED_SENDS_TOLD_MAX`]. Places told already are passed over; a gap is refused.
    KeyedSends {
        /// The first one's place in their order, from 0.
        first: u32,
        /// In their order.
        sends: Vec<KeyedSend>,
    },
    /// The sealed partition holds no message of these groups any more; at most
    /// [`limits::HELD_GROUPS_MAX`].
    GroupsGone(Vec<GroupHash>),
    /// The sealed partition holds no message any more.
    Drained,
}

/// How far a partition is in following others and being followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Succession {
    /// What it takes, and what it waits for or has done.
    pub stage: SuccessionStage,
    /// Messages that it keeps, leased and delayed ones included.
    pub messages: u64,
}

/// What a partition takes, as its cluster knows it.
///
/// The variants' order is the wire format: add at the end only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SuccessionStage {
    /// Sends and receives.
    Open,
    /// No sends yet.
    Closed {
        /// What it follows and has not all been told about, ascending.
        waits_for: Vec<PartitionId>,
    },
    /// No sends any more.
    Sealed {
        /// What it shows to those who come to send.
        seal: Box<Seal>,
        /// Successors that have been told that it is drained, ascending.
        told_drained: Vec<PartitionId>,
    },
    /// No sends any more, and its messages go on to an heir, which tells the successors in its stead.
    Forwarding {
        /// What it shows to those who come to send.
        seal: Box<Seal>,
        /// Who takes its messages over.
        heir: Box<Heir>,
        /// How much the heir has taken.
        passed: Passed,
        /// Nothing is left, and the heir knows.
        complete: bool,
    },
}

/// A send with a deduplication key, as its partition remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyedSend {
    /// The key.
    pub key: DedupKey,
    /// Tells a repetition from a conflict.
    pub fingerprint: Option<u64>,
    /// The number that the message got.
    pub sequence: Sequence,
    /// When it was sent.
    pub sent_at: Ts,
}

/// Stands for a message group: [`group_hash`] of its name. Groups that share one are held together.
pub type GroupHash = u32;

/// The hash by which groups are distributed over the partitions of a queue: CRC-32C of the name, mixed so
/// that every bit depends on all others. Never changes: partitions of one queue on clusters of different
/// releases must agree.
#[must_use]
pub fn group_hash(group: &str) -> GroupHash {
    let mut hash = crc32c::crc32c(group.as_bytes());
    // The finalizer of MurmurHash3.
    hash ^= hash >> 16;
    hash = hash.wrapping_mul(0x85eb_ca6b);
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

/// The message groups with hashes from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRange {
    /// The smallest hash.
    pub first: GroupHash,
    /// The largest hash.
    pub last: GroupHash,
}

impl Default for GroupRange {
    /// All groups.
    fn default() -> Self {
        Self::ALL
    }
}

impl GroupRange {
    /// All groups.
    pub const ALL: Self = Self {
        first: GroupHash::MIN,
        last: GroupHash::MAX,
    };

    /// True if groups with this hash belong here.
    #[must_use]
    pub fn contains(self, hash: GroupHash) -> bool {
        (self.first..=self.last).contains(&hash)
    }

    /// The range in so many parts of nearly equal size, in order; fewer if it has fewer hashes.
    ///
    /// # Panics
    /// If `parts` is 0 or more than [`limits::SUCCESSORS_MAX`].
    #[must_use]
    pub fn split(self, parts: usize) -> Vec<Self> {
        assert!(
            (1..=limits::SUCCESSORS_MAX).contains(&parts),
            "a range is not split into {parts} parts"
        );
        let hashes = u64::from(self.last) - u64::from(self.first) + 1;
        let parts = hashes.min(parts as u64);
        let begins = |part: u64| u64::from(self.first) + hashes * part / parts;
        let hash = |at: u64| GroupHash::try_from(at).expect("it is within the range");
        let part = |part: u64| Self {
            first: hash(begins(part)),
            last: hash(begins(part + 1) - 1),
        };
        (0..parts).map(part).collect()
    }

    /// Both as one, if nothing lies between them.
    #[must_use]
    pub fn joined(self, other: Self) -> Option<Self> {
        let (low, high) = if self.first <= other.first {
            (self, other)
        } else {
            (other, self)
        };
        (low.last.checked_add(1) == Some(high.first)).then_some(Self {
            first: low.first,
            last: high.last,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Command, HostId, Outcome, PartitionSettings, Query, QueryReply};

    fn seal() -> Box<Seal> {
        Box::new(Seal {
            partition: PartitionId(1),
            epoch: Epoch(0),
            successors: vec![Successor {
                partition: PartitionId(2),
                epoch: Epoch(1),
                cluster: ClusterId(3),
                members: vec![ClusterMember {
                    host: HostId(4),
                    address: "a:1".to_owned(),
                }],
                groups: GroupRange { first: 5, last: 6 },
            }],
            keyed_sends: 7,
            held: HeldGroups::These(vec![8]),
            revision: Revision(9),
            sealed_at: Ts(10),
        })
    }

    /// What [`seal`] is on the wire.
    const SEAL: &[u8] = &[
        1, 0, 1, 2, 1, 3, 1, 4, 3, b'a', b':', b'1', 5, 6, 7, 1, 1, 8, 9, 10,
    ];

    #[track_caller]
    fn is_on_the_wire<T>(value: &T, head: &[u8], tail: &[u8])
    where
        T: Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
    {
        let bytes = postcard::to_allocvec(value).unwrap();
        assert_eq!(bytes, [head, tail].concat(), "{value:?}");
        assert_eq!(postcard::from_bytes::<T>(&bytes).as_ref(), Ok(value));
    }

    #[test]
    fn what_is_said_of_succession_is_frozen() {
        let settings = PartitionSettings {
            epoch: Epoch(1),
            fifo: true,
            visibility: 2,
            delay: 3,
            retention: 4,
            max_messages: 5,
            max_bytes: 6,
        };
        let create = Command::CreateSuccessor {
            partition: PartitionId(2),
            settings,
            revision: Revision(9),
            succeeds: vec![PartitionId(1)],
        };
        is_on_the_wire(&create, &[13, 2], &[1, 1, 2, 3, 4, 5, 6, 9, 1, 1]);
        let successors = Command::Seal {
            partition: PartitionId(1),
            successors: seal().successors,
            revision: Revision(9),
        };
        is_on_the_wire(&successors, &[14, 1], &[&SEAL[2..14], &[9]].concat());
        let told = Command::ToldDrained {
            partition: PartitionId(1),
            successors: vec![PartitionId(2)],
        };
        is_on_the_wire(&told, &[16, 1], &[1, 2]);
        is_on_the_wire(&Outcome::Sealed(seal()), &[6], SEAL);
        let closed = Outcome::Closed {
            waits_for: vec![PartitionId(1)],
            keyed_sends: 5,
        };
        is_on_the_wire(&closed, &[7], &[1, 1, 5]);
        let query = Query::Succession {
            partition: PartitionId(1),
        };
        is_on_the_wire(&query, &[2], &[1]);
    }

    #[test]
    fn what_a_successor_is_told_is_frozen() {
        let send = KeyedSend {
            key: [11; 16],
            fingerprint: Some(12),
            sequence: Sequence(13),
            sent_at: Ts(14),
        };
        let sends = Inherited::KeyedSends {
            first: 15,
            sends: vec![send],
        };
        let key: Vec<u8> = [&[1, 15, 1][..], &[11; 16], &[1, 12, 13, 14]].concat();
        for (news, tail) in [
            (Inherited::Seal, vec![0]),
            (sends, key),
            (Inherited::GroupsGone(vec![8]), vec![2, 1, 8]),
            (Inherited::Drained, vec![3]),
        ] {
            let succeed = Command::Succeed {
                partition: PartitionId(2),
                seal: seal(),
                news,
            };
            is_on_the_wire(&succeed, &[15, 2], &[SEAL, &tail].concat());
        }
    }

    #[test]
    fn what_is_told_of_succession_is_frozen() {
        let stages = [
            (SuccessionStage::Open, vec![0]),
            (
                SuccessionStage::Closed {
                    waits_for: vec![PartitionId(1)],
                },
                vec![1, 1, 1],
            ),
            (
                SuccessionStage::Sealed {
                    seal: seal(),
                    told_drained: vec![PartitionId(2)],
                },
                [&[2], SEAL, &[1, 2]].concat(),
            ),
        ];
        for (stage, mut bytes) in stages {
            bytes.push(99);
            let succession = Succession {
                stage,
                messages: 99,
            };
            is_on_the_wire(&QueryReply::Succession(succession), &[2], &bytes);
        }
    }

    #[test]
    fn hashes_are_frozen() {
        let hashes = ["", "a", "group-1", "group-2"].map(group_hash);
        assert_eq!(hashes, [0, 3_939_995_168, 3_241_244_597, 70_334_223]);
    }

    #[test]
    fn similar_names_spread_evenly() {
        let mut counts = [0; 16];
        for n in 0..16_000 {
            counts[(group_hash(&format!("customer-{n}")) >> 28) as usize] += 1;
        }
        assert!(
            counts.iter().all(|count| (850..1_150).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn the_parts_of_a_range_are_all_of_it_in_order_and_nearly_equal() {
        for range in [
            GroupRange::ALL,
            GroupRange {
                first: 7,
                last: 1_000,
            },
        ] {
            for parts in 1..=limits::SUCCESSORS_MAX {
                let split = range.split(parts);
                assert_eq!(split.len(), parts);
                let whole = split
                    .iter()
                    .copied()
                    .reduce(|one, next| one.joined(next).unwrap());
                assert_eq!(whole, Some(range));
                let sizes = split.iter().map(|part| u64::from(part.last - part.first));
                let (least, most) = (sizes.clone().min(), sizes.max());
                assert!(most.unwrap() - least.unwrap() <= 1);
            }
        }
        let few = GroupRange { first: 5, last: 6 }.split(3);
        assert_eq!(few.len(), 2);
    }

    #[test]
    fn only_neighbours_join() {
        let part = |first, last| GroupRange { first, last };
        assert_eq!(part(5, 9).joined(part(0, 4)), Some(part(0, 9)));
        assert_eq!(part(0, 4).joined(part(6, 9)), None);
        assert_eq!(part(0, 4).joined(part(4, 9)), None);
        assert_eq!(GroupRange::ALL.joined(part(0, 0)), None);
    }
}
