//! Several cores in one thread, over disks in memory: messages arrive at once and in order, syncs end
//! at once, time moves when it is told to. What the hosts of a cluster do is then a story to be read.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use shoal_host::core::{
    self, Answer, Core, Effect, Opened, OperationId, RecoveryError, StoredBody, Witness,
};
use shoal_queue::{MACHINE_VERSION_MAX, Machine};
use shoal_replication::{
    EngineConfig, Heartbeat, HostPhase, LinkEvent, Message, Record, StateReport, View,
};
use shoal_storage::{
    CheckpointOptions, Checkpoints, Commit, Disk, Keep, Log, LogOptions, LogReader, Lsn, MemDisk,
};
use shoal_types::{
    ClusterId, ClusterMember, ClusterSpec, Command, Delivery, HostId, HostReply, HostRequest,
    HostState, MachineVersion, Micros, Mono, Now, Origin, Outcome, PartitionId, Position, Query,
    QueueSettings, Refusal, Request, RequestId, Revision, SendItem, Ts,
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
        Self::build(log_bytes_max, &vec![1; hosts as usize], settings)
    }

    /// The same, of hosts whose releases support machine versions 1 to these.
    pub(crate) fn of_releases(newest: &[u16]) -> Self {
        Self::build(None, newest, QueueSettings::default())
    }

    fn build(log_bytes_max: Option<u64>, newest: &[u16], settings: QueueSettings) -> Self {
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
        let options = CheckpointOptions {
            cache_bytes: 1 << 20,
        };
        let checkpoints = Checkpoints::open(Arc::clone(&disk), options).unwrap();
        let checkpoint = checkpoints.load().unwrap();
        let replay_from = checkpoint.as_ref().map_or(Lsn::FIRST, |c| c.replay_from);
        let log_options = LogOptions {
            segment_bytes: 1 << 20,
            replay_from,
            log_bytes_max: self.log_bytes_max,
            ..LogOptions::new(host, host.0 << 32 | slot.lives)
        };
        let (log, scan) = Log::open(disk, log_options).unwrap();
        let opened = Opened {
            checkpoint,
            log,
            scan,
            witness: Some(Box::new(CountRaises(Arc::clone(&slot.raises)))),
            checkpoint_pace: Default::default(),
        };
        let versions = MachineVersion(1)..=MachineVersion(slot.newest);
        let config = EngineConfig::new(host, host.0);
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
                Some((*host, slot.running.as_ref()?.core.origin().incarnation))
            })
            .collect();
        for (a, _) in &lives {
            for (b, incarnation) in &lives {
                if a != b && (*a == host || *b == host) {
                    let running = self.slots.get_mut(a).unwrap().running.as_mut().unwrap();
                    running.begin_turn(self.now);
                    running.core.on_link(
                        *b,
                        LinkEvent::Up {
                            incarnation: *incarnation,
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
            phase: HostPhase::Acting,
            announced: None,
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
            if let Some(running) = &mut self.slots.get_mut(&to).unwrap().running {
                running.begin_turn(self.now);
                running.core.on_message(from, message);
                self.turn(to);
            }
        }
    }

    /// Ends turns of a host until nothing more comes of it.
    fn turn(&mut self, host: HostId) {
        if let Err(reason) = self.turn_unless_fatal(host) {
            let slot = self.slots.get_mut(&host).unwrap();
            assert!(slot.may_stop, "{host} must stop: {reason}");
            slot.fatal = Some(reason);
            self.kill(host);
        }
    }

    fn turn_unless_fatal(&mut self, host: HostId) -> Result<(), String> {
        let Some(running) = &mut self.slots.get_mut(&host).unwrap().running else {
            return Ok(());
        };
        loop {
            running.begin_turn(self.now);
            let effects = running.core.end_turn();
            if effects.is_empty() {
                return Ok(());
            }
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
                        let records = running
                            .reader
                            .entries(view, lane, from, up_to, 1 << 20)
                            .unwrap();
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
                        let read = |body| match body {
                            StoredBody::Recent(bytes) => bytes,
                            StoredBody::InLog(at, len) => running.reader.body(at, len).unwrap(),
                        };
                        let bodies = bodies.into_iter().map(read).collect();
                        self.answers.insert(operation, (result, bodies));
                    }
                    Effect::PushView(..) => {}
                    Effect::Checkpoint(pending) => {
                        let meta = core::encode_meta(&pending.engine);
                        let replay_from = pending.replay_from;
                        let writes = pending
                            .carried
                            .into_iter()
                            .chain(pending.state.into_writes());
                        running
                            .checkpoints
                            .write(Commit {
                                meta,
                                replay_from,
                                writes,
                            })
                            .unwrap();
                        running.core.on_checkpoint_written(replay_from);
                    }
                    Effect::Upkeep(upkeep) => upkeep.run().unwrap(),
                    Effect::Remove(removal) => removal.run().unwrap(),
                    Effect::Fatal(reason) => return Err(reason),
                }
            }
        }
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

pub(crate) fn send_of(body: &str) -> Command {
    let item = SendItem {
        size: body.len() as u32,
        crc: 0,
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
