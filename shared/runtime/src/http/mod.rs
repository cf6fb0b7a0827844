//! The HTTP/1.1 server of every role: hyper with all its bounds set.
//!
//! One task per connection and none per request. What a client can do wrong ends here, before any
//! handler runs: too many or too large header fields, slow ones, bodies over the limit, idle or
//! stalled connections.
//!
//! **Smuggling.** A request with both `Transfer-Encoding` and `Content-Length` could be read by a
//! proxy in front of us as one request and here as two. hyper takes the chunked framing, drops the
//! length and, as RFC 9112 §6.3 demands, closes the connection after the answer, so nothing that
//! follows on it is ever taken for a request; conflicting lengths, `Transfer-Encoding` in HTTP/1.0 and
//! a final encoding other than chunked are refused with 400. A listener that expects no chunked
//! requests at all refuses them with 411 ([`HttpLimits::chunked`]).

mod body;
mod connection;
mod head;
mod server;

pub use body::BodyError;
pub use head::{HeadRefusal, plain_text};
pub use server::serve;

use std::time::Duration;

use axum::response::Response;
use http::request::Parts;

use crate::limits;

/// The bounds of one listener. The defaults are those of [`crate::limits`].
#[derive(Clone, Debug)]
pub struct HttpLimits {
    /// Which listener this is, in log lines and metrics.
    pub listener: &'static str,
    /// Connections at once; more are accepted and closed.
    pub connections_max: usize,
    /// Header fields of a request; at most 100, hyper's own bound.
    pub headers_max: usize,
    /// Bytes of request line and header fields.
    pub head_bytes_max: usize,
    /// Bytes of path and query.
    pub uri_bytes_max: usize,
    /// Bytes of a body.
    pub body_bytes_max: u64,
    /// From the first byte of a request to the end of its header fields.
    pub head_timeout: Duration,
    /// For a body that did not come with its header fields.
    pub body_timeout: Duration,
    /// Between requests.
    pub idle_timeout: Duration,
    /// Without the client taking any byte of an answer.
    pub write_timeout: Duration,
    /// For answers under way when the drain ends. Those that are not there then are made by `cut_off`.
    pub grace: Duration,
    /// Whether bodies of unknown length are taken.
    pub chunked: bool,
    /// Turns a refusal into an answer, in the words of the listener's API.
    pub refuse: fn(&HeadRefusal, &Parts) -> Response,
    /// What is answered to a request that its handler has not answered within the grace: it was received, and
    /// nobody knows what has become of it.
    pub cut_off: fn() -> Response,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            listener: "http",
            connections_max: limits::HTTP_CONNECTIONS_MAX,
            headers_max: limits::HTTP_HEADERS_MAX,
            head_bytes_max: limits::HTTP_HEAD_BYTES_MAX,
            uri_bytes_max: limits::HTTP_URI_BYTES_MAX,
            body_bytes_max: limits::HTTP_BODY_BYTES_MAX as u64,
            head_timeout: limits::HTTP_HEAD_TIMEOUT,
            body_timeout: limits::HTTP_BODY_TIMEOUT,
            idle_timeout: limits::HTTP_IDLE_TIMEOUT,
            write_timeout: limits::HTTP_WRITE_TIMEOUT,
            grace: limits::HTTP_GRACE,
            chunked: true,
            refuse: plain_text,
            cut_off: head::cut_off,
        }
    }
}
