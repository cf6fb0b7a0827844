//! Work that a disk may take its time for and that nobody waits for.

use shoal_storage::LogError;
use tokio_util::task::TaskTracker;

/// Runs it on a thread that may block. If it fails, the host goes on without.
pub(crate) fn start(
    jobs: &TaskTracker,
    what: &'static str,
    work: impl FnOnce() -> Result<(), LogError> + Send + 'static,
) {
    jobs.spawn_blocking(move || {
        if let Err(error) = work() {
            tracing::warn!(%error, "{what} failed; going on without");
        }
    });
}
