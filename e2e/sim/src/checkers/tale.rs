//! Histories told by hand, for the checkers' tests. Times in milliseconds. One queue, `QUEUE`; a word is
//! a message's body.

use bytes::Bytes;
use shoal_types::{
    Applied, BodyRef, Command, Deduplication, Delivery, Epoch, ErrorCode, HostId, Incarnation,
    LeaseChange, Micros, Origin, Outcome, PartitionId, PartitionSettings, Position, Receipt,
    ReceiptResult, Refusal, Request, RequestId, Revision, SendItem, SendResult, Sequence, Ts,
    ViewNumber,
};

use super::{Checker, CheckerSet, CountsByHost, Evidence, Violation, judge};
use crate::auditor::Auditor;
use crate::history::{Call, CallId, Executed, SimTime, Step, Told};

pub(super) const QUEUE: PartitionId = PartitionId(1);
pub(super) const MS: Micros = 1_000;
/// What clocks may be off in these histories.
const SKEW: Micros = 1_000 * MS;

/// See the module.
pub(super) struct Tale {
    calls: Vec<Call>,
    settings: PartitionSettings,
    pub(super) auditor: Auditor,
    pub(super) counts: CountsByHost,
    pub(super) settled: bool,
    pub(super) drained: bool,
    pub(super) healed_at: u64,
    now: u64,
}

/// From when to when a call lasts.
pub(super) type Span = std::ops::Range<u64>;

impl Tale {
    /// Of a standard queue with a visibility timeout of 4 s.
    pub(super) fn new() -> Self {
        Self::with(|_| ())
    }

    pub(super) fn fifo() -> Self {
        Self::with(|settings| settings.fifo = true)
    }

    pub(super) fn with(change: impl FnOnce(&mut PartitionSettings)) -> Self {
        let mut settings = PartitionSettings {
            epoch: Epoch(0),
            fifo: false,
            visibility: 4_000 * MS,
            delay: 0,
            retention: 3_600_000 * MS,
            max_messages: u64::MAX,
            max_bytes: u64::MAX,
        };
        change(&mut settings);
        let mut tale = Self {
            calls: Vec::new(),
            settings,
            auditor: Auditor::new(CheckerSet::all()),
            counts: CountsByHost::new(),
            settled: true,
            drained: true,
            healed_at: 0,
            now: 0,
        };
        tale.told(
            0..1,
            Command::CreatePartition {
                partition: QUEUE,
                settings,
                revision: Revision(2),
            },
            Outcome::Done,
        );
        tale
    }

    pub(super) fn settings(&self) -> PartitionSettings {
        self.settings
    }

    pub(super) fn configure(settings: PartitionSettings) -> Command {
        Command::ConfigurePartition {
            partition: QUEUE,
            settings,
            revision: Revision(3),
        }
    }

    /// A call in an operation of its own, answered so. Hosts are asked in turn.
    pub(super) fn call(
        &mut self,
        span: Span,
        command: Command,
        bodies: Vec<Bytes>,
        told: Option<Told>,
    ) -> &mut Call {
        let number = self.calls.len() as u64;
        self.now = self.now.max(span.end);
        self.calls.push(Call {
            id: CallId(number),
            client: 1,
            operation: number,
            host: HostId(1 + number % 3),
            request: Request {
                id: RequestId(1 + u128::from(number)),
                deadline: Ts((span.start + 5_000) * MS),
                origin: Origin::default(),
                command,
            },
            bodies,
            invoked: SimTime(span.start * MS),
            waits: 0,
            until: SimTime((span.start + 5_000) * MS),
            pinned: false,
            returned: told.map(|told| (SimTime(span.end * MS), told)),
        });
        self.calls.last_mut().expect("just made")
    }

    pub(super) fn told(&mut self, span: Span, command: Command, outcome: Outcome) -> &mut Call {
        self.call(
            span,
            command,
            Vec::new(),
            Some(Told::Outcome(outcome, Vec::new())),
        )
    }

    /// One more attempt of the operation that began last.
    pub(super) fn again(&mut self, span: Span, told: Option<Told>) -> &mut Call {
        let last = self.calls.last().expect("there is one").clone();
        let (operation, request) = (last.operation, last.request);
        let call = self.call(span, request.command.clone(), last.bodies, told);
        (call.operation, call.request) = (operation, request);
        call
    }

    pub(super) fn send_of(item: SendItem) -> Command {
        Command::Send {
            partition: QUEUE,
            items: vec![item],
        }
    }

