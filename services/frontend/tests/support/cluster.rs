//! What the hosts of a cluster agree on, without the agreeing: one state machine for all of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use shoal_queue::{Effect, MACHINE_VERSION_MAX, Machine};
use shoal_runtime::clock::SystemClock;
use shoal_types::{
    Body, BodyRef, ClusterId, Command, Delivery, ErrorCode, HostId, Incarnation, Inherited,
    MessagePayload, Origin, Outcome, PartitionId, Position, Query, QueryReply, QueueRoute, Refusal,
    Request, RequestId, Revision, Seal, SendItem, Ts, ViewNumber,
};
use tokio::sync::oneshot;

/// The cluster on which new queues are placed.
pub const CLUSTER: ClusterId = ClusterId(0xc1);

/// The shared state of the hosts.
#[derive(Clone)]
pub struct FakeCluster(Arc<Inner>);

struct Inner {
    id: ClusterId,
    clock: SystemClock,
    clock_ahead: i64,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) machine: Machine,
    /// A body's place is its index.
    bodies: Vec<Bytes>,
    /// Answers that come later, by who waits where.
    waiting: HashMap<(RequestId, HostId), oneshot::Sender<Vec<Delivery>>>,
    asked: Vec<(HostId, RequestId)>,
    commands: Vec<Command>,
    queries: usize,
    damage_bodies: bool,
}

impl FakeCluster {
    /// With a clock that differs from this machine's by so many microseconds.
    pub fn new(clock_ahead: i64) -> Self {
        Self::with_id(CLUSTER, clock_ahead)
    }

    pub fn with_id(id: ClusterId, clock_ahead: i64) -> Self {
        let inner = Inner {
            id,
            clock: SystemClock::new(),
            clock_ahead,
            state: Mutex::default(),
        };
        let cluster = Self(Arc::new(inner));
        let to = MACHINE_VERSION_MAX;
        cluster.own(Command::RaiseVersion { to });
        cluster
    }

    pub fn id(&self) -> ClusterId {
        self.0.id
    }

    /// Cluster time.
    pub fn now(&self) -> Ts {
        let wall = self.0.clock.now().wall;
        Ts(wall.0.saturating_add_signed(self.0.clock_ahead))
    }

    /// From now on every body comes back with a wrong byte.
    pub fn damage_bodies(&self, damage: bool) {
        self.state().damage_bodies = damage;
    }

    /// Which host was asked to execute which request, in order.
    pub fn asked(&self) -> Vec<(HostId, RequestId)> {
        self.state().asked.clone()
    }

    /// Receives that wait.
    pub fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    /// How many commands that fit were asked for, answered or not.
    pub fn count_asked(&self, fits: impl Fn(&Command) -> bool) -> usize {
        let state = self.state();
        state
            .commands
            .iter()
            .filter(|command| fits(command))
            .count()
    }

    /// How often its state was read.
    pub fn queries(&self) -> usize {
        self.state().queries
    }

    pub fn note_asked(&self, host: HostId, request: &Request) {
        let mut state = self.state();
        state.asked.push((host, request.id));
        state.commands.push(request.command.clone());
    }

    /// What the manager does for a new or changed queue.
    pub fn create_partition(&self, route: &QueueRoute) {
        let here = route
            .partitions
            .iter()
            .filter(|place| place.cluster == self.id());
        for place in here {
            let settings = route.settings.partition(place.epoch);
            let (partition, revision) = (place.partition, route.revision);
            let exists = self.state().machine.counts(partition).is_some();
            self.own(if exists {
                Command::ConfigurePartition {
                    partition,
                    settings,
                    revision,
                }
            } else {
                Command::CreatePartition {
                    partition,
                    settings,
                    revision,
                }
            });
        }
    }

    pub fn delete_partition(&self, partition: PartitionId, revision: Revision) {
        self.own(Command::DeletePartition {
            partition,
            revision,
        });
    }

