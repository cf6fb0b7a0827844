//! Several cores in one thread, over disks in memory: messages arrive at once and in order, syncs end
//! at once, time moves when it is told to. What the hosts of a cluster do is then a story to be read.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use shoal_host::core::{
    self, Answer, CheckpointPace, Core, Effect, Opened, OperationId, RecoveryError, SnapshotEvent,
    SnapshotPace, StoredBody, Witness,
};
use shoal_queue::{MACHINE_VERSION_MAX, Machine};
use shoal_replication::{
    EngineConfig, Heartbeat, HostPhase, LinkEvent, Message, Payload, Record, StateReport, View,
};
use shoal_storage::{
    CheckpointOptions, Checkpoints, Commit, Disk, Keep, Log, LogOptions, LogReader, Lsn, MemDisk,
    ReadError,
};
use shoal_types::{
    BodyRef, ClusterId, ClusterMember, ClusterSpec, Command, Delivery, HostId, HostReply,
    HostRequest, HostState, MachineVersion, Micros, Mono, Now, Origin, Outcome, PartitionId,
    Position, Query, QueueSettings, Refusal, Request, RequestId, Revision, SendItem, Ts,
};

pub(crate) const CLUSTER: ClusterId = ClusterId(1);
pub(crate) const QUEUE: PartitionId = PartitionId(7);

