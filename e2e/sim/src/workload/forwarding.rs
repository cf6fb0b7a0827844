//! Heirs of sealed partitions, as the queue-cluster manager makes them: the heir is created, what nobody
//! consumes goes on to it, and once all of it has, the sealed one is deleted.

use shoal_types::{
    ClusterId, ClusterMember, Command, Heir, HostId, Outcome, PartitionId, Revision,
};

use super::execution::{End, Errand};
use super::limits::{PARTITIONS_MAX, RELATIVES_MAX};
use super::manager::Manager;
use super::queues::{Queue, Queues, State};
use super::role::Desk;

impl Manager {
    /// Gives a sealed partition an heir.
    pub(super) fn plan_heir(&mut self, desk: &mut Desk<'_>) -> Option<Errand> {
        let number = desk.queues.all().len() as u64 + 1;
        let mut sealed: Vec<&Queue> = desk.queues.in_state(State::Sealed).collect();
        if !desk.random.one_in(4) {
            sealed.retain(|queue| queue.backlog > 0);
        }
        if sealed.is_empty() || number > PARTITIONS_MAX {
            return None;
        }
        let source = desk.random.choose(&sealed).partition;
        if desk.queues.relatives(source) >= RELATIVES_MAX || !desk.queues.has_all(source) {
            return None;
        }
        let known = desk.queues.get(source)?.clone();
        let heir = Queue {
            partition: PartitionId(number),
            revision: self.next_revision(),
            state: State::Wanted,
            inherits: Some(source),
            follows: None,
            heir: None,
            drained: false,
            left_alone: false,
            // Now and then it is gone before anything was brought there.
            vanishes: desk.random.one_in(6),
            ..known
        };
        let errand = Self::create(&heir, desk);
        desk.queues.add(heir);
        Some(errand)
    }

    /// Deletes a partition of which all is at its heir.
    pub(super) fn retire(&mut self, desk: &mut Desk<'_>) -> Option<Errand> {
        let empty = desk.queues.in_state(State::WentOn).next()?.partition;
        let revision = self.next_revision();
        let queue = desk.queues.get_mut(empty).expect("just found");
        (queue.state, queue.revision) = (State::Unwanted, revision);
        let queue = queue.clone();
        Some(Self::delete(&queue, desk))
    }

    /// Says who the heir is.
    pub(super) fn forward(queue: &Queue, desk: &mut Desk<'_>) -> Errand {
        let heir = Heir {
            partition: queue.heir.expect("it was made"),
            // Nobody looks: the hosts ask one another.
            cluster: ClusterId(1),
            members: vec![ClusterMember {
                host: HostId(1),
                address: "nowhere:1".to_owned(),
            }],
        };
        desk.errand(Command::Forward {
            partition: queue.partition,
            heir,
            revision: Revision(queue.revision),
        })
    }
}

/// What came of an instruction about an heir. `next_revision`: for those that follow from it.
pub(super) fn ended(
    command: &Command,
    end: &End,
    queues: &mut Queues,
    mut next_revision: impl FnMut() -> u64,
) {
    let End::Outcome(Outcome::Done) = end else {
        return;
    };
    match command {
        Command::CreateHeir {
            partition, source, ..
        } => {
            let heir = queues.get_mut(*partition).expect("one of ours");
            if heir.state != State::Wanted {
                return;
            }
            heir.state = State::Sealed;
            if heir.vanishes {
                heir.state = State::Unwanted;
                heir.revision = next_revision();
            }
            let source = queues.get_mut(*source).expect("one of ours");
            source.heir = Some(*partition);
            source.state = State::Forwarding;
            source.revision = next_revision();
        }
        Command::Forward { partition, .. } => {
            let source = queues.get_mut(*partition).expect("one of ours");
            if source.state == State::Forwarding {
                source.state = State::Forwarded;
            }
        }
        _ => {}
    }
}

impl Queues {
    /// A host says that all that a partition had is at this heir.
    pub(super) fn all_went_on(&mut self, source: PartitionId, heir: PartitionId) {
        if let Some(queue) = self.forwarding_to(source, heir) {
            queue.state = State::WentOn;
        }
    }

    /// A host says that this heir is gone.
    pub(super) fn forwarding_ended(&mut self, source: PartitionId, heir: PartitionId) {
        if let Some(queue) = self.forwarding_to(source, heir) {
            queue.state = State::Sealed;
            queue.heir = None;
        }
    }

    /// What hosts say may be old.
    fn forwarding_to(&mut self, source: PartitionId, heir: PartitionId) -> Option<&mut Queue> {
        self.get_mut(source).filter(|queue| {
            let goes_on = matches!(queue.state, State::Forwarding | State::Forwarded);
            goes_on && queue.heir == Some(heir)
        })
    }

    /// True unless it is an heir to which something may still come.
    fn has_all(&self, partition: PartitionId) -> bool {
        let source = self.get(partition).and_then(|queue| queue.inherits);
        let source = source.and_then(|source| self.get(source));
        source.is_none_or(|source| matches!(source.state, State::WentOn | State::Gone))
    }
}
