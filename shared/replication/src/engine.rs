//! The engine: one host's part in its cluster. This file is its surface and the frame of every turn;
//! each concern has a file of its own.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use shoal_types::planted::{Bug, planted};
use shoal_types::{ClusterSpec, HostId, Incarnation, Mono, Now, Position, Ts, ViewNumber};

use crate::acceptor::Acceptor;
use crate::acknowledgement::Acknowledgements;
use crate::attempt::Attempts;
use crate::catch_up::CatchUp;
use crate::clock::Clock;
use crate::jitter::Jitter;
use crate::lane::Lane;
use crate::membership::Membership;
use crate::normal_operation::Owed;
use crate::peer::Peer;
use crate::record_numbers::RecordNumbers;
use crate::timer::{Timer, Timers};
use crate::view_change::Proposal;
use crate::windowed_max::WindowedMax;
use crate::{
    EngineCheckpoint, EngineConfig, Forgotten, HostPhase, LinkEvent, Message, NeededFrom, Output,
    Record, RecordNumber, StateReport, Ticket, View,
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
/// - **Commands**: [`Engine::form`], [`Engine::learn`], [`Engine::change_members`], [`Engine::submit`],
///   [`Engine::leave`], [`Engine::set_disk_level`], [`Engine::set_state_report`].
/// - **Outputs**: after any of these, [`Engine::poll_output`] until it gives `None`, carrying each out
///   in order, then [`Engine::next_timeout`]. Inputs that are at hand together may be given together
///   before polling: acknowledgements and clocks of one turn then leave in one message per peer.
///
/// `now` never goes back; its monotonic part drives the timers, its wall part the timestamps.
///
/// A panic here means that two hosts contradict each other or the driver broke its contract: the
/// process must end, nothing may be answered any more.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) config: EngineConfig,
    pub(crate) now: Now,
    pub(crate) jitter: Jitter,
    pub(crate) timers: Timers,
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) records: RecordNumbers,
    /// Set once the host must stop; nothing is done any more.
    pub(crate) stopped: bool,
    /// Why it must.
    pub(crate) forgotten: Option<Forgotten>,

    /// Which life of the process this is, and the record that says so: until it is durable nobody
    /// hears of this life.
    pub(crate) incarnation: Incarnation,
    pub(crate) incarnation_record: RecordNumber,

    /// The cluster this host belongs to, as of its view.
    pub(crate) spec: Option<ClusterSpec>,
    /// Who is about to become a member or stopped being one.
    pub(crate) membership: Membership,
    /// The view installed last; number 0 and no members if there is none.
    pub(crate) view: View,
    /// When it was installed.
    pub(crate) view_since: Mono,
    /// This host's slot: its place among the members, or beyond them if it is none.
    pub(crate) me: usize,
    /// It, and those before it that a member may still ask for.
    pub(crate) views: BTreeMap<ViewNumber, View>,
    /// Some before those, for newcomers.
    pub(crate) past_views: BTreeMap<ViewNumber, View>,
    /// The latest view in which each host acted, as far as an earlier life of this one knew.
    pub(crate) shown_before: BTreeMap<HostId, ViewNumber>,
    /// Hosts for which nothing is kept any more.
    pub(crate) let_behind: Vec<HostId>,
    /// Everything from here on is kept for a host that is being given the state.
    pub(crate) kept_from: Option<NeededFrom>,
    /// The members, aligned with them, then hosts outside that this one talks with (this host's own
    /// slot is unused).
    pub(crate) peers: Vec<Peer>,

    /// The lanes of the view, aligned with its members.
    pub(crate) lanes: Vec<Lane>,
    pub(crate) clock: Clock,
    pub(crate) acks: Acknowledgements,
    /// The entry executed last.
    pub(crate) executed: Position,
    /// The state that all of it made is lost: see [`Engine::lose_state`].
    pub(crate) state_lost: bool,

    /// This life never acts in views up to here: an earlier one may have.
    pub(crate) barred_through: ViewNumber,
    /// This host takes part in deciding this view and is suspended until it is installed.
    pub(crate) suspended_for: ViewNumber,
    /// The host acts only once this record, which completes its view, is durable.
    pub(crate) act_after: RecordNumber,
    /// The view in which this host has begun to act.
    pub(crate) acts_in: ViewNumber,

    pub(crate) owed: Owed,
    /// Whom this host does not hear, as everybody was told last.
    pub(crate) told_unheard: Vec<HostId>,
    pub(crate) last_ticket: Ticket,
    /// Own batches in the lane of the current view that are not executed, by index.
    pub(crate) tickets: VecDeque<(u64, Ticket)>,

    pub(crate) acceptor: Acceptor,
    pub(crate) attempts: Attempts,
    pub(crate) proposal: Option<Proposal>,
    pub(crate) catch_up: CatchUp,
    pub(crate) leaving: bool,
    /// Since when this host asks to be let in or out of this view.
    pub(crate) asking_since: Option<Mono>,
    pub(crate) disk_used_percent: u8,
    /// What the driver says of the executed state.
    pub(crate) state: StateReport,
    /// The recent times from writing a record to its being durable.
    pub(crate) syncs: WindowedMax,
}

