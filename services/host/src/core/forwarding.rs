//! Carries what nobody consumes from sealed partitions to their heirs, on whatever cluster they are, one
//! piece at a time for each.
//!
//! For each such partition one host of the view does it, for a few seconds, then another one. Any of them
//! would do, and two at a time do no harm: the heir takes a piece once, and which one is on its way says the
//! replicated state. Nothing is remembered here that would be missed. Choosing what to carry is all that
//! happens here; reading bodies and the calls are the driver's.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use shoal_queue::PlacedBody;
use shoal_types::{
    ClusterId, ClusterMember, Command, ErrorCode, Heir, HostRequest, Mono, Outcome, PartitionId,
    Piece,
};

use super::answer::stored;
use super::retry::{Retry, idempotent};
use super::{Core, Effect, StoredBody};
use crate::limits;

/// A piece to be carried to one of the heir's hosts.
pub struct Carriage {
    /// Where the heir is.
    pub cluster: ClusterId,
    /// The hosts there, as far as is known; any of them will do.
    pub members: Vec<ClusterMember>,
    /// What to call it with, together with the bodies. May be repeated.
    pub request: HostRequest,
    /// One per message, in order, still to be read where they are not at hand.
    pub bodies: Vec<StoredBody>,
    about: About,
}

#[derive(Clone, Copy)]
struct About {
    source: PartitionId,
    heir: PartitionId,
    messages: u64,
    bytes: u64,
}

/// What became of a [`Carriage`].
pub struct Carried {
    about: About,
    result: Result<Outcome, NotCarried>,
}

/// Why a piece was not carried.
#[derive(Debug)]
pub enum NotCarried {
    /// No host of the heir's cluster took it.
    NotTaken(String),
    /// These bodies could not be read, or are not what was sent.
    Unreadable(Vec<PlacedBody>),
}

impl Carriage {
    /// To be given to [`Core::on_carried`], with what came of it.
    #[must_use]
    pub fn carried(&self, result: Result<Outcome, NotCarried>) -> Carried {
        let about = self.about;
        Carried { about, result }
    }

    /// The bodies if all of them are at hand, else which are not.
    ///
    /// # Errors
    /// Those that could not be read.
    pub fn at_hand(bodies: Vec<StoredBody>) -> Result<Vec<Bytes>, Vec<PlacedBody>> {
        let (mut at_hand, mut missing) = (Vec::with_capacity(bodies.len()), Vec::new());
        for body in bodies {
            match body {
                StoredBody::Recent(bytes) => at_hand.push(bytes),
                StoredBody::InLog(placed) => missing.push(placed),
            }
        }
        if missing.is_empty() {
            Ok(at_hand)
        } else {
            Err(missing)
        }
    }
}

impl Carried {
    /// Messages and bytes that the heir has now, if it took the piece.
    #[must_use]
    pub fn taken(&self) -> Option<(u64, u64)> {
        let is_taken = matches!(self.result, Ok(Outcome::Taken { .. }));
        is_taken.then_some((self.about.messages, self.about.bytes))
    }
}

/// What this host carries, by source.
#[derive(Default)]
pub(super) struct Carriages {
    by_source: BTreeMap<PartitionId, Progress>,
    next_look: Mono,
}

#[derive(Default)]
struct Progress {
    under_way: bool,
    retry: Retry,
    /// When the next piece was asked for last, and what the heir had then.
    asked: Option<(Mono, u64)>,
}

impl Progress {
    /// True if the next piece is to be asked for: it was not yet, or long ago.
    fn is_to_ask(&self, now: Mono, taken: u64) -> bool {
        let lately = |(at, last): (Mono, u64)| last == taken && now < at + limits::NEXT_PIECE_AGAIN;
        !self.asked.is_some_and(lately)
    }
}

impl Core {
    /// Looks through the partitions with heirs for what can go on.
    pub(super) fn carry_on_forwarding(&mut self) {
        if !self.serves() || self.now.mono < self.carriages.next_look {
            return;
        }
        self.carriages.next_look = self.now.mono + limits::FORWARDING_LOOK_INTERVAL;
        let sources = self.machine.sealed();
        let sources =
            sources.filter(|id| self.machine.heir(*id).is_some() && self.looks_after(*id));
        let sources: BTreeSet<PartitionId> = sources.collect();
        let by_source = &mut self.carriages.by_source;
        by_source.retain(|id, _| sources.contains(id));
        let under_way = by_source.values().filter(|one| one.under_way).count();
        let mut room = limits::CARRIAGES_MAX.saturating_sub(under_way);
        for source in sources {
            if room == 0 {
                return;
            }
            room -= usize::from(self.carry_on_with(source));
        }
    }

