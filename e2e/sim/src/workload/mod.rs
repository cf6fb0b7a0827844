//! The clients of a run: what they ask, of whom, and how they take the answers. They stand for users
//! and frontends together, and know nothing but what they are told.
//!
//! Everything they do follows from the seed and from what they are told when. Every body they send is
//! different from every other, so that each delivery names the send it came from.

mod consumer;
mod drainer;
mod execution;
mod forwarding;
mod hosts;
#[cfg(test)]
mod ideal;
mod knobs;
pub(crate) mod limits;
mod manager;
mod moving;
mod producer;
mod queues;
mod role;
#[cfg(test)]
mod tests;
mod transfers;

use bytes::Bytes;
use shoal_types::{
    BodyRef, ClusterId, HostId, HostRequest, Origin, Outcome, PartitionId, Request, RequestId, Ts,
    ViewSummary,
};

pub use knobs::Knobs;

use crate::history::{Call, CallId, SimTime, Told};
use crate::random::Random;
use consumer::Consumer;
use drainer::Drainer;
use execution::{End, Errand, Execution, Move};
use hosts::Hosts;
use manager::Manager;
use producer::Producer;
use queues::{Queues, State};
use role::{Desk, Next, Parcels, Role};

/// What a client wants of the world.
#[derive(Debug)]
pub enum Ask {
    /// Ask a host.
    Call {
        /// Names the call; it comes back with the answer.
        call: CallId,
        /// Whom.
        host: HostId,
        /// What.
        request: HostRequest,
        /// Bodies of a send, in order.
        bodies: Vec<Bytes>,
    },
    /// Stop waiting for an answer: the client is gone, as the host will notice.
    Cancel {
        /// Which call.
        call: CallId,
    },
}

/// All clients of a run.
#[derive(Debug)]
pub struct Workload {
    knobs: Knobs,
    cluster: ClusterId,
    hosts: Hosts,
    queues: Queues,
    clients: Vec<Client>,
    calls: Vec<Call>,
    /// Calls that nobody waits for any more; their answers are not heard.
    cancelled: Vec<CallId>,
    /// Hosts that never come back.
    gone: Vec<HostId>,
    bodies: u64,
    draining: bool,
    parcels: Parcels,
    random: Random,
    now: SimTime,
}

#[derive(Debug)]
struct Client {
    role: Box<dyn Role + Send>,
    random: Random,
    /// Operations begun.
    operations: u64,
    at_work: Option<Execution>,
    /// When it looks what to do next, if it is not at work; `None`: never again.
    looks_at: Option<SimTime>,
}

impl Client {
    fn new(role: impl Role + Send + 'static, random: Random, starts: SimTime) -> Self {
        Self {
            role: Box::new(role),
            random,
            operations: 0,
            at_work: None,
            looks_at: Some(starts),
        }
    }

    fn next_at(&self) -> Option<SimTime> {
        match &self.at_work {
            Some(execution) => Some(execution.next_at()),
            None => self.looks_at,
        }
    }
}

impl Workload {
    /// Clients of a cluster of these hosts.
    #[must_use]
    pub fn new(knobs: Knobs, cluster: ClusterId, hosts: Vec<HostId>, random: Random) -> Self {
        let start = SimTime::default();
        let random_of = |n: usize| random.fork(&format!("client {n}"));
        let mut clients = vec![Client::new(Manager::new(), random_of(0), start)];
        for _ in 0..knobs.producers {
            let random = random_of(clients.len());
            clients.push(Client::new(Producer::default(), random, start));
        }
        for _ in 0..knobs.consumers {
            let random = random_of(clients.len());
            clients.push(Client::new(Consumer::default(), random, start));
        }
        Self {
            knobs,
            cluster,
            hosts: Hosts::new(hosts),
            queues: Queues::default(),
            clients,
            calls: Vec::new(),
            cancelled: Vec::new(),
            gone: Vec::new(),
            bodies: 0,
            draining: false,
            parcels: Parcels::default(),
            random,
            now: start,
        }
    }

