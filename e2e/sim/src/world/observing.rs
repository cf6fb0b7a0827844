//! Noticing rare events from what can be seen: messages, executed steps, answers.

use std::collections::BTreeMap;

use shoal_replication::{Asked, Message};
use shoal_types::{
    Command, ErrorCode, HostId, HostReply, Micros, Origin, Outcome, ReceiptResult, Refusal,
    Request, RequestId, SendResult,
};

use super::World;
use super::host::Caller;
use super::passing::{self, News};
use crate::history::{Executed, StateHash, Step};
use crate::limits::MS;
use crate::sometimes::{Reached, Sometimes};
use crate::trace::Note;

/// A waiting receive that is refused after so long was not just held during a change of the view.
const HELD_AT_MOST: Micros = 450 * MS;
/// One position in so many has its whole state compared.
const FULL_HASH_EVERY: u64 = 61;

impl World {
    /// What a process executed since it was looked at last goes to the auditor.
    pub(super) fn note_steps(&mut self, id: HostId) {
        let Some(process) = &mut self.hosts.get_mut(&id).expect("one of ours").process else {
            return;
        };
        let steps = process.steps.take();
        if steps.is_empty() {
            return;
        }
        let life = process.life;
        let at = self.now;
        let mut last_command = None;
        let mut installed = None;
        for step in steps {
            match &step {
                Step::Entry(_) => process.seen.after_entry = true,
                Step::View(view, _) => {
                    process.seen.after_entry = false;
                    process.seen.view = *view;
                    let view = process.core.engine().view();
                    if view.number == process.seen.view {
                        self.reached_views
                            .note(id, view, &mut process.seen, &mut self.reached);
                        installed = Some(view.clone());
                        let note = Note::View {
                            host: id,
                            view: view.number.0,
                            writers: view.active.clone(),
                        };
                        self.trace.note(at, &note);
                    }
                }
                Step::Command(request, _, outcome) => {
                    last_command = Some(request.origin.host);
                    note_command(request, outcome, &mut self.executed_ids, &mut self.reached);
                    let machine = process.core.machine();
                    match passing::note(request, outcome, machine, &mut self.reached) {
                        Some(News::AllWentOn(way)) => {
                            self.workload.all_went_on(way.source, way.heir);
                        }
                        Some(News::Ended(way)) => {
                            self.workload.forwarding_ended(way.source, way.heir);
                        }
                        Some(News::Parcels) => self.workload.parcels_changed(),
                        None => {}
                    }
                }
                Step::Given(origin, _, deliveries) => {
                    let other = last_command.is_some_and(|host| host != origin.host);
                    if other && !deliveries.is_empty() && origin.host == id {
                        self.reached.note(Sometimes::WaiterGivenAcrossHosts);
                    }
                }
            }
            let executed = Executed {
                at,
                host: id,
                life,
                step,
            };
            self.auditor.executed(executed);
        }
        if let Some(view) = installed {
            self.note_members(&view);
            self.check_calm(view.number);
        }
        self.note_state(id);
    }

    /// The state between two entries, where the position alone says which state it has to be.
    fn note_state(&mut self, id: HostId) {
        let Some(process) = &self.hosts[&id].process else {
            return;
        };
        if !process.seen.after_entry {
            return;
        }
        let machine = process.core.machine();
        let executed = machine.executed();
        let whole = executed.ts.0.is_multiple_of(FULL_HASH_EVERY);
        let hash = StateHash {
            host: id,
            incarnation: process.core.origin().incarnation,
            executed,
            rolling: machine.state_hash(),
            full: whole.then(|| machine.full_hash()),
        };
        let note = Note::Executed {
            host: id,
            view: executed.view.0,
            ts: executed.ts.0,
            lane: executed.lane,
            hash: hash.rolling,
        };
        self.trace.note(self.now, &note);
        self.auditor.state_hash(hash);
    }

