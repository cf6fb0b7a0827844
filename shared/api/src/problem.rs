//! Problem documents (RFC 9457): the one shape of every error over HTTP.

use std::borrow::Cow;
use std::ops::Deref;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::{Deserialize, Serialize};
use shoal_types::{Applied, ErrorCode, Refusal};

/// The media type of a [`Problem`].
pub const PROBLEM_CONTENT_TYPE: &str = "application/problem+json";

/// Where each code is explained; the code follows as the fragment.
const TYPE_BASE: &str = "https://github.com/shoal-mq/shoal/blob/main/shared/api/ERRORS.md#";

/// Why a request failed, for people and for programs. Its fields are those of [`ProblemFields`].
///
/// Boxed, because nearly every function here may fail with one and nearly none does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}: {}", .0.code, .0.detail)]
#[serde(transparent)]
pub struct Problem(Box<ProblemFields>);

/// What a [`Problem`] says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemFields {
    /// A URI that names the kind of problem and leads to its explanation.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in a few words, always the same for a code.
    pub title: Cow<'static, str>,
    /// The HTTP status.
    pub status: u16,
    /// The kind as programs compare it.
    pub code: ErrorCode,
    /// What went wrong this time, for people.
    pub detail: Cow<'static, str>,
    /// True if the same request may succeed later, unchanged.
    pub retryable: bool,
    /// Whether the operation may have taken effect.
    pub applied: Applied,
    /// The field, query parameter, path part or header that is wrong, if it is one:
    /// `messages[3].delay_s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Names this request in the server's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Deref for Problem {
    type Target = ProblemFields;

    fn deref(&self) -> &ProblemFields {
        &self.0
    }
}

impl Problem {
    /// A problem that certainly left everything as it was.
    pub fn new(code: ErrorCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(ProblemFields {
            kind: format!("{TYPE_BASE}{code}"),
            title: title(code).into(),
            status: code.http_status(),
            code,
            detail: detail.into(),
            retryable: code.retryable(),
            applied: Applied::No,
            field: None,
            request_id: None,
        }))
    }

    /// `invalid_request` about one field; the detail names it too.
    pub fn invalid(field: impl Into<String>, why: impl std::fmt::Display) -> Self {
        let field = field.into();
        Self::new(ErrorCode::InvalidRequest, format!("{field}: {why}")).at(field)
    }

    /// Names the field that is wrong.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// A more precise HTTP status than that of the code.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.0.status = status;
        self
    }

    /// Says whether the operation may have taken effect.
    #[must_use]
    pub fn applied(mut self, applied: Applied) -> Self {
        self.0.applied = applied;
        self
    }

    /// Names the request, unless it has a name already: the first who knows it says it.
    #[must_use]
    pub fn request(mut self, id: impl std::fmt::Display) -> Self {
        self.0.request_id.get_or_insert_with(|| id.to_string());
        self
    }

    /// The answer that carries it.
    #[must_use]
    pub fn to_response(&self) -> Response<Bytes> {
        let body = serde_json::to_vec(self).expect("a problem has only string keys");
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let content_type = HeaderValue::from_static(PROBLEM_CONTENT_TYPE);
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, content_type);
        response
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code, refusal.detail).applied(refusal.applied)
    }
}

/// Why one item of a batch failed while others may have succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemError {
    /// The kind as programs compare it.
    pub code: ErrorCode,
    /// What went wrong, for people.
    pub detail: Cow<'static, str>,
    /// True if the same item may succeed later, unchanged.
    pub retryable: bool,
    /// Whether the item may have taken effect.
    pub applied: Applied,
}

impl From<Problem> for ItemError {
    fn from(problem: Problem) -> Self {
        let ProblemFields {
            code,
            detail,
            retryable,
            applied,
            ..
        } = *problem.0;
        Self {
            code,
            detail,
            retryable,
            applied,
        }
    }
}

fn title(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::InvalidRequest => "The request is not valid",
        ErrorCode::NotFound => "No such path",
        ErrorCode::MethodNotAllowed => "This path does not take this method",
        ErrorCode::QueueNotFound => "No such queue",
        ErrorCode::QueueExists => "The queue exists with other settings",
        ErrorCode::InvalidReceipt => "Not a receipt of this queue",
        ErrorCode::TooLarge => "Larger than allowed",
        ErrorCode::UnsupportedMediaType => "This content is not taken",
        ErrorCode::IdempotencyConflict => "The key was used with another request",
        ErrorCode::QueueFull => "The queue is at its limit",
        ErrorCode::Busy => "Too much to do at the moment",
        ErrorCode::DiskFull => "The disks are too full",
        ErrorCode::NotReady => "Not ready at the moment",
        ErrorCode::Unavailable => "The queue cannot be reached",
        ErrorCode::ManagerUnavailable => "The manager cannot be reached",
        ErrorCode::NoCapacity => "No cluster has room",
        ErrorCode::DeadlineExceeded => "No answer in time",
        ErrorCode::StaleRoute => "The queue is elsewhere",
        ErrorCode::Fenced => "A newer instruction was carried out",
        ErrorCode::Corrupt => "The stored bytes are damaged",
        ErrorCode::Internal => "A fault of the service",
        ErrorCode::TooManyInFlight => "Too many messages are in flight",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_explained_where_its_type_points() {
        let explained = include_str!("../ERRORS.md");
        for &code in ErrorCode::ALL {
            let problem = Problem::new(code, "x");
            assert_eq!(problem.kind, format!("{TYPE_BASE}{}", code.as_str()));
            assert!(
                explained.contains(&format!("\n## {code}\n")),
                "{code} has no section"
            );
            let told = format!("Status {}, {}", code.http_status(), retry_words(code));
            let section = explained.split(&format!("\n## {code}\n")).nth(1).unwrap();
            assert!(
                section.trim_start().starts_with(&told),
                "{code}: section starts with {told:?}"
            );
        }
    }

    fn retry_words(code: ErrorCode) -> &'static str {
        if code.retryable() {
            "retryable."
        } else {
            "not retryable."
        }
    }

    #[test]
    fn a_problem_is_read_back_as_it_was_written() {
        let problem = Problem::invalid("delay_s", "-1 is not within 0 to 900")
            .applied(Applied::Unknown)
            .request("r1")
            .request("r2");
        let response = problem.to_response();
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers()["content-type"], PROBLEM_CONTENT_TYPE);
        let json: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(json["code"], "invalid_request");
        assert_eq!(json["applied"], "unknown");
        assert_eq!(json["field"], "delay_s");
        assert_eq!(json["detail"], "delay_s: -1 is not within 0 to 900");
        assert_eq!(json["request_id"], "r1");
        assert_eq!(
            serde_json::from_slice::<Problem>(response.body()).unwrap(),
            problem
        );
    }

    #[test]
    fn a_refusal_keeps_what_it_says_about_being_applied() {
        let problem = Problem::from(Refusal::unknown(ErrorCode::Unavailable, "gone"));
        assert_eq!((problem.status, problem.applied), (503, Applied::Unknown));
        assert!(problem.retryable);
    }
}
