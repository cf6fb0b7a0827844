//! What requests were answered, until their deadlines: a request that comes again gets the first
//! answer again, on whichever host.
//!
//! A receive that waits is a remembered request without an answer yet; so everything about a waiter
//! stands here, and its position is its age.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use shoal_types::planted::{Bug, planted};
use shoal_types::{
    AttemptKey, BodyRef, Delivery, Micros, Origin, PartitionId, ReceiptResult, RequestId,
    SendResult, Ts,
};

use crate::attempts::Leased;
use crate::keyed_window::{Keyed, KeyedWindow};
use crate::limits::BLOCK_ENTRIES;
use crate::live_bodies::LiveBodies;
use crate::stored::{decode, encode};
use crate::window::Block;

/// A request and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    id: RequestId,
    deadline: Ts,
    answer: Answer,
}

/// The variants' order is part of the checkpoint's format: add at the end only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// The request counts as never seen: its waiter was removed, or what it got was given back.
    Forgotten,
    Done,
    Sent(Box<[SendResult]>),
    Receipts(Box<[ReceiptResult]>),
    /// A receive that waits.
    Waiting(Box<Waiter>),
    /// A receive that got leases, or nothing.
    Leased(Box<Leases>),
    /// A receive that got messages which were deleted at once.
    Taken(Box<Taken>),
}

/// A receive that waits for messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waiter {
    pub(crate) partition: PartitionId,
    /// Whose client waits.
    pub(crate) origin: Origin,
    pub(crate) until: Ts,
    pub(crate) wanted: Wanted,
}

/// What a receive asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    pub(crate) max: u16,
    pub(crate) visibility: Option<Micros>,
    pub(crate) attempt: Option<AttemptKey>,
    pub(crate) auto_ack: bool,
}

/// Leases that a receive got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Leases {
    pub(crate) partition: PartitionId,
    /// Who was told last.
    pub(crate) origin: Origin,
    /// Under an attempt id: another request may have been told of the same leases.
    pub(crate) by_attempt: bool,
    pub(crate) leases: Box<[Leased]>,
}

/// Messages that a receive got and that are deleted. Their bodies stay live as long as the answer
/// may have to be given again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Taken {
    /// Without the bodies: those are host-local.
    deliveries: Box<[Delivery]>,
    bodies: Box<[BodyRef]>,
}

impl Taken {
    pub(crate) fn new(deliveries: &[Delivery]) -> Self {
        let without_body = |delivery: &Delivery| Delivery {
            body: BodyRef::default(),
            ..delivery.clone()
        };
        Self {
            deliveries: deliveries.iter().map(without_body).collect(),
            bodies: deliveries.iter().map(|delivery| delivery.body).collect(),
        }
    }

    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        let with_body = |(delivery, body): (&Delivery, &BodyRef)| Delivery {
            body: *body,
            ..delivery.clone()
        };
        self.deliveries
            .iter()
            .zip(&self.bodies)
            .map(with_body)
            .collect()
    }

    pub(crate) fn host_independent(&self) -> &[Delivery] {
        &self.deliveries
    }
}

/// A stored block with other places of the bodies in it.
pub(crate) fn replace_bodies(
    bytes: &[u8],
    mut place: impl FnMut(Delivery) -> BodyRef,
) -> Result<Vec<u8>, String> {
    let mut block: Block<Entry> = decode(bytes)?;
    for entry in &mut block.entries {
        if let Answer::Taken(taken) = &mut entry.answer {
            let deliveries = taken.deliveries();
            taken.bodies = deliveries.into_iter().map(&mut place).collect();
        }
    }
    Ok(encode(&block))
}

impl Keyed for Entry {
    type Key = RequestId;

    fn key(&self) -> Option<RequestId> {
        (self.answer != Answer::Forgotten).then_some(self.id)
    }

    fn until(&self) -> Ts {
        self.deadline
    }
}

impl Entry {
    pub(crate) fn id(&self) -> RequestId {
        self.id
    }

    pub(crate) fn deadline(&self) -> Ts {
        self.deadline
    }

    pub(crate) fn answer(&self) -> &Answer {
        &self.answer
    }
}

/// The requests whose deadlines have not passed.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    requests: KeyedWindow<Entry>,
    /// Positions of those that wait.
    waiting: BTreeSet<u64>,
}

impl Remembered {
    /// Where the request stands, if it was seen before.
    pub(crate) fn find(&self, id: RequestId, now: Ts) -> Option<u64> {
        self.requests.find(id, now).map(|(position, _)| position)
    }

    /// What the request at this position was answered.
    pub(crate) fn answer(&self, position: u64) -> &Answer {
        &self.requests.get(position).answer
    }

    /// Keeps the answer of a request that was not seen before, and gives its position.
    pub(crate) fn remember(
        &mut self,
        id: RequestId,
        deadline: Ts,
        answer: Answer,
        now: Ts,
        bodies: &mut LiveBodies,
    ) -> u64 {
        answer.keep_bodies(bodies);
        let waits = matches!(answer, Answer::Waiting(_));
        let entry = Entry {
            id,
            deadline,
            answer,
        };
        let gone = |gone: &Entry| gone.answer.release_bodies(bodies);
        let position = self.requests.push(entry, now, gone);
        if waits {
            self.note_waiting(position);
        }
        position
    }