    /// What a process did for the bodies that it keeps.
    pub(super) fn note_care(&mut self, id: HostId) {
        let Some(process) = &mut self.hosts.get_mut(&id).expect("one of ours").process else {
            return;
        };
        let now = process.core.care();
        let before = std::mem::replace(&mut process.seen.care, now);
        let mut note = |more: bool, what| {
            if more {
                self.reached.note(what);
            }
        };
        note(now.moved > before.moved, Sometimes::BodyMoved);
        note(now.emptied > before.emptied, Sometimes::SegmentEmptied);
        note(
            now.damaged_segments > before.damaged_segments,
            Sometimes::SegmentDamageFound,
        );
        note(
            now.checkpoint_damage > before.checkpoint_damage,
            Sometimes::CheckpointDamageFound,
        );
        note(now.scrubs > before.scrubs, Sometimes::Scrubbed);
        note(now.repaired > before.repaired, Sometimes::BodyRepaired);
    }

    /// What one host says to another.
    pub(super) fn note_sent(&mut self, from: HostId, to: HostId, messages: &[Message]) {
        let text = self.trace.text(|| words(messages));
        let note = Note::Frame {
            from,
            to,
            messages: text,
        };
        self.trace.note(self.now, &note);
        self.summary.messages += messages.len() as u64;
        self.note_told(from, messages);
        let other = self.hosts[&to].process.as_ref();
        let their_view = other.map(|process| process.core.engine().view().number);
        let host = self.hosts.get_mut(&from).expect("one of ours");
        let slow_disk = host.disk_stalled_until > self.now || host.disk_slower > 1;
        let Some(process) = &mut host.process else {
            return;
        };
        let stalled = slow_disk && process.leave_until.is_none();
        let (seen, reached) = (&mut process.seen, &mut self.reached);
        for message in messages {
            match message {
                Message::Append(entry) if entry.lane == from => {
                    seen.appended = (entry.view, entry.index);
                }
                Message::PreVote { view, reason } => seen.pre_voted(*view, reason, reached),
                Message::Prepare { view, .. } => seen.prepared(*view, reached),
                Message::Ask { asked, view, .. } => match asked {
                    Asked::Join => seen.asked_to_join(*view, reached),
                    Asked::Leave if stalled => reached.note(Sometimes::StalledDiskAskedOut),
                    Asked::Leave => {}
                },
                Message::Fetch { view, .. } if their_view == Some(*view) => {
                    reached.note(Sometimes::ResendAfterGap);
                }
                other => note_message(other, reached),
            }
        }
    }

    /// What a host answers.
    pub(super) fn note_answer(
        &mut self,
        id: HostId,
        caller: &Caller,
        result: &Result<HostReply, Refusal>,
    ) {
        let Caller::Client {
            request,
            since,
            held,
            ..
        } = caller
        else {
            return;
        };
        match result {
            Ok(_) if *held => self.reached.note(Sometimes::HeldCommand),
            Err(refusal) if refusal.code == ErrorCode::DiskFull => {
                self.reached.note(Sometimes::RefusedDiskFull);
            }
            Err(refusal) if refusal.code == ErrorCode::NotReady => {
                let waited = matches!(
                    request.command,
                    Command::Receive {
                        wait_until: Some(_),
                        ..
                    }
                );
                let left = self.hosts[&id]
                    .process
                    .as_ref()
                    .is_some_and(|process| !process.core.engine().view().is_writer(id));
                if waited && left && self.now.0 > since.0 + HELD_AT_MOST {
                    self.reached.note(Sometimes::WaiterRefusedByView);
                }
            }
            _ => {}
        }
    }

    /// After a process ended: is there still a majority?
    pub(super) fn note_who_is_up(&mut self) {
        let members = self.members.now();
        let is_up = |id: &&HostId| self.hosts[*id].process.is_some();
        if members.iter().filter(is_up).count() <= members.len() / 2 {
            self.reached.note(Sometimes::MajorityDown);
        }
    }

