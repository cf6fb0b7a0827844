//! Bodies that name their message and show any alteration.
//!
//! ```text
//! 0  "shoal "            6 bytes
//! 6  run       8 hex digits, then a blank
//! 15 queue     8 hex digits, then a blank
//! 24 index     8 hex digits, then a blank      (the message's place in the ledger)
//! 33 length    6 hex digits, then a blank
//! 40 filler    letters that follow from the index
//! ```

use bytes::Bytes;

use crate::limits::BODY_BYTES_MIN;

/// Which message a body belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// Tells loads on the same queue apart.
    pub(crate) run: u32,
    /// The queue's place in the plan.
    pub(crate) queue: u32,
    /// The message's place in that queue's ledger.
    pub(crate) index: u32,
}

/// What a received body turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// Byte for byte what was sent under that name.
    Intact(Name),
    /// It names a message, but is not what was sent.
    Altered(Name),
    /// Not a body of a load.
    Foreign,
}

/// The body of a message, `bytes` long (at least [`BODY_BYTES_MIN`]).
pub(crate) fn write(name: Name, bytes: usize) -> Bytes {
    assert!(
        bytes >= BODY_BYTES_MIN,
        "{bytes} bytes cannot name a message"
    );
    let mut body = format!(
        "shoal {:08x} {:08x} {:08x} {bytes:06x} ",
        name.run, name.queue, name.index
    )
    .into_bytes();
    let first = name.index as usize;
    body.extend((0..bytes - body.len()).map(|at| b'a' + ((first + at) % 26) as u8));
    body.into()
}

/// Which message this is, and whether anything about it changed.
pub(crate) fn read(body: &[u8]) -> Read {
    let hex = |from: usize, to: usize| {
        let digits = body.get(from..to).and_then(|d| std::str::from_utf8(d).ok());
        digits.and_then(|d| u32::from_str_radix(d, 16).ok())
    };
    let (true, Some(run), Some(queue), Some(index)) = (
        body.starts_with(b"shoal "),
        hex(6, 14),
        hex(15, 23),
        hex(24, 32),
    ) else {
        return Read::Foreign;
    };
    let name = Name { run, queue, index };
    let length = hex(33, 39).unwrap_or_default() as usize;
    if length == body.len() && length >= BODY_BYTES_MIN && write(name, length) == body {
        Read::Intact(name)
    } else {
        Read::Altered(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: Name = Name {
        run: 0xfeed,
        queue: 3,
        index: 70_000,
    };

    #[test]
    fn a_body_names_its_message() {
        for bytes in [BODY_BYTES_MIN, 41, 1024, 1 << 20] {
            let body = write(NAME, bytes);
            assert_eq!(body.len(), bytes);
            assert_eq!(read(&body), Read::Intact(NAME));
        }
    }

    #[test]
    fn any_changed_byte_behind_the_name_shows() {
        let body = write(NAME, 100);
        for at in 33..100 {
            let mut other = body.to_vec();
            other[at] ^= 1;
            assert_eq!(read(&other), Read::Altered(NAME), "byte {at}");
        }
        assert_eq!(read(&body[..99]), Read::Altered(NAME));
        assert_eq!(read(b"hello"), Read::Foreign);
    }
}