/// A key of a checkpoint with its value.
type Row = (Vec<u8>, Vec<u8>);

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
    /// What became of snapshots.
    snapshots: Vec<SnapshotEvent>,
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
    answers: BTreeMap<OperationId, (Result<HostReply, Refusal>, Vec<Bytes>)>,
    last_operation: u64,
    last_request: u128,
    log_bytes_max: Option<u64>,
    checkpoint_pace: CheckpointPace,
    snapshot_pace: SnapshotPace,
    /// Of the messages about snapshots every so manieth is lost, and every so manieth damaged.
    disturbed: Option<u64>,
    snapshot_messages: u64,
    /// The second one does not hear the first.
    cut: Option<(HostId, HostId)>,
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

    /// One host more, which belongs to no cluster.
    pub(crate) fn add_host(&mut self, host: HostId) {
        self.add_host_of_release(host, MACHINE_VERSION_MAX.0);
    }

    fn add_host_of_release(&mut self, host: HostId, newest: u16) {
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
            snapshots: Vec::new(),
        };
        self.slots.insert(host, slot);
        self.start(host);
    }

    /// Calls a host and waits for the answer.
    pub(crate) fn ask(&mut self, host: HostId, request: HostRequest) -> Result<HostReply, Refusal> {
        let operation = self.call(host, request, Vec::new());
        self.run_until(|rig| rig.is_answered(operation));
        self.answer(operation).expect("just waited for it").0
    }

    /// The list of all hosts.
    pub(crate) fn spec(&self) -> ClusterSpec {
        let members = self.slots.keys().map(|host| ClusterMember {
            host: *host,
            address: String::new(),
        });
        ClusterSpec {
            cluster: CLUSTER,
            members: members.collect(),
            revision: Revision(1),
            only: None,
        }
    }

    /// Asks a host to form the cluster that it belongs to.
    pub(crate) fn form_again(&mut self, host: HostId) -> OperationId {
        let spec = self.spec();
        self.call(host, HostRequest::Form { spec }, Vec::new())
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

    /// A host's disk.
    pub(crate) fn disk(&self, host: HostId) -> &MemDisk {
        &self.slots[&host].disk
    }

    /// Changes bits of a body on a host's disk.
    pub(crate) fn flip(&self, host: HostId, body: BodyRef, byte: u32) {
        let name = format!("{:010}.segment", body.segment);
        let offset = u64::from(body.offset + byte);
        self.slots[&host].disk.flip(&name, offset, 0x10);
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

    /// From now on one host does not hear another one, which hears it.
    pub(crate) fn cut_one_way(&mut self, from: HostId, to: HostId) {
        self.cut = Some((from, to));
    }

    pub(crate) fn mend(&mut self) {
        self.cut = None;
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
        let options = CheckpointOptions {
            cache_bytes: 1 << 20,
        };
        let checkpoints = Checkpoints::open(Arc::clone(&disk), options)?;
        let checkpoint = checkpoints.load()?;
        let replay_from = checkpoint.as_ref().map_or(Lsn::FIRST, |c| c.replay_from);
        let log_options = LogOptions {
            segment_bytes: 1 << 20,
            replay_from,
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

    /// Lets one host's state be another one when it starts again: its checkpoint, which it must have
    /// written, says that the queue was purged. Gives what it said before.
    pub(crate) fn falsify(&mut self, host: HostId) -> Vec<Row> {
        let rows = self.stored(host);
        let mut machine = Machine::restore(rows.clone()).unwrap();
        let HostRequest::Execute { request, .. } =
            self.request(Command::Purge { partition: QUEUE })
        else {
            panic!("a request is executed")
        };
        machine.apply(&request, &[], &mut Vec::new());
        self.store(host, machine.freeze().into_writes().collect());
        rows
    }

    /// Puts a checkpoint's rows back.
    pub(crate) fn restore(&mut self, host: HostId, rows: Vec<Row>) {
        let (keep, now): (Vec<_>, Vec<_>) = (rows, self.stored(host));
        let gone = now.into_iter().map(|(key, _)| (key, None));
        let kept = keep.into_iter().map(|(key, value)| (key, Some(value)));
        let writes: BTreeMap<_, _> = gone.chain(kept).collect();
        self.store(host, writes.into_iter().collect());
    }

    fn checkpoints(&self, host: HostId) -> Checkpoints {
        let slot = &self.slots[&host];
        assert!(slot.running.is_none(), "{host} runs");
        let disk: Arc<dyn Disk> = Arc::clone(&slot.disk) as Arc<dyn Disk>;
        let options = CheckpointOptions {
            cache_bytes: 1 << 20,
        };
        Checkpoints::open(disk, options).unwrap()
    }

    /// The rows of the checkpoint of a host that does not run.
    pub(crate) fn stored(&self, host: HostId) -> Vec<Row> {
        let checkpoint = self.checkpoints(host).load().unwrap();
        let rows = checkpoint.expect("it has written one").rows;
        rows.map(Result::unwrap).collect()
    }

    fn store(&self, host: HostId, writes: Vec<core::Write>) {
        let checkpoints = self.checkpoints(host);
        let loaded = checkpoints.load().unwrap().expect("it has written one");
        let (meta, replay_from) = (loaded.meta.clone(), loaded.replay_from);
        drop(loaded);
        let commit = Commit {
            meta,
            replay_from,
            writes,
        };
        checkpoints.write(commit).unwrap();
    }

    /// A host hears this from another one.
    pub(crate) fn hear(&mut self, host: HostId, from: HostId, message: Message) {
        self.wire.push_back((from, host, message));
        self.deliver_all();
    }

    /// What a host would say in a heartbeat now, with this about its state.
    pub(crate) fn heartbeat(&self, host: HostId, state: StateReport) -> Message {
        let core = self.core(host);
        Message::Heartbeat(Heartbeat {
            view: core.engine().view().number,
            incarnation: core.origin().incarnation,
            life: life(host, self.slots[&host].lives),
            phase: HostPhase::Acting,
            announced: None,
            unheard: vec![],
            durable: vec![0; self.slots.len()],
            wall: self.now.wall,
            disk_used_percent: 0,
            state,
        })
    }

    /// Asks a host and gives the operation, answered or not yet.
    pub(crate) fn call(
        &mut self,
        host: HostId,
        request: HostRequest,
        bodies: Vec<Bytes>,
    ) -> OperationId {
        self.last_operation += 1;
        let operation = OperationId(self.last_operation);
        let running = self
            .slots
            .get_mut(&host)
            .unwrap()
            .running
            .as_mut()
            .expect("the host runs");
        running.begin_turn(self.now);
        running.core.on_call(operation, request, bodies);
        self.turn(host);
        operation
    }

    /// A request under a new id, with ten seconds to live.
    pub(crate) fn request(&mut self, command: Command) -> HostRequest {
        self.last_request += 1;
        let request = Request {
            id: RequestId(self.last_request),
            deadline: self.now.wall.after(10_000_000),
            origin: Default::default(),
            command,
        };
        HostRequest::Execute {
            cluster: CLUSTER,
            request,
        }
    }

    pub(crate) fn query(&self, query: Query) -> HostRequest {
        HostRequest::Query {
            cluster: CLUSTER,
            query,
        }
    }

    /// Executes a command at a host and waits for the answer.
    pub(crate) fn execute(
        &mut self,
        host: HostId,
        command: Command,
        bodies: Vec<Bytes>,
    ) -> Result<Outcome, Refusal> {
        self.execute_with_bodies(host, command, bodies)
            .map(|(outcome, _)| outcome)
    }

    pub(crate) fn execute_with_bodies(
        &mut self,
        host: HostId,
        command: Command,
        bodies: Vec<Bytes>,
    ) -> Result<(Outcome, Vec<Bytes>), Refusal> {
        let request = self.request(command);
        let operation = self.call(host, request, bodies);
        self.run_until(|rig| rig.answers.contains_key(&operation));
        match self.answer(operation).expect("just waited for it") {
            (Ok(HostReply::Outcome(outcome)), bodies) => Ok((outcome, bodies)),
            (Ok(other), _) => panic!("{other:?} answers a command"),
            (Err(refusal), _) => Err(refusal),
        }
    }

    pub(crate) fn answer(
        &mut self,
        operation: OperationId,
    ) -> Option<(Result<HostReply, Refusal>, Vec<Bytes>)> {
        self.answers.remove(&operation)
    }

    pub(crate) fn is_answered(&self, operation: OperationId) -> bool {
        self.answers.contains_key(&operation)
    }

    pub(crate) fn cancel(&mut self, host: HostId, operation: OperationId) {
        let running = self
            .slots
            .get_mut(&host)
            .unwrap()
            .running
            .as_mut()
            .expect("the host runs");
        running.begin_turn(self.now);
        running.core.on_cancel(operation);
        self.turn(host);
    }

    pub(crate) fn send(&mut self, host: HostId, body: &'static str) -> Result<Outcome, Refusal> {
        self.execute(
            host,
            send_of(body),
            vec![Bytes::from_static(body.as_bytes())],
        )
    }

    /// Starts all hosts anew with logs of which next to nothing is kept, and checkpoints every second.
    pub(crate) fn keep_little(&mut self) {
        self.checkpoint_pace.interval = Duration::from_secs(1);
        self.snapshot_pace = SnapshotPace {
            catch_up_bytes: 3 << 20,
            chunk_bytes: 100_000,
            ..SnapshotPace::default()
        };
        let hosts = self.hosts();
        for host in &hosts {
            self.kill(*host);
            self.start(*host);
            self.run_until(|rig| rig.acting().len() == hosts.len());
        }
    }

    /// Of the messages about snapshots every so manieth is lost from now on, and every so manieth damaged.
    pub(crate) fn disturb_snapshots(&mut self, every: u64) {
        self.disturbed = Some(every);
    }

    fn disturb(&mut self, message: Message) -> Option<Message> {
        let (Message::Snapshot(payload), Some(every)) = (&message, self.disturbed) else {
            return Some(message);
        };
        let is_chunk = payload.len() > 1_000;
        self.snapshot_messages += u64::from(is_chunk);
        match self.snapshot_messages % every {
            0 if is_chunk => None,
            3 if is_chunk => {
                let mut bytes = payload.contiguous().to_vec();
                let last = bytes.len() - 1;
                bytes[last] ^= 1;
                Some(Message::Snapshot(Payload::from(Bytes::from(bytes))))
            }
            _ => Some(message),
        }
    }

    /// How often a host went on from a snapshot.
    pub(crate) fn restarts(&self, host: HostId) -> u32 {
        self.slots[&host].restarts
    }

    /// How many snapshots a host gave up half-way.
    pub(crate) fn abandoned(&self, host: HostId) -> usize {
        let events = self.slots[&host].snapshots.iter();
        let abandoned = |event: &&SnapshotEvent| matches!(event, SnapshotEvent::Abandoned { .. });
        events.filter(abandoned).count()
    }

    /// How many chunks a host refused as damaged, and how many it asked for again.
    pub(crate) fn chunks_repeated(&self, host: HostId) -> (usize, usize) {
        let events = &self.slots[&host].snapshots;
        let refused = |event: &&SnapshotEvent| matches!(event, SnapshotEvent::ChunkRefused { .. });
        let again = |event: &&SnapshotEvent| matches!(event, SnapshotEvent::ChunkAskedAgain { .. });
        (
            events.iter().filter(refused).count(),
            events.iter().filter(again).count(),
        )
    }

    /// Changes a bit of the last waiting message's body in a host's log.
    pub(crate) fn damage_a_body(&mut self, host: HostId) {
        let waiting = self.core(host).machine().peek(QUEUE, 1_000).unwrap();
        let (_, at) = *waiting.last().unwrap();
        let name = format!("{:010}.segment", at.segment);
        self.slots[&host].disk.flip(&name, at.offset.into(), 1);
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

    pub(crate) fn send_bytes(&mut self, host: HostId, body: &[u8]) {
        let item = SendItem {
            size: body.len() as u32,
            crc: crc32c::crc32c(body),
            delay: None,
            ttl: None,
            group: None,
            deduplication: None,
        };
        let send = Command::Send {
            partition: QUEUE,
            items: vec![item],
        };
        self.execute(host, send, vec![Bytes::copy_from_slice(body)])
            .unwrap();
    }

    /// Lets time pass until the condition holds.
    ///
    /// # Panics
    /// After a minute of the rig's time.
    pub(crate) fn run_until(&mut self, mut done: impl FnMut(&Self) -> bool) {
        let until = self.now.mono + Duration::from_secs(60);
        while !done(self) {
            assert!(
                self.now.mono < until,
                "the condition did not come true within a minute"
            );
            self.run_for(1_000);
        }
    }

    /// Lets so many microseconds pass, in steps of a millisecond at most.
    pub(crate) fn run_for(&mut self, micros: Micros) {
        self.deliver_all();
        let mut left = micros;
        while left > 0 {
            let step = left.min(1_000);
            left -= step;
            self.now.mono.0 += step;
            self.now.wall.0 += step;
            for host in self.hosts() {
                self.turn(host);
            }
            self.deliver_all();
        }
    }

    fn deliver_all(&mut self) {
        while let Some((from, to, message)) = self.wire.pop_front() {
            if self.cut == Some((from, to)) {
                continue;
            }
            let Some(message) = self.disturb(message) else {
                continue;
            };
            if let Some(running) = &mut self.slots.get_mut(&to).unwrap().running {
                running.begin_turn(self.now);
                running.core.on_message(from, message);
                self.turn(to);
            }
        }
    }

    /// Ends turns of a host until nothing more comes of it.
    fn turn(&mut self, host: HostId) {
        match self.turn_unless_fatal(host) {
            Ok(Then::GoOn) => {}
            Ok(Then::Restart) => {
                self.slots.get_mut(&host).unwrap().restarts += 1;
                self.kill(host);
                self.start(host);
            }
            Err(reason) => {
                let slot = self.slots.get_mut(&host).unwrap();
                assert!(slot.may_stop, "{host} must stop: {reason}");
                slot.fatal = Some(reason);
                self.kill(host);
            }
        }
    }

    fn turn_unless_fatal(&mut self, host: HostId) -> Result<Then, String> {
        loop {
            let Some(running) = &mut self.slots.get_mut(&host).unwrap().running else {
                return Ok(Then::GoOn);
            };
            running.begin_turn(self.now);
            let effects = running.core.end_turn();
            if effects.is_empty() {
                return Ok(Then::GoOn);
            }
            let mut then = Then::GoOn;
            for effect in effects {
                match effect {
                    Effect::SendPeer { to, messages } => {
                        self.wire
                            .extend(messages.into_iter().map(|m| (host, to, m)));
                    }
                    Effect::SendEntries {
                        to,
                        view,
                        lane,
                        from,
                        up_to,
                    } => {
                        let read = running.reader.entries(view, lane, from, up_to, 1 << 20);
                        if let Err(ReadError::NotFound { .. }) = read {
                            running.core.on_not_in_log(to, view);
                            continue;
                        }
                        let records = read.unwrap();
                        let entries = records.into_iter().map(|record| {
                            match Record::decode(Record::ENTRY_KIND, record).unwrap() {
                                Record::Entry(entry) => entry,
                                other => panic!("{other:?} is no entry"),
                            }
                        });
                        self.wire.push_back((host, to, Message::entries(entries)));
                    }
                    Effect::Write(batch) => running.core.on_written(batch.write().unwrap()),
                    Effect::Answer { operation, answer } => {
                        let Answer { result, bodies } = answer;
                        let mut at_hand = Vec::new();
                        let read = |body| match body {
                            StoredBody::Recent(bytes) => Ok(bytes),
                            StoredBody::InLog(placed) => {
                                core::read_body(&running.reader, &placed).map_err(|_| body)
                            }
                        };
                        let read: Vec<_> = bodies.into_iter().map(read).collect();
                        let whole = read.iter().all(Result::is_ok);
                        for body in read {
                            at_hand.push(body.map_or_else(|body| body, StoredBody::Recent));
                        }
                        if whole {
                            let bytes = |body| match body {
                                StoredBody::Recent(bytes) => bytes,
                                StoredBody::InLog(_) => unreachable!("all of it was read"),
                            };
                            let bodies = at_hand.into_iter().map(bytes).collect();
                            self.answers.insert(operation, (result, bodies));
                        } else {
                            let bodies = at_hand;
                            let answer = Answer { result, bodies };
                            running.core.on_unreadable(operation, answer);
                        }
                    }
                    Effect::ReadBodies(reads) => {
                        running.core.on_bodies_read(reads.run(&running.reader));
                    }
                    Effect::Scrub(look) => {
                        let scrubbed = look.run(&running.reader, &running.checkpoints);
                        running.core.on_scrubbed(scrubbed);
                    }
                    Effect::PushView(..) => {}
                    Effect::Checkpoint(pending) => {
                        let done = pending.write(&running.checkpoints).unwrap();
                        running.core.on_checkpoint(done);
                    }
                    // A host goes on without it.
                    Effect::Upkeep(upkeep) => drop(upkeep.run()),
                    Effect::Remove(removal) => removal.run().unwrap(),
                    Effect::Snapshot(job) => {
                        let came = job.run(&running.checkpoints).unwrap();
                        running.core.on_snapshot_job(came);
                    }
                    Effect::Restart => then = Then::Restart,
                    Effect::Fatal(reason) => return Err(reason),
                }
            }
            self.slots.get_mut(&host).unwrap().note_snapshots();
            if let Then::Restart = then {
                return Ok(then);
            }
        }
    }
}

fn life(host: HostId, lives: u64) -> u64 {
    host.0 << 32 | lives
}

impl Slot {
    fn note_snapshots(&mut self) {
        if let Some(running) = &mut self.running {
            self.snapshots.extend(running.core.take_snapshot_events());
        }
    }
}

/// How a host goes on after a turn.
enum Then {
    GoOn,
    Restart,
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

pub(crate) fn send_of(body: &str) -> Command {
    let item = SendItem {
        size: body.len() as u32,
        crc: crc32c::crc32c(body.as_bytes()),
        delay: None,
        ttl: None,
        group: None,
        deduplication: None,
    };
    Command::Send {
        partition: QUEUE,
        items: vec![item],
    }
}

pub(crate) fn receive(max: u16, wait_until: Option<Ts>) -> Command {
    Command::Receive {
        partition: QUEUE,
        max,
        visibility: None,
        wait_until,
        attempt: None,
        auto_ack: false,
    }
}