impl Engine {
    /// An engine that knows what the checkpoint says.
    #[must_use]
    pub fn new(config: EngineConfig, checkpoint: Option<EngineCheckpoint>, now: Now) -> Self {
        let mut engine = Self {
            now,
            jitter: Jitter::new(config.seed, config.me.0),
            config,
            timers: Timers::default(),
            outputs: VecDeque::new(),
            records: RecordNumbers::default(),
            stopped: false,
            forgotten: None,
            incarnation: Incarnation(0),
            incarnation_record: RecordNumber(0),
            spec: None,
            membership: Membership::default(),
            view: View::default(),
            view_since: now.mono,
            me: 0,
            views: BTreeMap::new(),
            past_views: BTreeMap::new(),
            shown_before: BTreeMap::new(),
            let_behind: Vec::new(),
            kept_from: None,
            peers: Vec::new(),
            lanes: Vec::new(),
            clock: Clock::default(),
            acks: Acknowledgements::default(),
            executed: Position::ZERO,
            state_lost: false,
            barred_through: ViewNumber::NOT_FORMED,
            suspended_for: ViewNumber::NOT_FORMED,
            act_after: RecordNumber(0),
            acts_in: ViewNumber::NOT_FORMED,
            owed: Owed::default(),
            told_unheard: Vec::new(),
            last_ticket: Ticket(0),
            tickets: VecDeque::new(),
            acceptor: Acceptor::default(),
            attempts: Attempts::default(),
            proposal: None,
            catch_up: CatchUp::default(),
            leaving: false,
            asking_since: None,
            disk_used_percent: 0,
            state: StateReport::default(),
            syncs: WindowedMax::default(),
        };
        if let Some(checkpoint) = checkpoint {
            engine.restore(checkpoint);
        }
        engine
    }

    /// Which life of the process this is; valid once started.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// A message came. `from` is who the handshake proved it to be.
    pub fn handle_message(&mut self, from: HostId, message: Message, now: Now) {
        self.begin_turn(now);
        if self.stopped || from == self.config.me {
            return;
        }
        if self.is_removed() {
            return self.hear_after_removal(from, &message);
        }
        match self.slot_of(from) {
            Some(from) => {
                if self.peers[from].refused.is_none() {
                    self.peers[from].heard(now.mono);
                }
                self.receive(from, message);
            }
            None => self.receive_from_stranger(from, message),
        }
        self.settle();
    }

    /// All records up to this number are durable.
    pub fn handle_persisted(&mut self, up_to: RecordNumber, now: Now) {
        self.begin_turn(now);
        if self.stopped {
            return;
        }
        if let Some(since) = self.acks.oldest_unsynced() {
            self.syncs.add(now.mono.since(since));
        }
        let was_silent = self.is_silent();
        self.records.now_durable(up_to);
        if self.is_removed() {
            return;
        }
        if self.acks.synced(up_to) {
            self.owed.ack = true;
        }
        if was_silent && !self.is_silent() {
            self.heartbeat_everyone();
        }
        self.release_deferred();
        self.settle();
    }

