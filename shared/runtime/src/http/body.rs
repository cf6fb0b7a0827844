//! Bodies with their bounds: of requests in bytes and time, of answers so that the connection knows
//! when one has been written.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::Sleep;

use super::connection::Watch;

/// Why a request's body could not be read. It arrives wrapped in other errors; see [`BodyError::of`].
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// More bytes than the listener takes.
    #[error("the body is over {limit} bytes")]
    TooLarge {
        /// How many it takes.
        limit: u64,
    },
    /// It did not come in time.
    #[error("the body did not come within {} s", timeout.as_secs())]
    TimedOut {
        /// How long that is.
        timeout: Duration,
    },
    /// The connection ended or the framing is wrong.
    #[error("the body is cut off or malformed")]
    Broken(#[source] hyper::Error),
}

impl BodyError {
    /// Finds it among an error and its causes.
    #[must_use]
    pub fn of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            next = error.source();
        }
        None
    }
}

/// A request's body that ends in an error at its bounds.
pub(super) struct RequestBody {
    inner: Incoming,
    limit: u64,
    taken: u64,
    timeout: Duration,
    /// Armed when a part is first waited for: most bodies come with their header fields.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl RequestBody {
    pub(super) fn new(inner: Incoming, limit: u64, timeout: Duration) -> Self {
        Self {
            inner,
            limit,
            taken: 0,
            timeout,
            deadline: None,
        }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) else {
            let timeout = this.timeout;
            let deadline = this
                .deadline
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
            ready!(deadline.as_mut().poll(cx));
            return Poll::Ready(Some(Err(BodyError::TimedOut { timeout })));
        };
        Poll::Ready(frame.map(|frame| {
            let frame = frame.map_err(BodyError::Broken)?;
            this.taken += frame.data_ref().map_or(0, |data| data.len() as u64);
            if this.taken > this.limit {
                return Err(BodyError::TooLarge { limit: this.limit });
            }
            Ok(frame)
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// From the moment a request is handed to its handler until the answer's last byte is encoded.
pub(super) struct Answering(Arc<Watch>);

impl Answering {
    pub(super) fn begin(watch: &Arc<Watch>) -> Self {
        watch.answer_begins();
        Self(Arc::clone(watch))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answer_ends();
    }
}

/// An answer's body, and the knowledge that it is still being written.
pub(super) struct AnswerBody {
    pub(super) inner: Body,
    pub(super) _answering: Answering,
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
