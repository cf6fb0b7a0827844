//! Giving messages out: to a receive at once, or to one that waits as soon as there is something.

use std::collections::BTreeSet;

use shoal_types::limits::{LEASED_MAX, RECEIVE_BYTES_MAX, SEALED_WAIT_MAX};
use shoal_types::{Delivery, ErrorCode, MachineVersion, Outcome, Refusal, Request, RequestId, Ts};

use crate::Effect;
use crate::limits::DUE_ITEMS_PER_RECEIVE;
use crate::partition::{Partition, Step, leases_of};
use crate::remembered::{Answer, Waiter, Wanted};
use crate::version::LEASES_BOUNDED_SINCE;

impl Partition {
    /// Executes a receive that was not seen before, and remembers it.
    pub(crate) fn receive(
        &mut self,
        request: &Request,
        wanted: Wanted,
        wait_until: Option<Ts>,
        step: &mut Step<'_>,
    ) -> Outcome {
        // The timer may be behind: what it should have made ready is looked at first, and those who
        // wait come before who comes now.
        let mut budget = due_budget(wanted);
        budget -= self.do_due(budget, step).min(budget);
        self.serve_waiters(step);

        let repeated = self.repeat_attempt(wanted, step.now);
        let deliveries = if repeated.is_empty() {
            let deliveries = self.take(wanted, budget, step);
            self.note_attempt(wanted, &deliveries, step.now);
            deliveries
        } else {
            repeated
        };
        if deliveries.is_empty()
            && let Some(until) = wait_until.map(|until| until.min(request.deadline))
            && let until = self.until_at_most(until, step.now)
            && self.may_wait(request.id, until, step.now)
        {
            self.wait(request, wanted, until, step);
            return Outcome::Waiting;
        }
        if deliveries.is_empty() && self.refuses_leases(wanted, step.version) {
            return Outcome::Refused(Refusal::not_applied(
                ErrorCode::TooManyInFlight,
                "the queue has as many messages in flight as it may have: 120000",
            ));
        }
        if request.id != RequestId(0) {
            let answer = self.answer_of(&deliveries, wanted, request.origin);
            step.remembered
                .remember(request.id, request.deadline, answer, step.now, step.bodies);
        }
        Outcome::Received(deliveries)
    }

    /// What the attempt leased before. Who wants messages deleted as they are given repeats nothing: the
    /// leases would stay, and their messages come back.
    fn repeat_attempt(&self, wanted: Wanted, now: Ts) -> Vec<Delivery> {
        match wanted.attempt {
            Some(key) if !wanted.auto_ack => self.still_leased(self.attempts.leases(key, now), now),
            _ => Vec::new(),
        }
    }

    fn note_attempt(&mut self, wanted: Wanted, deliveries: &[Delivery], now: Ts) {
        if let Some(key) = wanted.attempt
            && !wanted.auto_ack
            && !deliveries.is_empty()
        {
            self.attempts.remember(key, leases_of(deliveries), now);
        }
    }

    /// A request without an id could not be given its answer later; with too many waiters an empty
    /// answer at once is the honest one.
    fn may_wait(&self, id: RequestId, until: Ts, now: Ts) -> bool {
        id != RequestId(0) && until > now && self.waiters.has_room()
    }

    /// A sealed partition is not worth a long wait.
    fn until_at_most(&self, until: Ts, now: Ts) -> Ts {
        match self.sealed() {
            Some(_) => until.min(now.after(SEALED_WAIT_MAX)),
            None => until,
        }
    }

    fn wait(&mut self, request: &Request, wanted: Wanted, until: Ts, step: &mut Step<'_>) {
        let waiter = Waiter {
            partition: self.id,
            origin: request.origin,
            until,
            wanted,
        };
        let position = step.remembered.remember(
            request.id,
            request.deadline,
            Answer::Waiting(Box::new(waiter)),
            step.now,
            step.bodies,
        );
        self.waiters.insert(position, until, wanted.auto_ack);
    }

