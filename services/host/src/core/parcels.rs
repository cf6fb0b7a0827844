//! Carries dead letters, and what tasks move, to the queues that they go to, on whatever cluster those are:
//! one parcel at a time for each partition.
//!
//! As with what goes on to heirs, one host of the view does it for a few seconds, then another one, and two at
//! a time do no harm: the target takes a parcel once, and which one is on its way says the replicated state.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use shoal_queue::PlacedBody;
use shoal_types::planted::{Bug, planted};
use shoal_types::{Command, ErrorCode, Mono, Outcome, PartitionId, Refusal};

use super::answer::stored;
use super::forwarding::{About, Carriage, NotCarried, Taking};
use super::looks::{Looks, in_turn};
use super::retry::{Retry, idempotent};
use super::{Core, Effect};
use crate::limits;

/// What this host carries, by source.
#[derive(Default)]
pub(super) struct Parcels {
    by_source: BTreeMap<PartitionId, Progress>,
    looks: Looks,
    /// The partition that had its turn last: the next look begins behind it.
    looked_at: PartitionId,
}

#[derive(Default)]
struct Progress {
    under_way: bool,
    retry: Retry,
    ordered: Option<Order>,
}

/// Something that was ordered about a parcel, and is executed sooner or later.
struct Order {
    at: Mono,
    /// The last one that was made.
    parcel: u64,
    /// It was on its way, and will not be.
    resolves: bool,
}

impl Progress {
    /// If something that was ordered is still to be executed, as far as can be seen: when it is ordered again.
    fn ordered_lately(&self, now: Mono, made: u64, is_on_its_way: bool) -> Option<Mono> {
        let order = self.ordered.as_ref()?;
        let again = order.at + limits::NEXT_PIECE_AGAIN;
        let waits = order.parcel == made && (is_on_its_way || !order.resolves);
        (waits && now < again).then_some(again)
    }
}

impl Core {
    /// Looks through the partitions that send something for what can go.
    pub(super) fn carry_parcels(&mut self) {
        if self.next_parcel_look().is_none_or(|at| self.now.mono < at) {
            return;
        }
        let senders: BTreeSet<PartitionId> = self.machine.senders().collect();
        let (now_are, pause) = (self.circumstances(), limits::FORWARDING_LOOK_INTERVAL);
        let looks = &mut self.parcels.looks;
        looks.begin(now_are, self.now.mono + pause, senders.len());
        let by_source = &mut self.parcels.by_source;
        by_source.retain(|id, one| one.under_way || senders.contains(id));
        let under_way = by_source.values().filter(|one| one.under_way).count();
        let mut room = limits::CARRIAGES_MAX.saturating_sub(under_way);
        let in_turn = in_turn(&senders, self.parcels.looked_at);
        for source in in_turn.take(limits::PARCEL_LOOK_PARTITIONS) {
            if room == 0 {
                // The next look comes when a parcel has arrived.
                return;
            }
            self.parcels.looked_at = source;
            self.parcels.looks.looked();
            if self.looks_after(source) && self.carry_parcel_of(source) {
                room -= 1;
            }
        }
    }

    /// When the next look is due.
    pub(super) fn next_parcel_look(&self) -> Option<Mono> {
        let is_anything = self.serves() && self.machine.senders().next().is_some();
        is_anything.then(|| self.parcels.looks.next(&self.circumstances()))
    }

