//! Sending messages: what a request asks for and how it is answered.

mod raw;
mod sending;

use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use shoal_api::keys::{self, Fingerprint};
use shoal_api::{CheckedMessage, Problem, SendAnswer, SendItemAnswer, SendRequest};
use shoal_types::{
    Applied, Deduplication, ErrorCode, GroupHash, MessageId, PartitionId, QueueSettings, SendItem,
    SendResult, group_hash, limits,
};

use super::Shared;
use super::body::{self, Taken};
use super::call::{Call, json};
use super::headers::{self, ContentType, content_type};
use super::path::{QueuePart, queue_name};
use crate::admission::Class;
use crate::app::App;
use crate::limits::MESSAGES_BODY_BYTES_MAX;
use raw::raw;
use sending::Sending;

/// `POST /v1/queues/{queue}/messages`
pub(super) async fn send(State(app): Shared, queue: QueuePart, request: Request) -> Response {
    let call = Call::begin("send");
    let sent = try_send(&app, &call, queue, request).await;
    call.finish(sent)
}

async fn try_send(
    app: &App,
    call: &Call,
    queue: QueuePart,
    request: Request,
) -> Result<Response, Problem> {
    let limit = match content_type(request.headers()) {
        ContentType::Json => MESSAGES_BODY_BYTES_MAX,
        _ => limits::MESSAGE_BYTES_MAX,
    };
    let taken = body::take(&app.admission, Class::Send, request, limit).await?;
    let name = queue_name(queue)?;
    let deadline = headers::deadline(&taken.headers, call.started, Default::default())?;
    let mut sending = Sending::new(Batch::read(&taken)?, deadline);
    app.on_queue(&name, deadline, &mut sending).await
}

/// What a request wants to be sent.
struct Batch {
    messages: Vec<CheckedMessage>,
    /// False if it was one message's fields or a raw body: then the answer's status is about it.
    as_batch: bool,
    idempotency_key: Option<String>,
}

impl Batch {
    fn read(taken: &Taken) -> Result<Self, Problem> {
        let idempotency_key = headers::idempotency_key(&taken.headers)?.map(str::to_owned);
        let (messages, as_batch) = match content_type(&taken.headers) {
            ContentType::Json => taken.json::<SendRequest>()?.check()?,
            content_type => (
                vec![raw(&taken.headers, content_type, taken.body.clone())?],
                false,
            ),
        };
        let batch = Self {
            messages,
            as_batch,
            idempotency_key,
        };
        batch.check_size()?;
        Ok(batch)
    }

    fn check_size(&self) -> Result<(), Problem> {
        let bytes: usize = self
            .messages
            .iter()
            .map(|message| message.payload.size())
            .sum();
        if bytes > limits::SEND_BATCH_BYTES_MAX {
            let max = limits::SEND_BATCH_BYTES_MAX;
            let detail = format!("messages: {bytes} bytes together are more than {max}");
            return Err(Problem::new(ErrorCode::TooLarge, detail).at("messages"));
        }
        Ok(())
    }

    /// What goes to the host: items, and beside them their stored forms.
    fn items(&self, settings: &QueueSettings) -> Result<(Vec<SendItem>, Vec<Bytes>), Problem> {
        for (index, message) in self.messages.iter().enumerate() {
            self.check_for_queue(index, message, settings)?;
        }
        let bodies: Vec<Bytes> = self.messages.iter().map(|m| m.payload.encode()).collect();
        let fingerprint = self
            .idempotency_key
            .is_some()
            .then(|| self.fingerprint(&bodies));
        let item = |(index, (message, stored)): (usize, (&CheckedMessage, &Bytes))| SendItem {
            size: u32::try_from(stored.len()).expect("messages are limited to 1 MiB"),
            crc: crc32c::crc32c(stored),
            delay: message.delay,
            ttl: message.ttl,
            group: message.group.clone(),
            deduplication: self.deduplication(index, message, settings, fingerprint),
        };
        let items = self
            .messages
            .iter()
            .zip(&bodies)
            .enumerate()
            .map(item)
            .collect();
        Ok((items, bodies))
    }

    fn check_for_queue(
        &self,
        index: usize,
        message: &CheckedMessage,
        settings: &QueueSettings,
    ) -> Result<(), Problem> {
        let field = |name| {
            if self.as_batch {
                format!("messages[{index}].{name}")
            } else {
                String::from(name)
            }
        };
        let (size, max) = (message.payload.size(), settings.max_message_bytes);
        if size > max as usize {
            let field = field("body");
            let detail =
                format!("{field}: {size} bytes with attributes are more than the queue's {max}");
            return Err(Problem::new(ErrorCode::TooLarge, detail).at(field));
        }
        if settings.fifo && message.group.is_none() {
            return Err(Problem::invalid(
                field("group"),
                "is missing, a FIFO queue's messages need one",
            ));
        }
        if settings.fifo && message.delay.is_some() {
            let why =
                "a FIFO queue's messages have no delay of their own, it would break their order";
            return Err(Problem::invalid(field("delay_s"), why));
        }
        if self.idempotency_key.is_some() && message.dedup_id.is_some() {
            return Err(Problem::invalid(
                field("dedup_id"),
                "give this or Idempotency-Key, not both",
            ));
        }
        Ok(())
    }

