//! Goal: whatever is lost, repeated and late between two clusters, a message that was received as often as its
//! queue says stands in the dead-letter queue once, and none is lost; also if the dead-letter queue moves and
//! its first partition is deleted.
//!
//! Method: random consumers at the source, and a courier that any number of hosts share: parcels and answers are
//! kept in two bags, from which they arrive at any time, any number of times, or never. In the end the courier
//! does what it should, and every message that was sent is looked for. `SHOAL_QUEUE_SEED` and
//! `SHOAL_QUEUE_CASES` vary what is tried.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use shoal_queue::{MACHINE_VERSION_MAX, Machine};
use shoal_types::{
    BodyRef, ClusterId, ClusterMember, Command, DeadLetters, Delivery, Epoch, ErrorCode, GroupName,
    GroupRange, HostId, Inherited, LeaseChange, Outcome, Parcel, PartitionId, PartitionSettings,
    Position, QueueId, Receipt, Request, RequestId, Revision, SendItem, Successor, Target,
    TargetPart, Ts, ViewNumber,
};

const SECOND: u64 = 1_000_000;
const SOURCE: PartitionId = PartitionId(1);
const DEAD: PartitionId = PartitionId(2);
const NEXT: PartitionId = PartitionId(3);
const MAX_RECEIVES: u16 = 2;
const STEPS: usize = 150;

#[derive(Clone, Copy, Debug)]
enum Step {
    Send(u8),
    Receive(u8),
    /// The nth delivery from the end: how its lease ends.
    Acknowledge(u8),
    Release(u8),
    Unreceive(u8),
    Extend(u8),
    Wait(u8),
    /// Some host asks for the next parcel, by what it knows.
    Ask,
    /// The parcel on its way is sent once more.
    Ship,
    /// The nth parcel arrives; whether it can arrive again, and whether the answer gets back.
    Arrive(u8, bool, bool),
    /// The nth answer gets back; whether it can again.
    Hear(u8, bool),
    /// Consumers of the dead-letter queue delete what they find.
    Clear,
    /// What the manager does next to move the dead-letter queue.
    MoveOn,
    RestartSource,
    RestartTarget,
}

fn a_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4u8).prop_map(Step::Send),
        12 => (1..6u8).prop_map(Step::Receive),
        2 => (0..6u8).prop_map(Step::Acknowledge),
        8 => (0..6u8).prop_map(Step::Release),
        3 => (0..6u8).prop_map(Step::Unreceive),
        1 => (0..6u8).prop_map(Step::Extend),
        5 => (1..8u8).prop_map(Step::Wait),
        8 => Just(Step::Ask),
        10 => Just(Step::Ship),
        14 => (any::<u8>(), any::<bool>(), any::<bool>())
            .prop_map(|(n, again, heard)| Step::Arrive(n, again, heard)),
        12 => (any::<u8>(), any::<bool>()).prop_map(|(n, again)| Step::Hear(n, again)),
        2 => Just(Step::Clear),
        3 => Just(Step::MoveOn),
        1 => Just(Step::RestartSource),
        1 => Just(Step::RestartTarget),
    ]
}

/// One cluster.
struct Cluster {
    machine: Machine,
    at: Position,
    bodies: u32,
}

impl Cluster {
    fn new(start: Ts) -> Self {
        let mut cluster = Self {
            machine: Machine::new(),
            at: Position {
                view: ViewNumber(1),
                ts: start,
                lane: HostId(1),
            },
            bodies: 0,
        };
        let to = MACHINE_VERSION_MAX;
        cluster.ask(Command::RaiseVersion { to });
        cluster
    }

    fn wait(&mut self, micros: u64) {
        self.at.ts = self.at.ts.after(micros);
        self.machine.begin_entry(self.at, &mut Vec::new());
    }

    fn ask(&mut self, command: Command) -> Outcome {
        self.wait(1);
        let bodies = command.bodies().map(|_| {
            self.bodies += 1;
            BodyRef {
                segment: self.bodies / 5,
                offset: self.bodies,
            }
        });
        let bodies: Vec<_> = bodies.collect();
        let request = Request {
            id: RequestId(0),
            deadline: Ts::MAX,
            origin: Default::default(),
            command,
        };
        self.machine.apply(&request, &bodies, &mut Vec::new())
    }

    #[track_caller]
    fn done(&mut self, command: Command) {
        assert_eq!(self.ask(command), Outcome::Done);
    }

    fn restart(&mut self) {
        let hash = self.machine.full_hash();
        let rows = self.machine.freeze_whole().into_writes();
        let rows = rows.filter_map(|(key, value)| Some((key, value?)));
        self.machine = Machine::restore(rows.collect::<Vec<_>>()).unwrap();
        assert_eq!(self.machine.full_hash(), hash);
    }

