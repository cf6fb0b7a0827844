//! The receiving half of a connection: bytes in, frames out.

use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use shoal_types::WireVersion;
use shoal_types::limits::FRAME_BYTES_MAX;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::frame::{self, Frame, FrameError, HANDSHAKE};
use crate::limits::{HANDSHAKE_BYTES_MAX, READ_CHUNK_BYTES, READ_ROOM_BYTES_MIN};

/// Cuts frames out of what is read, without copying: payloads are slices of the read buffer, which
/// is given back when the last of them is dropped.
#[derive(Debug)]
pub(crate) struct FrameReader {
    buffer: BytesMut,
    version: WireVersion,
    payload_max: usize,
}

impl FrameReader {
    /// For the frames of a handshake.
    pub(crate) fn of_handshake() -> Self {
        Self {
            buffer: BytesMut::new(),
            version: HANDSHAKE,
            payload_max: HANDSHAKE_BYTES_MAX,
        }
    }

    /// The same bytes after the handshake: frames are of the version agreed upon, and may be larger.
    pub(crate) fn after_handshake(self, version: WireVersion) -> Self {
        Self {
            buffer: self.buffer,
            version,
            payload_max: FRAME_BYTES_MAX,
        }
    }

    /// The next frame, if all of it is here.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        match frame::total_bytes(&self.buffer, self.payload_max)? {
            Some(total) if total <= self.buffer.len() => {
                frame::decode(self.version, self.buffer.split_to(total).freeze()).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Reads what is there, at least one byte; 0 means that the other side has closed. To be called
    /// when [`FrameReader::next`] has nothing more.
    pub(crate) async fn fill<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> io::Result<usize> {
        self.make_room();
        stream.read_buf(&mut self.buffer).await
    }

    /// As [`FrameReader::fill`], for hand-written loops.
    pub(crate) fn poll_fill<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        pin!(self.fill(stream)).poll(cx)
    }

    /// Room for a chunk, or for the frame that has begun. A large frame's room at most doubles what
    /// has really come, so announcing much and sending little costs us little.
    fn make_room(&mut self) {
        let here = self.buffer.len();
        let missing = match frame::total_bytes(&self.buffer, self.payload_max) {
            Ok(Some(total)) => total.saturating_sub(here),
            _ => 0,
        };
        let room = self.buffer.capacity() - here;
        if room < missing.max(READ_ROOM_BYTES_MIN) {
            self.buffer
                .reserve(missing.clamp(READ_CHUNK_BYTES, here.max(READ_CHUNK_BYTES)));
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::frame::{Kind, header};

    fn frame(id: u64, payload: &[u8]) -> Vec<u8> {
        let payload = Bytes::copy_from_slice(payload);
        let payload = [payload];
        let mut bytes = header(WireVersion::V3, Kind::Peer, id, &payload).to_vec();
        bytes.extend_from_slice(&payload[0]);
        bytes
    }

    fn reader() -> FrameReader {
        FrameReader::of_handshake().after_handshake(WireVersion::V3)
    }

    async fn ids_of(mut pieces: impl Iterator<Item = &[u8]>) -> Vec<u64> {
        let (mut reader, mut ids) = (reader(), Vec::new());
        loop {
            while let Some(frame) = reader.next().unwrap() {
                ids.push(frame.id);
            }
            match pieces.next() {
                Some(mut piece) => {
                    assert_eq!(reader.fill(&mut piece).await.unwrap(), piece.len().max(1))
                }
                None => return ids,
            }
        }
    }

    #[tokio::test]
    async fn segments_of_one_byte_and_all_in_one_give_the_same_frames() {
        let stream: Vec<u8> = (0..300)
            .flat_map(|id| frame(id, &vec![7; id as usize % 50]))
            .collect();
        let expected: Vec<u64> = (0..300).collect();
        assert_eq!(ids_of(stream.chunks(1)).await, expected);
        let mut whole = &stream[..];
        let mut reader = reader();
        let mut ids = Vec::new();
        while reader.fill(&mut whole).await.unwrap() > 0 {
            while let Some(frame) = reader.next().unwrap() {
                ids.push(frame.id);
            }
        }
        assert_eq!(ids, expected);
    }

    #[tokio::test]
    async fn a_payload_of_the_limit_arrives_whole() {
        let payload: Vec<u8> = (0..FRAME_BYTES_MAX).map(|i| (i % 251) as u8).collect();
        let bytes = frame(1, &payload);
        let (mut stream, mut reader) = (&bytes[..], reader());
        let frame = loop {
            match reader.next().unwrap() {
                Some(frame) => break frame,
                None => assert!(reader.fill(&mut stream).await.unwrap() > 0),
            }
        };
        assert!(frame.payload == payload);
    }

    #[tokio::test]
    async fn a_length_alone_allocates_no_more_than_a_chunk() {
        let start = frame(1, &[0; 1 << 20]);
        let (mut stream, mut reader) = (&start[..4], reader());
        reader.fill(&mut stream).await.unwrap();
        assert_eq!(reader.next(), Ok(None));
        reader.make_room();
        assert!(
            reader.buffer.capacity() <= 2 * READ_CHUNK_BYTES,
            "{}",
            reader.buffer.capacity()
        );
    }

    #[tokio::test]
    async fn payloads_are_slices_of_one_buffer() {
        let bytes = [frame(1, b"first"), frame(2, b"second")].concat();
        let (mut stream, mut reader) = (&bytes[..], reader());
        reader.fill(&mut stream).await.unwrap();
        let first = reader.next().unwrap().unwrap().payload;
        let second = reader.next().unwrap().unwrap().payload;
        assert_eq!(
            second.as_ptr() as usize - first.as_ptr() as usize,
            5 + frame::HEADER_BYTES
        );
    }
}
