//! One batch of one host's commands in that host's lane.

use shoal_types::{HostId, Position, Ts, ViewNumber};

use crate::Payload;

/// An entry of a lane. Its coordinator fixes everything about it, the timestamp included, before
/// anyone else sees it; two entries with equal view, lane and index are the same entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The view in whose lanes it stands.
    pub view: ViewNumber,
    /// The host whose lane it stands in: its coordinator.
    pub lane: HostId,
    /// Its place in the lane, from 1, without a gap.
    pub index: u64,
    /// Cluster time. Strictly grows along a lane; (ts, lane) orders the entries of a view.
    pub ts: Ts,
    /// The commands.
    pub payload: Payload,
}

impl Entry {
    /// Where it stands in the one total order.
    #[must_use]
    pub fn position(&self) -> Position {
        Position {
            view: self.view,
            ts: self.ts,
            lane: self.lane,
        }
    }
}
