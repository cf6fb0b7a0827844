//! How messages of a group are linked with one another.

use shoal_types::GroupName;

use crate::line::Place;

/// A message's place in its group; 0 stands for no neighbour. What is linked says `groups.rs` of FIFO
/// queues and `turns.rs` of standard ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) group: GroupName,
    /// In a standard queue to be read as [`Link::back`] does.
    pub(crate) previous: u64,
    pub(crate) next: u64,
}

/// What stands before a message of a standard queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkBack {
    /// It takes no turns.
    None,
    /// It takes turns, and is in no list: not ready, or ready and aside.
    Aside,
    /// A message of its group.
    Message(u64),
    /// It is the first ready one of its group, which stands there in line.
    Place(Place),
}

impl Link {
    /// Above all numbers, below all places.
    const ASIDE: u64 = 1 << 63;

    pub(crate) fn back(&self) -> LinkBack {
        match self.previous {
            0 => LinkBack::None,
            Self::ASIDE => LinkBack::Aside,
            stored => match Place::from_stored(stored) {
                Some(place) => LinkBack::Place(place),
                None => LinkBack::Message(stored),
            },
        }
    }

    pub(crate) fn set_back(&mut self, back: LinkBack) {
        self.previous = match back {
            LinkBack::None => 0,
            LinkBack::Aside => Self::ASIDE,
            LinkBack::Message(number) => number,
            LinkBack::Place(place) => place.to_stored(),
        };
    }
}
