//! A queue's attributes.

use std::time::Duration;

use shoal_sqs::{
    Answer, GetQueueAttributes, OperationName, QueueAttribute, QueueFacts, SetQueueAttributes,
    SqsError, arn,
};
use shoal_types::{ErrorCode, QueueName, QueueRoute, QueueSettings, Ts};

use super::access::{Session, check_settings};
use super::policy::Policy;
use super::problems::error;
use crate::limits::COUNTED_WITHIN;
use crate::operations::counts;

/// The attributes for which a queue's clusters have to be asked.
const COUNTS: [QueueAttribute; 3] = [
    QueueAttribute::ApproximateNumberOfMessages,
    QueueAttribute::ApproximateNumberOfMessagesDelayed,
    QueueAttribute::ApproximateNumberOfMessagesNotVisible,
];

/// `GetQueueAttributes`
pub(super) async fn get(
    session: &Session<'_>,
    asked: &GetQueueAttributes,
) -> Result<Answer, SqsError> {
    let route = session.queue(&asked.queue).await?;
    let mut facts = without_counts(&route);
    if COUNTS.iter().any(|count| asked.names.has(*count)) {
        let soon = session.deadline(Duration::ZERO).at_most(COUNTED_WITHIN);
        let counts = counts(session.app, &route, soon).await;
        // A number that is not known is not made up: autoscalers act on it.
        let counts = counts.map_err(|problem| error(&problem))?;
        facts.visible = counts.ready;
        facts.in_flight = counts.in_flight;
        facts.delayed = counts.delayed;
    }
    Ok(Answer::GetQueueAttributes(facts.select(&asked.names)))
}

/// `SetQueueAttributes`
pub(super) async fn set(
    session: &Session<'_>,
    asked: SetQueueAttributes,
) -> Result<Answer, SqsError> {
    session.queue(&asked.queue).await?;
    let (name, wanted) = (&asked.queue, &asked.attributes);
    let change = async |settings: &mut QueueSettings| {
        let before = settings.clone();
        wanted.apply(settings);
        if settings.sqs.policy != before.sqs.policy {
            check_policy(settings)?;
        }
        // Whose the dead-letter queue is comes first: of another account's nothing is told.
        check_settings(settings, name)?;
        if settings.dead_letter_queue != before.dead_letter_queue {
            check_dead_letters(session, settings, name).await?;
        }
        Ok(())
    };
    session.change(name, change).await?;
    Ok(Answer::Done(OperationName::SetQueueAttributes))
}

/// What is known of a queue without asking its clusters.
pub(super) fn without_counts(route: &QueueRoute) -> QueueFacts<'_> {
    let seconds = |at: Ts| at.0 / 1_000_000;
    QueueFacts {
        name: &route.name,
        settings: &route.settings,
        created_s: seconds(route.created_at),
        // A manager of an earlier release does not tell when a queue was changed.
        modified_s: seconds(route.changed_at.max(route.created_at)),
        visible: 0,
        in_flight: 0,
        delayed: 0,
    }
}

/// Checks that a policy means something here.
pub(super) fn check_policy(settings: &QueueSettings) -> Result<(), SqsError> {
    match &settings.sqs.policy {
        Some(policy) => Policy::read(policy).map(drop),
        None => Ok(()),
    }
}

/// Checks that the dead-letter queue is there and takes this queue's dead letters.
pub(super) async fn check_dead_letters(
    session: &Session<'_>,
    settings: &QueueSettings,
    name: &QueueName,
) -> Result<(), SqsError> {
    let Some(to) = &settings.dead_letter_queue else {
        return Ok(());
    };
    // Messages will go there as if this key had sent them.
    session.check_name(to)?;
    let refuse = |reason: &str| Err(SqsError::invalid("RedrivePolicy", arn(to), reason));
    let deadline = session.deadline(Duration::ZERO);
    match session.app.find(to, deadline).await {
        Ok(target) if target.settings.redrive_allow.allows(name) => Ok(()),
        Ok(_) => refuse("The dead letter target does not allow this queue as a source."),
        Err(problem) if problem.code == ErrorCode::QueueNotFound => {
            refuse("Dead letter target does not exist.")
        }
        Err(problem) => Err(error(&problem)),
    }
}
