//! Fingerprints of hosts' states by position: equal positions, equal states.

use std::collections::BTreeMap;

use shoal_types::{HostId, Position};

use super::limits::HASHES_MAX;
use crate::history::StateHash;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Hashes {
    seen: BTreeMap<Position, Seen>,
}

#[derive(Debug)]
struct Seen {
    by: HostId,
    rolling: u64,
    full: Option<u64>,
}

impl Hashes {
    /// What differs from the first fingerprint at this position.
    pub(super) fn compare(&mut self, hash: StateHash) -> Option<String> {
        let at = hash.executed;
        let Some(seen) = self.seen.get_mut(&at) else {
            if self.seen.len() >= HASHES_MAX {
                self.seen.pop_first();
            }
            let seen = Seen {
                by: hash.host,
                rolling: hash.rolling,
                full: hash.full,
            };
            self.seen.insert(at, seen);
            return None;
        };
        if seen.rolling != hash.rolling {
            return Some(format!(
                "at {at:?} the hash over all it executed is {:016x}, and {:016x} at {}",
                hash.rolling, seen.rolling, seen.by
            ));
        }
        match (seen.full, hash.full) {
            (Some(theirs), Some(mine)) if theirs != mine => Some(format!(
                "at {at:?} the hash over its queues is {mine:016x}, and {theirs:016x} at {}",
                seen.by
            )),
            (None, Some(mine)) => {
                seen.full = Some(mine);
                None
            }
            _ => None,
        }
    }
}
