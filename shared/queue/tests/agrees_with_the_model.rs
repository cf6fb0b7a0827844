//! Goal: the machine does what the model says, whatever is asked in whatever order; two hosts with
//! different logs stay equal; a host that stops and starts again at any point is the host it was.
//!
//! Method: random operations on three machines and the model at once. `hosts[0]` is frozen, reopened
//! and crashed (restored from its last freeze and fed the rest again) as the operations say,
//! `hosts[1]` keeps its bodies elsewhere and never stops. Every outcome, effect, count and peek is
//! compared; so are moves, splits and merges among the partitions, see `moves`. A failing case is shrunk and printed; `SHOAL_QUEUE_SEED` and `SHOAL_QUEUE_CASES` vary
//! what is tried.

mod heirs;
mod moves;
mod parcels;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use heirs::{Forwarding, a_forwarding};
use moves::{Move, Moves, Reached, a_move};
use parcels::{Transfer, a_transfer};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use shoal_model::{Given, Model};
use shoal_queue::{Effect, Frozen, Machine};
use shoal_types::limits::{DESCRIPTION_BYTES_MAX, LEASE_MAX};
use shoal_types::{
    BodyRef, Command, Deduplication, Delivery, Description, Epoch, HostId, Incarnation,
    KeptPartition, LeaseChange, MachineVersion, Origin, Outcome, PartitionId, PartitionSettings,
    Position, Receipt, Refusal, Request, RequestId, Revision, SendItem, SendResult, Sequence, Ts,
    ViewNumber,
};

const SECOND: u64 = 1_000_000;
/// All times are multiples of it, so that things often fall due at the very same instant.
const INSTANT: u64 = SECOND / 4;
const OPERATIONS: usize = 200;
/// The hosts' releases support versions 1 to this one.
const NEWEST: u16 = 4;

fn versions() -> RangeInclusive<MachineVersion> {
    MachineVersion(1)..=MachineVersion(NEWEST)
}

/// What happens next. Small numbers pick among what there is at that moment.
#[derive(Clone, Debug)]
enum Operation {
    Create(u8, Settings, i8),
    Configure(u8, Settings, i8),
    Delete(u8, i8),
    Describe(u8, u8, i8),
    Send(u8, Vec<Item>),
    Receive(u8, Wish),
    Acknowledge(u8, Vec<Pick>),
    Change(u8, Vec<(Pick, u8)>),
    Release(u8, Vec<Pick>, u8),
    Unreceive(u8, Vec<Pick>),
    Purge(u8),
    Tick,
    Raise(u16),
    /// The nth request from the end once more, from that origin.
    Repeat(u8, u8),
    /// The nth receive from the end.
    Cancel(u8),
    View(u8),
    Move(Move),
    Forward(Forwarding),
    Transfer(Transfer),
    Freeze,
    Reopen,
    Crash,
}

#[derive(Clone, Debug)]
struct Step {
    operation: Operation,
    /// Time since the step before; none: within the same entry.
    pause: Option<u64>,
    origin: u8,
    /// Seconds.
    deadline: u8,
    anonymous: bool,
}

#[derive(Clone, Debug)]
struct Settings {
    delay: u8,
    retention: u8,
    limits: u8,
}

#[derive(Clone, Debug)]
struct Item {
    large: bool,
    delay: u8,
    ttl: u8,
    group: u8,
    key: u8,
    fingerprint: u8,
}

#[derive(Clone, Debug)]
struct Wish {
    max: u8,
    visibility: u8,
    wait: u8,
    attempt: u8,
    auto_ack: bool,
}

/// The nth receipt from the end, perhaps with something wrong about it.
#[derive(Clone, Debug)]
struct Pick(u8, u8);

