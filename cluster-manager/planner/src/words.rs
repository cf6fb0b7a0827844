//! A plan in words, as operators read it.

use std::fmt;

use crate::Heat;
use crate::limits::{BEHIND_MAX, QUEUE_PARTITIONS_MAX, SECOND};
use crate::plan::{
    Action, CapacityNeeded, Decided, NotEmptied, NotHelped, Plan, Reason, WhyNot, WhyStays,
};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for decided in &self.actions {
            writeln!(f, "{decided}")?;
        }
        for not_helped in &self.not_helped {
            writeln!(f, "{not_helped}")?;
        }
        for not_emptied in &self.not_emptied {
            writeln!(f, "{not_emptied}")?;
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
            Self::Forward {
                queue, from, to, ..
            } => write!(f, "forward what {queue} has on {from} to {to}"),
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
            Self::ManyDrain => f.write_str(
                "as many sealed partitions as may be wait for consumers: consume, purge or delete their queues",
            ),
            Self::OnePartition { queue, carries } => write!(
                f,
                "{queue} alone carries {carries} and may not be split (`partitions: auto` would allow it)"
            ),
            Self::OneGroup { queue, carries } => write!(
                f,
                "{queue} carries {carries} in one message group, which cannot be split"
            ),
            Self::NoOther => f.write_str("there is no other cluster that takes queues"),
            Self::NoneCool {
                coolest,
                reading,
                below,
            } => write!(
                f,
                "no other cluster is cool enough: the coolest, {coolest}, is at {reading}, and only below {below} they are given something"
            ),
            Self::TooLarge { queue, carries } => write!(
                f,
                "{queue} carries {carries}, with which any other cluster would become too hot"
            ),
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

impl fmt::Display for NotEmptied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cluster,
            partitions,
            queue,
            why,
        } = self;
        let of = match partitions {
            1 => format!("a partition of {queue} stays"),
            more => format!("{more} partitions stay, one of {queue} among them"),
        };
        write!(f, "{cluster} is being drained, and {of}: {why}")
    }
}

impl fmt::Display for WhyStays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Consumed { forwarded_in } => write!(
                f,
                "sealed, and not consumed to the end; what is left is forwarded in {} s (at once with `--forward`)",
                forwarded_in.div_ceil(SECOND)
            ),
            Self::HeldBack { on } => write!(
                f,
                "it keeps its order, and what was sent before is on {on} and has to be gone first: consume it, or purge or delete the queue"
            ),
            Self::ManyBehind => write!(
                f,
                "it keeps its order, and {BEHIND_MAX} partitions before it are not empty: consume them, or purge or delete the queue"
            ),
            Self::ManyPartitions => write!(
                f,
                "its queue has {QUEUE_PARTITIONS_MAX} partitions, most of which wait for consumers: consume them, or purge or delete the queue"
            ),
            Self::Changing => f.write_str("its queue is being changed"),
            Self::LeftAlone { again_in, why } => write!(
                f,
                "its last move was undone, and it is tried again in {} s: {why}",
                again_in.div_ceil(SECOND)
            ),
            Self::ForwardingGivenUp {
                again_in: Some(again_in),
                at,
            } => write!(
                f,
                "forwarding it to {at} came to nothing, and is tried again in {} s",
                again_in.div_ceil(SECOND)
            ),
            Self::ForwardingGivenUp { again_in: None, at } => write!(
                f,
                "forwarding it came to nothing too often, and what is left of it on {at} has to be deleted first"
            ),
            Self::FleetBusy => f.write_str("as much is in flight as may be"),
            Self::NoMajority => f.write_str("the cluster has no majority"),
            Self::NoOther => f.write_str("there is no other cluster that takes queues"),
            Self::NoRoom => f.write_str("no other cluster has room for it"),
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
