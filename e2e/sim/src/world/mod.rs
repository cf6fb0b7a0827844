//! A cluster, its clients, and everything between and below them, as one sequence of events in
//! simulated time. What happens next is decided by the seed alone.
//!
//! - `host`, `process`, `starting`, `stopping`: machines and what runs on them;
//! - `disk`, `jobs`: what they keep; `clock`: what time they think it is;
//! - `network`, `links`: what they say to each other; `clients`, `manager`: who asks them;
//! - `tellings`, `carriages`: what hosts tell and bring to other partitions; `passing`: what comes of it;
//! - `snapshots`: hosts that go on from a peer's state;
//! - `schedule`, `event`: what happens when; `acting`: what goes wrong; `settling`: how it ends; `observing`, `views`: what was reached.

mod acting;
mod bodies;
mod calm;
mod carriages;
mod clients;
mod clock;
mod contained;
mod dialling;
mod disk;
mod ended;
mod event;
mod host;
mod jobs;
mod links;
mod manager;
mod members;
mod network;
mod observing;
mod parcels;
mod passing;
mod process;
mod releases;
mod schedule;
mod settling;
mod snapshots;
mod starting;
mod stopping;
mod tellings;
mod told;
mod views;
mod witness;

use std::collections::{BTreeMap, BTreeSet};

use shoal_types::{ClusterId, HostId};

use calm::Calm;
use contained::contained;
pub use ended::{Ended, Summary};
use event::Event;
use host::Host;
use members::Members;
use network::Network;
use observing::ExecutedIds;
use schedule::Schedule;
use views::ReachedViews;

use crate::actions::Action;
use crate::auditor::Auditor;
use crate::checkers::{self, CheckerSet, Evidence, Violation};
use crate::history::{CallId, SimTime};
use crate::limits::{CLOCK_ERROR_MAX, EVENTS_MAX, SECOND, SKEW_BOUND};
use crate::options::Options;
use crate::random::Random;
use crate::sometimes::{Reached, Sometimes};
use crate::trace::{Note, Trace};
use crate::workload::{Knobs, Workload};

const CLUSTER: ClusterId = ClusterId(1);

/// See the module.
pub struct World {
    options: Options,
    checkers: CheckerSet,
    now: SimTime,
    phase: Phase,
    /// No fault comes before.
    guarded_until: SimTime,
    schedule: Schedule<Event>,
    hosts: BTreeMap<HostId, Host>,
    members: Members,
    network: Network,
    workload: Workload,
    /// When the clients are going to be woken.
    clients_planned: Option<SimTime>,
    /// Microseconds by which the clients' clocks are ahead.
    client_ahead: i64,
    /// Calls whose clients still wait.
    outstanding: BTreeMap<CallId, Outstanding>,
    operations: u64,
    /// Calls to successors that were neither answered nor given up.
    tellings: BTreeSet<u64>,
    /// Pieces brought to heirs, of which the same is true.
    carriages: BTreeSet<u64>,
    auditor: Auditor,
    disk_random: Random,
    process_random: Random,
    fault_random: Random,
    manager_random: Random,
    executed_ids: ExecutedIds,
    reached_views: ReachedViews,
    calm: Calm,
    reached: Reached,
    trace: Trace,
    violations: Vec<Violation>,
    summary: Summary,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Load,
    Settling { since: SimTime },
    Over { settled: bool },
}

/// A call whose client still waits.
#[derive(Clone, Copy, Debug)]
struct Outstanding {
    host: HostId,
    /// It is there then.
    arrives: SimTime,
}

