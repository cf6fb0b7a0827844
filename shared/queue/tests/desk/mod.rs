//! One machine with one queue, and words to tell stories about them.

use std::collections::BTreeMap;

use shoal_queue::{Effect, Machine};
use shoal_types::{
    BodyRef, Command, Deduplication, Delivery, Epoch, ErrorCode, HostId, Incarnation, LeaseChange,
    Micros, Origin, Outcome, PartitionCounts, PartitionId, PartitionSettings, Position, Receipt,
    ReceiptResult, Request, RequestId, Revision, SendItem, SendResult, Ts, ViewNumber,
};

pub(crate) const SECOND: Micros = 1_000_000;
pub(crate) const QUEUE: PartitionId = PartitionId(1);

pub(crate) struct Desk {
    machine: Machine,
    at: Position,
    requests: BTreeMap<RequestId, Request>,
    effects: Vec<Effect>,
    bodies: u32,
    stored: BTreeMap<Vec<u8>, Vec<u8>>,
}

pub(crate) fn seconds(n: u64) -> Micros {
    n * SECOND
}

pub(crate) fn plain_settings() -> PartitionSettings {
    PartitionSettings {
        epoch: Epoch(0),
        fifo: false,
        visibility: seconds(30),
        delay: 0,
        retention: seconds(86_400),
        max_messages: u64::MAX,
        max_bytes: u64::MAX,
    }
}

pub(crate) fn item(size: u32) -> SendItem {
    SendItem {
        size,
        crc: size,
        delay: None,
        ttl: None,
        group: None,
        deduplication: None,
    }
}

pub(crate) fn keyed(item: SendItem, key: u8) -> SendItem {
    let deduplication = Some(Deduplication {
        key: [key; 16],
        fingerprint: None,
    });
    SendItem {
        deduplication,
        ..item
    }
}

pub(crate) fn grouped(item: SendItem, group: &str) -> SendItem {
    SendItem {
        group: Some(group.into()),
        ..item
    }
}

pub(crate) fn origin(host: u64) -> Origin {
    Origin {
        host: HostId(host),
        incarnation: Incarnation(1),
    }
}

pub(crate) fn numbers_of(deliveries: &[Delivery]) -> Vec<u64> {
    deliveries.iter().map(|d| d.sequence.number()).collect()
}

