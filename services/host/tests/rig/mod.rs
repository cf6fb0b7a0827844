//! Several cores in one thread, over disks in memory: messages arrive at once and in order, syncs end
//! at once, time moves when it is told to. What the hosts of a cluster do is then a story to be read.

//!
//! - `lives`: hosts begin and end; `turns`: time passes and effects are carried out;
//! - `asking`: what clients, the manager and other hosts say; `tellings`: what hosts tell successors;
//! - `carriages`: what they carry to heirs;
//! - `disks`, `snapshots`: what is made to go wrong.

mod asking;
mod carriages;
mod disks;
mod lives;
mod snapshots;
mod tellings;
mod turns;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use bytes::Bytes;
use shoal_host::core::{CheckpointPace, Core, OperationId, SnapshotEvent, SnapshotPace};
use shoal_queue::MACHINE_VERSION_MAX;
use shoal_replication::Message;
use shoal_storage::{Checkpoints, LogReader, MemDisk};
use shoal_types::{
    ClusterId, Command, HostId, HostReply, HostRequest, HostState, Micros, Mono, Now, Outcome,
    PartitionId, QueueSettings, Refusal, Revision, Ts,
};

pub(crate) use asking::{receive, send_of};

pub(crate) const CLUSTER: ClusterId = ClusterId(1);
pub(crate) const QUEUE: PartitionId = PartitionId(7);

/// An answer, with the bodies that go along.
type WholeAnswer = (Result<HostReply, Refusal>, Vec<Bytes>);

/// One host: its disk outlives its core.
struct Slot {
    disk: Arc<MemDisk>,
    running: Option<Running>,
    lives: u64,
    /// Its release supports machine versions 1 to this one.
    newest: u16,
    /// Raises of the version that it has executed, those replayed after a start included.
    raises: Arc<AtomicUsize>,
    /// It may find that it must stop; any other host that does so fails the test.
    may_stop: bool,
    /// Why it stopped by itself last.
    fatal: Option<String>,
    /// Its wall clock shows so much more than the others'.
    wall_ahead: Micros,
    /// It went on from a snapshot so often.
    restarts: u32,
    /// It wanted to be woken although it waited for its disk alone, to install a snapshot.
    wakes_at_rest: bool,
    /// What became of snapshots.
    snapshots: Vec<SnapshotEvent>,
    /// So many checkpoints are to find the disk full, which nothing else does.
    checkpoints_without_room: u32,
}

struct Running {
    core: Core,
    wall_ahead: Micros,
    reader: LogReader,
    checkpoints: Checkpoints,
}

impl Running {
    fn begin_turn(&mut self, now: Now) {
        self.core.begin_turn(ahead_by(self.wall_ahead, now));
    }
}

fn ahead_by(micros: Micros, now: Now) -> Now {
    Now {
        wall: now.wall.after(micros),
        ..now
    }
}

/// A cluster.
pub(crate) struct Rig {
    slots: BTreeMap<HostId, Slot>,
    now: Now,
    wire: VecDeque<(HostId, HostId, Message)>,
    answers: BTreeMap<OperationId, WholeAnswer>,
    last_operation: u64,
    last_request: u128,
    log_bytes_max: Option<u64>,
    checkpoint_pace: CheckpointPace,
    snapshot_pace: SnapshotPace,
    /// Of the messages about snapshots every so many-th is lost, and every so many-th damaged.
    disturbed: Option<u64>,
    snapshot_messages: u64,
    /// The second one does not hear the first.
    cut: Option<(HostId, HostId)>,
    tellings: tellings::Tellings,
    carriages: carriages::Carriages,
}

impl Rig {
    /// A cluster of so many hosts, formed and serving, with one empty queue.
    pub(crate) fn with_queue(hosts: u64, settings: QueueSettings) -> Self {
        Self::with_log_of(None, hosts, settings)
    }

    /// The same, with logs that may take only so many bytes.
    pub(crate) fn with_log_of(
        log_bytes_max: Option<u64>,
        hosts: u64,
        settings: QueueSettings,
    ) -> Self {
        Self::build(
            log_bytes_max,
            &vec![1; hosts as usize],
            settings,
            Default::default(),
        )
    }

