//! The messages of one request, and the answer about them.

use std::sync::Arc;

use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use shoal_api::keys::{self, Fingerprint};
use shoal_api::{CheckedMessage, Problem, SendAnswer, SendItemAnswer, SendRequest};
use shoal_types::{
    Applied, Deduplication, ErrorCode, GroupHash, MessageId, QueueSettings, SendItem, SendResult,
    limits,
};

use super::super::body::Taken;
use super::super::call::json;
use super::super::headers::{self, ContentType, content_type};
use super::raw::raw;
use crate::operations::dedup_key;
use crate::operations::send::{self, Envelope, Messages, Sent, Wire};

/// What a request wants to be sent.
pub(super) struct Batch {
    messages: Vec<CheckedMessage>,
    /// False if it was one message's fields or a raw body: then the answer's status is about it.
    as_batch: bool,
    idempotency_key: Option<String>,
}

impl Batch {
    pub(super) fn read(taken: &Taken) -> Result<Self, Problem> {
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
        let key = match &self.idempotency_key {
            Some(key) => keys::of_idempotency(key, index),
            None => {
                let (group, id) = (message.group.as_deref(), message.dedup_id.as_deref());
                dedup_key(settings, group, id, message.payload.body.bytes())?
            }
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

    /// The answer, from what became of each message in turn.
    pub(super) fn answer(&self, sent: &[Sent]) -> Result<Response, Problem> {
        let conflict = |sent: &Sent| matches!(sent, Ok((_, SendResult::Conflict)));
        if self.idempotency_key.is_some() && sent.iter().any(conflict) {
            let applied = if sent.iter().all(conflict) {
                Applied::No
            } else {
                Applied::Unknown
            };
            return Err(problem_of_conflict().at("idempotency-key").applied(applied));
        }
        if let Some(problem) = failed_entirely(sent) {
            return Err(problem);
        }
        let items = sent.iter().map(item_answer);
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

impl Messages for Arc<Batch> {
    fn wire(&self, settings: &QueueSettings) -> Result<Wire, Problem> {
        for (index, message) in self.messages.iter().enumerate() {
            self.check_for_queue(index, message, settings)?;
        }
        let bodies: Vec<Bytes> = self.messages.iter().map(|m| m.payload.encode()).collect();
        let fingerprint = self
            .idempotency_key
            .is_some()
            .then(|| self.fingerprint(&bodies));
        let mut wire = Wire::default();
        for (index, (message, stored)) in self.messages.iter().zip(bodies).enumerate() {
            let envelope = Envelope {
                delay: message.delay,
                ttl: message.ttl,
                group: message.group.clone(),
                deduplication: self.deduplication(index, message, settings, fingerprint),
            };
            wire.push(envelope, stored);
        }
        Ok(wire)
    }

    fn hash(&self, item: &SendItem, any: GroupHash) -> GroupHash {
        match &self.idempotency_key {
            // The whole request has its key, and stays together.
            Some(key) if item.group.is_none() => send::of_key(&keys::of_idempotency(key, 0)),
            _ => send::home_of(item, any),
        }
    }
}

fn item_answer(sent: &Sent) -> Result<SendItemAnswer, Problem> {
    let (partition, result) = sent.clone()?;
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
fn failed_entirely(sent: &[Sent]) -> Option<Problem> {
    let first = sent.first()?.as_ref().err()?;
    let mut in_doubt = false;
    for sent in sent {
        in_doubt |= sent.as_ref().err()?.applied == Applied::Unknown;
    }
    let applied = if in_doubt {
        Applied::Unknown
    } else {
        Applied::No
    };
    Some(first.clone().applied(applied))
}

fn problem_of_conflict() -> Problem {
    let detail = "the same key was used within five minutes with another request";
    Problem::new(ErrorCode::IdempotencyConflict, detail)
}