    /// Hosts that are taken for dead only because their clocks are ahead.
    pub(super) fn look_at_suspicions(&mut self) {
        let far_ahead =
            |id: &HostId| self.hosts[id].clock.ahead() > 500_000 && self.hosts[id].is_alive();
        let far: Vec<HostId> = self
            .options
            .hosts
            .iter()
            .copied()
            .filter(far_ahead)
            .collect();
        if far.is_empty() {
            return;
        }
        let mut found = false;
        for host in self.hosts.values().filter(|host| host.is_alive()) {
            let Some(process) = &host.process else {
                continue;
            };
            let suspected = process.core.engine().status().suspected;
            found |= far.iter().any(|id| {
                let cut = self.network.is_cut(*id, host.id) || self.network.is_cut(host.id, *id);
                suspected.contains(id) && !cut
            });
        }
        if found {
            self.reached.note(Sometimes::ClockTooFarAhead);
        }
    }
}

/// Messages that say by themselves that something rare is going on.
fn note_message(message: &Message, reached: &mut Reached) {
    reached.note(match message {
        Message::Promise {
            accepted: Some(_), ..
        } => Sometimes::AcceptedValueAdopted,
        Message::Refused { .. } => Sometimes::BallotDuel,
        Message::Accept { ballot, .. } if ballot.round > 1 => Sometimes::SecondRound,
        Message::Fetch { .. } => Sometimes::FetchOfEarlierView,
        Message::Entries(_) => Sometimes::FetchFromMemory,
        _ => return,
    });
}

/// Requests by id: where each was executed first, and in which life of that host.
pub(super) type ExecutedIds = BTreeMap<RequestId, Origin>;

fn note_command(
    request: &Request,
    outcome: &Outcome,
    ids: &mut ExecutedIds,
    reached: &mut Reached,
) {
    if let Command::CancelWaiter { .. } = request.command {
        reached.note(Sometimes::WaiterCancelled);
    }
    if let Command::RaiseVersion { .. } = request.command {
        reached.note(Sometimes::RaiseExecuted);
    }
    if request.id.0 != 0 {
        // The same request from another host, or another life of it, is a repetition of the client's.
        let first = *ids.entry(request.id).or_insert(request.origin);
        if first != request.origin {
            reached.note(Sometimes::RetryRemembered);
            if first.host == request.origin.host && matches!(request.command, Command::Send { .. })
            {
                reached.note(Sometimes::DeduplicatedAcrossRestart);
            }
        }
    }
    match outcome {
        Outcome::Receipts(results) if matches!(request.command, Command::Acknowledge { .. }) => {
            let late =
                |r: &ReceiptResult| matches!(r, ReceiptResult::Expired | ReceiptResult::Superseded);
            if results.iter().any(late) {
                reached.note(Sometimes::LateAcknowledge);
            }
        }
        Outcome::Sent(results)
            if results
                .iter()
                .any(|r| matches!(r, SendResult::Duplicate(_))) =>
        {
            reached.note(Sometimes::Deduplicated);
        }
        Outcome::Refused(refusal) if refusal.code == ErrorCode::DeadlineExceeded => {
            reached.note(Sometimes::DeadlinePassed);
        }
        _ => {}
    }
}

/// Messages in a few words.
fn words(messages: &[Message]) -> String {
    let word = |message: &Message| match message {
        Message::Append(entry) => format!("append {}/{}@{}", entry.lane, entry.index, entry.ts),
        Message::Aside(payload) => format!("{} bytes beside the protocol", payload.len()),
        Message::Entries(entries) => format!("{} entries", entries.len()),
        Message::Heartbeat(heartbeat) => {
            format!("heartbeat {} {:?}", heartbeat.view, heartbeat.phase)
        }
        other => format!("{other:?}"),
    };
    let words: Vec<String> = messages.iter().map(word).collect();
    words.join(", ")
}