impl World {
    /// A world as these options say; nothing has happened yet.
    #[must_use]
    pub fn new(options: Options, checkers: CheckerSet, with_lines: bool) -> Self {
        let random = Random::new(options.seed);
        let machines = || options.hosts.iter().chain(&options.members.spare);
        let hosts = machines().map(|id| {
            let supports = options.releases.first_of(*id);
            (*id, Host::new(*id, options.clocks[id], supports))
        });
        let mut reached = Reached::default();
        if options
            .clocks
            .values()
            .any(|clock| clock.ahead.unsigned_abs() > CLOCK_ERROR_MAX)
        {
            reached.note(Sometimes::FarClock);
        }
        let knobs = Knobs::draw(&mut random.fork("knobs"))
            .with_moves(options.moves)
            .with_dead_letters(options.dead_letters);
        let workload = Workload::new(
            knobs,
            CLUSTER,
            machines().copied().collect(),
            random.fork("workload"),
        );
        let mut world = Self {
            checkers: checkers.clone(),
            now: SimTime(0),
            phase: Phase::Load,
            guarded_until: SimTime(0),
            schedule: Schedule::new(),
            hosts: hosts.collect(),
            members: Members::new(&options),
            network: Network::new(options.network, random.fork("wires")),
            workload,
            clients_planned: None,
            client_ahead: random.fork("clients").below(2 * CLOCK_ERROR_MAX) as i64
                - CLOCK_ERROR_MAX as i64,
            outstanding: BTreeMap::new(),
            operations: 0,
            tellings: BTreeSet::new(),
            carriages: BTreeSet::new(),
            auditor: Auditor::new(checkers),
            disk_random: random.fork("disks"),
            process_random: random.fork("processes"),
            fault_random: random.fork("fault after fault"),
            manager_random: random.fork("manager"),
            executed_ids: ExecutedIds::new(),
            reached_views: ReachedViews::default(),
            calm: Calm::default(),
            reached,
            trace: Trace::new(with_lines),
            violations: Vec::new(),
            summary: Summary::default(),
            options,
        };
        world.plan_beginning();
        world
    }

    fn plan_beginning(&mut self) {
        let drawn = self.trace.text(|| format!("{:?}", self.options));
        self.trace.note(self.now, &Note::Drawn(drawn));
        for id in self.options.hosts.clone() {
            self.start(id);
            let at = SimTime(self.options.formation[&id]);
            self.schedule.at(at, Event::Form { host: id });
        }
        let constant = self
            .options
            .faults
            .kinds
            .iter()
            .filter(|kind| kind.is_constant());
        self.summary.faults.extend(constant.map(|kind| (*kind, 1)));
        self.schedule.at(SimTime(self.options.load), Event::Heal);
        self.schedule.at(SimTime(SECOND), Event::Suspicions);
        let first = self.options.faults.every.min(2 * SECOND);
        self.schedule.at(SimTime(first), Event::Fault);
        for id in self.options.members.spare.clone() {
            self.start(id);
        }
        if self.options.members.change() {
            self.schedule.at(SimTime(SECOND), Event::ManageMembers);
        }
        self.plan_upgrades();
        self.plan_clients();
    }

    /// Adds steps of a scenario, each at its time since the beginning.
    #[must_use]
    pub fn with(mut self, steps: impl IntoIterator<Item = (SimTime, Action)>) -> Self {
        for (at, action) in steps {
            self.plan(at, action);
        }
        self
    }

    /// Runs to the end and judges.
    #[must_use]
    pub fn run(mut self) -> Ended {
        while !matches!(self.phase, Phase::Over { .. }) {
            let Some((at, event)) = self.schedule.pop() else {
                unreachable!("the end is planned until it comes");
            };
            assert!(at >= self.now, "time goes on");
            self.now = at;
            self.summary.events += 1;
            assert!(
                self.summary.events < EVENTS_MAX,
                "seed {} goes round in a circle",
                self.options.seed
            );
            self.happen(event);
        }
        self.judge()
    }

    fn is_settling(&self) -> bool {
        self.phase != Phase::Load
    }

