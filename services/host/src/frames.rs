//! Cutting what one turn has for a peer into frames: as few as fit, none too large to be sent.

use shoal_replication::Message;
use shoal_replication::limits::MESSAGES_PER_FRAME_MAX;

use crate::limits;

/// The messages in order, in runs that each fit into a frame.
pub(crate) fn split(messages: &[Message]) -> impl Iterator<Item = &[Message]> {
    let mut rest = messages;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut bytes = 0;
        let fits = |message: &&Message| {
            bytes += entry_bytes(message);
            bytes <= limits::FRAME_BYTES_TARGET
        };
        // A message that is too large by itself goes alone.
        let run = rest
            .iter()
            .take(MESSAGES_PER_FRAME_MAX)
            .take_while(fits)
            .count()
            .max(1);
        let (frame, after) = rest.split_at(run);
        rest = after;
        Some(frame)
    })
}

/// Only entries and chunks of snapshots are ever large.
fn entry_bytes(message: &Message) -> usize {
    match message {
        Message::Append(entry) => entry.payload.len(),
        Message::Snapshot(payload) => payload.len(),
        Message::Aside(payload) => payload.len(),
        Message::Entries(entries) => entries.iter().map(|entry| entry.payload.len()).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use shoal_replication::{Entry, Payload};
    use shoal_types::{HostId, Ts, ViewNumber};

    use super::*;

    fn append(bytes: usize) -> Message {
        let payload = Payload::from(Bytes::from(vec![0; bytes]));
        let (view, lane) = (ViewNumber(1), HostId(1));
        Message::Append(Arc::new(Entry {
            view,
            lane,
            index: 1,
            ts: Ts(1),
            payload,
        }))
    }

    #[test]
    fn small_messages_share_a_frame_and_large_ones_do_not() {
        let mib = 1 << 20;
        let messages: Vec<Message> = [10, mib, mib - 10, mib, 5 * mib, 10].map(append).into();
        let runs: Vec<usize> = split(&messages).map(<[Message]>::len).collect();
        assert_eq!(runs, [3, 1, 1, 1]);
        assert_eq!(split(&[]).count(), 0);
    }
}
