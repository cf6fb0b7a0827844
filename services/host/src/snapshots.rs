//! The work of snapshots beside the driver's loop, and what is told of it.

use std::sync::Arc;
use std::time::Duration;

use shoal_storage::Checkpoints;
use shoal_types::Mono;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::core::{Core, SnapshotEvent, SnapshotJob};
use crate::driver::Input;
use crate::metric_names::Observed;

/// Between two lines about how far a snapshot has come.
const TOLD_EVERY: Duration = Duration::from_secs(5);

/// Starts a job; what comes of it is reported as an input.
pub(crate) fn start(
    job: SnapshotJob,
    store: &Arc<Checkpoints>,
    jobs: &TaskTracker,
    done: &mpsc::Sender<Input>,
) {
    let (store, done) = (Arc::clone(store), done.clone());
    jobs.spawn_blocking(move || {
        let came = job.run(&store);
        // If the loop has ended, nobody needs to know.
        let _ = done.blocking_send(Input::Snapshot(came));
    });
}

/// Says now and then how far the snapshot has come that this host receives.
#[derive(Default)]
pub(crate) struct Teller {
    told_at: Option<Mono>,
}

impl Teller {
    /// Once per turn.
    pub(crate) fn tell(&mut self, core: &mut Core, observed: &Observed, now: Mono) {
        for event in core.take_snapshot_events() {
            observed.snapshot_event(&event);
            tell_event(&event);
        }
        let Some(progress) = core.snapshot_progress() else {
            self.told_at = None;
            return;
        };
        if self.told_at.is_none_or(|at| now >= at + TOLD_EVERY) {
            self.told_at = Some(now);
            let (bytes, of) = (progress.bytes, progress.of);
            tracing::info!(from = %progress.from, bytes, of, "receiving a snapshot");
        }
    }
}

fn tell_event(event: &SnapshotEvent) {
    match event {
        SnapshotEvent::SendingBegun { to } => tracing::info!(%to, "sending a snapshot"),
        SnapshotEvent::Sent { to, bytes } => tracing::info!(%to, bytes, "snapshot sent"),
        SnapshotEvent::Asked { from, .. } => {
            tracing::info!(%from, "what this host lacks is in no log: asking for a snapshot");
        }
        SnapshotEvent::ChunkRefused { from } => {
            tracing::warn!(%from, "a chunk of a snapshot came damaged");
        }
        SnapshotEvent::ChunkAskedAgain { from } => {
            tracing::debug!(%from, "asking for a chunk of a snapshot again");
        }
        SnapshotEvent::Verified { from, bytes } => {
            tracing::info!(%from, bytes, "snapshot received and sound: installing it");
        }
        SnapshotEvent::LetBehind { host } => {
            tracing::warn!(%host, "a member holds on to too much of the log: it will need a snapshot");
        }
        // Told where it happens, with the reason.
        SnapshotEvent::Abandoned { .. } => {}
    }
}
