//! The steps by REST.

use shoal_client::{Client, ClientError, Queue, Receive, ReceivedExt as _, SendItemAnswer};
use shoal_types::ErrorCode;

use super::{Api, Attempt, RECEIVE_WAIT_S, Refused};

/// The body that goes through.
const BODY: &str = "is anybody there?";

pub(super) struct Rest(Queue);

impl Rest {
    pub(super) fn new(endpoint: &str, queue: &str) -> anyhow::Result<Self> {
        Ok(Self(Client::new(endpoint)?.queue(queue)))
    }
}

impl Api for Rest {
    const NAME: &str = "rest";

    async fn create(&self) -> Attempt<()> {
        self.0.create(&Default::default()).await?;
        Ok(())
    }

    async fn send(&self) -> Attempt<()> {
        let answer = self.0.send(BODY).await?;
        match answer.messages.first() {
            Some(SendItemAnswer::Failed { error }) => Err(Refused {
                may_try_again: error.retryable,
                ..Refused::unexpected(&error.detail)
            }),
            _ => Ok(()),
        }
    }

    async fn receive(&self) -> Attempt<String> {
        let how = Receive::default().wait_s(RECEIVE_WAIT_S);
        let received = self.0.receive(&how).await?;
        let message = received.first().ok_or_else(Refused::nothing_came)?;
        if message.bytes()? != BODY.as_bytes() {
            return Err(Refused::other_body());
        }
        let receipt = message.receipts().pop();
        receipt.ok_or_else(|| Refused::unexpected("a message without a receipt"))
    }

    async fn acknowledge(&self, receipt: &str) -> Attempt<()> {
        let answer = self.0.acknowledge(&[receipt]).await?;
        match answer.receipts.first() {
            Some(item) if item.ok => Ok(()),
            Some(item) => Err(Refused::unexpected(
                item.detail.as_deref().unwrap_or("not done"),
            )),
            None => Err(Refused::unexpected("an answer that names no receipt")),
        }
    }

    async fn delete(&self) -> Attempt<()> {
        match self.0.delete().await {
            // An earlier attempt whose answer got lost, or nothing was created.
            Err(ClientError::Refused(problem)) if problem.code == ErrorCode::QueueNotFound => {
                Ok(())
            }
            other => Ok(other?),
        }
    }
}

impl From<ClientError> for Refused {
    fn from(error: ClientError) -> Self {
        Self {
            may_try_again: error.is_retryable(),
            is_unsigned: false,
            why: format!("{:#}", anyhow::Error::from(error)),
        }
    }
}
