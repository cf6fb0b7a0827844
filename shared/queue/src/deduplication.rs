//! Sends that say that they are the same, for five minutes.

use serde::{Deserialize, Serialize};
use shoal_types::limits::{DEDUPLICATION_IDS_MAX, DEDUPLICATION_WINDOW};
use shoal_types::{DedupKey, Deduplication, Sequence, Ts};

use crate::keyed_window::{Keyed, KeyedWindow};

/// A send with a deduplication key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyedSend {
    key: DedupKey,
    fingerprint: Option<u64>,
    /// Of an inherited send the one that it got in the partition that it was sent to.
    sequence: Sequence,
    sent_at: Ts,
}

impl Keyed for KeyedSend {
    type Key = DedupKey;

    fn key(&self) -> Option<DedupKey> {
        Some(self.key)
    }

    fn until(&self) -> Ts {
        self.sent_at.after(DEDUPLICATION_WINDOW - 1)
    }
}

impl KeyedSend {
    /// Whether its five minutes are not over.
    pub(crate) fn counts(&self, now: Ts) -> bool {
        now <= self.until()
    }

    /// As a successor is told of it.
    pub(crate) fn told(&self) -> shoal_types::KeyedSend {
        shoal_types::KeyedSend {
            key: self.key,
            fingerprint: self.fingerprint,
            sequence: self.sequence,
            sent_at: self.sent_at,
        }
    }
}

/// The sends of the last five minutes that had a key.
pub(crate) type KeyedSends = KeyedWindow<KeyedSend>;

/// Whether a send was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// No, or too long ago.
    Never,
    /// Yes, and it got this number.
    As(Sequence),
    /// The key was, with another content.
    Conflict,
}

impl KeyedSends {
    pub(crate) fn seen(&self, send: &Deduplication, now: Ts) -> Seen {
        match self.find(send.key, now) {
            None => Seen::Never,
            Some((_, first)) => match (first.fingerprint, send.fingerprint) {
                (Some(first), Some(again)) if first != again => Seen::Conflict,
                _ => Seen::As(first.sequence),
            },
        }
    }

    pub(crate) fn remember(&mut self, send: &Deduplication, sequence: Sequence, now: Ts) {
        let entry = KeyedSend {
            key: send.key,
            fingerprint: send.fingerprint,
            sequence,
            sent_at: now,
        };
        self.push(entry, now, |_| ());
    }

    /// Remembers a send to a partition that this one follows, as long as its five minutes last. Of two
    /// with the same key the later one counts. The other cluster's clock may be ahead: nothing was sent
    /// after now.
    pub(crate) fn inherit(&mut self, send: &shoal_types::KeyedSend, now: Ts) {
        let entry = KeyedSend {
            key: send.key,
            fingerprint: send.fingerprint,
            sequence: send.sequence,
            sent_at: send.sent_at.min(now),
        };
        let known = self.find(entry.key, now);
        let is_later = known.is_none_or(|(_, known)| known.sent_at < entry.sent_at);
        if entry.counts(now) && is_later {
            self.push(entry, now, |_| ());
        }
    }

    /// How many more keys may be remembered.
    pub(crate) fn room(&self) -> usize {
        DEDUPLICATION_IDS_MAX.saturating_sub(self.window().len())
    }
}
