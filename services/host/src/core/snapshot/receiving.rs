//! The receiver's side: from the need of a snapshot to the restart on it.

use bytes::Bytes;
use shoal_replication::Payload;
use shoal_storage::{HeadOnly, Staging};
use shoal_types::planted::{Bug, planted};
use shoal_types::{HostId, Mono};

use super::super::{Core, Effect, encode_meta};
use super::chunks::Chunks;
use super::jobs::{Came, SnapshotDone, SnapshotJob, Task};
use super::wire::{Declined, Header, Say, Sums};
use super::{SnapshotEvent, SnapshotProgress};
use crate::formats::disk_version;
use crate::limits;

/// What this host receives, if it needs to.
#[derive(Default)]
pub(in super::super) struct Receiving {
    /// Transfers begun in this life.
    begun: u64,
    /// Which peer was asked last.
    asked: Option<HostId>,
    /// None is asked before.
    not_before: Mono,
    /// Snapshots given up in this life: the pause grows with them.
    abandoned: u32,
    current: Option<Transfer>,
    /// From here on nothing happens to this host any more but the change of its state.
    pub(in super::super) installing: bool,
}

/// A snapshot on its way here.
struct Transfer {
    from: HostId,
    number: u64,
    asked_at: Mono,
    heard_at: Mono,
    /// The chunk that is awaited, or comes next.
    next: u64,
    header: Option<Box<Header>>,
    chunks: Chunks,
    refused: u32,
    /// Segments from here on may hold bodies that came with it.
    first_segment: u32,
    /// The last chunk is here.
    ended: bool,
    /// Where complete rows are kept, while a chunk is awaited.
    staging: Option<Box<Staging>>,
    step: Step,
}

enum Step {
    /// A chunk was asked for.
    Asked,
    /// What came is being kept.
    BeingStaged,
    /// The log has to catch up before more is asked for.
    Waiting(Box<Staging>),
    /// Everything is here; the log is not durable up to its last body.
    BeingSynced(Box<Staging>),
    BeingVerified,
    /// It is sound. This host comes to rest.
    Resting(Box<Staging>),
    BeingInstalled,
}

impl Core {
    /// What another host says about a snapshot.
    pub(in super::super) fn on_snapshot_message(&mut self, from: HostId, payload: &Payload) {
        let (say, data) = match Say::read(payload) {
            Ok(said) => said,
            Err(error) => {
                tracing::warn!(peer = %from, %error, "what a peer says about a snapshot cannot be read");
                return;
            }
        };
        match say {
            Say::Ask { transfer, chunk } => self.on_ask(from, transfer, chunk),
            Say::Chunk {
                transfer,
                chunk,
                crc,
                sums,
            } => {
                let awaited = self.transfer(from, transfer).is_some_and(|current| {
                    current.next == chunk && matches!(current.step, Step::Asked)
                });
                if awaited {
                    self.on_chunk(from, crc, data, sums);
                }
            }
            Say::Declined { transfer, why } => {
                if self.transfer(from, transfer).is_some() {
                    let why = match why {
                        Declined::NotMember => "it may not give one",
                        Declined::Busy => "it is giving one to another host",
                        Declined::Unable => "it cannot give this one",
                    };
                    self.abandon(why);
                }
            }
        }
    }

    fn transfer(&mut self, from: HostId, number: u64) -> Option<&mut Transfer> {
        let current = self.receiving.current.as_mut();
        current.filter(|current| current.from == from && current.number == number)
    }

    fn on_chunk(&mut self, from: HostId, crc: u32, data: Bytes, sums: Option<Sums>) {
        let now = self.now.mono;
        let current = self.receiving.current.as_mut().expect("it is awaited");
        current.heard_at = now;
        if crc32c::crc32c(&data) != crc {
            current.refused += 1;
            self.snapshot_events
                .push(SnapshotEvent::ChunkRefused { from });
            if current.refused > limits::SNAPSHOT_CHUNKS_REFUSED_MAX {
                return self.abandon("its chunks come damaged again and again");
            }
            return self.ask_for_next();
        }
        let taken = if current.next == 0 {
            self.take_header(&data).map(|()| Vec::new())
        } else {
            current.chunks.take(data, &mut self.log)
        };
        let rows = match taken {
            Ok(rows) => rows,
            Err(why) => return self.abandon(&why),
        };
        let current = self.receiving.current.as_mut().expect("it is awaited");
        if let Some(sums) = sums {
            if !current.chunks.come_to(&sums) {
                return self.abandon("what came is not what was sent");
            }
            current.ended = true;
        }
        let staging = current.staging.take();
        current.step = Step::BeingStaged;
        current.next += 1;
        let transfer = current.number;
        let task = Task::Stage { staging, rows };
        self.effects
            .push(Effect::Snapshot(SnapshotJob { transfer, task }));
    }

