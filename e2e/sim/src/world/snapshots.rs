//! Hosts that go on from a peer's state: their restart in place, and what must be true of it.

use bytes::Bytes;
use shoal_host::core::{SnapshotEvent, decode_meta};
use shoal_replication::{Ballot, Message, Payload};
use shoal_types::{HostId, Position, ViewNumber};

use super::World;
use super::host::Process;
use crate::actions::JobKind;
use crate::checkers::Checker;
use crate::sometimes::Sometimes;

/// Messages about snapshots below this size are not chunks: only the protocol's own checksums of those
/// are what this is about.
const CHUNK_BYTES_MIN: usize = 100;

/// How a host stood when it came to rest for a snapshot: none of this may be forgotten or go back.
#[derive(Clone, Debug)]
pub(super) struct Rested {
    promised: Option<(ViewNumber, Ballot)>,
    accepted: Option<(ViewNumber, Ballot)>,
    executed: Position,
    view: ViewNumber,
    was_member: bool,
    lacked_state: bool,
}

impl World {
    /// Once nothing is under way that it began, a host that has installed a snapshot drops its state and
    /// starts on its disk again, as its own driver does. The log's thread is not waited for: whatever
    /// counts is durable by then.
    pub(super) fn go_on_from_snapshot(&mut self, id: HostId) {
        let host = self.host(id);
        let rests = |process: &&mut Process| {
            let mut jobs = process.jobs.values();
            process.restarts && jobs.all(|job| job.kind() == JobKind::Write)
        };
        let Some(process) = host.process.as_mut().filter(rests) else {
            return;
        };
        let engine = process.core.engine();
        let checkpoint = engine.checkpoint();
        let accepted = checkpoint.accepted.as_ref();
        host.rested = Some(Rested {
            promised: checkpoint.promised,
            accepted: accepted.map(|(ballot, value)| (value.number, *ballot)),
            executed: process.core.machine().executed(),
            view: engine.view().number,
            was_member: engine.view().slot(id).is_some(),
            lacked_state: engine.lacks_state(),
        });
        let leaves = process.leave_until.is_some();
        self.process_replaced(id);
        if !leaves {
            self.start(id);
        }
    }

    /// A host starts from a checkpoint that may be another one's: what it did not execute itself it
    /// need not have executed.
    pub(super) fn note_installed(&mut self, id: HostId, meta: &[u8]) {
        if !self.hosts[&id].installs {
            return;
        }
        if let Ok(engine) = decode_meta(meta) {
            let view = engine.views.last().map(|view| view.number);
            self.auditor
                .went_on_from(id, engine.executed, view.unwrap_or_default());
        }
    }

    /// A host that came to rest for a snapshot runs again.
    pub(super) fn look_at_rested(&mut self, id: HostId) {
        let Some(before) = self.host(id).rested.take() else {
            return;
        };
        let Some(process) = &self.hosts[&id].process else {
            return;
        };
        let engine = process.core.engine();
        let checkpoint = engine.checkpoint();
        let accepted = checkpoint.accepted.as_ref();
        let accepted = accepted.map(|(ballot, value)| (value.number, *ballot));
        let forgot = checkpoint.promised < before.promised || accepted < before.accepted;
        let executed = process.core.machine().executed();
        let went_back = executed < before.executed || engine.view().number < before.view;
        if forgot || went_back {
            let now = (
                checkpoint.promised,
                accepted,
                executed,
                engine.view().number,
            );
            let what = format!("{id} installs a snapshot: {now:?} after {before:?}");
            self.violation(Checker::C14, what);
        }
        self.reached.note(Sometimes::SnapshotInstalled);
        if before.lacked_state {
            self.reached.note(Sometimes::CheckpointGiven);
        }
        self.reached.note(if before.was_member {
            Sometimes::MemberTookSnapshot
        } else {
            Sometimes::NewcomerTookSnapshot
        });
    }

    /// What a host tells of snapshots.
    pub(super) fn note_snapshots(&mut self, id: HostId) {
        let Some(process) = &mut self.host(id).process else {
            return;
        };
        for event in process.core.take_snapshot_events() {
            self.reached.note(match event {
                SnapshotEvent::Sent { .. } => Sometimes::SnapshotSent,
                SnapshotEvent::Asked { other: true, .. } => Sometimes::SnapshotFromAnother,
                SnapshotEvent::ChunkRefused { .. } => Sometimes::SnapshotChunkRefused,
                SnapshotEvent::ChunkAskedAgain { .. } => Sometimes::SnapshotChunkLost,
                SnapshotEvent::LetBehind { .. } => Sometimes::MemberLetBehind,
                _ => continue,
            });
        }
    }

    /// Some chunks of snapshots arrive damaged, where messages get lost.
    pub(super) fn damage_snapshots(&mut self, messages: Vec<Message>) -> Vec<Message> {
        let mut one = |message: Message| match message {
            Message::Snapshot(payload)
                if payload.len() >= CHUNK_BYTES_MIN && self.network.damages() =>
            {
                let mut bytes = payload.contiguous().to_vec();
                let last = bytes.len() - 1;
                bytes[last] ^= 1;
                Message::Snapshot(Payload::from(Bytes::from(bytes)))
            }
            other => other,
        };
        messages.into_iter().map(&mut one).collect()
    }
}
