//! From the data folder to a core whose new life is on disk: at the start of the process, and again when a
//! snapshot has taken the place of this host's state.

use std::sync::Arc;
use std::time::Duration;

use shoal_replication::EngineConfig;
use shoal_runtime::clock::SystemClock;
use shoal_storage::{
    CheckpointOptions, Checkpoints, DataFolder, Disk, DiskVersion, Log, LogOptions, Lsn, random_u64,
};
use shoal_types::HostId;

use crate::config::HostConfig;
use crate::core::{self, CheckpointPace, Core, Effect, Opened, SnapshotPace};

/// What it takes to read the folder, as often as need be.
#[derive(Clone)]
pub(crate) struct Recovery {
    host: HostId,
    disk: Arc<dyn Disk>,
    segment_bytes: u32,
    log_bytes_max: Option<u64>,
    checkpoint: CheckpointOptions,
    checkpoint_pace: CheckpointPace,
    snapshot_pace: SnapshotPace,
    scrub_round: Duration,
}

impl Recovery {
    pub(crate) fn new(config: &HostConfig, folder: &DataFolder) -> Self {
        Self {
            host: folder.host(),
            disk: folder.disk(),
            segment_bytes: config.segment_bytes,
            log_bytes_max: config.log_bytes_max,
            checkpoint: CheckpointOptions {
                cache_bytes: config.checkpoint_cache_bytes,
                ..CheckpointOptions::default()
            },
            checkpoint_pace: CheckpointPace {
                log_bytes: config.checkpoint_log_bytes,
                ..CheckpointPace::default()
            },
            snapshot_pace: SnapshotPace {
                catch_up_bytes: config.catch_up_bytes,
                ..SnapshotPace::default()
            },
            scrub_round: Duration::from_secs(config.scrub_hours * 3_600),
        }
    }

    pub(crate) fn open_checkpoints(&self) -> anyhow::Result<Checkpoints> {
        // Opening tidies up, which a release that was put back too late must not.
        DiskVersion::refuse_newer(&*self.disk, DiskVersion::NEWEST)?;
        let opened = Checkpoints::open(Arc::clone(&self.disk), self.checkpoint);
        Ok(opened.map_err(core::RecoveryError::Checkpoint)?)
    }

    /// A core whose new incarnation is on disk, so that it may be shown. Blocks.
    pub(crate) fn recover(
        &self,
        checkpoints: &Checkpoints,
        clock: &SystemClock,
    ) -> anyhow::Result<Core> {
        let checkpoint = checkpoints
            .load()
            .map_err(core::RecoveryError::Checkpoint)?;
        let replay_from = checkpoint
            .as_ref()
            .map_or(Lsn::FIRST, |loaded| loaded.replay_from);
        let log_options = LogOptions {
            segment_bytes: self.segment_bytes,
            replay_from,
            log_bytes_max: self.log_bytes_max,
            ..LogOptions::new(self.host, random_u64()?)
        };
        let (log, scan) = Log::open(Arc::clone(&self.disk), log_options)?;
        if let Some(torn) = scan.torn_tail() {
            tracing::warn!(file = torn.file, offset = torn.offset, lsn = %torn.lsn, "an unfinished write was left out");
        }
        let engine = EngineConfig::new(self.host, random_u64()?);
        let opened = Opened {
            checkpoint,
            log,
            scan,
            witness: None,
            checkpoint_pace: self.checkpoint_pace,
            snapshot_pace: self.snapshot_pace,
            scrub_round: self.scrub_round,
        };
        let mut core = core::recover(self.host, opened, engine, clock.now())?;
        write_incarnation(&mut core, clock)?;
        Ok(core)
    }
}

/// The first batch, on this thread: nobody may see this life of the process before it is on disk.
fn write_incarnation(core: &mut Core, clock: &SystemClock) -> anyhow::Result<()> {
    core.begin_turn(clock.now());
    for effect in core.end_turn() {
        match effect {
            Effect::Write(batch) => {
                let done = batch.write()?;
                core.on_written(done);
            }
            Effect::Fatal(reason) => anyhow::bail!(reason),
            // Nobody is connected yet; what matters is sent again.
            _ => {}
        }
    }
    Ok(())
}
