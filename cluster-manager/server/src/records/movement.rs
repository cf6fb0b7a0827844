//! A move, split or merge that is under way: which partitions follow which, and how far it is.
//!
//! ```text
//!              all successors exist     all are sealed        all successors are open
//!  Creating ─────────────────────► Sealing ────────► Opening ────────────────────────► Draining ──► (gone)
//!     │ a target cannot be reached                                      those that are empty are deleted
//!     └──────────────────────────► Undoing ──► (gone)
//!                                     successors are deleted
//! ```
//! Each arrow is one transaction, which changes the queue's record too. In each stage clusters have
//! instructions to carry out, fenced by the revision at which this record was written: repeating them
//! changes nothing, so whoever finds the record goes on from its stage.

use serde::{Deserialize, Serialize};
use shoal_types::{ClusterId, Micros, PartitionId, QueueId, QueueName, Ts};

use super::{PartitionRecord, Record};
use crate::keys;
use crate::limits::{CLEARS_MAX, FORWARD_AGAIN_MAX, FORWARD_AGAIN_MIN};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MoveRecord {
    /// The first partition that it opens: names the move.
    pub(crate) id: PartitionId,
    pub(crate) name: QueueName,
    pub(crate) queue: QueueId,
    pub(crate) kind: MoveKind,
    pub(crate) stage: MoveStage,
    /// What is followed and not empty yet.
    pub(crate) seals: Vec<PartitionRecord>,
    /// What follows.
    pub(crate) opens: Vec<PartitionRecord>,
    /// Partitions that are in nobody's route any more and are still to be deleted at their clusters.
    pub(crate) clears: Vec<PartitionRecord>,
    /// Those of `seals` whose messages go on to heirs, while they do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) forwards: Vec<ForwardRecord>,
    /// Those of `seals` that took over the messages of others before them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) heirs: Vec<PartitionId>,
    /// Forwarding that came to nothing, of those of `seals` of which it did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) given_up: Vec<GivenUp>,
    /// In millionths of a cluster's heat, what goes with it.
    pub(crate) carries: u64,
    /// What and why, in words.
    pub(crate) text: String,
    /// By the manager's clock.
    pub(crate) begun_at: Ts,
    /// When the last of `seals` was sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sealed_at: Option<Ts>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MoveKind {
    Move,
    Split,
    Merge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MoveStage {
    /// The successors are being created.
    Creating,
    /// Those that they follow are being sealed; there is no way back.
    Sealing,
    /// The successors are being shown the seals.
    Opening,
    /// Sends go to the successors; what they follow is consumed until it is empty.
    Draining,
    /// A target could not be reached before anything was sealed: the successors are deleted.
    Undoing,
}

/// What nobody consumes from a sealed partition goes on to an heir.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ForwardRecord {
    /// The sealed partition.
    pub(crate) from: PartitionId,
    /// The partition that takes its messages over.
    pub(crate) heir: PartitionRecord,
    pub(crate) stage: ForwardStage,
    /// What and why, in words.
    pub(crate) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ForwardStage {
    /// The heir is being created.
    Creating,
    /// The messages go over, until nothing is left.
    Passing,
}

/// Forwarding of a sealed partition that came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GivenUp {
    /// The sealed partition.
    pub(crate) from: PartitionId,
    /// Where its heir was to be the last time.
    pub(crate) at: ClusterId,
    /// How often.
    pub(crate) times: u32,
    /// When, the last time; by the manager's clock.
    pub(crate) last: Ts,
}

impl GivenUp {
    /// When it is to be tried again.
    pub(crate) fn again(&self) -> Ts {
        let doublings = self.times.saturating_sub(1).min(u32::BITS - 1);
        let pause = FORWARD_AGAIN_MIN.saturating_mul(1 << doublings);
        let pause = pause.min(FORWARD_AGAIN_MAX).as_micros();
        self.last.after(pause as Micros)
    }
}

impl Record for MoveRecord {
    fn key(&self) -> String {
        keys::moving(self.id)
    }
}

impl MoveRecord {
    /// One of those that are followed and not empty yet.
    pub(crate) fn sealed(&self, partition: PartitionId) -> Option<&PartitionRecord> {
        let mut seals = self.seals.iter();
        seals.find(|sealed| sealed.partition == partition)
    }

    /// Where the messages of a sealed partition go on to, while they do.
    pub(crate) fn forward_of(&self, sealed: PartitionId) -> Option<&ForwardRecord> {
        let mut forwards = self.forwards.iter();
        forwards.find(|forward| forward.from == sealed)
    }