    /// When a client has something to do even if nobody tells it anything.
    #[must_use]
    pub fn next_wake(&self) -> Option<SimTime> {
        self.clients.iter().filter_map(Client::next_at).min()
    }

    /// Lets all clients act whose time has come. `wall` is what the clients' clock shows.
    pub fn wake(&mut self, now: SimTime, wall: Ts) -> Vec<Ask> {
        self.now = now;
        let mut asks = Vec::new();
        for client in 0..self.clients.len() {
            if self.clients[client].next_at().is_some_and(|at| at <= now) {
                self.act(client, wall, &mut asks);
            }
        }
        asks
    }

    /// A call ended: with an answer, or because the connection broke.
    ///
    /// # Panics
    /// If there is no such call, or it ended before.
    pub fn on_told(&mut self, call: CallId, told: Told, now: SimTime, wall: Ts) -> Vec<Ask> {
        self.now = now;
        let mut asks = Vec::new();
        if let Ok(at) = self.cancelled.binary_search(&call) {
            self.cancelled.remove(at);
            return asks;
        }
        let made = &mut self.calls[call.0 as usize];
        assert!(made.returned.is_none(), "{call:?} ends twice");
        let told = without_places(told);
        made.returned = Some((now, told.clone()));
        let number = made.client as usize;
        let client = &mut self.clients[number];
        let Some(execution) = client.at_work.as_mut() else {
            return asks;
        };
        if !execution
            .running
            .iter()
            .any(|(running, _)| *running == call)
        {
            return asks;
        }
        let step = execution.told(call, told, &mut self.hosts, now, &mut client.random);
        self.follow(number, step, wall, &mut asks);
        asks
    }

    /// A host tells of a view.
    pub fn on_view(&mut self, view: &ViewSummary) {
        if self.hosts.learn(view) {
            for client in &mut self.clients {
                if let Some(execution) = &mut client.at_work {
                    execution.hurry(&self.hosts, self.now);
                }
            }
        }
    }

    /// From now on nothing is sent any more, and every queue is received and acknowledged until every
    /// host in turn has said often enough that it is empty.
    pub fn drain(&mut self, now: SimTime) {
        if std::mem::replace(&mut self.draining, true) {
            return;
        }
        self.now = now;
        let not_gone = self.queues.all().iter().filter(|q| q.state != State::Gone);
        let partitions: Vec<_> = not_gone.map(|queue| queue.partition).collect();
        for partition in partitions {
            let random = self.random.fork(&format!("drain {partition}"));
            let role = Drainer::new(partition, self.hosts.all().to_vec(), now);
            self.clients.push(Client::new(role, random, now));
        }
    }

    /// A host is gone for good: a drain does not wait for it.
    pub fn host_is_gone(&mut self, host: HostId) {
        if !self.gone.contains(&host) {
            self.gone.push(host);
        }
    }

    /// A host says that all that a partition had is at its heir.
    pub fn all_went_on(&mut self, source: PartitionId, heir: PartitionId) {
        self.queues.all_went_on(source, heir);
    }

    /// A host says that a partition's heir is gone, and what it did not take stays.
    pub fn forwarding_ended(&mut self, source: PartitionId, heir: PartitionId) {
        self.queues.forwarding_ended(source, heir);
    }

    /// A host did something about messages that go to other queues.
    pub fn parcels_changed(&mut self) {
        self.parcels.changes += 1;
    }

    /// Whether hosts have messages that go to other queues, or would if they could.
    pub fn parcels_are_under_way(&mut self, under_way: bool) {
        self.parcels.are_under_way = under_way;
    }

    /// True once a drain was asked for and is done, and every other client has come to rest.
    #[must_use]
    pub fn drained(&self) -> bool {
        self.draining && self.clients.iter().all(|client| client.next_at().is_none())
    }

