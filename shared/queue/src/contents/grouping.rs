//! What a change of a message's state means for its group: in FIFO queues whether a receive may begin with
//! it, in standard ones its turns.

use shoal_types::GroupName;

use super::Contents;
use crate::chunk::Chunk;
use crate::link::{Link, LinkBack};

impl Contents {
    /// The link of a new message. The name of its group is one for all messages, as far as that is
    /// easily found, not one per message.
    pub(super) fn new_link(&mut self, name: &GroupName, number: u64, turns: bool) -> Link {
        if self.fifo {
            let link = self.groups.append(name, number);
            if link.previous != 0 {
                self.slots.edit(link.previous, |chunk, offset| {
                    chunk.link_mut(offset).expect("it is of the group").next = number;
                });
            }
            return link;
        }
        let of_newest = || {
            let newest = self.slots.link(self.slots.newest()?)?;
            (newest.group == *name).then(|| GroupName::clone(&newest.group))
        };
        let shared = self.shared_name(name).or_else(of_newest);
        let mut link = Link {
            group: shared.unwrap_or_else(|| GroupName::clone(name)),
            previous: 0,
            next: 0,
        };
        if turns {
            link.set_back(LinkBack::Aside);
        }
        link
    }

    pub(super) fn shared_name(&self, name: &GroupName) -> Option<GroupName> {
        self.turns.as_ref()?.shared_name(name)
    }

    /// After a message may have become ready, or in a FIFO queue anything about its group changed.
    pub(super) fn settle(&mut self, number: u64) {
        let Some(link) = self.slots.link(number) else {
            return;
        };
        if self.fifo {
            let group = GroupName::clone(&link.group);
            self.groups.readied(&group, &mut self.slots);
        } else if link.back() != LinkBack::None && self.slots.is_ready(number) {
            let turns = self.turns.get_or_insert_default();
            turns.readied(number, &mut self.slots);
        }
    }

    /// See [`Turns::left`](crate::turns::Turns::left).
    pub(super) fn left_line(&mut self, number: u64, link: &Link, had_turn: bool) {
        let turns = self.turns.as_mut().expect("it stood in line");
        turns.left(number, link, had_turn, &mut self.slots);
    }
}

/// Marks a message as ready or not. In a standard queue: gives the link of one that was, if it takes
/// turns; the caller tells `turns` then.
pub(super) fn mark(fifo: bool, chunk: &mut Chunk, offset: u8, ready: bool) -> Option<Link> {
    if fifo {
        chunk.set_ready(offset, ready);
        return None;
    }
    chunk.set_ready_in_turns(offset, ready)
}