    fn receive(&mut self, partition: PartitionId, max: u16) -> Vec<Delivery> {
        let outcome = self.ask(Command::Receive {
            partition,
            max,
            visibility: Some(5 * SECOND),
            wait_until: None,
            attempt: None,
            auto_ack: false,
        });
        match outcome {
            Outcome::Received(deliveries) => deliveries,
            Outcome::Refused(refusal) if refusal.code == ErrorCode::QueueNotFound => Vec::new(),
            other => panic!("{other:?}"),
        }
    }

    fn acknowledge(&mut self, partition: PartitionId, receipts: Vec<Receipt>) -> bool {
        let outcome = self.ask(Command::Acknowledge {
            partition,
            receipts,
        });
        let Outcome::Receipts(results) = outcome else {
            panic!("{outcome:?}")
        };
        results
            .iter()
            .all(|result| *result == shoal_types::ReceiptResult::Done)
    }
}

fn settings(fifo: bool, epoch: u32) -> PartitionSettings {
    PartitionSettings {
        epoch: Epoch(epoch),
        fifo,
        visibility: 5 * SECOND,
        delay: 0,
        retention: 1_000_000 * SECOND,
        max_messages: u64::MAX,
        max_bytes: u64::MAX,
    }
}

fn members() -> Vec<ClusterMember> {
    vec![ClusterMember {
        host: HostId(1),
        address: "there:1".to_owned(),
    }]
}

fn dead_letters(to: PartitionId, revision: u64) -> Command {
    Command::SetDeadLetters {
        partition: SOURCE,
        dead_letters: Some(Box::new(DeadLetters {
            queue: QueueId(1),
            max_receives: MAX_RECEIVES,
            to: Target {
                queue: QueueId(2),
                parts: vec![TargetPart {
                    partition: to,
                    cluster: ClusterId(2),
                    members: members(),
                    groups: GroupRange::ALL,
                }],
            },
        })),
        revision: Revision(revision),
    }
}

/// How often what happened, to see that it did.
type Reached = BTreeMap<&'static str, u64>;

struct World {
    fifo: bool,
    source: Cluster,
    target: Cluster,
    parcels: Vec<(PartitionId, Parcel)>,
    answers: Vec<(u64, Outcome)>,
    deliveries: Vec<Delivery>,
    /// By number: how often it was received, unless nobody saw it.
    received: BTreeMap<u64, u16>,
    acknowledged: BTreeSet<u64>,
    sent: u64,
    /// What was found in the dead-letter queue, in order: number at the source, and group.
    found: Vec<(u64, Option<GroupName>)>,
    moved: u8,
    reached: Reached,
}

impl World {
    fn new(fifo: bool) -> Self {
        let mut source = Cluster::new(Ts(1_000 * SECOND));
        // Its clock is behind.
        let mut target = Cluster::new(Ts(900 * SECOND));
        for (cluster, partition) in [(&mut source, SOURCE), (&mut target, DEAD)] {
            cluster.done(Command::CreatePartition {
                partition,
                settings: settings(fifo, 0),
                revision: Revision(1),
            });
        }
        source.done(dead_letters(DEAD, 1));
        Self {
            fifo,
            source,
            target,
            parcels: Vec::new(),
            answers: Vec::new(),
            deliveries: Vec::new(),
            received: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            sent: 0,
            found: Vec::new(),
            moved: 0,
            reached: Reached::new(),
        }
    }

