//! What an entry carries: bytes that the engine never looks into.

use std::fmt;

use bytes::{Bytes, BytesMut};

/// The commands of one entry, as bytes in chunks: their concatenation counts, not where it is cut.
/// Cloning copies pointers.
#[derive(Clone, Default)]
pub struct Payload {
    chunks: Vec<Bytes>,
    len: usize,
    crc: u32,
}

impl Payload {
    /// Takes chunks as they are; nothing is copied.
    #[must_use]
    pub fn new(chunks: Vec<Bytes>) -> Self {
        let mut len = 0;
        let mut crc = 0;
        for chunk in &chunks {
            len += chunk.len();
            crc = crc32c::crc32c_append(crc, chunk);
        }
        Self { chunks, len, crc }
    }

    /// The pieces, in order.
    #[must_use]
    pub fn chunks(&self) -> &[Bytes] {
        &self.chunks
    }

    /// Bytes of all pieces together.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if there is no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// CRC-32C over all pieces. Travels with the entry, so that every host checks what it got.
    #[must_use]
    pub fn crc(&self) -> u32 {
        self.crc
    }

    /// All bytes in one piece; copies only if there are several pieces. What came over the wire or
    /// from the log always is one piece.
    #[must_use]
    pub fn contiguous(&self) -> Bytes {
        if let [only] = &self.chunks[..] {
            return only.clone();
        }
        let mut all = BytesMut::with_capacity(self.len);
        for chunk in &self.chunks {
            all.extend_from_slice(chunk);
        }
        all.freeze()
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self::new(vec![bytes])
    }
}

/// By content, wherever the pieces are cut.
impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.crc == other.crc && same_bytes(&self.chunks, &other.chunks)
    }
}

/// Compares two lists of chunks of equal length in total, piece by piece.
fn same_bytes(a: &[Bytes], b: &[Bytes]) -> bool {
    let (mut a, mut b) = (a.iter(), b.iter());
    let (mut left, mut right): (&[u8], &[u8]) = (&[], &[]);
    loop {
        if left.is_empty() {
            match a.next() {
                Some(chunk) => left = chunk,
                None => return true,
            }
        } else if right.is_empty() {
            match b.next() {
                Some(chunk) => right = chunk,
                None => return false,
            }
        } else {
            let common = left.len().min(right.len());
            if left[..common] != right[..common] {
                return false;
            }
            (left, right) = (&left[common..], &right[common..]);
        }
    }
}

impl Eq for Payload {}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes, crc {:08x})", self.len, self.crc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_ignores_where_the_pieces_are_cut() {
        let one = Payload::from(Bytes::from_static(b"abcdef"));
        let two = Payload::new(vec!["abc".into(), Bytes::new(), "def".into()]);
        assert_eq!(one, two);
        assert_eq!(one.crc(), two.crc());
        assert_eq!(two.contiguous(), Bytes::from_static(b"abcdef"));
        assert_ne!(one, Payload::from(Bytes::from_static(b"abcdeg")));
    }
}
