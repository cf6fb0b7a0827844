//! How messages go from one queue to another: dead letters, and tasks that move a queue's messages.
//!
//! A partition sends what is to go in numbered *parcels*, one at a time. Its numbers grow over all that it
//! ever made, whomever they are for. The target gives the messages numbers of its own, remembers the number
//! of the last parcel that it took from each source, and passes over what comes again. The source keeps
//! what a parcel contains until it hears that the target has it, or that it never will.
//!
//! A parcel without messages *settles* what came before it: the target learns that the source has heard of
//! everything that it took. Before that a target that is followed by others does not count as drained, so it
//! is not deleted while somebody may still ask for what it took.

use serde::{Deserialize, Serialize};

use crate::{
    ClusterId, ClusterMember, GroupHash, GroupName, GroupRange, MessageId, Micros, PartitionId,
    QueueId, Ts, limits,
};

/// When a queue's messages die, and where they go then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetters {
    /// The queue whose setting this is.
    pub queue: QueueId,
    /// A message that was received so often is not given out again. From 1.
    pub max_receives: u16,
    /// The dead-letter queue.
    pub to: Target,
}

/// A queue that messages go to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Which.
    pub queue: QueueId,
    /// Its partitions that take sends, as far as is known; 1 to [`limits::TARGET_PARTS_MAX`]. One that was
    /// followed by others meanwhile tells by its seal.
    pub parts: Vec<TargetPart>,
}

/// A partition that messages go to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetPart {
    /// Which.
    pub partition: PartitionId,
    /// Where it is.
    pub cluster: ClusterId,
    /// That cluster's hosts; a later instruction may name others.
    pub members: Vec<ClusterMember>,
    /// The message groups that go there.
    pub groups: GroupRange,
}

/// Messages on their way to another queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parcel {
    /// Counts the parcels of the source, from 1; larger than that of any parcel it made before.
    pub number: u64,
    /// In their order; at most [`limits::PIECE_MESSAGES_MAX`]. Their bodies travel beside them. None: it
    /// settles.
    pub messages: Vec<Parceled>,
}

/// A message on its way to another queue, without its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parceled {
    /// When it was sent.
    pub sent_at: Ts,
    /// Bytes of the stored form.
    pub size: u32,
    /// CRC-32C of the stored form.
    pub crc: u32,
    /// Its message group.
    pub group: Option<GroupName>,
    /// When its own time to live ends.
    pub expires: Option<Ts>,
    /// Only of one that died.
    pub dead_from: Option<Box<DeadFrom>>,
}

/// Where a message in a dead-letter queue comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeadFrom {
    /// The queue in which it died.
    pub queue: QueueId,
    /// What it was when it was sent.
    pub message: MessageId,
    /// How often it was received before it came here.
    pub receives: u16,
}

/// A task to move a queue's messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveTask {
    /// Tells it from the partition's other tasks.
    pub task: u64,
    /// Where the messages go.
    pub to: MoveTo,
    /// At most so many a second, 1 to [`limits::MOVED_PER_SECOND_MAX`]; `None`: as fast as it goes.
    pub per_second: Option<u16>,
}

/// Where the messages of a [`MoveTask`] go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MoveTo {
    /// All to this queue.
    One(Target),
    /// Each to the queue in which it died; 1 to [`limits::MOVE_QUEUES_MAX`], each once. Messages that died in
    /// others, or never died, stay.
    Origins(Vec<Target>),
}

/// What became of a [`MoveTask`].
///
/// The variants' order is the wire format: add at the end only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MoveStatus {
    /// It goes on.
    Running,
    /// What was to be moved is.
    Completed,
    /// It was cancelled, and what is on its way arrives yet.
    Cancelling,
    /// It was cancelled; what had not gone stays.
    Cancelled,
    /// It cannot go on: the queue that messages were to go to is gone, or this partition's messages go on to
    /// an heir. What had not gone stays.
    Failed,
}

/// How far a [`MoveTask`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveProgress {
    /// Which task.
    pub task: u64,
    /// What became of it.
    pub status: MoveStatus,
    /// Messages that could be received when it began.
    pub to_move: u64,
    /// Messages that their targets have.
    pub moved: u64,
    /// Messages that stay, because nobody said where to move them.
    pub failed: u64,
}

/// What a partition sends to other queues.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outbox {
    /// When its messages die, and where they go then.
    pub dead_letters: Option<DeadLetters>,
    /// The dead-letter queue is gone, so none die until another instruction comes.
    pub target_gone: bool,
    /// Messages that died and that the dead-letter queue does not have yet.
    pub dead: u64,
    /// Dead letters that the dead-letter queue has, since this partition began.
    pub delivered: u64,
    /// The parcel that is on its way: its number, for whom, and how many messages.
    pub parcel: Option<(u64, PartitionId, u32)>,
    /// The last task to move messages.
    pub task: Option<MoveProgress>,
}

