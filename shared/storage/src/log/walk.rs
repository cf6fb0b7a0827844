//! Reads a segment block by block and checks everything on the way.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::block::Placed;
use super::format::{
    BLOCK_HEADER, BlockHeader, Chain, Checksum, RECORD_HEADER, RecordHeader, Salt, SegmentHeader,
    page_up,
};
use super::segment::End;
use super::{LogRecord, Lsn};
use crate::DiskFile;
use crate::limits::{BLOCK_BYTES_MAX, PAGE, RECORD_BYTES_MAX};

/// No block is larger; checked before anything is allocated for one.
const LARGEST_BLOCK: u32 = {
    let of_one_record = BLOCK_HEADER + RECORD_HEADER + RECORD_BYTES_MAX;
    if of_one_record > BLOCK_BYTES_MAX {
        of_one_record
    } else {
        BLOCK_BYTES_MAX
    }
};

/// Where a walk stands in a segment.
#[derive(Debug)]
pub(super) struct BlockWalk {
    window: Window,
    salt: Salt,
    checksum: Checksum,
    at: End,
    /// Of the block taken last.
    last_block: u32,
}

/// A block that is complete and sound.
#[derive(Debug)]
pub(super) struct SoundBlock {
    pub offset: u32,
    pub records: Vec<FoundRecord>,
    bytes: Bytes,
}

/// A record in a [`SoundBlock`].
#[derive(Clone, Copy, Debug)]
pub(super) struct FoundRecord {
    pub header: RecordHeader,
    pub placed: Placed,
}

/// There is no sound block here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoBlock {
    pub why: Why,
    /// A block of this segment was begun here, or so it looks.
    pub begun: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Why {
    #[error("the file ends")]
    FileEnds,
    #[error("there is no block header")]
    NoHeader,
    #[error("the block is sound but belongs elsewhere in the log")]
    Stray,
    #[error("the block's length is impossible")]
    Length,
    #[error("the record with LSN {0} fails its checksum")]
    Record(Lsn),
    #[error("the block's records do not add up")]
    Sum,
}

impl BlockWalk {
    /// From a place that is known: the block there begins with this LSN on top of this chain.
    pub(super) fn new(
        file: Arc<dyn DiskFile>,
        segment: &SegmentHeader,
        from: End,
        read_ahead: u32,
    ) -> io::Result<Self> {
        Ok(Self {
            window: Window::new(file, read_ahead)?,
            salt: segment.salt,
            checksum: Checksum::new(segment),
            at: from,
            last_block: from.offset,
        })
    }

    /// From a block whose offset alone is known.
    pub(super) fn resume(
        file: Arc<dyn DiskFile>,
        segment: &SegmentHeader,
        offset: u32,
        read_ahead: u32,
    ) -> io::Result<Result<Self, NoBlock>> {
        let unknown = End {
            offset,
            next_lsn: Lsn(0),
            chain: Chain(0),
        };
        let mut walk = Self::new(file, segment, unknown, read_ahead)?;
        Ok(walk.read_header()?.map(|header| {
            walk.at.next_lsn = header.first_lsn;
            walk.at.chain = header.chain_before;
            walk
        }))
    }

    /// Where the next block is expected.
    pub(super) fn at(&self) -> End {
        self.at
    }

    /// The header of the next block, which fits what came before.
    pub(super) fn peek(&mut self) -> io::Result<Result<BlockHeader, NoBlock>> {
        Ok(self.read_header()?.and_then(|header| {
            let fits = header.first_lsn == self.at.next_lsn && header.chain_before == self.at.chain;
            if fits {
                Ok(header)
            } else {
                Err(NoBlock {
                    why: Why::Stray,
                    begun: true,
                })
            }
        }))
    }

    /// Steps over the block that was peeked at, without looking into it.
    pub(super) fn skip(&mut self, header: BlockHeader) {
        self.last_block = self.at.offset;
        self.at = End {
            offset: page_up(self.at.offset + header.bytes),
            next_lsn: header.next_lsn(),
            chain: header.chain_after,
        };
    }

    /// The next block, checked to the last bit that means something.
    pub(super) fn take(&mut self) -> io::Result<Result<SoundBlock, NoBlock>> {
        let header = match self.peek()? {
            Ok(header) => header,
            Err(none) => return Ok(Err(none)),
        };
        let begun = |why| NoBlock { why, begun: true };
        let Some(bytes) = self.window.get(self.at.offset, header.bytes)? else {
            return Ok(Err(begun(Why::FileEnds)));
        };
        let block = check_records(bytes, self.at.offset, &header, self.checksum);
        if block.is_ok() {
            self.skip(header);
        }
        Ok(block.map_err(begun))
    }