    /// The same, with a checkpoint after so long if anything was logged.
    pub(crate) fn with_checkpoints_every(
        interval: Duration,
        hosts: u64,
        settings: QueueSettings,
    ) -> Self {
        let pace = CheckpointPace {
            interval,
            ..Default::default()
        };
        Self::build(None, &vec![1; hosts as usize], settings, pace)
    }

    /// The same, of hosts whose releases support machine versions 1 to these.
    pub(crate) fn of_releases(newest: &[u16]) -> Self {
        Self::build(None, newest, QueueSettings::default(), Default::default())
    }

    /// The same, with partitions that may follow one another.
    pub(crate) fn with_movable_queue(hosts: usize, settings: QueueSettings) -> Self {
        let newest = MACHINE_VERSION_MAX.0;
        let mut rig = Self::build(None, &vec![newest; hosts], settings, Default::default());
        rig.run_until(|rig| {
            let version = |host: &HostId| rig.core(*host).machine().version();
            rig.hosts()
                .iter()
                .all(|host| version(host) == MACHINE_VERSION_MAX)
        });
        rig
    }

    fn build(
        log_bytes_max: Option<u64>,
        newest: &[u16],
        settings: QueueSettings,
        checkpoint_pace: CheckpointPace,
    ) -> Self {
        let start = Now {
            mono: Mono(1_000),
            wall: Ts(1_000_000_000),
        };
        let mut rig = Self {
            slots: BTreeMap::new(),
            now: start,
            wire: VecDeque::new(),
            answers: BTreeMap::new(),
            last_operation: 0,
            last_request: 0,
            log_bytes_max,
            checkpoint_pace,
            snapshot_pace: SnapshotPace::default(),
            disturbed: None,
            snapshot_messages: 0,
            cut: None,
            tellings: Default::default(),
            carriages: Default::default(),
        };
        for (n, newest) in (1..).zip(newest) {
            rig.add_host_of_release(HostId(n), *newest);
        }
        let spec = rig.spec();
        for host in rig.hosts() {
            rig.call(host, HostRequest::Form { spec: spec.clone() }, Vec::new());
        }
        rig.run_until(|rig| rig.acting().len() == newest.len());
        let create = Command::CreatePartition {
            partition: QUEUE,
            settings: settings.partition(Default::default()),
            revision: Revision(2),
        };
        assert_eq!(
            rig.execute(HostId(1), create, Vec::new()),
            Ok(Outcome::Done)
        );
        rig
    }

    pub(crate) fn hosts(&self) -> Vec<HostId> {
        self.slots.keys().copied().collect()
    }

    /// Hosts that act in their view and have caught up.
    pub(crate) fn acting(&self) -> Vec<HostId> {
        let acts = |slot: &Slot| {
            slot.running
                .as_ref()
                .is_some_and(|r| r.core.state() == HostState::Acting)
        };
        self.slots
            .iter()
            .filter(|(_, slot)| acts(slot))
            .map(|(host, _)| *host)
            .collect()
    }

    pub(crate) fn core(&self, host: HostId) -> &Core {
        &self.slots[&host]
            .running
            .as_ref()
            .expect("the host runs")
            .core
    }

    /// The host, in a turn that has begun.
    fn running(&mut self, host: HostId) -> &mut Running {
        let slot = self.slots.get_mut(&host).expect("one of ours");
        let running = slot.running.as_mut().expect("the host runs");
        running.begin_turn(self.now);
        running
    }

    /// # Panics
    /// If the hosts that run have not executed the same, or differ.
    pub(crate) fn states_agree(&mut self) {
        self.run_until(|rig| {
            let at = |host: &HostId| rig.core(*host).machine().executed();
            let positions: Vec<_> = rig.hosts().iter().map(at).collect();
            positions.windows(2).all(|pair| pair[0] == pair[1])
        });
        let of = |host: &HostId| {
            let machine = self.core(*host).machine();
            (machine.state_hash(), machine.full_hash())
        };
        let states: Vec<_> = self.hosts().iter().map(of).collect();
        assert!(states.windows(2).all(|pair| pair[0] == pair[1]));
    }
}
