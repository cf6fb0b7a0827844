//! A host's process: turns of its core, and carrying out what comes of them, as the host's own driver
//! does.

use shoal_host::core::Effect;
use shoal_replication::limits::ENTRIES_BYTES_MAX;
use shoal_replication::{Message, Record};
use shoal_storage::ReadError;
use shoal_types::{HostId, Now, ViewNumber};

use super::host::{Caller, Input, Process};
use super::jobs::Job;
use super::{Event, World, clients, contained};
use crate::checkers::Checker;
use crate::history::SimTime;
use crate::limits::{CATCH_UP_READS_MAX, INPUTS_PER_TURN, LEAVE_PATIENCE, MS};
use crate::sometimes::Sometimes;
use crate::trace::Note;

/// What one turn came to.
enum Turned {
    Effects(Vec<Effect>),
    /// The process stops at once; nothing of this turn goes out.
    Failed(String),
}

/// Entries that a peer lacks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) view: ViewNumber,
    pub(super) lane: HostId,
    pub(super) from: u64,
    pub(super) up_to: u64,
}

impl World {
    /// Something happens to a process, if there is one. It takes notice in its next turn.
    pub(super) fn give(&mut self, id: HostId, input: Input) {
        let host = self.hosts.get_mut(&id).expect("one of ours");
        let Some(process) = &mut host.process else {
            return;
        };
        process.inbox.push_back(input);
        if !process.turn_planned {
            process.turn_planned = true;
            let takes = host.turn_longer + self.process_random.below(40) + 5;
            let life = process.life;
            let at = SimTime(self.now.0 + takes);
            self.schedule.at(at, Event::Turn { host: id, life });
        }
    }

    /// A timer of the process is due.
    pub(super) fn wake(&mut self, id: HostId, life: u64) {
        let now = self.now;
        let host = self.hosts.get_mut(&id).expect("one of ours");
        if let Some(process) = host.life(life)
            && process.wake_planned.is_some_and(|at| at <= now)
        {
            process.wake_planned = None;
            if !process.turn_planned {
                self.turn(id, life);
            }
        }
    }

    /// The process takes what came in, and acts.
    pub(super) fn turn(&mut self, id: HostId, life: u64) {
        let at = self.now;
        let host = self.hosts.get_mut(&id).expect("one of ours");
        let Some(process) = host.process.as_mut().filter(|process| process.life == life) else {
            return;
        };
        process.turn_planned = false;
        let now = process.clock.read(&host.clock, at);
        let count = process.inbox.len().min(INPUTS_PER_TURN);
        let turned = contained(|| take_turn(process, now, at, count));
        self.summary.turns += 1;
        self.note_steps(id);
        self.note_snapshots(id);
        self.note_care(id);
        self.connect(id);
        match turned {
            Err(panic) => return self.process_panicked(id, &panic),
            Ok(Turned::Failed(why)) => return self.process_failed(id, &why),
            Ok(Turned::Effects(effects)) => {
                let note = Note::Turn {
                    host: id,
                    inputs: count,
                    effects: effects.len(),
                };
                self.trace.note(self.now, &note);
                for effect in effects {
                    if self.hosts[&id].process.is_none() {
                        // It ended at an effect before: the rest of its turn comes to nothing.
                        break;
                    }
                    self.carry_out(id, effect);
                }
            }
        }
        self.plan_next(id);
    }

    fn plan_next(&mut self, id: HostId) {
        let now = self.now;
        let host = self.hosts.get_mut(&id).expect("one of ours");
        let Some(process) = &mut host.process else {
            return;
        };
        let life = process.life;
        if let Some(until) = process.leave_until {
            let engine = process.core.engine();
            let sealed_out = engine.is_sealed_out() || engine.spec().is_none();
            if sealed_out || now >= until {
                let how = if sealed_out {
                    Sometimes::LeftSealedOut
                } else {
                    Sometimes::LeftImpatient
                };
                self.reached.note(how);
                return self.process_left(id);
            }
        }
        if !process.inbox.is_empty() && !process.turn_planned {
            process.turn_planned = true;
            self.schedule
                .at(SimTime(now.0 + 5), Event::Turn { host: id, life });
        }
        let shown = process.clock.read(&host.clock, now).mono;
        let due = process.core.next_wake().map(|due| {
            let late = self.process_random.below(MS) / 2;
            let longer = host.turn_longer;
            SimTime(now.0 + host.clock.time_for(due.since(shown)).max(1) + late + longer)
        });
        let due = due.into_iter().chain(process.leave_until).min();
        if let Some(due) = due
            && process.wake_planned.is_none_or(|planned| due < planned)
        {
            process.wake_planned = Some(due);
            self.schedule.at(due, Event::Wake { host: id, life });
        }
    }

    fn carry_out(&mut self, id: HostId, effect: Effect) {
        match effect {
            Effect::SendPeer { to, messages } => self.send(id, to, messages),
            Effect::SendEntries {
                to,
                view,
                lane,
                from,
                up_to,
            } => {
                let wanted = Wanted {
                    view,
                    lane,
                    from,
                    up_to,
                };
                self.read_entries(id, to, wanted);
            }
            Effect::Write(batch) => self.start_job(id, Job::Write(batch)),
            Effect::Answer { operation, answer } => self.answer(id, operation, answer),
            Effect::ReadBodies(reads) => self.read_bodies(id, reads),
            Effect::Scrub(look) => self.start_job(id, Job::Scrub(look)),
            Effect::PushView(_, view) => {
                if self.hosts[&id].client_cuts == 0 {
                    let takes = self.network.any(clients::PUSH_SPREAD);
                    let at = SimTime(self.now.0 + takes);
                    self.schedule.at(
                        at,
                        Event::ViewTold {
                            view: Box::new(view),
                        },
                    );
                }
            }
            Effect::Tell(telling) => self.tell_successor(id, *telling),
            Effect::Carry(carriage) => self.carry(id, *carriage),
            Effect::Checkpoint(pending) => self.start_job(id, Job::Checkpoint(pending)),
            Effect::Upkeep(upkeep) => self.start_job(id, Job::Upkeep(upkeep)),
            Effect::Remove(removal) => self.start_job(id, Job::Remove(removal)),
            Effect::Snapshot(job) => self.start_job(id, Job::Snapshot(job)),
            Effect::Restart => {
                if let Some(process) = &mut self.host(id).process {
                    process.restarts = true;
                }
                self.go_on_from_snapshot(id);
            }
            Effect::Fatal(reason) => self.process_fatal(id, &reason),
        }
    }

