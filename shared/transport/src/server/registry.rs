//! Which peers are connected to us: each at most once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use shoal_runtime::shutdown::Shutdown;
use shoal_types::{HostId, Incarnation};

/// The newest connection of each peer. Entries stay when a connection ends (there are as many as
/// hosts ever dialled in, a handful), since the incarnation is what refuses an older process.
#[derive(Debug, Default)]
pub(super) struct Registry(Mutex<HashMap<HostId, (Incarnation, Shutdown)>>);

/// A peer's place: it is taken away when the peer connects again.
#[derive(Debug)]
pub(super) struct PeerPlace {
    pub(super) replaced: Shutdown,
}

impl Registry {
    /// The peer's connection from now on. One that it had before ends: the peer has given it up,
    /// whether or not word of that has reached us.
    pub(super) fn enter(
        self: &Arc<Self>,
        host: HostId,
        incarnation: Incarnation,
    ) -> Result<PeerPlace, String> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((newest, _)) = places
            .get(&host)
            .filter(|(newest, _)| *newest > incarnation)
        {
            return Err(format!(
                "stale incarnation: {host} was here as {newest}, not {incarnation}"
            ));
        }
        let replaced = Shutdown::new();
        if let Some((_, earlier)) = places.insert(host, (incarnation, replaced.clone())) {
            earlier.trigger();
        }
        Ok(PeerPlace { replaced })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_connection_wins_unless_its_incarnation_is_older() {
        let registry = Arc::new(Registry::default());
        let first = registry.enter(HostId(1), Incarnation(5)).unwrap();
        let again = registry.enter(HostId(1), Incarnation(5)).unwrap();
        assert!(first.replaced.is_triggered() && !again.replaced.is_triggered());
        let why = registry.enter(HostId(1), Incarnation(4)).unwrap_err();
        assert_eq!(why, "stale incarnation: h1 was here as 5, not 4");
        assert!(!again.replaced.is_triggered());
        registry.enter(HostId(1), Incarnation(6)).unwrap();
        assert!(again.replaced.is_triggered());
    }
}
