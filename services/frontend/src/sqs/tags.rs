//! A queue's tags.

use shoal_sqs::{Answer, ListQueueTags, OperationName, SqsError, TagQueue, UntagQueue};
use shoal_types::{QueueSettings, limits};

use super::access::Session;

/// `ListQueueTags`
pub(super) async fn list(session: &Session<'_>, asked: &ListQueueTags) -> Result<Answer, SqsError> {
    let route = session.queue(&asked.queue).await?;
    Ok(Answer::ListQueueTags(route.settings.tags.clone()))
}

/// `TagQueue`
pub(super) async fn add(session: &Session<'_>, asked: TagQueue) -> Result<Answer, SqsError> {
    session.queue(&asked.queue).await?;
    let change = async |settings: &mut QueueSettings| {
        settings.tags.extend(asked.tags);
        let (tags, most) = (settings.tags.len(), limits::TAGS_MAX);
        if tags > most {
            let reason = format!("The queue would have more than {most} tags.");
            return Err(SqsError::invalid("Tags", tags, reason));
        }
        Ok(())
    };
    session.change(&asked.queue, change).await?;
    Ok(Answer::Done(OperationName::TagQueue))
}

/// `UntagQueue`: keys that are not there are none to be removed.
pub(super) async fn remove(session: &Session<'_>, asked: UntagQueue) -> Result<Answer, SqsError> {
    session.queue(&asked.queue).await?;
    let change = async |settings: &mut QueueSettings| {
        settings.tags.retain(|key, _| !asked.keys.contains(key));
        Ok(())
    };
    session.change(&asked.queue, change).await?;
    Ok(Answer::Done(OperationName::UntagQueue))
}
