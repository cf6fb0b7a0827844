//! Which entry comes next, and whether it may be executed yet.

use shoal_types::planted::{Bug, planted};
use shoal_types::{HostId, Ts};

use crate::lane::Lane;

/// A writer's lane as the order sees it.
pub(crate) struct WriterLane<'a> {
    /// Its place among the members.
    pub(crate) slot: usize,
    /// Whose it is.
    pub(crate) host: HostId,
    /// Its entries.
    pub(crate) lane: &'a Lane,
    /// Every entry of it that is not here yet has a larger timestamp.
    pub(crate) clock: Ts,
}

/// The next entry of the order, as (slot, index), if it is *stable*: no writer can come up with a
/// smaller (ts, lane) any more, because each has an entry waiting here or a clock that is as far. Whether
/// it is committed as well is for the caller to check before it executes.
pub(crate) fn next_stable(writers: &[WriterLane<'_>]) -> Option<(usize, u64)> {
    let heads = writers.iter().filter_map(|w| Some((w, w.lane.head()?)));
    let (first, entry) = heads.min_by_key(|(w, entry)| (entry.ts, w.host))?;
    let stable = |w: &WriterLane<'_>| {
        let closed = w.lane.head().is_some() || w.clock >= entry.ts;
        closed || planted(Bug::ExecutedBeforeStable)
    };
    writers
        .iter()
        .all(stable)
        .then_some((first.slot, entry.index))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use shoal_types::ViewNumber;

    use super::*;
    use crate::{Entry, Payload, RecordNumber};

    fn lane(host: u64, timestamps: &[u64]) -> Lane {
        let mut lane = Lane::default();
        for (i, ts) in timestamps.iter().enumerate() {
            let entry = Entry {
                view: ViewNumber(1),
                lane: HostId(host),
                index: i as u64 + 1,
                ts: Ts(*ts),
                payload: Payload::default(),
            };
            lane.push(Arc::new(entry), RecordNumber(1));
        }
        lane
    }

    fn next(lanes: [(&[u64], u64); 3]) -> Option<(usize, u64)> {
        let lanes = lanes.map(|(timestamps, clock)| (timestamps, Ts(clock)));
        let held: Vec<Lane> = (0..3).map(|k| lane(k as u64, lanes[k].0)).collect();
        let writer = |k: usize| WriterLane {
            slot: k,
            host: HostId(k as u64),
            lane: &held[k],
            clock: lanes[k].1,
        };
        next_stable(&[writer(0), writer(1), writer(2)])
    }

    #[test]
    fn the_smallest_timestamp_waits_for_the_clocks_of_empty_lanes() {
        assert_eq!(next([(&[10], 10), (&[], 9), (&[12], 12)]), None);
        assert_eq!(next([(&[10], 10), (&[], 10), (&[12], 12)]), Some((0, 1)));
        assert_eq!(next([(&[], 99), (&[], 99), (&[], 99)]), None);
    }

    #[test]
    fn equal_timestamps_are_ordered_by_lane() {
        assert_eq!(next([(&[], 10), (&[10], 10), (&[10], 10)]), Some((1, 1)));
    }
}
