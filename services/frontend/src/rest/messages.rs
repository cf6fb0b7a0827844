//! Sending messages.

use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use shoal_api::keys::{self, Fingerprint};
use shoal_api::{
    CheckedMessage, Problem, SendAnswer, SendItemAnswer, SendRequest, Whole, check_label,
};
use shoal_types::{
    Applied, Body, Command, Deduplication, ErrorCode, GroupName, MessageId, MessagePayload,
    Outcome, PartitionId, QueueRoute, QueueSettings, SendItem, SendResult, limits,
};

use super::body::{self, Taken};
use super::call::{Call, json};
use super::headers::{self, ContentType, content_type};
use super::path::{QueuePart, queue_name};
use super::{Shared, unexpected};
use crate::admission::Class;
use crate::app::{App, QueueOperation};
use crate::dispatch::Deadline;
use crate::limits::MESSAGES_BODY_BYTES_MAX;

const GROUP: &str = "shoal-group";
const DEDUP_ID: &str = "shoal-dedup-id";
const DELAY_S: &str = "shoal-delay-s";
const TTL_S: &str = "shoal-ttl-s";

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
    let batch = Batch::read(&taken, deadline)?;
    app.on_queue(&name, deadline, &batch).await
}

/// What a request wants to be sent.
struct Batch {
    messages: Vec<CheckedMessage>,
    /// False if it was one message's fields or a raw body: then the answer's status is about it.
    as_batch: bool,
    idempotency_key: Option<String>,
    deadline: Deadline,
}

impl QueueOperation for Batch {
    type Done = Response;

    async fn run(&self, app: &App, route: &QueueRoute) -> Result<Response, Problem> {
        let to = App::partition_for_sends(route)?;
        let (items, bodies) = self.items(&route.settings)?;
        let command = |_| Command::Send {
            partition: to.partition,
            items: items.clone(),
        };
        let answer = app
            .dispatcher
            .execute(to.cluster, self.deadline, bodies, command)
            .await?;
        match answer.reply {
            Outcome::Sent(results) if results.len() == items.len() => {
                self.answer(to.partition, &results)
            }
            other => Err(unexpected(&other)),
        }
    }
}

impl Batch {
    fn read(taken: &Taken, deadline: Deadline) -> Result<Self, Problem> {
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
            deadline,
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

    fn answer(&self, partition: PartitionId, results: &[SendResult]) -> Result<Response, Problem> {
        let conflicts = results
            .iter()
            .filter(|result| **result == SendResult::Conflict)
            .count();
        if conflicts > 0 && self.idempotency_key.is_some() {
            let applied = if conflicts == results.len() {
                Applied::No
            } else {
                Applied::Unknown
            };
            return Err(problem_of_conflict().at("idempotency-key").applied(applied));
        }
        let item = |result: &SendResult| match result {
            SendResult::Accepted(sequence) | SendResult::Duplicate(sequence) => {
                Ok(SendItemAnswer::sent(MessageId {
                    partition,
                    sequence: *sequence,
                }))
            }
            SendResult::Conflict => Err(problem_of_conflict()),
            SendResult::Full => {
                let detail = "the queue has as many messages or bytes as it may have";
                Err(Problem::new(ErrorCode::QueueFull, detail))
            }
        };
        let items = results.iter().map(item);
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

fn problem_of_conflict() -> Problem {
    let detail = "the same key was used within five minutes with another request";
    Problem::new(ErrorCode::IdempotencyConflict, detail)
}

/// A body that is the message itself, with everything else in header fields.
fn raw(
    headers: &HeaderMap,
    content_type: ContentType,
    body: Bytes,
) -> Result<CheckedMessage, Problem> {
    if body.is_empty() {
        return Err(Problem::invalid(
            "body",
            "is empty, a message has at least 1 byte",
        ));
    }
    let is_text = content_type == ContentType::Other && std::str::from_utf8(&body).is_ok();
    let body = if is_text {
        Body::Text(body)
    } else {
        Body::Binary(body)
    };
    Ok(CheckedMessage {
        payload: MessagePayload {
            body,
            ..Default::default()
        },
        delay: seconds::<0, { limits::DELAY_S_MAX as u64 }>(headers, DELAY_S)?,
        ttl: seconds::<1, { *limits::RETENTION_S.end() as u64 }>(headers, TTL_S)?,
        group: label(headers, GROUP)?.map(GroupName::from),
        dedup_id: label(headers, DEDUP_ID)?.map(str::to_owned),
    })
}

fn label<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Problem> {
    let value = headers::text(headers, name)?;
    if let Some(value) = value {
        check_label(value).map_err(|why| Problem::invalid(name, why))?;
    }
    Ok(value)
}

fn seconds<const MIN: u64, const MAX: u64>(
    headers: &HeaderMap,
    name: &'static str,
) -> Result<Option<u64>, Problem> {
    let seconds = headers::text(headers, name)?.map(str::parse::<Whole<MIN, MAX>>);
    let seconds = seconds.transpose().map_err(|e| Problem::invalid(name, e))?;
    Ok(seconds.map(Whole::seconds))
}
