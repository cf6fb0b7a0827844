//! The state machine: entries and requests in, outcomes and effects out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::RangeInclusive;

use shoal_types::limits::DUE_ITEMS_PER_ENTRY;
use shoal_types::planted::local_clock;
use shoal_types::{
    BodyRef, ErrorCode, MachineVersion, Origin, Outcome, PartitionCounts, PartitionId,
    PartitionSettings, Peeked, Position, Refusal, Request, Revision, Sequence, Ts, ViewNumber,
};

use crate::Effect;
use crate::deleted::DeletedPartitions;
use crate::hash::StateHash;
use crate::limits::{FORGOTTEN_BLOCKS_PER_ENTRY, FREED_PIECES_PER_ENTRY};
use crate::live_bodies::{LiveBodies, LiveInSegment};
use crate::partition::{Partition, Step};
use crate::remains::{DeadPiece, Remains};
use crate::remembered::Remembered;

/// All partitions of one cluster.
///
/// Every host of the cluster runs one and feeds it the same, in the same order:
/// [`begin_entry`](Self::begin_entry) for each entry, [`apply`](Self::apply) for each request in it,
/// [`view_installed`](Self::view_installed) between entries. Outcomes and effects are then the same
/// everywhere, but for [`BodyRef`]s, which are the executing host's own.
///
/// Everything else is a host's own business and changes nothing that others could see: queries,
/// [`admit`](Self::admit), [`relocate`](Self::relocate), [`freeze`](Self::freeze).
#[derive(Debug)]
pub struct Machine {
    /// By which rules commands are executed.
    pub(crate) version: MachineVersion,
    /// Which rules this release knows. Host-local.
    pub(crate) supported: RangeInclusive<MachineVersion>,
    pub(crate) executed: Position,
    pub(crate) hash: StateHash,
    pub(crate) partitions: BTreeMap<PartitionId, Box<Partition>>,
    /// The timer index: when each partition has something to do next.
    pub(crate) schedule: BTreeSet<(Ts, PartitionId)>,
    /// The sealed ones among the partitions.
    pub(crate) sealed: BTreeSet<PartitionId>,
    /// Those that have parcels to be carried, or will have.
    pub(crate) senders: BTreeSet<PartitionId>,
    pub(crate) remembered: Remembered,
    pub(crate) deleted: DeletedPartitions,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// The highest revision of all instructions carried out. Follows from the rest, so it is neither
    /// stored nor hashed.
    pub(crate) instructed: Revision,
    // From here on: host-local.
    pub(crate) bodies: LiveBodies,
    pub(crate) remains: VecDeque<Remains>,
    pub(crate) dead: Vec<DeadPiece>,
    /// Partitions that changed or went since the last freeze.
    pub(crate) dirty: Vec<PartitionId>,
}

impl Machine {
    /// Starts an entry: time moves to `at.ts`, and what is due by then is done, at most
    /// [`DUE_ITEMS_PER_ENTRY`] items of it.
    ///
    /// # Panics
    /// If `at` is not after [`Machine::executed`], or its time is before, or the machine is of a
    /// version that this release does not support.
    pub fn begin_entry(&mut self, at: Position, effects: &mut Vec<Effect>) {
        self.assert_supported();
        assert!(
            at > self.executed && at.ts >= self.executed.ts,
            "positions grow: {at} after {}",
            self.executed
        );
        self.executed = at;
        self.hash.absorb(&(self.version, at));
        let first = effects.len();
        self.do_due(effects);
        for _ in 0..FORGOTTEN_BLOCKS_PER_ENTRY {
            self.remembered.forget_late(at.ts, &mut self.bodies);
        }
        self.free_remains();
        self.absorb_effects(&effects[first..]);
    }

    fn do_due(&mut self, effects: &mut Vec<Effect>) {
        let now = local_clock(self.executed.ts);
        let mut budget = DUE_ITEMS_PER_ENTRY;
        let mut touched = BTreeSet::new();
        while budget > 0
            && let Some((at, id)) = self.schedule.first().copied()
            && at <= now
        {
            // Items are done in the order of their times over all partitions: this one's turn ends
            // where the next one's begins.
            let next = self.schedule.iter().nth(1);
            let horizon = next.map_or((now, u64::MAX), |(at, id)| (*at, id.0));
            let done = self.on_partition(id, effects, |partition, step| {
                partition.do_due_before(horizon, budget, step)
            });
            budget = budget.saturating_sub(done.expect("only partitions that exist are scheduled"));
            touched.insert(id);
        }
        for id in touched {
            self.on_partition(id, effects, Partition::serve_waiters);
        }
    }