    /// Entries are read beside the turns; with too many reads under way the peer has to ask again.
    fn read_entries(&mut self, id: HostId, to: HostId, wanted: Wanted) {
        let Some(process) = &mut self.hosts.get_mut(&id).expect("one of ours").process else {
            return;
        };
        if process.catch_up_reads >= CATCH_UP_READS_MAX {
            return;
        }
        process.catch_up_reads += 1;
        let life = process.life;
        let takes =
            self.disk_random.below(self.options.disk.sync + 1) * self.hosts[&id].disk_slower;
        let begins = self.now.max(self.hosts[&id].disk_stalled_until);
        let event = Event::EntriesRead {
            host: id,
            life,
            to,
            wanted,
        };
        self.schedule.at(SimTime(begins.0 + takes), event);
    }

    pub(super) fn entries_read(&mut self, id: HostId, life: u64, to: HostId, wanted: Wanted) {
        let Some(process) = self.hosts.get_mut(&id).expect("one of ours").life(life) else {
            return;
        };
        process.catch_up_reads -= 1;
        match entries(process, wanted) {
            Ok(message) => {
                self.reached.note(Sometimes::FetchFromLog);
                self.give(id, Input::EntriesRead(to, message));
            }
            Err(NotRead::NotThere) => self.give(id, Input::NotInLog(to, wanted.view)),
            Err(NotRead::Failed) => self.reached.note(Sometimes::FetchFailed),
        }
    }

    pub(super) fn violation(&mut self, checker: Checker, what: String) {
        self.trace.note(self.now, &Note::Violation(what.clone()));
        if self.checkers.has(checker) {
            let at = self.now;
            self.violations
                .push(crate::checkers::Violation { checker, at, what });
        }
    }
}

fn take_turn(process: &mut Process, now: Now, at: SimTime, count: usize) -> Turned {
    process.core.begin_turn(now);
    let mut read = Vec::new();
    for _ in 0..count {
        let input = process.inbox.pop_front().expect("counted by the caller");
        match input {
            Input::Call {
                operation,
                caller,
                request,
                bodies,
            } => {
                process.callers.insert(operation, caller);
                process.core.on_call(operation, *request, bodies);
            }
            Input::Cancel(call) => {
                let is_it = |caller: &Caller| matches!(caller, Caller::Client { call: c, .. } if *c == call);
                let found = process.callers.iter().find(|(_, caller)| is_it(caller));
                if let Some(operation) = found.map(|(operation, _)| *operation) {
                    process.callers.remove(&operation);
                    process.core.on_cancel(operation);
                }
            }
            Input::Unreadable {
                operation,
                caller,
                answer,
            } => {
                process.callers.insert(operation, caller);
                process.core.on_unreadable(operation, *answer);
            }
            Input::Scrubbed(scrubbed) => process.core.on_scrubbed(scrubbed),
            Input::BodiesRead(read) => process.core.on_bodies_read(read),
            Input::Link(peer, event) => process.core.on_link(peer, event),
            Input::Frame { from, messages } => {
                for message in messages {
                    process.core.on_message(from, message);
                }
            }
            Input::Written(done) => process.core.on_written(done),
            Input::Checkpoint(done) => process.core.on_checkpoint(done),
            Input::Snapshot(done) => process.core.on_snapshot_job(done),
            Input::EntriesRead(to, message) => read.push(Effect::SendPeer {
                to,
                messages: vec![message],
            }),
            Input::NotInLog(to, view) => process.core.on_not_in_log(to, view),
            Input::Told(told) => process.core.on_told(told),
            Input::Carried(carried) => process.core.on_carried(carried),
            Input::Failed(why) => return Turned::Failed(why),
            Input::Leave => {
                process.leave_until = Some(SimTime(at.0 + LEAVE_PATIENCE));
                process.core.leave();
            }
        }
    }
    read.extend(process.core.end_turn());
    Turned::Effects(read)
}

/// Why entries were not read.
enum NotRead {
    /// The log does not hold them.
    NotThere,
    /// They may be there.
    Failed,
}

fn entries(process: &Process, wanted: Wanted) -> Result<Message, NotRead> {
    let Wanted {
        view,
        lane,
        from,
        up_to,
    } = wanted;
    let records = process
        .reader
        .entries(view, lane, from, up_to, ENTRIES_BYTES_MAX)
        .map_err(|error| match error {
            ReadError::NotFound { .. } => NotRead::NotThere,
            _ => NotRead::Failed,
        })?;
    let decode = |record| match Record::decode(Record::ENTRY_KIND, record) {
        Ok(Record::Entry(entry)) => Ok(entry),
        _ => Err(NotRead::Failed),
    };
    let entries: Result<Vec<_>, NotRead> = records.into_iter().map(decode).collect();
    Ok(Message::entries(entries?))
}
