//! Taking a request: its place among those under way, then its body, never more of it than allowed.

use std::sync::Arc;

use axum::extract::Request;
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use shoal_api::Problem;
use shoal_runtime::http::BodyError;
use shoal_types::ErrorCode;

use crate::admission::{Admission, Class, Place};

/// A request with its body, and its place until it is answered.
pub(crate) struct Taken {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) place: Place,
}

/// Takes a request whose body has at most `limit` bytes.
///
/// # Errors
/// If there is no place for it, or the body is too large, encoded or broken. What can be known from
/// its head is said before any of the body is read.
pub(crate) async fn take(
    admission: &Arc<Admission>,
    class: Class,
    request: Request,
    limit: usize,
) -> Result<Taken, Problem> {
    let (head, body) = request.into_parts();
    check_encoding(&head.headers)?;
    let announced = length(&head.headers);
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    // A body of unknown length may grow to the limit.
    let bytes = match announced {
        Some(length) => length,
        None if head.headers.contains_key(header::TRANSFER_ENCODING) => limit,
        None => 0,
    };
    let place = admission.admit(class, bytes)?;
    let body = match Limited::new(body, limit).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) => return Err(broken(&*error, limit)),
    };
    Ok(Taken {
        headers: head.headers,
        body,
        place,
    })
}

fn length(headers: &HeaderMap) -> Option<usize> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

fn too_large(limit: usize) -> Problem {
    let detail = format!("body: larger than {limit} bytes");
    Problem::new(ErrorCode::TooLarge, detail).at("body")
}

fn broken(error: &(dyn std::error::Error + Send + Sync + 'static), limit: usize) -> Problem {
    if error.is::<LengthLimitError>() {
        return too_large(limit);
    }
    match BodyError::of(error) {
        Some(BodyError::TooLarge { .. }) => too_large(limit),
        Some(late @ BodyError::TimedOut { .. }) => {
            // 408: the one status for it, and the code says what it comes down to.
            Problem::new(ErrorCode::InvalidRequest, late.to_string())
                .at("body")
                .status(408)
        }
        _ => {
            let detail = "the body is cut off or malformed";
            Problem::new(ErrorCode::InvalidRequest, detail).at("body")
        }
    }
}

/// Refuses compressed bodies: nothing here decompresses, so nothing can blow up.
///
/// # Errors
/// If the body is encoded.
fn check_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            let detail = "content-encoding: bodies are taken as they are, not compressed";
            Err(Problem::new(ErrorCode::UnsupportedMediaType, detail).at("content-encoding"))
        }
        _ => Ok(()),
    }
}