    /// When the next look is due.
    pub(super) fn next_forwarding(&self) -> Option<Mono> {
        let is_anything = self.serves() && self.machine.sealed().next().is_some();
        is_anything.then_some(self.carriages.next_look)
    }

    /// A piece was carried, or could not be.
    pub fn on_carried(&mut self, carried: Carried) {
        let Carried { about, result } = carried;
        // Another host may look after it by now: what was heard is true all the same.
        let progress = self.carriages.by_source.entry(about.source).or_default();
        progress.under_way = false;
        let is_gone = |code| code == ErrorCode::QueueNotFound;
        match result {
            Ok(Outcome::Taken { through }) => {
                progress.retry.succeeded();
                progress.asked = Some((self.now.mono, through));
                let next = Command::NextPiece {
                    partition: about.source,
                    heir: about.heir,
                    taken: through,
                };
                self.intake.push_own(self.origin, next);
            }
            Ok(Outcome::Refused(refusal)) if is_gone(refusal.code) => {
                tracing::warn!(
                    source = %about.source, heir = %about.heir,
                    "the heir is gone; what it did not take stays"
                );
                progress.retry.failed(self.now.mono);
                let end = Command::EndForwarding {
                    partition: about.source,
                    heir: about.heir,
                };
                self.intake.push_own(self.origin, end);
            }
            Err(NotCarried::Unreadable(bodies)) => {
                progress.retry.failed(self.now.mono);
                self.repair_for_carriage(&bodies);
            }
            Ok(Outcome::Refused(_)) | Err(NotCarried::NotTaken(_)) | Ok(_) => {
                if progress.retry.failed(self.now.mono) {
                    tracing::warn!(
                        source = %about.source, heir = %about.heir, ?result,
                        "what nobody consumes cannot go on to the heir; it is tried again"
                    );
                }
            }
        }
    }

    /// True if a piece is being carried from here on.
    fn carry_on_with(&mut self, source: PartitionId) -> bool {
        let progress = self.carriages.by_source.entry(source).or_default();
        if progress.under_way || !progress.retry.is_due(self.now.mono) {
            return false;
        }
        let Some((heir, made)) = self.machine.heir(source) else {
            return false;
        };
        let heir_id = heir.partition;
        if !progress.is_to_ask(self.now.mono, made) {
            // What comes next is being ordered.
            return false;
        }
        if let Some((heir, piece, places)) = self.machine.piece(source) {
            let placed = piece.messages.iter().zip(places).map(|(message, at)| {
                let body = PlacedBody {
                    partition: source,
                    sequence: message.sequence,
                    at,
                    size: message.size,
                    crc: message.crc,
                };
                stored(body, &self.recent)
            });
            let bodies = placed.collect();
            let carriage = Box::new(carriage(source, heir, piece, bodies));
            progress.under_way = true;
            self.effects.push(Effect::Carry(carriage));
            return true;
        }
        if self.machine.may_make_piece(source) {
            progress.asked = Some((self.now.mono, made));
            let next = Command::NextPiece {
                partition: source,
                heir: heir_id,
                taken: made,
            };
            self.intake.push_own(self.origin, next);
        } else {
            progress
                .retry
                .rest_until(self.now.mono + limits::NEXT_PIECE_LOOK);
        }
        false
    }
}

fn carriage(source: PartitionId, heir: &Heir, piece: Piece, bodies: Vec<StoredBody>) -> Carriage {
    let about = About {
        source,
        heir: heir.partition,
        messages: piece.messages.len() as u64,
        bytes: piece.messages.iter().map(|one| u64::from(one.size)).sum(),
    };
    // Taken once however often it comes.
    let command = Command::TakePiece {
        partition: heir.partition,
        from: source,
        piece,
    };
    Carriage {
        cluster: heir.cluster,
        members: heir.members.clone(),
        request: idempotent(heir.cluster, command),
        bodies,
        about,
    }
}
