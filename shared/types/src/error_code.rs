//! One list of what can go wrong for a caller, with what the caller may do about it.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Whether a failed operation took effect. Part of every error, because it decides whether a caller
/// may simply try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Applied {
    /// Certainly nothing happened.
    No,
    /// It may have happened, or may happen yet before its deadline.
    Unknown,
}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:literal, retryable: $retry:literal;)*) => {
        /// Why an operation was refused or failed. The text form stands in problem documents.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum ErrorCode { $($(#[$doc])* $name,)* }

        impl ErrorCode {
            /// Every code, for documents and tests.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The form in which users see it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub fn http_status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// True if the same request may succeed later, unchanged.
            #[must_use]
            pub fn retryable(self) -> bool {
                match self { $(Self::$name => $retry,)* }
            }
        }
    };
}

error_codes! {
    /// A field has a wrong value, or the body is no JSON; `detail` names the field.
    InvalidRequest = "invalid_request", 400, retryable: false;
    /// No such path.
    NotFound = "not_found", 404, retryable: false;
    /// The path exists, the method does not.
    MethodNotAllowed = "method_not_allowed", 405, retryable: false;
    /// No such queue.
    QueueNotFound = "queue_not_found", 404, retryable: false;
    /// The queue exists with other settings.
    QueueExists = "queue_exists", 409, retryable: false;
    /// A receipt that is none of ours, or of another queue.
    InvalidReceipt = "invalid_receipt", 400, retryable: false;
    /// Body, message or batch is over a limit; `detail` names it.
    TooLarge = "too_large", 413, retryable: false;
    /// A content type or encoding that is not taken.
    UnsupportedMediaType = "unsupported_media_type", 415, retryable: false;
    /// The same idempotency key with another request.
    IdempotencyConflict = "idempotency_conflict", 422, retryable: false;
    /// A limit of the queue is reached: messages or bytes.
    QueueFull = "queue_full", 429, retryable: true;
    /// The host has as much to do as it may have; another one may have room.
    Busy = "busy", 503, retryable: true;
    /// The disks of the cluster are too full for this operation.
    DiskFull = "disk_full", 503, retryable: true;
    /// The host takes no commands at the moment: no quorum, starting, or not part of the view.
    NotReady = "not_ready", 503, retryable: true;
    /// No host of the queue's cluster could be reached in time.
    Unavailable = "unavailable", 503, retryable: true;
    /// The manager cannot be reached: queues that exist go on, changes wait.
    ManagerUnavailable = "manager_unavailable", 503, retryable: true;
    /// No cluster has room or is formed yet.
    NoCapacity = "no_capacity", 503, retryable: true;
    /// The deadline passed before an answer came.
    DeadlineExceeded = "deadline_exceeded", 504, retryable: true;
    /// The partition is on another cluster now; carries no message of its own.
    StaleRoute = "stale_route", 503, retryable: true;
    /// An instruction older than one already carried out.
    Fenced = "fenced", 409, retryable: false;
    /// The stored body does not match its checksum; no wrong bytes are handed out.
    Corrupt = "corrupt", 500, retryable: true;
    /// A fault of ours.
    Internal = "internal", 500, retryable: false;
    /// A standard queue has as many messages in flight as it may have; acknowledge or release some.
    TooManyInFlight = "too_many_in_flight", 429, retryable: true;
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An answer that says no: what, why, and whether anything was applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Refusal {
    /// The reason as a code.
    pub code: ErrorCode,
    /// The reason for people; names the field or limit where there is one.
    pub detail: Cow<'static, str>,
    /// Whether the operation may have taken effect.
    pub applied: Applied,
}

impl Refusal {
    /// Refused with certainty that nothing was applied.
    pub fn not_applied(code: ErrorCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
            applied: Applied::No,
        }
    }

    /// Failed without knowing whether it was applied.
    pub fn unknown(code: ErrorCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
            applied: Applied::Unknown,
        }
    }
}
