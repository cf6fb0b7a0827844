//! Writing checkpoints beside the driver's loop.

use std::sync::Arc;

use shoal_storage::{CheckpointError, Checkpoints, Commit, Lsn};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::core::{PendingCheckpoint, Write, encode_meta};
use crate::driver::Input;

/// What became of a checkpoint.
pub(crate) enum Written {
    /// It is durable and was read back; replay starts here.
    Durable { replay_from: Lsn },
    /// No room: the one before stands. These are the writes that did not take place.
    DiskFull { writes: Vec<Write> },
    /// The store is damaged or failed.
    Failed(CheckpointError),
}

/// Starts writing; the end is reported as an input.
pub(crate) fn write(
    pending: PendingCheckpoint,
    store: &Arc<Checkpoints>,
    jobs: &TaskTracker,
    done: &mpsc::Sender<Input>,
) {
    let (store, done) = (Arc::clone(store), done.clone());
    jobs.spawn_blocking(move || {
        let written = commit(&store, pending);
        // If the loop has ended, nobody needs to know.
        let _ = done.blocking_send(Input::Checkpoint(written));
    });
}

fn commit(store: &Checkpoints, pending: PendingCheckpoint) -> Written {
    let PendingCheckpoint {
        carried,
        state,
        engine,
        replay_from,
    } = pending;
    let meta = encode_meta(&engine);
    // Kept until the commit is through: if the disk is full they must not be forgotten.
    let writes: Vec<Write> = carried.into_iter().chain(state.into_writes()).collect();
    let started = std::time::Instant::now();
    match store.write(Commit {
        meta,
        replay_from,
        writes: writes.iter().cloned(),
    }) {
        Ok(()) => {
            tracing::debug!(rows = writes.len(), took = ?started.elapsed(), "checkpoint written");
            Written::Durable { replay_from }
        }
        Err(CheckpointError::NoSpace { file }) => {
            tracing::warn!(
                file,
                "no room for a checkpoint; the one before stands, trying again later"
            );
            Written::DiskFull { writes }
        }
        Err(error) => Written::Failed(error),
    }
}
