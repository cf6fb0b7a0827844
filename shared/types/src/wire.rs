//! A head that is encoded and bodies that are only carried: the one shape of everything that goes
//! over the wire or into the log.
//!
//! ```text
//!  u32 LE   head length
//!  bytes    head (postcard)
//!  u32 LE   number of bodies
//!  u32 LE   length of each body
//!  bytes    the bodies, one after the other
//! ```
//! Bodies are never copied by encoding (a frame is a list of chunks) nor by decoding (they are
//! slices of what was received).

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits::FRAME_BYTES_MAX;

/// A decoded head and the bodies behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame<T> {
    /// What was encoded.
    pub head: T,
    /// What was carried.
    pub bodies: Vec<Bytes>,
    /// Bytes from the start of the frame to its first body.
    pub bodies_at: usize,
}

/// Why bytes are no frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end before the frame does.
    #[error("frame is cut off: {0}")]
    Truncated(&'static str),
    /// Bytes after the end of the frame.
    #[error("{0} bytes after the end of the frame")]
    Trailing(usize),
    /// A count or length that no frame of ours has.
    #[error("frame is over the limit of {FRAME_BYTES_MAX} bytes")]
    TooLarge,
    /// The head is not of the expected type.
    #[error("head cannot be read: {0}")]
    Head(String),
}

/// Encodes head and bodies as chunks: one for the head and the lengths, then the bodies themselves
/// (empty ones give no chunk).
///
/// # Panics
/// If a body or the head is over 4 GiB; limits are checked long before.
pub fn encode_frame<T: Serialize + ?Sized>(head: &T, bodies: &[Bytes]) -> Vec<Bytes> {
    let u32_of = |n: usize| u32::try_from(n).expect("lengths are limited long before");
    let mut start = BytesMut::with_capacity(96 + 4 * bodies.len());
    start.put_u32_le(0);
    let mut writer = start.writer();
    postcard::to_io(head, &mut writer).expect("writing to memory does not fail");
    let mut start = writer.into_inner();
    let head_len = u32_of(start.len() - 4);
    start[..4].copy_from_slice(&head_len.to_le_bytes());
    start.put_u32_le(u32_of(bodies.len()));
    for body in bodies {
        start.put_u32_le(u32_of(body.len()));
    }
    let mut chunks = Vec::with_capacity(1 + bodies.len());
    chunks.push(start.freeze());
    chunks.extend(bodies.iter().filter(|b| !b.is_empty()).cloned());
    chunks
}

/// Copies chunks into one piece; for small frames and tests.
#[must_use]
pub fn join(chunks: &[Bytes]) -> Bytes {
    let mut all = BytesMut::with_capacity(chunks.iter().map(Bytes::len).sum());
    for chunk in chunks {
        all.put_slice(chunk);
    }
    all.freeze()
}

/// Decodes a frame that fills `bytes` exactly.
///
/// # Errors
/// If the bytes are cut off, too many, over the limit, or the head is of another type.
pub fn decode_frame<T: DeserializeOwned>(bytes: Bytes) -> Result<Frame<T>, WireError> {
    let (frame, rest) = decode_frame_prefix(bytes)?;
    if rest.is_empty() {
        Ok(frame)
    } else {
        Err(WireError::Trailing(rest.len()))
    }
}

/// Decodes the frame at the start of `bytes` and gives back what comes after it.
///
/// # Errors
/// As [`decode_frame`], except that bytes may follow.
pub fn decode_frame_prefix<T: DeserializeOwned>(
    mut bytes: Bytes,
) -> Result<(Frame<T>, Bytes), WireError> {
    let head_len = take_u32(&mut bytes, "head length")?;
    let head = take(&mut bytes, head_len, "head")?;
    let (head, unread) =
        postcard::take_from_bytes(&head).map_err(|e| WireError::Head(e.to_string()))?;
    if !unread.is_empty() {
        return Err(WireError::Head(format!("{} bytes too many", unread.len())));
    }
    let count = take_u32(&mut bytes, "number of bodies")?;
    let mut lengths = take(&mut bytes, count.saturating_mul(4), "lengths of bodies")?;
    let bodies_at = 4 + head_len + 4 + lengths.len();
    let mut bodies = Vec::with_capacity(count);
    while !lengths.is_empty() {
        let length = take_u32(&mut lengths, "length of a body")?;
        bodies.push(take(&mut bytes, length, "body")?);
    }
    Ok((
        Frame {
            head,
            bodies,
            bodies_at,
        },
        bytes,
    ))
}

fn take_u32(bytes: &mut Bytes, what: &'static str) -> Result<usize, WireError> {
    let four = take(bytes, 4, what)?;
    Ok(u32::from_le_bytes(four[..].try_into().expect("4 bytes")) as usize)
}

fn take(bytes: &mut Bytes, len: usize, what: &'static str) -> Result<Bytes, WireError> {
    if len > FRAME_BYTES_MAX {
        return Err(WireError::TooLarge);
    }
    if len > bytes.len() {
        return Err(WireError::Truncated(what));
    }
    Ok(bytes.split_to(len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_carried_not_copied() {
        let body = Bytes::from(vec![7u8; 1000]);
        let chunks = encode_frame(&("head", 5u32), &[body.clone(), Bytes::new()]);
        assert_eq!(chunks[1].as_ptr(), body.as_ptr());
        let frame = decode_frame::<(String, u32)>(join(&chunks)).unwrap();
        assert_eq!(frame.head, ("head".to_owned(), 5));
        assert_eq!(frame.bodies, vec![body, Bytes::new()]);
        assert_eq!(frame.bodies_at, chunks[0].len());
    }

    #[test]
    fn every_cut_and_every_tail_is_refused() {
        let whole = join(&encode_frame(&7u64, &[Bytes::from_static(b"abc")]));
        for end in 0..whole.len() {
            assert!(decode_frame::<u64>(whole.slice(..end)).is_err(), "{end}");
        }
        let longer = join(&[whole, Bytes::from_static(b"x")]);
        assert_eq!(decode_frame::<u64>(longer), Err(WireError::Trailing(1)));
    }

    #[test]
    fn a_count_of_four_billion_allocates_nothing() {
        let mut bytes = vec![1, 0, 0, 0, 5];
        bytes.extend(u32::MAX.to_le_bytes());
        assert_eq!(decode_frame::<u8>(bytes.into()), Err(WireError::TooLarge));
    }
}
