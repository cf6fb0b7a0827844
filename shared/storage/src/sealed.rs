//! Small files that are written whole: magic, format version, contents, checksum. The seal is the same
//! whatever the version says of the contents.
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

use crate::disk_version::UnknownFormat;

const HEAD: usize = 12;

/// Why a sealed file is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealError {
    #[error("its checksum is wrong or it is another kind of file")]
    Damaged,
    #[error("{0}")]
    Format(UnknownFormat),
}

pub(crate) fn seal<T: Serialize>(magic: &[u8; 8], version: u32, contents: &T) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_slice(magic);
    out.put_u32_le(version);
    let mut out = postcard::to_extend(contents, out).expect("writing to memory does not fail");
    out.put_u32_le(crc32c::crc32c(&out));
    out
}

/// The format version of sealed bytes, and their contents.
pub(crate) fn unseal<'a>(magic: &[u8; 8], bytes: &'a [u8]) -> Result<(u32, &'a [u8]), SealError> {
    let (mut body, mut crc) = bytes
        .split_last_chunk::<4>()
        .filter(|(body, _)| body.len() >= HEAD && body.starts_with(magic))
        .map(|(body, crc)| (body, &crc[..]))
        .ok_or(SealError::Damaged)?;
    if crc32c::crc32c(body) != crc.get_u32_le() {
        return Err(SealError::Damaged);
    }
    body.advance(magic.len());
    let version = body.get_u32_le();
    Ok((version, body))
}

/// Contents of the type that their version says.
pub(crate) fn contents<T: DeserializeOwned>(contents: &[u8]) -> Result<T, SealError> {
    postcard::from_bytes(contents).map_err(|_| SealError::Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_come_back_and_no_bit_may_differ() {
        let bytes = seal(b"SHOALXYZ", 7, &(5u32, "text"));
        let (version, sealed) = unseal(b"SHOALXYZ", &bytes).unwrap();
        let back: (u32, String) = contents(sealed).unwrap();
        assert_eq!((version, back), (7, (5, "text".to_owned())));
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            unseal(b"SHOALXYZ", &bad).unwrap_err();
        }
        for end in 0..bytes.len() {
            unseal(b"SHOALXYZ", &bytes[..end]).unwrap_err();
        }
        unseal(b"SHOALABC", &bytes).unwrap_err();
    }
}
