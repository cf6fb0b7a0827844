//! Receives messages and does something with each: mostly acknowledges them in time, but also too
//! late, twice, with a receipt that is stale or wrong, or not at all.

use std::collections::VecDeque;

use shoal_types::{
    AttemptKey, Command, Delivery, LeaseChange, Micros, Outcome, PartitionId, Receipt,
    ReceiptResult, Sequence,
};

use super::execution::{End, Errand};
use super::limits::{
    CRASH_VISIBILITY_MAX, CRASHES_PERCENT, DELAY_MAX, HEDGE_AFTER, HELD_MAX, MILLISECOND,
    OLD_RECEIPTS_MAX, SECOND, VISIBILITY_MAX, WAIT_MAX,
};
use super::role::{Desk, Next, Role};
use crate::history::SimTime;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Consumer {
    /// Batches at work, each with the time when something is done about it.
    held: VecDeque<Held>,
    /// Receipts of earlier leases, to be shown once more.
    old: VecDeque<Receipt>,
    last_attempt: Option<AttemptKey>,
}

#[derive(Debug)]
struct Held {
    partition: PartitionId,
    receipts: Vec<Receipt>,
    act_at: SimTime,
}

impl Role for Consumer {
    fn next(&mut self, desk: &mut Desk<'_>) -> Next {
        if desk.draining {
            return Next::Done;
        }
        let due = self.held.iter().position(|held| held.act_at <= desk.now);
        if let Some(at) = due {
            let held = self.held.remove(at).expect("just found");
            return Next::Do(self.act(held, desk));
        }
        let pause = desk.knobs.pause;
        if self.held.len() >= HELD_MAX {
            return Next::Rest(desk.pause(pause));
        }
        match desk
            .queues
            .pick_for_receiving(desk.random)
            .map(|queue| queue.partition)
        {
            Some(partition) => Next::Do(self.receive(partition, desk)),
            None => Next::Rest(desk.pause(pause)),
        }
    }

    fn ended(&mut self, command: &Command, end: &End, desk: &mut Desk<'_>) {
        match (command, end) {
            (
                Command::Receive {
                    partition,
                    auto_ack,
                    ..
                },
                End::Outcome(Outcome::Received(deliveries)),
            ) => {
                if deliveries.is_empty() {
                    desk.queues.found_empty(*partition);
                } else if *auto_ack {
                    desk.queues.taken(*partition, deliveries.len() as u64);
                } else {
                    self.take(*partition, deliveries, desk);
                }
            }
            (Command::Acknowledge { partition, .. }, End::Outcome(Outcome::Receipts(results))) => {
                let done = results.iter().filter(|r| **r == ReceiptResult::Done);
                desk.queues.taken(*partition, done.count() as u64);
            }
            _ => {}
        }
    }

    fn pause(&self, desk: &mut Desk<'_>) -> Micros {
        let pause = desk.pause(desk.knobs.pause);
        let act = self.held.iter().map(|held| held.act_at).min();
        act.map_or(pause, |at| pause.min(at.0.saturating_sub(desk.now.0)))
    }
}

impl Consumer {
    fn receive(&mut self, partition: PartitionId, desk: &mut Desk<'_>) -> Errand {
        let crashes = crashes(partition, desk);
        let knobs = desk.knobs;
        let random = &mut *desk.random;
        let visibility = match random.below(20) {
            _ if crashes && random.one_in(2) => {
                Some(random.magnitude(10 * MILLISECOND..CRASH_VISIBILITY_MAX))
            }
            0 => Some(0),
            1..8 => Some(random.magnitude(100 * MILLISECOND..VISIBILITY_MAX)),
            _ => None,
        };
        let wait: Option<Micros> = random
            .chance_percent(knobs.waiting_percent)
            .then(|| random.magnitude(100 * MILLISECOND..WAIT_MAX));
        let attempt = random.one_in(12).then(|| match self.last_attempt {
            Some(key) if random.one_in(2) => key,
            _ => random.any_u128().to_le_bytes(),
        });
        self.last_attempt = attempt.or(self.last_attempt);
        let command = Command::Receive {
            partition,
            max: match random.below(30) {
                0 => 50,
                // Refused.
                1 => 0,
                _ => random.range(1..11) as u16,
            },
            visibility,
            wait_until: wait.map(|wait| desk.wall.after(wait)),
            attempt,
            auto_ack: random.chance_percent(knobs.auto_ack_percent),
        };
        let leaves_after = random
            .chance_percent(knobs.leaving_percent)
            .then(|| random.magnitude(2 * MILLISECOND..WAIT_MAX));
        let errand = desk.errand(command);
        let wait = wait.unwrap_or_default();
        Errand {
            patience: errand.patience + wait,
            hedge_after: if errand.hedge_after == HEDGE_AFTER {
                HEDGE_AFTER + wait
            } else {
                errand.hedge_after
            },
            leaves_after,
            waits: wait,
            ..errand
        }
    }

