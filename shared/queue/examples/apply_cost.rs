//! What executing costs: nanoseconds of processor time per message of send, receive and acknowledge,
//! and bytes of memory per waiting message, group and empty queue. Reads `/proc`, so Linux only.
//!
//! ```text
//! cargo run --release -p shoal-queue --example apply_cost
//! ```
// This program measures the machine from outside; the machine itself reads no clock and no file.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::hint::black_box;

use shoal_queue::{MACHINE_VERSION_MAX, Machine};
use shoal_types::{
    BodyRef, Command, Epoch, GroupName, HostId, Incarnation, MachineVersion, Origin, Outcome,
    PartitionId, PartitionSettings, Position, Receipt, Request, RequestId, Revision, SendItem, Ts,
    ViewNumber,
};

const SECOND: u64 = 1_000_000;
const QUEUE: PartitionId = PartitionId(1);

/// A machine and what feeds it: one entry per request, 50 µs apart: 20,000 requests a second with
/// deadlines of 10 s, so 200,000 of them are remembered at any time.
struct Driver {
    machine: Machine,
    now: u64,
    requests: u128,
    body: BodyRef,
    /// Which the messages belong to in turn, if to any.
    groups: Vec<GroupName>,
}

impl Driver {
    fn new() -> Self {
        Self {
            machine: Machine::new(),
            now: 1_000 * SECOND,
            requests: 0,
            body: BodyRef::default(),
            groups: Vec::new(),
        }
    }

    fn apply(&mut self, command: Command, bodies: &[BodyRef]) -> Outcome {
        self.now += 50;
        self.requests += 1;
        let mut effects = Vec::new();
        let at = Position {
            view: ViewNumber(1),
            ts: Ts(self.now),
            lane: HostId(1),
        };
        let request = Request {
            // Spread like the random ids of life.
            id: RequestId(
                self.requests
                    .wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835),
            ),
            deadline: Ts(self.now + 10 * SECOND),
            origin: Origin {
                host: HostId(1),
                incarnation: Incarnation(1),
            },
            command,
        };
        self.machine.begin_entry(at, &mut effects);
        self.machine.apply(&request, bodies, &mut effects)
    }

    /// Lets the time pass after which no request is remembered.
    fn forget_requests(&mut self) {
        self.now += 100 * SECOND;
        for _ in 0..20 {
            self.apply(Command::Tick, &[]);
        }
    }

    fn create(&mut self, partition: PartitionId, fifo: bool) {
        let to = MACHINE_VERSION_MAX;
        self.create_by(partition, fifo, to);
    }

    /// By these rules.
    fn create_by(&mut self, partition: PartitionId, fifo: bool, to: MachineVersion) {
        self.apply(Command::RaiseVersion { to }, &[]);
        let settings = PartitionSettings {
            epoch: Epoch(0),
            fifo,
            visibility: 30 * SECOND,
            delay: 0,
            retention: 345_600 * SECOND,
            max_messages: u64::MAX,
            max_bytes: u64::MAX,
        };
        let revision = Revision(1);
        self.apply(
            Command::CreatePartition {
                partition,
                settings,
                revision,
            },
            &[],
        );
    }

    fn send(&mut self, count: usize) {
        let item = |n: usize| SendItem {
            size: 1_024,
            crc: n as u32,
            delay: None,
            ttl: None,
            group: self.groups.get(n % self.groups.len().max(1)).cloned(),
            deduplication: None,
        };
        let first = self.body.offset as usize;
        let items = (first..).take(count).map(item).collect();
        self.body.offset += count as u32;
        self.body.segment = self.body.offset / 60_000;
        let partition = QUEUE;
        let bodies = vec![self.body; count];
        black_box(self.apply(Command::Send { partition, items }, &bodies));
    }

    fn receive(&mut self, max: u16) -> Vec<Receipt> {
        let outcome = self.apply(
            Command::Receive {
                partition: QUEUE,
                max,
                visibility: None,
                wait_until: None,
                attempt: None,
                auto_ack: false,
            },
            &[],
        );
        match outcome {
            Outcome::Received(deliveries) => deliveries.iter().map(|d| d.receipt).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn acknowledge(&mut self, receipts: Vec<Receipt>) {
        let partition = QUEUE;
        let command = Command::Acknowledge {
            partition,
            receipts,
        };
        black_box(self.apply(command, &[]));
    }
}

/// What a queue's messages have groups for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Groups {
    Fifo,
    Turns,
    /// A standard queue by rules that knew no turns.
    Nothing,
}

