//! What the fake manager does about dead letters: it tells partitions where theirs go, and starts tasks that
//! move them. Each queue has one partition, on the first cluster.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use shoal_api::Problem;
use shoal_api::redrive::{CancelRedrive, RedriveInfo, RedriveQuery, RedriveRequest, RedriveStatus};
use shoal_types::{
    Command, DeadLetters, ErrorCode, MoveStatus, MoveTask, MoveTo, PartitionId, QueueName,
    QueueRoute, Target, TargetPart, Ts,
};

use super::manager::{Records, Store, answer};

/// A task, as far as was heard.
pub(super) struct Redrive {
    info: RedriveInfo,
    partition: PartitionId,
}

/// Refuses settings whose dead-letter queue is not there, or does not allow it.
pub(super) fn check_dead_letters(records: &Records, route: &QueueRoute) -> Result<(), Problem> {
    let Some(to) = &route.settings.dead_letter_queue else {
        return Ok(());
    };
    let refuse = |why: &str| Err(Problem::invalid("dead_letter_queue", why));
    match records.queues.get(to) {
        None => refuse("there is no such queue"),
        Some(to) if !to.settings.redrive_allow.allows(&route.name) => refuse("does not allow it"),
        Some(_) => Ok(()),
    }
}

/// Tells the queue's partition where its dead letters go, or that none die.
pub(super) fn tell_dead_letters(store: &Store, records: &Records, route: &QueueRoute) {
    let settings = &route.settings;
    let to = settings.dead_letter_queue.as_ref();
    let dead_letters = to.map(|to| {
        Box::new(DeadLetters {
            queue: route.queue,
            max_receives: settings.max_receive_count.unwrap() as u16,
            to: target(store, &records.queues[to]),
        })
    });
    store.cluster().own(Command::SetDeadLetters {
        partition: route.partitions[0].partition,
        dead_letters,
        revision: route.revision,
    });
}

fn target(store: &Store, route: &QueueRoute) -> Target {
    let place = route.partitions[0];
    Target {
        queue: route.queue,
        parts: vec![TargetPart {
            partition: place.partition,
            cluster: place.cluster,
            members: store.members().to_vec(),
            groups: place.groups,
        }],
    }
}

/// `POST /v1/redrives`
pub(super) async fn start(
    State(store): State<Store>,
    Json(asked): Json<RedriveRequest>,
) -> Response {
    match try_start(&store, asked) {
        Ok(info) => (StatusCode::CREATED, Json(info)).into_response(),
        Err(problem) => answer(&problem),
    }
}

fn try_start(store: &Store, asked: RedriveRequest) -> Result<RedriveInfo, Problem> {
    let mut records = store.records();
    let source = records.queues.get(&asked.queue);
    let source = source.ok_or_else(super::manager::missing)?;
    let partition = source.partitions[0].partition;
    let origins: Vec<Target> = records
        .queues
        .values()
        .filter(|route| route.settings.dead_letter_queue.as_ref() == Some(&asked.queue))
        .map(|route| target(store, route))
        .collect();
    if origins.is_empty() {
        let why = "is no queue's dead-letter queue";
        return Err(Problem::invalid("queue", why));
    }
    let to = match &asked.to {
        Some(to) => match records.queues.get(to) {
            Some(to) => MoveTo::One(target(store, to)),
            None => return Err(Problem::invalid("to", "there is no such queue")),
        },
        None => MoveTo::Origins(origins),
    };
    if list_of(store, &mut records, &asked.queue)
        .iter()
        .any(|task| task.status.is_under_way())
    {
        let detail = "another task of this queue is under way";
        return Err(Problem::new(ErrorCode::Busy, detail).status(409));
    }
    let revision = store.next_revision();
    let task = MoveTask {
        task: revision.0,
        to,
        per_second: asked.max_per_second,
    };
    store.cluster().own(Command::StartMove {
        partition,
        task: Box::new(task),
        revision,
    });
    let info = RedriveInfo {
        task: revision.0,
        queue: asked.queue.clone(),
        to: asked.to,
        max_per_second: asked.max_per_second,
        status: RedriveStatus::Running,
        to_move: 0,
        moved: 0,
        failed: 0,
        started_at: Ts(1_790_000_000_000_000 + revision.0),
        reason: String::new(),
    };
    records.redrives.insert(0, Redrive { info, partition });
    Ok(list_of(store, &mut records, &asked.queue).remove(0))
}

/// `GET /v1/redrives`
pub(super) async fn list(
    State(store): State<Store>,
    Query(asked): Query<RedriveQuery>,
) -> Response {
    let mut records = store.records();
    if !records.queues.contains_key(&asked.queue) {
        return answer(&super::manager::missing().at("queue"));
    }
    Json(list_of(&store, &mut records, &asked.queue)).into_response()
}

/// A queue's tasks as they are now, newest first.
fn list_of(store: &Store, records: &mut Records, queue: &QueueName) -> Vec<RedriveInfo> {
    for task in &mut records.redrives {
        task.hear(store);
    }
    let tasks = records.redrives.iter().map(|task| &task.info);
    tasks.filter(|info| info.queue == *queue).cloned().collect()
}

impl Redrive {
    /// Takes over what its partition knows of it.
    fn hear(&mut self, store: &Store) {
        let info = &mut self.info;
        if !info.status.is_under_way() {
            return;
        }
        let told = store.cluster().outbox(self.partition).task;
        let Some(progress) = told.filter(|progress| progress.task == info.task) else {
            return;
        };
        (info.to_move, info.moved, info.failed) =
            (progress.to_move, progress.moved, progress.failed);
        info.status = match progress.status {
            MoveStatus::Running => RedriveStatus::Running,
            MoveStatus::Completed => RedriveStatus::Completed,
            MoveStatus::Cancelling => RedriveStatus::Cancelling,
            MoveStatus::Cancelled => RedriveStatus::Cancelled,
            MoveStatus::Failed => RedriveStatus::Failed,
        };
        if info.status == RedriveStatus::Failed {
            "the queue that it moves to is gone".clone_into(&mut info.reason);
        }
    }
}

/// `POST /v1/redrives/{queue}/cancel`
pub(super) async fn cancel(
    State(store): State<Store>,
    Path(queue): Path<QueueName>,
    Json(which): Json<CancelRedrive>,
) -> Response {
    match try_cancel(&store, &queue, which) {
        Ok(info) => Json(info).into_response(),
        Err(problem) => answer(&problem),
    }
}

fn try_cancel(
    store: &Store,
    queue: &QueueName,
    which: CancelRedrive,
) -> Result<RedriveInfo, Problem> {
    let mut records = store.records();
    let tasks = list_of(store, &mut records, queue);
    let asked_for = |info: &&RedriveInfo| match which.task {
        Some(task) => info.task == task,
        None => info.status.is_under_way(),
    };
    let Some(info) = tasks.iter().find(asked_for) else {
        return Err(Problem::new(ErrorCode::NotFound, "no such task").at("task"));
    };
    if info.status != RedriveStatus::Running {
        return Err(Problem::invalid("task", "does not run").status(409));
    }
    let task = info.task;
    let partition = records.queues[queue].partitions[0].partition;
    store.cluster().own(Command::CancelMove {
        partition,
        task,
        revision: store.next_revision(),
    });
    let mut now = list_of(store, &mut records, queue).into_iter();
    Ok(now.find(|info| info.task == task).expect("it was there"))
}
