//! Why a call has no answer.

use std::borrow::Cow;

use shoal_types::{Applied, ErrorCode, Refusal};

/// A call without an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {detail}")]
pub struct CallError {
    /// What went wrong.
    pub kind: CallErrorKind,
    /// `No` if not a byte of the call was written to a connection.
    pub applied: Applied,
    /// For people.
    pub detail: Cow<'static, str>,
}

/// What went wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum CallErrorKind {
    /// The host could not be reached, or is not the one that was meant. Nothing was sent.
    #[error("cannot connect")]
    Connect,
    /// The connection broke while the answer was awaited.
    #[error("connection closed")]
    Closed,
    /// The deadline passed.
    #[error("timed out")]
    TimedOut,
    /// Too much is under way to this host already. Nothing was sent.
    #[error("busy")]
    Busy,
    /// The call is over the limit of a frame. Nothing was sent.
    #[error("too large")]
    TooLarge,
    /// The answer cannot be read.
    #[error("malformed answer")]
    Malformed,
}

impl CallError {
    pub(super) fn new(
        kind: CallErrorKind,
        applied: Applied,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            kind,
            applied,
            detail: detail.into(),
        }
    }

    pub(super) fn not_sent(kind: CallErrorKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(kind, Applied::No, detail)
    }

    pub(super) fn closed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(CallErrorKind::Closed, Applied::Unknown, detail)
    }
}

impl From<CallError> for Refusal {
    /// What a caller further out is told.
    fn from(error: CallError) -> Self {
        let code = match error.kind {
            CallErrorKind::Connect | CallErrorKind::Closed => ErrorCode::Unavailable,
            CallErrorKind::TimedOut => ErrorCode::DeadlineExceeded,
            CallErrorKind::Busy => ErrorCode::Busy,
            CallErrorKind::TooLarge => ErrorCode::TooLarge,
            CallErrorKind::Malformed => ErrorCode::Internal,
        };
        Self {
            code,
            applied: error.applied,
            detail: error.to_string().into(),
        }
    }
}
