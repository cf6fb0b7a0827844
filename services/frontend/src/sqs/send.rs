//! Sending messages.

use std::sync::Arc;
use std::time::Duration;

use shoal_api::Problem;
use shoal_sqs::{
    Answer, BatchAnswer, BatchEntry, ErrorKind, Fault, MessageToSend, SendMessage,
    SendMessageBatch, SentMessage, SqsError,
};
use shoal_types::{
    Deduplication, MessageId, PartitionId, QueueName, QueueRoute, QueueSettings, SendResult,
};

use super::access::Session;
use super::problems::error;
use crate::operations::send::{Envelope, Messages, Sent, Wire};
use crate::operations::{self, Notes, Sending, dedup_key};

/// `SendMessage`
pub(super) async fn one(session: &Session<'_>, asked: SendMessage) -> Result<Answer, SqsError> {
    let SendMessage { queue, message } = asked;
    let route = session.queue(&queue).await?;
    message.check_size(route.settings.max_message_bytes as usize)?;
    check_for_queue(&message, &route.settings)?;
    let outgoing = Outgoing::new(session, &queue, vec![message]);
    let sent = send(session, &route, &outgoing).await?;
    let sent = sent.into_iter().next().expect("one for the one message");
    Ok(Answer::SendMessage(outgoing.answer_to(0, sent, &route)?))
}

/// `SendMessageBatch`: what is wrong with one message fails that one alone.
pub(super) async fn batch(
    session: &Session<'_>,
    asked: SendMessageBatch,
) -> Result<Answer, SqsError> {
    let SendMessageBatch { queue, entries } = asked;
    let route = session.queue(&queue).await?;
    let (mut messages, mut ids) = (Vec::new(), Vec::new());
    for BatchEntry { id, item } in entries {
        let checked = item.and_then(|message| {
            message.check_entry_size(route.settings.max_message_bytes as usize)?;
            check_for_queue(&message, &route.settings)?;
            Ok(message)
        });
        match checked {
            Ok(message) => {
                messages.push(message);
                ids.push((id, Ok(messages.len() - 1)));
            }
            Err(error) => ids.push((id, Err(error))),
        }
    }
    let outgoing = Outgoing::new(session, &queue, messages);
    let sent = send(session, &route, &outgoing).await?;
    let answer_to = |index: usize| outgoing.answer_to(index, sent[index].clone(), &route);
    let entries = ids
        .into_iter()
        .map(|(id, index)| (id, index.and_then(answer_to)));
    Ok(Answer::SendMessageBatch(BatchAnswer(entries.collect())))
}

/// Checks what depends on whether the queue is a FIFO queue.
fn check_for_queue(message: &MessageToSend, settings: &QueueSettings) -> Result<(), SqsError> {
    const NOT_FOR_THIS_QUEUE: &str =
        "The request include parameter that is not valid for this queue type";
    if !settings.fifo {
        return match &message.deduplication_id {
            Some(id) => {
                let name = "MessageDeduplicationId";
                Err(SqsError::invalid(name, id, NOT_FOR_THIS_QUEUE))
            }
            None => Ok(()),
        };
    }
    if message.group_id.is_none() {
        return Err(SqsError::missing("MessageGroupId"));
    }
    if message.deduplication_id.is_none() && !settings.content_deduplication {
        let message = "The queue should either have ContentBasedDeduplication enabled or \
                       MessageDeduplicationId provided explicitly";
        return Err(SqsError::new(ErrorKind::InvalidParameterValue, message));
    }
    match message.delay_s {
        // A delay of its own would break the order of its group.
        Some(delay) if delay > 0 => {
            Err(SqsError::invalid("DelaySeconds", delay, NOT_FOR_THIS_QUEUE))
        }
        _ => Ok(()),
    }
}

/// Sends all of them, if there are any.
///
/// # Errors
/// If none was sent and that may go better a moment later: clients try a whole request again, and not its
/// entries.
async fn send(
    session: &Session<'_>,
    route: &QueueRoute,
    outgoing: &Outgoing,
) -> Result<Vec<Sent>, SqsError> {
    if outgoing.0.messages.is_empty() {
        return Ok(Vec::new());
    }
    let deadline = session.deadline(Duration::ZERO);
    let mut sending = Sending::new(outgoing.clone(), deadline);
    let sent = session.app.on_queue(&route.name, deadline, &mut sending);
    let sent = sent.await.map_err(|problem| error(&problem))?;
    let failed = |sent: &Sent| Some(error(sent.as_ref().err()?));
    let first = sent.first().and_then(failed);
    match first {
        Some(first) if first.kind.fault() == Fault::Receiver && sent.iter().all(Result::is_err) => {
            Err(first)
        }
        _ => Ok(sent),
    }
}

/// A request's messages, each of which fits its queue.
#[derive(Clone)]
struct Outgoing(Arc<Inner>);

struct Inner {
    messages: Vec<MessageToSend>,
    sender: Option<String>,
}

impl Outgoing {
    fn new(session: &Session<'_>, queue: &QueueName, messages: Vec<MessageToSend>) -> Self {
        let sender = session.sender(queue);
        Self(Arc::new(Inner { messages, sender }))
    }

    /// What is answered to one of them.
    fn answer_to(
        &self,
        index: usize,
        sent: Sent,
        route: &QueueRoute,
    ) -> Result<SentMessage, SqsError> {
        let (partition, result) = sent.map_err(|problem| error(&problem))?;
        let id = |sequence| MessageId {
            partition,
            sequence,
        };
        match result {
            SendResult::Accepted(sequence) | SendResult::Duplicate(sequence) => {
                let number = route.settings.fifo.then_some(sequence);
                Ok(self.0.messages[index].sent(id(sequence).to_string(), number))
            }
            SendResult::Full => Err(full(partition)),
            // Messages of SQS have no fingerprints that could differ.
            SendResult::Conflict => {
                let message = "The deduplication id was used with another request.";
                Err(SqsError::new(ErrorKind::InvalidParameterValue, message))
            }
        }
    }
}

/// See [`super::problems`] for why this is not tried again.
fn full(partition: PartitionId) -> SqsError {
    let message = format!("The queue has as many messages or bytes as it may have ({partition}).");
    SqsError::new(ErrorKind::OverLimit, message)
}

impl Messages for Outgoing {
    fn wire(&self, settings: &QueueSettings) -> Result<Wire, Problem> {
        let mut wire = Wire::default();
        for message in &self.0.messages {
            let (group, id) = (
                message.group_id.as_deref(),
                message.deduplication_id.as_deref(),
            );
            let body = message.payload.body.bytes();
            let key = dedup_key(settings, group, id, body);
            let envelope = Envelope {
                delay: message
                    .delay_s
                    .filter(|_| !settings.fifo)
                    .map(|seconds| u64::from(seconds) * 1_000_000),
                ttl: None,
                group: group.map(Into::into),
                deduplication: key.map(|key| Deduplication {
                    key,
                    fingerprint: None,
                }),
            };
            let notes = Notes {
                trace_header: message.trace_header.clone(),
                sender: self.0.sender.clone(),
                deduplication_id: message.deduplication_id.clone(),
            };
            wire.push(envelope, operations::write(&message.payload, &notes));
        }
        Ok(wire)
    }
}