    fn take_header(&mut self, data: &[u8]) -> Result<(), String> {
        let newest = disk_version(*self.machine.supported().end());
        let header = Header::decode(data, newest)?;
        let engine = &header.engine;
        self.engine
            .may_install(engine)
            .map_err(|error| error.to_string())?;
        let cluster = engine.spec.as_ref().map(|spec| spec.cluster);
        if engine.executed != header.position || cluster != Some(header.cluster) {
            return Err("its header contradicts itself".to_owned());
        }
        let current = self.receiving.current.as_mut().expect("it is awaited");
        current.header = Some(Box::new(header));
        Ok(())
    }

    fn ask_for_next(&mut self) {
        let now = self.now.mono;
        let current = self.receiving.current.as_mut().expect("it is received");
        current.asked_at = now;
        let (transfer, chunk) = (current.number, current.next);
        let to = current.from;
        let message = Say::Ask { transfer, chunk }.message(None);
        self.say(to, message);
    }

    /// Throws away what came so far; another peer is asked soon.
    pub(in super::super) fn abandon(&mut self, why: &str) {
        let Some(current) = self.receiving.current.take() else {
            return;
        };
        let from = current.from;
        tracing::warn!(peer = %from, why, "a snapshot is abandoned");
        let why = why.to_owned();
        self.snapshot_events
            .push(SnapshotEvent::Abandoned { from, why });
        let pause = limits::SNAPSHOT_PAUSE * (1 << self.receiving.abandoned.min(4));
        self.receiving.not_before = self.now.mono + pause;
        self.receiving.abandoned += 1;
        if let Step::Waiting(staging) | Step::BeingSynced(staging) | Step::Resting(staging) =
            current.step
        {
            self.discard(staging);
        } else if let Some(staging) = current.staging {
            self.discard(staging);
        }
    }

    fn discard(&mut self, staging: Box<Staging>) {
        let (transfer, task) = (0, Task::Discard(staging));
        self.effects
            .push(Effect::Snapshot(SnapshotJob { transfer, task }));
    }

    /// What came of a job.
    pub fn on_snapshot_job(&mut self, done: SnapshotDone) {
        let SnapshotDone { transfer, came } = done;
        match came {
            Came::Opened(opened) => self.on_opened(transfer, opened),
            Came::Read(read) => self.on_read(transfer, read),
            Came::Staged(Ok(staging)) => self.on_staged(transfer, staging),
            Came::Verified(Ok(staging)) => self.on_verified(transfer, staging),
            Came::Staged(Err(why)) | Came::Verified(Err(why)) => {
                if self.is_received(transfer) {
                    self.abandon(&why);
                }
            }
            Came::Installed(Ok(())) => self.effects.push(Effect::Restart),
            Came::Installed(Err(why)) => {
                // This host's own state stands, and it goes on from there.
                tracing::warn!(why, "a snapshot could not be installed; trying again later");
                self.effects.push(Effect::Restart);
            }
            Came::Discarded => {}
        }
    }

    fn is_received(&self, number: u64) -> bool {
        let current = self.receiving.current.as_ref();
        current.is_some_and(|current| current.number == number)
    }

    fn on_staged(&mut self, number: u64, staging: Box<Staging>) {
        if !self.is_received(number) {
            return self.discard(staging);
        }
        let current = self.receiving.current.as_mut().expect("looked at above");
        current.step = if current.ended {
            Step::BeingSynced(staging)
        } else {
            Step::Waiting(staging)
        };
    }

    fn on_verified(&mut self, number: u64, staging: Box<Staging>) {
        if !self.is_received(number) {
            return self.discard(staging);
        }
        let current = self.receiving.current.as_mut().expect("looked at above");
        current.step = Step::Resting(staging);
        let (from, bytes) = (current.from, current.chunks.sums.bytes);
        self.snapshot_events
            .push(SnapshotEvent::Verified { from, bytes });
    }

