//! Every message of a load: was it accepted, how often delivered, deleted when? What cannot be right
//! is noted the moment it shows; what only the end can tell is judged in [`Ledger::verdict`].

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shoal_types::Applied;

use crate::body::{self, Name, Read};
use crate::limits;
use crate::service::{Failure, Received, SendAnswer};
use crate::timeline::{Micros, micros};
use crate::verdict::{Kind, Verdict, Violations};

/// All messages of all queues of a load.
#[derive(Debug)]
pub(crate) struct Ledger {
    run: u32,
    /// A lease lasts at least so long.
    lease: Micros,
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

/// A message that was delivered and is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivered {
    pub(crate) index: u32,
    /// When its send was due, if this is its first delivery.
    pub(crate) first_since: Option<Micros>,
}

impl Ledger {
    pub(crate) fn new(run: u32, queues: usize, visibility: Duration) -> Self {
        Self {
            run,
            lease: micros(visibility.saturating_sub(limits::LEASE_TOLERANCE)),
            queues: (0..queues).map(|_| Mutex::default()).collect(),
        }
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

    /// The bodies of a send, in order.
    pub(crate) fn bodies(&self, sending: Sending, bytes: usize) -> Vec<bytes::Bytes> {
        let indices = sending.first..sending.first + sending.count;
        indices
            .map(|index| body::write(self.name(sending.queue, index), bytes))
            .collect()
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
            if *sequence <= above {
                page.violations.add(Kind::OutOfOrder, || {
                    format!("number {sequence} was given after {above} had been")
                });
            }
            above = above.max(*sequence);
        }
        page.floor = page.floor.max(above);
        accepted
    }

