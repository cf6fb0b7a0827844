//! Emptying a queue, at most so often.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use shoal_sqs::{Answer, ErrorKind, OperationName, PurgeQueue, SqsError};
use shoal_types::QueueId;
use tokio::time::Instant;

use super::access::Session;
use super::problems::error;
use crate::limits::PURGES_REMEMBERED_MAX;
use crate::operations::Purge;

/// When queues were purged through this frontend. Another one does not know of it: SQS's minute keeps a
/// client from purging in a loop, and nothing depends on it.
pub(crate) struct Purges {
    /// How long a queue is not purged again.
    pause: Duration,
    last: Mutex<HashMap<QueueId, Instant>>,
}

impl Purges {
    pub(crate) fn new(pause: Duration) -> Self {
        Self {
            pause,
            last: Mutex::default(),
        }
    }

    /// Notes a purge, if the last one is long enough ago.
    fn begin(&self, queue: QueueId) -> bool {
        if self.pause.is_zero() {
            return true;
        }
        let now = Instant::now();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = |at: &Instant| now < *at + self.pause;
        if last.get(&queue).is_some_and(recent) {
            return false;
        }
        if last.len() >= PURGES_REMEMBERED_MAX {
            last.retain(|_, at| recent(at));
        }
        // Beyond the bound a purge is done and not remembered.
        if last.len() < PURGES_REMEMBERED_MAX {
            last.insert(queue, now);
        }
        true
    }

    /// The purge was not done.
    fn forget(&self, queue: QueueId) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.remove(&queue);
    }
}

/// `PurgeQueue`
pub(super) async fn purge(session: &Session<'_>, asked: &PurgeQueue) -> Result<Answer, SqsError> {
    let route = session.queue(&asked.queue).await?;
    let purges = &session.app.purges;
    if !purges.begin(route.queue) {
        let message = format!(
            "Only one PurgeQueue operation on {} is allowed every {} seconds.",
            asked.queue.local(),
            purges.pause.as_secs()
        );
        return Err(SqsError::new(ErrorKind::PurgeQueueInProgress, message));
    }
    let deadline = session.deadline(Duration::ZERO);
    let mut purge = Purge::new(deadline);
    let purged = session.app.on_queue(&asked.queue, deadline, &mut purge);
    if let Err(problem) = purged.await {
        purges.forget(route.queue);
        return Err(error(&problem));
    }
    Ok(Answer::Done(OperationName::PurgeQueue))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_queue_is_purged_again_after_the_pause() {
        let purges = Purges::new(Duration::from_secs(60));
        assert!(purges.begin(QueueId(1)));
        assert!(!purges.begin(QueueId(1)));
        assert!(purges.begin(QueueId(2)));
        purges.forget(QueueId(2));
        assert!(purges.begin(QueueId(2)));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(purges.begin(QueueId(1)));
        let always = Purges::new(Duration::ZERO);
        assert!(always.begin(QueueId(1)) && always.begin(QueueId(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_purges_are_remembered_and_no_more() {
        let purges = Purges::new(Duration::from_secs(60));
        for queue in 0..=PURGES_REMEMBERED_MAX as u64 {
            assert!(purges.begin(QueueId(queue)));
        }
        let remembered = || purges.last.lock().unwrap().len();
        assert_eq!(remembered(), PURGES_REMEMBERED_MAX);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(purges.begin(QueueId(0)) && purges.begin(QueueId(u64::MAX)));
        assert_eq!(remembered(), 2);
    }
}
