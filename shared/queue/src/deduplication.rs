//! Sends that say that they are the same, for five minutes.

use serde::{Deserialize, Serialize};
use shoal_types::limits::{DEDUPLICATION_IDS_MAX, DEDUPLICATION_WINDOW};
use shoal_types::{DedupKey, Deduplication, Ts};

use crate::keyed_window::{Keyed, KeyedWindow};

/// A send with a deduplication key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyedSend {
    key: DedupKey,
    fingerprint: Option<u64>,
    number: u64,
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

/// The sends of the last five minutes that had a key.
pub(crate) type KeyedSends = KeyedWindow<KeyedSend>;

/// Whether a send was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// No, or too long ago.
    Never,
    /// Yes, and it got this number.
    As(u64),
    /// The key was, with another content.
    Conflict,
}

impl KeyedSends {
    pub(crate) fn seen(&self, send: &Deduplication, now: Ts) -> Seen {
        match self.find(send.key, now) {
            None => Seen::Never,
            Some((_, first)) => match (first.fingerprint, send.fingerprint) {
                (Some(first), Some(again)) if first != again => Seen::Conflict,
                _ => Seen::As(first.number),
            },
        }
    }

    pub(crate) fn remember(&mut self, send: &Deduplication, number: u64, now: Ts) {
        let entry = KeyedSend {
            key: send.key,
            fingerprint: send.fingerprint,
            number,
            sent_at: now,
        };
        self.push(entry, now, |_| ());
    }

    /// How many more keys may be remembered.
    pub(crate) fn room(&self) -> usize {
        DEDUPLICATION_IDS_MAX.saturating_sub(self.window().len())
    }
}
