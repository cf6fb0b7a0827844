//! How a value lies in the file.
//!
//! ```text
//!  u32 LE   CRC-32C over the key and everything below
//!  u64 LE   revision of the write
//!  bytes    the value
//! ```
//! The store below has checksums of its own, but checks them only when it repairs itself. This one is
//! checked at every read, and since it covers the key, a value in another's place is found too.

use shoal_types::Revision;

use super::{StoreError, Stored};

const CRC_BYTES: usize = 4;
const HEADER_BYTES: usize = CRC_BYTES + 8;

pub(super) fn encode(key: &str, revision: Revision, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + value.len());
    bytes.extend_from_slice(&[0; CRC_BYTES]);
    bytes.extend_from_slice(&revision.0.to_le_bytes());
    bytes.extend_from_slice(value);
    let crc = crc(key, &bytes[CRC_BYTES..]);
    bytes[..CRC_BYTES].copy_from_slice(&crc.to_le_bytes());
    bytes
}

pub(super) fn decode(key: &str, bytes: &[u8]) -> Result<Stored, StoreError> {
    let corrupt = |why| StoreError::Corrupt {
        key: key.to_owned(),
        why,
    };
    let Some((stored_crc, rest)) = bytes.split_first_chunk::<CRC_BYTES>() else {
        return Err(corrupt("shorter than its checksum"));
    };
    let Some((revision, value)) = rest.split_first_chunk::<8>() else {
        return Err(corrupt("shorter than its revision"));
    };
    if u32::from_le_bytes(*stored_crc) != crc(key, rest) {
        return Err(corrupt("the checksum does not match"));
    }
    Ok(Stored {
        value: value.to_vec(),
        revision: Revision(u64::from_le_bytes(*revision)),
    })
}

fn crc(key: &str, rest: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key.as_bytes()), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_every_cut_and_another_key_is_found() {
        let bytes = encode("queues/a", Revision(7), b"value");
        let stored = Stored {
            value: b"value".to_vec(),
            revision: Revision(7),
        };
        assert_eq!(decode("queues/a", &bytes), Ok(stored));
        assert!(decode("queues/b", &bytes).is_err());
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(decode("queues/a", &damaged).is_err(), "bit {bit}");
        }
        for end in 0..bytes.len() {
            assert!(decode("queues/a", &bytes[..end]).is_err(), "cut at {end}");
        }
    }
}
