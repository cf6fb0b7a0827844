//! Several cores in one thread, over disks in memory: messages arrive at once and in order, syncs end
//! at once, time moves when it is told to. What the hosts of a cluster do is then a story to be read.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use shoal_host::core::{self, Answer, Core, Effect, Opened, OperationId, StoredBody};
use shoal_replication::{EngineConfig, LinkEvent, Message, Record};
use shoal_storage::{
    CheckpointOptions, Checkpoints, Commit, Disk, Keep, Log, LogOptions, LogReader, Lsn, MemDisk,
};
use shoal_types::{
    ClusterId, ClusterMember, ClusterSpec, Command, HostId, HostReply, HostRequest, HostState,
    Micros, Mono, Now, Outcome, PartitionId, QueueSettings, Refusal, Request, RequestId, Revision,
    SendItem, Ts,
};

pub(crate) const CLUSTER: ClusterId = ClusterId(1);
pub(crate) const QUEUE: PartitionId = PartitionId(7);

/// One host: its disk outlives its core.
struct Slot {
    disk: Arc<MemDisk>,
    running: Option<Running>,
    lives: u64,
}

struct Running {
    core: Core,
    reader: LogReader,
    checkpoints: Checkpoints,
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
        for n in 1..=hosts {
            rig.add_host(HostId(n));
        }
        let spec = rig.spec();
        for host in rig.hosts() {
            rig.call(host, HostRequest::Form { spec: spec.clone() }, Vec::new());
        }
        rig.run_until(|rig| rig.acting().len() == hosts as usize);
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
        let slot = Slot {
            disk: Arc::new(MemDisk::new()),
            running: None,
            lives: 0,
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
                running.core.begin_turn(self.now);
                running.core.on_link(host, LinkEvent::Refused);
            }
        }
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
            witness: None,
        };
        let core = core::recover(host, opened, EngineConfig::new(host, host.0), self.now).unwrap();
        let reader = core.log().reader();
        slot.running = Some(Running {
            core,
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
                    running.core.begin_turn(self.now);
                    running.core.on_link(
                        *b,
                        LinkEvent::Up {
                            incarnation: *incarnation,
                        },
                    );
                }
            }
        }
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
        running.core.begin_turn(self.now);
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
        running.core.begin_turn(self.now);
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
                running.core.begin_turn(self.now);
                running.core.on_message(from, message);
                self.turn(to);
            }
        }
    }

    /// Ends turns of a host until nothing more comes of it.
    fn turn(&mut self, host: HostId) {
        let Some(running) = &mut self.slots.get_mut(&host).unwrap().running else {
            return;
        };
        loop {
            running.core.begin_turn(self.now);
            let effects = running.core.end_turn();
            if effects.is_empty() {
                return;
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
                    Effect::Fatal(reason) => panic!("{host} must stop: {reason}"),
                }
            }
        }
    }
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
