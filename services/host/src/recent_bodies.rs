//! Bodies of messages sent a moment ago, by their place in the log: a message that is received soon
//! is answered from memory. Bounded by bytes, oldest out first; missing here only costs a read.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use shoal_types::BodyRef;

pub(crate) struct RecentBodies {
    bodies: BTreeMap<BodyRef, Bytes>,
    order: VecDeque<BodyRef>,
    bytes: usize,
    bytes_max: usize,
}

/// Bodies up to this size are copied out of the frames in which they came.
const COPIED_BYTES_MAX: usize = 4 << 10;

/// A body with what the map, the order and the allocator take for it.
fn weight(body: &Bytes) -> usize {
    body.len() + 128
}

impl RecentBodies {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bodies: BTreeMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            bytes_max,
        }
    }

    /// Keeps a body, dropping the oldest ones until it fits.
    pub(crate) fn insert(&mut self, at: BodyRef, body: &Bytes) {
        if weight(body) > self.bytes_max {
            return;
        }
        // A slice would keep all of the frame it came in; a large body is most of its frame.
        let body = if body.len() <= COPIED_BYTES_MAX {
            Bytes::copy_from_slice(body)
        } else {
            body.clone()
        };
        self.bytes += weight(&body);
        if let Some(before) = self.bodies.insert(at, body) {
            self.bytes -= weight(&before);
        } else {
            self.order.push_back(at);
        }
        while self.bytes > self.bytes_max {
            let oldest = self
                .order
                .pop_front()
                .expect("bytes are counted only for what is kept");
            if let Some(body) = self.bodies.remove(&oldest) {
                self.bytes -= weight(&body);
            }
        }
    }

    pub(crate) fn get(&self, at: BodyRef) -> Option<Bytes> {
        self.bodies.get(&at).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_body_goes_first() {
        let mut recent = RecentBodies::new(3 * (30 + 128));
        let at = |offset| BodyRef { segment: 1, offset };
        for offset in 0..5 {
            recent.insert(at(offset), &Bytes::from(vec![0; 30]));
        }
        assert_eq!(recent.get(at(1)), None);
        assert!(recent.get(at(2)).is_some() && recent.get(at(4)).is_some());
        recent.insert(at(9), &Bytes::from(vec![0; 400]));
        assert_eq!(
            recent.get(at(9)),
            None,
            "a body larger than the whole cache is not kept"
        );
        assert!(recent.get(at(4)).is_some());
    }
}
