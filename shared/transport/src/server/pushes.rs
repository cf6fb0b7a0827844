//! News for everyone who is connected.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use shoal_types::{Push, encode_frame, join};

use crate::limits::PUSHES_WAITING_MAX;
use crate::mailbox::{Mailbox, Weight};

/// Tells all connected frontends and clients something. Clones tell the same ones.
#[derive(Clone, Debug, Default)]
pub struct Pusher(Arc<Subscribers>);

#[derive(Debug, Default)]
struct Subscribers {
    next: AtomicU64,
    mailboxes: Mutex<BTreeMap<u64, Arc<Mailbox<News>>>>,
}

/// An encoded push.
#[derive(Debug)]
pub(super) struct News(pub(super) Bytes);

impl Weight for News {
    /// They are bounded by number.
    fn weight(&self) -> usize {
        1
    }
}

/// One connection's share of the news; it ends with this.
pub(super) struct Subscription {
    pusher: Pusher,
    key: u64,
    pub(super) news: Arc<Mailbox<News>>,
}

impl Pusher {
    /// Tells them. Never waits; whoever does not read loses the oldest news first.
    pub fn push_all(&self, push: &Push) {
        let encoded = join(&encode_frame(push, &[]));
        let mailboxes = self
            .0
            .mailboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for mailbox in mailboxes.values() {
            if mailbox
                .push(News(encoded.clone()), PUSHES_WAITING_MAX)
                .is_err()
            {
                mailbox.drop_oldest();
                _ = mailbox.push(News(encoded.clone()), PUSHES_WAITING_MAX);
            }
        }
    }

    pub(super) fn subscribe(&self) -> Subscription {
        let key = self.0.next.fetch_add(1, Ordering::Relaxed);
        let news = Arc::new(Mailbox::new());
        let mut mailboxes = self
            .0
            .mailboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        mailboxes.insert(key, Arc::clone(&news));
        Subscription {
            pusher: self.clone(),
            key,
            news,
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut mailboxes = self
            .pusher
            .0
            .mailboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        mailboxes.remove(&self.key);
    }
}
