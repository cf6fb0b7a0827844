//! Who asks.

use shoal_runtime::clock::SystemClock;
use shoal_sqs::{ErrorKind, Incoming, OperationName, SqsError, signature};
use shoal_types::{QueueName, Scope};

use super::credentials::{Keys, Rights};
use crate::app::App;

/// Whoever sent a request.
pub(super) struct Caller {
    /// The account, and the region that the request is for.
    pub(super) scope: Scope,
    rights: Rights,
}

impl Caller {
    /// Finds out who sent a request, as far as this frontend is told to.
    ///
    /// # Errors
    /// As AWS refuses what is not signed, or not by a key that is known.
    pub(super) fn of(app: &App, incoming: &Incoming<'_>) -> Result<Self, SqsError> {
        match &app.keys {
            Keys::Nobodys => Err(nobody()),
            Keys::Anybodys => Ok(Self {
                scope: signature::unverified_scope(incoming),
                rights: Rights::default(),
            }),
            Keys::These(keys) => {
                let now_s = SystemClock::new().now().wall.0 / 1_000_000;
                let signed = signature::verify(incoming, keys, now_s)?;
                Ok(Self {
                    rights: keys.rights(&signed.access_key),
                    scope: signed.scope,
                })
            }
        }
    }

    /// # Errors
    /// `AccessDenied` if its key is not for this operation.
    pub(super) fn check_operation(&self, operation: OperationName) -> Result<(), SqsError> {
        if self.rights.allow(operation) {
            return Ok(());
        }
        let message = format!("This key is not for {}.", operation.as_str());
        Err(SqsError::new(ErrorKind::AccessDenied, message))
    }

    /// # Errors
    /// `AccessDenied` if its key is not for this queue, whether that exists or not.
    pub(super) fn check_queue(&self, queue: &QueueName) -> Result<(), SqsError> {
        if self.rights.reach(queue) {
            return Ok(());
        }
        let message = format!("This key is not for the queue {}.", queue.local());
        Err(SqsError::new(ErrorKind::AccessDenied, message))
    }
}

fn nobody() -> SqsError {
    let message = "This frontend takes no requests of SQS: its setting `credentials` names no keys. Set it to a \
                   key file, or to \"any\" where everybody who can connect may do everything.";
    SqsError::new(ErrorKind::AccessDenied, message)
}
