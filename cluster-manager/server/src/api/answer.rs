//! One request from its head to its answer.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use shoal_api::Problem;
use shoal_types::ErrorCode;
use tokio::time::Instant;
use tracing::{debug, error};

use crate::metric_names;

/// Runs an operation and makes its result an answer, counted and timed.
pub(super) async fn answer(
    operation: &'static str,
    run: impl Future<Output = Result<Response, Problem>>,
) -> Response {
    let started = Instant::now();
    let response = count(operation, run.await);
    metrics::histogram!(metric_names::REQUEST_SECONDS, "operation" => operation)
        .record(started.elapsed().as_secs_f64());
    response
}

/// Makes a result an answer and counts it.
pub(super) fn count(operation: &'static str, result: Result<Response, Problem>) -> Response {
    let (label, response) = match result {
        Ok(response) => ("ok", response),
        Err(problem) => {
            if problem.code == ErrorCode::Internal {
                error!(operation, %problem, "request failed");
            } else {
                debug!(operation, %problem, "request refused");
            }
            (problem.code.as_str(), problem.to_response().map(Body::from))
        }
    };
    metrics::counter!(metric_names::REQUESTS, "operation" => operation, "result" => label)
        .increment(1);
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
