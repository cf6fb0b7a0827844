//! What a chunk's stored form says besides its messages: who takes turns, which places groups have in
//! line, when leased messages were received, and where those died that came as dead letters. Chunks of which there is nothing of this to say are
//! stored as they were before there were turns.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shoal_types::{DeadFrom, Ts};

use crate::bits::Bits;
use crate::chunk::{Chunk, Hold};
use crate::line::Place;
use crate::link::LinkBack;

/// See the module. Offsets are those of messages in the chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChunkExtras {
    /// The messages that take turns.
    turns: Bits,
    /// Places of groups, at their first ready messages.
    places: BTreeMap<u8, u64>,
    /// When leased messages were received.
    received: BTreeMap<u8, Ts>,
    /// Where messages died before they came here.
    dead_from: BTreeMap<u8, DeadFrom>,
}

/// What is said of one message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extra {
    /// What its link is to have.
    pub(crate) back: LinkBack,
    pub(crate) received: Option<Ts>,
    pub(crate) dead_from: Option<DeadFrom>,
}

impl ChunkExtras {
    pub(crate) fn of(chunk: &Chunk, fifo: bool) -> Self {
        let mut extras = Self::default();
        for offset in chunk.live().iter() {
            if let Hold::Leased { since, .. } = chunk.side(offset).hold
                && since > Ts::ZERO
            {
                extras.received.insert(offset, since);
            }
            if let Some(dead_from) = chunk.dead_from(offset) {
                extras.dead_from.insert(offset, dead_from);
            }
            let Some(link) = chunk.link(offset).filter(|_| !fifo) else {
                continue;
            };
            let back = link.back();
            extras.turns.set(offset, back != LinkBack::None);
            if let LinkBack::Place(place) = back {
                extras.places.insert(offset, place.to_stored());
            }
        }
        extras
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Without what is said of other messages than these.
    pub(crate) fn retain(&mut self, stays: impl Fn(u8) -> bool) {
        for offset in self.turns.iter().filter(|offset| !stays(*offset)) {
            self.turns.set(offset, false);
        }
        self.places.retain(|offset, _| stays(*offset));
        self.received.retain(|offset, _| stays(*offset));
        self.dead_from.retain(|offset, _| stays(*offset));
    }

    /// Takes out what is said of a message.
    pub(crate) fn take(&mut self, offset: u8) -> Result<Extra, String> {
        let takes_turns = self.turns.contains(offset);
        self.turns.set(offset, false);
        let back = match self.places.remove(&offset) {
            Some(_) if !takes_turns => return Err("a place without turns".to_owned()),
            Some(stored) => match Place::from_stored(stored) {
                Some(place) => LinkBack::Place(place),
                None => return Err("no place is that low".to_owned()),
            },
            None if takes_turns => LinkBack::Aside,
            None => LinkBack::None,
        };
        Ok(Extra {
            back,
            received: self.received.remove(&offset),
            dead_from: self.dead_from.remove(&offset),
        })
    }
}
