//! How connections to a host's port end.

use std::{fmt, io};

use crate::frame::{FrameError, Kind};
use crate::metric_names;

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum End {
    Shutdown,
    Replaced,
    Closed,
    Silent,
    NotReading,
    Unexpected(Kind),
    RepeatedId(u64),
    BadFrame(FrameError),
    Io(io::Error),
}

impl End {
    /// Bytes that are no frame are worth a metric: bad hardware, or somebody who tries things out.
    pub(super) fn count(&self) {
        if let Self::BadFrame(error) = self {
            metrics::counter!(metric_names::FRAMES_BAD, "reason" => error.label()).increment(1);
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shutdown => f.write_str("we stop"),
            Self::Replaced => f.write_str("the peer has a newer connection"),
            Self::Closed => f.write_str("closed by the other side"),
            Self::Silent => f.write_str("silent for too long"),
            Self::NotReading => f.write_str("does not read its answers"),
            Self::Unexpected(kind) => write!(f, "{kind:?} frame out of place"),
            Self::RepeatedId(id) => write!(f, "call id {id} used twice at once"),
            Self::BadFrame(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
        }
    }
}
