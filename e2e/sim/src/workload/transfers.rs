//! Dead letters and tasks that move messages, as the queue-cluster manager orders them: where messages go is
//! said, changed and taken back; where they go may be sealed, gone, or of the other kind. Here all queues are
//! on one cluster.

use shoal_types::{
    ClusterId, ClusterMember, Command, DeadLetters, GroupRange, HostId, MoveTask, MoveTo, Outcome,
    PartitionId, QueueId, Revision, Target, TargetPart,
};

use super::execution::{End, Errand};
use super::limits::RECEIVES_MAX;
use super::manager::Manager;
use super::queues::{Queue, Queues, State};
use super::role::Desk;

/// A queue that was deleted before any message went there, and was never seen here.
const DELETED_BEFORE: PartitionId = PartitionId(1_000);

/// A task that was started: where, and its name.
pub(super) type Started = (PartitionId, u64);

impl Manager {
    /// Something about messages that go to other queues.
    pub(super) fn plan_transfer(&mut self, desk: &mut Desk<'_>) -> Option<Errand> {
        match desk.random.below(8) {
            0..5 => self.say_where_the_dead_go(desk),
            5..7 => self.start_move(desk),
            _ => self.cancel_move(desk),
        }
    }

    /// Who names it as a target finds it gone, and not just unheard of.
    pub(super) fn delete_a_target(&mut self, desk: &mut Desk<'_>) -> Errand {
        desk.errand(Command::DeletePartition {
            partition: DELETED_BEFORE,
            revision: Revision(self.next_revision()),
        })
    }

    pub(super) fn note_deleted_target(&mut self, command: &Command, end: &End) {
        let Command::DeletePartition { partition, .. } = command else {
            return;
        };
        let is_done = matches!(end, End::Outcome(Outcome::Done));
        self.has_deleted |= is_done && *partition == DELETED_BEFORE;
    }

    fn say_where_the_dead_go(&mut self, desk: &mut Desk<'_>) -> Option<Errand> {
        let source = desk.queues.pick(desk.random)?.clone();
        let revision = Revision(match desk.random.below(12) {
            // An instruction that was overtaken by later ones.
            0 => 1,
            _ => self.next_revision(),
        });
        let dead_letters = match desk.random.below(4) {
            0 => None,
            _ => {
                let to = another_queue(&source, self.has_deleted, desk)?;
                let queue = desk.queues.root(source.partition);
                let names = desk.queues.get_mut(source.partition)?;
                names.dead_go_to = Some(PartitionId(to.queue.0));
                Some(Box::new(DeadLetters {
                    queue: QueueId(queue.0),
                    max_receives: desk.random.range(1..RECEIVES_MAX + 1) as u16,
                    to,
                }))
            }
        };
        Some(desk.errand(Command::SetDeadLetters {
            partition: source.partition,
            dead_letters,
            revision,
        }))
    }

    fn start_move(&mut self, desk: &mut Desk<'_>) -> Option<Errand> {
        let source = desk.queues.pick(desk.random)?.clone();
        let origins = origins(source.partition, desk.queues);
        let to = if !origins.is_empty() && desk.random.one_in(2) {
            let targets = origins.into_iter();
            let targets = targets.filter_map(|origin| target(origin, desk));
            MoveTo::Origins(targets.collect())
        } else {
            MoveTo::One(another_queue(&source, self.has_deleted, desk)?)
        };
        if to == MoveTo::Origins(Vec::new()) {
            return None;
        }
        let revision = self.next_revision();
        let slowly = desk.random.one_in(2);
        let per_second = slowly.then(|| desk.random.magnitude(5..500) as u16);
        self.started = Some((source.partition, revision));
        self.cancels = desk.random.one_in(3);
        Some(desk.errand(Command::StartMove {
            partition: source.partition,
            task: Box::new(MoveTask {
                task: revision,
                to,
                per_second,
            }),
            revision: Revision(revision),
        }))
    }

    pub(super) fn cancel_move(&mut self, desk: &mut Desk<'_>) -> Option<Errand> {
        let (partition, task) = self.started?;
        let revision = Revision(self.next_revision());
        Some(desk.errand(Command::CancelMove {
            partition,
            task,
            revision,
        }))
    }
}

/// Another queue than this one's, mostly of the same kind.
fn another_queue(source: &Queue, has_deleted: bool, desk: &mut Desk<'_>) -> Option<Target> {
    if has_deleted && desk.random.one_in(10) {
        return Some(at(DELETED_BEFORE, DELETED_BEFORE));
    }
    let own = desk.queues.root(source.partition);
    let any_kind = desk.random.one_in(16);
    // Mostly none that leads back: messages that go round in circles come to no end.
    let any_way = desk.random.one_in(4);
    let others = desk.queues.all().iter().filter(|queue| {
        let root = desk.queues.root(queue.partition);
        root == queue.partition
            && root != own
            && (any_way || root > own)
            && (any_kind || queue.settings.fifo == source.settings.fifo)
    });
    let mut others: Vec<&Queue> = others.collect();
    if !desk.random.one_in(8) {
        others.retain(|queue| queue.state != State::Gone);
    }
    if others.is_empty() {
        return None;
    }
    let root = desk.random.choose(&others).partition;
    target(root, desk)
}

/// The queues whose dead were said to go to this one's.
fn origins(partition: PartitionId, queues: &Queues) -> Vec<PartitionId> {
    let here = queues.root(partition);
    let sends = |queue: &&Queue| queue.dead_go_to == Some(here);
    let senders = queues.all().iter().filter(sends);
    let mut origins: Vec<PartitionId> = senders.map(|q| queues.root(q.partition)).collect();
    origins.sort_unstable();
    origins.dedup();
    origins.retain(|origin| *origin != here);
    origins
}

/// The partition of a queue that takes sends; now and then one that does not any more.
fn target(root: PartitionId, desk: &mut Desk<'_>) -> Option<Target> {
    let of_it = desk.queues.all().iter().filter(|queue| {
        desk.queues.root(queue.partition) == root
            && queue.inherits.is_none()
            && !matches!(queue.state, State::Wanted | State::Closed)
            // A successor that is gone was perhaps never there, if not all hosts know of moves.
            && !(queue.state == State::Gone && queue.follows.is_some())
    });
    let parts: Vec<PartitionId> = of_it.map(|queue| queue.partition).collect();
    let newest = *parts.last()?;
    let partition = match desk.random.below(3) {
        0 => *desk.random.choose(&parts),
        _ => newest,
    };
    Some(at(root, partition))
}

fn at(root: PartitionId, partition: PartitionId) -> Target {
    Target {
        queue: QueueId(root.0),
        parts: vec![TargetPart {
            partition,
            // Nobody looks: the hosts ask one another.
            cluster: ClusterId(1),
            members: vec![ClusterMember {
                host: HostId(1),
                address: "nowhere:1".to_owned(),
            }],
            groups: GroupRange::ALL,
        }],
    }
}
