//! The queue's name in a path.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use shoal_api::Problem;
use shoal_types::{QueueName, Scope};

/// The path part, decoded by the router; it may not be UTF-8.
pub(super) type QueuePart = Result<Path<String>, PathRejection>;

/// The name, checked. Who uses this API is in the default scope.
pub(super) fn queue_name(part: QueuePart) -> Result<QueueName, Problem> {
    match part {
        Ok(Path(name)) => QueueName::new(&Scope::default(), &name)
            .map_err(|error| Problem::invalid("queue", error)),
        Err(rejection) => Err(Problem::invalid("queue", rejection.body_text())),
    }
}
