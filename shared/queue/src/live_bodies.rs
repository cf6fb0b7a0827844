//! Which log segments of this host still hold bodies that somebody may ask for.
//!
//! Host-local: other hosts have other segments, so none of this is compared or hashed.

use std::collections::BTreeMap;

use shoal_types::BodyRef;

/// What one segment still holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveInSegment {
    /// Bodies that may be asked for.
    pub bodies: u64,
    /// Bytes of those among them whose messages exist, and which can therefore be moved. The others
    /// belong to remembered answers and go with them.
    pub bytes: u64,
}

/// Live bodies by segment number.
#[derive(Debug, Default)]
pub(crate) struct LiveBodies(BTreeMap<u32, LiveInSegment>);

impl LiveBodies {
    /// A message's body of so many bytes.
    pub(crate) fn add(&mut self, body: BodyRef, bytes: u32) {
        let live = self.0.entry(body.segment).or_default();
        live.bodies += 1;
        live.bytes += u64::from(bytes);
    }

    /// Of a message that had it with so many bytes.
    pub(crate) fn remove(&mut self, body: BodyRef, bytes: u32) {
        let live = self
            .0
            .get_mut(&body.segment)
            .expect("a body is counted from its send to its end");
        live.bodies -= 1;
        live.bytes -= u64::from(bytes);
        if live.bodies == 0 {
            self.0.remove(&body.segment);
        }
    }

    /// A remembered answer's.
    pub(crate) fn pin(&mut self, body: BodyRef) {
        self.add(body, 0);
    }

    /// Of an answer that is forgotten.
    pub(crate) fn unpin(&mut self, body: BodyRef) {
        self.remove(body, 0);
    }

    pub(crate) fn by_segment(&self) -> &BTreeMap<u32, LiveInSegment> {
        &self.0
    }
}
