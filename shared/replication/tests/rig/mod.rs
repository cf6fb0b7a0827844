//! A cluster of engines in simulated time: network, disks, crashes and clocks are plain fields and
//! methods. Every record and message goes through its encoding. The rig checks with each executed
//! entry that all hosts execute the same in the same order.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its part of the rig"
)]

mod disk;
mod driver;
mod faults;
mod history;
mod random;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use shoal_replication::{
    Engine, Forgotten, LinkEvent, Message, NotReady, Payload, RecordNumber, Standing, Status,
    Ticket, Timings, decode_messages,
};
use shoal_types::{
    ClusterId, ClusterMember, ClusterSpec, HostId, Incarnation, Mono, Now, Revision, Ts,
    WireVersion,
};

pub use disk::Disk;
pub use history::{Command, History};
pub use random::Random;

/// Microseconds.
pub type Us = u64;
pub const MS: Us = 1_000;
pub const SECOND: Us = 1_000_000;

/// Wall time when the simulation starts.
const EPOCH: u64 = 1_700_000_000_000_000;

pub struct Rig {
    pub now: Us,
    /// One way, between any two hosts.
    pub latency: Us,
    /// Added at random, up to this. Messages on one link overtake each other if `reorder`.
    pub latency_jitter: Us,
    pub reorder: bool,
    /// Per thousand frames.
    pub loss: u64,
    pub duplication: u64,
    /// (from, to) pairs that lose everything, without anyone being told.
    pub cut: BTreeSet<(usize, usize)>,
    pub hosts: Vec<Host>,
    pub history: History,
    pub random: Random,
    pub timings: Timings,
    pub trace: bool,
    /// Frames sent, by sender.
    pub frames: Vec<u64>,
    /// Fetches answered from a log.
    pub logs_read: u64,
    events: BTreeMap<(Us, u64), Event>,
    sequence: u64,
    last_arrival: BTreeMap<(usize, usize), Us>,
    pub seed: u64,
    pub spec: ClusterSpec,
}

pub struct Host {
    pub id: HostId,
    /// None while the process is down.
    pub engine: Option<Engine>,
    pub disk: Disk,
    /// How long a sync takes.
    pub sync_latency: Us,
    /// Its wall clock is so far off.
    pub skew: i64,
    /// Executed, in order: positions in the history.
    pub executed: usize,
    /// Own batches that wait, by ticket.
    pub waiting: BTreeMap<Ticket, Command>,
    pub dropped: Vec<Command>,
    pub forgotten: Option<Forgotten>,
    /// Its disk was replaced by an earlier copy, or by an empty one.
    set_back: bool,
    /// Messages that wait for a record.
    after_persisted: Vec<(RecordNumber, usize, Message)>,
    /// Frozen: up, but does nothing until then.
    pub paused_until: Us,
    /// Which start this is; events of earlier ones are void.
    start: u64,
    /// The life that others may see; 0 until it is durable.
    shown: Incarnation,
    /// Whom it dials, as its engine said when its neighbours had this version.
    links: BTreeSet<usize>,
    dialled: Option<u64>,
    /// It knows that it was removed.
    removed: bool,
}

/// A host as lists of members name it.
pub fn member(h: usize) -> ClusterMember {
    ClusterMember {
        host: HostId(h as u64 + 1),
        address: format!("h{h}:9"),
    }
}

#[derive(Clone)]
enum Event {
    Deliver {
        from: usize,
        to: usize,
        frame: Bytes,
    },
    Synced {
        host: usize,
        start: u64,
        up_to: usize,
    },
    Link {
        host: usize,
        peer: usize,
        event: LinkEvent,
    },
}

impl Rig {
    /// Hosts that are up and formed into a cluster.
    pub fn formed(hosts: usize) -> Self {
        let mut rig = Self::unformed(hosts, 1, Timings::default());
        for h in 0..hosts {
            rig.form(h);
        }
        rig
    }

    pub fn unformed(hosts: usize, seed: u64, timings: Timings) -> Self {
        Self::with_spares(hosts, 0, seed, timings)
    }

