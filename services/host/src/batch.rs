//! An entry's payload: the commands of one group commit, each as a frame with its bodies behind it.
//! Says where in the payload each body lies, so that a message is later read from there alone.

use bytes::Bytes;
use shoal_types::{Request, WireError, decode_frame_prefix, encode_frame};

/// One command of an entry and the places of its bodies.
#[derive(Debug)]
pub(crate) struct Placed {
    /// The command.
    pub(crate) request: Request,
    /// Its bodies.
    pub(crate) bodies: Vec<Bytes>,
    /// Bytes from the start of the payload to the first body; the others follow without a gap.
    pub(crate) bodies_at: usize,
}

impl Placed {
    /// Offset in the payload and bytes of each body.
    pub(crate) fn offsets(&self) -> impl Iterator<Item = (usize, &Bytes)> {
        self.bodies.iter().scan(self.bodies_at, |at, body| {
            let offset = *at;
            *at += body.len();
            Some((offset, body))
        })
    }
}

/// Gathers commands into a payload.
#[derive(Debug, Default)]
pub(crate) struct BatchBuilder {
    chunks: Vec<Bytes>,
    len: usize,
    commands: Vec<Placed>,
}

impl BatchBuilder {
    /// Adds a command behind those already there.
    pub(crate) fn push(&mut self, request: Request, bodies: Vec<Bytes>) {
        let frame = encode_frame(&request, &bodies);
        let bodies_at = self.len + frame[0].len();
        self.len += frame.iter().map(Bytes::len).sum::<usize>();
        self.chunks.extend(frame);
        self.commands.push(Placed {
            request,
            bodies,
            bodies_at,
        });
    }

    /// Bytes gathered.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// True if nothing was gathered.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// The payload's chunks and the commands with their places in it.
    #[must_use]
    pub(crate) fn finish(self) -> (Vec<Bytes>, Vec<Placed>) {
        (self.chunks, self.commands)
    }
}

/// Reads the commands of a payload.
///
/// # Errors
/// If the payload is not what [`BatchBuilder`] made; a peer's payload was checked by its checksum, so
/// this means a fault of ours or another release.
pub(crate) fn decode(payload: Bytes) -> Result<Vec<Placed>, WireError> {
    let whole = payload.len();
    let mut rest = payload;
    let mut commands = Vec::new();
    while !rest.is_empty() {
        let start = whole - rest.len();
        let (frame, after) = decode_frame_prefix::<Request>(rest)?;
        let bodies_at = start + frame.bodies_at;
        commands.push(Placed {
            request: frame.head,
            bodies: frame.bodies,
            bodies_at,
        });
        rest = after;
    }
    Ok(commands)
}

#[cfg(test)]
mod tests {
    use shoal_types::{Command, Origin, PartitionId, RequestId, SendItem, Ts, join};

    use super::*;

    #[test]
    fn places_are_the_same_for_the_writer_and_the_reader() {
        let item = |size| SendItem {
            size,
            crc: 0,
            delay: None,
            ttl: None,
            group: None,
            deduplication: None,
        };
        let mut batch = BatchBuilder::default();
        for bodies in [
            vec![Bytes::from("one"), Bytes::new(), Bytes::from("three")],
            vec![],
            vec![Bytes::from(vec![7; 300])],
        ] {
            let items = bodies
                .iter()
                .map(|b: &Bytes| item(b.len() as u32))
                .collect();
            let command = Command::Send {
                partition: PartitionId(1),
                items,
            };
            let origin = Origin::default();
            batch.push(
                Request {
                    id: RequestId(9),
                    deadline: Ts(5),
                    origin,
                    command,
                },
                bodies,
            );
        }
        let len = batch.len();
        let (chunks, written) = batch.finish();
        let payload = join(&chunks);
        assert_eq!(payload.len(), len);
        let read = decode(payload.clone()).unwrap();
        assert_eq!(read.len(), 3);
        for (w, r) in written.iter().zip(&read) {
            assert_eq!((&w.request, w.bodies_at), (&r.request, r.bodies_at));
            for ((at, body), (_, same)) in r.offsets().zip(w.offsets()) {
                assert_eq!(&payload[at..at + body.len()], &same[..]);
            }
        }
    }
}
