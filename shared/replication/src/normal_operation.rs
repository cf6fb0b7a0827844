//! Normal operation: batches are appended, sent and acknowledged.

use std::sync::Arc;

use shoal_types::planted::{Bug, planted};
use shoal_types::{Now, Ts, ViewNumber};

use crate::limits::{ENTRY_BYTES_MAX, UNEXECUTED_BYTES_MAX, UNEXECUTED_ENTRIES_MAX};
use crate::timer::Timer;
use crate::{
    Announced, Engine, Entry, Heartbeat, HostPhase, Message, NotReady, Payload, Record, Ticket,
};

/// What others wait to hear from this host. It leaves at the end of the turn, once per peer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owed {
    /// More is durable here than was told: to everyone.
    pub(crate) ack: bool,
    /// These writers' entries came; they cannot execute them before they know this host's clock.
    pub(crate) clock_to: Vec<usize>,
}

impl Engine {
    /// Takes a batch of commands to be executed on every host. The ticket comes back with `Execute`,
    /// or with `Dropped`; if the host stops before either, nobody knows.
    ///
    /// # Errors
    /// If the host cannot take it now; then it was not and will not be applied.
    ///
    /// # Panics
    /// If the payload is over [`ENTRY_BYTES_MAX`].
    pub fn submit(&mut self, payload: Payload, now: Now) -> Result<Ticket, NotReady> {
        assert!(
            payload.len() <= ENTRY_BYTES_MAX,
            "a payload of {} bytes is over the limit of {ENTRY_BYTES_MAX}",
            payload.len()
        );
        self.begin_turn(now);
        self.may_submit()?;
        self.last_ticket = Ticket(self.last_ticket.0 + 1);
        let ticket = self.last_ticket;
        self.append(ticket, payload);
        self.settle();
        Ok(ticket)
    }

    /// Whether a batch would be taken now.
    pub(crate) fn may_submit(&self) -> Result<(), NotReady> {
        if !self.belongs_somewhere() {
            return Err(NotReady::NotFormed);
        }
        if self.is_outside() || self.is_removed() {
            return Err(NotReady::NotMember);
        }
        if self.leaving {
            return Err(NotReady::Leaving);
        }
        // In a view that is known to be sealed a new entry would only be cut off.
        if self.stopped || !self.acting() || self.is_behind() {
            return Err(NotReady::NotActing);
        }
        if !self.i_write() {
            return Err(NotReady::NotWriter);
        }
        if !self.hears_a_quorum() {
            return Err(NotReady::NoQuorum);
        }
        if self.clock.physical(self.now.wall).is_none() {
            return Err(NotReady::ClockUnsure);
        }
        // It keeps time by the others' clocks and gates nobody, but an operator has to know.
        if let Some(ahead) = self.clock.off_by() {
            return Err(NotReady::ClockOff { ahead });
        }
        let (entries, bytes) = self.lanes[self.me].unexecuted();
        if entries >= UNEXECUTED_ENTRIES_MAX || bytes >= UNEXECUTED_BYTES_MAX {
            return Err(NotReady::Busy);
        }
        Ok(())
    }

    /// Appends a batch to this host's own lane and sends it at once; the sync runs in parallel.
    pub(crate) fn append(&mut self, ticket: Ticket, payload: Payload) {
        assert!(
            self.acting() && self.i_write(),
            "only an acting writer appends"
        );
        let entry = Arc::new(Entry {
            view: self.view.number,
            lane: self.config.me,
            index: self.lanes[self.me].last() + 1,
            ts: self.clock.next(self.now.wall),
            payload,
        });
        self.tickets.push_back((entry.index, ticket));
        self.store(self.me, entry.clone());
        for k in self.reachable_others() {
            self.send(k, Message::Append(entry.clone()));
        }
        if let Some(k) = self.follower() {
            self.send(k, Message::Append(entry));
        }
        // Its timestamp is later than any that was received: it tells the clock as well.
        self.owed.clock_to.clear();
    }

    /// Puts the next entry of a lane into memory and the log.
    pub(crate) fn store(&mut self, lane: usize, entry: Arc<Entry>) {
        let (index, bytes) = (entry.index, entry.payload.len());
        self.clock.saw(entry.ts);
        self.clock.promised_by(lane, entry.ts);
        let number = self.persist(Record::Entry(entry.clone()));
        self.lanes[lane].push(entry, number);
        self.acks.wrote(number, lane, index, bytes, self.now.mono);
    }

