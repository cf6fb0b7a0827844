//! Tasks that move the messages of a dead-letter queue back to where they died, or to one queue. The manager
//! has them; here they are asked for in SQS's words.

use std::sync::Arc;
use std::time::Duration;

use shoal_api::Problem;
use shoal_api::redrive::{CancelRedrive, RedriveInfo, RedriveRequest, RedriveStatus};
use shoal_sqs::{
    Answer, CancelMessageMoveTask, ErrorKind, ListMessageMoveTasks, MoveTask, MoveTaskStatus,
    SqsError, StartMessageMoveTask, arn,
};
use shoal_types::{ErrorCode, QueueName, QueueRoute};

use super::access::Session;
use super::problems::error;
use super::task_handle;

const SOURCE: &str = "SourceArn";
const DESTINATION: &str = "DestinationArn";

/// `StartMessageMoveTask`. Source and destination are the caller's own, and of one region.
pub(super) async fn start(
    session: &Session<'_>,
    asked: &StartMessageMoveTask,
) -> Result<Answer, SqsError> {
    let source = find(session, &asked.source, SOURCE).await?;
    if let Some(destination) = &asked.destination {
        check_destination(session, &source, destination).await?;
    }
    let rate = |rate: u32| u16::try_from(rate).expect("at most 500");
    let request = RedriveRequest {
        queue: asked.source.clone(),
        to: asked.destination.clone(),
        max_per_second: asked.max_per_second.map(rate),
    };
    let deadline = session.deadline(Duration::ZERO);
    let started = deadline.bound(session.app.manager.start_redrive(&request));
    let task = started.await.map_err(|problem| not_started(&problem))?;
    let task_handle = task_handle::write(&asked.source, task.task);
    Ok(Answer::StartMessageMoveTask { task_handle })
}

async fn check_destination(
    session: &Session<'_>,
    source: &QueueRoute,
    destination: &QueueName,
) -> Result<(), SqsError> {
    if *destination == source.name {
        return invalid("Source queue arn and destination queue arn cannot be the same.");
    }
    if destination.scope() != source.name.scope() {
        return Err(no_such_resource(DESTINATION));
    }
    let target = find(session, destination, DESTINATION).await?;
    if target.settings.fifo != source.settings.fifo {
        return invalid("The source queue and destination queue must be of the same queue type.");
    }
    Ok(())
}

/// Why the manager starts no task, in AWS's words.
fn not_started(problem: &Problem) -> SqsError {
    let kind = ErrorKind::InvalidParameterValue;
    match (problem.code, problem.field.as_deref()) {
        _ if problem.status == CONFLICT => {
            let message = "There is already a task running. Only one active task is allowed for a source \
                           queue arn at a given time.";
            SqsError::new(kind, message)
        }
        (ErrorCode::QueueNotFound, _) => no_such_resource(SOURCE),
        (ErrorCode::InvalidRequest, Some("queue")) => {
            let message = "Source queue must be configured as a Dead Letter Queue.";
            SqsError::new(kind, message)
        }
        _ => error(problem),
    }
}

/// With this status the manager says that a task's state does not allow what is asked.
const CONFLICT: u16 = 409;

/// `ListMessageMoveTasks`
pub(super) async fn list(
    session: &Session<'_>,
    asked: &ListMessageMoveTasks,
) -> Result<Answer, SqsError> {
    find(session, &asked.source, SOURCE).await?;
    let deadline = session.deadline(Duration::ZERO);
    let tasks = deadline
        .bound(session.app.manager.redrives(&asked.source))
        .await;
    let tasks = tasks.map_err(|problem| match problem.code {
        ErrorCode::QueueNotFound => no_such_resource(SOURCE),
        _ => error(&problem),
    })?;
    let newest = tasks.into_iter().take(asked.max_results as usize);
    Ok(Answer::ListMessageMoveTasks(newest.map(shown).collect()))
}

/// `CancelMessageMoveTask`
pub(super) async fn cancel(
    session: &Session<'_>,
    asked: &CancelMessageMoveTask,
) -> Result<Answer, SqsError> {
    let (queue, task) = task_handle::read(&asked.task_handle)?;
    session
        .queue(&queue)
        .await
        .map_err(|refused| match refused.kind {
            ErrorKind::QueueDoesNotExist => no_such_task(),
            _ => refused,
        })?;
    let which = CancelRedrive { task: Some(task) };
    let deadline = session.deadline(Duration::ZERO);
    let cancelled = deadline.bound(session.app.manager.cancel_redrive(&queue, which));
    let task = cancelled.await.map_err(|problem| match problem.code {
        ErrorCode::NotFound | ErrorCode::QueueNotFound => no_such_task(),
        // It has ended, or is about to; which AWS takes for the same.
        _ if problem.status == CONFLICT => no_such_task(),
        _ => error(&problem),
    })?;
    Ok(Answer::CancelMessageMoveTask { moved: task.moved })
}

/// The queue that a parameter names by its ARN: if it is not there, that is a resource that is not there.
async fn find(
    session: &Session<'_>,
    name: &QueueName,
    parameter: &str,
) -> Result<Arc<QueueRoute>, SqsError> {
    session
        .queue(name)
        .await
        .map_err(|refused| match refused.kind {
            ErrorKind::QueueDoesNotExist => no_such_resource(parameter),
            _ => refused,
        })
}

fn shown(task: RedriveInfo) -> MoveTask {
    MoveTask {
        task_handle: task_handle::write(&task.queue, task.task),
        status: match task.status {
            RedriveStatus::Running => MoveTaskStatus::Running,
            RedriveStatus::Completed => MoveTaskStatus::Completed,
            RedriveStatus::Cancelling => MoveTaskStatus::Cancelling,
            RedriveStatus::Cancelled => MoveTaskStatus::Cancelled,
            RedriveStatus::Failed => MoveTaskStatus::Failed,
        },
        source_arn: arn(&task.queue),
        destination_arn: task.to.as_ref().map(arn),
        max_per_second: task.max_per_second.map(u32::from),
        moved: task.moved,
        to_move: Some(task.to_move),
        failure_reason: Some(task.reason).filter(|reason| !reason.is_empty()),
        started_ms: task.started_at.0 / 1_000,
    }
}

fn invalid(message: &'static str) -> Result<(), SqsError> {
    Err(SqsError::new(ErrorKind::InvalidParameterValue, message))
}

fn no_such_resource(parameter: &str) -> SqsError {
    let message =
        format!("The resource that you specified for the {parameter} parameter doesn't exist.");
    SqsError::new(ErrorKind::ResourceNotFound, message)
}

fn no_such_task() -> SqsError {
    SqsError::new(ErrorKind::ResourceNotFound, "Task does not exist.")
}
