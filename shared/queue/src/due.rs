//! What happens by itself when its time comes.
//!
//! Every partition knows its own next due item from the heads of its indexes; the machine keeps one
//! timer index over the partitions. Nothing relies on the timer being in time: receives and receipts
//! judge leases, delays and expiry by the clock.

use shoal_types::planted::local_clock;
use shoal_types::{PartitionId, Ts};

use crate::contents::LeaseEnd;
use crate::partition::{Partition, Step};

/// Kinds of due work. Of items due at the same instant the earlier variant is done first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// The message that would be given out next was received as often as it may be. At once.
    Death(u64),
    /// The dead do not go anywhere any more, and this one comes to life again. At once.
    Revival(u64),
    /// A lease ran out: the message is ready again.
    Lease(u64),
    /// A delay is over: the message is ready.
    Delay(u64),
    /// A message's own time to live is over.
    TimeToLive(u64),
    /// The oldest message was kept as long as the partition keeps messages.
    Retention(u64),
    /// A receive waited as long as it wanted to; by its position among the remembered requests.
    Wait(u64),
    /// A block of deduplication keys no longer counts.
    KeyedSends,
    /// A block of attempts no longer counts.
    Attempts,
    /// A source of parcels was not heard of for so long that nothing of it can come twice.
    Source(PartitionId),
}

impl Partition {
    /// The item that is due first, and when.
    pub(crate) fn first_due(&self) -> Option<(Ts, Due)> {
        let contents = &self.contents;
        let at = |(due, number): &(Ts, u64), kind: fn(u64) -> Due| (*due, kind(*number));
        let retention = self.settings.retention;
        let kept = |sent_at: Ts, number| (sent_at.after(retention), Due::Retention(number));
        [
            self.next_to_die()
                .map(|number| (Ts::ZERO, Due::Death(number))),
            self.next_to_revive()
                .map(|number| (Ts::ZERO, Due::Revival(number))),
            contents.leases.first().map(|item| at(item, Due::Lease)),
            contents.delays.first().map(|item| at(item, Due::Delay)),
            contents.ttls.first().map(|item| at(item, Due::TimeToLive)),
            contents
                .slots
                .first()
                .map(|(number, slot)| kept(slot.sent_at, number)),
            contents
                .first_elder()
                .map(|(sent_at, number)| kept(sent_at, number)),
            self.waiters.first_end().map(|item| at(&item, Due::Wait)),
            self.keyed_sends
                .window()
                .forgettable_from()
                .map(|due| (due, Due::KeyedSends)),
            self.attempts
                .window()
                .forgettable_from()
                .map(|due| (due, Due::Attempts)),
            self.first_source_to_forget()
                .map(|(due, source)| (due, Due::Source(source))),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what is due at the step's time, at most about `budget` items; gives how many it did.
    pub(crate) fn do_due(&mut self, budget: usize, step: &mut Step<'_>) -> usize {
        self.do_due_before((local_clock(step.now), u64::MAX), budget, step)
    }

    /// As [`Partition::do_due`], but nothing from `(due, partition id) > horizon` on: what another
    /// partition has due comes first.
    pub(crate) fn do_due_before(
        &mut self,
        horizon: (Ts, u64),
        budget: usize,
        step: &mut Step<'_>,
    ) -> usize {
        let mut done = 0;
        let now = local_clock(step.now);
        while done < budget
            && let Some((at, due)) = self.first_due()
            && at <= now
            && (at, self.id.0) <= horizon
        {
            done += self.do_one(due, step);
        }
        done
    }

    /// Gives what it counts for.
    fn do_one(&mut self, due: Due, step: &mut Step<'_>) -> usize {
        match due {
            Due::Death(number) => self.die(number),
            Due::Revival(number) => self.contents.revive(number),
            Due::Lease(number) => self.end_lease(number, LeaseEnd::RanOut),
            Due::Delay(number) => self.contents.end_delay(number),
            Due::TimeToLive(number) | Due::Retention(number) => {
                self.contents.remove(number, step.bodies);
            }
            Due::Wait(position) => self.end_wait(position, Vec::new(), step),
            Due::KeyedSends => return self.keyed_sends.forget(step.now, |_| ()),
            Due::Attempts => return self.attempts.forget(step.now, |_| ()),
            Due::Source(source) => self.forget_source(source),
        }
        1
    }
}