    /// Enters a message that a receive delivered, which began and ended then. `None`: not ours.
    pub(crate) fn delivered(
        &self,
        queue: usize,
        message: &Received,
        began: Micros,
        ended: Micros,
    ) -> Option<Delivered> {
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
        record.deliveries = record.deliveries.saturating_add(1);
        record.leased_from = began;
        Some(Delivered {
            index,
            first_since: is_first.then_some(record.intended),
        })
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
            } else if number != before + 1 {
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
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(30);
    const BYTES: usize = 64;

    /// A ledger of one queue and the answers of an honest service, to be tampered with.
    struct Desk(Ledger);

    impl Desk {
        fn new() -> Self {
            Self(Ledger::new(7, 1, LEASE))
        }

        fn send(&self, numbers: &[u64]) -> Sending {
            let sending = self.0.begin_send(0, numbers.len() as u32, 0);
            self.answer(sending, numbers);
            sending
        }

        fn answer(&self, sending: Sending, numbers: &[u64]) {
            let answers = numbers.iter().map(|n| SendAnswer::Accepted(*n)).collect();
            self.0.end_send(sending, &Ok(answers));
        }

        fn message(&self, index: u32, sequence: u64) -> Received {
            Received {
                sequence,
                receipt: String::new(),
                body: body::write(self.0.name(0, index), BYTES),
            }
        }

        fn deliver(&self, index: u32, sequence: u64, began: Micros, ended: Micros) {
            self.0
                .delivered(0, &self.message(index, sequence), began, ended);
        }

        fn delete(&self, index: u32, at: Micros) {
            assert_eq!(self.0.end_delete(0, &[index], &Ok(vec![true]), at), 1);
        }

        /// Received and deleted as it should be.
        fn consume(&self, index: u32, sequence: u64) {
            self.deliver(index, sequence, 10, 20);
            self.delete(index, 30);
        }

        fn broken(&self) -> Vec<Kind> {
            self.0.verdict(true).violations.kinds().collect()
        }
    }

    fn failure(applied: Applied) -> Failure {
        Failure {
            code: "busy".to_owned(),
            detail: String::new(),
            applied,
        }
    }

    #[test]
    fn an_honest_run_is_found_honest() {
        let desk = Desk::new();
        desk.send(&[1, 2]);
        desk.send(&[3]);
        for index in 0..3 {
            desk.consume(index, u64::from(index) + 1);
        }
        let verdict = desk.0.verdict(true);
        assert!(verdict.ok, "{}", verdict.violations);
        assert_eq!(
            (verdict.accepted, verdict.received, verdict.deleted),
            (3, 3, 3)
        );
        assert_eq!((verdict.open, verdict.redelivered), (0, 0));
    }

    #[test]
    fn a_lost_message_is_found() {
        let desk = Desk::new();
        desk.send(&[1, 2]);
        desk.consume(0, 1);
        assert_eq!(desk.broken(), [Kind::Lost]);
    }

    #[test]
    fn a_message_that_vanished_after_its_receive_is_found() {
        let desk = Desk::new();
        desk.send(&[1]);
        desk.deliver(0, 1, 10, 20);
        assert_eq!(desk.broken(), [Kind::Vanished]);
    }

    #[test]
    fn a_delete_of_unknown_outcome_explains_why_a_message_is_gone() {
        let desk = Desk::new();
        desk.send(&[1]);
        desk.deliver(0, 1, 10, 20);
        desk.0
            .end_delete(0, &[0], &Err(failure(Applied::Unknown)), 30);
        assert_eq!(desk.broken(), []);
    }

    #[test]
    fn a_message_delivered_after_its_delete_is_found() {
        let desk = Desk::new();
        desk.send(&[1]);
        desk.consume(0, 1);
        let later = micros(LEASE) + 100;
        desk.deliver(0, 1, 29, later);
        assert_eq!(
            desk.broken(),
            [],
            "that receive began before the delete was answered"
        );
        desk.deliver(0, 1, 31, 2 * later);
        assert_eq!(desk.broken(), [Kind::Returned]);
    }

    #[test]
    fn a_message_in_two_hands_is_found() {
        let desk = Desk::new();
        desk.send(&[1]);
        desk.deliver(0, 1, 10, 20);
        let end = 10 + micros(LEASE - limits::LEASE_TOLERANCE);
        desk.deliver(0, 1, end - 100, end - 1);
        desk.delete(0, end);
        assert_eq!(desk.broken(), [Kind::TwoReceivers]);
    }

    #[test]
    fn a_message_that_comes_back_after_its_lease_is_no_violation() {
        let desk = Desk::new();
        desk.send(&[1]);
        desk.deliver(0, 1, 10, 20);
        desk.deliver(0, 1, 10, 10 + micros(LEASE));
        desk.delete(0, micros(LEASE) + 50);
        let verdict = desk.0.verdict(true);
        assert!(verdict.ok, "{}", verdict.violations);
        assert_eq!(verdict.redelivered, 1);
    }

    #[test]
    fn a_send_that_was_applied_twice_is_found() {
        let desk = Desk::new();
        desk.send(&[1]);
        desk.consume(0, 1);
        desk.deliver(0, 2, 40, micros(LEASE) + 100);
        assert!(desk.broken().contains(&Kind::SentTwice));
    }

    #[test]
    fn a_gap_and_a_repetition_in_the_numbers_are_found() {
        let desk = Desk::new();
        desk.send(&[1, 3]);
        desk.consume(0, 1);
        desk.consume(1, 3);
        assert_eq!(desk.broken(), [Kind::NumberMissing]);

        let desk = Desk::new();
        let (first, second) = (desk.0.begin_send(0, 1, 0), desk.0.begin_send(0, 1, 0));
        desk.answer(first, &[1]);
        desk.answer(second, &[1]);
        desk.consume(0, 1);
        desk.consume(1, 1);
        assert_eq!(desk.broken(), [Kind::NumberTwice]);
    }

    #[test]
    fn a_number_of_a_send_with_unknown_outcome_is_no_gap() {
        let desk = Desk::new();
        desk.send(&[1]);
        let unknown = desk.0.begin_send(0, 1, 0);
        desk.0.end_send(unknown, &Err(failure(Applied::Unknown)));
        desk.send(&[3]);
        for index in 0..3 {
            desk.consume(index, u64::from(index) + 1);
        }
        let verdict = desk.0.verdict(true);
        assert!(verdict.ok, "{}", verdict.violations);
        assert_eq!(
            (verdict.accepted, verdict.unknown, verdict.received),
            (2, 1, 3)
        );
    }

    #[test]
    fn a_smaller_number_after_a_larger_one_is_found() {
        let desk = Desk::new();
        let early = desk.0.begin_send(0, 1, 0);
        desk.send(&[2]);
        desk.answer(early, &[1]);
        desk.consume(0, 1);
        desk.consume(1, 2);
        assert_eq!(desk.broken(), [], "they were on their way at the same time");

        let desk = Desk::new();
        desk.send(&[2]);
        desk.send(&[1]);
        desk.consume(0, 2);
        desk.consume(1, 1);
        assert_eq!(desk.broken(), [Kind::OutOfOrder]);
    }

    #[test]
    fn an_altered_body_is_found() {
        let desk = Desk::new();
        desk.send(&[1]);
        let mut message = desk.message(0, 1);
        let mut bytes = message.body.to_vec();
        bytes[BYTES - 1] ^= 1;
        message.body = bytes.into();
        desk.0.delivered(0, &message, 10, 20);
        desk.delete(0, 30);
        assert_eq!(desk.broken(), [Kind::Altered]);
    }

    #[test]
    fn a_refused_send_that_is_delivered_is_found() {
        let desk = Desk::new();
        let sending = desk.0.begin_send(0, 1, 0);
        desk.0.end_send(sending, &Err(failure(Applied::No)));
        assert_eq!(desk.broken(), []);
        desk.consume(0, 1);
        assert_eq!(desk.broken(), [Kind::RefusedButDelivered]);
    }

    #[test]
    fn a_message_of_someone_else_is_found() {
        let desk = Desk::new();
        let message = Received {
            sequence: 1,
            receipt: String::new(),
            body: "hello".into(),
        };
        assert_eq!(desk.0.delivered(0, &message, 10, 20), None);
        assert_eq!(desk.broken(), [Kind::Foreign]);
    }

    #[test]
    fn a_run_that_was_not_drained_is_not_ok() {
        let desk = Desk::new();
        desk.send(&[1]);
        let verdict = desk.0.verdict(false);
        assert_eq!(verdict.violations.count(Kind::NotDrained), 1);
        assert_eq!(
            verdict.violations.count(Kind::Lost),
            0,
            "it may be there yet"
        );
    }
}
