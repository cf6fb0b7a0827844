//! Tasks that move the messages of a dead-letter queue. There are none yet: whoever asks for one is told so,
//! after the same checks of the queue as there will be.

use shoal_sqs::{
    Answer, CancelMessageMoveTask, ErrorKind, ListMessageMoveTasks, SqsError, StartMessageMoveTask,
};
use shoal_types::QueueName;

use super::access::Session;

/// `StartMessageMoveTask`
pub(super) async fn start(
    session: &Session<'_>,
    asked: &StartMessageMoveTask,
) -> Result<Answer, SqsError> {
    find(session, &asked.source, "SourceArn").await?;
    if let Some(destination) = &asked.destination {
        find(session, destination, "DestinationArn").await?;
    }
    Err(not_there())
}

/// `ListMessageMoveTasks`
pub(super) async fn list(
    session: &Session<'_>,
    asked: &ListMessageMoveTasks,
) -> Result<Answer, SqsError> {
    find(session, &asked.source, "SourceArn").await?;
    Err(not_there())
}

/// `CancelMessageMoveTask`
pub(super) fn cancel(
    _session: &Session<'_>,
    _asked: &CancelMessageMoveTask,
) -> Result<Answer, SqsError> {
    Err(not_there())
}

/// A queue that is named by its ARN and is not there is a resource that is not there.
async fn find(session: &Session<'_>, name: &QueueName, parameter: &str) -> Result<(), SqsError> {
    match session.queue(name).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind == ErrorKind::QueueDoesNotExist => {
            let message = format!(
                "The resource that you specified for the {parameter} parameter doesn't exist."
            );
            Err(SqsError::new(ErrorKind::ResourceNotFound, message))
        }
        Err(error) => Err(error),
    }
}

fn not_there() -> SqsError {
    let message = "Message move tasks are not there yet.";
    SqsError::new(ErrorKind::UnsupportedOperation, message)
}
