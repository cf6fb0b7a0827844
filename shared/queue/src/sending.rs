//! Numbering and keeping messages.

use shoal_types::planted::{Bug, planted};
use shoal_types::{BodyRef, SendItem, SendResult};

use crate::chunk::Slot;
use crate::deduplication::Seen;
use crate::partition::{Partition, Step};
use crate::version::FAIR_TURNS_SINCE;

impl Partition {
    /// Takes the items in order. An item that is not kept uses no number, so numbers have no gap.
    ///
    /// After a conflict the later items that carry a fingerprint conflict too: they are of one request
    /// that differs from the one remembered, and the client is told that none of it was taken.
    pub(crate) fn send(
        &mut self,
        items: &[SendItem],
        bodies: &[BodyRef],
        step: &mut Step<'_>,
    ) -> Vec<SendResult> {
        assert_eq!(items.len(), bodies.len(), "one body per item");
        let mut results = Vec::with_capacity(items.len());
        let mut conflict = false;
        for (item, body) in items.iter().zip(bodies) {
            let has_fingerprint = item.deduplication.is_some_and(|d| d.fingerprint.is_some());
            let result = if conflict && has_fingerprint {
                SendResult::Conflict
            } else {
                self.send_one(item, *body, step)
            };
            conflict |= result == SendResult::Conflict;
            if planted(Bug::NumberGap) && !matches!(result, SendResult::Accepted(_)) {
                self.last += 1;
            }
            results.push(result);
        }
        results
    }

    fn send_one(&mut self, item: &SendItem, body: BodyRef, step: &mut Step<'_>) -> SendResult {
        if let Some(send) = &item.deduplication {
            match self.keyed_sends.seen(send, step.now) {
                Seen::Never => {}
                Seen::As(sequence) => return SendResult::Duplicate(sequence),
                Seen::Conflict => return SendResult::Conflict,
            }
        }
        if !self.has_room_for(item) {
            return SendResult::Full;
        }
        self.last += 1;
        let number = self.last;
        let sequence = self.sequence(number);
        if let Some(send) = &item.deduplication {
            self.keyed_sends.remember(send, sequence, step.now);
        }
        self.keep(number, item, body, step);
        step.bodies.add(body, item.size);
        SendResult::Accepted(sequence)
    }

    /// Whether the partition's limits leave room for one more message of this size.
    pub(crate) fn has_room_for(&self, item: &SendItem) -> bool {
        let room_for_key = item.deduplication.is_none() || self.keyed_sends.room() > 0;
        let bytes = self.contents.bytes().saturating_add(u64::from(item.size));
        room_for_key
            && self.contents.messages() < self.settings.max_messages
            && bytes <= self.settings.max_bytes
    }

    fn keep(&mut self, number: u64, item: &SendItem, body: BodyRef, step: &Step<'_>) {
        let now = step.now;
        let slot = Slot {
            sent_at: now,
            body,
            size: item.size,
            crc: item.crc,
            lease: 0,
            receives: 0,
            given_back: false,
        };
        let delay = item.delay.unwrap_or(self.settings.delay);
        let delayed_until = (delay > 0).then(|| now.after(delay));
        let expires = item.ttl.map(|ttl| now.after(ttl));
        let (group, turns) = (item.group.as_ref(), step.version >= FAIR_TURNS_SINCE);
        self.contents
            .insert(number, slot, group, delayed_until, expires, turns);
    }
}
