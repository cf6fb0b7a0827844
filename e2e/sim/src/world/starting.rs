//! A process starts: from the disk to a core whose new life is on the disk, in the host's own order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use shoal_host::core::{self, CheckpointPace, Core, Effect, Opened, SnapshotPace};
use shoal_host::disk_version;
use shoal_replication::EngineConfig;
use shoal_storage::{CheckpointOptions, Checkpoints, Disk, Keep, Log, LogOptions, Lsn};
use shoal_types::{HostId, MachineVersion};

use super::clock::ProcessClock;
use super::disk::SimDisk;
use super::host::{Process, Seen};
use super::witness::Steps;
use super::{Event, World, contained};
use crate::checkers::Checker;
use crate::history::SimTime;
use crate::limits::{CHECKPOINT_CACHE_BYTES, MS, SCRUB_ROUND, SECOND};
use crate::sometimes::Sometimes;
use crate::trace::Note;

/// What is found out on the way.
#[derive(Default)]
struct Found {
    torn: bool,
    last_lsn: Option<Lsn>,
    from_checkpoint: bool,
    beginning_removed: bool,
    formats_mixed: bool,
}

impl World {
    /// Boots the machine if need be and starts the process, unless it runs or never will again.
    pub(super) fn start(&mut self, id: HostId) {
        let host = self.hosts.get_mut(&id).expect("one of ours");
        if host.process.is_some() || host.starting || host.away {
            return;
        }
        host.powered = true;
        host.starting = true;
        host.lives += 1;
        let life = host.lives;
        let takes = self.process_random.magnitude(MS..300 * MS);
        let at = SimTime(self.now.0 + takes);
        self.schedule.at(at, Event::Starts { host: id, life });
        self.links_changed();
    }

    /// The process has read its disk and begins to serve, or cannot.
    pub(super) fn starts(&mut self, id: HostId, life: u64) {
        let host = self.hosts.get_mut(&id).expect("one of ours");
        if !host.starting || host.lives != life {
            return;
        }
        host.starting = false;
        let killed = std::mem::take(&mut host.kill_in_start);
        let disk = host.disk.clone();
        disk.troubles().failed = Default::default();
        if killed {
            disk.troubles().stop_after = Some(self.disk_random.below(12));
        }
        let steps = Steps::default();
        let mut found = Found::default();
        let recovered = contained(|| self.recover(id, life, &disk, &steps, &mut found));
        let stopped_at = disk.troubles().failed.stopped_at.take();
        self.note_found(id, &found);
        match recovered {
            Ok(Ok(process)) if stopped_at.is_none() => {
                disk.troubles().stop_after = None;
                self.started(id, process);
            }
            Ok(_) if stopped_at.is_some() => {
                self.reached.note(Sometimes::KilledInStart);
                self.stopped_while_starting(id);
            }
            Ok(Ok(_)) => unreachable!("one of the two above"),
            Ok(Err(why)) => self.start_refused(id, life, why),
            Err(panic) => {
                self.violation(
                    Checker::Assertions,
                    format!("{id} panics at its start: {panic}"),
                );
                self.stopped_while_starting(id);
            }
        }
    }

    fn recover(
        &mut self,
        id: HostId,
        life: u64,
        disk: &SimDisk,
        steps: &Steps,
        found: &mut Found,
    ) -> Result<Process, String> {
        let storage = self.options.storage;
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let newest = disk_version(self.hosts[&id].supports);
        let options = CheckpointOptions {
            cache_bytes: CHECKPOINT_CACHE_BYTES,
            newest,
        };
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let checkpoints = Checkpoints::open(Arc::clone(&shared), options).map_err(|e| text(&e))?;
        let checkpoint = checkpoints.load().map_err(|e| text(&e))?;
        let replay_from = checkpoint
            .as_ref()
            .map_or(Lsn::FIRST, |loaded| loaded.replay_from);
        found.from_checkpoint = checkpoint.is_some();
        if let Some(loaded) = &checkpoint {
            self.note_installed(id, &loaded.meta);
        }
        let log_options = LogOptions {
            segment_bytes: storage.segment_bytes,
            replay_from,
            newest,
            ..LogOptions::new(id, self.disk_random.any())
        };
        let (log, scan) = Log::open(shared, log_options).map_err(|e| text(&e))?;
        found.torn = scan.torn_tail().is_some();
        found.last_lsn = Some(log.last_lsn());
        found.beginning_removed = log.first_lsn() > Lsn::FIRST;
        let segments = log.segments();
        found.formats_mixed = segments.iter().any(|s| s.version != segments[0].version);
        let opened = Opened {
            checkpoint,
            log,
            scan,
            witness: Some(Box::new(steps.clone())),
            checkpoint_pace: CheckpointPace {
                log_bytes: storage.checkpoint_log_bytes,
                interval: Duration::from_micros(storage.checkpoint_interval),
            },
            snapshot_pace: SnapshotPace {
                catch_up_bytes: storage.catch_up_bytes,
                chunk_bytes: storage.chunk_bytes,
                bytes_per_second: storage.snapshot_bytes_per_second,
            },
            scrub_round: SCRUB_ROUND,
        };
        let engine = EngineConfig::new(id, self.process_random.any());
        let host = &self.hosts[&id];
        let mut clock = ProcessClock::start(&host.clock, self.now);
        let now = clock.read(&host.clock, self.now);
        let versions = MachineVersion(1)..=host.supports;
        let mut core =
            core::recover_supporting(versions, id, opened, engine, now).map_err(|e| text(&e))?;
        core.begin_turn(now);
        write_incarnation(&mut core)?;
        Ok(Process {
            life,
            reader: core.log().reader(),
            core,
            checkpoints,
            clock,
            steps: steps.clone(),
            inbox: VecDeque::new(),
            turn_planned: false,
            wake_planned: None,
            jobs: BTreeMap::new(),
            last_job: 0,
            links: BTreeMap::new(),
            dialled: None,
            callers: BTreeMap::new(),
            catch_up_reads: 0,
            carriages: 0,
            leave_until: None,
            restarts: false,
            lost_trust: false,
            seen: Seen::default(),
        })
    }

