//! Which log segments of this host still hold bodies that somebody may ask for.
//!
//! Host-local: other hosts have other segments, so none of this is compared or hashed.

use std::collections::BTreeMap;

use shoal_types::BodyRef;

/// Live bodies by segment number.
#[derive(Debug, Default)]
pub(crate) struct LiveBodies(BTreeMap<u32, u64>);

impl LiveBodies {
    pub(crate) fn add(&mut self, body: BodyRef) {
        *self.0.entry(body.segment).or_default() += 1;
    }

    pub(crate) fn remove(&mut self, body: BodyRef) {
        let count = self
            .0
            .get_mut(&body.segment)
            .expect("a body is counted from its send to its end");
        *count -= 1;
        if *count == 0 {
            self.0.remove(&body.segment);
        }
    }

    pub(crate) fn by_segment(&self) -> &BTreeMap<u32, u64> {
        &self.0
    }
}
