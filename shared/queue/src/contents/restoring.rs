//! Reading messages back from a checkpoint: what is stored, and the indexes that follow from it.

use shoal_types::limits::LEASES_PER_MESSAGE_MAX;
use shoal_types::planted::{Bug, planted};

use super::Contents;
use crate::chunk::Hold;
use crate::limits::CHUNK_SLOTS;
use crate::link::{Link, LinkBack};
use crate::live_bodies::LiveBodies;
use crate::stored::StoredMessage;

impl Contents {
    /// Finishes a restore.
    pub(crate) fn derive(&mut self) {
        self.groups.derive(&mut self.slots);
        if let Some(turns) = &mut self.turns {
            turns.derive();
        }
    }

    /// Puts in a chunk of a checkpoint, as encoded: without lists and readiness, which follow from
    /// the rest. Chunks come in ascending order.
    ///
    /// # Errors
    /// What contradicts itself in it, or between it and the chunks before.
    pub(crate) fn restore_chunk(
        &mut self,
        index: u64,
        messages: Vec<StoredMessage>,
        bodies: &mut LiveBodies,
    ) -> Result<(), String> {
        let mut stored = Vec::with_capacity(messages.len());
        let mut states = Vec::with_capacity(messages.len());
        let mut links = Vec::new();
        for StoredMessage {
            number,
            slot,
            group,
            back,
            side,
            dead_from,
        } in messages
        {
            self.messages += 1;
            self.bytes += u64::from(slot.size);
            bodies.add(slot.body, slot.size);
            if let Some(expires) = side.expires {
                self.ttls.insert((expires, number));
            }
            let link = match group {
                Some(name) if self.fifo => {
                    let link = match side.hold {
                        Hold::Dead(_) => self.groups.append_dead(&name, number),
                        _ => self.groups.append(&name, number),
                    };
                    links.push((link.previous, number));
                    Some(link)
                }
                Some(group) => {
                    let mut link = Link {
                        group: self.shared_name(&group).unwrap_or(group),
                        previous: 0,
                        next: 0,
                    };
                    link.set_back(back);
                    Some(link)
                }
                None => None,
            };
            let spent = slot.lease == LEASES_PER_MESSAGE_MAX;
            states.push((number, side.hold, spent, dead_from));
            stored.push(((number % CHUNK_SLOTS) as u8, slot, link, side));
        }
        self.slots.restore(index, stored);
        for (previous, number) in links.into_iter().filter(|(previous, _)| *previous != 0) {
            self.slots.derive(previous, |chunk, offset| {
                chunk.link_mut(offset).expect("it is of the group").next = number;
            });
        }
        for (number, hold, spent, dead_from) in states {
            if let Some(dead_from) = dead_from {
                self.restore_dead_from(number, dead_from);
            }
            match hold {
                Hold::Free if spent => {}
                Hold::Going(_) => {}
                Hold::Dead(place) => {
                    if !planted(Bug::DeadNotRestored) {
                        self.dead.insert((place, number));
                    }
                }
                Hold::Delayed(until) if !planted(Bug::DelaysNotRestored) => {
                    self.delays.insert((until, number));
                }
                Hold::Free | Hold::Delayed(_) => {
                    self.restore_ready(number)?;
                    continue;
                }
                Hold::Leased { until, .. } => {
                    self.leases.insert((until, number));
                    if self.fifo
                        && let Some(link) = self.slots.link(number)
                    {
                        self.groups.restore_lease(&link.group);
                    }
                }
            }
            let link = self.slots.link(number).filter(|_| !self.fifo);
            if link.is_some_and(|link| matches!(link.back(), LinkBack::Place(_))) {
                return Err("a message that is not ready has a place in line".to_owned());
            }
        }
        Ok(())
    }

    fn restore_ready(&mut self, number: u64) -> Result<(), String> {
        let link = self.slots.link(number).filter(|_| !self.fifo);
        let takes_turns = link.is_some_and(|link| link.back() != LinkBack::None);
        let by_number = !self.fifo && !takes_turns;
        self.slots.derive(number, |chunk, offset| {
            chunk.set_ready(offset, true);
            chunk.set_available(offset, by_number);
        });
        if takes_turns {
            let turns = self.turns.get_or_insert_default();
            turns.restore(number, &mut self.slots)?;
        }
        Ok(())
    }
}