    /// A link to another member changed.
    pub fn handle_link(&mut self, peer: HostId, event: LinkEvent, now: Now) {
        self.begin_turn(now);
        if self.stopped || peer == self.config.me {
            return;
        }
        if self.is_removed() {
            return self.hand_view_to(peer);
        }
        if let LinkEvent::Up { .. } = event {
            self.tell_members(peer);
        }
        let Some(slot) = self.slot_of(peer) else {
            return;
        };
        self.peers[slot].link_changed(event, now.mono);
        self.judge_link(slot, event);
        if let LinkEvent::Up { incarnation, .. } = event {
            self.showed_incarnation(slot, incarnation);
            // What was sent before may be lost: indices are exchanged at once.
            self.heartbeat(slot);
            self.catch_up.ask_again_now();
        }
        self.settle();
    }

    /// The time of `next_timeout` has come (or not yet: then nothing happens).
    pub fn handle_timeout(&mut self, now: Now) {
        self.excuse_own_pause(now.mono);
        self.begin_turn(now);
        if self.stopped {
            return;
        }
        if self.is_removed() {
            self.timers = Timers::default();
            return self.hand_view_on();
        }
        for timer in Timer::ALL {
            if !self.timers.expired(timer, now.mono) {
                continue;
            }
            match timer {
                Timer::Heartbeat => self.heartbeat_everyone(),
                // Looked at in every turn anyway.
                Timer::Suspicion | Timer::Attempt => {}
                Timer::PreVote => self.pre_vote_failed(),
                Timer::Proposal => self.push_proposal(),
                Timer::Fetch => self.fetch_elsewhere(),
                Timer::Ask => self.ask(),
                Timer::Change => self.push_change(),
            }
        }
        self.settle();
    }

    /// How full this host's data volume is, in percent; told to the others.
    pub fn set_disk_level(&mut self, percent: u8) {
        self.disk_used_percent = percent;
    }

    /// The fullest data volume among the members that can be heard, in percent.
    #[must_use]
    pub fn fullest_disk(&self) -> u8 {
        let heard = self.others().filter(|&k| !self.suspects(k));
        let levels = heard.map(|k| self.peers[k].disk_used_percent);
        levels.max().unwrap_or(0).max(self.disk_used_percent)
    }

    /// Asks to be sealed out, before a stop: [`crate::Status::sealed_out`] tells when it is done. From
    /// now on `submit` is refused. May not come about (no quorum, a single host): wait with a limit.
    pub fn leave(&mut self, now: Now) {
        self.begin_turn(now);
        self.leaving = true;
        self.settle();
    }

    /// True once `leave` was called.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// The next thing to do, if any.
    pub fn poll_output(&mut self) -> Option<Output> {
        if self.outputs.is_empty() && !self.stopped {
            self.pay_what_is_owed();
        }
        self.outputs.pop_front()
    }

