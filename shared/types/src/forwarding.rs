//! How messages that nobody consumes go on to another cluster: the only time that bodies move.
//!
//! A sealed partition can be given an *heir*: a partition of the same epoch elsewhere, which is sealed as
//! well and takes over the messages under the numbers that they have. They go in numbered *pieces*. The heir
//! remembers the number of the last piece that it took and passes over what comes again, so a repetition
//! never doubles, however late. The source keeps a piece until it hears that the heir has it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::transfer::Label;
use crate::{ClusterId, ClusterMember, DeadFrom, GroupName, HeldGroups, PartitionId, Sequence, Ts};

/// Where a sealed partition's messages go on to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heir {
    /// The partition.
    pub partition: PartitionId,
    /// Where it is.
    pub cluster: ClusterId,
    /// That cluster's hosts; a later instruction may name others.
    pub members: Vec<ClusterMember>,
}

/// Messages on their way from one partition to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Counts the pieces from this source to this target, from 1.
    pub number: u64,
    /// Ascending; at most [`crate::limits::PIECE_MESSAGES_MAX`]. Their bodies travel beside them.
    pub messages: Vec<Forwarded>,
    /// What the source has besides.
    pub rest: Rest,
}

/// What a source has besides the pieces that it made so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rest {
    /// Nothing, and it stays so: this is the last piece.
    Nothing,
    /// Messages, or something that it waits for itself.
    Some {
        /// Of these groups. Said only of groups that the source's seal names one by one.
        groups: HeldGroups,
    },
}

/// A message on its way, without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// The number that it has and keeps.
    pub sequence: Sequence,
    /// When it was sent.
    pub sent_at: Ts,
    /// Bytes of the stored form.
    pub size: u32,
    /// CRC-32C of the stored form.
    pub crc: u32,
    /// Its message group.
    pub group: Option<GroupName>,
    /// Where it died, if it came as a dead letter.
    pub dead_from: Option<Box<DeadFrom>>,
    /// Not to be given out before; [`Ts::ZERO`] if it is not delayed.
    pub ready_at: Ts,
    /// When its own time to live ends.
    pub expires: Option<Ts>,
    /// When it was first received.
    pub first_received_at: Option<Ts>,
    /// Leases so far.
    pub leases: u16,
    /// Receives so far: leases without those that were undone.
    pub receives: u16,
}

/// A [`Forwarded`] as it is serialised: `L` is its [`Label`].
#[derive(Serialize, Deserialize)]
struct ForwardedForm<L> {
    sequence: Sequence,
    sent_at: Ts,
    size: u32,
    crc: u32,
    label: L,
    ready_at: Ts,
    expires: Option<Ts>,
    first_received_at: Option<Ts>,
    leases: u16,
    receives: u16,
}

impl Serialize for Forwarded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = ForwardedForm {
            sequence: self.sequence,
            sent_at: self.sent_at,
            size: self.size,
            crc: self.crc,
            label: Label::of(self.group.as_ref(), self.dead_from.as_deref()),
            ready_at: self.ready_at,
            expires: self.expires,
            first_received_at: self.first_received_at,
            leases: self.leases,
            receives: self.receives,
        };
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Forwarded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let form = ForwardedForm::<Label<GroupName, DeadFrom>>::deserialize(deserializer)?;
        let (group, dead_from) = form.label.parts();
        Ok(Self {
            sequence: form.sequence,
            sent_at: form.sent_at,
            size: form.size,
            crc: form.crc,
            group,
            dead_from,
            ready_at: form.ready_at,
            expires: form.expires,
            first_received_at: form.first_received_at,
            leases: form.leases,
            receives: form.receives,
        })
    }
}

