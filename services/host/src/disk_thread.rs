//! The one thread that writes and syncs the log, so that the driver's loop never waits for a disk.

use std::sync::mpsc::{SyncSender, sync_channel};

use shoal_storage::{Batch, BatchDone, LogError};
use tokio::sync::mpsc;

use crate::driver::Input;
use crate::limits;

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
                    let Some(written) = write_once_there_is_room(&batch, &inputs) else {
                        return;
                    };
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

/// A full disk that has used up its reserve only takes its time: the other members stop waiting for this
/// one, and it goes on once there is room. `None`: the host has stopped meanwhile.
fn write_once_there_is_room(
    batch: &Batch,
    inputs: &mpsc::Sender<Input>,
) -> Option<Result<BatchDone, LogError>> {
    let mut told = false;
    loop {
        match batch.write() {
            Err(error) if error.may_succeed_later() => {
                if !told {
                    tracing::error!(%error, "the disk is full to the last; waiting for room");
                    told = true;
                }
            }
            written => return Some(written),
        }
        if inputs.is_closed() {
            return None;
        }
        std::thread::sleep(limits::DISK_LOOK_INTERVAL_WHEN_FULL);
    }
}
