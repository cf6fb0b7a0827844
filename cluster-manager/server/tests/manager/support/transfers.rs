//! What partitions send to other queues, as far as the manager tells them: where their dead letters go, and tasks
//! that move messages. Nothing is carried; tests say how far it is.

use std::collections::BTreeMap;

use shoal_types::{
    Command, DeadLetters, ErrorCode, MoveProgress, MoveStatus, MoveTask, Outbox, Outcome,
    PartitionId, Refusal, Revision,
};

#[derive(Default)]
pub(super) struct Transfers(BTreeMap<PartitionId, Sends>);

#[derive(Clone, Default)]
struct Sends {
    dead_letters: Option<DeadLetters>,
    dead_letters_revision: Revision,
    moving: Option<(MoveTask, MoveProgress)>,
    moving_revision: Revision,
}

impl Transfers {
    /// One of the manager's instructions to a partition that is there.
    pub(super) fn apply(&mut self, command: Command) -> Result<Outcome, Refusal> {
        let partition = command.partition().expect("they are about one");
        let sends = self.0.entry(partition).or_default();
        match command {
            Command::SetDeadLetters {
                dead_letters,
                revision,
                ..
            } => {
                fence(revision, sends.dead_letters_revision)?;
                if revision > sends.dead_letters_revision {
                    sends.dead_letters_revision = revision;
                    sends.dead_letters = dead_letters.map(|known| *known);
                }
            }
            Command::StartMove { task, revision, .. } => {
                fence(revision, sends.moving_revision)?;
                sends.start(*task)?;
                sends.moving_revision = revision;
            }
            Command::CancelMove { task, revision, .. } => {
                let known = sends.moving.as_mut();
                let known = known.filter(|(known, _)| known.task == task);
                let Some((_, progress)) = known else {
                    return Err(refused("task: not the partition's last one"));
                };
                fence(revision, sends.moving_revision)?;
                sends.moving_revision = revision;
                if progress.status == MoveStatus::Running {
                    progress.status = MoveStatus::Cancelled;
                }
            }
            other => unreachable!("{other:?} is none of them"),
        }
        Ok(Outcome::Done)
    }

    pub(super) fn gone(&mut self, partition: PartitionId) {
        self.0.remove(&partition);
    }

    pub(super) fn outbox(&self, partition: PartitionId) -> Outbox {
        let sends = self.0.get(&partition).cloned().unwrap_or_default();
        Outbox {
            dead_letters: sends.dead_letters,
            task: sends.moving.map(|(_, progress)| progress),
            ..Outbox::default()
        }
    }

    pub(super) fn dead_letters(&self, partition: PartitionId) -> Option<&DeadLetters> {
        self.0.get(&partition)?.dead_letters.as_ref()
    }

    pub(super) fn task(&self, partition: PartitionId) -> Option<&MoveTask> {
        let (task, _) = self.0.get(&partition)?.moving.as_ref()?;
        Some(task)
    }

    /// The task of a partition is so far.
    pub(super) fn progress(&mut self, partition: PartitionId, status: MoveStatus, moved: [u64; 3]) {
        let sends = self.0.get_mut(&partition).expect("it has a task");
        let (_, progress) = sends.moving.as_mut().expect("it has a task");
        progress.status = status;
        [progress.to_move, progress.moved, progress.failed] = moved;
    }
}

impl Sends {
    fn start(&mut self, task: MoveTask) -> Result<(), Refusal> {
        if let Some((known, progress)) = &self.moving {
            if known.task == task.task {
                return Ok(());
            }
            if matches!(
                progress.status,
                MoveStatus::Running | MoveStatus::Cancelling
            ) {
                return Err(refused("task: another one is not at its end"));
            }
        }
        for target in task.targets() {
            let mut parts = target.parts.iter();
            assert!(
                parts.all(|part| !part.members.is_empty()),
                "hosts must find them"
            );
        }
        let progress = MoveProgress {
            task: task.task,
            status: MoveStatus::Running,
            to_move: 0,
            moved: 0,
            failed: 0,
        };
        self.moving = Some((task, progress));
        Ok(())
    }
}

fn fence(revision: Revision, known: Revision) -> Result<(), Refusal> {
    match revision < known {
        true => Err(Refusal::not_applied(
            ErrorCode::Fenced,
            "seen a newer revision",
        )),
        false => Ok(()),
    }
}

fn refused(why: &'static str) -> Refusal {
    Refusal::not_applied(ErrorCode::InvalidRequest, why)
}
