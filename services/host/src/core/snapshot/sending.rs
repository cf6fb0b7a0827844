//! The sender's side: one snapshot at a time, of a checkpoint that is written for it, at a bounded rate.
//!
//! From the moment at which that checkpoint is frozen nothing of what it refers to goes: the segments in
//! which its bodies lie, and every entry after it, since the receiver asks for those next.

use std::collections::BTreeSet;

use shoal_replication::{EngineCheckpoint, Message, NeededFrom};
use shoal_types::{HostId, Mono};

use super::super::{Core, Effect};
use super::SnapshotEvent;
use super::jobs::{SnapshotJob, Task};
use super::reader::{Read, Reader};
use super::wire::{Declined, Header, Say};
use crate::formats::disk_version;
use crate::limits;

/// A snapshot on its way to a peer.
pub(in super::super) struct Sending {
    to: HostId,
    transfer: u64,
    asked_at: Mono,
    stage: Stage,
    /// The chunk that the peer waits for.
    wanted: Option<u64>,
    /// The chunk sent last, in case it was lost.
    said: Option<(u64, Message)>,
    next: u64,
    /// The next one is not sent before: so the rate is bounded.
    not_before: Mono,
    bytes: u64,
    /// Segments that stay.
    segments: BTreeSet<u32>,
}

enum Stage {
    /// A checkpoint is to be written.
    ToBeFrozen,
    /// It is being written.
    BeingWritten(Box<Header>),
    /// It is durable, and is being opened.
    BeingOpened(Box<Header>),
    Open(Box<Reader>),
    BeingRead,
    AllSaid,
}

impl Core {
    pub(super) fn on_ask(&mut self, from: HostId, transfer: u64, chunk: u64) {
        if !self.engine.may_be_given_snapshot(from) || self.is_halted() {
            return self.decline(from, transfer, Declined::NotMember);
        }
        let now = self.now.mono;
        let known = match &self.sending {
            Some(sending) if sending.to == from => sending.transfer == transfer,
            Some(sending) if now < sending.asked_at + limits::SNAPSHOT_PATIENCE => {
                return self.decline(from, transfer, Declined::Busy);
            }
            _ => false,
        };
        if !known {
            if chunk != 0 {
                return self.decline(from, transfer, Declined::Unable);
            }
            self.stop_sending();
            self.snapshot_events
                .push(SnapshotEvent::SendingBegun { to: from });
            self.sending = Some(Sending {
                to: from,
                transfer,
                asked_at: now,
                stage: Stage::ToBeFrozen,
                wanted: None,
                said: None,
                next: 0,
                not_before: now,
                bytes: 0,
                segments: BTreeSet::new(),
            });
        }
        let sending = self.sending.as_mut().expect("known or begun");
        sending.asked_at = now;
        match &sending.said {
            Some((said, message)) if *said == chunk => {
                let message = message.clone();
                self.say(from, message);
            }
            _ if chunk == sending.next => sending.wanted = Some(chunk),
            _ => {}
        }
    }

    fn decline(&mut self, to: HostId, transfer: u64, why: Declined) {
        let message = Say::Declined { transfer, why }.message(None);
        self.say(to, message);
    }

    pub(super) fn say(&mut self, to: HostId, message: Message) {
        self.outbox.entry(to).or_default().push(message);
    }

    /// True if a checkpoint is to be written for a snapshot.
    pub(in super::super) fn wants_checkpoint(&self) -> bool {
        let stage = self.sending.as_ref().map(|sending| &sending.stage);
        matches!(stage, Some(Stage::ToBeFrozen))
    }

    /// True while the newest checkpoint must stay the newest one.
    pub(in super::super) fn holds_checkpoint(&self) -> bool {
        let stage = self.sending.as_ref().map(|sending| &sending.stage);
        matches!(stage, Some(Stage::BeingWritten(_) | Stage::BeingOpened(_)))
    }

    /// The state was frozen, for a checkpoint with this engine's part.
    pub(in super::super) fn frozen_to_be_sent(&mut self, engine: &EngineCheckpoint) {
        let Some(cluster) = engine.spec.as_ref().map(|spec| spec.cluster) else {
            return;
        };
        let Some(sending) = self.sending.as_mut() else {
            return;
        };
        if !matches!(sending.stage, Stage::ToBeFrozen) {
            return;
        }
        let (messages, message_bytes) = self.machine.totals();
        sending.segments = self.machine.live_bodies().keys().copied().collect();
        sending.stage = Stage::BeingWritten(Box::new(Header {
            version: disk_version(self.machine.version()),
            cluster,
            position: self.machine.executed(),
            state_hash: self.machine.state_hash(),
            messages,
            message_bytes,
            engine: engine.clone(),
        }));
        let view = self.engine.view();
        let lanes = view.members.iter().zip(&engine.executed_in_lanes);
        let held = NeededFrom {
            view: view.number,
            lanes: lanes.map(|(host, last)| (*host, last + 1)).collect(),
        };
        self.engine.keep_from(Some(held));
    }

