//! One connection: hyper's state machine, watched by one timer.
//!
//! hyper's own header timer is set up and torn down for every request. Here bytes and answers only
//! leave marks in a [`Watch`], and the connection's single timer looks at them when it fires; a
//! request costs no timer operation at all.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower::Service as _;

use super::body::{AnswerBody, Answering, RequestBody};
use super::{HttpLimits, head};
use crate::limits::{HTTP_CUT_OFF_WITHIN, HTTP_FIRST_REQUEST_WITHIN};
use crate::shutdown::{Drain, Shutdown};

/// How long bytes that nobody wants any more are read and dropped before a socket is closed, so that
/// the client can still read why it was refused.
const LINGER: Duration = Duration::from_secs(2);

/// Serves one connection to its end.
pub(super) async fn serve(
    stream: TcpStream,
    router: Router,
    limits: Arc<HttpLimits>,
    drain: Drain,
) {
    let watch = Arc::new(Watch::new());
    let io = TokioIo::new(WatchedStream {
        stream,
        watch: Arc::clone(&watch),
    });
    let handler = Handler {
        router,
        limits: Arc::clone(&limits),
        watch: Arc::clone(&watch),
        leaving: drain.begins().clone(),
    };
    let mut http = http1::Builder::new();
    // The timeouts are those of `Watch`.
    http.header_read_timeout(None)
        .max_header_size(limits.head_bytes_max);
    let mut connection = http.serve_connection(io, handler);

    let mut timer = pin!(tokio::time::sleep(
        limits.idle_timeout.min(limits.head_timeout)
    ));
    let mut last_call = pin!(last_call(drain.ends()));
    let mut grace_ends = None;
    let finished = poll_fn(|cx| {
        if grace_ends.is_none() && last_call.as_mut().poll(cx).is_ready() {
            grace_ends = Some(Instant::now() + limits.grace);
            // A request that is here already is read before the connection would count as idle.
            if connection.poll_without_shutdown(cx).is_ready() {
                return Poll::Ready(true);
            }
            Pin::new(&mut connection).graceful_shutdown();
        }
        // An error (the client is gone, or what it says is not HTTP) ends the connection; hyper has
        // already answered what can be answered, and the log is not for what strangers send.
        if connection.poll_without_shutdown(cx).is_ready() {
            return Poll::Ready(true);
        }
        loop {
            let deadline = watch.deadline(&limits).into_iter().chain(grace_ends).min();
            let now = Instant::now();
            if grace_ends.is_some_and(|at| at <= now) && watch.cut_off() {
                grace_ends = Some(now + HTTP_CUT_OFF_WITHIN);
                if connection.poll_without_shutdown(cx).is_ready() {
                    return Poll::Ready(true);
                }
                continue;
            }
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Poll::Ready(false);
            }
            let fires_in_time = deadline.is_none_or(|deadline| timer.deadline() <= deadline);
            if !fires_in_time || timer.is_elapsed() {
                timer
                    .as_mut()
                    .reset(deadline.unwrap_or(now + limits.idle_timeout));
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await;
    if finished && grace_ends.is_none() {
        linger(connection.into_parts().io.into_inner().stream).await;
    }
}

/// When a connection that was accepted now is to end: with the drain, but not before it had time to say what
/// it was made for.
async fn last_call(drain_ends: &Shutdown) {
    let first_request_by = Instant::now() + HTTP_FIRST_REQUEST_WITHIN;
    drain_ends.triggered().await;
    tokio::time::sleep_until(first_request_by).await;
}

/// Closes our side and waits for the client to close its own. Closing with unread bytes in the socket
/// would make the kernel send a reset, which can overtake the answer.
async fn linger(mut stream: TcpStream) {
    let drain = async {
        stream.shutdown().await?;
        let mut scratch = vec![0; 16 << 10];
        while stream.read(&mut scratch).await? > 0 {}
        io::Result::Ok(())
    };
    // Whatever comes of it, the connection is over.
    _ = tokio::time::timeout(LINGER, drain).await;
}

/// hyper's side of the router.
struct Handler {
    router: Router,
    limits: Arc<HttpLimits>,
    watch: Arc<Watch>,
    leaving: Shutdown,
}

impl Handler {
    /// The answer as it goes out. Who is leaving says so with each.
    fn finish(
        leaving: &Shutdown,
        mut answer: axum::response::Response,
    ) -> axum::response::Response {
        if leaving.is_triggered() {
            let close = HeaderValue::from_static("close");
            answer.headers_mut().insert(CONNECTION, close);
        }
        answer
    }
}

impl hyper::service::Service<Request<Incoming>> for Handler {
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let answering = Answering::begin(&self.watch);
        let (head, body) = request.into_parts();
        if let Err(refusal) = head::check(&head, &self.limits) {
            let answer = refusal.answer(&self.limits, &head);
            return Box::pin(async {
                Ok(answer.map(|inner| AnswerBody {
                    inner,
                    _answering: answering,
                }))
            });
        }
        let body = RequestBody::new(body, self.limits.body_bytes_max, self.limits.body_timeout);
        let answer = self
            .router
            .clone()
            .call(Request::from_parts(head, Body::new(body)));
        let (watch, leaving) = (Arc::clone(&self.watch), self.leaving.clone());
        let cut_off = self.limits.cut_off;
        Box::pin(async move {
            let mut answer = pin!(answer);
            let answer = poll_fn(|cx| match answer.as_mut().poll(cx) {
                Poll::Ready(Ok(answer)) => Poll::Ready(answer),
                Poll::Pending if watch.is_cut_off() => Poll::Ready(cut_off()),
                Poll::Pending => Poll::Pending,
            });
            let answer = Self::finish(&leaving, answer.await);
            Ok(answer.map(|inner| AnswerBody {
                inner,
                _answering: answering,
            }))
        })
    }
}

/// What a connection is doing since when. All marks are written and read by the connection's own
/// task; they are atomic only because a task may move between threads. Times are microseconds since
/// `start`, plus one, so that 0 can mean "not".
pub(super) struct Watch {
    start: Instant,
    /// Requests handed to their handlers whose answers are not yet fully encoded; 0 or 1 with HTTP/1.
    answering: AtomicU64,
    /// Since when nothing is asked.
    idle_since: AtomicU64,
    /// Since when a request's header fields are coming in.
    head_since: AtomicU64,
    /// Since when the socket takes none of what is to be written.
    stalled_since: AtomicU64,
    /// Whether the request under way is to be answered without its handler.
    cut_off: AtomicBool,
}

impl Watch {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            answering: AtomicU64::new(0),
            idle_since: AtomicU64::new(1),
            head_since: AtomicU64::new(0),
            stalled_since: AtomicU64::new(0),
            cut_off: AtomicBool::new(false),
        }
    }

    fn mark(&self, since: &AtomicU64) {
        let now = self.start.elapsed().as_micros() as u64 + 1;
        since.store(now, Ordering::Relaxed);
    }

    fn bytes_came(&self) {
        let between_requests = self.answering.load(Ordering::Relaxed) == 0;
        if between_requests && self.head_since.load(Ordering::Relaxed) == 0 {
            self.mark(&self.head_since);
        }
    }

    pub(super) fn answer_begins(&self) {
        self.answering.fetch_add(1, Ordering::Relaxed);
        self.head_since.store(0, Ordering::Relaxed);
    }

    pub(super) fn answer_ends(&self) {
        self.answering.fetch_sub(1, Ordering::Relaxed);
        self.mark(&self.idle_since);
    }

    fn write_progressed(&self, progressed: bool) {
        let stalled = self.stalled_since.load(Ordering::Relaxed) != 0;
        if progressed && stalled {
            self.stalled_since.store(0, Ordering::Relaxed);
        } else if !progressed && !stalled {
            self.mark(&self.stalled_since);
        }
    }

    /// Has what is under way answered without its handler. False: nothing is, or that was said before.
    fn cut_off(&self) -> bool {
        let is_answering = self.answering.load(Ordering::Relaxed) > 0;
        is_answering && !self.cut_off.swap(true, Ordering::Relaxed)
    }

    fn is_cut_off(&self) -> bool {
        self.cut_off.load(Ordering::Relaxed)
    }

    /// When the connection is to be closed if nothing more happens.
    fn deadline(&self, limits: &HttpLimits) -> Option<Instant> {
        let after = |since: &AtomicU64, timeout: Duration| match since.load(Ordering::Relaxed) {
            0 => None,
            since => Some(self.start + Duration::from_micros(since - 1) + timeout),
        };
        after(&self.stalled_since, limits.write_timeout).or_else(|| {
            if self.answering.load(Ordering::Relaxed) > 0 {
                return None;
            }
            after(&self.head_since, limits.head_timeout)
                .or_else(|| after(&self.idle_since, limits.idle_timeout))
        })
    }
}

/// A stream that leaves marks.
struct WatchedStream {
    stream: TcpStream,
    watch: Arc<Watch>,
}

impl WatchedStream {
    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.watch.write_progressed(result.is_ready());
        result
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.watch.bytes_came();
        }
        result
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
