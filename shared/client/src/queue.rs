//! One queue.

use base64::Engine as _;
use reqwest::Method;
use serde::Serialize;
use serde_json::json;
use shoal_api::{
    PeekAnswer, QueueBody, QueueInfo, ReceiptAnswer, ReceiveAnswer, ReceivedMessage, RedriveBody,
    RedriveList, RedriveTask, SendAnswer, checksum,
};

use crate::call::Call;
use crate::{Client, ClientError, Message, Receive};

/// A queue of a service. Every method's errors are those of [`ClientError`].
#[derive(Clone, Debug)]
pub struct Queue {
    client: Client,
    name: String,
    path: String,
}

impl Queue {
    pub(crate) fn new(client: Client, name: &str) -> Self {
        Self {
            client,
            name: name.to_owned(),
            path: format!("/v1/queues/{}", in_path(name)),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Creates it; doing so again with the same settings is fine.
    ///
    /// # Errors
    /// `queue_exists` if it is there with other settings.
    pub async fn create(&self, settings: &QueueBody) -> Result<QueueInfo, ClientError> {
        let call = self.client.call(Method::PUT, &self.path);
        call.json(settings).read().await
    }

    /// Changes the settings that are given.
    ///
    /// # Errors
    /// `queue_not_found`, or `invalid_request` with the field.
    pub async fn set(&self, settings: &QueueBody) -> Result<QueueInfo, ClientError> {
        let call = self.client.call(Method::PATCH, &self.path);
        call.json(settings).read().await
    }

    /// Settings and counts.
    ///
    /// # Errors
    /// `queue_not_found`.
    pub async fn info(&self) -> Result<QueueInfo, ClientError> {
        self.client.call(Method::GET, &self.path).read().await
    }

    /// Deletes it with all its messages.
    ///
    /// # Errors
    /// `queue_not_found`.
    pub async fn delete(&self) -> Result<(), ClientError> {
        self.client.call(Method::DELETE, &self.path).done().await
    }

    /// Deletes all its messages.
    ///
    /// # Errors
    /// `queue_not_found`.
    pub async fn purge(&self) -> Result<(), ClientError> {
        self.post("/purge").done().await
    }

    /// Starts a task that moves its messages, those of a dead-letter queue, back to where they died or to
    /// another queue. It goes on by itself.
    ///
    /// # Errors
    /// `invalid_request` if it is no queue's dead-letter queue; `busy` if a task of it is under way.
    pub async fn redrive(&self, how: &RedriveBody) -> Result<RedriveTask, ClientError> {
        self.post("/redrive").json(how).read().await
    }

    /// Its last ten such tasks, newest first.
    ///
    /// # Errors
    /// `queue_not_found`.
    pub async fn redrives(&self) -> Result<Vec<RedriveTask>, ClientError> {
        let path = format!("{}/redrive", self.path);
        let answer: RedriveList = self.client.call(Method::GET, &path).read().await?;
        Ok(answer.redrives)
    }

    /// Ends the task that is under way. What has not gone stays.
    ///
    /// # Errors
    /// If none is under way.
    pub async fn cancel_redrive(&self) -> Result<RedriveTask, ClientError> {
        let path = format!("{}/redrive", self.path);
        self.client.call(Method::DELETE, &path).read().await
    }

    /// Sends one message. When this returns it is on disk at a majority of the cluster.
    ///
    /// # Errors
    /// See [`ClientError::applied`] for whether it may have been sent all the same.
    pub async fn send(&self, message: impl Into<Message>) -> Result<SendAnswer, ClientError> {
        self.post("/messages").json(&message.into()).read().await
    }

    /// Sends up to 1,000 messages; each has its own answer, in order.
    ///
    /// # Errors
    /// If the batch as a whole was not taken.
    pub async fn send_batch(&self, messages: &[Message]) -> Result<SendAnswer, ClientError> {
        let body = json!({ "messages": messages });
        self.post("/messages").json(&body).read().await
    }

    /// Leases messages, smallest number first.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn receive(&self, how: &Receive) -> Result<Vec<ReceivedMessage>, ClientError> {
        let call = self.post("/messages/receive").json(how);
        let answer: ReceiveAnswer = call.read().await?;
        Ok(answer.messages)
    }

    /// Deletes leased messages; per receipt whether it was done, or why not.
    ///
    /// # Errors
    /// If a receipt is none of this queue.
    pub async fn acknowledge<R: Serialize>(
        &self,
        receipts: &[R],
    ) -> Result<ReceiptAnswer, ClientError> {
        let body = json!({ "receipts": receipts });
        self.post("/messages/ack").json(&body).read().await
    }

    /// Lets leases end so many seconds from now.
    ///
    /// # Errors
    /// If a receipt is none of this queue.
    pub async fn extend<R: Serialize>(
        &self,
        receipts: &[R],
        seconds: u32,
    ) -> Result<ReceiptAnswer, ClientError> {
        let body = json!({ "receipts": receipts, "visibility_timeout_s": seconds });
        self.post("/messages/extend").json(&body).read().await
    }

    /// Gives messages back, ready again after so many seconds.
    ///
    /// # Errors
    /// If a receipt is none of this queue.
    pub async fn release<R: Serialize>(
        &self,
        receipts: &[R],
        delay_s: u32,
    ) -> Result<ReceiptAnswer, ClientError> {
        let body = json!({ "receipts": receipts, "delay_s": delay_s });
        self.post("/messages/release").json(&body).read().await
    }

    /// Looks at the first messages without leasing them.
    ///
    /// # Errors
    /// `queue_not_found`.
    pub async fn peek(&self, limit: u32) -> Result<PeekAnswer, ClientError> {
        let path = format!("{}/messages/peek?limit={limit}", self.path);
        self.client.call(Method::GET, &path).read().await
    }

    fn post(&self, below: &str) -> Call<'_> {
        self.client
            .call(Method::POST, &format!("{}{below}", self.path))
    }
}

/// A name as part of a path. A wrong name is for the service to refuse, not to be cut short here.
fn in_path(name: &str) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    name.bytes()
        .map(|b| {
            if plain(&b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}

/// What callers do with a received message.
pub trait ReceivedExt {
    /// The body's bytes, however it travelled, and only if they are what was sent.
    ///
    /// # Errors
    /// If they do not match their checksum, or are no bytes at all.
    fn bytes(&self) -> Result<Vec<u8>, ClientError>;

    /// Its receipt as a list, for [`Queue::acknowledge`]; empty after a receive with `auto_ack`.
    fn receipts(&self) -> Vec<String>;
}

impl ReceivedExt for ReceivedMessage {
    fn bytes(&self) -> Result<Vec<u8>, ClientError> {
        let unexpected =
            |what: &str| ClientError::Unexpected(format!("message {}: {what}", self.id));
        let bytes = match (&self.body, &self.body_base64) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(encoded)) => base64::engine::general_purpose::STANDARD
                .decode(encoded)
                .map_err(|_| unexpected("its body is no base64"))?,
            (None, None) => return Err(unexpected("it has no body")),
        };
        if checksum(&bytes) != self.checksum {
            return Err(unexpected("its body does not match its checksum"));
        }
        Ok(bytes)
    }

    fn receipts(&self) -> Vec<String> {
        self.receipt.iter().map(ToString::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_reach_the_service_whole() {
        assert_eq!(in_path("orders.fifo"), "orders.fifo");
        assert_eq!(in_path("a/../b c?"), "a%2F..%2Fb%20c%3F");
    }
}
