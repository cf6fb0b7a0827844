//! One partition and its messages: what each question about them alone is answered with.

use std::collections::{BTreeMap, BTreeSet};

use shoal_types::limits::{
    DEDUPLICATION_WINDOW, LEASE_MAX, LEASED_MAX, LEASES_PER_MESSAGE_MAX, RECEIVE_BYTES_MAX,
};
use shoal_types::{
    AttemptKey, BodyRef, DeadFrom, DedupKey, Delivery, Description, GroupName, LeaseChange, Micros,
    PartitionId, PartitionSettings, Receipt, ReceiptResult, Revision, SendItem, SendResult,
    Sequence, Ts,
};

use crate::forwarding::{Forwards, Inherits};
use crate::succession::{Followed, Sealed};
use crate::transfers::Transfers;
use crate::turns::{Lines, takes_turns};

pub(crate) struct Partition {
    pub(crate) settings: PartitionSettings,
    pub(crate) revision: Revision,
    pub(crate) last: u64,
    /// By number.
    pub(crate) messages: Vec<Message>,
    /// In the order in which this partition learnt of them.
    pub(crate) keyed_sends: Vec<(DedupKey, Option<u64>, Sequence, Ts)>,
    pub(crate) attempts: Vec<(AttemptKey, Ts, Leases)>,
    /// By id.
    pub(crate) follows: BTreeMap<PartitionId, Followed>,
    pub(crate) sealed: Option<Sealed>,
    pub(crate) description: Option<Description>,
    pub(crate) forwards: Option<Forwards>,
    pub(crate) inherits: Option<Inherits>,
    pub(crate) transfers: Option<Transfers>,
    /// Of a standard queue.
    pub(crate) lines: Lines,
}

/// When a command is executed, and by which rules.
#[derive(Clone, Copy)]
pub(crate) struct When {
    pub(crate) now: Ts,
    pub(crate) version: u16,
}

impl When {
    /// Whether leases and receipts are as SQS has them.
    pub(crate) fn leases_are_bounded(self) -> bool {
        self.version >= 3
    }
}

pub(crate) type Leases = Vec<(u64, u16)>;

#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) number: u64,
    pub(crate) sent_at: Ts,
    pub(crate) size: u32,
    pub(crate) crc: u32,
    pub(crate) group: Option<GroupName>,
    pub(crate) ttl_ends: Option<Ts>,
    pub(crate) delayed_until: Option<Ts>,
    pub(crate) leased_until: Option<Ts>,
    pub(crate) leases: u16,
    pub(crate) receives: u32,
    pub(crate) given_back: bool,
    pub(crate) first_received_at: Option<Ts>,
    /// On its way to the heir; without one ready from then on.
    pub(crate) going: Option<Ts>,
    /// On its way to the queue that a task moves it to.
    pub(crate) moves: bool,
    /// It died: its place in the order of deaths.
    pub(crate) dead: Option<u64>,
    /// Where it died before it came here.
    pub(crate) dead_from: Option<DeadFrom>,
    pub(crate) takes_turns: bool,
    /// When it was received that has it leased, if by rules that bound leases.
    pub(crate) received_at: Option<Ts>,
}

#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) max: u16,
    pub(crate) visibility: Option<Micros>,
    pub(crate) attempt: Option<AttemptKey>,
    pub(crate) auto_ack: bool,
}

impl Message {
    /// Neither leased nor delayed, and sent at no time yet.
    pub(crate) fn new(number: u64, size: u32, crc: u32, group: Option<GroupName>) -> Self {
        Self {
            number,
            sent_at: Ts::ZERO,
            size,
            crc,
            group,
            ttl_ends: None,
            delayed_until: None,
            leased_until: None,
            leases: 0,
            receives: 0,
            given_back: false,
            first_received_at: None,
            going: None,
            moves: false,
            dead: None,
            dead_from: None,
            takes_turns: false,
            received_at: None,
        }
    }

