//! A cluster that never fails, for tests: three hosts that are one reference model. What the clients do
//! with it has to please every checker.

use std::collections::BTreeMap;

use bytes::Bytes;
use shoal_model::{Given, Model};
use shoal_types::{
    ClusterId, Command, Delivery, HostId, HostRequest, Incarnation, Origin, Outcome, PartitionId,
    Position, Refusal, Request, RequestId, SendResult, Sequence, Ts, ViewNumber,
};

use super::limits::{MILLISECOND, SECOND};
use super::{Ask, Knobs, Workload};
use crate::auditor::Auditor;
use crate::checkers::{CheckerSet, CountsByHost, Evidence, Violation, judge};
use crate::history::{Call, CallId, Executed, SimTime, Step, Told};
use crate::random::Random;

const HOSTS: [HostId; 3] = [HostId(1), HostId(2), HostId(3)];
/// Cluster time when a run begins.
const EPOCH: u64 = 1_000 * SECOND;
/// A run that has not come to its end by then never does.
const END: u64 = 200 * SECOND;

enum Event {
    Arrives(CallId, HostId, Request, Vec<Bytes>),
    Told(CallId, Told),
}

/// See the module.
pub(crate) struct Ideal {
    workload: Workload,
    auditor: Auditor,
    model: Model,
    now: u64,
    position: Position,
    events: BTreeMap<(u64, u64), Event>,
    scheduled: u64,
    /// By the host where each waits.
    waiting: BTreeMap<(HostId, RequestId), CallId>,
    bodies: BTreeMap<(PartitionId, Sequence), Bytes>,
    random: Random,
}

/// A run's end.
pub(crate) struct Run {
    pub(crate) calls: Vec<Call>,
    pub(crate) violations: Vec<Violation>,
}

/// Lets the clients of a seed work for so many seconds, drains, and judges.
pub(crate) fn run(seed: u64, seconds: u64) -> Run {
    let random = Random::new(seed);
    let knobs = Knobs::draw(&mut random.fork("knobs"));
    let clients = random.fork("clients");
    let mut ideal = Ideal {
        workload: Workload::new(knobs, ClusterId(1), HOSTS.to_vec(), clients),
        auditor: Auditor::new(CheckerSet::all()),
        model: Model::default(),
        now: 0,
        position: Position::ZERO,
        events: BTreeMap::new(),
        scheduled: 0,
        waiting: BTreeMap::new(),
        bodies: BTreeMap::new(),
        random: random.fork("network"),
    };
    ideal.executes(&Step::View(ViewNumber(1), Vec::new()));
    ideal.goes_on(seconds * SECOND);
    ideal.end()
}

impl Ideal {
    fn goes_on(&mut self, drain_at: u64) {
        let mut draining = false;
        while !self.workload.drained() {
            let wakes = self.workload.next_wake().map(|at| at.0.max(self.now));
            let event = self.events.first_key_value().map(|((at, _), _)| *at);
            let due = self.model.next_due();
            let due = due.map(|due| due.0.saturating_sub(EPOCH).max(self.now));
            let next = [wakes, event, due, (!draining).then_some(drain_at)];
            self.now = next.into_iter().flatten().min().expect("clients act");
            assert!(self.now < END, "the clients come to rest");
            if !draining && self.now >= drain_at {
                draining = true;
                self.workload.drain(SimTime(self.now));
            } else if due == Some(self.now) {
                self.begins_entry(HOSTS[0]);
            } else if event == Some(self.now) {
                let (_, event) = self.events.pop_first().expect("looked at");
                self.happens(event);
            } else {
                let asks = self.workload.wake(SimTime(self.now), self.wall());
                self.carries_out(asks);
            }
        }
    }

    fn wall(&self) -> Ts {
        Ts(EPOCH + self.now)
    }

    fn schedule(&mut self, event: Event) {
        self.scheduled += 1;
        let takes = self.random.magnitude(100..20 * MILLISECOND);
        self.events
            .insert((self.now + takes, self.scheduled), event);
    }

