//! Starting and cancelling tasks, and showing them.

use std::sync::Arc;

use shoal_api::Problem;
use shoal_api::plan::EventKind;
use shoal_api::redrive::{RedriveInfo, RedriveRequest, RedriveStatus};
use shoal_types::limits::{MOVE_QUEUES_MAX, MOVED_PER_SECOND_MAX};
use shoal_types::{Applied, ErrorCode, QueueName};

use crate::events::News;
use crate::keys;
use crate::limits::REDRIVES_MAX;
use crate::problem::{queue_not_found, store_problem};
use crate::queues::Queues;
use crate::records::{
    self, At, PartitionStage, QueueRecord, Record, RedrivePart, RedriveTask, RedrivesRecord,
};
use crate::store::{CommitError, Transaction};

impl Queues {
    /// Begins to move a queue's messages. It goes on by itself from here on.
    ///
    /// # Errors
    /// If the queue is no dead-letter queue, its messages cannot go where they are to, a task of it is under way,
    /// or the store fails. But for the last, nothing was begun then.
    pub(crate) async fn start_redrive(
        self: &Arc<Self>,
        asked: RedriveRequest,
    ) -> Result<RedriveInfo, Problem> {
        let per_second = 1..=MOVED_PER_SECOND_MAX;
        if let Some(rate) = asked
            .max_per_second
            .filter(|rate| !per_second.contains(rate))
        {
            let why = format!("{rate} is not within 1 to {MOVED_PER_SECOND_MAX}");
            return Err(Problem::invalid("max_per_second", why));
        }
        let queue = asked.queue.clone();
        self.alone(&queue, |this, _, _| async move {
            this.start_redrive_alone(asked).await
        })
        .await
    }

    async fn start_redrive_alone(&self, asked: RedriveRequest) -> Result<RedriveInfo, Problem> {
        let name = &asked.queue;
        let at = self.visible(name).await?;
        self.check_goes(&asked).await?;
        let before = self.redrives_of(&at.record).await?;
        let running = before.as_ref().and_then(|before| before.record.under_way());
        if let Some(running) = running {
            let why = format!(
                "the redrive {} of {name} is under way; cancel it, or wait for its end",
                running.task
            );
            return Err(Problem::new(ErrorCode::Busy, why).status(409));
        }
        if !self.redrives.has_room() {
            let why =
                format!("{REDRIVES_MAX} redrives are under way, which is the most there may be");
            return Err(Problem::new(ErrorCode::Busy, why));
        }
        let task = self.new_task(&at.record, &asked);
        let text = match &asked.to {
            Some(to) => format!("move the messages of {name} to {to}: asked for by a user"),
            None => {
                format!("move the messages of {name} back to where they died: asked for by a user")
            }
        };
        let mut record = match &before {
            Some(before) => before.record.clone(),
            None => RedrivesRecord {
                name: name.clone(),
                queue: at.record.queue,
                tasks: Vec::new(),
            },
        };
        record.tasks.push(task);
        record.forget_oldest();
        let at = self
            .write_redrives(before.as_ref(), record, EventKind::Decided, text)
            .await?;
        let begun = at.record.under_way().expect("it was just begun");
        Ok(begun.info(name))
    }

    /// Whether messages may go from this queue, and to where they are to.
    async fn check_goes(&self, asked: &RedriveRequest) -> Result<(), Problem> {
        let name = &asked.queue;
        let sources = self.dead_letters.sources(name);
        if sources.is_empty() {
            let why = format!(
                "{name} is the dead-letter queue of no other queue, and only messages of such a one are moved"
            );
            return Err(Problem::invalid("queue", why));
        }
        let refuse = |why| Err(Problem::invalid("to", why));
        let Some(to) = &asked.to else {
            return match sources.len() {
                ..=MOVE_QUEUES_MAX => Ok(()),
                many => refuse(format!(
                    "{name} takes the dead letters of {many} queues, and messages go back to at most \
                     {MOVE_QUEUES_MAX}: name one queue"
                )),
            };
        };
        if to == name {
            return refuse("is the queue itself".to_owned());
        }
        if to.scope() != name.scope() {
            return refuse(format!("{to} is of another account or region"));
        }
        if to.is_fifo() != name.is_fifo() {
            return refuse(format!(
                "of {name} and {to} one is FIFO and the other is not"
            ));
        }
        match self.read(to).await? {
            Some(at) if at.record.is_visible() => Ok(()),
            _ => refuse(format!("there is no queue {to}")),
        }
    }

