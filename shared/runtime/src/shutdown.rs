//! How a process or a role is told to end.

use std::future::Future;

use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tracing::{info, warn};

/// Says "end now" to everyone who holds a clone. Triggering it twice is fine.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// One that nobody has triggered.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells everyone, children included.
    pub fn trigger(&self) {
        self.0.cancel();
    }

    /// True from the first [`Shutdown::trigger`] on.
    #[must_use]
    pub fn is_triggered(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until it is triggered.
    pub fn triggered(&self) -> WaitForCancellationFuture<'_> {
        self.0.cancelled()
    }

    /// One that ends with this one, but can be triggered alone: a role in a process of several.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(self.0.child_token())
    }

    /// The token inside, for code that knows nothing of this type.
    #[must_use]
    pub fn token(&self) -> &CancellationToken {
        &self.0
    }
}

/// An end in two steps: from the first on whoever comes is asked to go elsewhere next time, and served; with
/// the second nothing new is taken.
#[derive(Clone, Debug)]
pub struct Drain {
    begins: Shutdown,
    ends: Shutdown,
}

impl Drain {
    /// Its two steps. Who triggers the second one sees to it that the first one is triggered too.
    #[must_use]
    pub fn new(begins: Shutdown, ends: Shutdown) -> Self {
        Self { begins, ends }
    }

    /// From when on clients are asked to go elsewhere.
    #[must_use]
    pub fn begins(&self) -> &Shutdown {
        &self.begins
    }

    /// From when on nothing new is taken.
    #[must_use]
    pub fn ends(&self) -> &Shutdown {
        &self.ends
    }

    /// One that follows this one, for somebody who looks often.
    #[must_use]
    pub fn child(&self) -> Self {
        Self::new(self.begins.child(), self.ends.child())
    }
}

/// Both steps at once, for whom nobody else can stand in.
impl From<Shutdown> for Drain {
    fn from(shutdown: Shutdown) -> Self {
        Self::new(shutdown.clone(), shutdown)
    }
}

impl From<CancellationToken> for Shutdown {
    fn from(token: CancellationToken) -> Self {
        Self(token)
    }
}

/// Listens for SIGTERM and SIGINT: the first triggers `shutdown`, the second leaves the process at
/// once with exit code 1. Only a binary's `main` runs this, in a task of its own, until it ends.
///
/// # Errors
/// If the handlers cannot be installed.
pub fn signals(shutdown: Shutdown) -> std::io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        loop {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            if shutdown.is_triggered() {
                warn!(signal = name, "second signal, leaving at once");
                std::process::exit(1);
            }
            info!(signal = name, "stopping; a second signal leaves at once");
            shutdown.trigger();
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_child_ends_with_its_parent_but_not_the_other_way_round() {
        let parent = Shutdown::new();
        let (first, second) = (parent.child(), parent.child());
        first.trigger();
        first.triggered().await;
        assert!(!parent.is_triggered() && !second.is_triggered());
        parent.trigger();
        second.triggered().await;
    }
}