    /// A parcel was carried, or could not be.
    pub(super) fn on_parcel_carried(
        &mut self,
        about: About,
        number: u64,
        result: Result<Outcome, NotCarried>,
    ) {
        let About { source, target, .. } = about;
        // Another host may look after it by now: what was heard is true all the same.
        let progress = self.parcels.by_source.entry(source).or_default();
        progress.under_way = false;
        self.parcels.looks.at_once(self.now.mono);
        let result = match result {
            Err(NotCarried::NotTaken(_)) if planted(Bug::UnansweredParcelForgotten) => {
                Ok(Outcome::Taken { through: number })
            }
            result => result,
        };
        let order = match result {
            Ok(Outcome::Taken { through }) => Command::NextParcel {
                partition: source,
                taken: through,
            },
            Ok(Outcome::Sealed(seal)) => Command::RedirectParcel {
                partition: source,
                parcel: number,
                seal,
            },
            Ok(Outcome::Refused(refusal)) if is_final(&refusal) => {
                tracing::warn!(
                    %source, %target, parcel = number, %refusal,
                    "messages cannot go where they are to; they stay"
                );
                Command::ReturnParcel {
                    partition: source,
                    parcel: number,
                }
            }
            Err(NotCarried::Unreadable(bodies)) => {
                progress.retry.failed(self.now.mono);
                self.repair_for_carriage(&bodies);
                return;
            }
            Ok(_) | Err(NotCarried::NotTaken(_)) => {
                if progress.retry.failed(self.now.mono) {
                    tracing::warn!(
                        %source, %target, parcel = number, ?result,
                        "messages cannot go to another queue; it is tried again"
                    );
                }
                return;
            }
        };
        progress.retry.succeeded();
        progress.ordered = Some(Order {
            at: self.now.mono,
            parcel: number,
            resolves: true,
        });
        self.intake.push_own(self.origin, order);
    }

    /// True if a parcel is being carried from here on.
    fn carry_parcel_of(&mut self, source: PartitionId) -> bool {
        let (now, clock) = (self.now.mono, self.clock());
        let progress = self.parcels.by_source.entry(source).or_default();
        let looks = &mut self.parcels.looks;
        if progress.under_way {
            return false;
        }
        if !progress.retry.is_due(now) {
            looks.again_at(progress.retry.due_at());
            return false;
        }
        let made = self.machine.parcels_made(source);
        let on_its_way = self.machine.parcel(source);
        if let Some(again) = progress.ordered_lately(now, made, on_its_way.is_some()) {
            looks.again_at(again);
            return false;
        }
        if self.machine.may_make_parcel(source, clock) {
            progress.ordered = Some(Order {
                at: now,
                parcel: made,
                resolves: false,
            });
            looks.again_at(now + limits::NEXT_PIECE_AGAIN);
            // One that is on its way all the same only settles, and was not heard of.
            let taken = made.saturating_sub(u64::from(on_its_way.is_some()));
            let next = Command::NextParcel {
                partition: source,
                taken,
            };
            self.intake.push_own(self.origin, next);
            return false;
        }
        if let Some(due) = self.machine.next_parcel_of_task(source) {
            looks.again_at(now + Duration::from_micros(due.since(clock)));
        }
        let Some((to, parcel, places)) = on_its_way else {
            return false;
        };
        let numbers = self.machine.parcel_numbers(source);
        let placed = parcel.messages.iter().zip(places).zip(numbers);
        let bodies = placed.map(|((message, at), sequence)| {
            let body = PlacedBody {
                partition: source,
                sequence,
                at,
                size: message.size,
                crc: message.crc,
            };
            stored(body, &self.recent)
        });
        let bodies = bodies.collect();
        let about = About {
            source,
            target: to.partition,
            messages: parcel.messages.len() as u64,
            bytes: parcel.messages.iter().map(|one| u64::from(one.size)).sum(),
            taking: Taking::Parcel(parcel.number),
        };
        // Taken once however often it comes.
        let command = Command::TakeParcel {
            partition: to.partition,
            from: source,
            parcel,
        };
        let carriage = Carriage {
            cluster: to.cluster,
            members: to.members.clone(),
            request: idempotent(to.cluster, command),
            bodies,
            about,
        };
        progress.under_way = true;
        self.effects.push(Effect::Carry(Box::new(carriage)));
        true
    }
}

/// Whoever is asked again will refuse it again.
fn is_final(refusal: &Refusal) -> bool {
    matches!(
        refusal.code,
        ErrorCode::QueueNotFound | ErrorCode::InvalidRequest
    )
}