    /// What this turn, or time, has made possible.
    pub(in super::super) fn go_on_receiving(&mut self) {
        if self.receiving.current.is_none() {
            return self.begin_receiving();
        }
        let now = self.now.mono;
        let current = self.receiving.current.as_mut().expect("looked at above");
        let overtaken = current
            .header
            .as_ref()
            .and_then(|header| self.engine.may_install(&header.engine).err());
        if let Some(why) = overtaken
            && !self.receiving.installing
        {
            return self.abandon(&format!("it is of no use any more: {why}"));
        }
        match std::mem::replace(&mut current.step, Step::Asked) {
            Step::Asked if now >= current.heard_at + limits::SNAPSHOT_PATIENCE => {
                self.abandon("it does not answer");
            }
            Step::Asked if now >= current.asked_at + limits::SNAPSHOT_ASK_AGAIN => {
                let from = current.from;
                self.snapshot_events
                    .push(SnapshotEvent::ChunkAskedAgain { from });
                self.ask_for_next();
            }
            Step::Asked => {}
            Step::Waiting(staging)
                if self.log.unsynced_bytes() < limits::SNAPSHOT_UNSYNCED_BYTES_MAX =>
            {
                current.staging = Some(staging);
                current.heard_at = now;
                self.ask_for_next();
            }
            Step::BeingSynced(staging)
                if self.log.durable_lsn() >= current.chunks.last_lsn
                    || planted(Bug::SnapshotBaseBeforeSync) =>
            {
                current.step = Step::BeingVerified;
                let header = current.header.clone().expect("it came first");
                let transfer = current.number;
                let versions = self.machine.supported().clone();
                let task = Task::Verify {
                    staging,
                    header,
                    versions,
                };
                self.effects
                    .push(Effect::Snapshot(SnapshotJob { transfer, task }));
            }
            Step::Resting(staging) => {
                current.step = Step::Resting(staging);
                self.pump();
                self.receiving.installing = true;
                self.install_once_at_rest();
            }
            other => current.step = other,
        }
    }

    /// Puts the snapshot in the place of this host's state once nothing is under way that belongs to the
    /// state before: everything that this host put into its log is durable, and no checkpoint is being
    /// written.
    fn install_once_at_rest(&mut self) {
        let durable = self.log.durable_lsn() >= self.log.last_lsn();
        let synced = durable || planted(Bug::SnapshotBaseBeforeSync);
        if !synced || self.checkpoint.is_under_way() {
            return;
        }
        let current = self.receiving.current.as_ref().expect("it is received");
        let header = current.header.as_deref().expect("it came first");
        let engine = match self.engine.checkpoint_from_peer(&header.engine) {
            Ok(engine) => engine,
            Err(error) => {
                self.abandon(&error.to_string());
                // Whatever was not heard meanwhile is said again.
                return self.effects.push(Effect::Restart);
            }
        };
        assert!(
            header.position >= self.machine.executed(),
            "a snapshot never moves the executed position back: {} after {}",
            header.position,
            self.machine.executed()
        );
        let commit = HeadOnly {
            version: header.version,
            meta: encode_meta(&engine),
            replay_from: self.replay_from(&engine),
            writes: [],
        };
        let current = self.receiving.current.as_mut().expect("it is received");
        let step = std::mem::replace(&mut current.step, Step::BeingInstalled);
        let Step::Resting(staging) = step else {
            unreachable!("looked at by the caller")
        };
        let transfer = current.number;
        let task = Task::Install { staging, commit };
        self.effects
            .push(Effect::Snapshot(SnapshotJob { transfer, task }));
    }

    fn begin_receiving(&mut self) {
        let now = self.now.mono;
        if now < self.receiving.not_before || self.is_halted() {
            return;
        }
        let sources = self.engine.snapshot_sources();
        let asked = self.receiving.asked;
        // The next one after the one asked before, round and round.
        let after = sources.iter().find(|host| Some(**host) > asked);
        let Some(from) = after.or_else(|| sources.first()).copied() else {
            return;
        };
        let other = asked.is_some_and(|asked| asked != from);
        self.snapshot_events
            .push(SnapshotEvent::Asked { from, other });
        self.receiving.begun += 1;
        self.receiving.asked = Some(from);
        // Never the number of a transfer of an earlier life.
        let number = (self.origin.incarnation.0 << 20) | self.receiving.begun;
        self.receiving.current = Some(Transfer {
            from,
            number,
            asked_at: now,
            heard_at: now,
            next: 0,
            header: None,
            chunks: Chunks::default(),
            refused: 0,
            first_segment: self.log.segments().last().map_or(0, |s| s.number),
            ended: false,
            staging: None,
            step: Step::Asked,
        });
        self.ask_for_next();
    }

    pub(in super::super) fn next_receiving(&self) -> Option<Mono> {
        let Some(current) = &self.receiving.current else {
            let waits = self.receiving.not_before > self.now.mono;
            return waits.then_some(self.receiving.not_before);
        };
        let again = current.asked_at + limits::SNAPSHOT_ASK_AGAIN;
        matches!(current.step, Step::Asked).then_some(again)
    }

    /// True if a segment may hold bodies of a snapshot that is being received.
    pub(in super::super) fn is_being_received(&self, segment: u32) -> bool {
        let current = self.receiving.current.as_ref();
        current.is_some_and(|current| segment >= current.first_segment)
    }

    /// How far the snapshot has come that this host receives, if it does.
    #[must_use]
    pub fn snapshot_progress(&self) -> Option<SnapshotProgress> {
        let current = self.receiving.current.as_ref()?;
        let header = current.header.as_deref()?;
        Some(SnapshotProgress {
            from: current.from,
            bytes: current.chunks.body_bytes,
            of: header.message_bytes,
        })
    }
}