    /// Hosts that are up; the first of them are to be formed into a cluster.
    pub fn with_spares(members: usize, spares: usize, seed: u64, timings: Timings) -> Self {
        let hosts = members + spares;
        let spec = ClusterSpec {
            cluster: ClusterId(7),
            members: (0..members).map(member).collect(),
            revision: Revision(1),
            only: None,
        };
        let host = |h: usize| Host {
            id: member(h).host,
            engine: None,
            disk: Disk::default(),
            sync_latency: 100,
            skew: 0,
            executed: 0,
            waiting: BTreeMap::new(),
            dropped: Vec::new(),
            forgotten: None,
            set_back: false,
            after_persisted: Vec::new(),
            paused_until: 0,
            start: 0,
            shown: Incarnation(0),
            links: BTreeSet::new(),
            dialled: None,
            removed: false,
        };
        let mut rig = Self {
            now: 0,
            latency: 40,
            latency_jitter: 0,
            reorder: false,
            loss: 0,
            duplication: 0,
            cut: BTreeSet::new(),
            hosts: (0..hosts).map(host).collect(),
            history: History::default(),
            random: Random::new(seed),
            timings,
            trace: std::env::var_os("SHOAL_TRACE").is_some(),
            frames: vec![0; hosts],
            logs_read: 0,
            events: BTreeMap::new(),
            sequence: 0,
            last_arrival: BTreeMap::new(),
            seed,
            spec,
        };
        for h in 0..hosts {
            rig.start(h);
        }
        rig
    }

    // ---- commands ----

    /// A client sends a command to a host.
    pub fn submit(&mut self, h: usize) -> Result<Command, NotReady> {
        let command = self.history.new_command();
        self.resubmit(h, command)?;
        Ok(command)
    }

    /// A command is sent (again) to a host.
    pub fn resubmit(&mut self, h: usize, command: Command) -> Result<(), NotReady> {
        self.submit_payload(h, command, Payload::from(command.to_bytes()))
    }

    pub fn submit_payload(
        &mut self,
        h: usize,
        command: Command,
        payload: Payload,
    ) -> Result<(), NotReady> {
        let now = self.now_of(h);
        let ticket = self.engine(h).submit(payload, now)?;
        self.hosts[h].waiting.insert(ticket, command);
        self.after_input(h);
        Ok(())
    }

    /// Submits and runs until it is answered; how long that took.
    pub fn round(&mut self, h: usize) -> Us {
        let (start, command) = (self.now, self.submit(h).expect("the host takes commands"));
        self.run_until(10 * SECOND, |rig| {
            rig.history.answered_at(command).is_some()
        });
        self.history.answered_at(command).unwrap() - start
    }

    // ---- time ----

    pub fn run_for(&mut self, how_long: Us) {
        let end = self.now + how_long;
        while self.step(end) {}
        self.now = end;
    }

    /// Runs until the condition holds; panics with the state of all hosts if it does not in time.
    pub fn run_until(&mut self, limit: Us, mut condition: impl FnMut(&Self) -> bool) {
        let end = self.now + limit;
        while !condition(self) {
            assert!(self.step(end), "did not come about: {}", self.describe());
        }
    }

    /// Jumps to the next event, if it is before `end`.
    pub fn step(&mut self, end: Us) -> bool {
        let event = self.events.keys().next().map(|(at, _)| *at);
        let timeout = (0..self.hosts.len()).filter_map(|h| Some((self.timeout_of(h)?, h)));
        let timeout = timeout.min();
        let next = event.into_iter().chain(timeout.map(|(at, _)| at)).min();
        let Some(next) = next.filter(|at| *at <= end) else {
            return false;
        };
        self.now = self.now.max(next);
        if event == Some(next) {
            let (_, event) = self.events.pop_first().expect("looked at above");
            self.happen(event);
        } else if let Some((_, h)) = timeout {
            let now = self.now_of(h);
            self.engine(h).handle_timeout(now);
            self.after_input(h);
        }
        true
    }

    fn timeout_of(&self, h: usize) -> Option<Us> {
        let host = &self.hosts[h];
        let at = host.engine.as_ref()?.next_timeout()?;
        Some(at.0.max(host.paused_until).max(self.now))
    }