    /// True if a sound block header of this segment stands at any page from `offset` to the end of
    /// the file.
    pub(super) fn any_block_from(&mut self, mut offset: u32) -> io::Result<bool> {
        while let Some(bytes) = self.window.get(offset, BLOCK_HEADER)? {
            if BlockHeader::decode(&bytes, self.salt).is_some() {
                return Ok(true);
            }
            let Some(next) = offset.checked_add(PAGE) else {
                break;
            };
            offset = next;
        }
        Ok(false)
    }

    fn read_header(&mut self) -> io::Result<Result<BlockHeader, NoBlock>> {
        let no = |why, begun| Ok(Err(NoBlock { why, begun }));
        let Some(bytes) = self.window.get(self.at.offset, BLOCK_HEADER)? else {
            return no(Why::FileEnds, false);
        };
        match BlockHeader::decode(&bytes, self.salt) {
            Some(header) if (BLOCK_HEADER..=LARGEST_BLOCK).contains(&header.bytes) => {
                Ok(Ok(header))
            }
            Some(_) => no(Why::Length, true),
            None => no(
                Why::NoHeader,
                BlockHeader::looks_torn(&bytes, self.salt, self.at.next_lsn),
            ),
        }
    }
}

impl SoundBlock {
    /// The record with its payload; `segment` is where the block is from.
    pub(super) fn record(&self, found: FoundRecord, segment: u32) -> LogRecord {
        LogRecord {
            lsn: found.header.lsn,
            kind: found.header.kind,
            tag: found.header.tag,
            at: super::Address {
                segment,
                offset: found.placed.offset,
            },
            payload: self.payload(found.placed),
        }
    }

    /// The payload of one of its records.
    pub(super) fn payload(&self, placed: Placed) -> Bytes {
        let start = (placed.offset - self.offset) as usize;
        self.bytes.slice(start..start + placed.len as usize)
    }
}

fn check_records(
    bytes: Bytes,
    offset: u32,
    header: &BlockHeader,
    checksum: Checksum,
) -> Result<SoundBlock, Why> {
    let mut records = Vec::new();
    let mut at = BLOCK_HEADER;
    let mut lsn = header.first_lsn;
    let mut chain = header.chain_before;
    while at < header.bytes {
        let found = RecordHeader::decode(&bytes[at as usize..], checksum);
        let record = found
            .filter(|record| record.lsn == lsn)
            .ok_or(Why::Record(lsn))?;
        at += RECORD_HEADER;
        records.push(FoundRecord {
            header: record,
            placed: Placed {
                tag: record.tag,
                offset: offset + at,
                len: record.len,
            },
        });
        at += record.len;
        lsn = lsn.next();
        chain = chain.and(record.crc);
    }
    if lsn != header.next_lsn() || chain != header.chain_after {
        return Err(Why::Sum);
    }
    Ok(SoundBlock {
        offset,
        records,
        bytes,
    })
}

/// A piece of a file, read ahead.
#[derive(Debug)]
struct Window {
    file: Arc<dyn DiskFile>,
    file_len: u64,
    read_ahead: u32,
    start: u64,
    bytes: Bytes,
}

impl Window {
    fn new(file: Arc<dyn DiskFile>, read_ahead: u32) -> io::Result<Self> {
        Ok(Self {
            file_len: file.len()?,
            file,
            read_ahead,
            start: 0,
            bytes: Bytes::new(),
        })
    }

    /// `None` if the file ends before.
    fn get(&mut self, offset: u32, len: u32) -> io::Result<Option<Bytes>> {
        let (offset, len) = (u64::from(offset), u64::from(len));
        if offset + len > self.file_len {
            return Ok(None);
        }
        let held = self.start..self.start + self.bytes.len() as u64;
        if offset < held.start || offset + len > held.end {
            let most = self.file_len - offset;
            let mut bytes =
                BytesMut::zeroed(len.max(u64::from(self.read_ahead)).min(most) as usize);
            self.file.read_at(offset, &mut bytes)?;
            self.start = offset;
            self.bytes = bytes.freeze();
        }
        let within = (offset - self.start) as usize;
        Ok(Some(self.bytes.slice(within..within + len as usize)))
    }
}