    fn free_remains(&mut self) {
        let mut pieces = FREED_PIECES_PER_ENTRY;
        while pieces > 0
            && let Some(remains) = self.remains.front_mut()
        {
            let dead = &mut self.dead;
            let freed = remains.free(pieces, &mut self.bodies, |piece| dead.push(piece));
            if freed >= pieces {
                return;
            }
            pieces -= freed;
            self.remains.pop_front();
        }
    }

    /// Executes one request of the entry begun last and gives its answer. `bodies`: where this host
    /// keeps the bodies of a send, one per item; else empty. Answers to other requests that this one
    /// makes possible are added to `effects`.
    ///
    /// # Panics
    /// If a send has not as many bodies as items, or the machine is of a version that this release does
    /// not support.
    pub fn apply(
        &mut self,
        request: &Request,
        bodies: &[BodyRef],
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        self.assert_supported();
        let first = effects.len();
        let outcome = self.execute(request, bodies, effects);
        self.hash.absorb(request);
        self.hash.absorb_outcome(&outcome);
        self.absorb_effects(&effects[first..]);
        outcome
    }

    /// A view was installed, at this place in the order: receives that still wait and whose client is
    /// at none of `origins` are forgotten, as if they had never been asked.
    pub fn view_installed(
        &mut self,
        view: ViewNumber,
        origins: &[Origin],
        _effects: &mut Vec<Effect>,
    ) {
        self.hash.absorb(&(view, origins));
        let gone: Vec<u64> = self
            .remembered
            .waiting()
            .filter(|position| !origins.contains(&self.remembered.waiter(*position).origin))
            .collect();
        for position in gone {
            self.remove_waiter(position);
        }
    }

    /// Forgets a receive that waits.
    pub(crate) fn remove_waiter(&mut self, position: u64) {
        let waiter = self.remembered.waiter(position).clone();
        self.remembered.unremember(position);
        self.on_partition(waiter.partition, &mut Vec::new(), |partition, _| {
            partition.waiters.remove(position, waiter.until);
        });
    }

