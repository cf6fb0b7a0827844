//! Writing a checkpoint, on a thread that may wait for a disk; what came of it is given back to the core.

use shoal_queue::Frozen;
use shoal_replication::EngineCheckpoint;
use shoal_storage::{CheckpointError, Checkpoints, Commit, DiskVersion, Lsn};

use super::encode_meta;

/// A key of the checkpoint with its new value; `None` deletes it.
pub type Write = (Vec<u8>, Option<Vec<u8>>);

/// State frozen at one position, on its way to redb.
pub struct PendingCheckpoint {
    pub(super) contents: Contents,
    /// How it is written, by the rules in force where it was frozen.
    pub(super) version: DiskVersion,
    /// The engine's part.
    pub(super) engine: EngineCheckpoint,
    /// Replay starts here.
    pub(super) replay_from: Lsn,
}

pub(super) enum Contents {
    /// What changed in the queues since the last one.
    Changes {
        /// What an earlier checkpoint could not write because the disk was full; comes first.
        carried: Vec<Write>,
        state: Frozen,
    },
    /// All of it, into a new file: the one in force is damaged.
    Whole(Frozen),
}

/// What became of a checkpoint, for [`Core::on_checkpoint`](super::Core::on_checkpoint).
pub enum CheckpointDone {
    /// It is durable and was read back; replay starts here.
    Durable {
        /// Replay starts here.
        replay_from: Lsn,
        /// It was written anew, in the place of a damaged one.
        anew: bool,
    },
    /// No room: the one before stands. These are the writes that did not take place; none of a checkpoint
    /// that was to be written anew, which contains everything again when it is tried again.
    NoSpace(Vec<Write>),
    /// The one in force is damaged, and has to be written anew.
    Damaged(CheckpointError),
}

impl PendingCheckpoint {
    /// Writes it. Blocks.
    ///
    /// # Errors
    /// If the disk failed: the process must end.
    pub fn write(self, store: &Checkpoints) -> Result<CheckpointDone, CheckpointError> {
        let (version, replay_from) = (self.version, self.replay_from);
        let meta = encode_meta(&self.engine);
        let (written, writes) = match self.contents {
            Contents::Changes { carried, state } => {
                // Kept until the commit is through: if the disk is full they must not be forgotten.
                let writes: Vec<Write> = carried.into_iter().chain(state.into_writes()).collect();
                let commit = Commit {
                    version,
                    meta,
                    replay_from,
                    writes: writes.iter().cloned(),
                };
                (store.write(commit), Some(writes))
            }
            Contents::Whole(state) => {
                let commit = Commit {
                    version,
                    meta,
                    replay_from,
                    writes: state.into_writes(),
                };
                (store.rewrite(commit), None)
            }
        };
        let anew = writes.is_none();
        match written {
            Ok(()) => Ok(CheckpointDone::Durable { replay_from, anew }),
            Err(error) if error.may_succeed_later() => {
                Ok(CheckpointDone::NoSpace(writes.unwrap_or_default()))
            }
            Err(error) if error.is_damage() && !anew => Ok(CheckpointDone::Damaged(error)),
            Err(error) => Err(error),
        }
    }
}
