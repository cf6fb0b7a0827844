//! Time passes, messages arrive, and what a core wants done is done at once.

use std::time::Duration;

use bytes::Bytes;
use shoal_host::core::{self, Answer, CheckpointDone, Effect, SnapshotJobKind, StoredBody};
use shoal_replication::{Message, Record};
use shoal_storage::ReadError;
use shoal_types::{HostId, Micros, ViewNumber};

use super::{Rig, Running, Slot, WholeAnswer};

impl Rig {
    /// Lets time pass until the condition holds.
    ///
    /// # Panics
    /// After a minute of the rig's time.
    pub(crate) fn run_until(&mut self, mut done: impl FnMut(&Self) -> bool) {
        let until = self.now.mono + Duration::from_secs(60);
        while !done(self) {
            assert!(
                self.now.mono < until,
                "the condition did not come true within a minute"
            );
            self.run_for(1_000);
        }
    }

    /// Lets so many microseconds pass, in steps of a millisecond at most.
    pub(crate) fn run_for(&mut self, micros: Micros) {
        self.deliver_all();
        let mut left = micros;
        while left > 0 {
            let step = left.min(1_000);
            left -= step;
            self.now.mono.0 += step;
            self.now.wall.0 += step;
            for host in self.hosts() {
                self.turn(host);
            }
            self.deliver_all();
            self.deliver_tellings();
            self.deliver_carriages();
        }
    }

    pub(super) fn deliver_all(&mut self) {
        while let Some((from, to, message)) = self.wire.pop_front() {
            if self.cut == Some((from, to)) {
                continue;
            }
            let Some(message) = self.disturb(message) else {
                continue;
            };
            if let Some(running) = &mut self.slots.get_mut(&to).unwrap().running {
                running.begin_turn(self.now);
                running.core.on_message(from, message);
                self.turn(to);
            }
        }
    }

    /// Ends turns of a host until nothing more comes of it.
    pub(super) fn turn(&mut self, host: HostId) {
        match self.turn_unless_fatal(host) {
            Ok(Then::GoOn) => {}
            Ok(Then::Restart) => {
                self.slots.get_mut(&host).unwrap().restarts += 1;
                self.kill(host);
                self.start(host);
            }
            Err(reason) => {
                let slot = self.slots.get_mut(&host).unwrap();
                assert!(slot.may_stop, "{host} must stop: {reason}");
                slot.fatal = Some(reason);
                self.kill(host);
            }
        }
    }

    fn turn_unless_fatal(&mut self, host: HostId) -> Result<Then, String> {
        loop {
            let now = self.now;
            let Some(running) = &mut self.slots.get_mut(&host).unwrap().running else {
                return Ok(Then::GoOn);
            };
            running.begin_turn(now);
            let effects = running.core.end_turn();
            if effects.is_empty() {
                return Ok(Then::GoOn);
            }
            let mut then = Then::GoOn;
            for effect in effects {
                match effect {
                    Effect::Restart => then = Then::Restart,
                    Effect::Fatal(reason) => return Err(reason),
                    other => self.carry_out(host, other),
                }
            }
            self.slots.get_mut(&host).unwrap().note_snapshots();
            if let Then::Restart = then {
                return Ok(then);
            }
        }
    }

    fn carry_out(&mut self, host: HostId, effect: Effect) {
        let slot = self.slots.get_mut(&host).unwrap();
        let running = slot.running.as_mut().expect("it has just ended a turn");
        match effect {
            Effect::SendPeer { to, messages } => {
                self.wire
                    .extend(messages.into_iter().map(|m| (host, to, m)));
            }
            Effect::SendEntries {
                to,
                view,
                lane,
                from,
                up_to,
            } => {
                let entries = running.entries_for(to, view, lane, (from, up_to));
                self.wire.extend(entries.map(|m| (host, to, m)));
            }
            Effect::Write(batch) => running.core.on_written(batch.write().unwrap()),
            Effect::Answer { operation, answer } => match running.with_bodies(answer) {
                Ok(whole) => drop(self.answers.insert(operation, whole)),
                Err(answer) => running.core.on_unreadable(operation, answer),
            },
            Effect::ReadBodies(reads) => {
                running.core.on_bodies_read(reads.run(&running.reader));
            }
            Effect::Scrub(look) => {
                let scrubbed = look.run(&running.reader, &running.checkpoints);
                running.core.on_scrubbed(scrubbed);
            }
            Effect::PushView(..) => {}
            Effect::Carry(mut carriage) => {
                let bodies = std::mem::take(&mut carriage.bodies);
                let read = running.read_bodies(bodies);
                self.carriages.made.push((host, *carriage, read));
            }
            Effect::Tell(telling) => self.tellings.made.push((host, *telling)),
            Effect::Checkpoint(pending) => {
                let fills = slot.checkpoints_without_room > 0;
                if fills {
                    slot.disk.set_capacity(Some(0));
                }
                let done = pending.write(&running.checkpoints).unwrap();
                if fills {
                    slot.disk.set_capacity(None);
                    let found_none = matches!(done, CheckpointDone::NoSpace(_));
                    slot.checkpoints_without_room -= u32::from(found_none);
                }
                running.core.on_checkpoint(done);
            }
            // A host goes on without it.
            Effect::Upkeep(upkeep) => drop(upkeep.run()),
            Effect::Remove(removal) => removal.run().unwrap(),
            Effect::Snapshot(job) => {
                let wakes = running.core.next_wake().is_some();
                slot.wakes_at_rest |= wakes && job.kind() == SnapshotJobKind::Install;
                let came = job.run(&running.checkpoints).unwrap();
                running.core.on_snapshot_job(came);
            }
            Effect::Restart | Effect::Fatal(_) => unreachable!("the caller's"),
        }
    }
}

impl Running {
    /// Entries of a lane from the log, for a peer that asked; none if they are not there any more.
    fn entries_for(
        &mut self,
        to: HostId,
        view: ViewNumber,
        lane: HostId,
        (from, up_to): (u64, u64),
    ) -> Option<Message> {
        let read = self.reader.entries(view, lane, from, up_to, 1 << 20);
        if let Err(ReadError::NotFound { .. }) = read {
            self.core.on_not_in_log(to, view);
            return None;
        }
        let entry = |record| match Record::decode(Record::ENTRY_KIND, record).unwrap() {
            Record::Entry(entry) => entry,
            other => panic!("{other:?} is no entry"),
        };
        Some(Message::entries(read.unwrap().into_iter().map(entry)))
    }

    /// An answer with all its bodies, or as far as they could be read.
    fn with_bodies(&self, answer: Answer) -> Result<WholeAnswer, Answer> {
        let Answer { result, bodies } = answer;
        let read = |body| match body {
            StoredBody::Recent(bytes) => Ok(bytes),
            StoredBody::InLog(placed) => core::read_body(&self.reader, &placed).map_err(|_| body),
        };
        let read: Vec<Result<Bytes, StoredBody>> = bodies.into_iter().map(read).collect();
        if read.iter().all(Result::is_ok) {
            let bodies = read.into_iter().flatten().collect();
            return Ok((result, bodies));
        }
        let bodies = read.into_iter();
        let bodies = bodies.map(|body| body.map_or_else(|body| body, StoredBody::Recent));
        let bodies = bodies.collect();
        Err(Answer { result, bodies })
    }
}

impl Slot {
    fn note_snapshots(&mut self) {
        if let Some(running) = &mut self.running {
            self.snapshots.extend(running.core.take_snapshot_events());
        }
    }
}

/// How a host goes on after a turn.
enum Then {
    GoOn,
    Restart,
}
