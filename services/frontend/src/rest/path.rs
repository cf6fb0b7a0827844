//! The queue's name in a path.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use shoal_api::Problem;
use shoal_types::QueueName;

/// The path part, decoded by the router; it may not be UTF-8.
pub(super) type QueuePart = Result<Path<String>, PathRejection>;

/// The name, checked.
pub(super) fn queue_name(part: QueuePart) -> Result<QueueName, Problem> {
    match part {
        Ok(Path(name)) => name.parse().map_err(|e| Problem::invalid("queue", e)),
        Err(rejection) => Err(Problem::invalid("queue", rejection.body_text())),
    }
}