    fn take(&mut self, partition: PartitionId, deliveries: &[Delivery], desk: &mut Desk<'_>) {
        let receipts: Vec<Receipt> = deliveries.iter().map(|d| d.receipt).collect();
        self.old.extend(&receipts);
        while self.old.len() > OLD_RECEIPTS_MAX {
            self.old.pop_front();
        }
        if crashes(partition, desk) && desk.random.chance_percent(CRASHES_PERCENT) {
            return;
        }
        let work = desk.queues.get(partition).map_or(SECOND, |q| q.work);
        let careless = desk.random.chance_percent(desk.knobs.careless_percent);
        let after = if careless {
            // A third is forgotten; others come around when the lease is long over.
            if desk.random.one_in(3) {
                return;
            }
            desk.random.range(0..2 * VISIBILITY_MAX)
        } else {
            desk.random.magnitude(MILLISECOND..work)
        };
        self.hold(partition, receipts, after, desk);
    }

    /// Something is done about these in so many microseconds.
    fn hold(
        &mut self,
        partition: PartitionId,
        receipts: Vec<Receipt>,
        after: Micros,
        desk: &Desk<'_>,
    ) {
        self.held.push_back(Held {
            partition,
            receipts,
            act_at: SimTime(desk.now.0 + after),
        });
    }

    /// Any of them stay for now, the others wait for a while.
    fn set_some_aside(
        &mut self,
        partition: PartitionId,
        receipts: &mut Vec<Receipt>,
        desk: &mut Desk<'_>,
    ) {
        let mut others = Vec::new();
        let first = receipts[desk.random.index(receipts.len())];
        receipts.retain(|receipt| {
            let stays = *receipt == first || desk.random.one_in(2);
            if !stays {
                others.push(*receipt);
            }
            stays
        });
        if !others.is_empty() {
            let after = desk.random.magnitude(10 * MILLISECOND..SECOND);
            self.hold(partition, others, after, desk);
        }
    }

    fn act(&mut self, held: Held, desk: &mut Desk<'_>) -> Errand {
        let Held {
            partition,
            mut receipts,
            ..
        } = held;
        if receipts.len() > 1 && desk.random.one_in(4) {
            self.set_some_aside(partition, &mut receipts, desk);
        }
        let careless = desk.random.chance_percent(desk.knobs.careless_percent);
        let command = match desk.random.below(if careless { 11 } else { 30 }) {
            0..2 => {
                let visibility = desk.random.magnitude(50 * MILLISECOND..VISIBILITY_MAX);
                let act = desk.random.range(0..visibility * 5 / 4);
                self.hold(partition, receipts.clone(), act, desk);
                let changes = receipts.into_iter().map(|receipt| LeaseChange {
                    receipt,
                    visibility,
                });
                Command::ChangeVisibility {
                    partition,
                    changes: changes.collect(),
                }
            }
            2 => Command::ChangeVisibility {
                partition,
                changes: receipts
                    .into_iter()
                    .map(|receipt| LeaseChange {
                        receipt,
                        visibility: 0,
                    })
                    .collect(),
            },
            3 => Command::Release {
                partition,
                receipts,
                delay: if desk.random.one_in(2) {
                    0
                } else {
                    desk.random.magnitude(10 * MILLISECOND..DELAY_MAX)
                },
            },
            4 => Command::Unreceive {
                partition,
                receipts,
            },
            5 => {
                // Once more in a moment.
                let again = desk.random.magnitude(MILLISECOND..3 * SECOND);
                self.hold(partition, receipts.clone(), again, desk);
                Command::Acknowledge {
                    partition,
                    receipts,
                }
            }
            6 => {
                receipts.push(self.odd_receipt(partition, receipts[0], desk));
                if desk.random.one_in(2) {
                    let changes = receipts.into_iter().map(|receipt| LeaseChange {
                        receipt,
                        visibility: SECOND,
                    });
                    Command::ChangeVisibility {
                        partition,
                        changes: changes.collect(),
                    }
                } else {
                    Command::Acknowledge {
                        partition,
                        receipts,
                    }
                }
            }
            _ => Command::Acknowledge {
                partition,
                receipts,
            },
        };
        desk.errand(command)
    }

    /// A receipt of an earlier lease, or one that nobody was ever given.
    fn odd_receipt(&self, partition: PartitionId, like: Receipt, desk: &mut Desk<'_>) -> Receipt {
        let old: Vec<&Receipt> = self
            .old
            .iter()
            .filter(|receipt| receipt.partition == partition)
            .collect();
        match desk.random.below(6) {
            0 => Receipt {
                lease: like.lease.saturating_add(1),
                ..like
            },
            1 => Receipt {
                sequence: Sequence(like.sequence.0 + 100_000),
                ..like
            },
            _ if !old.is_empty() => **desk.random.choose(&old),
            _ => like,
        }
    }
}

/// Whether consumers fall over the queue's messages.
fn crashes(partition: PartitionId, desk: &Desk<'_>) -> bool {
    let queue = desk.queues.get(partition);
    queue.is_some_and(|queue| queue.crashes)
}