fn receipts_of(deliveries: &[Delivery]) -> Vec<Receipt> {
    deliveries.iter().map(|d| d.receipt).collect()
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self::with(plain_settings())
    }

    pub(crate) fn fifo() -> Self {
        Self::with(PartitionSettings {
            fifo: true,
            ..plain_settings()
        })
    }

    pub(crate) fn with(settings: PartitionSettings) -> Self {
        let mut desk = Self {
            machine: Machine::new(),
            at: Position {
                view: ViewNumber(1),
                ts: Ts(seconds(1_000)),
                lane: HostId(1),
            },
            requests: BTreeMap::new(),
            effects: Vec::new(),
            bodies: 0,
            stored: BTreeMap::new(),
        };
        desk.request(Command::CreatePartition {
            partition: QUEUE,
            settings,
            revision: Revision(1),
        });
        desk
    }

    pub(crate) fn machine(&self) -> &Machine {
        &self.machine
    }

    pub(crate) fn now(&self) -> Ts {
        self.at.ts
    }

    /// Time passes, in an entry of its own.
    pub(crate) fn wait(&mut self, time: Micros) {
        self.at.ts = self.at.ts.after(time);
        self.machine.begin_entry(self.at, &mut self.effects);
    }

    /// In an entry of its own, from host 1, with 10 s to its deadline. No time passes: entries of one
    /// instant differ by their lanes.
    pub(crate) fn request(&mut self, command: Command) -> Outcome {
        let id = RequestId(self.requests.len() as u128 + 1);
        let request = self.make(id, command);
        self.requests.insert(id, request.clone());
        self.execute(&request)
    }

    pub(crate) fn anonymous(&mut self, command: Command) -> Outcome {
        let request = self.make(RequestId(0), command);
        self.execute(&request)
    }

    fn make(&self, id: RequestId, command: Command) -> Request {
        Request {
            id,
            deadline: self.at.ts.after(seconds(10)),
            origin: origin(1),
            command,
        }
    }

    fn execute(&mut self, request: &Request) -> Outcome {
        self.at.lane.0 += 1;
        self.machine.begin_entry(self.at, &mut self.effects);
        let count = request.command.bodies().count() as u32;
        let body = |n| BodyRef {
            segment: (self.bodies + n) / 10_000,
            offset: self.bodies + n,
        };
        let bodies: Vec<_> = (0..count).map(body).collect();
        self.bodies += count;
        self.machine.apply(request, &bodies, &mut self.effects)
    }

    pub(crate) fn last_request(&self) -> RequestId {
        RequestId(self.requests.len() as u128)
    }

    pub(crate) fn repeat(&mut self, id: RequestId, origin: Origin) -> Outcome {
        let request = Request {
            origin,
            ..self.requests[&id].clone()
        };
        self.execute(&request)
    }

    pub(crate) fn refusal(&mut self, command: Command) -> ErrorCode {
        match self.request(command) {
            Outcome::Refused(refusal) => refusal.code,
            other => panic!("not refused but {other:?}"),
        }
    }

    pub(crate) fn admit(&self, command: Command, deadline_s: i64) -> Result<(), ErrorCode> {
        let ahead = deadline_s * SECOND as i64;
        let request = Request {
            deadline: Ts(self.at.ts.0.saturating_add_signed(ahead)),
            ..self.make(RequestId(u128::MAX), command)
        };
        self.machine
            .admit(&request, self.at.ts)
            .map_err(|refusal| refusal.code)
    }

    pub(crate) fn send(&mut self, items: Vec<SendItem>) -> Vec<SendResult> {
        let partition = QUEUE;
        match self.request(Command::Send { partition, items }) {
            Outcome::Sent(results) => results,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn send_in_groups(&mut self, groups: &[&str]) {
        let items = groups.iter().map(|group| grouped(item(1), group));
        self.send(items.collect());
    }

    fn receive_as(&mut self, change: impl FnOnce(&mut Command)) -> Outcome {
        let mut command = Command::Receive {
            partition: QUEUE,
            max: 1,
            visibility: None,
            wait_until: None,
            attempt: None,
            auto_ack: false,
        };
        change(&mut command);
        self.request(command)
    }

    fn received(outcome: Outcome) -> Vec<Delivery> {
        match outcome {
            Outcome::Received(deliveries) => deliveries,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn receive(&mut self, count: u16) -> Vec<Delivery> {
        Self::received(self.receive_as(|command| {
            if let Command::Receive { max, .. } = command {
                *max = count;
            }
        }))
    }

    pub(crate) fn numbers(&mut self, count: u16) -> Vec<u64> {
        numbers_of(&self.receive(count))
    }

    /// Receives and deletes at once.
    pub(crate) fn take(&mut self, count: u16) -> Vec<Delivery> {
        Self::received(self.receive_as(|command| {
            if let Command::Receive { max, auto_ack, .. } = command {
                (*max, *auto_ack) = (count, true);
            }
        }))
    }

    pub(crate) fn attempt(&mut self, count: u16, key: u8) -> Vec<Delivery> {
        Self::received(self.receive_as(|command| {
            if let Command::Receive { max, attempt, .. } = command {
                (*max, *attempt) = (count, Some([key; 16]));
            }
        }))
    }

    /// Receives and deletes at once, under an attempt's key.
    pub(crate) fn take_in_attempt(&mut self, count: u16, key: u8) -> Vec<Delivery> {
        Self::received(self.receive_as(|command| {
            if let Command::Receive {
                max,
                attempt,
                auto_ack,
                ..
            } = command
            {
                (*max, *attempt, *auto_ack) = (count, Some([key; 16]), true);
            }
        }))
    }

    /// A receive that finds nothing and waits so many seconds.
    pub(crate) fn wait_for(&mut self, count: u16, wait_s: u64) -> RequestId {
        self.wait_as(count, wait_s, None)
    }

    /// A receive that waits, under an attempt's key.
    pub(crate) fn wait_in_attempt(&mut self, count: u16, key: u8) -> RequestId {
        self.wait_as(count, 20, Some([key; 16]))
    }

    fn wait_as(&mut self, count: u16, wait_s: u64, attempt: Option<[u8; 16]>) -> RequestId {
        self.wait_with(QUEUE, count, wait_s, attempt)
    }

    /// A receive of one message that finds nothing in a partition and waits so many seconds.
    pub(crate) fn wait_at(&mut self, partition: PartitionId, wait_s: u64) -> RequestId {
        self.wait_with(partition, 1, wait_s, None)
    }

    fn wait_with(
        &mut self,
        partition: PartitionId,
        count: u16,
        wait_s: u64,
        attempt: Option<[u8; 16]>,
    ) -> RequestId {
        let at = self.at.ts;
        let id = RequestId(self.requests.len() as u128 + 1);
        let mut request = self.make(id, Command::Tick);
        request.deadline = at.after(seconds(wait_s + 10));
        request.command = Command::Receive {
            partition,
            max: count,
            visibility: None,
            wait_until: Some(at.after(seconds(wait_s))),
            attempt,
            auto_ack: false,
        };
        self.requests.insert(id, request.clone());
        assert_eq!(self.execute(&request), Outcome::Waiting);
        id
    }

    /// Takes away all there is, then waits for more.
    pub(crate) fn wait_for_other(&mut self, count: u16) -> RequestId {
        self.receive(1_000);
        self.wait_for(count, 20)
    }

    pub(crate) fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Which waiters were given which messages since this was asked last.
    pub(crate) fn given(&mut self) -> Vec<(RequestId, Vec<u64>)> {
        let given = |Effect::Given {
                         waiter, deliveries, ..
                     }: Effect| (waiter, numbers_of(&deliveries));
        self.effects().into_iter().map(given).collect()
    }

    fn receipts(outcome: Outcome) -> Vec<ReceiptResult> {
        match outcome {
            Outcome::Receipts(results) => results,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn acknowledge(&mut self, deliveries: &[Delivery]) -> Vec<ReceiptResult> {
        Self::receipts(self.request(Command::Acknowledge {
            partition: QUEUE,
            receipts: receipts_of(deliveries),
        }))
    }

    pub(crate) fn release(&mut self, deliveries: &[Delivery], delay: Micros) {
        let results = Self::receipts(self.request(Command::Release {
            partition: QUEUE,
            receipts: receipts_of(deliveries),
            delay,
        }));
        assert!(results.iter().all(|result| *result == ReceiptResult::Done));
    }

    pub(crate) fn unreceive(&mut self, deliveries: &[Delivery]) {
        let results = Self::receipts(self.request(Command::Unreceive {
            partition: QUEUE,
            receipts: receipts_of(deliveries),
        }));
        assert!(results.iter().all(|result| *result == ReceiptResult::Done));
    }

    pub(crate) fn change_visibility(
        &mut self,
        deliveries: &[Delivery],
        visibility: Micros,
    ) -> Vec<ReceiptResult> {
        let change = |delivery: &Delivery| LeaseChange {
            receipt: delivery.receipt,
            visibility,
        };
        Self::receipts(self.request(Command::ChangeVisibility {
            partition: QUEUE,
            changes: deliveries.iter().map(change).collect(),
        }))
    }

    pub(crate) fn purge(&mut self) {
        let purged = self.request(Command::Purge { partition: QUEUE });
        let done = matches!(purged, Outcome::Done | Outcome::PurgedBut { .. });
        assert!(done, "{purged:?}");
    }

    /// Host `from` says that the waiter's client has gone.
    pub(crate) fn cancel(&mut self, waiter: RequestId, from: Origin) {
        let command = Command::CancelWaiter {
            partition: QUEUE,
            waiter,
        };
        let request = Request {
            origin: from,
            ..self.make(RequestId(0), command)
        };
        assert_eq!(self.execute(&request), Outcome::Done);
    }

    pub(crate) fn view(&mut self, origins: &[Origin]) {
        self.at.view = self.at.view.next();
        let effects = &mut self.effects;
        self.machine.view_installed(self.at.view, origins, effects);
    }

    pub(crate) fn counts(&self) -> PartitionCounts {
        self.machine.counts(QUEUE).unwrap()
    }

    pub(crate) fn totals(&self) -> (u64, u64) {
        self.machine.totals()
    }

    pub(crate) fn live_bodies(&self) -> u64 {
        let live = self.machine.live_bodies().values();
        live.map(|live| live.bodies).sum()
    }

    pub(crate) fn checkpoint(&mut self) {
        for (key, value) in self.machine.freeze().into_writes() {
            match value {
                Some(value) => self.stored.insert(key, value),
                None => self.stored.remove(&key),
            };
        }
    }

    pub(crate) fn restart(&mut self) {
        self.checkpoint();
        let whole = self.machine.freeze_whole().into_writes();
        let whole = whole.filter_map(|(key, value)| Some((key, value?)));
        let whole: BTreeMap<_, _> = whole.collect();
        // The store may hold more: chunks of a purge that are not cleared yet.
        let stored = |(key, value): (_, &_)| self.stored.get(key) == Some(value);
        assert!(whole.iter().all(stored), "as it was written bit by bit");
        let before = self.machine.full_hash();
        assert_eq!(Machine::restore(whole).unwrap().full_hash(), before);
        self.machine = Machine::restore(self.stored.clone()).unwrap();
        assert_eq!(self.machine.full_hash(), before);
    }

    pub(crate) fn stored(&self) -> &BTreeMap<Vec<u8>, Vec<u8>> {
        &self.stored
    }

    /// Stored chunks of messages.
    pub(crate) fn stored_chunks(&self) -> usize {
        const KIND: u8 = 3;
        self.stored.keys().filter(|key| key[0] == KIND).count()
    }
}