    /// All calls so far, by id.
    #[must_use]
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// All calls, by id.
    #[must_use]
    pub fn into_calls(self) -> Vec<Call> {
        self.calls
    }

    fn act(&mut self, number: usize, wall: Ts, asks: &mut Vec<Ask>) {
        let now = self.now;
        let client = &mut self.clients[number];
        if let Some(execution) = &mut client.at_work {
            let step = execution.wake(&mut self.hosts, now, &mut client.random);
            return self.follow(number, step, wall, asks);
        }
        let mut desk = Desk {
            now,
            wall,
            knobs: &self.knobs,
            queues: &mut self.queues,
            random: &mut client.random,
            bodies: &mut self.bodies,
            draining: self.draining,
            parcels: self.parcels,
            gone: &self.gone,
        };
        match client.role.next(&mut desk) {
            Next::Do(errand) => self.begin(number, errand, wall, asks),
            Next::Rest(pause) => client.looks_at = Some(SimTime(now.0 + pause.max(1))),
            Next::Done => client.looks_at = None,
        }
    }

    fn begin(&mut self, number: usize, errand: Errand, wall: Ts, asks: &mut Vec<Ask>) {
        let client = &mut self.clients[number];
        let request = Request {
            id: RequestId(client.random.any_u128() | 1),
            deadline: wall.after(errand.patience),
            origin: Origin::default(),
            command: errand.command.clone(),
        };
        client.operations += 1;
        let mut execution = Execution::new(request, errand, self.now);
        let step = execution.wake(&mut self.hosts, self.now, &mut client.random);
        client.at_work = Some(execution);
        self.follow(number, step, wall, asks);
    }

    fn follow(&mut self, number: usize, step: Move, wall: Ts, asks: &mut Vec<Ask>) {
        match step {
            Move::Rest => {}
            Move::Ask(host) => self.ask(number, host, asks),
            Move::End { end, cancel } => self.end(number, &end, cancel, wall, asks),
        }
    }

    fn ask(&mut self, number: usize, host: HostId, asks: &mut Vec<Ask>) {
        let client = &mut self.clients[number];
        let execution = client.at_work.as_mut().expect("it asks");
        let call = CallId(self.calls.len() as u64);
        execution.asked(call, host, self.now);
        let request = execution.request.clone();
        self.calls.push(Call {
            id: call,
            client: number as u32,
            operation: client.operations,
            host,
            request: request.clone(),
            bodies: execution.bodies.clone(),
            invoked: self.now,
            waits: execution.waits,
            until: execution.until(),
            pinned: execution.is_pinned(),
            returned: None,
        });
        asks.push(Ask::Call {
            call,
            host,
            request: HostRequest::Execute {
                cluster: self.cluster,
                request,
            },
            bodies: execution.bodies.clone(),
        });
    }

    fn end(&mut self, number: usize, end: &End, cancel: bool, wall: Ts, asks: &mut Vec<Ask>) {
        let client = &mut self.clients[number];
        let execution = client.at_work.take().expect("it ends");
        if cancel {
            for (call, _) in execution.running {
                let at = self.cancelled.partition_point(|other| *other < call);
                self.cancelled.insert(at, call);
                asks.push(Ask::Cancel { call });
            }
        }
        let mut desk = Desk {
            now: self.now,
            wall,
            knobs: &self.knobs,
            queues: &mut self.queues,
            random: &mut client.random,
            bodies: &mut self.bodies,
            draining: self.draining,
            parcels: self.parcels,
            gone: &self.gone,
        };
        client
            .role
            .ended(&execution.request.command, end, &mut desk);
        let pause = client.role.pause(&mut desk);
        client.looks_at = Some(SimTime(self.now.0 + pause));
    }
}

/// Where a host keeps a body does not go over the wire.
fn without_places(mut told: Told) -> Told {
    if let Told::Outcome(Outcome::Received(deliveries), _) = &mut told {
        for delivery in deliveries {
            delivery.body = BodyRef::default();
        }
    }
    told
}
