//! Creating, finding, listing and deleting queues.

use std::time::Duration;

use shoal_sqs::{
    Answer, CreateQueue, DeleteQueue, ErrorKind, GetQueueUrl, ListDeadLetterSourceQueues,
    ListQueues, OperationName, Page, QueuePage, SqsError,
};
use shoal_types::{Applied, ErrorCode, QueueRoute, QueueSettings};

use super::access::{Session, check_settings};
use super::problems::error;
use super::{attributes, pages};

/// `CreateQueue`: a new queue, or the one that is there if it has what is asked for. A name that was deleted
/// can be used again at once.
pub(super) async fn create(session: &Session<'_>, asked: CreateQueue) -> Result<Answer, SqsError> {
    let CreateQueue {
        name,
        attributes: wanted,
        tags,
    } = asked;
    session.check_name(&name)?;
    let mut settings = QueueSettings {
        fifo: name.is_fifo(),
        tags,
        ..QueueSettings::default()
    };
    wanted.apply(&mut settings);
    check_settings(&settings, &name)?;
    attributes::check_policy(&settings)?;
    attributes::check_dead_letters(session, &settings, &name).await?;
    let deadline = session.deadline(Duration::ZERO);
    let created = deadline.bound(session.app.manager.create(&name, &settings));
    match created.await {
        Ok((route, _)) => {
            session.app.routes.insert(route);
        }
        // With other settings; which may well have what is asked for.
        Err(problem) if problem.code == ErrorCode::QueueExists => {
            let there = deadline.bound(session.app.manager.queue(&name)).await;
            let there = there.map_err(|problem| error(&problem.applied(Applied::No)))?;
            let facts = attributes::without_counts(&there);
            if let Some(attribute) = facts.first_difference(&wanted) {
                let message = format!(
                    "A queue already exists with the same name and a different value for attribute {}",
                    attribute.as_str()
                );
                return Err(SqsError::new(ErrorKind::QueueNameExists, message));
            }
            session.app.routes.insert(there);
        }
        Err(problem) => return Err(error(&problem)),
    }
    let url = session.url(&name);
    Ok(Answer::CreateQueue { url })
}

/// `DeleteQueue`
pub(super) async fn delete(session: &Session<'_>, asked: &DeleteQueue) -> Result<Answer, SqsError> {
    let route = session.queue(&asked.queue).await?;
    let deadline = session.deadline(Duration::ZERO);
    let deleted = session.app.manager.delete(&asked.queue);
    let deleted = deadline.bound(deleted).await;
    deleted.map_err(|problem| error(&problem))?;
    // What is deleted is at least what is known here; a queue made anew since is newer.
    session.app.routes.remove(&asked.queue, route.revision);
    Ok(Answer::Done(OperationName::DeleteQueue))
}

/// `GetQueueUrl`
pub(super) async fn url(session: &Session<'_>, asked: &GetQueueUrl) -> Result<Answer, SqsError> {
    let route = session.queue(&asked.name).await?;
    let url = session.url(&route.name);
    Ok(Answer::GetQueueUrl { url })
}

/// `ListQueues`: those of the caller's account and region.
pub(super) fn list(session: &Session<'_>, asked: &ListQueues) -> Result<Answer, SqsError> {
    let listed = pages::Listed::Queues {
        prefix: &asked.prefix,
    };
    let page = page(session, listed, &asked.page)?;
    Ok(Answer::ListQueues(page))
}

/// `ListDeadLetterSourceQueues`
pub(super) async fn sources(
    session: &Session<'_>,
    asked: &ListDeadLetterSourceQueues,
) -> Result<Answer, SqsError> {
    let route = session.queue(&asked.queue).await?;
    let listed = pages::Listed::Sources { of: &route.name };
    let page = page(session, listed, &asked.page)?;
    Ok(Answer::ListDeadLetterSourceQueues(page))
}

/// Without a number of results there are at most as many as there may be, and no token for more; as SQS has
/// it.
fn page(
    session: &Session<'_>,
    listed: pages::Listed<'_>,
    asked: &Page,
) -> Result<QueuePage, SqsError> {
    let scope = session.scope();
    let after = asked.next_token.as_deref();
    let after = after.map(|token| pages::read_token(token, listed, scope));
    let after = after.transpose()?;
    let most = shoal_sqs::limits::PAGE_QUEUES_MAX;
    let limit = asked.max_results.unwrap_or(most) as usize;
    let (scope, prefix) = match listed {
        pages::Listed::Queues { prefix } => (scope.clone(), prefix),
        pages::Listed::Sources { of } => (of.scope(), ""),
    };
    // A key for some queues does not hear of the others.
    let fits = |route: &QueueRoute| match listed {
        _ if session.check_name(&route.name).is_err() => false,
        pages::Listed::Queues { .. } => true,
        pages::Listed::Sources { of } => route.settings.dead_letter_queue.as_ref() == Some(of),
    };
    let routes = &session.app.routes;
    let (queues, more) = routes
        .list(&scope, prefix, after.as_ref(), limit, fits)
        .map_err(|problem| error(&problem))?;
    let next = queues
        .last()
        .filter(|_| more && asked.max_results.is_some());
    Ok(QueuePage {
        next_token: next.map(|last| pages::token(&last.name, listed)),
        urls: queues
            .iter()
            .map(|route| session.url(&route.name))
            .collect(),
    })
}