/// How much went on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    /// Messages.
    pub messages: u64,
    /// Bytes of their stored form.
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Command, Epoch, HostId, Outcome, PartitionSettings, Revision, Seal, Succession,
        SuccessionStage,
    };

    fn heir() -> Heir {
        Heir {
            partition: PartitionId(3),
            cluster: ClusterId(4),
            members: vec![ClusterMember {
                host: HostId(5),
                address: "a:1".to_owned(),
            }],
        }
    }

    /// What [`heir`] is on the wire.
    const HEIR: &[u8] = &[3, 4, 1, 5, 3, b'a', b':', b'1'];

    fn seal() -> Box<Seal> {
        Box::new(Seal {
            partition: PartitionId(1),
            epoch: Epoch(0),
            successors: Vec::new(),
            keyed_sends: 2,
            held: HeldGroups::None,
            revision: Revision(3),
            sealed_at: Ts(4),
        })
    }

    /// What [`seal`] is on the wire.
    const SEAL: &[u8] = &[1, 0, 0, 2, 0, 3, 4];

    #[track_caller]
    fn is_on_the_wire<T>(value: &T, parts: &[&[u8]])
    where
        T: Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
    {
        let bytes = postcard::to_allocvec(value).unwrap();
        assert_eq!(bytes, parts.concat(), "{value:?}");
        assert_eq!(postcard::from_bytes::<T>(&bytes).as_ref(), Ok(value));
    }

    #[test]
    fn what_a_source_is_told_is_frozen() {
        let forward = Command::Forward {
            partition: PartitionId(1),
            heir: heir(),
            revision: Revision(9),
        };
        is_on_the_wire(&forward, &[&[19, 1], HEIR, &[9]]);
        let next = Command::NextPiece {
            partition: PartitionId(1),
            heir: PartitionId(3),
            taken: 7,
        };
        is_on_the_wire(&next, &[&[20, 1, 3, 7]]);
        let end = Command::EndForwarding {
            partition: PartitionId(1),
            heir: PartitionId(3),
        };
        is_on_the_wire(&end, &[&[22, 1, 3]]);
        let stage = SuccessionStage::Forwarding {
            seal: seal(),
            heir: Box::new(heir()),
            passed: Passed {
                messages: 8,
                bytes: 9,
            },
            complete: true,
        };
        let succession = Succession { stage, messages: 6 };
        is_on_the_wire(&succession, &[&[3], SEAL, HEIR, &[8, 9, 1, 6]]);
    }

    #[test]
    fn what_an_heir_is_told_is_frozen() {
        let settings = PartitionSettings {
            epoch: Epoch(0),
            fifo: true,
            visibility: 2,
            delay: 3,
            retention: 4,
            max_messages: 5,
            max_bytes: 6,
        };
        let create = Command::CreateHeir {
            partition: PartitionId(3),
            settings,
            revision: Revision(9),
            source: PartitionId(2),
            seal: seal(),
        };
        is_on_the_wire(&create, &[&[18, 3, 0, 1, 2, 3, 4, 5, 6, 9, 2], SEAL]);
        let message = Forwarded {
            sequence: Sequence(10),
            sent_at: Ts(11),
            size: 12,
            crc: 13,
            group: Some("g".into()),
            dead_from: None,
            ready_at: Ts(14),
            expires: Some(Ts(15)),
            first_received_at: Some(Ts(16)),
            leases: 17,
            receives: 18,
        };
        let rests = [
            (Rest::Nothing, vec![0]),
            (
                Rest::Some {
                    groups: HeldGroups::These(vec![19]),
                },
                vec![1, 1, 1, 19],
            ),
        ];
        for (rest, tail) in rests {
            let take = Command::TakePiece {
                partition: PartitionId(3),
                from: PartitionId(1),
                piece: Piece {
                    number: 20,
                    messages: vec![message.clone()],
                    rest,
                },
            };
            let messages = [1, 10, 11, 12, 13, 1, 1, b'g', 14, 1, 15, 1, 16, 17, 18];
            is_on_the_wire(&take, &[&[21, 3, 1, 20], &messages, &tail]);
        }
        is_on_the_wire(&Outcome::Taken { through: 20 }, &[&[8, 20]]);
    }
}
