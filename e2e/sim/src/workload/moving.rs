//! Moves of queues, as the queue-cluster manager makes them: a partition that follows another one is
//! created, closed; then the other is sealed. Here both are on one cluster, and what the successor has to
//! know its hosts tell one another.

use shoal_types::{
    ClusterId, ClusterMember, Command, Epoch, ErrorCode, GroupRange, Outcome, PartitionId,
    PartitionSettings, Revision, Successor,
};

use super::execution::{End, Errand};
use super::limits::{ANCESTORS_MAX, PARTITIONS_MAX, RELATIVES_MAX};
use super::manager::Manager;
use super::queues::{Queue, Queues, State};
use super::role::Desk;

impl Manager {
    /// Has an open queue followed by a new one.
    pub(super) fn plan_move(&mut self, desk: &mut Desk<'_>) -> Option<Errand> {
        let number = desk.queues.all().len() as u64 + 1;
        let queue = desk.queues.pick(desk.random)?.clone();
        let may_move = queue.state == State::Open
            && desk.queues.relatives(queue.partition) < RELATIVES_MAX
            && number <= PARTITIONS_MAX
            && desk.queues.ancestors(queue.partition) < ANCESTORS_MAX;
        if !may_move {
            return None;
        }
        let successor = Queue {
            partition: PartitionId(number),
            settings: PartitionSettings {
                epoch: Epoch(queue.settings.epoch.0 + 1),
                ..queue.settings
            },
            revision: self.next_revision(),
            state: State::Wanted,
            backlog: 0,
            follows: Some(queue.partition),
            left_alone: desk.random.one_in(2),
            // Keyed sends go on with the same keys.
            ..queue
        };
        let errand = Self::create(&successor, desk);
        desk.queues.add(successor);
        Some(errand)
    }
}

/// Seals what a closed queue follows.
pub(super) fn seal(queue: &Queue, desk: &mut Desk<'_>) -> Errand {
    let before = queue.follows.expect("a closed one follows another");
    let member = ClusterMember {
        host: shoal_types::HostId(1),
        address: "nowhere:1".to_owned(),
    };
    desk.errand(Command::Seal {
        partition: before,
        successors: vec![Successor {
            partition: queue.partition,
            epoch: queue.settings.epoch,
            // Nobody looks: the hosts ask one another.
            cluster: ClusterId(1),
            members: vec![member],
            groups: GroupRange::ALL,
        }],
        revision: Revision(queue.revision),
    })
}

/// What came of an instruction about a move.
pub(super) fn ended(command: &Command, end: &End, queues: &mut Queues) {
    match (command, end) {
        (
            Command::CreateSuccessor {
                partition,
                succeeds,
                ..
            },
            End::Outcome(Outcome::Done),
        ) => {
            set(queues, *partition, State::Wanted, State::Closed);
            set(queues, succeeds[0], State::Open, State::Sealing);
        }
        // Not all hosts know of moves: there is none.
        (Command::CreateSuccessor { partition, .. }, End::Refused(refusal))
            if refusal.code == ErrorCode::NotReady =>
        {
            set(queues, *partition, State::Wanted, State::Gone);
        }
        (
            Command::Seal {
                partition,
                successors,
                ..
            },
            End::Outcome(Outcome::Sealed(seal)),
        ) => {
            if let Some(queue) = queues.get_mut(*partition) {
                queue.seal = Some(seal.clone());
            }
            set(queues, *partition, State::Sealing, State::Sealed);
            set(queues, successors[0].partition, State::Closed, State::Open);
        }
        _ => {}
    }
}

fn set(queues: &mut Queues, partition: PartitionId, from: State, to: State) {
    if let Some(queue) = queues.get_mut(partition)
        && queue.state == from
    {
        queue.state = to;
    }
}
