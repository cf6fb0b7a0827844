//! The sending half of a connection: frames in, as few system calls as possible out.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use shoal_types::WireVersion;
use tokio::io::AsyncWrite;

use crate::frame::{self, Kind};
use crate::limits::{COPY_BYTES_MAX, READ_CHUNK_BYTES, WRITE_SLICES_MAX};

/// What waits to be written. Small pieces are copied together, large ones are only referred to, and
/// everything that has gathered leaves in one vectored write.
#[derive(Debug)]
pub(crate) struct WriteBuffer {
    version: WireVersion,
    sealed: VecDeque<Bytes>,
    tail: BytesMut,
    waiting: usize,
}

impl WriteBuffer {
    /// For frames of this version.
    pub(crate) fn new(version: WireVersion) -> Self {
        Self {
            version,
            sealed: VecDeque::new(),
            tail: BytesMut::new(),
            waiting: 0,
        }
    }

    /// Bytes that wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting
    }

    /// Adds a frame.
    pub(crate) fn push(&mut self, kind: Kind, id: u64, payload: Vec<Bytes>) {
        self.copy(&frame::header(self.version, kind, id, &payload));
        for piece in payload {
            if piece.len() <= COPY_BYTES_MAX {
                self.copy(&piece);
            } else {
                self.seal_tail();
                self.waiting += piece.len();
                self.sealed.push_back(piece);
            }
        }
    }

    fn copy(&mut self, bytes: &[u8]) {
        if self.tail.len() + bytes.len() > self.tail.capacity() {
            self.seal_tail();
            self.tail.reserve(READ_CHUNK_BYTES);
        }
        self.tail.extend_from_slice(bytes);
        self.waiting += bytes.len();
    }

    fn seal_tail(&mut self) {
        if !self.tail.is_empty() {
            self.sealed.push_back(self.tail.split().freeze());
        }
    }

    /// Writes until nothing waits.
    pub(crate) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.seal_tail();
        while !self.sealed.is_empty() {
            let mut slices = [IoSlice::new(&[]); WRITE_SLICES_MAX];
            let count = self.sealed.len().min(WRITE_SLICES_MAX);
            for (slice, piece) in slices.iter_mut().zip(&self.sealed) {
                *slice = IoSlice::new(piece);
            }
            let written = ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &slices[..count]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    /// Writes until nothing waits.
    pub(crate) async fn write<S: AsyncWrite + Unpin>(&mut self, stream: &mut S) -> io::Result<()> {
        std::future::poll_fn(|cx| self.poll_write(stream, cx)).await
    }

    fn advance(&mut self, mut written: usize) {
        self.waiting -= written;
        while let Some(front) = self.sealed.front_mut() {
            if written < front.len() {
                front.advance(written);
                return;
            }
            written -= front.len();
            self.sealed.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::reader::FrameReader;

    #[tokio::test]
    async fn what_is_written_in_dribs_reads_back_in_order() {
        let (mut near, mut far) = tokio::io::duplex(100);
        let sizes = [
            0,
            1,
            COPY_BYTES_MAX,
            COPY_BYTES_MAX + 1,
            3,
            200_000,
            70_000,
            5,
        ];
        let mut writer = WriteBuffer::new(WireVersion::V3);
        for (id, size) in sizes.into_iter().enumerate() {
            let half = Bytes::from(vec![id as u8; size]);
            writer.push(Kind::Answer, id as u64, vec![half.clone(), half]);
        }
        let total = writer.len();
        let writing = tokio::spawn(async move {
            writer.write(&mut near).await.unwrap();
            assert_eq!(writer.len(), 0);
        });
        let mut received = Vec::new();
        far.read_to_end(&mut received).await.unwrap();
        writing.await.unwrap();
        assert_eq!(received.len(), total);
        let reader = FrameReader::of_handshake();
        let mut reader = reader.after_handshake(WireVersion::V3);
        let mut stream = &received[..];
        for (id, size) in sizes.into_iter().enumerate() {
            let frame = loop {
                match reader.next().unwrap() {
                    Some(frame) => break frame,
                    None => assert!(reader.fill(&mut stream).await.unwrap() > 0),
                }
            };
            assert_eq!((frame.id, frame.payload.len()), (id as u64, 2 * size));
            assert!(frame.payload.iter().all(|b| *b == id as u8));
        }
    }

    #[test]
    fn large_pieces_are_not_copied() {
        let large = Bytes::from(vec![1; COPY_BYTES_MAX + 1]);
        let mut writer = WriteBuffer::new(WireVersion::V3);
        writer.push(Kind::Peer, 0, vec![large.clone()]);
        assert_eq!(writer.sealed[1].as_ptr(), large.as_ptr());
    }
}
