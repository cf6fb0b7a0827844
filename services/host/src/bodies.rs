//! Putting bodies to answers: from memory at once, otherwise from the log on a thread that may wait for
//! a disk. What cannot be read, or is not what was sent, goes back to the core, which asks the peers.

use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use shoal_storage::LogReader;
use shoal_types::{HostReply, Refusal};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::core::{Answer, BodyReads, StoredBody, read_body};
use crate::driver::Input;

/// Reads what an answer still lacks.
#[derive(Clone)]
pub(crate) struct BodyReader {
    log: Arc<RwLock<LogReader>>,
}

/// An answer as it goes to the client.
pub(crate) type Complete = (Result<HostReply, Refusal>, Vec<Bytes>);

impl BodyReader {
    pub(crate) fn new(log: LogReader) -> Self {
        Self {
            log: Arc::new(RwLock::new(log)),
        }
    }

    /// From now on bodies are read from here: the log was opened anew.
    pub(crate) fn read_from(&self, log: LogReader) {
        *self.log.write().unwrap_or_else(PoisonError::into_inner) = log;
    }

    /// The answer with all its bodies; or, if some cannot be had from this host's log, the answer with
    /// those that can.
    pub(crate) async fn complete(&self, answer: Answer) -> Result<Complete, Answer> {
        let in_memory = |body: &StoredBody| matches!(body, StoredBody::Recent(_));
        if answer.bodies.iter().all(in_memory) {
            return self.read(answer);
        }
        let reader = self.clone();
        let read = tokio::task::spawn_blocking(move || reader.read(answer)).await;
        read.expect("reading does not panic")
    }

    /// The same bodies, those that can be had from the log at hand.
    pub(crate) async fn read_all(&self, bodies: Vec<StoredBody>) -> Vec<StoredBody> {
        let reader = self.clone();
        let read = tokio::task::spawn_blocking(move || reader.read_each(bodies)).await;
        read.expect("reading does not panic")
    }

    fn read_each(&self, bodies: Vec<StoredBody>) -> Vec<StoredBody> {
        bodies.into_iter().map(|body| self.read_one(body)).collect()
    }

    fn read(&self, answer: Answer) -> Result<Complete, Answer> {
        let Answer { result, bodies } = answer;
        let bodies = self.read_each(bodies);
        let at_hand = bodies.iter().map(|body| match body {
            StoredBody::Recent(bytes) => Some(bytes.clone()),
            StoredBody::InLog(_) => None,
        });
        match at_hand.collect() {
            Some(bytes) => Ok((result, bytes)),
            None => Err(Answer { result, bodies }),
        }
    }

    fn read_one(&self, body: StoredBody) -> StoredBody {
        let StoredBody::InLog(placed) = body else {
            return body;
        };
        let log = self.log.read().unwrap_or_else(PoisonError::into_inner);
        match read_body(&log, &placed) {
            Ok(bytes) => StoredBody::Recent(bytes),
            Err(error) => {
                let (segment, offset) = (placed.at.segment, placed.at.offset);
                tracing::warn!(segment, offset, %error, "a body cannot be had from its place in the log");
                body
            }
        }
    }
}

/// Reads bodies that no client waits for; the end is reported as an input.
pub(crate) fn read_beside(
    reads: BodyReads,
    log: LogReader,
    jobs: &TaskTracker,
    done: mpsc::Sender<Input>,
) {
    jobs.spawn_blocking(move || {
        // If the loop has ended, nobody needs them.
        let _ = done.blocking_send(Input::BodiesRead(reads.run(&log)));
    });
}