    fn note_waiting(&mut self, position: u64) {
        self.waiting.insert(position);
        // Even a late waiter must still be there when the end of its wait is announced.
        self.requests.window_mut().hold(position);
    }

    fn note_not_waiting(&mut self, position: u64) {
        if self.waiting.remove(&position) {
            self.requests.window_mut().release(position);
        }
    }

    /// The waiting receive at this position.
    pub(crate) fn waiter(&self, position: u64) -> &Waiter {
        let Answer::Waiting(waiter) = self.answer(position) else {
            panic!("registered waiters wait")
        };
        waiter
    }

    /// Positions of all waiting receives.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = u64> {
        self.waiting.iter().copied()
    }

    /// Gives a waiting receive its answer; the wait is over. Its request id comes back.
    pub(crate) fn answer_waiter(
        &mut self,
        position: u64,
        answer: Answer,
        bodies: &mut LiveBodies,
    ) -> RequestId {
        answer.keep_bodies(bodies);
        let entry = self.requests.get_mut(position);
        let before = std::mem::replace(&mut entry.answer, answer);
        assert!(
            matches!(before, Answer::Waiting(_)),
            "registered waiters wait"
        );
        let id = entry.id;
        self.note_not_waiting(position);
        id
    }

    /// From now on the client waits at, or was told by, this host.
    pub(crate) fn rehome(&mut self, position: u64, origin: Origin) {
        let at = match self.answer(position) {
            Answer::Waiting(waiter) => waiter.origin,
            Answer::Leased(leases) => leases.origin,
            _ => return,
        };
        if at == origin {
            return;
        }
        match &mut self.requests.get_mut(position).answer {
            Answer::Waiting(waiter) => waiter.origin = origin,
            Answer::Leased(leases) => leases.origin = origin,
            _ => {}
        }
    }

    /// The request counts as never seen.
    pub(crate) fn unremember(&mut self, position: u64) {
        let id = self.requests.get(position).id;
        self.requests.unlist(id);
        self.requests.get_mut(position).answer = Answer::Forgotten;
        self.note_not_waiting(position);
    }

    /// When the oldest block of requests may be forgotten.
    pub(crate) fn forgettable_from(&self) -> Option<Ts> {
        self.requests.window().forgettable_from()
    }

    /// Forgets the oldest block if its time is over.
    pub(crate) fn forget_late(&mut self, now: Ts, bodies: &mut LiveBodies) {
        self.requests
            .forget(now, |gone| gone.answer.release_bodies(bodies));
    }

    /// Requests, late ones included as long as they take memory.
    pub(crate) fn len(&self) -> usize {
        self.requests.window().len()
    }

    /// With positions, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Entry)> {
        self.requests.window().iter()
    }

    /// See [`crate::window::Window::freeze`].
    pub(crate) fn freeze(&mut self) -> Vec<(u64, Option<Arc<Block<Entry>>>)> {
        self.requests.window_mut().freeze()
    }

    /// See [`crate::window::Window::mark_all`].
    pub(crate) fn mark_all(&mut self) {
        self.requests.window_mut().mark_all();
    }

    /// See [`crate::window::Window::restore`].
    #[must_use]
    pub(crate) fn restore(
        &mut self,
        number: u64,
        block: Block<Entry>,
        bodies: &mut LiveBodies,
    ) -> bool {
        let first = number * BLOCK_ENTRIES as u64;
        let mut waiting = Vec::new();
        for (position, entry) in (first..).zip(&block.entries) {
            entry.answer.keep_bodies(bodies);
            let waits = matches!(entry.answer, Answer::Waiting(_));
            if waits && !planted(Bug::WaitersNotRestored) {
                waiting.push(position);
            }
        }
        let follows = self.requests.restore(number, block);
        if follows {
            for position in waiting {
                self.note_waiting(position);
            }
        }
        follows
    }

    pub(crate) fn memory(&self) -> usize {
        let owned: usize = self.iter().map(|(_, entry)| entry.answer.memory()).sum();
        self.requests.memory() + owned + crate::memory::tree(self.waiting.len(), 8)
    }
}

impl Answer {
    fn taken_bodies(&self) -> &[BodyRef] {
        match self {
            Self::Taken(taken) => &taken.bodies,
            _ => &[],
        }
    }

    fn keep_bodies(&self, bodies: &mut LiveBodies) {
        self.taken_bodies()
            .iter()
            .for_each(|body| bodies.pin(*body));
    }

    fn release_bodies(&self, bodies: &mut LiveBodies) {
        self.taken_bodies()
            .iter()
            .for_each(|body| bodies.unpin(*body));
    }

    fn memory(&self) -> usize {
        match self {
            Self::Forgotten | Self::Done => 0,
            Self::Sent(results) => size_of_val(&**results),
            Self::Receipts(results) => size_of_val(&**results),
            Self::Waiting(_) => size_of::<Waiter>(),
            Self::Leased(leases) => size_of::<Leases>() + size_of_val(&*leases.leases),
            Self::Taken(taken) => {
                size_of::<Taken>() + size_of_val(&*taken.deliveries) + size_of_val(&*taken.bodies)
            }
        }
    }
}
