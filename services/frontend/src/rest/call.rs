//! One request from its head to its answer: its name, its clock, its metrics.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode, header};
use metrics::{counter, histogram};
use serde::Serialize;
use shoal_api::Problem;
use shoal_types::{Applied, ErrorCode, RequestId};
use tokio::time::Instant;
use tracing::{debug, error};

use crate::metric_names;

/// Names a request, in answers and in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A request under way.
pub(super) struct Call {
    pub(super) started: Instant,
    /// What it is about; a metric's label.
    operation: &'static str,
    id: RequestId,
}

impl Call {
    pub(super) fn begin(operation: &'static str) -> Self {
        Self {
            started: Instant::now(),
            operation,
            id: RequestId(rand::random()),
        }
    }

    /// The answer, counted and named.
    pub(super) fn finish(self, result: Result<Response, Problem>) -> Response {
        let (outcome, mut response) = match result {
            Ok(response) => ("ok", response),
            Err(problem) => {
                self.log(&problem);
                let problem = problem.request(self.id);
                (problem.code.as_str(), answer(&problem))
            }
        };
        counter!(metric_names::REQUESTS, "operation" => self.operation, "result" => outcome)
            .increment(1);
        histogram!(metric_names::REQUEST_SECONDS, "operation" => self.operation)
            .record(self.started.elapsed().as_secs_f64());
        let id = HeaderValue::try_from(self.id.to_string()).expect("hex digits");
        response.headers_mut().insert(REQUEST_ID, id);
        response
    }

    /// Faults of ours always; what clients do wrong only for those who look.
    fn log(&self, problem: &Problem) {
        let (request, operation) = (self.id, self.operation);
        if matches!(problem.code, ErrorCode::Internal | ErrorCode::Corrupt) {
            error!(%request, operation, %problem, "request failed");
        } else {
            let in_doubt = problem.applied == Applied::Unknown;
            debug!(%request, operation, %problem, in_doubt, "request refused");
        }
    }
}

/// The answer that carries a problem. Clients that do not know the document know `Retry-After`.
fn answer(problem: &Problem) -> Response {
    let mut response = problem.to_response().map(Body::from);
    if problem.retryable && matches!(problem.status, 429 | 503) {
        // A second, or two: those who are refused together shall not come back together.
        let seconds = HeaderValue::from(rand::random_range(1..=2u16));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

/// An answer in JSON.
pub(super) fn json<T: Serialize>(status: StatusCode, body: &T) -> Response {
    let body = serde_json::to_vec(body).expect("bodies have only string keys");
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}

/// An answer without a body.
pub(super) fn no_content() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