    /// Its consumers have no say in it any more.
    fn is_elsewhere(&self) -> bool {
        self.going.is_some() || self.moves || self.dead.is_some()
    }

    pub(crate) fn counts_as_ready(&self) -> bool {
        self.leased_until.is_none() && self.delayed_until.is_none() && self.dead.is_none()
    }

    pub(crate) fn ready(&self) -> bool {
        self.delayed_until.is_none()
            && self.going.is_none()
            && !self.moves
            && self.dead.is_none()
            && self.leased_until.is_none()
            && self.leases < LEASES_PER_MESSAGE_MAX
    }

    pub(crate) fn expired(&self, now: Ts, retention: Micros) -> bool {
        self.sent_at.after(retention) <= now || self.ttl_ends.is_some_and(|end| end <= now)
    }
}

impl Partition {
    pub(crate) fn new(settings: PartitionSettings, revision: Revision) -> Self {
        Self {
            settings,
            revision,
            last: 0,
            messages: Vec::new(),
            keyed_sends: Vec::new(),
            attempts: Vec::new(),
            follows: BTreeMap::new(),
            sealed: None,
            description: None,
            forwards: None,
            inherits: None,
            transfers: None,
            lines: Lines::default(),
        }
    }

    /// The highest revision of an instruction that it carried out.
    pub(crate) fn instructed(&self) -> Revision {
        let described = self.description.as_ref().map(|kept| kept.revision);
        let instructed = self.revision.max(described.unwrap_or_default());
        instructed.max(self.transfers_instructed())
    }

    pub(crate) fn message(&mut self, number: u64) -> Option<&mut Message> {
        self.messages.iter_mut().find(|m| m.number == number)
    }

    pub(crate) fn remove(&mut self, number: u64) {
        self.messages.retain(|m| m.number != number);
        self.line_up();
    }

    pub(crate) fn leased(&self) -> usize {
        let leased = |m: &&Message| m.leased_until.is_some();
        self.messages.iter().filter(leased).count()
    }

    /// What a receive may give next, if it has leased `mine` already and gives none of `skipped`.
    pub(crate) fn next(&self, mine: &BTreeSet<u64>, skipped: &BTreeSet<u64>) -> Option<Message> {
        if !self.settings.fifo {
            return self.next_in_turn();
        }
        let may = |m: &&Message| {
            if skipped.contains(&m.number) {
                return false;
            }
            let earlier_ones_are_mine = || {
                let same_group = self.messages.iter().filter(|o| o.group == m.group);
                let same_group = same_group.filter(|o| o.dead.is_none());
                let mut in_the_way =
                    same_group.filter(|o| o.number < m.number || o.leased_until.is_some());
                in_the_way.all(|o| mine.contains(&o.number))
            };
            let waits = self.holds_back(m);
            m.ready() && !waits && earlier_ones_are_mine()
        };
        self.messages.iter().find(may).cloned()
    }

    pub(crate) fn sequence(&self, number: u64) -> Sequence {
        Sequence::new(self.settings.epoch, number)
    }

    pub(crate) fn delivery(&self, id: PartitionId, m: &Message) -> Delivery {
        let sequence = self.sequence(m.number);
        Delivery {
            sequence,
            receipt: Receipt {
                partition: id,
                sequence,
                lease: m.leases,
            },
            sent_at: m.sent_at,
            first_received_at: m.first_received_at.unwrap(),
            receive_count: m.receives,
            group: m.group.clone(),
            dead_from: m.dead_from.map(Box::new),
            size: m.size,
            crc: m.crc,
            body: BodyRef::default(),
        }
    }

    pub(crate) fn still_leased(&self, id: PartitionId, leases: &Leases, now: Ts) -> Vec<Delivery> {
        let held = |(number, lease): &(u64, u16)| {
            self.messages.iter().find(|m| {
                m.number == *number
                    && m.leases == *lease
                    && m.leased_until.is_some_and(|until| until > now)
                    && !m.expired(now, self.settings.retention)
            })
        };
        let held = leases.iter().filter_map(held);
        held.map(|m| self.delivery(id, m)).collect()
    }

