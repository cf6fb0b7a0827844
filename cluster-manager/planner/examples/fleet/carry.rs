//! Carries plans out, as the manager would: each thing takes its time.

use std::collections::BTreeMap;

use shoal_planner::limits::SECOND;
use shoal_planner::{Action, Decided, Plan};
use shoal_types::{ClusterId, HostId, Micros, PartitionId, QueueId, Ts};

use crate::world::World;

/// Of each hundred sealed partitions so many have nobody who consumes them.
const UNCONSUMED_PERCENT: u64 = 2;

/// What is under way.
#[derive(Default)]
pub(crate) struct Carrying {
    due: BTreeMap<(Ts, u64), Step>,
    steps: u64,
}

enum Step {
    Opened {
        queue: QueueId,
        partition: PartitionId,
    },
    Drained {
        queue: QueueId,
        partition: PartitionId,
    },
    Serves(ClusterId),
    Replaced {
        cluster: ClusterId,
        dead: HostId,
        by: HostId,
    },
}

impl Carrying {
    /// Begins everything that a plan says. Returns how many queues it changes.
    pub(crate) fn begin(&mut self, world: &mut World, plan: &Plan) -> u64 {
        plan.actions
            .iter()
            .map(|decided| u64::from(self.begin_one(world, decided)))
            .sum()
    }

    fn begin_one(&mut self, world: &mut World, decided: &Decided) -> bool {
        match &decided.action {
            &Action::Move {
                queue, partition, ..
            }
            | &Action::Split {
                queue, partition, ..
            }
            | &Action::Merge {
                queue, partition, ..
            } => {
                let begun = world.begin(decided);
                assert!(
                    begun,
                    "a plan fits the facts that it was made of: {decided}"
                );
                self.after(world, 1..3, Step::Opened { queue, partition });
                return true;
            }
            &Action::Forward {
                queue, partition, ..
            } => {
                world.begin(decided);
                self.after(world, 10..60, Step::Drained { queue, partition });
            }
            Action::Form(new) => {
                let cluster = world.form(new.members.clone());
                self.after(world, 5..10, Step::Serves(cluster));
            }
            &Action::Replace { cluster, dead, by } => {
                world.cluster(cluster).changing = true;
                world.set_stage(by, shoal_planner::facts::HostStage::Member(cluster));
                self.after(world, 30..120, Step::Replaced { cluster, dead, by });
            }
            &Action::Retire { cluster } => world.retire(cluster),
        }
        false
    }

    /// Does what is due by now.
    pub(crate) fn go_on(&mut self, world: &mut World) {
        while let Some(first) = self.due.first_entry() {
            if first.key().0 > world.now {
                return;
            }
            match first.remove() {
                Step::Opened { queue, partition } => self.opened(world, queue, partition),
                Step::Drained { queue, partition } => {
                    world.with_queue(queue, |world| world.facts.drained(partition));
                }
                Step::Serves(cluster) => world.serve(cluster),
                Step::Replaced { cluster, dead, by } => world.replace(cluster, dead, by),
            }
        }
    }

    fn opened(&mut self, world: &mut World, queue: QueueId, partition: PartitionId) {
        let now = world.now;
        world.with_queue(queue, |world| world.facts.opened(partition, now));
        let Some(change) = world.facts.changes.get(&partition) else {
            return;
        };
        for partition in change.seals.clone() {
            if world.random.below(100) >= UNCONSUMED_PERCENT {
                self.after(world, 5..120, Step::Drained { queue, partition });
            }
        }
    }

    fn after(&mut self, world: &mut World, seconds: std::ops::Range<u64>, step: Step) {
        let wait: Micros =
            seconds.start * SECOND + world.random.below((seconds.end - seconds.start) * SECOND);
        self.steps += 1;
        self.due.insert((world.now.after(wait), self.steps), step);
    }
}
