//! One frame on the wire, and nothing about what it means.
//!
//! ```text
//!  u32 LE   length: bytes after this field, 14 to 14 + FRAME_BYTES_MAX
//!  u32 LE   CRC-32C over everything after this field; in version 3 over the length and that
//!  u64 LE   id: the call that a frame belongs to, 0 if none
//!  u8       kind
//!  u8       flags, 0 in this version
//!  bytes    payload
//! ```
//! The length is checked before anything is allocated for it, and a frame that is wrong in any way
//! ends the connection: where one frame is wrong, the place of the next is not known.
//!
//! Frames of the handshake are those of [`HANDSHAKE`], in every release: they agree on the version.

use bytes::{Buf, BufMut, Bytes};
use shoal_types::WireVersion;
use shoal_types::limits::FRAME_BYTES_MAX;

/// The frames that a connection begins with.
pub const HANDSHAKE: WireVersion = WireVersion::V2;

/// Bytes of a frame before its payload.
pub const HEADER_BYTES: usize = LENGTH_BYTES + CRC_BYTES + COVERED_BYTES;
const LENGTH_BYTES: usize = 4;
const CRC_BYTES: usize = 4;
/// Id, kind and flags: what of the header the checksum covers.
const COVERED_BYTES: usize = 10;

/// What a frame is for. The numbers are the wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// First frame of whoever dialled.
    Hello = 1,
    /// The other side takes the connection.
    Welcome = 2,
    /// The other side does not, and closes; the payload says why.
    Refused = 3,
    /// A request to a host.
    Call = 4,
    /// What came of the call with the same id.
    Answer = 5,
    /// Nobody waits for the call with this id any more.
    Cancel = 6,
    /// News from a host that nobody asked for.
    Push = 7,
    /// From one member of a cluster to another.
    Peer = 8,
    /// Are you there?
    Ping = 9,
    /// I am.
    Pong = 10,
}

impl Kind {
    fn from_wire(kind: u8) -> Option<Self> {
        use Kind::{Answer, Call, Cancel, Hello, Peer, Ping, Pong, Push, Refused, Welcome};
        let all = [
            Hello, Welcome, Refused, Call, Answer, Cancel, Push, Peer, Ping, Pong,
        ];
        all.into_iter().find(|k| *k as u8 == kind)
    }
}

/// A frame that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is for.
    pub kind: Kind,
    /// Which call; 0 if none.
    pub id: u64,
    /// What it carries; a slice of what was read.
    pub payload: Bytes,
}

/// Bytes that are no frame of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Shorter than a header or longer than the limit.
    #[error("frame length {0} is out of range")]
    Length(u32),
    /// The checksum does not match.
    #[error("frame checksum is wrong")]
    Checksum,
    /// A kind that this version does not have.
    #[error("frame kind {0} is unknown")]
    Kind(u8),
    /// Flags that this version does not have.
    #[error("frame flags {0:#x} are unknown")]
    Flags(u8),
}

impl FrameError {
    /// All that [`FrameError::label`] says.
    pub(crate) const LABELS: [&str; 4] = ["length", "checksum", "kind", "flags"];

    /// A word for metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Length(_) => "length",
            Self::Checksum => "checksum",
            Self::Kind(_) => "kind",
            Self::Flags(_) => "flags",
        }
    }
}

/// The header for a payload that is given in pieces.
///
/// # Panics
/// If the payload is over [`FRAME_BYTES_MAX`]; whoever makes payloads checks that.
#[must_use]
pub fn header(version: WireVersion, kind: Kind, id: u64, payload: &[Bytes]) -> [u8; HEADER_BYTES] {
    let payload_bytes: usize = payload.iter().map(Bytes::len).sum();
    assert!(
        payload_bytes <= FRAME_BYTES_MAX,
        "a payload of {payload_bytes} bytes"
    );
    let mut covered = [0; COVERED_BYTES];
    (&mut covered[..]).put_u64_le(id);
    covered[8] = kind as u8;
    let length = (CRC_BYTES + COVERED_BYTES + payload_bytes) as u32;
    let crc = crc32c::crc32c_append(before(version, length), &covered);
    let crc = payload
        .iter()
        .fold(crc, |crc, piece| crc32c::crc32c_append(crc, piece));
    let mut header = [0; HEADER_BYTES];
    let mut rest = &mut header[..];
    rest.put_u32_le(length);
    rest.put_u32_le(crc);
    rest.put_slice(&covered);
    header
}