    fn happen(&mut self, event: Event) {
        let h = match &event {
            Event::Deliver { to, .. } => *to,
            Event::Synced { host, .. } | Event::Link { host, .. } => *host,
        };
        if self.hosts[h].engine.is_none() {
            return;
        }
        if self.hosts[h].paused_until > self.now {
            let wait = self.hosts[h].paused_until - self.now;
            return self.push(wait, event);
        }
        let now = self.now_of(h);
        match event {
            Event::Deliver { from, frame, .. } => {
                let from_id = self.hosts[from].id;
                for message in
                    decode_messages(WireVersion::V2, frame).expect("what was encoded decodes")
                {
                    if self.trace && !matches!(message, Message::Heartbeat(_)) {
                        println!("{:>9} {from}->{h} {message:?}", self.now);
                    }
                    self.engine(h).handle_message(from_id, message, now);
                }
            }
            Event::Synced { start, up_to, .. } => {
                if start != self.hosts[h].start {
                    return;
                }
                let number = self.hosts[h].disk.synced(up_to);
                self.engine(h).handle_persisted(number, now);
                self.send_after_persisted(h, number);
                if self.hosts[h].shown.0 == 0 {
                    let host = &mut self.hosts[h];
                    host.shown = host.engine.as_ref().expect("it is up").incarnation();
                    self.connect(h);
                }
            }
            Event::Link { peer, event, .. } => {
                let peer_id = self.hosts[peer].id;
                if self.trace {
                    println!("{:>9} {h} link to {peer}: {event:?}", self.now);
                }
                let stale = matches!(event, LinkEvent::Up { incarnation, .. }
                    if incarnation.0 == 0 || self.hosts[peer].shown != incarnation);
                if !stale {
                    self.engine(h).handle_link(peer_id, event, now);
                }
            }
        }
        self.after_input(h);
    }

    // ---- looking ----

    pub fn engine(&mut self, h: usize) -> &mut Engine {
        self.hosts[h].engine.as_mut().expect("the host is up")
    }

    pub fn is_up(&self, h: usize) -> bool {
        self.hosts[h].engine.is_some()
    }

    pub fn status(&self, h: usize) -> Status {
        let engine = self.hosts[h].engine.as_ref();
        engine.expect("the host is up").status()
    }

    /// The hosts that are up.
    pub fn up(&self) -> Vec<usize> {
        let hosts = 0..self.hosts.len();
        hosts.filter(|&h| self.is_up(h)).collect()
    }

    /// True if the host is up and takes commands.
    pub fn takes_commands(&self, h: usize) -> bool {
        self.is_up(h) && self.status(h).taking_commands
    }

    pub fn view_of(&self, h: usize) -> u64 {
        self.status(h).view.number.0
    }

    /// The writers of the view a host has installed, as places.
    pub fn writers_of(&self, h: usize) -> Vec<usize> {
        let view = self.status(h).view;
        view.active.iter().map(|id| self.place_of(*id)).collect()
    }

    pub fn others(&self, h: usize) -> Vec<usize> {
        (0..self.hosts.len()).filter(|&k| k != h).collect()
    }

    pub fn now_of(&self, h: usize) -> Now {
        Now {
            mono: Mono(self.now),
            wall: Ts((EPOCH + self.now).saturating_add_signed(self.hosts[h].skew)),
        }
    }

    fn place_of(&self, id: HostId) -> usize {
        id.0 as usize - 1
    }

    /// The members of the latest view that a host that is up has installed.
    pub fn members(&self) -> Vec<usize> {
        let views = self.up().into_iter().map(|h| self.status(h).view);
        let latest = views.max_by_key(|view| view.number).unwrap_or_default();
        latest.members.iter().map(|id| self.place_of(*id)).collect()
    }

    /// True if all members that are up act as writers in one view and have executed everything, and
    /// nobody else takes itself for a member.
    pub fn converged(&self) -> bool {
        let members = self.members();
        let (up, outside): (Vec<_>, Vec<_>) =
            self.up().into_iter().partition(|h| members.contains(h));
        let knows = |h: &usize| self.status(*h).standing != Standing::Member;
        let settled = |h: &usize| {
            let status = self.status(*h);
            let lanes = &status.lanes;
            status.taking_commands
                && status.caught_up
                && self.hosts[*h].executed == self.history.len()
                && self.hosts[*h].waiting.is_empty()
                && lanes.iter().all(|lane| lane.executed == lane.held)
                && self.view_of(*h) == self.view_of(up[0])
        };
        !up.is_empty() && up.iter().all(settled) && outside.iter().all(knows)
    }

    /// Everyone who is up agrees, and nothing that was answered is missing anywhere.
    pub fn run_until_converged(&mut self, limit: Us) {
        self.run_until(limit, Self::converged);
        self.history.check();
    }

    pub fn describe(&self) -> String {
        let mut text = format!("at {} µs, {} executed\n", self.now, self.history.len());
        for (h, host) in self.hosts.iter().enumerate() {
            let status = host.engine.as_ref().map(Engine::status);
            text += &format!("host {h}: executed {}, {status:?}\n", host.executed);
        }
        text
    }
}
