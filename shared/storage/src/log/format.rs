//! The bytes of a segment, formats 1 and 2. All numbers are little endian.
//!
//! ```text
//! segment file (name: 10 digits of its number, ".segment")
//! +---------------------------+ 0
//! | segment header            |
//! +---------------------------+ 4096
//! | block, padded with zeros  |   one group commit: one write, one sync
//! | to a multiple of 4096     |
//! +---------------------------+
//! | block                     |   written only after the block before it is durable
//! +---------------------------+
//! | …                         |
//! | zeros, or what a used     |
//! | file held before          |
//! +---------------------------+ size of the segment
//!
//! segment header                          block header
//!   0  8  magic "SHOALLOG"                  0  8  salt of the segment
//!   8  4  format version                    8  8  LSN of the first record
//!  12  4  number of the segment            16  4  number of records
//!  16  8  salt                             20  4  length in bytes, with this header,
//!  24  8  owner (host id)                         without the padding
//!  32  8  LSN of the first record          24  4  chain before this block
//!  40  4  chain before the first block     28  4  chain after this block
//!  44  4  CRC-32C of bytes 0 to 43         32  4  CRC-32C of bytes 0 to 31
//! from format 2 on, behind it
//!  48  4  bytes of the file
//!  52  4  CRC-32C of bytes 0 to 51
//!
//! record: header, then the payload at once; the next record follows without padding
//!   0  4  length of the payload
//!   4  1  kind (the driver's)
//!   5  3  zeros
//!   8  8  LSN
//!  16  8  tag: view
//!  24  8  tag: lane
//!  32  8  tag: index
//!  40  4  CRC-32C of: salt, from format 2 on the format version (4 bytes), bytes 0 to 39, payload
//!  44     payload
//! ```
//!
//! Bytes 0 to 47 are the same in every format, so that a release tells a segment of a later one, whose
//! format it does not know, from a damaged one. Format 2 is of the release after this one,
//! as it is rehearsed (`services/host/src/next_release.rs`).
//!
//! The **salt** is drawn anew for each segment, so nothing that a used file held before passes for a
//! block of this segment, nor does a message that contains the bytes of a segment.
//!
//! The **chain** is CRC-32C over the record checksums, from the first record of the log on: each block
//! and each segment header says on top of exactly which contents it was written. A segment's header
//! therefore proves where the segment before it ends, and that everything up to there was durable.

use bytes::{Buf, BufMut, Bytes};
use shoal_types::{HostId, ViewNumber};

use super::{Lsn, Tag};
use crate::DiskVersion;
use crate::disk_version::{UnknownFormat, Versioned};
use crate::limits::PAGE;

const MAGIC: &[u8; 8] = b"SHOALLOG";
/// Bytes of a segment header that mean something, in any format.
pub(super) const SEGMENT_HEADER: usize = 56;
/// Bytes of it that mean the same in every format.
const SEGMENT_HEADER_COMMON: usize = 48;
/// Bytes of a block header.
pub(super) const BLOCK_HEADER: u32 = 36;
/// Bytes of a record header.
pub(super) const RECORD_HEADER: u32 = 44;

/// The next multiple of [`PAGE`].
pub(super) fn page_up(offset: u32) -> u32 {
    offset.next_multiple_of(PAGE)
}

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub version: DiskVersion,
    pub number: u32,
    pub salt: Salt,
    pub owner: HostId,
    pub first_lsn: Lsn,
    pub chain: Chain,
    /// Bytes of the file when it was begun. Format 1 does not say.
    pub file_bytes: Option<u32>,
}

/// Why a header is none that we can use.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeaderError {
    /// Not a segment, or a damaged one.
    Damaged,
    /// A sound header of a format that is not read.
    Format(UnknownFormat),
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SEGMENT_HEADER);
        out.put_slice(MAGIC);
        out.put_u32_le(self.version.format_of(Versioned::Segment));
        out.put_u32_le(self.number);
        out.put_u64_le(self.salt.0);
        out.put_u64_le(self.owner.0);
        out.put_u64_le(self.first_lsn.0);
        out.put_u32_le(self.chain.0);
        out.put_u32_le(crc32c::crc32c(&out));
        match self.version {
            DiskVersion::V1 => {}
            DiskVersion::V2 => {
                out.put_u32_le(self.file_bytes.expect("known where a segment is begun"));
                out.put_u32_le(crc32c::crc32c(&out));
            }
        }
        out
    }

    /// As a release reads it that knows up to `newest`.
    pub(super) fn decode(
        bytes: &[u8; SEGMENT_HEADER],
        newest: DiskVersion,
    ) -> Result<Self, HeaderError> {
        let common = sealed(&bytes[..SEGMENT_HEADER_COMMON]);
        let fields = common.filter(|fields| fields.starts_with(MAGIC));
        let mut fields = fields.ok_or(HeaderError::Damaged)?;
        fields.advance(MAGIC.len());
        let format = fields.get_u32_le();
        let version = DiskVersion::of_format(Versioned::Segment, format, newest);
        let version = version.map_err(HeaderError::Format)?;
        let file_bytes = match version {
            DiskVersion::V1 => None,
            DiskVersion::V2 => {
                let all = sealed(bytes).ok_or(HeaderError::Damaged)?;
                Some((&all[SEGMENT_HEADER_COMMON..]).get_u32_le())
            }
        };
        Ok(Self {
            version,
            number: fields.get_u32_le(),
            salt: Salt(fields.get_u64_le()),
            owner: HostId(fields.get_u64_le()),
            first_lsn: Lsn(fields.get_u64_le()),
            chain: Chain(fields.get_u32_le()),
            file_bytes,
        })
    }
}

