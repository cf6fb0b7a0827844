//! Putting bodies to answers: from memory at once, otherwise from the log on a thread that may wait for
//! a disk.

use bytes::Bytes;
use shoal_storage::{LogReader, ReadError};
use shoal_types::{BodyRef, ErrorCode, HostReply, Refusal};

use crate::core::{Answer, StoredBody};

/// Reads what an answer still lacks.
#[derive(Clone)]
pub(crate) struct BodyReader {
    log: LogReader,
}

/// An answer as it goes to the client.
pub(crate) type Complete = (Result<HostReply, Refusal>, Vec<Bytes>);

impl BodyReader {
    pub(crate) fn new(log: LogReader) -> Self {
        Self { log }
    }

    /// The answer with all its bodies.
    pub(crate) async fn complete(&self, answer: Answer) -> Complete {
        let Answer { result, bodies } = answer;
        let in_memory = bodies
            .iter()
            .all(|body| matches!(body, StoredBody::Recent(_)));
        let read = if in_memory {
            self.read_all(bodies)
        } else {
            let reader = self.clone();
            let read = tokio::task::spawn_blocking(move || reader.read_all(bodies)).await;
            read.expect("reading does not panic")
        };
        match read {
            Ok(bodies) => (result, bodies),
            Err((at, error)) => {
                tracing::error!(segment = at.segment, offset = at.offset, %error, "body cannot be read");
                let detail = format!("a body cannot be read from the log: {error}");
                (
                    Err(Refusal::unknown(ErrorCode::Corrupt, detail)),
                    Vec::new(),
                )
            }
        }
    }

    fn read_all(&self, bodies: Vec<StoredBody>) -> Result<Vec<Bytes>, (BodyRef, ReadError)> {
        let read = |body| match body {
            StoredBody::Recent(bytes) => Ok(bytes),
            StoredBody::InLog(at, size) => self.log.body(at, size).map_err(|error| (at, error)),
        };
        bodies.into_iter().map(read).collect()
    }
}