    /// Runs one step on a partition and brings everything that is kept over all partitions in line
    /// with it. `None` if there is no such partition.
    pub(crate) fn on_partition<R>(
        &mut self,
        id: PartitionId,
        effects: &mut Vec<Effect>,
        act: impl FnOnce(&mut Partition, &mut Step<'_>) -> R,
    ) -> Option<R> {
        let partition = self.partitions.get_mut(&id)?;
        let messages = partition.contents.messages();
        let bytes = partition.contents.bytes();
        let mut step = Step {
            now: self.executed.ts,
            version: self.version,
            bodies: &mut self.bodies,
            remembered: &mut self.remembered,
            effects,
        };
        let result = act(partition, &mut step);
        self.messages = self.messages - messages + partition.contents.messages();
        self.bytes = self.bytes - bytes + partition.contents.bytes();
        let due = partition.first_due().map(|(at, _)| at);
        if due != partition.scheduled {
            if let Some(at) = partition.scheduled {
                self.schedule.remove(&(at, id));
            }
            if let Some(at) = due {
                self.schedule.insert((at, id));
            }
            partition.scheduled = due;
        }
        if partition.transfers.is_some() {
            if partition.has_parcels() {
                self.senders.insert(id);
            } else {
                self.senders.remove(&id);
            }
        }
        if !partition.dirty {
            partition.dirty = true;
            self.dirty.push(id);
        }
        Some(result)
    }

    fn absorb_effects(&mut self, effects: &[Effect]) {
        for Effect::Given {
            origin,
            waiter,
            deliveries,
        } in effects
        {
            self.hash.absorb(&(origin, waiter, deliveries));
        }
    }

    /// When an entry would have something to do even without a command: a tick should be proposed
    /// then. A time in the past means at once.
    #[must_use]
    pub fn next_due(&self) -> Option<Ts> {
        let scheduled = self.schedule.first().map(|(at, _)| *at);
        let forgettable = self.remembered.forgettable_from();
        let remains = (!self.remains.is_empty()).then_some(self.executed.ts);
        [scheduled, forgettable, remains]
            .into_iter()
            .flatten()
            .min()
    }

    /// The entry begun last.
    #[must_use]
    pub fn executed(&self) -> Position {
        self.executed
    }

    /// How many messages are where. `None` if there is no such partition.
    #[must_use]
    pub fn counts(&self, partition: PartitionId) -> Option<PartitionCounts> {
        self.partitions.get(&partition).map(|p| p.counts())
    }

    /// The first ready messages in the order of their numbers, at most `limit`, without leasing them.
    /// `None` if there is no such partition.
    #[must_use]
    pub fn peek(&self, partition: PartitionId, limit: usize) -> Option<Vec<(Peeked, BodyRef)>> {
        let partition = self.partitions.get(&partition)?;
        Some(partition.peek(limit, self.executed.ts))
    }

    /// All partitions, by id.
    pub fn partitions(&self) -> impl Iterator<Item = (PartitionId, &PartitionSettings)> {
        self.partitions.iter().map(|(id, p)| (*id, &p.settings))
    }

    /// Messages, and bytes of their stored form, in all partitions.
    #[must_use]
    pub fn totals(&self) -> (u64, u64) {
        (self.messages, self.bytes)
    }

    /// How many bodies that may still be asked for lie in each log segment of this host; segments
    /// without any are not listed. Purged messages count until they are freed, soon after.
    #[must_use]
    pub fn live_bodies(&self) -> &BTreeMap<u32, LiveInSegment> {
        self.bodies.by_segment()
    }

    /// Says that a message's body lies at `to` from now on, if it was at `from`. False if the message
    /// is gone or its body elsewhere; `to` is then not used. The bodies of messages that were deleted
    /// as they were received do not move: they are kept until the receive's deadline only.
    pub fn relocate(
        &mut self,
        partition: PartitionId,
        sequence: Sequence,
        from: BodyRef,
        to: BodyRef,
    ) -> bool {
        let Some(partition) = self.partitions.get_mut(&partition) else {
            return false;
        };
        let number = sequence.number();
        let slot = partition.contents.slots.slot(number);
        let Some(size) = slot.filter(|slot| slot.body == from).map(|slot| slot.size) else {
            return false;
        };
        if sequence.epoch() != partition.settings.epoch {
            return false;
        }
        partition.contents.slots.edit(number, |chunk, offset| {
            chunk.slot_mut(offset).expect("it was just there").body = to;
        });
        if !partition.dirty {
            partition.dirty = true;
            self.dirty.push(partition.id);
        }
        self.bodies.add(to, size);
        self.bodies.remove(from, size);
        true
    }

    /// Hash over all positions, requests, outcomes, effects and views so far, and by which version of
    /// the rules. Hosts that executed the same have the same; a refusal's words for people do not count.
    #[must_use]
    pub fn state_hash(&self) -> u64 {
        self.hash.0
    }

    /// Bytes of memory that the state takes, computed from the sizes of its containers.
    #[must_use]
    pub fn memory_estimate(&self) -> usize {
        let partitions: usize = self.partitions.values().map(|p| p.memory()).sum();
        partitions
            + crate::memory::tree(self.partitions.len(), 16)
            + crate::memory::tree(self.schedule.len(), 16)
            + crate::memory::tree(self.sealed.len() + self.senders.len(), 8)
            + self.remembered.memory()
            + self.deleted.memory()
    }

    pub(crate) fn known(&self, partition: PartitionId) -> Result<&Partition, Refusal> {
        if let Some(partition) = self.partitions.get(&partition) {
            return Ok(partition);
        }
        Err(if self.deleted.revision(partition).is_some() {
            Refusal::not_applied(ErrorCode::QueueNotFound, "the queue was deleted")
        } else {
            Refusal::not_applied(
                ErrorCode::StaleRoute,
                "this cluster does not have the partition",
            )
        })
    }
}