impl Target {
    /// The partition that messages with this hash go to. `None`: nobody is responsible for it.
    #[must_use]
    pub fn part_of(&self, hash: GroupHash) -> Option<&TargetPart> {
        self.parts.iter().find(|part| part.groups.contains(hash))
    }
}

impl MoveTask {
    /// The least time between parcels of one message each.
    #[must_use]
    pub fn pace(&self) -> Micros {
        const SECOND: Micros = 1_000_000;
        self.per_second
            .map_or(0, |rate| SECOND.div_ceil(u64::from(rate.max(1))))
    }

    /// Messages of one parcel, so that the rate holds over each second.
    #[must_use]
    pub fn parcel_max(&self) -> usize {
        let rate = self.per_second.map_or(usize::MAX, usize::from);
        rate.min(limits::PIECE_MESSAGES_MAX)
    }

    /// All queues that it may move messages to, to change where they are.
    pub fn targets_mut(&mut self) -> impl Iterator<Item = &mut Target> {
        match &mut self.to {
            MoveTo::One(target) => std::slice::from_mut(target).iter_mut(),
            MoveTo::Origins(targets) => targets.iter_mut(),
        }
    }

    /// All queues that it may move messages to.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        match &self.to {
            MoveTo::One(target) => std::slice::from_ref(target).iter(),
            MoveTo::Origins(targets) => targets.iter(),
        }
    }
}

/// A message group, and where the message died, as one value on the wire: without the latter it is written
/// as the group alone always was, so that releases before dead letters read it.
#[derive(Serialize, Deserialize)]
pub(crate) enum Label<G, D> {
    None,
    Group(G),
    Dead(D),
    DeadGroup(G, D),
}

impl<'a> Label<&'a GroupName, &'a DeadFrom> {
    pub(crate) fn of(group: Option<&'a GroupName>, dead_from: Option<&'a DeadFrom>) -> Self {
        match (group, dead_from) {
            (None, None) => Self::None,
            (Some(group), None) => Self::Group(group),
            (None, Some(dead)) => Self::Dead(dead),
            (Some(group), Some(dead)) => Self::DeadGroup(group, dead),
        }
    }
}