    fn carries_out(&mut self, asks: Vec<Ask>) {
        for ask in asks {
            match ask {
                Ask::Call {
                    call,
                    host,
                    request: HostRequest::Execute { request, .. },
                    bodies,
                } => self.schedule(Event::Arrives(call, host, request, bodies)),
                Ask::Call { request, .. } => panic!("{request:?} is not judged"),
                Ask::Cancel { call } => self.cancels(call),
            }
        }
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Arrives(call, host, request, bodies) => {
                let origin = Origin {
                    host,
                    incarnation: Incarnation(1),
                };
                self.begins_entry(host);
                self.applies(Some(call), Request { origin, ..request }, bodies);
            }
            Event::Told(call, told) => {
                let (now, wall) = (SimTime(self.now), self.wall());
                let asks = self.workload.on_told(call, told, now, wall);
                self.carries_out(asks);
            }
        }
    }

    fn cancels(&mut self, call: CallId) {
        let made = self.workload.calls()[call.0 as usize].clone();
        let waiter = (made.host, made.request.id);
        let waits = self.waiting.get(&waiter) == Some(&call);
        if let (true, Some(partition)) = (waits, made.request.command.partition()) {
            self.waiting.remove(&waiter);
            self.begins_entry(made.host);
            let origin = Origin {
                host: made.host,
                incarnation: Incarnation(1),
            };
            let command = Command::CancelWaiter {
                partition,
                waiter: made.request.id,
            };
            let cancel = Request {
                id: RequestId(0),
                deadline: Ts::MAX,
                origin,
                command,
            };
            self.applies(None, cancel, Vec::new());
        }
    }

    fn executes(&mut self, step: &Step) {
        for host in HOSTS {
            self.auditor.executed(Executed {
                at: SimTime(self.now),
                host,
                life: 1,
                step: step.clone(),
            });
        }
    }

    fn begins_entry(&mut self, lane: HostId) {
        let ts = self.wall().max(self.position.ts.after(1));
        self.position = Position {
            view: ViewNumber(1),
            ts,
            lane,
        };
        let mut given = Vec::new();
        self.model.begin_entry(self.position, &mut given);
        self.executes(&Step::Entry(self.position));
        self.gives(given);
    }

    fn applies(&mut self, call: Option<CallId>, request: Request, bodies: Vec<Bytes>) {
        let mut given = Vec::new();
        let outcome = self.model.apply(&request, &mut given);
        if let (Outcome::Sent(results), Some(partition)) = (&outcome, request.command.partition()) {
            for (result, body) in results.iter().zip(&bodies) {
                if let SendResult::Accepted(sequence) = result {
                    let place = self.bodies.entry((partition, *sequence));
                    place.or_insert_with(|| body.clone());
                }
            }
        }
        let waiter = (request.origin.host, request.id);
        self.executes(&Step::Command(request, bodies, outcome.clone()));
        match (call, outcome) {
            (Some(call), Outcome::Waiting) => {
                if let Some(before) = self.waiting.insert(waiter, call) {
                    self.tells(before, Vec::new());
                }
            }
            (Some(call), Outcome::Received(deliveries)) => self.tells(call, deliveries),
            (Some(call), Outcome::Refused(refusal)) => {
                let refusal = Refusal::not_applied(refusal.code, "as executed");
                self.schedule(Event::Told(call, Told::Refused(refusal)));
            }
            (Some(call), outcome) => {
                self.schedule(Event::Told(call, Told::Outcome(outcome, Vec::new())));
            }
            (None, _) => {}
        }
        self.gives(given);
    }

    fn gives(&mut self, given: Vec<Given>) {
        for Given {
            origin,
            waiter,
            deliveries,
        } in given
        {
            self.executes(&Step::Given(origin, waiter, deliveries.clone()));
            if let Some(call) = self.waiting.remove(&(origin.host, waiter)) {
                self.tells(call, deliveries);
            }
        }
    }

    fn tells(&mut self, call: CallId, deliveries: Vec<Delivery>) {
        let body = |d: &Delivery| self.bodies[&(d.receipt.partition, d.sequence)].clone();
        let bodies = deliveries.iter().map(body).collect();
        let told = Told::Outcome(Outcome::Received(deliveries), bodies);
        self.schedule(Event::Told(call, told));
    }

    fn end(self) -> Run {
        let counts = self.model.partitions();
        let counts: BTreeMap<_, _> = counts
            .filter_map(|partition| Some((partition, self.model.counts(partition)?)))
            .collect();
        let counts: CountsByHost = HOSTS.iter().map(|h| (*h, counts.clone())).collect();
        let evidence = Evidence {
            calls: self.workload.calls(),
            auditor: &self.auditor,
            healed_at: SimTime(0),
            ended_at: SimTime(self.now),
            settled: true,
            drained: true,
            counts: &counts,
            skew_bound: MILLISECOND,
        };
        let mut violations = judge(&evidence, &CheckerSet::all());
        violations.extend(self.auditor.violations().iter().cloned());
        Run {
            calls: self.workload.into_calls(),
            violations,
        }
    }
}
