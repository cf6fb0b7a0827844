//! Every message of a load: was it accepted, how often delivered, deleted when? What cannot be right
//! is noted the moment it shows; what only the end can tell is judged in [`Ledger::verdict`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shoal_types::{Applied, Sequence};

use crate::body::{self, Name, Read};
use crate::groups::Groups;
use crate::limits;
use crate::service::{Failure, Outgoing, Received, SendAnswer};
use crate::timeline::{Micros, micros};
use crate::verdict::{Kind, Verdict, Violations};

/// All messages of all queues of a load.
#[derive(Debug)]
pub(crate) struct Ledger {
    run: u32,
    /// A lease lasts at least so long.
    lease: Micros,
    receives: AtomicU64,
    /// Queues may have several partitions that take sends.
    splits: bool,
    queues: Vec<Mutex<Page>>,
}

/// The messages of one queue.
#[derive(Debug, Default)]
struct Page {
    records: Vec<Record>,
    /// The largest number that an answered send got: what begins now must get a larger one.
    floor: u64,
    redelivered: u64,
    violations: Violations,
    /// `None`: a standard queue.
    groups: Option<Groups>,
}

/// One message.
#[derive(Clone, Copy, Debug)]
struct Record {
    /// When its send was due.
    intended: Micros,
    /// Its number; 0 as long as neither its send nor a delivery has told.
    sequence: u64,
    /// When the receive that last delivered it began: its lease began then or later.
    leased_from: Micros,
    deliveries: u16,
    sent: Sent,
    deleted: Deleted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    /// No answer yet, or one that leaves open whether it was applied.
    Unknown,
    Accepted,
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deleted {
    No,
    /// A delete failed, and may have been applied.
    Unknown,
    /// The delete was answered then.
    At(Micros),
}

/// A send on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sending {
    pub(crate) queue: usize,
    /// The first message's place on its page.
    pub(crate) first: u32,
    pub(crate) count: u32,
    /// The floor when it began.
    floor: u64,
}

/// A receive under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receiving {
    /// Tells it from all others.
    number: u64,
    began: Micros,
}

/// A message that was delivered and is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivered {
    pub(crate) index: u32,
    /// When its send was due, if this is its first delivery.
    pub(crate) first_since: Option<Micros>,
}

impl Ledger {
    pub(crate) fn new(run: u32, queues: usize, visibility: Duration, groups: usize) -> Self {
        let page = |_| Page {
            groups: (groups > 0).then(|| Groups::new(groups)),
            ..Page::default()
        };
        Self {
            run,
            lease: micros(visibility.saturating_sub(limits::LEASE_TOLERANCE)),
            receives: AtomicU64::new(0),
            splits: false,
            queues: (0..queues).map(page).map(Mutex::new).collect(),
        }
    }

    /// The same, of queues that may have several partitions that take sends.
    pub(crate) fn of_split_queues(self, splits: bool) -> Self {
        Self { splits, ..self }
    }

    /// Enters the messages of a send that is about to start.
    pub(crate) fn begin_send(&self, queue: usize, count: u32, intended: Micros) -> Sending {
        let mut page = self.page(queue);
        let first = page.records.len() as u32;
        let record = Record {
            intended,
            sequence: 0,
            leased_from: 0,
            deliveries: 0,
            sent: Sent::Unknown,
            deleted: Deleted::No,
        };
        page.records.extend((0..count).map(|_| record));
        Sending {
            queue,
            first,
            count,
            floor: page.floor,
        }
    }

    /// The messages of a send, in order.
    pub(crate) fn messages(&self, sending: Sending, bytes: usize) -> Vec<Outgoing> {
        let page = self.page(sending.queue);
        let group = |index| page.groups.as_ref().map(|groups| groups.name(index));
        let message = |index| Outgoing {
            body: body::write(self.name(sending.queue, index), bytes),
            group: group(index),
            key: page.groups.is_some().then(|| index.to_string()),
        };
        let indices = sending.first..sending.first + sending.count;
        indices.map(message).collect()
    }