/// What stands before a checksum at the end of these bytes, if that is right.
fn sealed(bytes: &[u8]) -> Option<&[u8]> {
    let (sealed, crc) = bytes.split_last_chunk::<4>()?;
    (crc32c::crc32c(sealed) == u32::from_le_bytes(*crc)).then_some(sealed)
}

/// Distinguishes the contents of one segment from everything else that a file may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Salt(pub u64);

impl Salt {
    /// Differs for each segment of a life, and between lives if their seeds do.
    pub(super) fn new(seed: u64, segment: u32) -> Self {
        Self(super::mix(seed ^ super::mix(u64::from(segment) + 1)))
    }
}

/// CRC-32C over the checksums of all records so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Chain(pub u32);

impl Chain {
    pub(super) fn and(self, record_crc: u32) -> Self {
        Self(crc32c::crc32c_append(self.0, &record_crc.to_le_bytes()))
    }
}

/// What a block says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockHeader {
    pub salt: Salt,
    pub first_lsn: Lsn,
    pub records: u32,
    pub bytes: u32,
    pub chain_before: Chain,
    pub chain_after: Chain,
}

impl BlockHeader {
    pub(super) fn encode(&self) -> [u8; BLOCK_HEADER as usize] {
        let mut out = [0; BLOCK_HEADER as usize];
        let mut left = &mut out[..];
        left.put_u64_le(self.salt.0);
        left.put_u64_le(self.first_lsn.0);
        left.put_u32_le(self.records);
        left.put_u32_le(self.bytes);
        left.put_u32_le(self.chain_before.0);
        left.put_u32_le(self.chain_after.0);
        let crc = crc32c::crc32c(&out[..32]);
        out[32..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// `None` if this is no block header of the segment with this salt.
    pub(super) fn decode(bytes: &[u8], salt: Salt) -> Option<Self> {
        let (mut fields, mut crc) = bytes.get(..BLOCK_HEADER as usize)?.split_at(32);
        let sound =
            fields.starts_with(&salt.0.to_le_bytes()) && crc32c::crc32c(fields) == crc.get_u32_le();
        sound.then(|| Self {
            salt: Salt(fields.get_u64_le()),
            first_lsn: Lsn(fields.get_u64_le()),
            records: fields.get_u32_le(),
            bytes: fields.get_u32_le(),
            chain_before: Chain(fields.get_u32_le()),
            chain_after: Chain(fields.get_u32_le()),
        })
    }

    /// True if bytes that are no block header look like the remains of the one that belongs here:
    /// its salt or its LSN is there.
    pub(super) fn looks_torn(bytes: &[u8], salt: Salt, lsn: Lsn) -> bool {
        bytes.get(..8) == Some(&salt.0.to_le_bytes())
            || bytes.get(8..16) == Some(&lsn.0.to_le_bytes())
    }

    /// The first record after the block.
    pub(super) fn next_lsn(&self) -> Lsn {
        Lsn(self.first_lsn.0 + u64::from(self.records))
    }
}

/// What a record says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub len: u32,
    pub kind: u8,
    pub lsn: Lsn,
    pub tag: Tag,
    pub crc: u32,
}

/// Checks and makes the checksums of one segment's records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checksum {
    /// Over what stands before the record's own bytes.
    start: u32,
}

impl Checksum {
    pub(super) fn new(segment: &SegmentHeader) -> Self {
        let of_salt = crc32c::crc32c(&segment.salt.0.to_le_bytes());
        let start = match segment.version {
            DiskVersion::V1 => of_salt,
            DiskVersion::V2 => {
                let format = segment.version.format_of(Versioned::Segment);
                crc32c::crc32c_append(of_salt, &format.to_le_bytes())
            }
        };
        Self { start }
    }

    fn of<'a>(self, header: &[u8], payload: impl IntoIterator<Item = &'a [u8]>) -> u32 {
        let start = crc32c::crc32c_append(self.start, header);
        payload.into_iter().fold(start, crc32c::crc32c_append)
    }
}

