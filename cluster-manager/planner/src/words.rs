//! A plan in words, as operators read it.

use std::fmt;

use crate::Heat;
use crate::limits::SECOND;
use crate::plan::{Action, CapacityNeeded, Decided, NotHelped, Plan, Reason, WhyNot};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for decided in &self.actions {
            writeln!(f, "{decided}")?;
        }
        for not_helped in &self.not_helped {
            writeln!(f, "{not_helped}")?;
        }
        match &self.capacity_needed {
            Some(needed) => writeln!(f, "{needed}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Decided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.action, self.reason)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replace { cluster, dead, by } => write!(f, "replace {dead} of {cluster} by {by}"),
            Self::Form(cluster) => write!(f, "form a cluster of {cluster}"),
            Self::Retire { cluster } => write!(f, "retire {cluster}"),
            Self::Move {
                queue, from, to, ..
            } => write!(f, "move {queue} from {from} to {to}"),
            Self::Split {
                queue, from, to, ..
            } => {
                write!(f, "split {queue} of {from}, new partitions on")?;
                to.iter().try_for_each(|cluster| write!(f, " {cluster}"))
            }
            Self::Merge {
                queue, from, to, ..
            } => {
                write!(
                    f,
                    "merge {queue}: its partition on {from} into the one on {to}"
                )
            }
            Self::Forward { queue, cluster, .. } => {
                write!(f, "forward what {queue} has on {cluster}")
            }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overheated {
                cluster,
                reading,
                carries,
                after,
            } => {
                let is = if reading.heat > Heat::ONE {
                    "is overheated"
                } else {
                    "was overheated and is not down to the goal"
                };
                write!(
                    f,
                    "{cluster} {is}, {reading}; this carries {carries} of it and leaves {after}"
                )
            }
            Self::NoRoom { cluster, reading } => write!(
                f,
                "{cluster} is overheated, {reading}, and no cluster is cool enough to take it down to the goal"
            ),
            Self::Unbalanced {
                gives,
                takes,
                mean,
                carries,
            } => write!(
                f,
                "balance: heat {gives} against {takes}, the mean is {mean}; this carries {carries}"
            ),
            Self::Drained { cluster, left } => {
                write!(
                    f,
                    "{cluster} is being drained and has {left} partitions left"
                )
            }
            Self::Empty => f.write_str("it is drained and has no partition left"),
            Self::Cold { partitions, after } => write!(
                f,
                "{partitions} partitions are more than its load needs; both carry {after} at most"
            ),
            Self::Several { partitions } => write!(
                f,
                "it has {partitions} partitions and is set to one (`partitions: 1`)"
            ),
            Self::Dead {
                silent,
                zone,
                shares_zone_with,
            } => {
                write!(
                    f,
                    "not heard from for {} s; the spare is in zone {zone:?}",
                    silent / SECOND
                )?;
                match shares_zone_with {
                    0 => Ok(()),
                    others => write!(
                        f,
                        ", as {others} of the other members, for want of a better one"
                    ),
                }
            }
            Self::NotConsumed { sealed_for } => {
                write!(
                    f,
                    "sealed for {} s, and nobody has consumed it",
                    sealed_for / SECOND
                )
            }
        }
    }
}

impl fmt::Display for NotHelped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cluster,
            reading,
            why,
        } = self;
        write!(
            f,
            "{cluster} is overheated, {reading}, and nothing is done: {why}"
        )
    }
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InFlight => f.write_str("a change that it takes part in has just begun"),
            Self::Measuring => f.write_str("its load was changed just now and is being measured"),
            Self::NoMajority => f.write_str("it has no majority, so nothing on it can be sealed"),
            Self::FleetBusy => f.write_str("as much is in flight as may be"),
            Self::OnePartition { queue, carries } => write!(
                f,
                "{queue} alone carries {carries} and may not be split (`partitions: auto` would allow it)"
            ),
            Self::OneGroup { queue, carries } => write!(
                f,
                "{queue} carries {carries} in one message group, which cannot be split"
            ),
            Self::NoneCool => f.write_str("no other cluster is cool enough"),
            Self::CoolOnesBusy => {
                f.write_str("the clusters that are cool enough take something already")
            }
            Self::Draining => f.write_str("it is being drained, which takes everything off it"),
            Self::AllMovedLately => f.write_str("all that would help was moved or split lately"),
            Self::ManySmall => {
                f.write_str("its load is many queues of which none carries enough to matter")
            }
            Self::ClusterForming => f.write_str("a cluster is being formed that will take some"),
        }
    }
}

impl fmt::Display for CapacityNeeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            clusters,
            replacements,
            hosts,
        } = self;
        write!(
            f,
            "capacity needed: {hosts} hosts, for {clusters} clusters and {replacements} dead members"
        )
    }
}