    /// Sends a message as another frontend would.
    pub fn send_directly(&self, partition: PartitionId, body: &str) {
        let payload = MessagePayload {
            body: Body::Text(Bytes::copy_from_slice(body.as_bytes())),
            ..Default::default()
        };
        let stored = payload.encode();
        let item = SendItem {
            size: stored.len() as u32,
            crc: crc32c::crc32c(&stored),
            delay: None,
            ttl: None,
            group: None,
            deduplication: None,
        };
        let request = Request {
            id: RequestId(rand::random()),
            deadline: Ts(self.now().0 + 1_000_000),
            origin: Origin::default(),
            command: Command::Send {
                partition,
                items: vec![item],
            },
        };
        let sent = self.execute(HostId(0), request, &[stored]);
        assert!(matches!(sent, Ok(Executed::Now(Outcome::Sent(_)))));
    }

    /// Sends so many messages and leases all of them, as other frontends would.
    pub fn send_and_lease(&self, partition: PartitionId, count: usize) {
        const AT_ONCE: usize = 1_000;
        let stored = MessagePayload::default().encode();
        let item = SendItem {
            size: stored.len() as u32,
            crc: crc32c::crc32c(&stored),
            delay: None,
            ttl: None,
            group: None,
            deduplication: None,
        };
        for _ in 0..count.div_ceil(AT_ONCE) {
            let send = Command::Send {
                partition,
                items: vec![item.clone(); AT_ONCE],
            };
            let request = Request {
                id: RequestId(0),
                deadline: Ts::MAX,
                origin: Origin::default(),
                command: send,
            };
            let bodies = vec![stored.clone(); AT_ONCE];
            let sent = self.execute(HostId(0), request, &bodies);
            assert!(matches!(sent, Ok(Executed::Now(Outcome::Sent(_)))));
            let receive = Command::Receive {
                partition,
                max: AT_ONCE as u16,
                visibility: None,
                wait_until: None,
                attempt: None,
                auto_ack: false,
            };
            let leased = self.own(receive);
            assert!(matches!(leased, Outcome::Received(leased) if leased.len() == AT_ONCE));
        }
    }

    /// What the successors of a partition are to be told, if it is sealed.
    pub fn news(&self, partition: PartitionId) -> Vec<(Seal, Inherited)> {
        let state = self.state();
        let Some((seal, _)) = state.machine.seal_of(partition) else {
            return Vec::new();
        };
        let gone = state.machine.groups_gone(partition).unwrap_or_default();
        let mut news = vec![(seal.clone(), Inherited::GroupsGone(gone))];
        if state.machine.is_drained(partition) {
            news.push((seal.clone(), Inherited::Drained));
        }
        news
    }

    /// Does what is due.
    pub fn tick(&self) {
        self.own(Command::Tick);
        self.carry_parcels();
    }

    /// Messages of a partition that can be received.
    pub fn ready(&self, partition: PartitionId) -> u64 {
        let counts = self.state().machine.counts(partition);
        counts.expect("the partition is here").ready
    }

    /// Has a partition's messages go on to its heir, on this or another cluster: as many as one piece takes.
    pub fn pass_on(&self, source: PartitionId, heir: PartitionId, to: &Self) {
        let next = |taken| Command::NextPiece {
            partition: source,
            heir,
            taken,
        };
        self.own(next(0));
        let (piece, bodies) = {
            let state = self.state();
            let (_, piece, places) = state.machine.piece(source).expect("there is one");
            let bodies: Vec<Bytes> = places.into_iter().map(|at| state.body(at)).collect();
            (piece, bodies)
        };
        let take = Command::TakePiece {
            partition: heir,
            from: source,
            piece,
        };
        let taken = to.own_with(take, &bodies);
        assert_eq!(taken, Outcome::Taken { through: 1 });
        self.own(next(1));
    }

    /// Executes a command of the manager's or of a host's own.
    pub fn own(&self, command: Command) -> Outcome {
        self.own_with(command, &[])
    }

    fn own_with(&self, command: Command, bodies: &[Bytes]) -> Outcome {
        let request = Request {
            id: RequestId(0),
            deadline: Ts::MAX,
            origin: Origin::default(),
            command,
        };
        match self.execute(HostId(0), request, bodies) {
            Ok(Executed::Now(outcome)) => outcome,
            Ok(Executed::Later(_)) => unreachable!("only receives wait"),
            Err(refusal) => panic!("{refusal}"),
        }
    }

