//! The state machine (signatures; the behaviour follows).

use std::collections::BTreeMap;

use shoal_types::{
    BodyRef, Origin, Outcome, PartitionCounts, PartitionId, PartitionSettings, Peeked, Position,
    Refusal, Request, Sequence, Ts, ViewNumber,
};

use crate::{Effect, Frozen, RestoreError};

/// All partitions of one cluster.
#[derive(Debug, Default)]
pub struct Machine {
    partitions: BTreeMap<PartitionId, PartitionSettings>,
}

impl Machine {
    /// No partitions, nothing executed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
    /// Starts an entry: time moves to `at.ts` and due work is done.
    ///
    /// # Panics
    /// If `at` is not after [`Machine::executed`].
    pub fn begin_entry(&mut self, _at: Position, _effects: &mut Vec<Effect>) {
        unimplemented!()
    }
    /// Executes one request of the entry begun last. `bodies`: one per item of a send, else empty.
    pub fn apply(
        &mut self,
        _request: &Request,
        _bodies: &[BodyRef],
        _effects: &mut Vec<Effect>,
    ) -> Outcome {
        unimplemented!()
    }
    /// A view was installed: waiters that were given nothing and whose origin is not in `origins` go.
    pub fn view_installed(
        &mut self,
        _view: ViewNumber,
        _origins: &[Origin],
        _effects: &mut Vec<Effect>,
    ) {
        unimplemented!()
    }
    /// Cheap checks before a request is replicated.
    ///
    /// # Errors
    /// What the command would be refused with, or that there is no room for it.
    pub fn admit(&self, _request: &Request, _now: Ts) -> Result<(), Refusal> {
        unimplemented!()
    }
    /// When a tick would have something to do.
    #[must_use]
    pub fn next_due(&self) -> Option<Ts> {
        unimplemented!()
    }
    /// The entry begun last.
    #[must_use]
    pub fn executed(&self) -> Position {
        unimplemented!()
    }
    /// How many messages are where.
    #[must_use]
    pub fn counts(&self, _partition: PartitionId) -> Option<PartitionCounts> {
        unimplemented!()
    }
    /// The first ready messages, without leasing them.
    #[must_use]
    pub fn peek(&self, _partition: PartitionId, _limit: usize) -> Option<Vec<(Peeked, BodyRef)>> {
        unimplemented!()
    }
    /// All partitions.
    pub fn partitions(&self) -> impl Iterator<Item = (PartitionId, &PartitionSettings)> {
        self.partitions.iter().map(|(id, settings)| (*id, settings))
    }
    /// Messages and bytes of stored form in all partitions.
    #[must_use]
    pub fn totals(&self) -> (u64, u64) {
        unimplemented!()
    }
    /// How many live bodies lie in each log segment of this host.
    #[must_use]
    pub fn live_bodies(&self) -> &BTreeMap<u32, u64> {
        unimplemented!()
    }
    /// Moves a body from `from` to `to`, if it is still at `from`.
    pub fn relocate(
        &mut self,
        _partition: PartitionId,
        _sequence: Sequence,
        _from: BodyRef,
        _to: BodyRef,
    ) -> bool {
        unimplemented!()
    }
    /// Rolling hash over positions, commands and outcomes.
    #[must_use]
    pub fn state_hash(&self) -> u64 {
        unimplemented!()
    }
    /// Hash over the whole state without what is local to this host.
    #[must_use]
    pub fn full_hash(&self) -> u64 {
        unimplemented!()
    }
    /// What changed since the last freeze.
    pub fn freeze(&mut self) -> Frozen {
        unimplemented!()
    }
    /// Rebuilds a machine from all stored keys and values.
    ///
    /// # Errors
    /// If a key or value cannot be read, or they do not fit together.
    pub fn restore(
        _stored: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
    ) -> Result<Self, RestoreError> {
        unimplemented!()
    }
}