    /// Enters the answer to a send; returns how many of its messages were accepted.
    pub(crate) fn end_send(
        &self,
        sending: Sending,
        answer: &Result<Vec<SendAnswer>, Failure>,
    ) -> u32 {
        let mut page = self.page(sending.queue);
        let page = &mut *page;
        let records = &mut page.records[sending.first as usize..][..sending.count as usize];
        let answers = match answer {
            Ok(answers) => answers,
            Err(failure) => {
                if failure.applied == Applied::No {
                    for record in records {
                        record.sent = Sent::Refused;
                    }
                }
                return 0;
            }
        };
        let mut accepted = 0;
        let mut above = sending.floor;
        for (record, answer) in records.iter_mut().zip(answers) {
            let sequence = match answer {
                SendAnswer::Accepted(sequence) => sequence,
                SendAnswer::Refused(_) => {
                    record.sent = Sent::Refused;
                    continue;
                }
                SendAnswer::Unknown(_) => continue,
            };
            accepted += 1;
            record.sent = Sent::Accepted;
            learn_number(record, *sequence, &mut page.violations);
            // Partitions side by side have a row of numbers each.
            let same_row = Sequence(*sequence).epoch() == Sequence(above).epoch();
            if *sequence <= above && (same_row || !self.splits) {
                page.violations.add(Kind::OutOfOrder, || {
                    format!("number {sequence} was given after {above} had been")
                });
            }
            above = above.max(*sequence);
        }
        page.floor = page.floor.max(above);
        accepted
    }

    /// A receive begins now.
    pub(crate) fn begin_receive(&self, now: Micros) -> Receiving {
        Receiving {
            number: self.receives.fetch_add(1, Ordering::Relaxed),
            began: now,
        }
    }

    /// Enters a message that a receive delivered, which ended then. `None`: not ours.
    pub(crate) fn delivered(
        &self,
        queue: usize,
        message: &Received,
        receive: Receiving,
        ended: Micros,
    ) -> Option<Delivered> {
        let began = receive.began;
        let mut page = self.page(queue);
        let page = &mut *page;
        let sequence = message.sequence;
        let read = body::read(&message.body);
        let name = match read {
            Read::Intact(name) | Read::Altered(name) if self.is_ours(name, queue) => name,
            _ => {
                page.violations
                    .add(Kind::Foreign, || format!("number {sequence}"));
                return None;
            }
        };
        let index = name.index;
        let Some(record) = page.records.get_mut(index as usize) else {
            page.violations.add(Kind::Altered, || {
                format!("number {sequence} names message {index}, which was never sent")
            });
            return None;
        };
        let violations = &mut page.violations;
        if read == Read::Altered(name) {
            violations.add(Kind::Altered, || format!("number {sequence}"));
        }
        if record.sent == Sent::Refused {
            violations.add(Kind::RefusedButDelivered, || format!("number {sequence}"));
        }
        learn_number(record, sequence, violations);
        if let Deleted::At(at) = record.deleted
            && began > at
        {
            violations.add(Kind::Returned, || {
                format!(
                    "number {sequence}: delete answered at {}, receive began at {}",
                    Clock(at),
                    Clock(began)
                )
            });
        }
        // The earlier lease began at `leased_from` or later and this one at `ended` or earlier, so
        // they overlap for certain if less than a lease lies between.
        if record.deliveries > 0 && ended < record.leased_from + self.lease {
            let before = record.leased_from;
            violations.add(Kind::TwoReceivers, || {
                format!(
                    "number {sequence}: leased at {} or later and again at {} or earlier",
                    Clock(before),
                    Clock(ended)
                )
            });
        }
        let is_first = record.deliveries == 0;
        page.redelivered += u64::from(!is_first);
        let groups = page.groups.as_mut();
        let wrong = groups.and_then(|all| all.delivered(index, sequence, receive.number, is_first));
        if let Some(wrong) = wrong {
            violations.add(Kind::GroupOrder, || wrong);
        }
        record.deliveries = record.deliveries.saturating_add(1);
        record.leased_from = began;
        Some(Delivered {
            index,
            first_since: is_first.then_some(record.intended),
        })
    }

    /// Messages are about to be deleted.
    pub(crate) fn begin_delete(&self, queue: usize, indices: &[u32]) {
        if let Some(groups) = &mut self.page(queue).groups {
            for index in indices {
                groups.begin_delete(*index);
            }
        }
    }

    /// Enters the answer to a delete, which came then; returns how many messages were deleted.
    pub(crate) fn end_delete(
        &self,
        queue: usize,
        indices: &[u32],
        answer: &Result<Vec<bool>, Failure>,
        ended: Micros,
    ) -> u32 {
        let mut page = self.page(queue);
        let page = &mut *page;
        let mut deleted = 0;
        for (at, index) in indices.iter().enumerate() {
            let record = &mut page.records[*index as usize];
            match answer {
                Ok(done) if done.get(at) == Some(&true) => {
                    deleted += 1;
                    if !matches!(record.deleted, Deleted::At(_)) {
                        record.deleted = Deleted::At(ended);
                    }
                }
                Err(failure)
                    if failure.applied == Applied::Unknown && record.deleted == Deleted::No =>
                {
                    record.deleted = Deleted::Unknown;
                }
                _ => {}
            }
            if let Some(groups) = &mut page.groups {
                match record.deleted {
                    Deleted::No => groups.not_deleted(*index),
                    Deleted::At(_) | Deleted::Unknown => groups.deleted(*index),
                }
            }
        }
        deleted
    }