    /// When to call `handle_timeout`, if nothing happens before.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Mono> {
        (!self.stopped).then(|| self.timers.next_timeout())?
    }

    // ---- the frame of every turn ----

    pub(crate) fn begin_turn(&mut self, now: Now) {
        assert!(
            now.mono >= self.now.mono,
            "monotonic time goes back from {:?} to {:?}",
            self.now.mono,
            now.mono
        );
        self.clock.own_wall_moved(self.now, now);
        self.now = now;
    }

    /// What any input may have made possible.
    pub(crate) fn settle(&mut self) {
        if !self.belongs_somewhere() || self.is_silent() || self.stopped || self.is_removed() {
            return;
        }
        if self.is_outside() {
            return self.follow();
        }
        self.begin_acting();
        self.execute();
        self.release_memory();
        self.continue_interrupted();
        self.fetch_what_is_missing();
        self.answer_kept_pre_votes();
        self.ask_if_needed();
        self.tell_whom_it_misses();
        self.consider_changing_the_view();
        self.watch_for_silence();
    }

    // ---- small words that the other files speak in ----

    /// Nothing is sent before this life's number is durable: it must never be used again.
    pub(crate) fn is_silent(&self) -> bool {
        self.records.durable() < self.incarnation_record || self.incarnation_record.0 == 0
    }

    pub(crate) fn persist(&mut self, record: Record) -> RecordNumber {
        let number = self.records.take();
        self.outputs.push_back(Output::Persist { number, record });
        number
    }

    pub(crate) fn send(&mut self, slot: usize, message: Message) {
        if slot == self.me || self.is_silent() || self.is_removed() {
            return;
        }
        let to = self.host_at(slot);
        self.outputs.push_back(Output::Send { to, message });
    }

    /// Sends once a record is durable.
    pub(crate) fn send_after(&mut self, after: RecordNumber, slot: usize, message: Message) {
        if after <= self.records.durable() {
            return self.send(slot, message);
        }
        if self.is_removed() {
            return;
        }
        let to = self.host_at(slot);
        self.outputs
            .push_back(Output::SendAfterPersisted { after, to, message });
    }

    /// The other members' slots.
    pub(crate) fn others(&self) -> impl Iterator<Item = usize> + use<> {
        let me = self.me;
        (0..self.view.members.len()).filter(move |&k| k != me)
    }

    /// The slots of those members to whom sending makes sense.
    pub(crate) fn reachable_others(&self) -> Vec<usize> {
        let others = self.others();
        others.filter(|&k| self.peers[k].reachable()).collect()
    }

    /// The other writers' slots.
    pub(crate) fn other_writers(&self) -> Vec<usize> {
        let others = self.others();
        others
            .filter(|&k| self.view.is_writer(self.view.members[k]))
            .collect()
    }

    pub(crate) fn i_write(&self) -> bool {
        self.view.is_writer(self.config.me)
    }

    /// What this host does in its view.
    pub(crate) fn phase(&self) -> HostPhase {
        if self.is_outside() {
            return self.phase_outside();
        }
        // A view that counts on an earlier life of this host must not be served by this one.
        let meant = self.view.incarnation_of(self.config.me);
        let barred =
            self.view.number <= self.barred_through || meant.is_some_and(|i| i != self.incarnation);
        if (barred && !planted(Bug::ActsAfterRestart)) || self.state_lost || self.is_removed() {
            HostPhase::Barred
        } else if self.suspended_for > self.view.number {
            HostPhase::Suspended
        } else if self.records.durable() < self.act_after && !planted(Bug::ActsBeforeViewIsDurable)
        {
            HostPhase::Entering
        } else {
            HostPhase::Acting
        }
    }

    pub(crate) fn acting(&self) -> bool {
        self.view.number > ViewNumber::NOT_FORMED && self.phase() == HostPhase::Acting
    }

    /// How much of each lane is here.
    pub(crate) fn held(&self) -> Vec<u64> {
        self.lanes.iter().map(Lane::last).collect()
    }

    /// True if every entry up to these ends is here.
    pub(crate) fn holds(&self, ends: &[u64]) -> bool {
        assert!(
            ends.len() == self.lanes.len(),
            "a seal names {} lanes, the view has {}",
            ends.len(),
            self.lanes.len()
        );
        let lanes = self.lanes.iter().zip(ends);
        lanes.clone().all(|(lane, end)| lane.last() >= *end)
    }

    /// The latest timestamp that a quorum stands behind.
    pub(crate) fn agreed_time(&self) -> Ts {
        self.executed.ts.max(self.view.start)
    }

    /// Least distance between attempts and repetitions of a view change.
    pub(crate) fn step(&self) -> Duration {
        let slow_sync = Duration::from_micros(self.syncs.get().saturating_mul(4));
        let timings = &self.config.timings;
        slow_sync.clamp(timings.step_min, timings.silence_min)
    }

    pub(crate) fn after(&self, wait: Duration) -> Mono {
        self.now.mono + wait
    }
}
