//! Where an entry stands in the one total order of its cluster.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{HostId, Ts, ViewNumber};

/// The place of an executed entry: by view, then timestamp, then lane. Unique, since a lane's
/// timestamps strictly grow; both `view` and `ts` never go back along the order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Position {
    /// The view in which the entry was executed.
    pub view: ViewNumber,
    /// Cluster time of the entry.
    pub ts: Ts,
    /// The host whose lane it stands in.
    pub lane: HostId,
}

impl Position {
    /// Before every entry.
    pub const ZERO: Self = Self {
        view: ViewNumber(0),
        ts: Ts(0),
        lane: HostId(0),
    };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.view, self.ts, self.lane)
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Position({self})")
    }
}