fn operation() -> impl Strategy<Value = Operation> {
    let p = prop_oneof![6 => 0..3u8, 1 => 3..6u8, 2 => 6..9u8];
    let settings = || {
        (0..8u8, 0..8u8, 0..8u8).prop_map(|(delay, retention, limits)| Settings {
            delay,
            retention,
            limits,
        })
    };
    let item = (any::<u8>(), 0..8u8, 0..8u8, 0..6u8, 0..12u8, 0..4u8).prop_map(
        |(large, delay, ttl, group, key, fingerprint)| Item {
            large: large < 6,
            delay,
            ttl,
            group,
            key,
            fingerprint,
        },
    );
    let wish = (0..9u8, 0..6u8, 0..6u8, 0..8u8, 0..5u8).prop_map(
        |(max, visibility, wait, attempt, auto_ack)| Wish {
            max,
            visibility,
            wait,
            attempt,
            auto_ack: auto_ack == 0,
        },
    );
    let pick = || (0..12u8, 0..60u8).prop_map(|(back, wrong)| Pick(back, wrong));
    let picks = move || prop::collection::vec(pick(), 1..5);
    prop_oneof![
        2 => (p.clone(), settings(), -1..3i8).prop_map(|(p, s, r)| Operation::Create(p, s, r)),
        1 => (p.clone(), settings(), -1..3i8).prop_map(|(p, s, r)| Operation::Configure(p, s, r)),
        1 => (0..12u8, -1..2i8).prop_map(|(p, r)| Operation::Delete(p, r)),
        1 => (p.clone(), 0..4u8, -1..3i8).prop_map(|(p, n, r)| Operation::Describe(p, n, r)),
        24 => (p.clone(), prop::collection::vec(item, 0..6)).prop_map(|(p, i)| Operation::Send(p, i)),
        28 => (p.clone(), wish).prop_map(|(p, w)| Operation::Receive(p, w)),
        12 => (p.clone(), picks()).prop_map(|(p, r)| Operation::Acknowledge(p, r)),
        5 => (p.clone(), prop::collection::vec((pick(), 0..5u8), 1..4))
            .prop_map(|(p, c)| Operation::Change(p, c)),
        5 => (p.clone(), picks(), 0..4u8).prop_map(|(p, r, d)| Operation::Release(p, r, d)),
        4 => (p.clone(), picks()).prop_map(|(p, r)| Operation::Unreceive(p, r)),
        1 => p.prop_map(Operation::Purge),
        5 => Just(Operation::Tick),
        1 => (1..=NEWEST).prop_map(Operation::Raise),
        8 => (0..20u8, 0..3u8).prop_map(|(back, origin)| Operation::Repeat(back, origin)),
        4 => (0..10u8).prop_map(Operation::Cancel),
        2 => (0..8u8).prop_map(Operation::View),
        18 => a_move().prop_map(Operation::Move),
        10 => a_forwarding().prop_map(Operation::Forward),
        24 => a_transfer().prop_map(Operation::Transfer),
        2 => Just(Operation::Freeze),
        1 => Just(Operation::Reopen),
        2 => Just(Operation::Crash),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let pause = prop_oneof![
        3 => Just(None),
        6 => (1..4u64).prop_map(|quarters| Some(quarters * INSTANT)),
        6 => (1..5u64).prop_map(|s| Some(s * SECOND)),
        2 => (5..60u64).prop_map(|s| Some(s * SECOND)),
        1 => (1..10u64).prop_map(|m| Some(m * 60 * SECOND)),
    ];
    (operation(), pause, 0..3u8, any::<u8>()).prop_map(|(operation, pause, origin, deadline)| {
        Step {
            operation,
            pause,
            origin,
            deadline: if deadline < 8 { 0 } else { deadline % 61 },
            anonymous: deadline == 255,
        }
    })
}

/// What a host was fed, to feed it again after a crash.
#[derive(Clone)]
enum Fed {
    Begin(Position),
    Apply(Request, Vec<BodyRef>),
    View(ViewNumber, Vec<Origin>),
}

struct Host {
    machine: Machine,
    /// Tells this host's body places from the other's.
    segment_base: u32,
    bodies: u32,
    placed: BTreeMap<(PartitionId, Sequence), BodyRef>,
    /// The last piece that each heir took.
    taken: BTreeMap<PartitionId, u64>,
    stored: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Frozen, but not encoded yet: the machine goes on meanwhile.
    frozen: Option<Frozen>,
    fed: Vec<Fed>,
}

impl Host {
    fn new(segment_base: u32) -> Self {
        Self {
            machine: Machine::supporting(versions()),
            segment_base,
            bodies: 0,
            placed: BTreeMap::new(),
            taken: BTreeMap::new(),
            stored: BTreeMap::new(),
            frozen: None,
            fed: Vec::new(),
        }
    }

    fn feed(&mut self, fed: Fed, effects: &mut Vec<Effect>) -> Option<Outcome> {
        self.fed.push(fed.clone());
        feed(&mut self.machine, &fed, effects)
    }

    fn apply(&mut self, request: &Request, effects: &mut Vec<Effect>) -> Outcome {
        let bodies: Vec<BodyRef> = request
            .command
            .bodies()
            .map(|_| {
                self.bodies += 1;
                BodyRef {
                    segment: self.segment_base + self.bodies / 7,
                    offset: self.bodies,
                }
            })
            .collect();
        let before = self.last_of(request);
        let outcome = self
            .feed(Fed::Apply(request.clone(), bodies.clone()), effects)
            .unwrap();
        if let Command::TakeParcel { partition, .. } = &request.command
            && self.last_of(request) > before
        {
            let last = self.last_of(request);
            let numbers = (last.0 + 1 - bodies.len() as u64)..;
            let placed = numbers.zip(&bodies);
            self.placed
                .extend(placed.map(|(n, body)| ((*partition, Sequence(n)), *body)));
        }
        if let (
            Outcome::Taken { through },
            Command::TakePiece {
                partition, piece, ..
            },
        ) = (&outcome, &request.command)
        {
            let before = self.taken.insert(*partition, *through).unwrap_or_default();
            if before < *through {
                let messages = piece.messages.iter().zip(&bodies);
                self.placed.extend(
                    messages.map(|(message, body)| ((*partition, message.sequence), *body)),
                );
            }
        }
        if let (Outcome::Sent(results), Some(partition)) = (&outcome, request.command.partition()) {
            for (result, body) in results.iter().zip(bodies) {
                if let SendResult::Accepted(sequence) = result {
                    // A repeated request is answered as before; its first body counts.
                    self.placed.entry((partition, *sequence)).or_insert(body);
                }
            }
        }
        outcome
    }

    /// The number of the last message of the partition that it is about.
    fn last_of(&self, request: &Request) -> Sequence {
        let partition = request.command.partition();
        let counts = partition.and_then(|id| self.machine.counts(id));
        counts.map_or(Sequence(0), |counts| counts.last_sequence)
    }

    fn write_frozen(&mut self) {
        for (key, value) in self.frozen.take().into_iter().flat_map(Frozen::into_writes) {
            match value {
                Some(value) => self.stored.insert(key, value),
                None => self.stored.remove(&key),
            };
        }
    }

    fn freeze(&mut self) {
        self.write_frozen();
        self.frozen = Some(self.machine.freeze());
        self.fed.clear();
    }

    /// Starts again from what was frozen last.
    fn restart(&mut self) {
        let before = self.machine.full_hash();
        self.write_frozen();
        self.machine = Machine::restore_supporting(versions(), self.stored.clone()).unwrap();
        for fed in &self.fed {
            feed(&mut self.machine, fed, &mut Vec::new());
        }
        assert_eq!(
            self.machine.full_hash(),
            before,
            "a restart changes nothing"
        );
    }

    /// Checks the body places in the deliveries, then takes them away: they are this host's own.
    fn strip(&self, deliveries: &mut [Delivery]) {
        for delivery in deliveries {
            let place = &self.placed[&(delivery.receipt.partition, delivery.sequence)];
            assert_eq!(delivery.body, *place, "{:?}", delivery.sequence);
            delivery.body = BodyRef::default();
        }
    }

    fn strip_all(&self, outcome: &mut Outcome, effects: &mut [Effect]) {
        if let Outcome::Received(deliveries) = outcome {
            self.strip(deliveries);
        }
        for Effect::Given { deliveries, .. } in effects {
            self.strip(deliveries);
        }
    }
}

/// The machine's effects in the model's words.
fn given(effects: Vec<Effect>) -> Vec<Given> {
    let given = |Effect::Given {
                     origin,
                     waiter,
                     deliveries,
                 }: Effect| Given {
        origin,
        waiter,
        deliveries,
    };
    effects.into_iter().map(given).collect()
}

fn feed(machine: &mut Machine, fed: &Fed, effects: &mut Vec<Effect>) -> Option<Outcome> {
    match fed {
        Fed::Begin(at) => machine.begin_entry(*at, effects),
        Fed::Apply(request, bodies) => return Some(machine.apply(request, bodies, effects)),
        Fed::View(view, origins) => machine.view_installed(*view, origins, effects),
    }
    None
}

/// The three of them side by side.
struct World {
    fifo: [bool; 3],
    hosts: [Host; 2],
    model: Model,
    at: Position,
    requests: Vec<Request>,
    receipts: Vec<Receipt>,
    revision: u64,
    moves: Moves,
}

impl World {
    fn new(fifo: [bool; 3]) -> Self {
        Self {
            fifo,
            hosts: [Host::new(0), Host::new(1_000_000)],
            model: Model::default(),
            at: Position {
                view: ViewNumber(1),
                ts: Ts(1_000 * SECOND),
                lane: HostId(1),
            },
            requests: Vec::new(),
            receipts: Vec::new(),
            revision: 10,
            moves: Moves::new(),
        }
    }

    fn begin(&mut self, pause: u64) {
        self.at.ts = self.at.ts.after(pause);
        let mut expected = Vec::new();
        self.model.begin_entry(self.at, &mut expected);
        self.compare(Fed::Begin(self.at), &expected);
    }

    fn compare(&mut self, fed: Fed, expected: &[Given]) {
        for host in &mut self.hosts {
            let mut effects = Vec::new();
            host.feed(fed.clone(), &mut effects);
            host.strip_all(&mut Outcome::Done, &mut effects);
            assert_eq!(given(effects), expected);
        }
        self.note_receipts(&Outcome::Done, expected);
    }

    fn note_receipts(&mut self, outcome: &Outcome, effects: &[Given]) {
        let received = match outcome {
            Outcome::Received(deliveries) => deliveries.as_slice(),
            _ => &[],
        };
        let given = effects.iter().flat_map(|given| &given.deliveries);
        let receipts = received
            .iter()
            .chain(given)
            .map(|delivery| delivery.receipt);
        self.receipts.extend(receipts);
    }

    fn request(&mut self, request: Request) {
        let mut effects = Vec::new();
        let outcome = self.model.apply(&request, &mut effects);
        for host in &mut self.hosts {
            let mut others = Vec::new();
            let mut answer = host.apply(&request, &mut others);
            host.strip_all(&mut answer, &mut others);
            assert_eq!(plain(&answer), plain(&outcome), "{request:?}");
            assert_eq!(given(others), effects, "{request:?}");
        }
        self.note_receipts(&outcome, &effects);
        let gave = effects.iter().any(|given| !given.deliveries.is_empty());
        self.moves.note(&request.command, &outcome, gave);
        self.requests.push(request);
    }

    fn take(&mut self, step: &Step) {
        if let Some(pause) = step.pause {
            self.begin(pause);
        }
        if let Operation::Move(whole) = &step.operation {
            for phase in whole.phases() {
                for command in self.move_commands(&phase) {
                    self.request_new(step, command);
                }
            }
        } else if let Operation::Forward(whole) = &step.operation {
            for phase in whole.phases() {
                let revision = self.next_revision(1);
                for command in self
                    .moves
                    .forwarding(&phase, revision, self.fifo, &self.model)
                {
                    self.request_new(step, command);
                }
            }
        } else if let Operation::Transfer(whole) = &step.operation {
            let newer = match whole {
                Transfer::Dies(.., newer, _)
                | Transfer::Start(.., newer, _)
                | Transfer::Cancel(_, _, newer) => *newer,
                _ => 0,
            };
            for phase in whole.phases() {
                let revision = self.next_revision(newer);
                for command in self.moves.transfer(&phase, revision, &self.model) {
                    self.request_new(step, command);
                }
            }
        } else if let Some(command) = self.command(&step.operation) {
            self.request_new(step, command);
        } else {
            self.meddle(&step.operation);
        }
    }

    fn request_new(&mut self, step: &Step, command: Command) {
        let fresh = RequestId(self.requests.len() as u128 + 1);
        let ahead = u64::from(step.deadline) * SECOND;
        self.request(Request {
            id: if step.anonymous { RequestId(0) } else { fresh },
            deadline: Ts((self.at.ts.0 + ahead).saturating_sub(u64::from(step.deadline == 0))),
            origin: origin(step.origin),
            command,
        });
    }

    fn move_commands(&mut self, what: &Move) -> Vec<Command> {
        let revision = self.next_revision(match what {
            Move::Seal(_, newer, _) => *newer,
            _ => 1,
        });
        let fifo = self.fifo;
        let settings = |slot: usize| PartitionSettings {
            fifo: fifo[slot],
            ..at_ease()
        };
        self.moves.commands(what, revision, settings, &self.model)
    }

    /// What is no new request.
    fn meddle(&mut self, operation: &Operation) {
        match operation {
            Operation::Repeat(back, by) => {
                let Some(at) = self.requests.len().checked_sub(1 + usize::from(*back)) else {
                    return;
                };
                let request = Request {
                    origin: origin(*by),
                    ..self.requests[at].clone()
                };
                self.request(request);
            }
            Operation::View(mask) => {
                self.at.view = self.at.view.next();
                let origins: Vec<Origin> = (0..3)
                    .filter(|n| mask & (1 << n) != 0)
                    .map(origin)
                    .collect();
                self.model.view_installed(&origins);
                self.compare(Fed::View(self.at.view, origins), &[]);
                self.begin(INSTANT);
            }
            Operation::Freeze => self.hosts[0].freeze(),
            Operation::Reopen => {
                self.hosts[0].freeze();
                self.hosts[0].restart();
            }
            Operation::Crash => self.hosts[0].restart(),
            _ => unreachable!("all others are commands"),
        }
    }

    fn command(&mut self, operation: &Operation) -> Option<Command> {
        let id = |p: &u8| self.moves.id(*p);
        Some(match operation {
            Operation::Create(p, settings, newer) => Command::CreatePartition {
                partition: id(p),
                settings: self.settings(*p, settings),
                revision: self.next_revision(*newer),
            },
            Operation::Configure(p, settings, newer) => Command::ConfigurePartition {
                partition: id(p),
                settings: self.settings(*p, settings),
                revision: self.next_revision(*newer),
            },
            Operation::Delete(p, newer) => {
                let partition = id(p);
                let revision = self.next_revision(*newer);
                if *p < 3 && *newer > 0 {
                    // Mostly go on with a new one.
                    self.moves.replace(usize::from(*p));
                }
                Command::DeletePartition {
                    partition,
                    revision,
                }
            }
            Operation::Describe(p, n, newer) => {
                let too_long = usize::from(*n == 3) * DESCRIPTION_BYTES_MAX;
                Command::Describe {
                    partition: id(p),
                    description: Description {
                        revision: self.next_revision(*newer),
                        bytes: vec![*n; usize::from(*n) + too_long].into(),
                    },
                }
            }
            Operation::Send(p, items) => Command::Send {
                partition: id(p),
                items: items
                    .iter()
                    .flat_map(|i| {
                        let fifo = self.fifo[usize::from(*p) % 3];
                        // Now and then enough that a standard queue's group is crowded.
                        let count = if i.key > 9 && !fifo { 5 } else { 1 };
                        std::iter::repeat_n(item(i, fifo), count)
                    })
                    .collect(),
            },
            Operation::Receive(p, wish) => Command::Receive {
                partition: id(p),
                max: if wish.max == 8 { 100 } else { wish.max.into() },
                visibility: [None, Some(0), Some(SECOND), Some(3 * SECOND), None, None]
                    [usize::from(wish.visibility)],
                wait_until: (wish.wait > 1)
                    .then(|| self.at.ts.after(u64::from(wish.wait - 2) * 7 * SECOND)),
                attempt: (wish.attempt < 3).then_some([wish.attempt; 16]),
                auto_ack: wish.auto_ack,
            },
            Operation::Acknowledge(p, picks) => Command::Acknowledge {
                partition: self.partition_of(*p, picks.first()),
                receipts: self.receipts(picks),
            },
            Operation::Change(p, changes) => Command::ChangeVisibility {
                partition: self.partition_of(*p, changes.first().map(|(pick, _)| pick)),
                changes: changes
                    .iter()
                    .filter_map(|(pick, seconds)| {
                        Some(LeaseChange {
                            receipt: self.receipt(pick)?,
                            visibility: if *seconds == 4 {
                                // Too long for what was received a while ago.
                                LEASE_MAX - 2 * SECOND
                            } else {
                                u64::from(*seconds) * SECOND
                            },
                        })
                    })
                    .collect(),
            },
            Operation::Release(p, picks, seconds) => Command::Release {
                partition: self.partition_of(*p, picks.first()),
                receipts: self.receipts(picks),
                delay: u64::from(*seconds) * SECOND,
            },
            Operation::Unreceive(p, picks) => Command::Unreceive {
                partition: self.partition_of(*p, picks.first()),
                receipts: self.receipts(picks),
            },
            Operation::Purge(p) => Command::Purge { partition: id(p) },
            Operation::Tick => Command::Tick,
            Operation::Raise(to) => Command::RaiseVersion {
                to: MachineVersion(*to),
            },
            Operation::Cancel(back) => {
                let receives = self.requests.iter().rev();
                let receives = receives.filter(|r| matches!(r.command, Command::Receive { .. }));
                let receive = receives.cycle().nth(usize::from(*back));
                Command::CancelWaiter {
                    partition: id(back),
                    waiter: receive.map_or(RequestId(0), |request| request.id),
                }
            }
            _ => return None,
        })
    }

    /// Mostly the partition that the receipt is of.
    fn partition_of(&self, p: u8, pick: Option<&Pick>) -> PartitionId {
        let receipt = pick.filter(|Pick(back, _)| back + p < 12);
        let receipt = receipt.and_then(|pick| self.receipt(pick));
        receipt.map_or_else(|| self.moves.id(p), |receipt| receipt.partition)
    }

    fn next_revision(&mut self, newer: i8) -> Revision {
        self.revision = self.revision.saturating_add_signed(newer.into());
        Revision(self.revision)
    }

    fn settings(&self, p: u8, settings: &Settings) -> PartitionSettings {
        PartitionSettings {
            epoch: self.moves.epoch(self.moves.id(p)),
            fifo: self.fifo[usize::from(p) % 3],
            delay: if settings.delay == 7 { 2 * SECOND } else { 0 },
            retention: [600, 600, 600, 600, 60, 60, 60, 10][usize::from(settings.retention)]
                * SECOND,
            max_messages: [u64::MAX, u64::MAX, u64::MAX, u64::MAX, 20, 10, 5, u64::MAX]
                [usize::from(settings.limits)],
            max_bytes: if settings.limits == 7 { 500 } else { u64::MAX },
            ..at_ease()
        }
    }

    fn receipt(&self, Pick(back, wrong): &Pick) -> Option<Receipt> {
        let at = self.receipts.len().checked_sub(1 + usize::from(*back))?;
        let mut receipt = self.receipts[at];
        match wrong {
            0 => receipt.lease += 1,
            1 => receipt.lease -= 1,
            2 => receipt.sequence.0 += 3,
            3 => receipt.sequence.0 += 1 << Sequence::NUMBER_BITS,
            4 => receipt.partition.0 += 1,
            5 => receipt.sequence.0 -= receipt.sequence.number(),
            _ => {}
        }
        Some(receipt)
    }

    fn receipts(&self, picks: &[Pick]) -> Vec<Receipt> {
        picks.iter().filter_map(|pick| self.receipt(pick)).collect()
    }

    fn check(&self, thoroughly: bool) {
        let [one, other] = &self.hosts;
        assert_eq!(one.machine.state_hash(), other.machine.state_hash());
        assert_eq!(one.machine.version().0, self.model.version().max(1));
        if let Some(due) = self.model.next_due() {
            // Blocks of what is only forgotten may be due before.
            let earliest = one.machine.next_due().expect("something is due");
            assert!(earliest <= due);
        }
        let mut totals = (0, 0);
        for id in self.model.partitions() {
            let counts = self.model.counts(id).unwrap();
            totals.0 += counts.ready + counts.in_flight + counts.delayed;
            totals.0 += self.model.outbox(id).unwrap().dead;
            totals.1 += counts.bytes;
            assert_eq!(one.machine.counts(id), Some(counts));
            assert_eq!(other.machine.counts(id), Some(counts));
            let peeked = one.machine.peek(id, 5).unwrap().into_iter();
            let peeked: Vec<_> = peeked.map(|(peeked, _)| peeked).collect();
            assert_eq!(Some(peeked), self.model.peek(id, 5));
            for host in self.hosts.iter().filter(|_| thoroughly) {
                self.check_succession(id, &host.machine);
            }
        }
        assert_eq!(one.machine.totals(), totals);
        let live = one.machine.live_bodies().values();
        let (bodies, bytes) = live.fold((0, 0), |(n, b), live| (n + live.bodies, b + live.bytes));
        assert!(bodies >= totals.0 && bytes >= totals.1);
        if thoroughly {
            assert_eq!(
                one.machine.partitions().count(),
                self.model.partitions().count()
            );
            assert_eq!(one.machine.full_hash(), other.machine.full_hash());
            self.check_kept(&one.machine);
            self.check_kept(&other.machine);
        }
    }

    fn check_kept(&self, machine: &Machine) {
        assert_eq!(machine.instructed(), self.model.instructed());
        let (mut after, mut kept) = (None, Vec::<KeptPartition>::new());
        loop {
            let (page, more) = machine.kept(after, 2);
            kept.extend(page);
            after = kept.last().map(|last| last.partition);
            if !more {
                break;
            }
        }
        let described = kept
            .iter()
            .map(|one| (one.partition, one.description.as_ref()));
        let model = &self.model;
        assert!(described.eq(model.partitions().map(|id| (id, model.description(id)))));
    }

    fn check_succession(&self, id: PartitionId, machine: &Machine) {
        let model = &self.model;
        assert_eq!(machine.succession(id), model.succession(id));
        assert_eq!(machine.is_drained(id), model.is_drained(id));
        assert_eq!(machine.groups_gone(id), model.groups_gone(id));
        let keyed = model.keyed_sends_at_seal(id);
        assert_eq!(machine.keyed_sends_at_seal(id, 0, 1_000_000), keyed);
        let two = keyed.map(|keyed| keyed.into_iter().skip(1).take(2).collect());
        assert_eq!(machine.keyed_sends_at_seal(id, 1, 2), two);
        let expected = model.piece(id);
        let piece = machine.piece(id);
        if let Some((_, piece, bodies)) = &piece {
            let placed = &self
                .hosts
                .iter()
                .find(|host| std::ptr::eq(&host.machine, machine));
            let placed = &placed.expect("it is one of them").placed;
            for (message, body) in piece.messages.iter().zip(bodies) {
                assert_eq!(placed[&(id, message.sequence)], *body);
            }
        }
        assert_eq!(
            piece.map(|(heir, piece, _)| (heir.partition, piece)),
            expected
        );
        let parcel = machine.parcel(id);
        let parcel = parcel.map(|(to, parcel, bodies)| {
            assert_eq!(parcel.messages.len(), bodies.len());
            (to.partition, parcel)
        });
        assert_eq!(parcel, model.parcel(id));
        let due = model.may_make_parcel(id, self.at.ts);
        assert_eq!(machine.may_make_parcel(id, self.at.ts), due);
        let sends = machine.senders().any(|sender| sender == id);
        assert!(sends || !due && machine.parcel(id).is_none());
        assert_eq!(machine.outbox(id), model.outbox(id));
        let heir = machine.heir(id).map(|(heir, made)| (heir.partition, made));
        assert_eq!(heir, model.heir(id));
        let is_sealed = machine.sealed().any(|sealed| sealed == id);
        assert_eq!(is_sealed, machine.groups_gone(id).is_some());
    }

    /// When everything's time is over nothing is left.
    fn drain(&mut self) {
        self.begin(2_000 * SECOND);
        self.begin(INSTANT);
        assert_eq!(self.hosts[0].machine.totals(), (0, 0));
        for host in &mut self.hosts {
            assert!(host.machine.live_bodies().is_empty());
            host.freeze();
            host.restart();
        }
        self.check(true);
        assert_eq!(self.hosts[0].stored, self.hosts[1].stored);
    }
}

/// Of a standard partition that refuses nothing.
fn at_ease() -> PartitionSettings {
    PartitionSettings {
        epoch: Epoch(0),
        fifo: false,
        visibility: 5 * SECOND,
        delay: 0,
        retention: 600 * SECOND,
        max_messages: u64::MAX,
        max_bytes: u64::MAX,
    }
}

fn origin(n: u8) -> Origin {
    Origin {
        host: HostId(n.into()),
        incarnation: Incarnation(1),
    }
}

/// The words of a refusal are for people; the code is what is promised.
fn plain(outcome: &Outcome) -> Outcome {
    match outcome {
        Outcome::Refused(refusal) => Outcome::Refused(Refusal::not_applied(refusal.code, "")),
        other => other.clone(),
    }
}

fn item(item: &Item, fifo: bool) -> SendItem {
    let group = if fifo { item.group % 5 } else { item.group };
    // A FIFO message without its group now and then.
    let grouped = if fifo {
        item.group < 5 || item.key != 3
    } else {
        group < 3
    };
    SendItem {
        size: if item.large {
            2_500_000
        } else {
            10 + u32::from(item.key)
        },
        crc: u32::from(item.ttl) << 8 | u32::from(item.delay),
        delay: [
            None,
            None,
            None,
            None,
            None,
            Some(0),
            Some(SECOND),
            Some(4 * SECOND),
        ][usize::from(item.delay)],
        ttl: [
            None,
            None,
            None,
            None,
            None,
            Some(0),
            Some(2 * SECOND),
            Some(30 * SECOND),
        ][usize::from(item.ttl)],
        group: grouped.then(|| ["a", "b", "c", "d", "e", "f"][usize::from(group)].into()),
        deduplication: (item.key < 4).then_some(Deduplication {
            key: [item.key; 16],
            fingerprint: (item.fingerprint > 0).then_some(u64::from(item.fingerprint) / 2),
        }),
    }
}

// Reading the environment is for the person at the keyboard; the test runs the same without.
#[allow(clippy::disallowed_methods)]
fn number_from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn agrees(fifo: [bool; 3], salt: u64) {
    let seed = number_from_environment("SHOAL_QUEUE_SEED", 1);
    let cases = number_from_environment("SHOAL_QUEUE_CASES", 1_000);
    println!("SHOAL_QUEUE_SEED={seed} SHOAL_QUEUE_CASES={cases}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&salt.to_le_bytes());
    let config = Config {
        cases: u32::try_from(cases).expect("fewer than four billion cases"),
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let steps = prop::collection::vec(step(), OPERATIONS);
    let reached = RefCell::new(BTreeMap::<Reached, u64>::new());
    let checked = TestRunner::new_with_rng(config, rng).run(&steps, |steps| {
        let mut world = World::new(fifo);
        world.begin(INSTANT);
        let all_at_ease = Settings {
            delay: 0,
            retention: 0,
            limits: 0,
        };
        // Mostly with fair turns from the beginning.
        let version = if steps[0].origin == 0 { 2 } else { 3 };
        let create = (0..3).map(|p| Operation::Create(p, all_at_ease.clone(), 0));
        for operation in std::iter::once(Operation::Raise(version)).chain(create) {
            world.take(&Step {
                operation,
                pause: None,
                origin: 0,
                deadline: 60,
                anonymous: false,
            });
        }
        for (n, step) in steps.iter().enumerate() {
            world.take(step);
            world.check(n % 10 == 0);
        }
        world.drain();
        for (what, times) in &world.moves.reached {
            *reached.borrow_mut().entry(*what).or_default() += times;
        }
        Ok(())
    });
    if let Err(failure) = checked {
        panic!("{failure}");
    }
    let reached = reached.into_inner();
    println!("{reached:?}");
    let mut wanted = Reached::EVERYWHERE.to_vec();
    if fifo[2] {
        wanted.extend(Reached::IN_FIFO_QUEUES);
    }
    for what in wanted.iter().filter(|_| (seed, cases) == (1, 1_000)) {
        assert!(reached.contains_key(what), "{what:?} was never reached");
    }
}

#[test]
fn standard_queues_agree_with_the_model() {
    agrees([false; 3], 1);
}

#[test]
fn fifo_queues_agree_with_the_model() {
    agrees([true; 3], 2);
}

#[test]
fn queues_of_both_kinds_agree_with_the_model() {
    agrees([false, true, true], 4);
}
