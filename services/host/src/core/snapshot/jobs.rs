//! What sender and receiver do on a thread that may wait for a disk. A job is handed out as an effect,
//! run once, and what comes of it is given back to the core.

use std::ops::RangeInclusive;

use shoal_queue::Machine;
use shoal_storage::{CheckpointError, Checkpoints, HeadOnly, LogReader, Staging};
use shoal_types::MachineVersion;

use super::reader::{Read, Reader};
use super::wire::Header;

/// One job; see [`SnapshotJob::run`].
pub struct SnapshotJob {
    pub(super) transfer: u64,
    pub(super) task: Task,
}

pub(super) enum Task {
    Open {
        log: LogReader,
        header: Box<Header>,
        chunk_bytes: usize,
    },
    Read(Box<Reader>),
    Stage {
        staging: Option<Box<Staging>>,
        rows: Vec<(Vec<u8>, Vec<u8>)>,
    },
    Verify {
        staging: Box<Staging>,
        header: Box<Header>,
        versions: RangeInclusive<MachineVersion>,
    },
    Install {
        staging: Box<Staging>,
        commit: HeadOnly,
    },
    Discard(Box<Staging>),
}

/// What a job is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SnapshotJobKind {
    /// The sender opens its checkpoint or reads a chunk.
    Read,
    /// The receiver keeps rows of a chunk.
    Stage,
    /// The receiver checks everything that it has staged.
    Verify,
    /// The receiver puts it in the place of its own state.
    Install,
    /// The receiver throws away what is of no use.
    Discard,
}

/// What came of a job, to be given to [`super::super::Core::on_snapshot_job`].
pub struct SnapshotDone {
    pub(super) transfer: u64,
    pub(super) came: Came,
}

pub(super) enum Came {
    Opened(Result<Box<Reader>, String>),
    Read(Result<(Box<Reader>, Read), String>),
    Staged(Result<Box<Staging>, String>),
    Verified(Result<Box<Staging>, String>),
    Installed(Result<(), String>),
    Discarded,
}

impl SnapshotJob {
    /// What it is about.
    #[must_use]
    pub fn kind(&self) -> SnapshotJobKind {
        match &self.task {
            Task::Open { .. } | Task::Read(_) => SnapshotJobKind::Read,
            Task::Stage { .. } => SnapshotJobKind::Stage,
            Task::Verify { .. } => SnapshotJobKind::Verify,
            Task::Install { .. } => SnapshotJobKind::Install,
            Task::Discard(_) => SnapshotJobKind::Discard,
        }
    }

    /// Does it. Blocks.
    ///
    /// # Errors
    /// If the disk failed while the snapshot was put in the place of this host's state: which of the two
    /// is in force is not known, and the process must end. Every other failure is part of what came of
    /// it.
    pub fn run(self, checkpoints: &Checkpoints) -> Result<SnapshotDone, CheckpointError> {
        let Self { transfer, task } = self;
        let came = match task {
            Task::Open {
                log,
                header,
                chunk_bytes,
            } => {
                let opened = Reader::open(checkpoints, log, &header, chunk_bytes);
                Came::Opened(opened.map(Box::new))
            }
            Task::Read(mut reader) => Came::Read(reader.read().map(|read| (reader, read))),
            Task::Stage { staging, rows } => {
                Came::Staged(stage(checkpoints, staging, rows).map_err(|error| error.to_string()))
            }
            Task::Verify {
                mut staging,
                header,
                versions,
            } => Came::Verified(match verify(&mut staging, &header, versions) {
                Ok(()) => Ok(staging),
                Err(why) => {
                    discard(checkpoints, *staging);
                    Err(why)
                }
            }),
            Task::Install { staging, commit } => match checkpoints.install(*staging, commit) {
                Ok(()) => Came::Installed(Ok(())),
                Err(error) if error.may_succeed_later() => Came::Installed(Err(error.to_string())),
                Err(error) => return Err(error),
            },
            Task::Discard(staging) => {
                discard(checkpoints, *staging);
                Came::Discarded
            }
        };
        Ok(SnapshotDone { transfer, came })
    }
}

fn stage(
    checkpoints: &Checkpoints,
    staging: Option<Box<Staging>>,
    rows: Vec<(Vec<u8>, Vec<u8>)>,
) -> Result<Box<Staging>, CheckpointError> {
    let mut staging = match staging {
        Some(staging) => staging,
        None => Box::new(checkpoints.stage()?),
    };
    match staging.put(rows) {
        Ok(()) => Ok(staging),
        Err(error) => {
            discard(checkpoints, *staging);
            Err(error)
        }
    }
}

/// The next one to be staged, or the next start, removes what cannot be removed now.
fn discard(checkpoints: &Checkpoints, staging: Staging) {
    if let Err(error) = checkpoints.discard(staging) {
        tracing::warn!(%error, "what was received of a snapshot takes up space");
    }
}

/// A machine restored from what is staged, read from the device, must be the one that the sender says.
fn verify(
    staging: &mut Staging,
    header: &Header,
    versions: RangeInclusive<MachineVersion>,
) -> Result<(), String> {
    let rows = staging.read_back().map_err(|error| error.to_string())?;
    let mut damage = None;
    let rows = rows.map_while(|row| row.map_err(|error| damage = Some(error)).ok());
    let restored = Machine::restore_supporting(versions, rows);
    if let Some(error) = damage {
        return Err(error.to_string());
    }
    let machine = restored.map_err(|error| error.to_string())?;
    let here = (machine.executed(), machine.state_hash(), machine.totals());
    let named = (
        header.position,
        header.state_hash,
        (header.messages, header.message_bytes),
    );
    if here != named {
        return Err(format!(
            "what was received is another state than was named: {here:?} instead of {named:?}"
        ));
    }
    Ok(())
}