    /// Gives what is ready to those who wait, oldest first. Run at the end of everything that may
    /// have made a message receivable, so whoever waits does so because there is nothing for it.
    pub(crate) fn serve_waiters(&mut self, step: &mut Step<'_>) {
        while !self.waiters.is_empty() && self.contents.first_receivable().is_some() {
            let Some(position) = self.waiters.oldest(self.lease_room() > 0) else {
                return;
            };
            let waiter = step.remembered.waiter(position).clone();
            let wanted = waiter.wanted;
            let deliveries = self.take(wanted, due_budget(wanted), step);
            if deliveries.is_empty() {
                return;
            }
            self.note_attempt(wanted, &deliveries, step.now);
            self.end_wait(position, deliveries, step);
        }
    }

    /// Answers every receive that waits: there was nothing.
    pub(crate) fn end_all_waits(&mut self, step: &mut Step<'_>) {
        let waiting: Vec<u64> = self.waiters.positions().collect();
        for position in waiting {
            self.end_wait(position, Vec::new(), step);
        }
    }

    /// Answers a waiting receive.
    pub(crate) fn end_wait(
        &mut self,
        position: u64,
        deliveries: Vec<Delivery>,
        step: &mut Step<'_>,
    ) {
        let waiter = step.remembered.waiter(position).clone();
        self.waiters.remove(position, waiter.until);
        let answer = self.answer_of(&deliveries, waiter.wanted, waiter.origin);
        let id = step.remembered.answer_waiter(position, answer, step.bodies);
        step.effects.push(Effect::Given {
            origin: waiter.origin,
            waiter: id,
            deliveries,
        });
    }

    /// Whether a receive that finds nothing is told that it could not be given anything. One that waits
    /// is not: a lease may end meanwhile. In a FIFO queue more in flight than it may have is no error.
    fn refuses_leases(&self, wanted: Wanted, version: MachineVersion) -> bool {
        version >= LEASES_BOUNDED_SINCE
            && !self.settings.fifo
            && !wanted.auto_ack
            && self.lease_room() == 0
    }

    fn lease_room(&self) -> usize {
        LEASED_MAX.saturating_sub(self.contents.leases.len())
    }

    /// Leases (or deletes at once) up to `max` messages, smallest number first or by fair turns, see
    /// [`Contents::first_receivable`](crate::contents::Contents::first_receivable). Messages whose time
    /// is over or that were received as often as they may be, and that are met on the way, are dropped or
    /// die, up to `budget` of them.
    fn take(&mut self, wanted: Wanted, mut budget: usize, step: &mut Step<'_>) -> Vec<Delivery> {
        let now = step.now;
        let since = if step.version >= LEASES_BOUNDED_SINCE {
            now
        } else {
            Ts::ZERO
        };
        let visibility = wanted.visibility.unwrap_or(self.settings.visibility);
        let mut deliveries = Vec::new();
        let mut bytes = 0;
        // The next messages of the FIFO groups that this very receive has locked.
        let mut followers = BTreeSet::new();
        while deliveries.len() < usize::from(wanted.max) {
            let first = self.contents.first_receivable();
            let Some(number) = first.into_iter().chain(followers.first().copied()).min() else {
                break;
            };
            let follows = followers.contains(&number);
            if self.is_expired(number, now) {
                if budget == 0 {
                    break;
                }
                budget -= 1;
                let next = self.contents.ready_successor(number);
                self.contents.remove(number, step.bodies);
                if follows {
                    followers.remove(&number);
                    followers.extend(next);
                }
                continue;
            }
            if self.is_doomed(number) {
                if follows {
                    // It dies once it is the first of its group.
                    followers.remove(&number);
                    continue;
                }
                if budget == 0 {
                    break;
                }
                budget -= 1;
                self.die(number);
                continue;
            }
            if !wanted.auto_ack && self.lease_room() == 0 {
                break;
            }
            let size = self.contents.slots.slot(number).expect("it is ready").size as usize;
            if !deliveries.is_empty() && bytes + size > RECEIVE_BYTES_MAX {
                break;
            }
            bytes += size;
            if wanted.auto_ack {
                self.contents.take(number, now);
                deliveries.push(self.delivery(number));
                self.contents.remove(number, step.bodies);
            } else {
                let until = now.after(visibility);
                self.contents.lease(number, now, since, until);
                deliveries.push(self.delivery(number));
                followers.remove(&number);
                followers.extend(self.contents.ready_successor(number));
            }
        }
        deliveries
    }
}

fn due_budget(wanted: Wanted) -> usize {
    usize::from(wanted.max) + DUE_ITEMS_PER_RECEIVE
}