    fn happen(&mut self, event: Event) {
        if let Some(id) = event.done_by()
            && let host = self.hosts.get_mut(&id).expect("one of ours")
            && host.frozen
        {
            return host.postponed.push(event);
        }
        match event {
            Event::Turn { host, life } => self.turn(host, life),
            Event::Wake { host, life } => self.wake(host, life),
            Event::JobEnds { host, life, job } => self.job_ends(host, life, job),
            Event::EntriesRead {
                host,
                life,
                to,
                wanted,
            } => self.entries_read(host, life, to, wanted),
            Event::AnswerRead(read) => self.answer_read(*read),
            Event::BodiesRead { host, life, reads } => self.bodies_read(host, life, *reads),
            Event::Starts { host, life } => self.starts(host, life),
            Event::StartAgain { host } => {
                if self.hosts[&host].powered {
                    self.start(host);
                }
            }
            Event::Dial { from, life, to } => self.dial(from, life, to),
            Event::Dialled { from, life, to } => self.dialled(from, life, to),
            Event::Refused { from, life, to } => self.refused(from, life, to),
            Event::Frame {
                from,
                sender,
                to,
                life,
                messages,
            } => {
                self.frame(from, sender, to, life, messages);
            }
            Event::LinkBreaks {
                from,
                to,
                connection,
            } => self.break_link(from, to, connection),
            Event::LinkSilent {
                from,
                to,
                connection,
                since,
            } => {
                self.link_silent(from, to, connection, since);
            }
            Event::CallArrives {
                call,
                host,
                request,
                bodies,
            } => {
                self.call_arrives(call, host, request, bodies);
            }
            Event::CancelArrives { call, host } => self.cancel_arrives(call, host),
            Event::AnswerArrives { call, told } => self.answer_arrives(call, *told),
            Event::CallBreaks { call } => self.call_breaks(call),
            Event::ClientsGiveUp { host } => self.clients_give_up(host),
            Event::ViewTold { view } => self.view_told(&view),
            Event::TellingArrives(said) => self.telling_arrives(*said),
            Event::TellingFails(said) => self.telling_fails(&said),
            Event::Told { said, told } => self.successor_told(&said, *told),
            Event::CarriageRead {
                host,
                life,
                carriage,
            } => self.carriage_read(host, life, *carriage),
            Event::CarriageArrives(brought) => self.carriage_arrives(*brought),
            Event::CarriageFails(brought) => self.carriage_fails(&brought),
            Event::Carried { brought, carried } => self.piece_carried(&brought, *carried),
            Event::Clients => self.wake_clients(),
            Event::Form { host } => self.form(host),
            Event::ManageMembers => self.manage_members(),
            Event::Act(action) => {
                if !self.is_settling() {
                    self.act(action);
                }
            }
            Event::Fault => self.fault(),
            Event::Suspicions => {
                self.look_at_suspicions();
                self.look_at_versions();
                self.look_at_members();
                self.look_for_refused();
                if !self.is_settling() {
                    self.schedule
                        .at(SimTime(self.now.0 + SECOND / 10), Event::Suspicions);
                }
            }
            Event::Heal => self.heal(),
            Event::Look => self.look_whether_settled(),
        }
    }

    fn judge(mut self) -> Ended {
        let Phase::Over { settled } = self.phase else {
            unreachable!("judged at the end");
        };
        self.summary.ended_at = self.now;
        self.summary.calls = self.workload.calls().len() as u64;
        let counts = self.counts();
        let evidence = Evidence {
            calls: self.workload.calls(),
            auditor: &self.auditor,
            healed_at: SimTime(self.options.load),
            ended_at: self.now,
            settled,
            drained: self.workload.drained(),
            counts: &counts,
            skew_bound: SKEW_BOUND,
        };
        let mut violations = self.violations;
        violations.extend(self.auditor.violations().iter().cloned());
        violations.extend(checkers::judge(&evidence, &self.checkers));
        violations.sort_by_key(|violation| violation.at);
        Ended {
            violations,
            reached: self.reached,
            summary: self.summary,
            hash: self.trace.hash(),
            lines: self.trace.into_lines(),
        }
    }
}