    pub(super) fn item(word: &'static str) -> SendItem {
        SendItem {
            size: word.len() as u32,
            crc: crc32c::crc32c(word.as_bytes()),
            delay: None,
            ttl: None,
            group: None,
            deduplication: None,
        }
    }

    pub(super) fn keyed(word: &'static str, key: u8) -> SendItem {
        SendItem {
            deduplication: Some(Deduplication {
                key: [key; 16],
                fingerprint: None,
            }),
            ..Self::item(word)
        }
    }

    pub(super) fn grouped(word: &'static str) -> SendItem {
        SendItem {
            group: Some("g".into()),
            ..Self::item(word)
        }
    }

    pub(super) fn sends(
        &mut self,
        span: Span,
        word: &'static str,
        item: SendItem,
        result: Option<SendResult>,
    ) -> &mut Call {
        let told = result.map(|result| Told::Outcome(Outcome::Sent(vec![result]), Vec::new()));
        let bodies = vec![Bytes::from_static(word.as_bytes())];
        self.call(span, Self::send_of(item), bodies, told)
    }

    /// Accepted under this number.
    pub(super) fn sent(&mut self, span: Span, word: &'static str, number: u64) -> &mut Call {
        let accepted = SendResult::Accepted(Sequence(number));
        self.sends(span, word, Self::item(word), Some(accepted))
    }

    pub(super) fn sent_in_group(&mut self, span: Span, word: &'static str, number: u64) {
        let accepted = SendResult::Accepted(Sequence(number));
        self.sends(span, word, Self::grouped(word), Some(accepted));
    }

    pub(super) fn receive(max: u16) -> Command {
        Command::Receive {
            partition: QUEUE,
            max,
            visibility: None,
            wait_until: None,
            attempt: None,
            auto_ack: false,
        }
    }

    pub(super) fn delivery(word: &'static str, number: u64, lease: u16) -> Delivery {
        Delivery {
            sequence: Sequence(number),
            receipt: Self::receipt(number, lease),
            sent_at: Ts(0),
            first_received_at: Ts(0),
            receive_count: lease.into(),
            group: None,
            dead_from: None,
            size: word.len() as u32,
            crc: crc32c::crc32c(word.as_bytes()),
            body: BodyRef::default(),
        }
    }

