//! Which entries a segment holds, and roughly where: the sparse index of its lanes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shoal_types::{HostId, ViewNumber};

use super::{LaneSpan, Tag};
use crate::limits::INDEX_STEP;

/// The lanes of one segment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LaneIndex {
    lanes: BTreeMap<(ViewNumber, HostId), Lane>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Lane {
    first: u64,
    last: u64,
    /// Growing in both fields; at least [`INDEX_STEP`] bytes apart.
    points: Vec<Point>,
}

/// Entries from `index` on stand in the block at offset `block` or later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Point {
    index: u64,
    block: u32,
}

impl LaneIndex {
    /// Takes up the record with this tag, in the block that starts at `block`.
    pub(super) fn note(&mut self, tag: Tag, block: u32) {
        if !tag.is_entry() {
            return;
        }
        let lane = self.lanes.entry((tag.view, tag.lane)).or_insert(Lane {
            first: tag.index,
            last: tag.index,
            points: Vec::new(),
        });
        let far = |point: &Point| block - point.block >= INDEX_STEP;
        // Only at a new largest index: so no larger index stands before a point.
        if tag.index >= lane.last && lane.points.last().is_none_or(far) {
            lane.points.push(Point {
                index: tag.index,
                block,
            });
        }
        lane.first = lane.first.min(tag.index);
        lane.last = lane.last.max(tag.index);
    }

    /// The block from which to look for entry `index`; `None` if it is certainly not here.
    pub(super) fn find(&self, view: ViewNumber, lane: HostId, index: u64) -> Option<u32> {
        let lane = self.lanes.get(&(view, lane))?;
        if index < lane.first || index > lane.last {
            return None;
        }
        let after = lane.points.partition_point(|point| point.index <= index);
        Some(lane.points[after.saturating_sub(1)].block)
    }

    /// The lanes with their smallest and largest index.
    pub(super) fn spans(&self) -> Vec<LaneSpan> {
        let span = |(&(view, host), lane): (&(ViewNumber, HostId), &Lane)| LaneSpan {
            view,
            lane: host,
            first: lane.first,
            last: lane.last,
        };
        self.lanes.iter().map(span).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(index: u64) -> Tag {
        Tag {
            view: ViewNumber(1),
            lane: HostId(2),
            index,
        }
    }

    #[test]
    fn an_entry_stands_at_or_after_the_block_that_is_found() {
        // In order, repeated, with gaps, and some late ones.
        let mut places = Vec::new();
        let mut lanes = LaneIndex::default();
        for step in 0..4_000u64 {
            let index = match step % 10 {
                3 => step / 2 + 1,
                5 => continue,
                _ => step + 1,
            };
            let block = (step / 3) as u32 * 4_096;
            lanes.note(tag(index), block);
            places.push((index, block));
        }
        for (index, block) in &places {
            let first = places.iter().find(|(i, _)| i == index).unwrap().1;
            let found = lanes.find(ViewNumber(1), HostId(2), *index).unwrap();
            assert!(
                found <= first,
                "{index} is in {block}, looked for from {found}"
            );
        }
        let near = lanes.find(ViewNumber(1), HostId(2), 3_999).unwrap();
        assert!(near > 4_096 * 1_200, "the index is of use: {near}");
        assert_eq!(lanes.find(ViewNumber(1), HostId(2), 4_001), None);
        assert_eq!(lanes.find(ViewNumber(2), HostId(2), 5), None);
    }

    #[test]
    fn a_late_entry_does_not_hide_an_earlier_one() {
        let mut lanes = LaneIndex::default();
        for (index, block) in [
            (10, 4_096),
            (5, 4_096 + INDEX_STEP),
            (6, 4_096 + 2 * INDEX_STEP),
        ] {
            lanes.note(tag(index), block);
        }
        for index in [10, 5, 6] {
            assert_eq!(lanes.find(ViewNumber(1), HostId(2), index), Some(4_096));
        }
    }

    #[test]
    fn records_that_are_no_entries_are_not_indexed() {
        let mut lanes = LaneIndex::default();
        lanes.note(Tag::NONE, 4_096);
        assert_eq!(lanes.spans(), vec![]);
    }
}
