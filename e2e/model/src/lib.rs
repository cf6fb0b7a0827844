//! What the queues are to do, said a second time in the plainest way: every message in one list,
//! every question answered by looking at all of it.
//!
//! A reference to hold the real state machine against, in `shared/queue`'s tests and in the simulator.
//! Shares nothing with `shoal-queue` but the vocabulary of `shoal-types`, and is allowed to be slow.

mod executing;
mod forwarding;
mod looking;
mod partition;
mod succession;
mod transfers;
mod turns;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};

use partition::{Leases, Partition, Wanted, When};
use shoal_types::limits::DUE_ITEMS_PER_ENTRY;
use shoal_types::{Delivery, Origin, Outcome, PartitionId, Position, RequestId, Revision, Ts};

/// A waiting receive was given messages; none: its wait is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Whose client waits.
    pub origin: Origin,
    /// The request id of the receive.
    pub waiter: RequestId,
    /// What it gets.
    pub deliveries: Vec<Delivery>,
}

/// All queues of a cluster.
#[derive(Default)]
pub struct Model {
    now: Ts,
    /// To which version the rules were raised last; 0 if never.
    version: u16,
    partitions: BTreeMap<PartitionId, Partition>,
    deleted: BTreeMap<PartitionId, Revision>,
    seen: BTreeMap<RequestId, (Ts, Answer)>,
    /// In the order in which they began to wait.
    waiters: Vec<Waiter>,
}

enum Answer {
    Plain(Outcome),
    Taken(Vec<Delivery>),
    Leased(PartitionId, Origin, Leases),
    /// Under an attempt id.
    Attempted(PartitionId, Leases),
    Waiting,
}

#[derive(Clone)]
struct Waiter {
    id: RequestId,
    partition: PartitionId,
    origin: Origin,
    until: Ts,
    wanted: Wanted,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Death(u64),
    Revival(u64),
    Lease(u64),
    Delay(u64),
    TimeToLive(u64),
    Retention(u64),
    Wait(RequestIdByAge),
    Source(PartitionId),
}

/// A waiter's place in the list of waiters, and its id.
type RequestIdByAge = (usize, RequestId);

impl Model {
    /// An entry begins: its time comes, and what is due by then is done.
    pub fn begin_entry(&mut self, at: Position, effects: &mut Vec<Given>) {
        self.now = at.ts;
        let mut touched = BTreeSet::new();
        for _ in 0..DUE_ITEMS_PER_ENTRY {
            let Some((at, partition, due)) = self.due(None) else {
                break;
            };
            if at > self.now {
                break;
            }
            self.do_due(partition, due, effects);
            touched.insert(partition);
        }
        for partition in touched {
            self.serve_waiters(partition, effects);
        }
    }

    /// When something is due next.
    #[must_use]
    pub fn next_due(&self) -> Option<Ts> {
        self.due(None).map(|(at, ..)| at)
    }

    fn due(&self, only: Option<PartitionId>) -> Option<(Ts, PartitionId, Due)> {
        let mut due = Vec::new();
        for (id, p) in &self.partitions {
            if only.is_some_and(|only| only != *id) {
                continue;
            }
            due.extend(p.dies_now().map(|n| (Ts::ZERO, *id, Due::Death(n))));
            due.extend(p.revives_now().map(|n| (Ts::ZERO, *id, Due::Revival(n))));
            let sources = p.sources_to_forget().into_iter();
            due.extend(sources.map(|(at, from)| (at, *id, Due::Source(from))));
            for m in &p.messages {
                due.extend(m.leased_until.map(|at| (at, *id, Due::Lease(m.number))));
                due.extend(m.delayed_until.map(|at| (at, *id, Due::Delay(m.number))));
                due.extend(m.ttl_ends.map(|at| (at, *id, Due::TimeToLive(m.number))));
                let kept = m.sent_at.after(p.settings.retention);
                due.push((kept, *id, Due::Retention(m.number)));
            }
            for (age, waiter) in self.waiters.iter().enumerate() {
                if waiter.partition == *id {
                    due.push((waiter.until, *id, Due::Wait((age, waiter.id))));
                }
            }
        }
        due.into_iter().min()
    }

    fn do_due(&mut self, id: PartitionId, due: Due, effects: &mut Vec<Given>) {
        let partition = self.partitions.get_mut(&id).unwrap();
        match due {
            Due::Death(number) => partition.die(number),
            Due::Revival(number) => partition.message(number).unwrap().dead = None,
            Due::Source(from) => partition.forget_source(from),
            Due::Lease(number) => {
                partition.message(number).unwrap().leased_until = None;
                partition.judge(number);
            }
            Due::Delay(number) => partition.message(number).unwrap().delayed_until = None,
            Due::TimeToLive(number) | Due::Retention(number) => partition.remove(number),
            Due::Wait((_, waiter)) => return self.end_wait(waiter, Vec::new(), effects),
        }
        partition.line_up();
    }

    fn when(&self) -> When {
        When {
            now: self.now,
            version: self.version,
        }
    }
}
