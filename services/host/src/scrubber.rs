//! The scrub's looks at the disk, beside the driver's loop.

use std::sync::Arc;

use shoal_storage::{Checkpoints, LogReader};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::core::ScrubLook;
use crate::driver::Input;

/// Takes a look; its end is reported as an input.
pub(crate) fn look(
    look: ScrubLook,
    log: &LogReader,
    checkpoints: &Arc<Checkpoints>,
    jobs: &TaskTracker,
    done: &mpsc::Sender<Input>,
) {
    let (log, checkpoints, done) = (log.clone(), Arc::clone(checkpoints), done.clone());
    jobs.spawn_blocking(move || {
        // If the loop has ended, nobody needs to know.
        let _ = done.blocking_send(Input::Scrubbed(look.run(&log, &checkpoints)));
    });
}
