//! What can go wrong for a caller.

use shoal_api::Problem;
use shoal_types::Applied;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The service said no; the problem says why, and whether anything was applied.
    #[error(transparent)]
    Refused(#[from] Problem),
    /// No answer came: no connection, or it broke.
    #[error("no answer from the service")]
    Connection(#[source] reqwest::Error),
    /// An answer came that this client does not understand.
    #[error("the service answered something unexpected: {0}")]
    Unexpected(String),
}

impl ClientError {
    /// Whether the call may have taken effect.
    #[must_use]
    pub fn applied(&self) -> Applied {
        match self {
            Self::Refused(problem) => problem.applied,
            Self::Connection(error) if error.is_connect() || error.is_builder() => Applied::No,
            Self::Connection(_) | Self::Unexpected(_) => Applied::Unknown,
        }
    }

    /// True if the same call may succeed later, unchanged.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Refused(problem) => problem.retryable,
            Self::Connection(_) => true,
            Self::Unexpected(_) => false,
        }
    }
}