    /// Messages that are accepted and, as far as the ledger knows, still in a queue.
    pub(crate) fn open(&self) -> u64 {
        let pages = self.queues.iter().map(lock);
        pages.map(|page| page.open()).sum()
    }

    /// Judges the load. `drained`: the queues said that they are empty, so what was not received
    /// never will be.
    pub(crate) fn verdict(&self, drained: bool) -> Verdict {
        let mut verdict = Verdict::default();
        for page in &self.queues {
            let page = lock(page);
            page.count_into(&mut verdict);
            verdict.violations.merge(page.violations.clone());
            if drained {
                page.judge_complete(&mut verdict.violations);
            }
        }
        if !drained && verdict.open > 0 {
            let open = verdict.open;
            verdict
                .violations
                .add(Kind::NotDrained, || format!("{open} messages are open"));
        }
        verdict.ok = verdict.violations.is_empty();
        verdict
    }

    fn name(&self, queue: usize, index: u32) -> Name {
        Name {
            run: self.run,
            queue: queue as u32,
            index,
        }
    }

    fn is_ours(&self, name: Name, queue: usize) -> bool {
        name.run == self.run && name.queue as usize == queue
    }

    fn page(&self, queue: usize) -> MutexGuard<'_, Page> {
        lock(&self.queues[queue])
    }
}

impl Page {
    fn open(&self) -> u64 {
        self.records.iter().filter(|r| r.is_open()).count() as u64
    }

    fn count_into(&self, verdict: &mut Verdict) {
        for record in &self.records {
            match record.sent {
                Sent::Accepted => verdict.accepted += 1,
                Sent::Refused => verdict.refused += 1,
                Sent::Unknown => verdict.unknown += 1,
            }
            verdict.received += u64::from(record.deliveries > 0);
            verdict.deleted += u64::from(matches!(record.deleted, Deleted::At(_)));
            verdict.open += u64::from(record.is_open());
        }
        verdict.redelivered += self.redelivered;
    }

    /// What only a drained queue can be asked: everything accepted was received, nothing went
    /// without a delete, and the numbers have neither gap nor repetition.
    fn judge_complete(&self, violations: &mut Violations) {
        for record in &self.records {
            let sequence = record.sequence;
            if record.sent == Sent::Accepted && record.deliveries == 0 {
                violations.add(Kind::Lost, || format!("number {sequence}"));
            } else if record.deliveries > 0 && record.deleted == Deleted::No {
                violations.add(Kind::Vanished, || format!("number {sequence}"));
            }
        }
        let mut numbers: Vec<u64> = self.records.iter().map(|r| r.sequence).collect();
        numbers.retain(|n| *n != 0);
        numbers.sort_unstable();
        let mut before = 0;
        for number in numbers {
            if number == before {
                violations.add(Kind::NumberTwice, || format!("number {number}"));
            } else if !is_next(before, number) {
                violations.add(Kind::NumberMissing, || {
                    format!("between {before} and {number}")
                });
            }
            before = number;
        }
    }
}

impl Record {
    /// Accepted or delivered, and nobody deleted it.
    fn is_open(&self) -> bool {
        (self.sent == Sent::Accepted || self.deliveries > 0) && self.deleted == Deleted::No
    }
}

/// Each partition that a queue had begins again with 1, in a higher epoch.
fn is_next(before: u64, number: u64) -> bool {
    let (before, number) = (Sequence(before), Sequence(number));
    if number.epoch() == before.epoch() {
        number.number() == before.number() + 1
    } else {
        number.number() == 1
    }
}

/// Notes a message's number, which must be the same whoever tells it.
fn learn_number(record: &mut Record, sequence: u64, violations: &mut Violations) {
    if record.sequence == 0 {
        record.sequence = sequence;
    } else if record.sequence != sequence {
        let before = record.sequence;
        violations.add(Kind::SentTwice, || {
            format!("one message has the numbers {before} and {sequence}")
        });
    }
}

/// A panic elsewhere does not make the ledger wrong: each entry is made in one go.
fn lock(page: &Mutex<Page>) -> MutexGuard<'_, Page> {
    page.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shows a time as seconds since the load began.
struct Clock(Micros);

impl std::fmt::Display for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3} s", self.0 as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests;