    fn reach(&mut self, what: &'static str) {
        *self.reached.entry(what).or_default() += 1;
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Send(group) => self.send(group),
            Step::Receive(max) => {
                let deliveries = self.source.receive(SOURCE, max.into());
                for delivery in &deliveries {
                    let times = self.received.entry(delivery.sequence.number()).or_default();
                    *times += 1;
                    assert!(*times <= MAX_RECEIVES, "{delivery:?}");
                    assert!(!self.acknowledged.contains(&delivery.sequence.number()));
                }
                self.deliveries.extend(deliveries);
            }
            Step::Acknowledge(back) => {
                if let Some(receipt) = self.receipt(back)
                    && self.source.acknowledge(SOURCE, vec![receipt])
                {
                    self.acknowledged.insert(receipt.sequence.number());
                }
            }
            Step::Release(back) => {
                let receipts = self.receipt(back).into_iter().collect();
                self.source.ask(Command::Release {
                    partition: SOURCE,
                    receipts,
                    delay: 0,
                });
            }
            Step::Unreceive(back) => {
                let Some(receipt) = self.receipt(back) else {
                    return;
                };
                let outcome = self.source.ask(Command::Unreceive {
                    partition: SOURCE,
                    receipts: vec![receipt],
                });
                if outcome == Outcome::Receipts(vec![shoal_types::ReceiptResult::Done]) {
                    let times = self.received.get_mut(&receipt.sequence.number());
                    *times.expect("it was received") -= 1;
                }
            }
            Step::Extend(back) => {
                let change = |receipt| LeaseChange {
                    receipt,
                    visibility: 20 * SECOND,
                };
                let changes = self.receipt(back).into_iter().map(change).collect();
                self.source.ask(Command::ChangeVisibility {
                    partition: SOURCE,
                    changes,
                });
            }
            Step::Wait(seconds) => {
                self.source.wait(u64::from(seconds) * SECOND);
                self.target.wait(u64::from(seconds) * SECOND);
            }
            Step::Ask => {
                // Nothing is known to have been taken.
                self.source.ask(Command::NextParcel {
                    partition: SOURCE,
                    taken: 0,
                });
            }
            Step::Ship => {
                if let Some((to, parcel, _)) = self.source.machine.parcel(SOURCE) {
                    self.parcels.push((to.partition, parcel));
                }
            }
            Step::Arrive(n, again, heard) => self.arrive(n, again, heard),
            Step::Hear(n, again) => self.hear(n, again),
            Step::Clear => {
                self.clear(DEAD);
                self.clear(NEXT);
            }
            Step::MoveOn => self.move_on(),
            Step::RestartSource => self.source.restart(),
            Step::RestartTarget => self.target.restart(),
        }
    }

    fn send(&mut self, group: u8) {
        let group = (self.fifo || group < 3).then(|| ["a", "b", "c", "d"][group as usize].into());
        let size = 1 + self.sent as u32;
        let sent = self.source.ask(Command::Send {
            partition: SOURCE,
            items: vec![SendItem {
                size,
                crc: size,
                delay: None,
                ttl: None,
                group,
                deduplication: None,
            }],
        });
        assert!(matches!(sent, Outcome::Sent(_)), "{sent:?}");
        self.sent += 1;
    }

    fn receipt(&self, back: u8) -> Option<Receipt> {
        let delivery = self.deliveries.iter().rev().nth(back.into())?;
        Some(delivery.receipt)
    }

    fn arrive(&mut self, n: u8, again: bool, heard: bool) {
        if self.parcels.is_empty() {
            return;
        }
        let at = usize::from(n) % self.parcels.len();
        let (partition, parcel) = match again {
            true => self.parcels[at].clone(),
            false => self.parcels.remove(at),
        };
        let (number, settles) = (parcel.number, parcel.messages.is_empty());
        let outcome = self.target.ask(Command::TakeParcel {
            partition,
            from: SOURCE,
            parcel,
        });
        self.reach(match &outcome {
            Outcome::Taken { .. } if settles => "settled",
            Outcome::Taken { through } if *through > number => "late",
            Outcome::Taken { .. } => "taken",
            Outcome::Sealed(_) => "sealed",
            Outcome::Closed { .. } => "closed",
            Outcome::Refused(_) => "refused",
            _ => "else",
        });
        if heard {
            self.answers.push((number, outcome));
        }
    }

    /// What a host does that gets this answer.
    fn hear(&mut self, n: u8, again: bool) {
        if self.answers.is_empty() {
            return;
        }
        let at = usize::from(n) % self.answers.len();
        let (parcel, outcome) = match again {
            true => self.answers[at].clone(),
            false => self.answers.remove(at),
        };
        let partition = SOURCE;
        let command = match outcome {
            Outcome::Taken { through } => Command::NextParcel {
                partition,
                taken: through,
            },
            Outcome::Sealed(seal) => Command::RedirectParcel {
                partition,
                parcel,
                seal,
            },
            Outcome::Refused(refusal) => {
                assert_eq!(refusal.code, ErrorCode::QueueNotFound);
                Command::ReturnParcel { partition, parcel }
            }
            _ => return,
        };
        self.source.done(command);
        assert!(!self.source.machine.outbox(SOURCE).unwrap().target_gone);
    }

    fn clear(&mut self, partition: PartitionId) {
        if self.target.machine.counts(partition).is_none() {
            return;
        }
        let deliveries = self.target.receive(partition, 1_000);
        if deliveries.is_empty() {
            return;
        }
        for delivery in &deliveries {
            let died = delivery.dead_from.as_ref().expect("it died");
            let number = died.message.sequence.number();
            assert_eq!(died.message.partition, SOURCE);
            assert_eq!(died.receives, MAX_RECEIVES);
            assert_eq!(self.received.get(&number), Some(&MAX_RECEIVES));
            assert_eq!(u64::from(delivery.size), number, "its own body");
            self.found.push((number, delivery.group.clone()));
        }
        let receipts = deliveries.iter().map(|one| one.receipt).collect();
        assert!(self.target.acknowledge(partition, receipts));
    }

    /// The dead-letter queue moves: a successor, the seal, the successor hears of it, sources hear of the
    /// successor, and the first partition is deleted when nothing is left in it.
    fn move_on(&mut self) {
        let seal = || {
            let (seal, _) = self.target.machine.seal_of(DEAD).expect("it is sealed");
            Box::new(seal.clone())
        };
        let command = match self.moved {
            0 => Command::CreateSuccessor {
                partition: NEXT,
                settings: settings(self.fifo, 1),
                revision: Revision(2),
                succeeds: vec![DEAD],
            },
            1 => Command::Seal {
                partition: DEAD,
                successors: vec![Successor {
                    partition: NEXT,
                    epoch: Epoch(1),
                    cluster: ClusterId(2),
                    members: members(),
                    groups: GroupRange::ALL,
                }],
                revision: Revision(3),
            },
            2 => Command::Succeed {
                partition: NEXT,
                seal: seal(),
                news: Inherited::Seal,
            },
            3 => {
                self.source.done(dead_letters(NEXT, 4));
                self.moved += 1;
                return;
            }
            4 if self.target.machine.is_drained(DEAD) => Command::Succeed {
                partition: NEXT,
                seal: seal(),
                news: Inherited::Drained,
            },
            5 => Command::DeletePartition {
                partition: DEAD,
                revision: Revision(5),
            },
            _ => return,
        };
        let outcome = self.target.ask(command);
        assert!(
            matches!(outcome, Outcome::Done | Outcome::Sealed(_)),
            "{outcome:?}"
        );
        self.moved += 1;
        if self.moved == 6 {
            self.reach("deleted");
        }
    }

    /// Everything is carried as it should be, and consumers fail until nothing is left.
    fn finish(&mut self) {
        for _ in 0..200 {
            self.take(Step::Receive(100));
            self.take(Step::Wait(30));
            self.take(Step::Ask);
            self.take(Step::Ship);
            while !self.parcels.is_empty() {
                self.take(Step::Arrive(0, false, true));
            }
            while !self.answers.is_empty() {
                self.take(Step::Hear(0, false));
            }
            self.take(Step::Clear);
            self.take(Step::MoveOn);
        }
        assert_eq!(self.source.machine.totals(), (0, 0), "all of them died");
        assert_eq!(self.source.machine.senders().count(), 0);
        assert_eq!(self.target.machine.totals(), (0, 0));
        assert_eq!(self.moved, 6, "its first partition could be deleted");
        let mut seen = BTreeSet::new();
        let mut last: BTreeMap<GroupName, u64> = BTreeMap::new();
        for (number, group) in &self.found {
            assert!(seen.insert(*number), "{number} came twice");
            assert!(!self.acknowledged.contains(number), "{number} was deleted");
            if let Some(group) = group.as_ref().filter(|_| self.fifo) {
                let before = last.insert(group.clone(), *number);
                assert!(before < Some(*number), "{group}: {before:?}, {number}");
            }
        }
        seen.extend(&self.acknowledged);
        assert_eq!(seen, (1..=self.sent).collect(), "none is lost");
    }
}

