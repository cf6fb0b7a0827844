//! Blocks that are not durable yet: being gathered, waiting, or on their way to disk.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use shoal_types::BodyRef;

use super::format::{
    BLOCK_HEADER, BlockHeader, Chain, RECORD_HEADER, Salt, SegmentHeader, page_up,
};
use super::{Address, Lsn, Tag};
use crate::limits::{BLOCK_BYTES_MAX, COPY_BELOW, COPY_BUFFER, PAGE};

/// A group of records that is written and synced at once.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub segment: u32,
    /// Where it starts in the segment's file; a multiple of the page size.
    pub offset: u32,
    pub salt: Salt,
    /// The segment is to be made first.
    pub start: Option<SegmentStart>,
    pub first_lsn: Lsn,
    pub chain_before: Chain,
    pub chain_after: Chain,
    pub records: Vec<Placed>,
    /// Everything after the block header: offset in the file and bytes, without gaps.
    parts: Vec<(u32, Bytes)>,
    /// Length so far, block header included.
    bytes: u32,
}

/// A segment to be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct SegmentStart {
    pub header: SegmentHeader,
    /// Size of its file.
    pub bytes: u32,
}

/// A record's place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub tag: Tag,
    /// Of the payload, from the start of the file.
    pub offset: u32,
    /// Of the payload.
    pub len: u32,
}

impl Block {
    /// An empty block at this offset of a segment; `start` says how the segment begins.
    pub(super) fn new(start: SegmentStart, offset: u32, first_lsn: Lsn, chain: Chain) -> Self {
        Self {
            segment: start.header.number,
            offset,
            salt: start.header.salt,
            start: (offset == PAGE).then_some(start),
            first_lsn,
            chain_before: chain,
            chain_after: chain,
            records: Vec::new(),
            parts: Vec::new(),
            bytes: BLOCK_HEADER,
        }
    }

    /// Where the next block may start.
    pub(super) fn end(&self) -> u32 {
        page_up(self.offset + self.bytes)
    }

    /// The first record after the block.
    pub(super) fn next_lsn(&self) -> Lsn {
        Lsn(self.first_lsn.0 + self.records.len() as u64)
    }

    /// True if a record of this length may still come in, in a segment of this size.
    pub(super) fn has_room(&self, payload: u32, segment_bytes: u32) -> bool {
        let bytes = self.bytes + RECORD_HEADER + payload;
        let first = self.records.is_empty();
        self.offset + bytes <= segment_bytes && (first || bytes <= BLOCK_BYTES_MAX)
    }

    /// Adds a record; small chunks are copied through `buffer`, large ones are only referred to.
    pub(super) fn push(
        &mut self,
        (header, crc): ([u8; RECORD_HEADER as usize], u32),
        tag: Tag,
        chunks: &[Bytes],
        buffer: &mut BytesMut,
    ) -> Address {
        buffer.reserve(COPY_BUFFER.max(header.len()));
        buffer.extend_from_slice(&header);
        let offset = self.offset + self.bytes + RECORD_HEADER;
        for chunk in chunks {
            if chunk.len() < COPY_BELOW {
                buffer.extend_from_slice(chunk);
            } else {
                self.add_part(buffer.split().freeze());
                self.add_part(chunk.clone());
            }
        }
        self.add_part(buffer.split().freeze());
        let len = self.offset + self.bytes - offset;
        self.records.push(Placed { tag, offset, len });
        self.chain_after = self.chain_after.and(crc);
        Address {
            segment: self.segment,
            offset,
        }
    }

    fn add_part(&mut self, part: Bytes) {
        if !part.is_empty() {
            let at = self.offset + self.bytes;
            self.bytes += part.len() as u32;
            self.parts.push((at, part));
        }
    }

    pub(super) fn header(&self) -> [u8; BLOCK_HEADER as usize] {
        let header = BlockHeader {
            salt: self.salt,
            first_lsn: self.first_lsn,
            records: self.records.len() as u32,
            bytes: self.bytes,
            chain_before: self.chain_before,
            chain_after: self.chain_after,
        };
        header.encode()
    }

    /// What is written after the header.
    pub(super) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.parts.iter().map(|(_, part)| &part[..])
    }

    /// Zeros up to the next page.
    pub(super) fn padding(&self) -> usize {
        (self.end() - self.offset - self.bytes) as usize
    }

    /// Bytes `offset..offset + len` of the file, if they lie in this block; not of its header.
    pub(super) fn read(&self, offset: u32, len: u32) -> Option<Bytes> {
        let end = offset.checked_add(len)?;
        if offset < self.offset + BLOCK_HEADER || end > self.offset + self.bytes {
            return None;
        }
        let first = self.parts.partition_point(|(at, _)| *at <= offset) - 1;
        let (at, part) = &self.parts[first];
        let within = (offset - at) as usize;
        let len = len as usize;
        if within + len <= part.len() {
            return Some(part.slice(within..within + len));
        }
        let mut out = BytesMut::with_capacity(len);
        out.extend_from_slice(&part[within..]);
        for (_, part) in &self.parts[first + 1..] {
            let missing = len - out.len();
            out.extend_from_slice(&part[..missing.min(part.len())]);
        }
        Some(out.freeze())
    }
}

/// All blocks that are not durable yet, oldest first.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Take no further records. The front one may be on its way to disk.
    pub closed: VecDeque<Arc<Block>>,
    /// Gathers.
    pub open: Option<Block>,
}

impl Memory {
    /// No record comes into the open block any more.
    pub(super) fn close(&mut self) {
        self.closed.extend(self.open.take().map(Arc::new));
    }

    /// The bytes, if they are still in memory.
    pub(super) fn body(&self, at: BodyRef, len: u32) -> Option<Bytes> {
        let place = (at.segment, at.offset);
        let after = |block: &Arc<Block>| (block.segment, block.offset) <= place;
        let closed = self.closed.partition_point(after);
        let candidates = [
            self.open.as_ref(),
            closed.checked_sub(1).map(|i| &*self.closed[i]),
        ];
        candidates
            .into_iter()
            .flatten()
            .filter(|block| block.segment == at.segment)
            .find_map(|block| block.read(at.offset, len))
    }

    /// All blocks as they are now.
    pub(super) fn snapshot(&self) -> Vec<Arc<Block>> {
        let open = self.open.clone().map(Arc::new);
        self.closed.iter().cloned().chain(open).collect()
    }
}