    pub(super) fn received_told(deliveries: &[(&'static str, Delivery)]) -> Told {
        let body = |(word, _): &(&'static str, Delivery)| Bytes::from_static(word.as_bytes());
        let bodies = deliveries.iter().map(body).collect();
        let deliveries = deliveries.iter().map(|(_, d)| d.clone()).collect();
        Told::Outcome(Outcome::Received(deliveries), bodies)
    }

    /// A receive of as many as came, each given as body, number and lease.
    pub(super) fn received(&mut self, span: Span, got: &[(&'static str, u64, u16)]) -> &mut Call {
        self.received_by(span, Self::receive(got.len().max(1) as u16), got)
    }

    pub(super) fn received_by(
        &mut self,
        span: Span,
        command: Command,
        got: &[(&'static str, u64, u16)],
    ) -> &mut Call {
        let fifo = self.settings.fifo;
        let delivery = |(word, number, lease): &(&'static str, u64, u16)| {
            let mut delivery = Self::delivery(word, *number, *lease);
            delivery.group = fifo.then(|| "g".into());
            (*word, delivery)
        };
        let deliveries: Vec<_> = got.iter().map(delivery).collect();
        let told = Self::received_told(&deliveries);
        self.call(span, command, Vec::new(), Some(told))
    }

    /// A receive that deletes at once.
    pub(super) fn took(&mut self, span: Span, word: &'static str, number: u64, lease: u16) {
        let mut command = Self::receive(1);
        if let Command::Receive { auto_ack, .. } = &mut command {
            *auto_ack = true;
        }
        self.received_by(span, command, &[(word, number, lease)]);
    }

    pub(super) fn receipt(number: u64, lease: u16) -> Receipt {
        Receipt {
            partition: QUEUE,
            sequence: Sequence(number),
            lease,
        }
    }

    fn shows(&mut self, span: Span, command: Command, result: Option<ReceiptResult>) -> &mut Call {
        let told = result.map(|r| Told::Outcome(Outcome::Receipts(vec![r]), Vec::new()));
        self.call(span, command, Vec::new(), told)
    }

    pub(super) fn acknowledges(
        &mut self,
        span: Span,
        number: u64,
        lease: u16,
        result: Option<ReceiptResult>,
    ) -> &mut Call {
        let command = Command::Acknowledge {
            partition: QUEUE,
            receipts: vec![Self::receipt(number, lease)],
        };
        self.shows(span, command, result)
    }

    pub(super) fn acknowledged(&mut self, span: Span, number: u64, lease: u16) -> &mut Call {
        self.acknowledges(span, number, lease, Some(ReceiptResult::Done))
    }

    pub(super) fn extends(
        &mut self,
        span: Span,
        number: u64,
        lease: u16,
        visibility_ms: u64,
        result: Option<ReceiptResult>,
    ) {
        let command = Command::ChangeVisibility {
            partition: QUEUE,
            changes: vec![LeaseChange {
                receipt: Self::receipt(number, lease),
                visibility: visibility_ms * MS,
            }],
        };
        self.shows(span, command, result);
    }

    pub(super) fn released(&mut self, span: Span, number: u64, lease: u16, delay_ms: u64) {
        let command = Command::Release {
            partition: QUEUE,
            receipts: vec![Self::receipt(number, lease)],
            delay: delay_ms * MS,
        };
        self.shows(span, command, Some(ReceiptResult::Done));
    }

    pub(super) fn unreceived(&mut self, span: Span, number: u64, lease: u16) {
        let command = Command::Unreceive {
            partition: QUEUE,
            receipts: vec![Self::receipt(number, lease)],
        };
        self.shows(span, command, Some(ReceiptResult::Done));
    }

    pub(super) fn purged(&mut self, span: Span) {
        self.told(span, Command::Purge { partition: QUEUE }, Outcome::Done);
    }

    pub(super) fn refused(applied: Applied) -> Told {
        let code = ErrorCode::NotReady;
        Told::Refused(match applied {
            Applied::No => Refusal::not_applied(code, "no"),
            Applied::Unknown => Refusal::unknown(code, "perhaps"),
        })
    }

    /// Host 1 executes a step.
    pub(super) fn executed(&mut self, at: u64, step: Step) {
        self.executed_by(1, at, step);
    }

    pub(super) fn executed_by(&mut self, host: u64, at: u64, step: Step) {
        self.auditor.executed(Executed {
            at: SimTime(at * MS),
            host: HostId(host),
            life: 1,
            step,
        });
    }

    /// Host 1 executes the first view.
    pub(super) fn formed(&mut self) {
        self.executed(0, Step::View(ViewNumber(1), Vec::new()));
    }

    /// Host 1 executes a call's command in an entry of its own, with this outcome.
    pub(super) fn executes(&mut self, at: u64, call: usize, outcome: Outcome) {
        let Call {
            host,
            request,
            bodies,
            ..
        } = self.calls[call].clone();
        self.executed(at, Step::Entry(Self::position(at)));
        let origin = Origin {
            host,
            incarnation: Incarnation(1),
        };
        let request = Request { origin, ..request };
        self.executed(at, Step::Command(request, bodies, outcome));
    }

    pub(super) fn position(at: u64) -> Position {
        Position {
            view: ViewNumber(1),
            ts: Ts(at * MS),
            lane: HostId(1),
        }
    }

    pub(super) fn change_deliveries(&mut self, change: impl Fn(&mut Delivery)) {
        for call in &mut self.calls {
            if let Some((_, Told::Outcome(Outcome::Received(deliveries), _))) = &mut call.returned {
                deliveries.iter_mut().for_each(&change);
            }
        }
    }

    /// What these checkers find, each violation with its words.
    pub(super) fn found_by(&self, checker: Checker) -> Vec<Violation> {
        let evidence = Evidence {
            calls: &self.calls,
            auditor: &self.auditor,
            healed_at: SimTime(self.healed_at * MS),
            ended_at: SimTime(self.now * MS),
            settled: self.settled,
            drained: self.drained,
            counts: &self.counts,
            skew_bound: SKEW,
        };
        judge(&evidence, &CheckerSet::only([checker]))
    }

    #[track_caller]
    pub(super) fn pleases(&self, checker: Checker) {
        assert_eq!(self.found_by(checker), []);
    }

    /// The checker finds something and says all these words.
    #[track_caller]
    pub(super) fn alarms(&self, checker: Checker, words: &[&str]) {
        let found = self.found_by(checker);
        let [first, ..] = &found[..] else {
            panic!("{checker} finds nothing");
        };
        for word in words {
            assert!(
                first.what.contains(word),
                "{word:?} is not in {:?}",
                first.what
            );
        }
    }
}