// Reading the environment is for the person at the keyboard; the test runs the same without.
#[allow(clippy::disallowed_methods)]
fn number_from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn arrives_once(fifo: bool) {
    let seed = number_from_environment("SHOAL_QUEUE_SEED", 1);
    let cases = number_from_environment("SHOAL_QUEUE_CASES", 300);
    println!("SHOAL_QUEUE_SEED={seed} SHOAL_QUEUE_CASES={cases}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8] = u8::from(fifo);
    let config = Config {
        cases: u32::try_from(cases).expect("fewer than four billion cases"),
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let steps = prop::collection::vec(a_step(), STEPS);
    let reached = std::cell::RefCell::new(Reached::new());
    let checked = TestRunner::new_with_rng(config, rng).run(&steps, |steps| {
        let mut world = World::new(fifo);
        for step in &steps {
            world.take(*step);
        }
        world.finish();
        for (what, times) in &world.reached {
            *reached.borrow_mut().entry(what).or_default() += times;
        }
        Ok(())
    });
    if let Err(failure) = checked {
        panic!("{failure}");
    }
    let reached = reached.into_inner();
    println!("{reached:?}");
    for what in [
        "taken", "late", "settled", "sealed", "closed", "refused", "deleted",
    ] {
        assert!(reached.contains_key(what), "{what} was never reached");
    }
}

#[test]
fn dead_letters_of_standard_queues_arrive_once() {
    arrives_once(false);
}

#[test]
fn dead_letters_of_fifo_queues_arrive_once_and_in_order() {
    arrives_once(true);
}
