//! Permissions: statements of a queue's policy that are made and removed by a label.

use shoal_sqs::{AddPermission, Answer, OperationName, RemovePermission, SqsError, arn};
use shoal_types::QueueSettings;

use super::access::Session;
use super::policy;

/// `AddPermission`
pub(super) async fn add(session: &Session<'_>, asked: AddPermission) -> Result<Answer, SqsError> {
    session.queue(&asked.queue).await?;
    let AddPermission {
        queue,
        label,
        accounts,
        actions,
    } = asked;
    let arn = arn(&queue);
    let change = async |settings: &mut QueueSettings| {
        let before = settings.sqs.policy.as_deref();
        let with = policy::with_permission(before, &arn, &label, &accounts, &actions)?;
        settings.sqs.policy = Some(with);
        Ok(())
    };
    session.change(&queue, change).await?;
    Ok(Answer::Done(OperationName::AddPermission))
}

/// `RemovePermission`
pub(super) async fn remove(
    session: &Session<'_>,
    asked: RemovePermission,
) -> Result<Answer, SqsError> {
    session.queue(&asked.queue).await?;
    let change = async |settings: &mut QueueSettings| {
        let before = settings.sqs.policy.as_deref();
        settings.sqs.policy = policy::without_permission(before, &asked.label)?;
        Ok(())
    };
    session.change(&asked.queue, change).await?;
    Ok(Answer::Done(OperationName::RemovePermission))
}
