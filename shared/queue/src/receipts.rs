//! What consumers do with leases: acknowledge, extend, release, undo.

use shoal_types::limits::LEASE_MAX;
use shoal_types::planted::{Bug, planted};
use shoal_types::{LeaseChange, MachineVersion, Micros, Receipt, ReceiptResult, Ts};

use crate::chunk::Hold;
use crate::contents::LeaseEnd;
use crate::live_bodies::LiveBodies;
use crate::partition::{Partition, Step};
use crate::version::LEASES_BOUNDED_SINCE;

/// What a receipt is worth at the moment. A lease is judged by its deadline, whether or not the
/// timer got to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Its lease lasts.
    Held(u64),
    /// Its lease ran out, and the message was not leased again.
    RanOut(u64),
    /// Its consumer gave the message back, and it was not leased again.
    GivenBack,
    /// Its lease ended, and the message died, or went on to the partition's heir or another queue, or is on its
    /// way: whoever has this receipt has no say in it any more.
    Elsewhere,
    /// The message was leased again.
    Superseded,
    /// The message is gone.
    Gone,
    /// There never was such a message or lease.
    Unknown,
}

impl Partition {
    /// Deletes leased messages.
    pub(crate) fn acknowledge(
        &mut self,
        receipts: &[Receipt],
        step: &mut Step<'_>,
    ) -> Vec<ReceiptResult> {
        let fifo = self.settings.fifo;
        let mut acknowledge = |receipt: &Receipt| match self.standing(receipt, step) {
            Standing::RanOut(_) if fifo => ReceiptResult::Expired,
            Standing::Held(number) | Standing::RanOut(number) => {
                self.contents.remove(number, step.bodies);
                ReceiptResult::Done
            }
            Standing::Gone => ReceiptResult::Done,
            Standing::GivenBack => given_back(step.version),
            Standing::Elsewhere => ReceiptResult::Expired,
            Standing::Superseded => ReceiptResult::Superseded,
            Standing::Unknown => ReceiptResult::Unknown,
        };
        receipts.iter().map(&mut acknowledge).collect()
    }

    /// Moves the ends of leases, to [`LEASE_MAX`] after the receive at most; 0 gives the message back.
    pub(crate) fn change_visibility(
        &mut self,
        changes: &[LeaseChange],
        step: &mut Step<'_>,
    ) -> Vec<ReceiptResult> {
        let mut change = |change: &LeaseChange| {
            let until = step.now.after(change.visibility);
            let visibility = change.visibility;
            self.on_held(&change.receipt, step, |partition, number| {
                if visibility == 0 {
                    let end = LeaseEnd::Released(None);
                    partition.end_lease(number, end);
                } else if partition.lease_may_last(number, until) {
                    partition.contents.extend(number, until);
                } else {
                    return ReceiptResult::TooLong;
                }
                ReceiptResult::Done
            })
        };
        changes.iter().map(&mut change).collect()
    }

    /// Gives messages back, ready after `delay`.
    pub(crate) fn release(
        &mut self,
        receipts: &[Receipt],
        delay: Micros,
        step: &mut Step<'_>,
    ) -> Vec<ReceiptResult> {
        let until = (delay > 0).then(|| step.now.after(delay));
        self.end_leases(receipts, LeaseEnd::Released(until), step)
    }

    /// Gives messages back that no consumer has seen.
    pub(crate) fn unreceive(
        &mut self,
        receipts: &[Receipt],
        step: &mut Step<'_>,
    ) -> Vec<ReceiptResult> {
        self.end_leases(receipts, LeaseEnd::Undone, step)
    }

    fn end_leases(
        &mut self,
        receipts: &[Receipt],
        end: LeaseEnd,
        step: &mut Step<'_>,
    ) -> Vec<ReceiptResult> {
        let mut end_one = |receipt: &Receipt| {
            self.on_held(receipt, step, |partition, number| {
                partition.end_lease(number, end);
                ReceiptResult::Done
            })
        };
        receipts.iter().map(&mut end_one).collect()
    }

    fn on_held(
        &mut self,
        receipt: &Receipt,
        step: &mut Step<'_>,
        act: impl FnOnce(&mut Self, u64) -> ReceiptResult,
    ) -> ReceiptResult {
        match self.standing(receipt, step) {
            Standing::Held(number) => act(self, number),
            Standing::RanOut(_) | Standing::Elsewhere => ReceiptResult::Expired,
            Standing::GivenBack => given_back(step.version),
            Standing::Superseded => ReceiptResult::Superseded,
            Standing::Gone => ReceiptResult::Gone,
            Standing::Unknown => ReceiptResult::Unknown,
        }
    }

    /// Whether a leased message's lease may end only then. Those by older rules may end whenever.
    fn lease_may_last(&self, number: u64, until: Ts) -> bool {
        let (chunk, offset) = self.contents.slots.find(number).expect("it is leased");
        let Hold::Leased { since, .. } = chunk.side(offset).hold else {
            panic!("only leased messages have a lease to extend")
        };
        since == Ts::ZERO || until <= since.after(LEASE_MAX)
    }

    fn standing(&mut self, receipt: &Receipt, step: &mut Step<'_>) -> Standing {
        let number = receipt.sequence.number();
        let ours = receipt.partition == self.id && receipt.sequence.epoch() == self.settings.epoch;
        if !ours || !(1..=self.last).contains(&number) || receipt.lease == 0 {
            return Standing::Unknown;
        }
        if !self.exists_in_time(number, step.now, step.bodies) {
            // Runs of numbers that went are joined where there are too many of them: one that is here has not.
            return match self.went_on(number) || self.was_taken(number) {
                true => Standing::Elsewhere,
                false => Standing::Gone,
            };
        }
        let (chunk, offset) = self.contents.slots.find(number).expect("it exists");
        let slot = chunk.slot(offset).expect("it exists");
        match chunk.side(offset).hold {
            _ if receipt.lease > slot.lease => Standing::Unknown,
            _ if receipt.lease < slot.lease && !planted(Bug::ReceiptsNotFenced) => {
                Standing::Superseded
            }
            Hold::Leased { until, .. } if until > step.now => Standing::Held(number),
            Hold::Going(_) if !planted(Bug::DeletedOnItsWay) => Standing::Elsewhere,
            Hold::Dead(_) => Standing::Elsewhere,
            _ if slot.given_back => Standing::GivenBack,
            _ => Standing::RanOut(number),
        }
    }

    /// Whether the message is there; one whose time is over is dropped on the occasion.
    fn exists_in_time(&mut self, number: u64, now: Ts, bodies: &mut LiveBodies) -> bool {
        if self.contents.slots.find(number).is_none() {
            return false;
        }
        let expired = self.is_expired(number, now);
        if expired {
            self.contents.remove(number, bodies);
        }
        !expired
    }
}

/// What is said of a message that its consumer gave back: older rules took it for one that ran out.
fn given_back(version: MachineVersion) -> ReceiptResult {
    if version >= LEASES_BOUNDED_SINCE {
        ReceiptResult::NotLeased
    } else {
        ReceiptResult::Expired
    }
}