    /// The checkpoint in hand is durable.
    pub(in super::super) fn written_to_be_sent(&mut self) {
        let Some(sending) = self.sending.as_mut() else {
            return;
        };
        let Stage::BeingWritten(header) = &sending.stage else {
            return;
        };
        let header = header.clone();
        sending.stage = Stage::BeingOpened(header.clone());
        let job = SnapshotJob {
            transfer: sending.transfer,
            task: Task::Open {
                log: self.log.reader(),
                header,
                chunk_bytes: self.snapshot_pace.chunk_bytes,
            },
        };
        self.effects.push(Effect::Snapshot(job));
    }

    pub(super) fn on_opened(&mut self, transfer: u64, opened: Result<Box<Reader>, String>) {
        let Some(sending) = self.sending.as_mut() else {
            return;
        };
        let Stage::BeingOpened(header) = &sending.stage else {
            return;
        };
        if sending.transfer != transfer {
            return;
        }
        let data = header.encode();
        match opened {
            Ok(reader) => {
                sending.stage = Stage::Open(reader);
                self.say_chunk((data, None));
            }
            Err(why) => self.cannot_send(&why),
        }
    }

    pub(super) fn on_read(&mut self, transfer: u64, read: Result<(Box<Reader>, Read), String>) {
        let Some(sending) = self.sending.as_mut() else {
            return;
        };
        if sending.transfer != transfer || !matches!(sending.stage, Stage::BeingRead) {
            return;
        }
        match read {
            Ok((reader, read)) => {
                sending.stage = if read.1.is_some() {
                    Stage::AllSaid
                } else {
                    Stage::Open(reader)
                };
                self.say_chunk(read);
            }
            Err(why) => self.cannot_send(&why),
        }
    }

    fn say_chunk(&mut self, (data, sums): Read) {
        let (now, rate) = (self.now.mono, self.snapshot_pace.bytes_per_second);
        let sending = self.sending.as_mut().expect("it is being sent");
        let bytes = data.len() as u64;
        let say = Say::Chunk {
            transfer: sending.transfer,
            chunk: sending.next,
            crc: crc32c::crc32c(&data),
            sums,
        };
        let message = say.message(Some(data));
        sending.said = Some((sending.next, message.clone()));
        sending.wanted = None;
        sending.next += 1;
        sending.bytes += bytes;
        sending.not_before = Mono(now.0 + bytes.saturating_mul(1_000_000) / rate.max(1));
        let (to, bytes) = (sending.to, sending.bytes);
        self.say(to, message);
        if sums.is_some() {
            self.snapshot_events.push(SnapshotEvent::Sent { to, bytes });
        }
    }

    /// Another peer may be able to; this one's copy of something cannot be read.
    pub(in super::super) fn cannot_send(&mut self, why: &str) {
        if let Some(sending) = &self.sending {
            tracing::error!(peer = %sending.to, why, "no snapshot can be sent");
            let (to, transfer) = (sending.to, sending.transfer);
            self.stop_sending();
            self.decline(to, transfer, Declined::Unable);
        }
    }

    fn stop_sending(&mut self) {
        if self.sending.take().is_some() {
            self.engine.keep_from(None);
        }
    }

    /// What time has made due.
    pub(in super::super) fn go_on_sending(&mut self) {
        let now = self.now.mono;
        let Some(sending) = self.sending.as_mut() else {
            return;
        };
        if now >= sending.asked_at + limits::SNAPSHOT_HELD {
            return self.stop_sending();
        }
        let due = sending.wanted.is_some() && now >= sending.not_before;
        if due && matches!(sending.stage, Stage::Open(_)) {
            let stage = std::mem::replace(&mut sending.stage, Stage::BeingRead);
            if let Stage::Open(reader) = stage {
                let transfer = sending.transfer;
                let task = Task::Read(reader);
                self.effects
                    .push(Effect::Snapshot(SnapshotJob { transfer, task }));
            }
        }
    }

    pub(in super::super) fn next_sending(&self) -> Option<Mono> {
        let sending = self.sending.as_ref()?;
        let ends = sending.asked_at + limits::SNAPSHOT_HELD;
        let open = matches!(sending.stage, Stage::Open(_)) && sending.wanted.is_some();
        Some(if open {
            sending.not_before.min(ends)
        } else {
            ends
        })
    }

    /// True if a segment must stay because a snapshot that is being sent refers to it.
    pub(in super::super) fn is_being_sent(&self, segment: u32) -> bool {
        let sending = self.sending.as_ref();
        sending.is_some_and(|sending| sending.segments.contains(&segment))
    }
}
