//! Makes, changes, purges and deletes queues, as the queue-cluster manager does: with revisions that
//! grow, repeating itself until it was told that it is done, and now and then with an old one.

use shoal_types::{Command, Epoch, Micros, Outcome, PartitionId, Revision};

use super::execution::{End, Errand};
use super::limits::{MILLISECOND, PARTITIONS_MAX};
use super::queues::{Queue, State};
use super::role::{Desk, Next, Role};
use super::transfers::Started;
use super::{forwarding, moving};

/// See the module.
#[derive(Debug)]
pub(super) struct Manager {
    revision: u64,
    /// The heir of what was purged: it has or gets the rest.
    to_purge: Option<PartitionId>,
    /// The last task to move messages.
    pub(super) started: Option<Started>,
    /// It is to be cancelled at once.
    pub(super) cancels: bool,
    /// The cluster was told that a queue was deleted to which messages are to go now and then.
    pub(super) has_deleted: bool,
}

impl Manager {
    /// Of a cluster whose formation took the first revision.
    pub(super) fn new() -> Self {
        Self {
            revision: 1,
            to_purge: None,
            started: None,
            cancels: false,
            has_deleted: false,
        }
    }

    pub(super) fn next_revision(&mut self) -> u64 {
        self.revision += 1;
        self.revision
    }

    fn plan_queue(&mut self, desk: &mut Desk<'_>) {
        let number = desk.queues.all().len() as u64 + 1;
        let fifo = desk.random.chance_percent(desk.knobs.fifo_percent);
        let epoch = Epoch(if desk.random.one_in(4) { 3 } else { 0 });
        let settings = desk.knobs.settings(epoch, fifo, desk.random);
        let revision = self.next_revision();
        let work = desk.random.magnitude(20 * MILLISECOND..2_000 * MILLISECOND);
        desk.queues.add(Queue {
            partition: PartitionId(number),
            settings,
            revision,
            state: State::Wanted,
            backlog: 0,
            keyed: 0,
            follows: None,
            inherits: None,
            seal: None,
            heir: None,
            vanishes: false,
            left_alone: (desk.knobs.moves || desk.knobs.dead_letters) && desk.random.one_in(2),
            dead_go_to: None,
            crashes: desk.knobs.dead_letters && desk.random.one_in(2),
            drained: false,
            work,
        });
    }

    pub(super) fn create(queue: &Queue, desk: &mut Desk<'_>) -> Errand {
        let (partition, settings) = (queue.partition, queue.settings);
        let revision = Revision(queue.revision);
        desk.errand(match (queue.inherits, queue.follows) {
            (Some(source), _) => Command::CreateHeir {
                partition,
                settings,
                revision,
                source,
                seal: queue.seal.clone().expect("the source was sealed"),
            },
            (None, None) => Command::CreatePartition {
                partition,
                settings,
                revision,
            },
            (None, Some(before)) => Command::CreateSuccessor {
                partition,
                settings,
                revision,
                succeeds: vec![before],
            },
        })
    }

    pub(super) fn delete(queue: &Queue, desk: &mut Desk<'_>) -> Errand {
        desk.errand(Command::DeletePartition {
            partition: queue.partition,
            revision: Revision(queue.revision),
        })
    }

    /// What is begun is finished first. A creation comes before a deletion: a run needs a queue.
    fn unfinished(desk: &mut Desk<'_>) -> Option<Errand> {
        let first = |state| desk.queues.in_state(state).next().cloned();
        let (wanted, unwanted) = (first(State::Wanted), first(State::Unwanted));
        let (closed, forwarding) = (first(State::Closed), first(State::Forwarding));
        match (wanted, unwanted) {
            (Some(queue), _) => Some(Self::create(&queue, desk)),
            (None, Some(queue)) => Some(Self::delete(&queue, desk)),
            (None, None) => match closed {
                Some(queue) => Some(moving::seal(&queue, desk)),
                None => forwarding.map(|queue| Self::forward(&queue, desk)),
            },
        }
    }

