//! From what is on disk to a running core: the checkpoint, then the tail of the log through the same
//! engine and queues that execute live.

use std::ops::RangeInclusive;
use std::time::Duration;

use shoal_queue::{Machine, RestoreError};
use shoal_replication::{Engine, EngineCheckpoint, EngineConfig, Record};
use shoal_storage::{Address, CheckpointError, Loaded, Log, LogError, LogRecord, Lsn, Scan};
use shoal_types::planted::show_local_clock;
use shoal_types::{HostId, MachineVersion, Now};

use super::release::CheckpointSchedule;
use super::scrub::Scrub;
use super::{CheckpointPace, Core, Effect, Payload, SnapshotPace, Witness};
use crate::kept_body;

/// Why a host cannot start from its data folder.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The log is damaged or cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The checkpoint is damaged, and nobody could give this host the state; or it cannot be read.
    #[error("{0}. Restore the file or replace this host")]
    Checkpoint(#[from] CheckpointError),
    /// The checkpoint is sound, but not what the queues wrote.
    #[error("the checkpoint of the queues cannot be restored")]
    Queues(#[from] RestoreError),
    /// The engine's part of the checkpoint is damaged, or of another release.
    #[error("the checkpoint of the engine cannot be read: {0}")]
    Engine(String),
    /// What the log says to execute must not be executed here.
    #[error("this host must not start: {0}")]
    Stopped(String),
    /// A record of the log is none of ours.
    #[error("log record {lsn:?} cannot be read: {why}")]
    Record {
        /// Which record.
        lsn: Lsn,
        /// Why.
        why: String,
    },
}

/// The engine's part of a checkpoint as the store keeps it; [`recover`] reads it back.
#[must_use]
pub fn encode_meta(engine: &EngineCheckpoint) -> Vec<u8> {
    postcard::to_stdvec(engine).expect("writing to memory does not fail")
}

/// What [`encode_meta`] wrote.
///
/// # Errors
/// If the bytes are not that.
pub fn decode_meta(meta: &[u8]) -> Result<EngineCheckpoint, RecoveryError> {
    postcard::from_bytes(meta).map_err(|error| RecoveryError::Engine(error.to_string()))
}

/// What the data folder holds, opened.
pub struct Opened {
    /// The newest checkpoint, if there is one.
    pub checkpoint: Option<Loaded>,
    /// The log, ready to append.
    pub log: Log,
    /// What the log holds from where replay starts.
    pub scan: Scan,
    /// Sees what is executed, if anybody wants to; a host in service has none.
    pub witness: Option<Box<dyn Witness + Send>>,
    /// How often the next ones are written.
    pub checkpoint_pace: CheckpointPace,
    /// How snapshots are made, and for whom the log is kept.
    pub snapshot_pace: SnapshotPace,
    /// All that is kept is read again and checked within about so long.
    pub scrub_round: Duration,
}

/// Rebuilds the core. Entries that were executed before are executed again by the same code; nobody
/// waits for their answers.
///
/// # Errors
/// If anything on disk cannot be trusted, or is to be executed by rules that this release does not know.
/// Nothing is changed on disk then.
pub fn recover(
    host: HostId,
    opened: Opened,
    config: EngineConfig,
    now: Now,
) -> Result<Core, RecoveryError> {
    recover_supporting(Machine::versions(), host, opened, config, now)
}

/// The same for a release that supports other machine versions; for tests of what releases do together.
///
/// # Errors
/// As [`recover`].
pub fn recover_supporting(
    versions: RangeInclusive<MachineVersion>,
    host: HostId,
    opened: Opened,
    config: EngineConfig,
    now: Now,
) -> Result<Core, RecoveryError> {
    let Opened {
        checkpoint,
        log,
        scan,
        witness,
        checkpoint_pace,
        snapshot_pace,
        scrub_round,
    } = opened;
    let mut damage = None;
    let mut lost = false;
    let (machine, engine_checkpoint, replay_from) = match checkpoint {
        Some(loaded) => {
            let engine = decode_meta(&loaded.meta)?;
            let replay_from = loaded.replay_from;
            damage = loaded.damage.clone();
            let machine = match restore_queues(versions.clone(), loaded) {
                // Half a state is none. Another member has all of it, if there is one.
                Err(RecoveryError::Checkpoint(error))
                    if error.is_damage() && has_other_members(host, &engine) =>
                {
                    damage = Some(error);
                    lost = true;
                    Machine::supporting(versions)
                }
                restored => restored?,
            };
            (machine, Some(engine), replay_from)
        }
        None => (Machine::supporting(versions), None, Lsn::FIRST),
    };
    let mut engine = Engine::new(config, engine_checkpoint, now);
    if lost {
        engine.lose_state();
    }
    let schedule = CheckpointSchedule::new(checkpoint_pace, replay_from, now.mono);
    let scrub = Scrub::new(scrub_round, now.mono);
    let mut core = Core::new(host, engine, machine, log, schedule, scrub, now);
    core.note_damage(scan.damage());
    core.witness = witness;
    core.snapshot_pace = snapshot_pace;
    show_local_clock(now.wall);
    for found in scan {
        core.replay_record(found?)?;
        if let Some(reason) = core.stopped {
            return Err(RecoveryError::Stopped(reason));
        }
    }
    core.start(now);
    if let Some(error) = damage {
        core.checkpoint_is_damaged(&error);
    }
    Ok(core)
}

/// True if there is somebody who could give this host the state.
pub(crate) fn has_other_members(host: HostId, engine: &EngineCheckpoint) -> bool {
    let lists = engine.spec.iter().chain(&engine.learning);
    let mut members = lists.flat_map(|spec| &spec.members);
    members.any(|member| member.host != host)
}

/// Stops at the first row that cannot be read: half a state is none.
fn restore_queues(
    versions: RangeInclusive<MachineVersion>,
    mut loaded: Loaded,
) -> Result<Machine, RecoveryError> {
    let mut damage = None;
    let rows = std::iter::from_fn(|| match loaded.rows.next()? {
        Ok(row) => Some(row),
        Err(error) => {
            damage = Some(error);
            None
        }
    });
    let machine = Machine::restore_supporting(versions, rows);
    match damage {
        Some(error) => Err(error.into()),
        None => Ok(machine?),
    }
}

impl Core {
    fn replay_record(&mut self, found: LogRecord) -> Result<(), RecoveryError> {
        let LogRecord {
            lsn,
            kind,
            at,
            payload,
            ..
        } = found;
        let unreadable = |why: String| RecoveryError::Record { lsn, why };
        if kind == kept_body::KIND {
            let found = kept_body::decode(payload).map_err(|e| unreadable(e.to_string()))?;
            self.replay_kept(&found.kept, at, found.starts);
            return Ok(());
        }
        let record = Record::decode(kind, payload).map_err(|e| unreadable(e.to_string()))?;
        self.replay(record, lsn, at);
        Ok(())
    }

    fn replay(&mut self, record: Record, lsn: Lsn, at: Address) {
        if let Record::Entry(entry) = &record {
            let payload = Payload {
                at,
                starts: record.payload_at(),
            };
            self.unexecuted
                .insert((entry.view, entry.lane, entry.index), payload);
        }
        let number = self.engine.replay(record);
        self.note_record(number, lsn);
        self.pump();
    }

    /// The log is read, and all of it is durable: its opening synced it.
    fn start(&mut self, now: Now) {
        self.now = now;
        self.write_as_all_can_read();
        self.persisted = self.last_record;
        self.unexecuted
            .retain(|(view, lane, index), _| !self.engine.is_past(*view, *lane, *index));
        self.engine.started(now);
        self.origin.incarnation = self.engine.incarnation();
        self.pump();
        self.life = self.last_record;
        // Answers of replayed commands have nobody to go to, and frontends are not connected yet.
        self.effects
            .retain(|effect| !matches!(effect, Effect::Answer { .. } | Effect::PushView(..)));
    }
}
