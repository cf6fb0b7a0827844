//! The engine: one host's part in its cluster.

use shoal_types::{ClusterSpec, HostId, Incarnation, Mono, Now};

use crate::{
    EngineCheckpoint, EngineConfig, FormError, LinkEvent, Message, NeededFrom, NotReady, Output,
    Payload, Record, RecordNumber, Status, Ticket,
};

/// One host's part in its cluster: takes inputs, gives outputs, does nothing itself.
///
/// The methods are of four sorts.
///
/// - **Start**: [`Engine::new`] with the checkpoint, [`Engine::replay`] with every record of the log
///   from the checkpoint's place on, in order, then [`Engine::started`]. What the log gave must have
///   been synced before (a scan alone proves nothing).
/// - **Inputs**: `handle_*` tell what happened: a message came, records became durable, a link
///   changed, a timeout passed.
/// - **Commands**: [`Engine::form`], [`Engine::submit`], [`Engine::leave`], [`Engine::set_disk_level`].
/// - **Outputs**: after any of these, [`Engine::poll_output`] until it gives `None`, carrying each out
///   in order, then [`Engine::next_timeout`]. Inputs that are at hand together may be given together
///   before polling: acknowledgements and clocks of one turn then leave in one message per peer.
///
/// `now` never goes back; its monotonic part drives the timers, its wall part the timestamps.
#[derive(Debug)]
pub struct Engine {}

impl Engine {
    /// An engine that knows what the checkpoint says.
    #[must_use]
    pub fn new(config: EngineConfig, checkpoint: Option<EngineCheckpoint>, now: Now) -> Self {
        let _ = (config, checkpoint, now);
        todo!()
    }

    /// Takes one record of the log, in the log's order. What was sealed is executed again: poll the
    /// outputs after each record, they are `Execute` and `ViewInstalled` only.
    pub fn replay(&mut self, record: Record) -> RecordNumber {
        let _ = record;
        todo!()
    }

    /// The log is read. Starts this life of the process; its incarnation must be durable (see
    /// `Persist`) before the driver shows it to anyone, in a handshake for instance.
    pub fn started(&mut self, now: Now) {
        let _ = now;
        todo!()
    }

    /// Which life of the process this is; valid once started.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        todo!()
    }

    /// A message came. `from` is who the handshake proved it to be.
    pub fn handle_message(&mut self, from: HostId, message: Message, now: Now) {
        let _ = (from, message, now);
        todo!()
    }

    /// All records up to this number are durable.
    pub fn handle_persisted(&mut self, up_to: RecordNumber, now: Now) {
        let _ = (up_to, now);
        todo!()
    }

    /// A link to another member changed.
    pub fn handle_link(&mut self, peer: HostId, event: LinkEvent, now: Now) {
        let _ = (peer, event, now);
        todo!()
    }

    /// The time of `next_timeout` has come (or not yet: then nothing happens).
    pub fn handle_timeout(&mut self, now: Now) {
        let _ = now;
        todo!()
    }

    /// Forms a cluster: writes view 1, once. The same list again does nothing.
    ///
    /// # Errors
    /// If the host was formed with another list, or the list is none.
    pub fn form(&mut self, spec: &ClusterSpec, now: Now) -> Result<(), FormError> {
        let _ = (spec, now);
        todo!()
    }

    /// Takes a batch of commands to be executed on every host. The ticket comes back with `Execute`,
    /// or with `Dropped`; if the host stops before either, nobody knows.
    ///
    /// # Errors
    /// If the host cannot take it now; then it was not and will not be applied.
    ///
    /// # Panics
    /// If the payload is over [`crate::limits::ENTRY_BYTES_MAX`].
    pub fn submit(&mut self, payload: Payload, now: Now) -> Result<Ticket, NotReady> {
        let _ = (payload, now);
        todo!()
    }

    /// How full this host's data volume is, in percent; told to the others.
    pub fn set_disk_level(&mut self, percent: u8) {
        let _ = percent;
        todo!()
    }

    /// The fullest data volume among the members heard of, in percent.
    #[must_use]
    pub fn fullest_disk(&self) -> u8 {
        todo!()
    }

    /// Asks to be sealed out, before a stop: [`Status::sealed_out`] tells when it is done. From now on
    /// `submit` is refused. May not come about (no quorum, a single host): wait with a limit.
    pub fn leave(&mut self, now: Now) {
        let _ = now;
        todo!()
    }

    /// The next thing to do, if any.
    pub fn poll_output(&mut self) -> Option<Output> {
        todo!()
    }

    /// When to call `handle_timeout`, if nothing happens before.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Mono> {
        todo!()
    }

    /// How it is.
    #[must_use]
    pub fn status(&self) -> Status {
        todo!()
    }

    /// What belongs into a checkpoint beside the state executed so far. Poll all outputs before.
    #[must_use]
    pub fn checkpoint(&self) -> EngineCheckpoint {
        todo!()
    }

    /// What of the log this host or any member may still need.
    #[must_use]
    pub fn needed_from(&self) -> Option<NeededFrom> {
        todo!()
    }
}
