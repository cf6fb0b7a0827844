//! What purged and deleted partitions leave behind. It is out of sight at once and freed bit by bit,
//! so that a purge costs the same at any size.
//!
//! Host-local: a host that restarts has none. Until the remains are freed their log segments count as
//! live and their stored chunks stay; a restore recognises those as dead.

use shoal_types::PartitionId;

use crate::attempts::Attempts;
use crate::contents::Contents;
use crate::deduplication::KeyedSends;
use crate::keyed_window::{Keyed, KeyedWindow};
use crate::live_bodies::LiveBodies;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Remains {
    partition: PartitionId,
    contents: Contents,
    keyed_sends: KeyedSends,
    attempts: Attempts,
}

/// A stored piece that has to be deleted at the next freeze.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeadPiece {
    Chunk(PartitionId, u64),
    KeyedSends(PartitionId, u64),
    Attempts(PartitionId, u64),
    Lineage(PartitionId),
    Description(PartitionId),
    Transfers(PartitionId),
}

impl Remains {
    pub(crate) fn of_purge(partition: PartitionId, contents: Contents) -> Self {
        Self {
            partition,
            contents,
            ..Self::default()
        }
    }

    pub(crate) fn of_deletion(
        partition: PartitionId,
        contents: Contents,
        keyed_sends: KeyedSends,
        attempts: Attempts,
    ) -> Self {
        Self {
            partition,
            contents,
            keyed_sends,
            attempts,
        }
    }

    /// Frees up to about `pieces` and gives the number freed; below `pieces` when nothing is left.
    pub(crate) fn free(
        &mut self,
        pieces: usize,
        bodies: &mut LiveBodies,
        mut dead: impl FnMut(DeadPiece),
    ) -> usize {
        let id = self.partition;
        for index in self.contents.slots.take_dirty() {
            dead(DeadPiece::Chunk(id, index));
        }
        let mut freed = self.contents.free(pieces, bodies, |index| {
            dead(DeadPiece::Chunk(id, index));
        });
        freed += free_window(
            &mut self.keyed_sends,
            pieces.saturating_sub(freed),
            |number| {
                dead(DeadPiece::KeyedSends(id, number));
            },
        );
        freed += free_window(&mut self.attempts, pieces.saturating_sub(freed), |number| {
            dead(DeadPiece::Attempts(id, number));
        });
        freed
    }
}

fn free_window<T: Keyed>(
    window: &mut KeyedWindow<T>,
    pieces: usize,
    mut dead: impl FnMut(u64),
) -> usize {
    let mut freed = 0;
    while freed < pieces {
        match window.pop(|_| ()) {
            0 => break,
            entries => freed += entries,
        }
    }
    // Popping marks the block; marks left from before name blocks that are gone as well.
    window
        .window_mut()
        .take_dirty()
        .into_iter()
        .for_each(&mut dead);
    freed
}