    fn instruct(&mut self, desk: &mut Desk<'_>) -> Option<Errand> {
        // Drawn for only where queues move: all other runs stay as they were.
        if desk.knobs.moves && desk.random.one_in(2) {
            return match desk.random.below(8) {
                0..4 => self.plan_move(desk),
                4..7 => self.plan_heir(desk),
                _ => self.retire(desk),
            };
        }
        if desk.knobs.dead_letters && desk.random.one_in(2) {
            return self.plan_transfer(desk);
        }
        let queue = desk.queues.pick(desk.random)?.clone();
        let partition = queue.partition;
        Some(match desk.random.below(12) {
            0..5 => {
                let same = &queue.settings;
                let settings = desk.knobs.settings(same.epoch, same.fifo, desk.random);
                let revision = Revision(self.next_revision());
                if let Some(queue) = desk.queues.get_mut(partition) {
                    (queue.settings, queue.revision) = (settings, revision.0);
                }
                desk.errand(Command::ConfigurePartition {
                    partition,
                    settings,
                    revision,
                })
            }
            // An instruction that was overtaken by later ones.
            5 => desk.errand(Command::ConfigurePartition {
                partition,
                settings: queue.settings,
                revision: Revision(1),
            }),
            6 => desk.errand(Command::DeletePartition {
                partition,
                revision: Revision(1),
            }),
            // What cannot change.
            7 => {
                let settings = shoal_types::PartitionSettings {
                    fifo: !queue.settings.fifo,
                    ..queue.settings
                };
                let revision = Revision(self.next_revision());
                desk.errand(Command::ConfigurePartition {
                    partition,
                    settings,
                    revision,
                })
            }
            8 => Self::create(&queue, desk),
            9..11 if desk.knobs.purges => desk.errand(Command::Purge { partition }),
            // What follows another one is not deleted alone.
            11 if desk.knobs.deletions && queue.state == State::Open && queue.follows.is_none() => {
                if desk.queues.all().len() as u64 >= PARTITIONS_MAX {
                    return None;
                }
                let revision = self.next_revision();
                let dropped = desk.queues.get_mut(partition).expect("just picked");
                dropped.state = State::Unwanted;
                dropped.revision = revision;
                self.plan_queue(desk);
                Self::delete(&Queue { revision, ..queue }, desk)
            }
            _ => return None,
        })
    }
}

impl Role for Manager {
    fn next(&mut self, desk: &mut Desk<'_>) -> Next {
        if desk.queues.all().is_empty() {
            (0..desk.knobs.queues).for_each(|_| self.plan_queue(desk));
        }
        if desk.knobs.dead_letters && !self.has_deleted && !desk.draining {
            return Next::Do(self.delete_a_target(desk));
        }
        if let Some(partition) = self.to_purge.take() {
            return Next::Do(desk.errand(Command::Purge { partition }));
        }
        if let Some(errand) = Self::unfinished(desk) {
            return Next::Do(errand);
        }
        if std::mem::take(&mut self.cancels)
            && let Some(errand) = self.cancel_move(desk)
        {
            return Next::Do(errand);
        }
        if desk.draining {
            let retired = self.retire(desk);
            return match retired {
                Some(errand) => Next::Do(errand),
                None if desk.queues.some_go_on() => Next::Rest(desk.pause(50 * MILLISECOND)),
                None => Next::Done,
            };
        }
        match self.instruct(desk) {
            Some(errand) => Next::Do(errand),
            None => Next::Rest(desk.pause(desk.knobs.manager_pause)),
        }
    }

    fn ended(&mut self, command: &Command, end: &End, desk: &mut Desk<'_>) {
        self.note_deleted_target(command, end);
        moving::ended(command, end, desk.queues);
        let purged_but = match end {
            End::Outcome(Outcome::PurgedBut { heir, .. }) => Some(heir),
            _ => None,
        };
        if let Some(Some(heir)) = purged_but {
            self.to_purge = Some(heir.partition);
        }
        forwarding::ended(command, end, desk.queues, || self.next_revision());
        if purged_but.is_none() && !matches!(end, End::Outcome(Outcome::Done)) {
            return;
        }
        let Some(queue) = command.partition().and_then(|p| desk.queues.get_mut(p)) else {
            return;
        };
        match (command, queue.state) {
            (Command::CreatePartition { .. }, State::Wanted) => queue.state = State::Open,
            (Command::DeletePartition { .. }, State::Unwanted) => queue.state = State::Gone,
            (Command::Purge { .. }, _) => queue.backlog = 0,
            _ => {}
        }
    }

    fn pause(&self, desk: &mut Desk<'_>) -> Micros {
        let unfinished = Self::unfinished(desk).is_some();
        desk.pause(if self.cancels {
            5 * MILLISECOND
        } else if unfinished {
            50 * MILLISECOND
        } else {
            desk.knobs.manager_pause
        })
    }
}
