//! Hosts begin and end: what outlives them is on their disks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use shoal_host::core::{self, Effect, Opened, RecoveryError, Witness};
use shoal_host::disk_version;
use shoal_queue::MACHINE_VERSION_MAX;
use shoal_replication::{EngineConfig, LinkEvent, View};
use shoal_storage::{CheckpointOptions, Checkpoints, Disk, Keep, Log, LogOptions, Lsn, MemDisk};
use shoal_types::{
    Command, Delivery, HostId, MachineVersion, Micros, Origin, Outcome, Position, Request,
    RequestId,
};

use super::{Rig, Running, Slot, ahead_by};

impl Rig {
    /// One host more, which belongs to no cluster.
    pub(crate) fn add_host(&mut self, host: HostId) {
        self.add_host_of_release(host, MACHINE_VERSION_MAX.0);
    }

    pub(super) fn add_host_of_release(&mut self, host: HostId, newest: u16) {
        let slot = Slot {
            disk: Arc::new(MemDisk::new()),
            running: None,
            lives: 0,
            newest,
            raises: Arc::default(),
            may_stop: false,
            fatal: None,
            wall_ahead: 0,
            restarts: 0,
            wakes_at_rest: false,
            snapshots: Vec::new(),
            checkpoints_without_room: 0,
        };
        self.slots.insert(host, slot);
        self.start(host);
    }

    /// Kills a process. What it wrote is in the page cache and stays.
    pub(crate) fn kill(&mut self, host: HostId) {
        self.slots.get_mut(&host).expect("one of ours").running = None;
        self.wire
            .retain(|(from, to, _)| *from != host && *to != host);
        for other in self.hosts() {
            if let Some(running) = &mut self.slots.get_mut(&other).expect("one of ours").running {
                running.begin_turn(self.now);
                running.core.on_link(host, LinkEvent::Refused);
            }
        }
    }

    /// Sets the wall clock of a host's machine. Its process goes by that from its next start on.
    pub(crate) fn set_clock_ahead(&mut self, host: HostId, micros: Micros) {
        self.slots.get_mut(&host).expect("one of ours").wall_ahead = micros;
    }

    /// The power fails: what was not synced is gone.
    pub(crate) fn power_off(&mut self) {
        for slot in self.slots.values_mut() {
            slot.running = None;
            slot.disk.crash(Keep::Synced);
        }
        self.wire.clear();
    }

    /// Starts a host on what its disk holds.
    pub(crate) fn start(&mut self, host: HostId) {
        self.try_start(host).unwrap();
    }

    /// Starts a host that may refuse to.
    pub(crate) fn try_start(&mut self, host: HostId) -> Result<(), RecoveryError> {
        let slot = self.slots.get_mut(&host).expect("one of ours");
        slot.lives += 1;
        let disk: Arc<dyn Disk> = Arc::clone(&slot.disk) as Arc<dyn Disk>;
        let newest = disk_version(MachineVersion(slot.newest));
        let options = CheckpointOptions {
            cache_bytes: 1 << 20,
            newest,
        };
        let checkpoints = Checkpoints::open(Arc::clone(&disk), options)?;
        let checkpoint = checkpoints.load()?;
        let replay_from = checkpoint.as_ref().map_or(Lsn::FIRST, |c| c.replay_from);
        let log_options = LogOptions {
            segment_bytes: 1 << 20,
            replay_from,
            newest,
            log_bytes_max: self.log_bytes_max,
            ..LogOptions::new(host, life(host, slot.lives))
        };
        let (log, scan) = Log::open(disk, log_options)?;
        let opened = Opened {
            checkpoint,
            log,
            scan,
            witness: Some(Box::new(CountRaises(Arc::clone(&slot.raises)))),
            checkpoint_pace: self.checkpoint_pace,
            snapshot_pace: self.snapshot_pace,
            scrub_round: Duration::from_secs(5),
        };
        let versions = MachineVersion(1)..=MachineVersion(slot.newest);
        // Drawn anew by each process: by it the others tell two lives apart that take the same number.
        let config = EngineConfig::new(host, life(host, slot.lives));
        let now = ahead_by(slot.wall_ahead, self.now);
        let core = core::recover_supporting(versions, host, opened, config, now)?;
        let reader = core.log().reader();
        slot.running = Some(Running {
            core,
            wall_ahead: slot.wall_ahead,
            reader,
            checkpoints,
        });
        self.write_life(host);
        self.turn(host);
        let lives: Vec<_> = self
            .slots
            .iter()
            .filter_map(|(host, slot)| {
                let core = &slot.running.as_ref()?.core;
                let assigned = core.cluster().is_some();
                Some((*host, (core.origin().incarnation, assigned)))
            })
            .collect();
        for (a, _) in &lives {
            for (b, (incarnation, assigned)) in &lives {
                if a != b && (*a == host || *b == host) {
                    let running = self.slots.get_mut(a).unwrap().running.as_mut().unwrap();
                    running.begin_turn(self.now);
                    running.core.on_link(
                        *b,
                        LinkEvent::Up {
                            incarnation: *incarnation,
                            assigned: *assigned,
                        },
                    );
                }
            }
        }
        Ok(())
    }

    /// The first batch, as the host's own start writes it: nobody is connected yet, and what else comes of
    /// this turn comes to nothing.
    fn write_life(&mut self, host: HostId) {
        let running = self.slots.get_mut(&host).unwrap().running.as_mut().unwrap();
        running.begin_turn(self.now);
        for effect in running.core.end_turn() {
            match effect {
                Effect::Write(batch) => running.core.on_written(batch.write().unwrap()),
                Effect::Tell(_) | Effect::Carry(_) => panic!("{host} calls before it lives"),
                _ => {}
            }
        }
    }

    /// Replaces a host's program by a release that supports machine versions 1 to this one. It must not
    /// be running.
    pub(crate) fn install_release(&mut self, host: HostId, newest: u16) {
        let slot = self.slots.get_mut(&host).expect("one of ours");
        assert!(slot.running.is_none(), "{host} runs");
        slot.newest = newest;
    }

    /// How many raises of the version this host has executed.
    pub(crate) fn raises(&self, host: HostId) -> usize {
        self.slots[&host].raises.load(Ordering::Relaxed)
    }

    /// Says that a host may find that it must stop.
    pub(crate) fn may_stop(&mut self, host: HostId) {
        self.slots.get_mut(&host).expect("one of ours").may_stop = true;
    }

    /// Why a host stopped by itself, if it did.
    pub(crate) fn fatal(&self, host: HostId) -> Option<&str> {
        self.slots[&host].fatal.as_deref()
    }
}

/// Sees how often the machine version is raised.
struct CountRaises(Arc<AtomicUsize>);

impl Witness for CountRaises {
    fn entry(&mut self, _: Position) {}

    fn command(&mut self, request: &Request, _: &[Bytes], _: &Outcome) {
        if let Command::RaiseVersion { .. } = request.command {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn given(&mut self, _: Origin, _: RequestId, _: &[Delivery]) {}

    fn view_installed(&mut self, _: &View) {}
}

pub(super) fn life(host: HostId, lives: u64) -> u64 {
    host.0 << 32 | lives
}
