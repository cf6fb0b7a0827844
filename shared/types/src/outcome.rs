//! What executing a command gave.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::transfer::Label;
use crate::{DeadFrom, GroupName, Heir, PartitionId, Receipt, Refusal, Seal, Sequence, Ts};

/// Where a body lies in this host's log. Host-local: outside equality, state hash and snapshots, and
/// never sent to anyone.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct BodyRef {
    /// The segment's number.
    pub segment: u32,
    /// Bytes from the start of the segment's file to the first byte of the stored form.
    pub offset: u32,
}

/// The answer to a [`crate::Command`].
///
/// The variants' order is the wire format: add at the end only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Done; nothing more to say.
    Done,
    /// Of a send: one result per item, in order.
    Sent(Vec<SendResult>),
    /// Of a receive: the messages, smallest number first. Empty: nothing was ready.
    Received(Vec<Delivery>),
    /// Of a receive with `wait_until` that found nothing: a waiter is registered, the answer comes as
    /// an effect of a later command, or as `Received` without messages when the wait is over.
    Waiting,
    /// Of acknowledge, change visibility, release, unreceive: one per receipt, in order.
    Receipts(Vec<ReceiptResult>),
    /// Not done, and nothing was applied.
    Refused(Refusal),
    /// Of a send: nothing of it was applied, its partition is sealed and these follow. Of a seal: done.
    Sealed(Box<Seal>),
    /// Of a send: nothing of it was applied, the partition is not open yet. Of what a successor is told:
    /// noted, and still not open.
    Closed {
        /// What it follows and has not all been told about, ascending.
        waits_for: Vec<PartitionId>,
        /// Of what a successor is told: it knows so many of the sends with deduplication keys that the
        /// seal counts, from the first on; whoever tells it goes on from there. Of a send 0.
        keyed_sends: u32,
    },
    /// Of a piece: this one and all before are taken.
    Taken {
        /// The last one's number.
        through: u64,
    },
    /// Of a purge of a sealed partition: done here. Those who follow, and the heir that has or gets what is
    /// gone from here, are to be purged as well.
    PurgedBut {
        /// Names those who follow.
        seal: Box<Seal>,
        /// Who has or gets what was here.
        heir: Option<Box<Heir>>,
    },
}

/// What became of one message of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SendResult {
    /// Kept under this number.
    Accepted(Sequence),
    /// The same message was sent before (deduplication); this is its number.
    Duplicate(Sequence),
    /// The key was used within five minutes with another content.
    Conflict,
    /// The queue has as many messages or bytes as it may have. Nothing kept, no number used.
    Full,
}

/// A leased message on its way to a consumer. The body travels beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its number.
    pub sequence: Sequence,
    /// What the consumer shows later. With `auto_ack` it is of no use any more.
    pub receipt: Receipt,
    /// When it was sent.
    pub sent_at: Ts,
    /// When it was first received.
    pub first_received_at: Ts,
    /// How often it was received, this time included.
    pub receive_count: u32,
    /// Its message group.
    pub group: Option<GroupName>,
    /// Where it died, if it came as a dead letter.
    pub dead_from: Option<Box<DeadFrom>>,
    /// Bytes of the stored form.
    pub size: u32,
    /// CRC-32C of the stored form as sent.
    pub crc: u32,
    /// Where the body lies on the host that executes. Not part of the serialised form.
    pub body: BodyRef,
}

/// A [`Delivery`] as it is serialised: `L` is its [`Label`].
#[derive(Serialize, Deserialize)]
struct DeliveryForm<L> {
    sequence: Sequence,
    receipt: Receipt,
    sent_at: Ts,
    first_received_at: Ts,
    receive_count: u32,
    label: L,
    size: u32,
    crc: u32,
}

impl Serialize for Delivery {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = DeliveryForm {
            sequence: self.sequence,
            receipt: self.receipt,
            sent_at: self.sent_at,
            first_received_at: self.first_received_at,
            receive_count: self.receive_count,
            label: Label::of(self.group.as_ref(), self.dead_from.as_deref()),
            size: self.size,
            crc: self.crc,
        };
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Delivery {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let form = DeliveryForm::<Label<GroupName, DeadFrom>>::deserialize(deserializer)?;
        let (group, dead_from) = form.label.parts();
        Ok(Self {
            sequence: form.sequence,
            receipt: form.receipt,
            sent_at: form.sent_at,
            first_received_at: form.first_received_at,
            receive_count: form.receive_count,
            group,
            dead_from,
            size: form.size,
            crc: form.crc,
            body: BodyRef::default(),
        })
    }
}

/// What became of one receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReceiptResult {
    /// Done. Of an acknowledge: also if the message was deleted before.
    Done,
    /// The message is gone (deleted, expired or purged), so its lease cannot change.
    Gone,
    /// The lease ran out, or ended and the message went on elsewhere, and it was not leased again. A standard queue's acknowledge still
    /// deletes it then and answers `Done`; a FIFO queue's does not.
    Expired,
    /// The message was leased again, to someone else; nothing was done.
    Superseded,
    /// The receipt names a message that was never here.
    Unknown,
    /// Its consumer gave the message back, and it was not leased again: it is ready, or will be after a
    /// delay. Machine versions below 3 say `Expired`.
    NotLeased,
    /// Extended so far the lease would end later than [`crate::limits::LEASE_MAX`] after the receive.
    /// Nothing was done; the lease ends when it did.
    TooLong,
}