/// What the checksum covers before everything that follows it.
fn before(version: WireVersion, length: u32) -> u32 {
    match version {
        WireVersion::V2 => crc32c::crc32c(&[]),
        WireVersion::V3 => crc32c::crc32c(&length.to_le_bytes()),
    }
}

/// Bytes of the whole frame that begins with `start`, once its length is there.
///
/// # Errors
/// If the length is that of no frame with a payload of at most `payload_max` bytes.
pub fn total_bytes(start: &[u8], payload_max: usize) -> Result<Option<usize>, FrameError> {
    let Some(length) = start.first_chunk::<LENGTH_BYTES>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes(*length);
    let range = CRC_BYTES + COVERED_BYTES..=CRC_BYTES + COVERED_BYTES + payload_max;
    if range.contains(&(length as usize)) {
        Ok(Some(LENGTH_BYTES + length as usize))
    } else {
        Err(FrameError::Length(length))
    }
}

/// Reads a whole frame of as many bytes as [`total_bytes`] said.
///
/// # Errors
/// If checksum, kind or flags are wrong.
pub fn decode(version: WireVersion, mut frame: Bytes) -> Result<Frame, FrameError> {
    let length = frame.get_u32_le();
    if frame.get_u32_le() != crc32c::crc32c_append(before(version, length), &frame) {
        return Err(FrameError::Checksum);
    }
    let (id, kind, flags) = (frame.get_u64_le(), frame.get_u8(), frame.get_u8());
    if flags != 0 {
        return Err(FrameError::Flags(flags));
    }
    let kind = Kind::from_wire(kind).ok_or(FrameError::Kind(kind))?;
    Ok(Frame {
        kind,
        id,
        payload: frame,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSIONS: [WireVersion; 2] = [WireVersion::V2, WireVersion::V3];

    fn frame(version: WireVersion) -> Vec<u8> {
        let payload = Bytes::from_static(b"a payload");
        let mut bytes = header(version, Kind::Call, 77, std::slice::from_ref(&payload)).to_vec();
        bytes.extend_from_slice(&payload);
        bytes
    }

    #[test]
    fn a_frame_comes_back_as_it_was() {
        for version in VERSIONS {
            let bytes = frame(version);
            assert_eq!(total_bytes(&bytes, FRAME_BYTES_MAX), Ok(Some(bytes.len())));
            let payload = Bytes::from_static(b"a payload");
            assert_eq!(
                decode(version, bytes.into()),
                Ok(Frame {
                    kind: Kind::Call,
                    id: 77,
                    payload
                })
            );
        }
    }

    #[test]
    fn a_frame_of_one_version_is_none_of_another() {
        for (written, read) in [(VERSIONS[0], VERSIONS[1]), (VERSIONS[1], VERSIONS[0])] {
            let refused = decode(read, frame(written).into());
            assert_eq!(refused, Err(FrameError::Checksum));
        }
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        for version in VERSIONS {
            every_flipped_bit_is_refused_in(version);
        }
    }

    fn every_flipped_bit_is_refused_in(version: WireVersion) {
        let good = frame(version);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let whole = total_bytes(&bad, 1 << 20);
            let refused = match whole {
                Ok(Some(total)) if total == bad.len() => decode(version, bad.into()).is_err(),
                // Another length: either out of range, or the frame ends elsewhere and its checksum
                // covers other bytes.
                _ => true,
            };
            assert!(refused, "bit {bit}");
        }
    }

    #[test]
    fn lengths_out_of_range_are_refused_as_soon_as_they_are_read() {
        let limit = (CRC_BYTES + COVERED_BYTES + 100) as u32;
        for length in [0, 1, 13, limit + 1, u32::MAX] {
            let start = length.to_le_bytes();
            assert_eq!(total_bytes(&start, 100), Err(FrameError::Length(length)));
        }
        assert_eq!(
            total_bytes(&limit.to_le_bytes(), 100),
            Ok(Some(LENGTH_BYTES + limit as usize))
        );
        assert_eq!(total_bytes(&[1, 2, 3], 100), Ok(None));
    }

    #[test]
    fn kinds_and_flags_of_other_versions_are_refused() {
        let resealed = |at: usize, value: u8| {
            let mut bytes = frame(HANDSHAKE);
            bytes[at] = value;
            let crc = crc32c::crc32c(&bytes[8..]);
            bytes[4..8].copy_from_slice(&crc.to_le_bytes());
            decode(HANDSHAKE, bytes.into()).unwrap_err()
        };
        assert_eq!(resealed(16, 0), FrameError::Kind(0));
        assert_eq!(resealed(16, 99), FrameError::Kind(99));
        assert_eq!(resealed(17, 1), FrameError::Flags(1));
    }
}
