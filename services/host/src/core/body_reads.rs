//! Reading bodies from the log. What was read is the body only if it has the checksum that it was sent
//! with; everything else is an error that says where.

use bytes::Bytes;
use shoal_queue::PlacedBody;
use shoal_storage::{LogReader, ReadError};
use shoal_types::HostId;

/// Why a body cannot be had from its place.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The place cannot be read, or is gone.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
    /// Something else lies there.
    #[error("segment {segment}, offset {offset}: the bytes fail the body's checksum")]
    Damaged {
        /// The segment's number.
        segment: u32,
        /// Bytes from the start of its file.
        offset: u32,
    },
}

/// Reads one body and checks it.
///
/// # Errors
/// If the bytes cannot be read, or are not those that were sent.
pub fn read_body(log: &LogReader, body: &PlacedBody) -> Result<Bytes, BodyError> {
    let bytes = log.body(body.at, body.size)?;
    if is_intact(body, &bytes) {
        Ok(bytes)
    } else {
        let (segment, offset) = (body.at.segment, body.at.offset);
        Err(BodyError::Damaged { segment, offset })
    }
}

/// True if these are the bytes that were sent.
pub(super) fn is_intact(body: &PlacedBody, bytes: &Bytes) -> bool {
    bytes.len() == body.size as usize && crc32c::crc32c(bytes) == body.crc
}

/// What bodies are read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadFor {
    /// To be kept at another place.
    Keeping,
    /// For a peer whose own is damaged.
    Peer(HostId),
}

/// Bodies to be read on a thread that may wait for a disk.
pub struct BodyReads {
    pub(super) reason: ReadFor,
    pub(super) bodies: Vec<PlacedBody>,
}

/// What came of it, for [`Core::on_bodies_read`](super::Core::on_bodies_read).
pub struct BodiesRead {
    pub(super) reason: ReadFor,
    pub(super) found: Vec<(PlacedBody, Result<Bytes, BodyError>)>,
}

impl BodyReads {
    /// Reads them, in order. Blocks.
    #[must_use]
    pub fn run(self, log: &LogReader) -> BodiesRead {
        let bodies = self.bodies.into_iter();
        BodiesRead {
            reason: self.reason,
            found: bodies.map(|body| (body, read_body(log, &body))).collect(),
        }
    }

    /// Bytes that are read.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bodies.iter().map(|body| u64::from(body.size)).sum()
    }
}
