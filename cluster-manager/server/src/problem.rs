//! Errors of the inside as the API tells them.

use shoal_api::Problem;
use shoal_types::{Applied, ErrorCode, QueueName};

use crate::store::StoreError;

/// The store does not answer. Whether a write was made is not known.
pub(crate) fn store_problem(error: &StoreError) -> Problem {
    let code = match error {
        StoreError::Failed(_) => ErrorCode::Unavailable,
        StoreError::Corrupt { .. } => ErrorCode::Internal,
    };
    Problem::new(code, error.to_string()).applied(Applied::Unknown)
}

/// There is no such queue.
pub(crate) fn queue_not_found(name: &QueueName) -> Problem {
    Problem::new(
        ErrorCode::QueueNotFound,
        format!("there is no queue {name}"),
    )
}
