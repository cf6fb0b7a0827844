//! Carries what nobody consumes from sealed partitions to their heirs, on whatever cluster they are, one
//! piece at a time for each.
//!
//! For each such partition one host of the view does it, for a few seconds, then another one. Any of them
//! would do, and two at a time do no harm: the heir takes a piece once, and which one is on its way says the
//! replicated state. Nothing is remembered here that would be missed. Choosing what to carry is all that
//! happens here; reading bodies and the calls are the driver's.
//!
//! A piece of which a body cannot be read anywhere stands still, and all that is to go after it: what would
//! arrive without it might be given out before it. That is said loudly, and goes on by itself once the body
//! can be read again or the message's time is over.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use shoal_queue::PlacedBody;
use shoal_types::planted::{Bug, planted};
use shoal_types::{
    ClusterId, ClusterMember, Command, ErrorCode, Heir, HostRequest, Mono, Outcome, PartitionId,
    Piece,
};

use super::answer::stored;
use super::looks::{Looks, in_turn};
use super::retry::{Retry, idempotent};
use super::{Core, Effect, StoredBody};
use crate::limits;

/// A piece to be carried to one of the heir's hosts, or a parcel to another queue's.
pub struct Carriage {
    /// Where the heir or the queue is.
    pub cluster: ClusterId,
    /// The hosts there, as far as is known; any of them will do.
    pub members: Vec<ClusterMember>,
    /// What to call it with, together with the bodies. May be repeated.
    pub request: HostRequest,
    /// One per message, in order, still to be read where they are not at hand.
    pub bodies: Vec<StoredBody>,
    pub(super) about: About,
}

#[derive(Clone, Copy)]
pub(super) struct About {
    pub(super) source: PartitionId,
    pub(super) target: PartitionId,
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) taking: Taking,
}

/// What is to be taken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Taking {
    /// The piece of a sealed partition's messages, by its heir.
    Piece,
    /// The parcel with this number, by another queue.
    Parcel(u64),
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
    /// True if it was a parcel for another queue, and not a piece for an heir.
    #[must_use]
    pub fn is_parcel(&self) -> bool {
        self.about.taking != Taking::Piece
    }

    /// Messages and bytes that the heir or the queue has now, if it took them.
    #[must_use]
    pub fn taken(&self) -> Option<(u64, u64)> {
        let is_taken = matches!(self.result, Ok(Outcome::Taken { .. }));
        is_taken.then_some((self.about.messages, self.about.bytes))
    }
}

/// What goes on from this cluster, by source, whoever carries it at the moment.
#[derive(Default)]
pub(super) struct Carriages {
    by_source: BTreeMap<PartitionId, Progress>,
    looks: Looks,
    /// The source looked at last: the next look begins behind it, so that each has its turn.
    looked_at: PartitionId,
}

#[derive(Default)]
struct Progress {
    under_way: bool,
    retry: Retry,
    /// The last piece that was made, as far as this host has seen.
    made: u64,
    /// Bodies of that piece cannot be read.
    unreadable: Option<Unreadable>,
    /// When the next piece was asked for last, and what the heir had then.
    asked: Option<(Mono, u64)>,
}

/// Since when, and when it was said last.
struct Unreadable {
    since: Mono,
    said: Option<Mono>,
}

impl Progress {
    /// Whoever carries it: if there is another piece than before, or none, that one has arrived.
    fn note_made(&mut self, made: u64, is_on_its_way: bool) {
        if std::mem::replace(&mut self.made, made) != made || !is_on_its_way {
            self.unreadable = None;
            self.retry.succeeded();
        }
    }

    /// True if somebody should hear that bodies of the piece cannot be read: after a while, and then now and
    /// again.
    fn is_unreadable(&mut self, now: Mono) -> bool {
        let known = self.unreadable.get_or_insert(Unreadable {
            since: now,
            said: None,
        });
        let due = known
            .said
            .map_or(known.since + limits::UNREADABLE_WORTH_AN_ALARM, |said| {
                said + limits::UNREADABLE_SAID_AGAIN
            });
        if now < due {
            return false;
        }
        known.said = Some(now);
        true
    }

    /// If the next piece was asked for a moment ago: when it is to be asked for again.
    fn asked_lately(&self, now: Mono, taken: u64) -> Option<Mono> {
        let (at, last) = self.asked?;
        let again = at + limits::NEXT_PIECE_AGAIN;
        (last == taken && now < again).then_some(again)
    }
}

impl Core {
    /// Looks through the partitions with heirs for what can go on.
    pub(super) fn carry_on_forwarding(&mut self) {
        if self.next_forwarding().is_none_or(|at| self.now.mono < at) {
            return;
        }
        let (now_are, pause) = (self.circumstances(), limits::FORWARDING_LOOK_INTERVAL);
        let looks = &mut self.carriages.looks;
        looks.begin(now_are, self.now.mono + pause, 0);
        let sealed = self.machine.sealed();
        let sources = sealed.filter(|id| self.machine.heir(*id).is_some());
        let sources: BTreeSet<PartitionId> = sources.collect();
        let by_source = &mut self.carriages.by_source;
        by_source.retain(|id, _| sources.contains(id));
        for id in &sources {
            let made = self.machine.heir(*id).map_or(0, |(_, made)| made);
            let progress = by_source.entry(*id).or_default();
            progress.note_made(made, self.machine.has_piece(*id));
        }
        let under_way = by_source.values().filter(|one| one.under_way).count();
        let mut room = limits::CARRIAGES_MAX.saturating_sub(under_way);
        for source in in_turn(&sources, self.carriages.looked_at) {
            if room == 0 {
                // The next look comes when a piece has arrived.
                return;
            }
            if self.looks_after(source) && self.carry_on_with(source) {
                self.carriages.looked_at = source;
                room -= 1;
            }
        }
    }