impl Label<GroupName, DeadFrom> {
    pub(crate) fn parts(self) -> (Option<GroupName>, Option<Box<DeadFrom>>) {
        match self {
            Self::None => (None, None),
            Self::Group(group) => (Some(group), None),
            Self::Dead(dead) => (None, Some(Box::new(dead))),
            Self::DeadGroup(group, dead) => (Some(group), Some(Box::new(dead))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        BodyRef, Command, Delivery, Epoch, Forwarded, HeldGroups, HostId, Outcome, Query,
        QueryReply, Receipt, Revision, Seal, Sequence,
    };

    fn target() -> Target {
        Target {
            queue: QueueId(2),
            parts: vec![TargetPart {
                partition: PartitionId(3),
                cluster: ClusterId(4),
                members: vec![ClusterMember {
                    host: HostId(5),
                    address: "a:1".to_owned(),
                }],
                groups: GroupRange { first: 6, last: 7 },
            }],
        }
    }

    /// What [`target`] is on the wire.
    const TARGET: &[u8] = &[2, 1, 3, 4, 1, 5, 3, b'a', b':', b'1', 6, 7];

    fn dead_from() -> DeadFrom {
        DeadFrom {
            queue: QueueId(30),
            message: MessageId {
                partition: PartitionId(31),
                sequence: Sequence(32),
            },
            receives: 33,
        }
    }

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
        let dead_letters = DeadLetters {
            queue: QueueId(1),
            max_receives: 9,
            to: target(),
        };
        let set = |dead_letters| Command::SetDeadLetters {
            partition: PartitionId(8),
            dead_letters,
            revision: Revision(10),
        };
        let some = set(Some(Box::new(dead_letters)));
        is_on_the_wire(&some, &[&[23, 8, 1, 1, 9], TARGET, &[10]]);
        is_on_the_wire(&set(None), &[&[23, 8, 0, 10]]);
        for (to, place) in [
            (MoveTo::One(target()), vec![0]),
            (MoveTo::Origins(vec![target()]), vec![1, 1]),
        ] {
            let start = Command::StartMove {
                partition: PartitionId(8),
                task: Box::new(MoveTask {
                    task: 11,
                    to,
                    per_second: Some(12),
                }),
                revision: Revision(10),
            };
            is_on_the_wire(&start, &[&[24, 8, 11], &place, TARGET, &[1, 12, 10]]);
        }
        let cancel = Command::CancelMove {
            partition: PartitionId(8),
            task: 11,
            revision: Revision(10),
        };
        is_on_the_wire(&cancel, &[&[25, 8, 11, 10]]);
        let next = Command::NextParcel {
            partition: PartitionId(8),
            taken: 13,
        };
        is_on_the_wire(&next, &[&[26, 8, 13]]);
        let seal = Box::new(Seal {
            partition: PartitionId(3),
            epoch: Epoch(0),
            successors: Vec::new(),
            keyed_sends: 2,
            held: HeldGroups::None,
            revision: Revision(3),
            sealed_at: Ts(4),
        });
        let redirect = Command::RedirectParcel {
            partition: PartitionId(8),
            parcel: 13,
            seal,
        };
        is_on_the_wire(&redirect, &[&[28, 8, 13], &[3, 0, 0, 2, 0, 3, 4]]);
        let back = Command::ReturnParcel {
            partition: PartitionId(8),
            parcel: 13,
        };
        is_on_the_wire(&back, &[&[29, 8, 13]]);
    }

    #[test]
    fn a_parcel_is_frozen() {
        let take = Command::TakeParcel {
            partition: PartitionId(3),
            from: PartitionId(8),
            parcel: Parcel {
                number: 13,
                messages: vec![Parceled {
                    sent_at: Ts(14),
                    size: 15,
                    crc: 16,
                    group: Some("g".into()),
                    expires: Some(Ts(17)),
                    dead_from: Some(Box::new(dead_from())),
                }],
            },
        };
        let message = [14, 15, 16, 1, 1, b'g', 1, 17, 1, 30, 31, 32, 33];
        is_on_the_wire(&take, &[&[27, 3, 8, 13, 1], &message]);
        let bodies: Vec<_> = take.bodies().collect();
        assert_eq!(bodies, [(15, 16)]);
    }

    #[test]
    fn what_is_told_of_an_outbox_is_frozen() {
        let query = Query::Outbox {
            partition: PartitionId(8),
        };
        is_on_the_wire(&query, &[&[4, 8]]);
        let outbox = Outbox {
            dead_letters: None,
            target_gone: true,
            dead: 1,
            delivered: 2,
            parcel: Some((3, PartitionId(4), 5)),
            task: Some(MoveProgress {
                task: 6,
                status: MoveStatus::Failed,
                to_move: 7,
                moved: 8,
                failed: 9,
            }),
        };
        let reply = QueryReply::Outbox(Box::new(outbox));
        is_on_the_wire(&reply, &[&[4, 0, 1, 1, 2, 1, 3, 4, 5, 1, 6, 4, 7, 8, 9]]);
    }

    #[test]
    fn where_a_message_died_is_told_without_changing_what_is_told_of_others() {
        let mut delivery = Delivery {
            sequence: Sequence(1),
            receipt: Receipt {
                partition: PartitionId(2),
                sequence: Sequence(1),
                lease: 3,
            },
            sent_at: Ts(4),
            first_received_at: Ts(5),
            receive_count: 6,
            group: None,
            dead_from: None,
            size: 7,
            crc: 8,
            body: BodyRef::default(),
        };
        let head: &[u8] = &[2, 1, 1, 2, 1, 3, 4, 5, 6];
        let died = &[30, 31, 32, 33];
        for (group, dead, label) in [
            (false, false, vec![0]),
            (true, false, vec![1, 1, b'g']),
            (false, true, [&[2], &died[..]].concat()),
            (true, true, [&[3, 1, b'g'], &died[..]].concat()),
        ] {
            delivery.group = group.then(|| "g".into());
            delivery.dead_from = dead.then(|| Box::new(dead_from()));
            let received = Outcome::Received(vec![delivery.clone()]);
            is_on_the_wire(&received, &[head, &label, &[7, 8]]);
            let forwarded = Forwarded {
                sequence: Sequence(1),
                sent_at: Ts(2),
                size: 3,
                crc: 4,
                group: delivery.group.clone(),
                dead_from: delivery.dead_from.clone(),
                ready_at: Ts(5),
                expires: None,
                first_received_at: None,
                leases: 6,
                receives: 7,
            };
            is_on_the_wire(&forwarded, &[&[1, 2, 3, 4], &label, &[5, 0, 0, 6, 7]]);
        }
    }

    #[test]
    fn a_rate_is_kept_by_pauses_and_by_small_parcels() {
        let task = |per_second| MoveTask {
            task: 1,
            to: MoveTo::One(target()),
            per_second,
        };
        for (rate, pace, most) in [
            (None, 0, limits::PIECE_MESSAGES_MAX),
            (Some(500), 2_000, 500),
            (Some(3), 333_334, 3),
        ] {
            assert_eq!(task(rate).pace(), pace);
            assert_eq!(task(rate).parcel_max(), most);
        }
    }
}