    /// What the client says is the same goes before what the queue finds to be the same.
    fn deduplication(
        &self,
        index: usize,
        message: &CheckedMessage,
        settings: &QueueSettings,
        fingerprint: Option<u64>,
    ) -> Option<Deduplication> {
        let key = if let Some(key) = &self.idempotency_key {
            keys::of_idempotency(key, index)
        } else if let Some(id) = &message.dedup_id {
            keys::of_dedup_id(id)
        } else if settings.content_deduplication {
            keys::of_content(message.payload.body.bytes())
        } else {
            return None;
        };
        Some(Deduplication { key, fingerprint })
    }

    /// Of the whole request, so that a key used again with one message more or less is noticed.
    fn fingerprint(&self, bodies: &[Bytes]) -> u64 {
        let mut fingerprint = Fingerprint::default();
        for (message, stored) in self.messages.iter().zip(bodies) {
            fingerprint.add(stored);
            fingerprint.add(message.group.as_deref().unwrap_or_default().as_bytes());
            fingerprint.add(&message.delay.unwrap_or(u64::MAX).to_be_bytes());
            fingerprint.add(&message.ttl.unwrap_or(u64::MAX).to_be_bytes());
        }
        fingerprint.finish()
    }

    /// Where a message belongs if its queue has several partitions: to its group. Without one, what says
    /// of it that it is the same again decides, so that it is found to be; and else it is all the same.
    /// Never changes: frontends of different releases must agree.
    fn hash(&self, index: usize, item: &SendItem, any: GroupHash) -> GroupHash {
        if let Some(group) = &item.group {
            return group_hash(group);
        }
        // The whole request has its key, and stays together.
        let index = if self.idempotency_key.is_some() {
            0
        } else {
            index
        };
        let key = match &self.idempotency_key {
            Some(key) => Some(keys::of_idempotency(key, index)),
            None => item.deduplication.map(|deduplication| deduplication.key),
        };
        key.map_or(any, |key| {
            GroupHash::from_be_bytes([key[0], key[1], key[2], key[3]])
        })
    }

    /// The answer, from what became of each message in turn.
    fn answer<'a>(
        &self,
        results: impl Iterator<Item = Sent<'a>> + Clone,
    ) -> Result<Response, Problem> {
        let conflict = |sent: &Sent<'_>| matches!(sent, Ok((_, SendResult::Conflict)));
        if self.idempotency_key.is_some() && results.clone().any(|sent| conflict(&sent)) {
            let applied = if results.clone().all(|sent| conflict(&sent)) {
                Applied::No
            } else {
                Applied::Unknown
            };
            return Err(problem_of_conflict().at("idempotency-key").applied(applied));
        }
        if let Some(problem) = failed_entirely(results.clone()) {
            return Err(problem);
        }
        let items = results.map(item_answer);
        if !self.as_batch {
            let messages = items.collect::<Result<_, _>>()?;
            return Ok(json(StatusCode::CREATED, &SendAnswer { messages }));
        }
        let mut status = StatusCode::CREATED;
        let mut or_failed = |item: Result<_, Problem>| {
            item.unwrap_or_else(|problem| {
                status = StatusCode::MULTI_STATUS;
                SendItemAnswer::Failed {
                    error: problem.into(),
                }
            })
        };
        let messages = items.map(&mut or_failed).collect();
        Ok(json(status, &SendAnswer { messages }))
    }
}

/// What became of one message: what its partition said of it, or why that was not asked or said nothing.
type Sent<'a> = Result<(PartitionId, SendResult), &'a Problem>;

fn item_answer(sent: Sent<'_>) -> Result<SendItemAnswer, Problem> {
    let (partition, result) = sent.map_err(Problem::clone)?;
    match result {
        SendResult::Accepted(sequence) | SendResult::Duplicate(sequence) => {
            Ok(SendItemAnswer::sent(MessageId {
                partition,
                sequence,
            }))
        }
        SendResult::Conflict => Err(problem_of_conflict()),
        SendResult::Full => {
            let detail = "the queue has as many messages or bytes as it may have";
            Err(Problem::new(ErrorCode::QueueFull, detail))
        }
    }
}

/// The problem of a request of whose messages no partition said anything.
fn failed_entirely<'a>(mut results: impl Iterator<Item = Sent<'a>> + Clone) -> Option<Problem> {
    let first = results.clone().next()?.err()?;
    let mut in_doubt = false;
    results
        .all(|sent| match sent {
            Ok(_) => false,
            Err(problem) => {
                in_doubt |= problem.applied == Applied::Unknown;
                true
            }
        })
        .then(|| {
            let applied = if in_doubt {
                Applied::Unknown
            } else {
                Applied::No
            };
            first.clone().applied(applied)
        })
}

fn problem_of_conflict() -> Problem {
    let detail = "the same key was used within five minutes with another request";
    Problem::new(ErrorCode::IdempotencyConflict, detail)
}
