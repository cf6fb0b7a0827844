//! Receives with an attempt key: repeated, they give the same messages while their leases last.

use serde::{Deserialize, Serialize};
use shoal_types::limits::DEDUPLICATION_WINDOW;
use shoal_types::{AttemptKey, Ts};

use crate::keyed_window::{Keyed, KeyedWindow};
use crate::limits::ATTEMPTS_MAX;

/// One lease of a message: the message's number and the lease's.
pub(crate) type Leased = (u64, u16);

/// A receive that leased something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    key: AttemptKey,
    until: Ts,
    leases: Box<[Leased]>,
}

impl Keyed for Attempt {
    type Key = AttemptKey;

    fn key(&self) -> Option<AttemptKey> {
        Some(self.key)
    }

    fn until(&self) -> Ts {
        self.until
    }
}

/// The receives of the last five minutes that had an attempt key.
pub(crate) type Attempts = KeyedWindow<Attempt>;

impl Attempts {
    /// What the last receive with this key leased.
    pub(crate) fn leases(&self, key: AttemptKey, now: Ts) -> &[Leased] {
        self.find(key, now)
            .map_or(&[], |(_, attempt)| &attempt.leases)
    }

    /// At the bound the oldest are forgotten before their time: the promise is a convenience, and
    /// refusing to receive would be worse.
    pub(crate) fn remember(&mut self, key: AttemptKey, leases: Box<[Leased]>, now: Ts) {
        if self.window().len() >= ATTEMPTS_MAX {
            self.pop(|_| ());
        }
        let entry = Attempt {
            key,
            until: now.after(DEDUPLICATION_WINDOW - 1),
            leases,
        };
        self.push(entry, now, |_| ());
    }
}