    /// A new entry of the sender's lane.
    pub(crate) fn on_append(&mut self, from: usize, entry: Arc<Entry>) {
        if entry.lane != self.view.members[from] || self.is_of_other_view(from, entry.view) {
            return;
        }
        if self.suspended_for > entry.view || self.too_far_ahead(from, entry.ts) {
            return;
        }
        let lane = &self.lanes[from];
        if entry.index <= lane.last() {
            lane.check_same(&entry);
        } else if entry.index > lane.last() + 1 || !self.has_room(from) {
            self.catch_up.wants(from, from, entry.index);
        } else {
            self.store(from, entry);
            if !self.owed.clock_to.contains(&from) {
                self.owed.clock_to.push(from);
            }
        }
    }

    /// A writer's clock.
    pub(crate) fn on_announced(&mut self, from: usize, announced: Announced) {
        if self.suspended_for > self.view.number || self.too_far_ahead(from, announced.clock) {
            return;
        }
        if self.lanes[from].last() >= announced.last || planted(Bug::ClockBeyondGap) {
            self.clock.promised_by(from, announced.clock);
        } else {
            self.catch_up.wants(from, from, announced.last);
        }
    }

    /// What is durable at the sender.
    pub(crate) fn on_ack(&mut self, from: usize, view: ViewNumber, durable: &[u64]) {
        self.keep_position(from, view, durable);
        self.peers[from].acknowledged(view, durable);
        if view == self.view.number && durable.len() == self.view.members.len() {
            self.acks.acknowledged(from, durable);
        }
    }

    pub(crate) fn on_heartbeat(&mut self, from: usize, heartbeat: &Heartbeat) {
        if !self.introduces_itself(from, heartbeat) {
            return;
        }
        let peer = &mut self.peers[from];
        peer.disk_used_percent = heartbeat.disk_used_percent;
        peer.state = Some((self.view.number, heartbeat.state));
        peer.view_shown = heartbeat.view;
        peer.showed_phase(heartbeat.view, heartbeat.phase, self.now.mono);
        self.note_unheard(from, &heartbeat.unheard);
        self.clock.wall_of(from, heartbeat.wall, self.now.wall);
        let other_view = self.is_of_other_view(from, heartbeat.view);
        if heartbeat.phase == HostPhase::Acting || planted(Bug::SealedEntriesCounted) {
            self.on_ack(from, heartbeat.view, &heartbeat.durable);
            if let Some(announced) = heartbeat.announced
                && !other_view
            {
                self.on_announced(from, announced);
            }
        }
    }

    /// True, and the sender suspected, if a timestamp must not be adopted.
    pub(crate) fn too_far_ahead(&mut self, from: usize, ts: Ts) -> bool {
        let agreed = self.agreed_time();
        let far = self.clock.too_far_ahead(ts, self.now.wall, agreed);
        if far {
            let until = self.after(self.config.timings.silence_max);
            self.peers[from].skewed_until = until;
        }
        far
    }

    /// Sends acknowledgements and clocks that this turn made due.
    pub(crate) fn pay_what_is_owed(&mut self) {
        let ack = std::mem::take(&mut self.owed.ack);
        let clock_to = std::mem::take(&mut self.owed.clock_to);
        if !self.acting() {
            return;
        }
        let view = self.view.number;
        let announced = self.announce();
        if ack {
            let durable = self.acknowledged();
            for k in self.reachable_others() {
                let durable = durable.clone();
                let message = Message::Ack {
                    view,
                    announced,
                    durable,
                };
                self.send(k, message);
            }
        } else if let Some(announced) = announced {
            for k in clock_to {
                self.send(k, Message::Clock { view, announced });
            }
        }
    }

    /// What of each lane this host tells to have on disk.
    fn acknowledged(&self) -> Vec<u64> {
        if planted(Bug::AckBeforeSync) {
            return self.held();
        }
        self.acks.own().to_vec()
    }

    /// This host's clock for the others, if it is an acting writer.
    fn announce(&mut self) -> Option<Announced> {
        if !self.acting() || !self.i_write() {
            return None;
        }
        self.clock.follow(self.now.wall);
        Some(Announced {
            clock: self.clock.value(),
            last: self.lanes[self.me].last(),
        })
    }

    pub(crate) fn heartbeat_everyone(&mut self) {
        self.told_unheard = self.unheard().collect();
        for k in self.everyone_known() {
            if self.peers[k].reachable() {
                self.heartbeat(k);
                self.remind_of_members(k);
            }
        }
        if self.belongs_somewhere() {
            let next = self.after(self.config.timings.heartbeat);
            self.timers.set(Timer::Heartbeat, next);
        }
    }

    pub(crate) fn heartbeat(&mut self, to: usize) {
        let heartbeat = Heartbeat {
            view: self.view.number,
            incarnation: self.incarnation,
            life: self.config.seed,
            phase: self.phase(),
            announced: self.announce(),
            unheard: self.unheard().collect(),
            durable: self.acknowledged(),
            wall: self.now.wall,
            disk_used_percent: self.disk_used_percent,
            state: self.state,
        };
        self.send(to, Message::Heartbeat(heartbeat));
    }
}
