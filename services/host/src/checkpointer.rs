//! Writing checkpoints beside the driver's loop.

use std::sync::Arc;

use shoal_storage::Checkpoints;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::core::{CheckpointDone, PendingCheckpoint};
use crate::driver::Input;

/// Starts writing; the end is reported as an input.
pub(crate) fn write(
    pending: PendingCheckpoint,
    store: &Arc<Checkpoints>,
    jobs: &TaskTracker,
    done: &mpsc::Sender<Input>,
) {
    let (store, done) = (Arc::clone(store), done.clone());
    jobs.spawn_blocking(move || {
        let started = std::time::Instant::now();
        let written = pending.write(&store);
        match &written {
            Ok(CheckpointDone::Durable { anew, .. }) => {
                tracing::debug!(anew, took = ?started.elapsed(), "checkpoint written");
            }
            Ok(CheckpointDone::NoSpace(_)) => {
                tracing::warn!(
                    "no room for a checkpoint; the one before stands, trying again later"
                );
            }
            // Told where it ends.
            Ok(CheckpointDone::Damaged(_)) | Err(_) => {}
        }
        // If the loop has ended, nobody needs to know.
        let _ = done.blocking_send(Input::Checkpoint(written));
    });
}