    /// True if it only waits for consumers.
    pub(crate) fn drains(&self) -> bool {
        let follows = self.stage == MoveStage::Draining && !self.seals.is_empty();
        follows && self.forwards.is_empty()
    }

    /// The sealed partition, if what is left in it may go on to an heir now, or why not.
    pub(crate) fn may_forward(&self, sealed: PartitionId) -> Result<&PartitionRecord, String> {
        let known = self.sealed(sealed);
        let known = known.filter(|_| self.stage == MoveStage::Draining);
        let known = known.ok_or_else(|| format!("{sealed} is not being emptied"))?;
        if self.forward_of(sealed).is_some() {
            return Err(format!("{sealed} is being forwarded already"));
        }
        match self.clears.len() {
            CLEARS_MAX.. => Err(format!(
                "{} partitions of this move are still to be deleted, as many as may be",
                self.clears.len()
            )),
            _ => Ok(known),
        }
    }

    /// How often forwarding a sealed partition came to nothing, and when and where the last time.
    pub(crate) fn given_up(&self, sealed: PartitionId) -> Option<&GivenUp> {
        let mut all = self.given_up.iter();
        all.find(|given_up| given_up.from == sealed)
    }

    /// Forwarding this came to nothing once more.
    pub(crate) fn note_given_up(&mut self, from: PartitionId, at: ClusterId, now: Ts) {
        let times = self.given_up(from).map_or(0, |before| before.times);
        self.given_up.retain(|known| known.from != from);
        self.given_up.push(GivenUp {
            from,
            at,
            times: times.saturating_add(1),
            last: now,
        });
    }

    /// Keeps nothing about partitions that are not followed any more: records must not grow.
    pub(crate) fn tidy(&mut self) {
        let followed: Vec<PartitionId> = self.seals.iter().map(|one| one.partition).collect();
        self.heirs.retain(|heir| followed.contains(heir));
        self.given_up.retain(|known| followed.contains(&known.from));
    }

    /// Clusters that take part, each once.
    pub(crate) fn clusters(&self) -> Vec<ClusterId> {
        let all = [&self.seals, &self.opens, &self.clears];
        let heirs = self.forwards.iter().map(|forward| &forward.heir);
        let all = all.into_iter().flatten().chain(heirs);
        let mut clusters: Vec<_> = all.map(|one| one.cluster).collect();
        clusters.sort_unstable();
        clusters.dedup();
        clusters
    }

    /// True if nothing is left to do.
    pub(crate) fn is_over(&self) -> bool {
        let drains = self.stage != MoveStage::Undoing && !self.seals.is_empty();
        !drains && self.clears.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A partition that was forwarded off one drained cluster after the other left its name in the record each
    /// time.
    #[test]
    fn a_record_names_nothing_that_is_not_followed_any_more() {
        let stored = r#"{"id":7,"name":"orders","queue":1,"kind":"move","stage":"draining",
            "seals":[{"partition":3,"epoch":0,"cluster":2}],"opens":[],"clears":[],"heirs":[1,2,3],
            "given_up":[{"from":2,"at":1,"times":4,"last":9},{"from":3,"at":1,"times":1,"last":9}],
            "carries":0,"text":"","begun_at":0}"#;
        let mut record: MoveRecord = serde_json::from_str(stored).unwrap();
        record.tidy();
        assert_eq!(record.heirs, [PartitionId(3)]);
        assert_eq!(record.given_up.len(), 1);
        record.note_given_up(PartitionId(3), ClusterId(5), Ts(11));
        let again = record.given_up(PartitionId(3)).unwrap();
        assert_eq!((again.times, again.at), (2, ClusterId(5)));
        assert_eq!(record.given_up.len(), 1, "one of each partition");
    }

    #[test]
    fn the_pause_before_forwarding_is_tried_again_grows_and_has_an_end() {
        let pause = |times| {
            let given_up = GivenUp {
                from: PartitionId(1),
                at: ClusterId(2),
                times,
                last: Ts(7),
            };
            given_up.again().since(Ts(7)) / 1_000_000
        };
        let pauses = [1, 2, 3, 6, 7, 8, 100, u32::MAX].map(pause);
        assert_eq!(pauses, [60, 120, 240, 1_920, 3_600, 3_600, 3_600, 3_600]);
    }
}
