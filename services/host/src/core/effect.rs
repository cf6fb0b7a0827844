//! What comes out of a turn of the core: everything that takes I/O, for the driver to carry out.

use shoal_replication::Message;
use shoal_storage::{Batch, Removal, Upkeep};
use shoal_types::{ClusterId, HostId, ViewNumber, ViewSummary};

use super::{
    Answer, BodyReads, Carriage, OperationId, PendingCheckpoint, ScrubLook, SnapshotJob, Telling,
};

/// What the driver is to do, in this order.
pub enum Effect {
    /// Send messages to another host of the cluster; losing them is allowed.
    SendPeer {
        /// The other host.
        to: HostId,
        /// In order.
        messages: Vec<Message>,
    },
    /// Read entries from the log and send them to a host that catches up.
    SendEntries {
        /// The other host.
        to: HostId,
        /// Which lane of which view.
        view: ViewNumber,
        /// The lane's owner.
        lane: HostId,
        /// First index.
        from: u64,
        /// Last index.
        up_to: u64,
    },
    /// Write and sync; then call [`Core::on_written`](super::Core::on_written).
    Write(Batch),
    /// Answer a client.
    Answer {
        /// Its operation.
        operation: OperationId,
        /// The answer.
        answer: Answer,
    },
    /// Tell connected frontends.
    PushView(ClusterId, ViewSummary),
    /// Read bodies from the log; then call [`Core::on_bodies_read`](super::Core::on_bodies_read).
    ReadBodies(BodyReads),
    /// Look whether what is kept is still sound; then call [`Core::on_scrubbed`](super::Core::on_scrubbed).
    Scrub(ScrubLook),
    /// Call another cluster; then call [`Core::on_told`](super::Core::on_told), whatever came of it.
    Tell(Box<Telling>),
    /// Read its bodies and call another cluster; then call [`Core::on_carried`](super::Core::on_carried),
    /// whatever came of it.
    Carry(Box<Carriage>),
    /// Write a checkpoint; then call [`Core::on_checkpoint`](super::Core::on_checkpoint).
    Checkpoint(Box<PendingCheckpoint>),
    /// Background work of the log; it can go on without it.
    Upkeep(Upkeep),
    /// Free the space of segments that nobody needs any more.
    Remove(Removal),
    /// Do this for a snapshot; then call [`Core::on_snapshot_job`](super::Core::on_snapshot_job).
    Snapshot(SnapshotJob),
    /// A snapshot was put in the place of this host's state. Once no job of this core is under way any
    /// more, drop it and recover from the same disk, as after a restart of the process.
    Restart,
    /// The host must stop; this is why.
    Fatal(String),
}