    pub(crate) fn take(
        &mut self,
        id: PartitionId,
        wanted: Wanted,
        mut budget: usize,
        when: When,
    ) -> Vec<Delivery> {
        let now = when.now;
        let visibility = wanted.visibility.unwrap_or(self.settings.visibility);
        let mut deliveries: Vec<Delivery> = Vec::new();
        let (mut mine, mut skipped) = (BTreeSet::new(), BTreeSet::new());
        while deliveries.len() < wanted.max.into()
            && let Some(next) = self.next(&mine, &skipped)
        {
            if next.expired(now, self.settings.retention) {
                if budget == 0 {
                    break;
                }
                budget -= 1;
                self.remove(next.number);
                continue;
            }
            if self.is_doomed(&next) {
                let of_group = |m: &&Message| m.group == next.group && mine.contains(&m.number);
                if self.settings.fifo && self.messages.iter().any(|m| of_group(&m)) {
                    skipped.insert(next.number);
                    continue;
                }
                if budget == 0 {
                    break;
                }
                budget -= 1;
                self.die(next.number);
                continue;
            }
            let bytes: usize = deliveries.iter().map(|d| d.size as usize).sum();
            let too_large = bytes + next.size as usize > RECEIVE_BYTES_MAX && bytes > 0;
            let no_room = !wanted.auto_ack && self.leased() >= LEASED_MAX;
            if too_large || no_room {
                break;
            }
            let message = self.message(next.number).unwrap();
            message.leases += 1;
            message.receives += 1;
            message.given_back = false;
            message.leased_until = Some(now.after(visibility));
            message.received_at = when.leases_are_bounded().then_some(now);
            message.first_received_at = message.first_received_at.or(Some(now));
            let message = message.clone();
            self.had_turn(&message);
            deliveries.push(self.delivery(id, &message));
            if wanted.auto_ack {
                self.remove(next.number);
            } else {
                mine.insert(next.number);
            }
        }
        if let Some(key) = wanted.attempt
            && !wanted.auto_ack
            && !deliveries.is_empty()
        {
            self.attempts.push((key, now, leases(&deliveries)));
        }
        deliveries
    }

    pub(crate) fn sent_before(&self, item: &SendItem, now: Ts) -> Option<SendResult> {
        let d = item.deduplication?;
        let same = |(key, _, _, at): &&(DedupKey, _, _, Ts)| {
            *key == d.key && now < at.after(DEDUPLICATION_WINDOW)
        };
        let (_, fingerprint, sequence, _) = self.keyed_sends.iter().rev().find(same)?;
        Some(match (fingerprint, d.fingerprint) {
            (Some(a), Some(b)) if *a != b => SendResult::Conflict,
            _ => SendResult::Duplicate(*sequence),
        })
    }

    pub(crate) fn send(&mut self, item: &SendItem, when: When) -> SendResult {
        let now = when.now;
        if let Some(result) = self.sent_before(item, now) {
            return result;
        }
        let bytes: u64 = self.messages.iter().map(|m| u64::from(m.size)).sum();
        if self.messages.len() as u64 >= self.settings.max_messages
            || bytes + u64::from(item.size) > self.settings.max_bytes
        {
            return SendResult::Full;
        }
        self.last += 1;
        if let Some(d) = item.deduplication {
            let sequence = self.sequence(self.last);
            self.keyed_sends.push((d.key, d.fingerprint, sequence, now));
        }
        let delay = item.delay.unwrap_or(self.settings.delay);
        self.messages.push(Message {
            sent_at: now,
            ttl_ends: item.ttl.map(|ttl| now.after(ttl)),
            delayed_until: (delay > 0).then(|| now.after(delay)),
            takes_turns: takes_turns(when.version, self.settings.fifo, item.group.as_ref()),
            ..Message::new(self.last, item.size, item.crc, item.group.clone())
        });
        self.line_up();
        SendResult::Accepted(self.sequence(self.last))
    }