    fn note_found(&mut self, id: HostId, found: &Found) {
        let durable = self.hosts.get_mut(&id).expect("one of ours").durable_at_end;
        let mut note = |is: bool, what| {
            if is {
                self.reached.note(what);
            }
        };
        note(found.torn, Sometimes::TornTail);
        note(
            durable.is_some() && found.last_lsn > durable,
            Sometimes::UnsyncedTail,
        );
        note(
            found.from_checkpoint && found.last_lsn.is_some(),
            Sometimes::CheckpointRestored,
        );
        note(found.formats_mixed, Sometimes::FormatsMixed);
        note(
            found.beginning_removed,
            Sometimes::RestoredWithoutOldSegments,
        );
    }

    fn started(&mut self, id: HostId, process: Process) {
        let life = process.life;
        let note = Note::Started {
            host: id,
            life,
            incarnation: process.core.origin().incarnation.0,
            last_lsn: process.core.log().last_lsn().0,
        };
        self.trace.note(self.now, &note);
        let host = self.hosts.get_mut(&id).expect("one of ours");
        let damaged = host.damaged;
        let steps = process.steps.clone();
        host.process = Some(process);
        if damaged {
            self.reached.note(Sometimes::DamageHarmless);
        }
        self.summary.starts += 1;
        self.look_at_rested(id);
        self.calm.news();
        self.note_replayed(&steps);
        self.check_memory(id);
        self.note_steps(id);
        self.connect(id);
        self.links_changed();
        self.schedule.at(self.now, Event::Turn { host: id, life });
        if let Some(process) = &mut self.hosts.get_mut(&id).expect("one of ours").process {
            process.turn_planned = true;
        }
    }

    /// The crash came while the process started: whatever it did so far may be there in part.
    fn stopped_while_starting(&mut self, id: HostId) {
        let keep = if self.disk_random.one_in(2) {
            Keep::All
        } else {
            Keep::Random(self.disk_random.any())
        };
        self.hosts[&id].disk.crash(keep);
        self.start_later(id);
    }

    /// A host may refuse to start only for a reason: damage, for good; or a disk that is full or fails,
    /// for as long as it is or does.
    fn start_refused(&mut self, id: HostId, life: u64, why: String) {
        let failed = std::mem::take(&mut self.hosts[&id].disk.troubles().failed);
        let host = self.hosts.get_mut(&id).expect("one of ours");
        let note = Note::NotStarted {
            host: id,
            life,
            why: why.clone(),
        };
        self.trace.note(self.now, &note);
        let excused = failed.full || failed.write || failed.sync || failed.read;
        host.disk.crash(if failed.sync {
            Keep::Random(self.disk_random.any())
        } else {
            Keep::All
        });
        if excused {
            self.start_later(id);
        } else if host.damaged {
            self.lose(id);
            self.reached.note(Sometimes::DamageRefused);
        } else {
            self.lose(id);
            self.violation(
                Checker::Assertions,
                format!("{id} does not start on a disk that is whole: {why}"),
            );
        }
    }

    fn start_later(&mut self, id: HostId) {
        let at = SimTime(self.now.0 + self.process_random.magnitude(10 * MS..SECOND));
        self.schedule.at(at, Event::StartAgain { host: id });
    }
}

/// The first batch, before anybody may see this life of the process, as the host's own start does it.
fn write_incarnation(core: &mut Core) -> Result<(), String> {
    for effect in core.end_turn() {
        match effect {
            Effect::Write(batch) => {
                let done = batch.write().map_err(|error| error.to_string())?;
                core.on_written(done);
            }
            Effect::Fatal(reason) => return Err(reason),
            // Nobody is connected yet; what matters is sent again.
            _ => {}
        }
    }
    Ok(())
}