impl RecordHeader {
    /// The header's bytes and the record's checksum.
    pub(super) fn encode(
        lsn: Lsn,
        kind: u8,
        tag: Tag,
        payload: &[Bytes],
        checksum: Checksum,
    ) -> ([u8; RECORD_HEADER as usize], u32) {
        let len: usize = payload.iter().map(Bytes::len).sum();
        let mut out = [0; RECORD_HEADER as usize];
        let mut left = &mut out[..];
        left.put_u32_le(u32::try_from(len).expect("checked against RECORD_BYTES_MAX"));
        left.put_u8(kind);
        left.put_slice(&[0; 3]);
        left.put_u64_le(lsn.0);
        left.put_u64_le(tag.view.0);
        left.put_u64_le(tag.lane.0);
        left.put_u64_le(tag.index);
        let crc = checksum.of(&out[..40], payload.iter().map(|chunk| &chunk[..]));
        out[40..].copy_from_slice(&crc.to_le_bytes());
        (out, crc)
    }

    /// Reads the record at the start of `bytes` and checks it. `None`: damaged, or cut off.
    pub(super) fn decode(bytes: &[u8], checksum: Checksum) -> Option<Self> {
        let (mut header, rest) = bytes.split_at_checked(RECORD_HEADER as usize)?;
        let checked = &header[..40];
        let len = header.get_u32_le();
        let kind = header.get_u8();
        header.advance(3);
        let record = Self {
            len,
            kind,
            lsn: Lsn(header.get_u64_le()),
            tag: Tag {
                view: ViewNumber(header.get_u64_le()),
                lane: HostId(header.get_u64_le()),
                index: header.get_u64_le(),
            },
            crc: header.get_u32_le(),
        };
        let payload = rest.get(..len as usize)?;
        (checksum.of(checked, [payload]) == record.crc).then_some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version: DiskVersion) -> SegmentHeader {
        SegmentHeader {
            version,
            number: 7,
            salt: Salt(0x1234_5678_9abc_def0),
            owner: HostId(3),
            first_lsn: Lsn(9),
            chain: Chain(11),
            file_bytes: (version > DiskVersion::V1).then_some(8192),
        }
    }

    /// As it stands in its page.
    fn padded(header: &SegmentHeader) -> [u8; SEGMENT_HEADER] {
        let mut bytes = header.encode();
        bytes.resize(SEGMENT_HEADER, 0);
        bytes.try_into().unwrap()
    }

    #[test]
    fn headers_come_back_and_no_bit_may_differ() {
        let newest = DiskVersion::V2;
        for version in [DiskVersion::V1, newest] {
            let header = header(version);
            let bytes = padded(&header);
            assert_eq!(SegmentHeader::decode(&bytes, newest), Ok(header));
            for bit in 0..header.encode().len() * 8 {
                let mut bad = bytes;
                bad[bit / 8] ^= 1 << (bit % 8);
                let refused = SegmentHeader::decode(&bad, newest);
                assert_eq!(refused, Err(HeaderError::Damaged));
            }
        }

        let header = header(DiskVersion::V1);
        let block = BlockHeader {
            salt: header.salt,
            first_lsn: Lsn(9),
            records: 2,
            bytes: 500,
            chain_before: Chain(1),
            chain_after: Chain(2),
        };
        let bytes = block.encode();
        assert_eq!(BlockHeader::decode(&bytes, header.salt), Some(block));
        assert_eq!(BlockHeader::decode(&bytes, Salt(1)), None);
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(BlockHeader::decode(&bad, header.salt), None);
            assert!(BlockHeader::looks_torn(&bad, header.salt, Lsn(9)));
        }
    }

    #[test]
    fn a_header_of_a_later_format_is_told_from_a_damaged_one() {
        let later = padded(&header(DiskVersion::V2));
        let refused = SegmentHeader::decode(&later, DiskVersion::V1);
        assert!(matches!(refused, Err(HeaderError::Format(_))));
        // One that nobody knows yet, whatever stands behind what is common to all.
        let mut bytes = [0xa5; SEGMENT_HEADER];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&9u32.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..44]);
        bytes[44..48].copy_from_slice(&crc.to_le_bytes());
        let refused = SegmentHeader::decode(&bytes, DiskVersion::V2);
        assert!(matches!(refused, Err(HeaderError::Format(_))));
    }

    #[test]
    fn a_record_of_one_format_is_none_of_another() {
        let [first, second] = [DiskVersion::V1, DiskVersion::V2].map(header);
        let checksum = Checksum::new(&first);
        let (bytes, _) = RecordHeader::encode(Lsn(1), 3, Tag::NONE, &[], checksum);
        assert!(RecordHeader::decode(&bytes, checksum).is_some());
        assert!(RecordHeader::decode(&bytes, Checksum::new(&second)).is_none());
    }

    #[test]
    fn salts_differ_by_segment_and_by_seed() {
        let mut salts: Vec<u64> = (0..100)
            .flat_map(|seed| (1..100).map(move |segment| Salt::new(seed, segment).0))
            .collect();
        salts.sort_unstable();
        salts.dedup();
        assert_eq!(salts.len(), 100 * 99);
    }
}