    /// When the next look is due.
    pub(super) fn next_forwarding(&self) -> Option<Mono> {
        let is_anything = self.serves() && self.machine.sealed().next().is_some();
        is_anything.then(|| self.carriages.looks.next(&self.circumstances()))
    }

    /// A command was executed that makes the next piece if there is anything for one: no need to wait for
    /// the next look.
    pub(super) fn next_piece_was_asked(&mut self) {
        self.carriages.looks.at_once(self.now.mono);
    }

    /// Sources of which nothing goes on any more, because bodies cannot be read anywhere.
    #[must_use]
    pub fn forwardings_stopped(&self) -> usize {
        let known = self.carriages.by_source.iter();
        // Those that are gone are forgotten at the next look, which nobody waits for.
        let known = known.filter(|(id, _)| self.serves() && self.machine.heir(**id).is_some());
        let said = known.filter_map(|(_, one)| one.unreadable.as_ref()?.said);
        said.count()
    }

    /// A piece was carried, or could not be.
    pub fn on_carried(&mut self, carried: Carried) {
        let Carried { about, result } = carried;
        if let Taking::Parcel(number) = about.taking {
            self.on_parcel_carried(about, number, result);
            return;
        }
        // Another host may look after it by now: what was heard is true all the same.
        let progress = self.carriages.by_source.entry(about.source).or_default();
        progress.under_way = false;
        self.carriages.looks.at_once(self.now.mono);
        let is_gone = |code| code == ErrorCode::QueueNotFound;
        let result = match (result, self.machine.heir(about.source)) {
            (Err(NotCarried::NotTaken(_)), Some((_, through)))
                if planted(Bug::UnansweredPieceForgotten) =>
            {
                Ok(Outcome::Taken { through })
            }
            (result, _) => result,
        };
        match result {
            Ok(Outcome::Taken { through }) => {
                progress.retry.succeeded();
                progress.unreadable = None;
                progress.asked = Some((self.now.mono, through));
                let next = Command::NextPiece {
                    partition: about.source,
                    heir: about.target,
                    taken: through,
                };
                self.intake.push_own(self.origin, next);
            }
            Ok(Outcome::Refused(refusal)) if is_gone(refusal.code) => {
                tracing::warn!(
                    source = %about.source, heir = %about.target,
                    "the heir is gone; what it did not take stays"
                );
                progress.retry.failed(self.now.mono);
                let end = Command::EndForwarding {
                    partition: about.source,
                    heir: about.target,
                };
                self.intake.push_own(self.origin, end);
            }
            Err(NotCarried::Unreadable(bodies)) => {
                progress.retry.failed(self.now.mono);
                if progress.is_unreadable(self.now.mono) {
                    say_that_it_stands_still(&about, &bodies);
                }
                self.repair_for_carriage(&bodies);
            }
            Ok(Outcome::Refused(_)) | Err(NotCarried::NotTaken(_)) | Ok(_) => {
                // All bodies were at hand.
                progress.unreadable = None;
                if progress.retry.failed(self.now.mono) {
                    tracing::warn!(
                        source = %about.source, heir = %about.target, ?result,
                        "what nobody consumes cannot go on to the heir; it is tried again"
                    );
                }
            }
        }
    }

    /// True if a piece is being carried from here on.
    fn carry_on_with(&mut self, source: PartitionId) -> bool {
        let progress = self.carriages.by_source.entry(source).or_default();
        let looks = &mut self.carriages.looks;
        if progress.under_way {
            return false;
        }
        if !progress.retry.is_due(self.now.mono) {
            looks.again_at(progress.retry.due_at());
            return false;
        }
        let Some((heir, made)) = self.machine.heir(source) else {
            return false;
        };
        let heir_id = heir.partition;
        if let Some(again) = progress.asked_lately(self.now.mono, made) {
            // What comes next is being ordered.
            looks.again_at(again);
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
            looks.again_at(self.now.mono + limits::NEXT_PIECE_AGAIN);
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

fn say_that_it_stands_still(about: &About, bodies: &[PlacedBody]) {
    let numbers = bodies.iter().map(|body| body.sequence.0);
    let first: Vec<u64> = numbers.take(limits::UNREADABLE_LISTED).collect();
    tracing::error!(
        partition = %about.source, heir = %about.target, bodies = bodies.len(), sequences = ?first,
        "what nobody consumes stands still: these bodies are damaged here, and no host of this cluster has \
         given them. Nothing is lost by waiting. Start the hosts of this cluster that are away: it goes on \
         as soon as one of them can read the bodies, or when the messages' retention ends; purging or \
         deleting the queue gives them up"
    );
}

fn carriage(source: PartitionId, heir: &Heir, piece: Piece, bodies: Vec<StoredBody>) -> Carriage {
    let about = About {
        source,
        target: heir.partition,
        taking: Taking::Piece,
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
