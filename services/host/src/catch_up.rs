//! Reading entries from the log for a peer that catches up, beside the driver's loop.

use std::sync::Arc;

use shoal_replication::{Message, Record};
use shoal_storage::{LogReader, ReadError};
use shoal_types::{HostId, ViewNumber};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::TaskTracker;

use crate::driver::Input;
use crate::limits;

/// Which entries a peer lacks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) view: ViewNumber,
    pub(crate) lane: HostId,
    pub(crate) from: u64,
    pub(crate) up_to: u64,
}

/// Starts reading; what was read goes out through the loop. With too many reads under way nothing
/// happens: the peer asks again.
pub(crate) fn read(
    wanted: Wanted,
    to: HostId,
    reader: &LogReader,
    (reads, jobs): (&Arc<Semaphore>, &TaskTracker),
    done: &mpsc::Sender<Input>,
) {
    let Ok(permit) = Arc::clone(reads).try_acquire_owned() else {
        return;
    };
    let (reader, done) = (reader.clone(), done.clone());
    jobs.spawn_blocking(move || {
        match entries(&reader, wanted) {
            Ok(message) => {
                // If the loop has ended, nobody needs the entries.
                let _ = done.blocking_send(Input::EntriesRead(to, message));
            }
            Err(NotRead::NotThere) => {
                let _ = done.blocking_send(Input::NotInLog(to, wanted.view));
            }
            Err(NotRead::Failed(error)) => {
                tracing::error!(peer = %to, ?wanted, %error, "entries for a peer cannot be read")
            }
        }
        drop(permit);
    });
}

/// Why entries were not read.
enum NotRead {
    /// The log does not hold the first one: it was removed when all members had it.
    NotThere,
    /// They may be there.
    Failed(String),
}

impl From<ReadError> for NotRead {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NotFound { .. } => Self::NotThere,
            error => Self::Failed(error.to_string()),
        }
    }
}

fn entries(reader: &LogReader, wanted: Wanted) -> Result<Message, NotRead> {
    let Wanted {
        view,
        lane,
        from,
        up_to,
    } = wanted;
    let records = reader.entries(view, lane, from, up_to, limits::CATCH_UP_BYTES)?;
    let mut entries = Vec::with_capacity(records.len());
    for record in records {
        let record = Record::decode(Record::ENTRY_KIND, record);
        match record.map_err(|error| NotRead::Failed(error.to_string()))? {
            Record::Entry(entry) => entries.push(entry),
            other => {
                let why = format!("the log gave {other:?} for an entry");
                return Err(NotRead::Failed(why));
            }
        }
    }
    Ok(Message::entries(entries))
}
