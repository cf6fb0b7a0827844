//! One partition: what it is set to, its messages, and what it remembers about sends and receives.
//!
//! What it does stands in `sending.rs`, `receiving.rs`, `receipts.rs` and `due.rs`; of one that follows
//! others or is followed also in `inheriting.rs` and `sealing.rs`, and of one whose messages go to other
//! queues or come from there in `dying.rs`, `parcels.rs`, `moving.rs` and `arriving.rs`.

use shoal_types::{
    BodyRef, Delivery, MachineVersion, PartitionCounts, PartitionId, PartitionSettings, Peeked,
    Receipt, Revision, Sequence, Ts,
};

use crate::Effect;
use crate::attempts::{Attempts, Leased};
use crate::chunk::Hold;
use crate::contents::Contents;
use crate::deduplication::KeyedSends;
use crate::description::Described;
use crate::limits::PEEK_SCAN_MAX;
use crate::lineage::Lineage;
use crate::live_bodies::LiveBodies;
use crate::remembered::{Answer, Leases, Remembered, Taken, Wanted};
use crate::transfers::Transfers;
use crate::waiters::Waiters;

/// See the module.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) id: PartitionId,
    pub(crate) settings: PartitionSettings,
    /// Of the manager's last instruction.
    pub(crate) revision: Revision,
    /// The number of the message sent last; 0 if there was none.
    pub(crate) last: u64,
    /// Messages up to this number were purged. Their stored form may outlive them; this tells.
    pub(crate) purged_through: u64,
    pub(crate) contents: Contents,
    pub(crate) keyed_sends: KeyedSends,
    pub(crate) attempts: Attempts,
    pub(crate) waiters: Waiters,
    /// Only if it follows others or is followed.
    pub(crate) lineage: Option<Box<Lineage>>,
    /// What the manager noted down beside it.
    pub(crate) description: Option<Box<Described>>,
    /// Only if its messages go to other queues, or some came from there.
    pub(crate) transfers: Option<Box<Transfers>>,
    /// Where it stands in the machine's timer index.
    pub(crate) scheduled: Option<Ts>,
    /// Changed since the last freeze.
    pub(crate) dirty: bool,
}

/// What a partition needs besides itself while a command is executed.
pub(crate) struct Step<'a> {
    /// The time of the entry.
    pub(crate) now: Ts,
    /// By which rules it is executed.
    pub(crate) version: MachineVersion,
    pub(crate) bodies: &'a mut LiveBodies,
    pub(crate) remembered: &'a mut Remembered,
    pub(crate) effects: &'a mut Vec<Effect>,
}

impl Partition {
    pub(crate) fn new(id: PartitionId, settings: PartitionSettings, revision: Revision) -> Self {
        Self {
            id,
            settings,
            revision,
            last: 0,
            purged_through: 0,
            contents: Contents::new(settings.fifo),
            keyed_sends: KeyedSends::default(),
            attempts: Attempts::default(),
            waiters: Waiters::default(),
            lineage: None,
            description: None,
            transfers: None,
            scheduled: None,
            dirty: false,
        }
    }

    pub(crate) fn sequence(&self, number: u64) -> Sequence {
        Sequence::new(self.settings.epoch, number)
    }

    pub(crate) fn counts(&self) -> PartitionCounts {
        let in_flight = self.contents.leases.len() as u64;
        let delayed = self.contents.delays.len() as u64;
        let dead = self.contents.dead().len() as u64;
        PartitionCounts {
            ready: self.contents.messages() - in_flight - delayed - dead,
            in_flight,
            delayed,
            bytes: self.contents.bytes(),
            oldest_sent_at: self.contents.oldest_sent_at(),
            last_sequence: if self.last == 0 {
                Sequence::default()
            } else {
                self.sequence(self.last)
            },
        }
    }

    /// The first ready messages whose time is not over at `now`.
    pub(crate) fn peek(&self, limit: usize, now: Ts) -> Vec<(Peeked, BodyRef)> {
        let peeked = |number: u64| {
            let (chunk, offset) = self.contents.slots.find(number).expect("it is ready");
            let slot = chunk.slot(offset).expect("it is ready");
            let peeked = Peeked {
                sequence: self.sequence(number),
                sent_at: slot.sent_at,
                receive_count: slot.receives.into(),
                group: chunk.link(offset).map(|link| link.group.clone()),
                size: slot.size,
                crc: slot.crc,
            };
            (peeked, slot.body)
        };
        self.contents
            .slots
            .iter_ready()
            .take(PEEK_SCAN_MAX)
            .filter(|number| !self.is_expired(*number, now))
            .take(limit)
            .map(peeked)
            .collect()
    }

    pub(crate) fn is_expired(&self, number: u64, now: Ts) -> bool {
        self.contents
            .is_expired(number, now, self.settings.retention)
    }

    /// A message that is received, as its consumer gets it.
    pub(crate) fn delivery(&self, number: u64) -> Delivery {
        let (chunk, offset) = self.contents.slots.find(number).expect("it is received");
        let slot = chunk.slot(offset).expect("it is received");
        let sequence = self.sequence(number);
        Delivery {
            sequence,
            receipt: Receipt {
                partition: self.id,
                sequence,
                lease: slot.lease,
            },
            sent_at: slot.sent_at,
            first_received_at: chunk
                .side(offset)
                .first_received_at
                .expect("it is received"),
            receive_count: slot.receives.into(),
            group: chunk.link(offset).map(|link| link.group.clone()),
            dead_from: chunk.dead_from(offset).map(Box::new),
            size: slot.size,
            crc: slot.crc,
            body: slot.body,
        }
    }

    /// Those of the leases that have not ended, as deliveries.
    pub(crate) fn still_leased(&self, leases: &[Leased], now: Ts) -> Vec<Delivery> {
        leases
            .iter()
            .filter(|(number, lease)| self.holds(*number, *lease, now))
            .map(|(number, _)| self.delivery(*number))
            .collect()
    }

    /// Whether the lease has not ended by `now`.
    pub(crate) fn holds(&self, number: u64, lease: u16, now: Ts) -> bool {
        self.contents
            .slots
            .find(number)
            .is_some_and(|(chunk, offset)| {
                let current = chunk.slot(offset).expect("it was found").lease;
                let in_time =
                    matches!(chunk.side(offset).hold, Hold::Leased { until, .. } if until > now);
                current == lease && in_time && !self.is_expired(number, now)
            })
    }

    /// What is remembered of a receive that gave these messages.
    pub(crate) fn answer_of(
        &self,
        deliveries: &[Delivery],
        wanted: Wanted,
        origin: shoal_types::Origin,
    ) -> Answer {
        if wanted.auto_ack && !deliveries.is_empty() {
            return Answer::Taken(Box::new(Taken::new(deliveries)));
        }
        Answer::Leased(Box::new(Leases {
            partition: self.id,
            origin,
            by_attempt: wanted.attempt.is_some(),
            leases: leases_of(deliveries),
        }))
    }

    /// Bytes.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>()
            + self.contents.memory()
            + self.keyed_sends.memory()
            + self.attempts.memory()
            + self.waiters.memory()
            + self.lineage.as_ref().map_or(0, |lineage| lineage.memory())
            + self.description.as_ref().map_or(0, |kept| kept.memory())
            + self.transfers.as_ref().map_or(0, |known| known.memory())
    }
}

/// Which leases these deliveries are.
pub(crate) fn leases_of(deliveries: &[Delivery]) -> Box<[Leased]> {
    deliveries
        .iter()
        .map(|delivery| (delivery.sequence.number(), delivery.receipt.lease))
        .collect()
}
