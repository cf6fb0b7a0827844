//! The one thread that writes and syncs the log, so that the driver's loop never waits for a disk.

use std::sync::mpsc::{SyncSender, sync_channel};

use shoal_storage::{Batch, BatchDone, LogError};
use tokio::sync::mpsc;

use crate::driver::Input;

/// Hands batches to the thread; dropping it ends the thread after the batch in hand.
pub(crate) struct DiskThread {
    batches: SyncSender<Batch>,
}

impl DiskThread {
    /// Starts the thread. Each batch's end is reported as an input of the driver.
    pub(crate) fn start(name: &str, inputs: mpsc::Sender<Input>) -> std::io::Result<Self> {
        // The log gives out one batch at a time, so one place is enough.
        let (batches, todo) = sync_channel::<Batch>(1);
        std::thread::Builder::new()
            .name(format!("disk-{name}"))
            .spawn(move || {
                while let Ok(batch) = todo.recv() {
                    let written: Result<BatchDone, LogError> = batch.write();
                    let failed = written.is_err();
                    if inputs.blocking_send(Input::Written(written)).is_err() || failed {
                        return;
                    }
                }
            })?;
        Ok(Self { batches })
    }

    /// Writes and syncs this batch next.
    pub(crate) fn write(&self, batch: Batch) {
        // It fails only when the thread ended after an error, which the driver learns as an input.
        let _ = self.batches.send(batch);
    }
}
