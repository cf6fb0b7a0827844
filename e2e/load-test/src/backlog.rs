//! A bound on what is sent and not yet received, for loads without a rate. Receiving and
//! acknowledging takes consumers two calls where sending takes one; without the bound producers run
//! ahead, and the load measures how fast a queue fills instead of how fast messages go through.

use tokio::sync::Semaphore;

/// Room for messages that nobody has received yet.
#[derive(Debug)]
pub(crate) struct Backlog(Option<Semaphore>);

impl Backlog {
    /// Room for so many messages.
    pub(crate) fn bounded(messages: u32) -> Self {
        Self(Some(Semaphore::new(messages as usize)))
    }

    pub(crate) fn unbounded() -> Self {
        Self(None)
    }

    /// Waits until there is room for so many more.
    pub(crate) async fn enter(&self, messages: u32) {
        if let Some(room) = &self.0 {
            room.acquire_many(messages)
                .await
                .expect("never closed")
                .forget();
        }
    }

    /// So many were received, or not sent after all.
    pub(crate) fn leave(&self, messages: usize) {
        if let Some(room) = &self.0 {
            room.add_permits(messages);
        }
    }
}
