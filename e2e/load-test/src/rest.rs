//! The load's [`Service`] over REST, as any user of the Rust client has it.

use std::time::Duration;

use shoal_api::{Field, QueueBody, Whole};
use shoal_client::{
    Client, ClientError, Message, Receive, ReceivedExt as _, ReceivedMessage, SendItemAnswer,
};
use shoal_types::{Applied, Partitioning};

use crate::service::{Failure, Outgoing, Received, SendAnswer, Service};

/// A service behind its frontends. Several loads may share one.
#[derive(Clone, Debug)]
pub struct Rest {
    client: Client,
}

impl Rest {
    /// Talks to the frontend at `http://host:port`, or to several with commas between them, by turns.
    ///
    /// # Errors
    /// If an address is none.
    pub fn new(frontends: &str) -> anyhow::Result<Self> {
        Ok(Self {
            client: Client::new(frontends)?,
        })
    }
}

impl Service for Rest {
    async fn create_queue(
        &self,
        queue: &str,
        visibility: Duration,
        auto: bool,
    ) -> Result<(), Failure> {
        let seconds = Whole::new(visibility.as_secs()).expect("a plan's visibility is in range");
        let settings = QueueBody {
            visibility_timeout_s: Field::Value(seconds),
            partitions: Field::Value(if auto {
                Partitioning::Auto
            } else {
                Partitioning::One
            }),
            ..QueueBody::default()
        };
        self.client.queue(queue).create(&settings).await?;
        Ok(())
    }

    async fn delete_queue(&self, queue: &str) -> Result<(), Failure> {
        Ok(self.client.queue(queue).delete().await?)
    }

    async fn send(&self, queue: &str, messages: Vec<Outgoing>) -> Result<Vec<SendAnswer>, Failure> {
        let message = |outgoing: Outgoing| {
            let message = Message::of_bytes(outgoing.body.into());
            let message = outgoing.group.into_iter().fold(message, Message::group);
            outgoing.key.into_iter().fold(message, Message::dedup_id)
        };
        let messages: Vec<Message> = messages.into_iter().map(message).collect();
        let answer = self.client.queue(queue).send_batch(&messages).await?;
        let outcome = |item| match item {
            SendItemAnswer::Sent { sequence, .. } => SendAnswer::Accepted(sequence.0),
            SendItemAnswer::Failed { error } => match error.applied {
                Applied::No => SendAnswer::Refused(error.code.to_string()),
                Applied::Unknown => SendAnswer::Unknown(error.code.to_string()),
            },
        };
        Ok(answer.messages.into_iter().map(outcome).collect())
    }

    async fn receive(
        &self,
        queue: &str,
        max: usize,
        wait: Duration,
    ) -> Result<Vec<Received>, Failure> {
        let how = Receive::default()
            .max(max as u32)
            .wait_s(wait.as_secs() as u32);
        let messages = self.client.queue(queue).receive(&how).await?;
        let receive = |message: ReceivedMessage| {
            Ok(Received {
                sequence: message.sequence.0,
                receipt: message.receipts().pop().unwrap_or_default(),
                body: message.bytes()?.into(),
            })
        };
        messages.into_iter().map(receive).collect()
    }

    async fn acknowledge(&self, queue: &str, receipts: Vec<String>) -> Result<Vec<bool>, Failure> {
        let answer = self.client.queue(queue).acknowledge(&receipts).await?;
        Ok(answer.receipts.into_iter().map(|item| item.ok).collect())
    }

    async fn waiting(&self, queue: &str) -> Result<u64, Failure> {
        match self.client.queue(queue).info().await?.counts {
            Field::Value(counts) => Ok(counts.ready + counts.in_flight + counts.delayed),
            _ => Err(Failure {
                code: "no_counts".to_owned(),
                detail: format!("nobody can say at the moment what is in {queue}"),
                applied: Applied::No,
            }),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let code = match &error {
            ClientError::Refused(problem) => problem.code.to_string(),
            ClientError::Connection(_) => "connection".to_owned(),
            ClientError::Unexpected(_) => "unexpected".to_owned(),
        };
        Self {
            code,
            applied: error.applied(),
            detail: error.to_string(),
        }
    }
}