    /// It is about all partitions that may have messages.
    fn new_task(&self, queue: &QueueRecord, asked: &RedriveRequest) -> RedriveTask {
        let has_messages = |stage| stage != PartitionStage::Held;
        let parts = queue
            .partitions
            .iter()
            .filter(|one| has_messages(one.stage));
        let parts = parts.map(|one| RedrivePart {
            partition: one.partition,
            cluster: one.cluster,
            status: RedriveStatus::Running,
            to_move: 0,
            moved: 0,
            failed: 0,
        });
        RedriveTask {
            task: 0,
            to: asked.to.clone(),
            max_per_second: asked.max_per_second,
            status: RedriveStatus::Running,
            reason: String::new(),
            parts: parts.collect(),
            started_at: self.clock.now().wall,
        }
    }

    /// The tasks of a queue, newest first.
    pub(crate) async fn redrives(&self, name: &QueueName) -> Result<Vec<RedriveInfo>, Problem> {
        let at = self.visible(name).await?;
        let known = self.redrives_of(&at.record).await?;
        let tasks = known
            .iter()
            .flat_map(|known| known.record.tasks.iter().rev());
        Ok(tasks.map(|task| task.info(name)).collect())
    }

    /// Has a task end: the one that runs if none is named.
    ///
    /// # Errors
    /// If there is no such task, it is over or being cancelled, or the store fails.
    pub(crate) async fn cancel_redrive(
        self: &Arc<Self>,
        name: &QueueName,
        task: Option<u64>,
    ) -> Result<RedriveInfo, Problem> {
        self.alone(name, move |this, name, _| async move {
            this.cancel_redrive_alone(&name, task).await
        })
        .await
    }

    async fn cancel_redrive_alone(
        &self,
        name: &QueueName,
        task: Option<u64>,
    ) -> Result<RedriveInfo, Problem> {
        let at = self.visible(name).await?;
        let not_found = |why| Err(Problem::new(ErrorCode::NotFound, why));
        let Some(before) = self.redrives_of(&at.record).await? else {
            return not_found(format!("{name} has no redrives"));
        };
        let mut record = before.record.clone();
        let mut tasks = record.tasks.iter_mut();
        let found = match task {
            Some(task) => tasks.find(|one| one.task == task),
            None => tasks.next_back().filter(|last| last.status.is_under_way()),
        };
        let Some(found) = found else {
            return not_found(match task {
                Some(task) => format!("{name} has no redrive {task}"),
                None => format!("no redrive of {name} runs"),
            });
        };
        if found.status != RedriveStatus::Running {
            let why = format!(
                "{} does not run: it is {}",
                found.task,
                found.status.as_str()
            );
            return Err(Problem::invalid("task", why).status(409));
        }
        found.status = RedriveStatus::Cancelling;
        let info = found.info(name);
        let text = format!(
            "cancel the redrive {} of {name}: asked for by a user",
            info.task
        );
        self.write_redrives(Some(&before), record, EventKind::Decided, text)
            .await?;
        Ok(info)
    }

    async fn visible(&self, name: &QueueName) -> Result<At<QueueRecord>, Problem> {
        let at = self.read(name).await?;
        at.filter(|at| at.record.is_visible())
            .ok_or_else(|| queue_not_found(name))
    }

    /// What is stored, with what was heard since of a task that is under way.
    async fn redrives_of(
        &self,
        queue: &QueueRecord,
    ) -> Result<Option<At<RedrivesRecord>>, Problem> {
        if let Some(under_way) = self.redrives.get(queue.queue) {
            return Ok(Some(under_way));
        }
        let read = records::read(&*self.store, &keys::redrives(queue.queue)).await;
        let read: Option<At<RedrivesRecord>> = read.map_err(|error| store_problem(&error))?;
        Ok(read.map(At::<RedrivesRecord>::numbered))
    }

    /// Writes the tasks of a queue, together with the event that tells of it.
    pub(super) async fn write_redrives(
        &self,
        before: Option<&At<RedrivesRecord>>,
        record: RedrivesRecord,
        kind: EventKind,
        text: String,
    ) -> Result<At<RedrivesRecord>, Problem> {
        let transaction = Transaction::new()
            .expect(record.key(), before.map(|at| at.revision))
            .put(record.key(), record.encode());
        let last = record.tasks.last();
        let parts = last.into_iter().flat_map(|task| &task.parts);
        let news = News {
            kind,
            clusters: parts.map(|part| part.cluster).collect(),
            queue: Some(record.name.clone()),
            text,
        };
        match self.events.commit(transaction, news).await {
            Ok(revision) => {
                let at = At { record, revision }.numbered();
                self.redrives.put(at.clone());
                Ok(at)
            }
            Err(CommitError::Store(error)) => Err(store_problem(&error)),
            Err(CommitError::Conflict { key }) => {
                let why = format!("{key} was changed meanwhile; try again");
                Err(Problem::new(ErrorCode::Busy, why).applied(Applied::No))
            }
        }
    }
}