/// Rounds of sending 10,000 messages, receiving and acknowledging them all.
fn cycles(name: &str, backlog: usize, batch: usize, groups: usize, for_what: Groups) {
    const ROUND: usize = 10_000;
    const ROUNDS: usize = 100;
    let mut driver = Driver::new();
    driver.groups = (0..groups).map(group_name).collect();
    let rules = match for_what {
        Groups::Nothing => MachineVersion(2),
        Groups::Fifo | Groups::Turns => MACHINE_VERSION_MAX,
    };
    driver.create_by(QUEUE, for_what == Groups::Fifo, rules);
    for _ in 0..backlog / 1_000 {
        driver.send(1_000);
    }
    let mut spent = [0; 3];
    for round in 0..2 * ROUNDS {
        let start = processor_time();
        for _ in 0..ROUND / batch {
            driver.send(batch);
        }
        let sent = processor_time();
        let mut received = Vec::with_capacity(ROUND / batch);
        for _ in 0..ROUND / batch {
            received.push(driver.receive(batch as u16));
        }
        let leased = processor_time();
        for receipts in received {
            driver.acknowledge(receipts);
        }
        let acknowledged = processor_time();
        // The first half fills caches and memory.
        if round >= ROUNDS {
            spent[0] += sent - start;
            spent[1] += leased - sent;
            spent[2] += acknowledged - leased;
        }
    }
    let [send, receive, acknowledge] = spent.map(|nanos| nanos / (ROUND * ROUNDS) as u64);
    println!(
        "{name:<42} send {send:>5} ns, receive {receive:>5} ns, acknowledge {acknowledge:>5} ns per message"
    );
}

fn group_name(n: usize) -> GroupName {
    format!("group-{n:07}").into()
}

fn read(path: &str, field: usize) -> u64 {
    let text = std::fs::read_to_string(path).expect("Linux has it");
    let field = text.split_whitespace().nth(field);
    field.and_then(|n| n.parse().ok()).expect("it is a number")
}

/// Nanoseconds that this thread was on a processor.
fn processor_time() -> u64 {
    read("/proc/thread-self/schedstat", 0)
}

/// Memory of this process, in bytes.
fn resident() -> u64 {
    read("/proc/self/statm", 1) * 4_096
}

fn memory(name: &str, count: usize, fill: impl FnOnce(&mut Driver)) {
    let before = resident();
    let mut driver = Driver::new();
    let start = processor_time();
    fill(&mut driver);
    let nanos = (processor_time() - start) / count as u64;
    (0..50).for_each(|_| driver.forget_requests());
    println!(
        "{name:<34} {:>5.1} bytes each computed, {:>5.1} resident ({nanos} ns each to make)",
        driver.machine.memory_estimate() as f64 / count as f64,
        resident().saturating_sub(before) as f64 / count as f64,
    );
    // What the next measurement allocates is to be new to the process.
    std::mem::forget(driver);
}

fn main() {
    const MANY: usize = 4_000_000;
    memory("waiting messages", MANY, |driver| {
        driver.create(QUEUE, false);
        for n in 0..MANY / 1_000 {
            driver.send(1_000);
            if n % 100 == 0 {
                driver.forget_requests();
            }
        }
    });
    const GROUPS: usize = 1_000_000;
    memory("groups of one message", GROUPS, |driver| {
        driver.create(QUEUE, true);
        for n in 0..GROUPS / 1_000 {
            // Each message has a name of its own, as if it came from the wire.
            driver.groups = (n * 1_000..).take(1_000).map(group_name).collect();
            driver.send(1_000);
        }
        driver.groups.clear();
    });
    memory("groups by turns, of one message", GROUPS, |driver| {
        driver.create(QUEUE, false);
        for n in 0..GROUPS / 1_000 {
            driver.groups = (n * 1_000..).take(1_000).map(group_name).collect();
            driver.send(1_000);
        }
        driver.groups.clear();
    });
    const QUEUES: usize = 1_000_000;
    memory("empty queues", QUEUES, |driver| {
        for n in 0..QUEUES as u64 {
            driver.create(PartitionId(n), false);
        }
    });
    let turns = Groups::Turns;
    cycles("batch 1", 0, 1, 0, turns);
    cycles("batch 1, 1,000,000 waiting", 1_000_000, 1, 0, turns);
    cycles("batch 10", 0, 10, 0, turns);
    cycles("batch 10, 1,000,000 waiting", 1_000_000, 10, 0, turns);
    cycles("batch 100", 0, 100, 0, turns);
    let fifo = Groups::Fifo;
    cycles("FIFO, 20,000 groups, batch 1", 0, 1, 20_000, fifo);
    cycles("FIFO, 20,000 groups, batch 10", 0, 10, 20_000, fifo);
    for groups in [1, 1_000, 100_000] {
        let waiting = groups.max(1_000);
        let name = format!("{groups} groups, without turns, batch 10");
        cycles(&name, waiting, 10, groups, Groups::Nothing);
        let name = format!("{groups} groups by turns, batch 10");
        cycles(&name, waiting, 10, groups, turns);
    }
}