    /// `Ok`: the lease lasts. `Err(_, true)`: it ran out, so a standard queue still deletes.
    pub(crate) fn standing(
        &mut self,
        id: PartitionId,
        receipt: &Receipt,
        when: When,
    ) -> Result<(), (ReceiptResult, bool)> {
        let now = when.now;
        let number = receipt.sequence.number();
        if receipt.partition != id
            || receipt.sequence.epoch() != self.settings.epoch
            || number == 0
            || number > self.last
            || receipt.lease == 0
        {
            return Err((ReceiptResult::Unknown, false));
        }
        if self.has_forwarded(number) || self.was_taken(number) {
            return Err((ReceiptResult::Expired, false));
        }
        let retention = self.settings.retention;
        self.messages
            .retain(|m| m.number != number || !m.expired(now, retention));
        self.line_up();
        let Some(m) = self.message(number) else {
            return Err((ReceiptResult::Gone, false));
        };
        if receipt.lease > m.leases {
            Err((ReceiptResult::Unknown, false))
        } else if receipt.lease < m.leases {
            Err((ReceiptResult::Superseded, false))
        } else if m.leased_until.is_some_and(|until| until > now) {
            Ok(())
        } else if m.given_back && !m.is_elsewhere() && when.leases_are_bounded() {
            Err((ReceiptResult::NotLeased, false))
        } else {
            let is_elsewhere = m.is_elsewhere();
            Err((ReceiptResult::Expired, !m.given_back && !is_elsewhere))
        }
    }

    pub(crate) fn acknowledge(
        &mut self,
        id: PartitionId,
        receipt: &Receipt,
        when: When,
    ) -> ReceiptResult {
        let number = receipt.sequence.number();
        match self.standing(id, receipt, when) {
            Ok(()) => self.remove(number),
            Err((_, true)) if !self.settings.fifo => self.remove(number),
            Err((ReceiptResult::Gone, _)) => {}
            Err((why, _)) => return why,
        }
        ReceiptResult::Done
    }

    pub(crate) fn give_back(
        &mut self,
        id: PartitionId,
        receipt: &Receipt,
        delay: Micros,
        undo: bool,
        when: When,
    ) -> ReceiptResult {
        let now = when.now;
        if let Err((why, _)) = self.standing(id, receipt, when) {
            return why;
        }
        let message = self.message(receipt.sequence.number()).unwrap();
        message.leased_until = None;
        message.given_back = true;
        message.delayed_until = (delay > 0).then(|| now.after(delay));
        if undo {
            message.receives -= 1;
            if message.receives == 0 {
                message.first_received_at = None;
            }
        } else {
            self.judge(receipt.sequence.number());
        }
        self.line_up();
        ReceiptResult::Done
    }

    pub(crate) fn change(
        &mut self,
        id: PartitionId,
        change: &LeaseChange,
        when: When,
    ) -> ReceiptResult {
        if change.visibility == 0 {
            return self.give_back(id, &change.receipt, 0, false, when);
        }
        if let Err((why, _)) = self.standing(id, &change.receipt, when) {
            return why;
        }
        let message = self.message(change.receipt.sequence.number()).unwrap();
        let until = when.now.after(change.visibility);
        if message
            .received_at
            .is_some_and(|at| until > at.after(LEASE_MAX))
        {
            return ReceiptResult::TooLong;
        }
        message.leased_until = Some(until);
        ReceiptResult::Done
    }
}

pub(crate) fn leases(deliveries: &[Delivery]) -> Leases {
    let lease = |d: &Delivery| (d.sequence.number(), d.receipt.lease);
    deliveries.iter().map(lease).collect()
}
