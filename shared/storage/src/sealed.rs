//! Small files that are written whole: magic, format version, contents, checksum.
//!
//! ```text
//!   0  8  magic
//!   8  4  format version
//!  12     contents (postcard)
//!  -4  4  CRC-32C of everything before
//! ```

use bytes::{Buf, BufMut};
use serde::Serialize;
use serde::de::DeserializeOwned;

const HEAD: usize = 12;

/// Why a sealed file is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealError {
    #[error("its checksum is wrong or it is another kind of file")]
    Damaged,
    #[error("it has format version {0}, this release reads {1}")]
    Version(u32, u32),
}

pub(crate) fn seal<T: Serialize>(magic: &[u8; 8], version: u32, contents: &T) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_slice(magic);
    out.put_u32_le(version);
    let mut out = postcard::to_extend(contents, out).expect("writing to memory does not fail");
    out.put_u32_le(crc32c::crc32c(&out));
    out
}

pub(crate) fn unseal<T: DeserializeOwned>(
    magic: &[u8; 8],
    version: u32,
    bytes: &[u8],
) -> Result<T, SealError> {
    let (mut body, mut crc) = bytes
        .split_last_chunk::<4>()
        .filter(|(body, _)| body.len() >= HEAD && body.starts_with(magic))
        .map(|(body, crc)| (body, &crc[..]))
        .ok_or(SealError::Damaged)?;
    if crc32c::crc32c(body) != crc.get_u32_le() {
        return Err(SealError::Damaged);
    }
    body.advance(magic.len());
    let found = body.get_u32_le();
    if found != version {
        return Err(SealError::Version(found, version));
    }
    postcard::from_bytes(body).map_err(|_| SealError::Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_come_back_and_no_bit_may_differ() {
        let bytes = seal(b"SHOALXYZ", 1, &(5u32, "text"));
        let back: (u32, String) = unseal(b"SHOALXYZ", 1, &bytes).unwrap();
        assert_eq!(back, (5, "text".to_owned()));
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            unseal::<(u32, String)>(b"SHOALXYZ", 1, &bad).unwrap_err();
        }
        for end in 0..bytes.len() {
            unseal::<(u32, String)>(b"SHOALXYZ", 1, &bytes[..end]).unwrap_err();
        }
        assert_eq!(
            unseal::<(u32, String)>(b"SHOALXYZ", 2, &bytes),
            Err(SealError::Version(1, 2))
        );
    }
}
