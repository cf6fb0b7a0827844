//! Receives: what each is given, who waits for messages, and who does not any more.

use shoal_types::limits::{DEDUPLICATION_WINDOW, LEASED_MAX, SEALED_WAIT_MAX, WAITERS_MAX};
use shoal_types::{
    AttemptKey, Delivery, ErrorCode, Origin, Outcome, PartitionId, Request, RequestId, Ts,
};

use crate::partition::{Leases, Wanted, leases};
use crate::{Answer, Given, Model, Waiter};

impl Model {
    /// Nobody waits at a partition any more.
    pub(crate) fn end_all_waits(&mut self, id: PartitionId, effects: &mut Vec<Given>) {
        let waiters = self.waiters.iter().enumerate();
        let here = waiters.filter(|(_, w)| w.partition == id);
        let mut here: Vec<_> = here.map(|(age, w)| (w.until, age, w.id)).collect();
        here.sort_unstable();
        for (_, _, waiter) in here {
            self.end_wait(waiter, Vec::new(), effects);
        }
    }

    pub(crate) fn end_wait(
        &mut self,
        id: RequestId,
        deliveries: Vec<Delivery>,
        effects: &mut Vec<Given>,
    ) {
        let age = self.waiters.iter().position(|w| w.id == id).unwrap();
        let waiter = self.waiters.remove(age);
        self.note_received(
            id,
            waiter.partition,
            waiter.origin,
            waiter.wanted,
            &deliveries,
        );
        effects.push(Given {
            origin: waiter.origin,
            waiter: id,
            deliveries,
        });
    }

    fn note_received(
        &mut self,
        id: RequestId,
        partition: PartitionId,
        origin: Origin,
        wanted: Wanted,
        deliveries: &[Delivery],
    ) {
        if let Some((_, answer)) = self.seen.get_mut(&id) {
            *answer = if wanted.auto_ack && !deliveries.is_empty() {
                Answer::Taken(deliveries.to_vec())
            } else if wanted.attempt.is_some() {
                Answer::Attempted(partition, leases(deliveries))
            } else {
                Answer::Leased(partition, origin, leases(deliveries))
            };
        }
    }

    pub(crate) fn serve_waiters(&mut self, id: PartitionId, effects: &mut Vec<Given>) {
        let when = self.when();
        loop {
            let Some(partition) = self.partitions.get_mut(&id) else {
                return;
            };
            let may_lease = partition.leased() < LEASED_MAX;
            let can_serve = |w: &&Waiter| w.partition == id && (may_lease || w.wanted.auto_ack);
            let Some(waiter) = self.waiters.iter().find(can_serve).cloned() else {
                return;
            };
            let budget = usize::from(waiter.wanted.max) + 16;
            let deliveries = partition.take(id, waiter.wanted, budget, when);
            if deliveries.is_empty() {
                return;
            }
            self.end_wait(waiter.id, deliveries, effects);
        }
    }

    /// A view was installed: receives whose client waits at none of `origins` are forgotten.
    pub fn view_installed(&mut self, origins: &[Origin]) {
        let seen = &mut self.seen;
        self.waiters.retain(|waiter| {
            let stays = origins.contains(&waiter.origin);
            if !stays {
                seen.remove(&waiter.id);
            }
            stays
        });
    }

    pub(crate) fn receive(
        &mut self,
        id: PartitionId,
        wanted: Wanted,
        wait_until: Option<Ts>,
        request: &Request,
        effects: &mut Vec<Given>,
    ) -> Result<Outcome, ErrorCode> {
        let when = self.when();
        let now = when.now;
        let mut budget = usize::from(wanted.max) + 16;
        while budget > 0
            && let Some((at, _, due)) = self.due(Some(id))
            && at <= now
        {
            self.do_due(id, due, effects);
            budget -= 1;
        }
        self.serve_waiters(id, effects);

        let partition = self.partitions.get_mut(&id).unwrap();
        let same_attempt = |(key, at, _): &&(AttemptKey, Ts, Leases)| {
            !wanted.auto_ack && Some(*key) == wanted.attempt && now < at.after(DEDUPLICATION_WINDOW)
        };
        let mut deliveries = match partition.attempts.iter().rev().find(same_attempt) {
            Some((_, _, leases)) => partition.still_leased(id, leases, now),
            None => Vec::new(),
        };
        if deliveries.is_empty() {
            deliveries = partition.take(id, wanted, budget, when);
        }
        let leases = when.leases_are_bounded() && !partition.settings.fifo && !wanted.auto_ack;
        let at_bound = leases && deliveries.is_empty() && partition.leased() >= LEASED_MAX;
        let mut until = wait_until.map_or(Ts::ZERO, |until| until.min(request.deadline));
        if self.partitions[&id].sealed.is_some() {
            until = until.min(now.after(SEALED_WAIT_MAX));
        }
        let waiting = self.waiters.iter().filter(|w| w.partition == id).count();
        if deliveries.is_empty()
            && until > now
            && request.id != RequestId(0)
            && waiting < WAITERS_MAX
        {
            self.seen
                .insert(request.id, (request.deadline, Answer::Waiting));
            self.waiters.push(Waiter {
                id: request.id,
                partition: id,
                origin: request.origin,
                until,
                wanted,
            });
            return Ok(Outcome::Waiting);
        }
        if at_bound {
            return Err(ErrorCode::TooManyInFlight);
        }
        if request.id != RequestId(0) {
            self.seen
                .insert(request.id, (request.deadline, Answer::Waiting));
        }
        self.note_received(request.id, id, request.origin, wanted, &deliveries);
        Ok(Outcome::Received(deliveries))
    }

    pub(crate) fn cancel_waiter(
        &mut self,
        id: RequestId,
        origin: Origin,
        effects: &mut Vec<Given>,
    ) {
        let when = self.when();
        let now = when.now;
        match self.seen.get(&id) {
            Some((deadline, _)) if now > *deadline => {}
            Some((_, Answer::Waiting)) => {
                let mine = |w: &Waiter| w.id == id && w.origin == origin;
                if self.waiters.iter().any(mine) {
                    self.waiters.retain(|w| !mine(w));
                    self.seen.remove(&id);
                }
            }
            Some((_, Answer::Leased(partition, told, leases))) if *told == origin => {
                let partition = *partition;
                if let Some(p) = self.partitions.get_mut(&partition) {
                    for delivery in p.still_leased(partition, leases, now) {
                        p.give_back(partition, &delivery.receipt, 0, true, when);
                    }
                }
                self.seen.remove(&id);
                self.serve_waiters(partition, effects);
            }
            _ => {}
        }
    }
}