    /// Executes a request as a host would: the outcome, or where the answer to a wait will come.
    pub fn execute(
        &self,
        host: HostId,
        mut request: Request,
        bodies: &[Bytes],
    ) -> Result<Executed, Refusal> {
        let now = self.now();
        let mut state = self.state();
        let state = &mut *state;
        request.origin = Origin {
            host,
            incarnation: Incarnation(1),
        };
        if !matches!(request.command, Command::RaiseVersion { .. }) {
            state.machine.admit(&request, now)?;
        }
        let executed = state.machine.executed();
        let at = Position {
            view: ViewNumber(1),
            ts: Ts(now.0.max(executed.ts.0 + 1)),
            lane: host,
        };
        let mut effects = Vec::new();
        state.machine.begin_entry(at, &mut effects);
        let places: Vec<BodyRef> = (state.bodies.len()..)
            .take(bodies.len())
            .map(|index| BodyRef {
                segment: 0,
                offset: index as u32,
            })
            .collect();
        state.bodies.extend_from_slice(bodies);
        let outcome = state.machine.apply(&request, &places, &mut effects);
        let executed = match outcome {
            Outcome::Waiting => {
                let (sender, receiver) = oneshot::channel();
                state.waiting.insert((request.id, host), sender);
                Executed::Later(receiver)
            }
            Outcome::Refused(refusal) => return Err(refusal),
            outcome => Executed::Now(outcome),
        };
        for Effect::Given {
            origin,
            waiter,
            deliveries,
        } in effects
        {
            if let Some(sender) = state.waiting.remove(&(waiter, origin.host)) {
                _ = sender.send(deliveries);
            }
        }
        Ok(executed)
    }

    /// The client is gone: forget that it waited.
    pub fn cancel(&self, host: HostId, waiter: RequestId, partition: PartitionId) {
        if self.state().waiting.remove(&(waiter, host)).is_some() {
            let command = Command::CancelWaiter { partition, waiter };
            let id = RequestId(0);
            let request = Request {
                id,
                deadline: Ts::MAX,
                origin: Origin::default(),
                command,
            };
            _ = self.execute(host, request, &[]);
        }
    }

    pub fn query(&self, query: Query) -> Result<(QueryReply, Vec<Bytes>), Refusal> {
        let stale = || Refusal::not_applied(ErrorCode::StaleRoute, "no such partition");
        let mut state = self.state();
        state.queries += 1;
        match query {
            Query::Counts { partition } => {
                let counts = state.machine.counts(partition).ok_or_else(stale)?;
                Ok((QueryReply::Counts(counts), Vec::new()))
            }
            Query::Peek { partition, limit } => {
                let peeked = state
                    .machine
                    .peek(partition, limit.into())
                    .ok_or_else(stale)?;
                let (peeked, places): (Vec<_>, Vec<_>) = peeked.into_iter().unzip();
                let bodies = places.into_iter().map(|place| state.body(place)).collect();
                Ok((QueryReply::Peeked(peeked), bodies))
            }
            Query::Partitions { .. } | Query::Outbox { .. } => {
                unreachable!("the manager asks that")
            }
            Query::Succession { partition } => {
                let succession = state.machine.succession(partition).ok_or_else(stale)?;
                Ok((QueryReply::Succession(succession), Vec::new()))
            }
        }
    }

    pub fn bodies(&self, deliveries: &[Delivery]) -> Vec<Bytes> {
        let state = self.state();
        deliveries
            .iter()
            .map(|delivery| state.body(delivery.body))
            .collect()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }
}

impl State {
    pub(super) fn body(&self, place: BodyRef) -> Bytes {
        let body = self.bodies[place.offset as usize].clone();
        if !self.damage_bodies {
            return body;
        }
        let mut damaged = body.to_vec();
        *damaged.last_mut().unwrap() ^= 1;
        damaged.into()
    }
}

pub enum Executed {
    Now(Outcome),
    Later(oneshot::Receiver<Vec<Delivery>>),
}
