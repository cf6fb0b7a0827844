//! What the rest of the frontend finds wrong, in SQS's words. This is the only place where the two lists of
//! errors meet.

use shoal_api::Problem;
use shoal_sqs::{ErrorKind, SqsError};
use shoal_types::ErrorCode;

/// The error that a problem is to clients of SQS.
///
/// What may go well a moment later is `ServiceUnavailable` with status 503 and nothing else, although SQS
/// has `RequestThrottled`: every SDK, however old, tries again after a 5xx, with pauses that grow. Their
/// lists of codes that mean "slow down" differ, and the status of `RequestThrottled` is 403, which one that
/// does not know the code gives up on. That the operation may have taken effect is nothing new to clients
/// of SQS: repeating it is what they do.
pub(super) fn error(problem: &Problem) -> SqsError {
    let detail = problem.detail.clone();
    let kind = match problem.code {
        ErrorCode::QueueNotFound => return SqsError::no_such_queue(),
        ErrorCode::QueueExists => ErrorKind::QueueNameExists,
        ErrorCode::InvalidReceipt => ErrorKind::ReceiptHandleIsInvalid,
        ErrorCode::InvalidRequest | ErrorCode::IdempotencyConflict => {
            ErrorKind::InvalidParameterValue
        }
        ErrorCode::TooLarge => ErrorKind::RequestTooLarge,
        ErrorCode::UnsupportedMediaType => ErrorKind::MalformedQueryString,
        ErrorCode::NotFound | ErrorCode::MethodNotAllowed => ErrorKind::InvalidAction,
        // The queue's own bound, which its owner chose: it does not help to try again at once, and 403
        // keeps SDKs from doing so. Somebody has to consume.
        ErrorCode::QueueFull => ErrorKind::OverLimit,
        ErrorCode::TooManyInFlight => ErrorKind::OverLimit,
        ErrorCode::Busy
        | ErrorCode::DiskFull
        | ErrorCode::NotReady
        | ErrorCode::Unavailable
        | ErrorCode::ManagerUnavailable
        | ErrorCode::NoCapacity
        | ErrorCode::DeadlineExceeded
        | ErrorCode::StaleRoute
        | ErrorCode::Fenced => ErrorKind::ServiceUnavailable,
        ErrorCode::Corrupt | ErrorCode::Internal => ErrorKind::InternalFailure,
    };
    SqsError::new(kind, detail)
}

#[cfg(test)]
mod tests {
    use shoal_sqs::Fault;

    use super::*;

    #[test]
    fn what_may_be_tried_again_says_so_in_every_sdks_language() {
        for &code in ErrorCode::ALL {
            let error = error(&Problem::new(code, "x"));
            let tried_again = error.kind.http_status() >= 500;
            assert_eq!(tried_again, error.kind.fault() == Fault::Receiver, "{code}");
            // A full queue waits for its consumers; an instruction that was overtaken can be given again.
            let differs = matches!(
                code,
                ErrorCode::QueueFull
                    | ErrorCode::TooManyInFlight
                    | ErrorCode::Fenced
                    | ErrorCode::Internal
            );
            assert_eq!(tried_again, code.retryable() != differs, "{code}");
        }
    }
}
