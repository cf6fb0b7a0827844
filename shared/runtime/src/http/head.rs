//! What is wrong with a request before its body matters.

use std::borrow::Cow;

use axum::body::Body;
use axum::response::Response;
use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, TRANSFER_ENCODING,
};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, Method, StatusCode, Version};
use shoal_types::ErrorCode;

use super::HttpLimits;

/// A request that no handler sees. The connection is closed after the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadRefusal {
    /// The most precise status there is, which may be another than the code's own.
    pub status: StatusCode,
    /// The reason as a code.
    pub code: ErrorCode,
    /// The reason for people.
    pub detail: Cow<'static, str>,
}

impl HeadRefusal {
    fn new(status: StatusCode, code: ErrorCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
        }
    }

    fn malformed(detail: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorCode::InvalidRequest, detail)
    }

    /// The answer in the listener's words, plus what closes the connection.
    pub(super) fn answer(&self, limits: &HttpLimits, head: &Parts) -> Response {
        let mut answer = (limits.refuse)(self, head);
        answer
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
        answer
    }
}

/// The refusal as a line of text; for listeners without an API of their own.
#[must_use]
pub fn plain_text(refusal: &HeadRefusal, _head: &Parts) -> Response {
    let mut answer = Response::new(Body::from(format!(
        "{}: {}\n",
        refusal.code, refusal.detail
    )));
    *answer.status_mut() = refusal.status;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, text);
    answer
}

/// The answer to a request that was cut off, as a line of text; for listeners without an API of their own.
pub(super) fn cut_off() -> Response {
    let mut answer = Response::new(Body::from("the server stops\n"));
    *answer.status_mut() = StatusCode::GATEWAY_TIMEOUT;
    answer
}

/// Checks everything that can be known before the body.
pub(super) fn check(head: &Parts, limits: &HttpLimits) -> Result<(), HeadRefusal> {
    if head.headers.len() > limits.headers_max {
        let detail = format!("more than {} header fields", limits.headers_max);
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err(HeadRefusal::new(status, ErrorCode::TooLarge, detail));
    }
    let uri_bytes = head.uri.path_and_query().map_or(0, |p| p.as_str().len());
    if uri_bytes > limits.uri_bytes_max {
        let detail = format!("path and query are over {} bytes", limits.uri_bytes_max);
        return Err(HeadRefusal::new(
            StatusCode::URI_TOO_LONG,
            ErrorCode::TooLarge,
            detail,
        ));
    }
    if matches!(head.method, Method::CONNECT | Method::TRACE) {
        let detail = format!("{} is not served here", head.method);
        let status = StatusCode::METHOD_NOT_ALLOWED;
        return Err(HeadRefusal::new(
            status,
            ErrorCode::MethodNotAllowed,
            detail,
        ));
    }
    check_host(head)?;
    check_length(&head.headers, limits)
}

/// HTTP/1.1 wants exactly one `Host`, and we are nobody's proxy.
fn check_host(head: &Parts) -> Result<(), HeadRefusal> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host,
        (None, _) if head.version == Version::HTTP_10 => return Ok(()),
        (None, _) => return Err(HeadRefusal::malformed("no Host")),
        (Some(_), Some(_)) => return Err(HeadRefusal::malformed("more than one Host")),
    };
    let authority = Authority::try_from(host.as_bytes())
        .ok()
        .filter(is_host_and_port)
        .ok_or_else(|| HeadRefusal::malformed("Host is no host and port"))?;
    match head.uri.authority() {
        Some(other) if *other != authority => Err(HeadRefusal::malformed(
            "the target is another host than Host",
        )),
        _ => Ok(()),
    }
}

/// No user, and a port only if it is one.
fn is_host_and_port(authority: &Authority) -> bool {
    let host_only = authority.as_str().len() == authority.host().len();
    !authority.as_str().contains('@') && (host_only || authority.port_u16().is_some())
}

fn check_length(headers: &HeaderMap, limits: &HttpLimits) -> Result<(), HeadRefusal> {
    if !limits.chunked && headers.contains_key(TRANSFER_ENCODING) {
        let detail = "this listener wants Content-Length, not Transfer-Encoding";
        return Err(HeadRefusal::new(
            StatusCode::LENGTH_REQUIRED,
            ErrorCode::InvalidRequest,
            detail,
        ));
    }
    // hyper has checked that it is a number and that there is one value only.
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > limits.body_bytes_max) {
        let detail = format!("the body is over {} bytes", limits.body_bytes_max);
        return Err(HeadRefusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::TooLarge,
            detail,
        ));
    }
    Ok(())
}
