//! Receiving messages.

use shoal_api::keys;
use shoal_sqs::{
    Answer, ReceiveMessage, ReceivedMessage, SqsError, SystemAttribute, SystemAttributeNames, arn,
    sequence_number,
};
use shoal_types::{MessageId, QueueRoute};

use super::access::Session;
use super::problems::error;
use crate::admission::Place;
use crate::operations::{self, Given, Wanted, dedup_id_of_content, wait};

/// `ReceiveMessage`
pub(super) async fn receive(
    session: &Session<'_>,
    place: &mut Place,
    asked: ReceiveMessage,
) -> Result<Answer, SqsError> {
    let route = session.queue(&asked.queue).await?;
    let wait = wait(asked.wait_s.map(u64::from), &route, place);
    let deadline = session.deadline(wait);
    let micros = |seconds: u32| u64::from(seconds) * 1_000_000;
    let attempt = asked.attempt_id.as_deref().filter(|_| route.settings.fifo);
    let wanted = Wanted {
        max: u16::try_from(asked.max_messages).expect("at most 10"),
        visibility: asked.visibility_timeout_s.map(micros),
        attempt: attempt.map(keys::of_attempt),
        auto_ack: false,
    };
    let given = operations::receive(session.app, &asked.queue, wanted, deadline);
    let given = given.await.map_err(|problem| error(&problem))?;
    let message = |given| received(session, given, &asked, &route);
    Ok(Answer::ReceiveMessage(
        given.into_iter().map(message).collect(),
    ))
}

/// A message as it is shown, with what was asked for beside its body.
fn received(
    session: &Session<'_>,
    given: Given,
    asked: &ReceiveMessage,
    route: &QueueRoute,
) -> ReceivedMessage {
    let id = MessageId {
        partition: given.partition,
        sequence: given.delivery.sequence,
    };
    let handle = given.delivery.receipt.to_string();
    let system = system_attributes(session, &given, &asked.system_attributes, route);
    let mut payload = given.message.payload;
    asked.attributes.retain(&mut payload.attributes);
    ReceivedMessage::new(id.to_string(), handle, payload, system)
}

/// What is known of a message, of what was asked for.
fn system_attributes(
    session: &Session<'_>,
    given: &Given,
    asked: &SystemAttributeNames,
    route: &QueueRoute,
) -> Vec<(SystemAttribute, String)> {
    let with_value = |attribute: &SystemAttribute| {
        let attribute = *attribute;
        let asked = asked.has(attribute);
        Some((
            attribute,
            asked.then(|| system_attribute(session, given, attribute, route))??,
        ))
    };
    SystemAttribute::ALL.iter().filter_map(with_value).collect()
}

fn system_attribute(
    session: &Session<'_>,
    given: &Given,
    attribute: SystemAttribute,
    route: &QueueRoute,
) -> Option<String> {
    let (delivery, message) = (&given.delivery, &given.message);
    let notes = &message.notes;
    let millis = |micros: u64| (micros / 1_000).to_string();
    let settings = &route.settings;
    match attribute {
        SystemAttribute::AWSTraceHeader => notes.trace_header.clone(),
        SystemAttribute::ApproximateFirstReceiveTimestamp => {
            Some(millis(delivery.first_received_at.0))
        }
        SystemAttribute::ApproximateReceiveCount => Some(delivery.receive_count.to_string()),
        // Of a dead letter, as long as the queue is there in which it died.
        SystemAttribute::DeadLetterQueueSourceArn => {
            let died_in = delivery.dead_from.as_ref()?.queue;
            session.app.routes.name(died_in).as_ref().map(arn)
        }
        SystemAttribute::MessageDeduplicationId => match &notes.deduplication_id {
            Some(id) => Some(id.clone()),
            // Without an id of its own it was told from others by its content, be it where it died.
            None if settings.fifo => Some(dedup_id_of_content(message.payload.body.bytes())),
            None => None,
        },
        SystemAttribute::MessageGroupId => delivery.group.as_deref().map(str::to_owned),
        SystemAttribute::SenderId => {
            let own = || route.name.scope().account().to_owned();
            Some(notes.sender.clone().unwrap_or_else(own))
        }
        SystemAttribute::SentTimestamp => Some(millis(delivery.sent_at.0)),
        SystemAttribute::SequenceNumber => {
            settings.fifo.then(|| sequence_number(delivery.sequence))
        }
    }
}
