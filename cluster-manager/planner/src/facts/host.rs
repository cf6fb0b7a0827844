//! A host, as the planner sees it.

use shoal_types::{ClusterId, Ts};

/// A host that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Where it stands.
    pub zone: String,
    /// Which hosts it may be in a cluster with; empty: the pool without a name.
    pub pool: String,
    /// How much it can do; 1 is an ordinary host.
    pub capacity: u32,
    /// When it was heard from last.
    pub heard: Ts,
    /// Since when it is known.
    pub known_since: Ts,
    /// What it is there for.
    pub stage: HostStage,
}

/// What a host is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostStage {
    /// Belongs to no cluster and can be made a member of one.
    Spare,
    /// Belongs to a cluster, or is decided to.
    Member(ClusterId),
    /// Was removed, or says that it cannot take part.
    Out,
}
