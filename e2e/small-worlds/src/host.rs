//! One host of a world: the engine, its disk, and what its driver keeps.

use std::collections::BTreeMap;

use shoal_replication::{Engine, EngineConfig, Message, Record, RecordNumber, Ticket};
use shoal_types::{
    ClusterId, ClusterMember, ClusterSpec, HostId, Incarnation, Mono, Now, Revision, Ts,
};

use crate::bounds::timings;
use crate::disk::Disk;
use crate::history::Batch;
use crate::world::HOSTS;

/// The wall time at which the hosts' clocks stand.
const WALL: u64 = 1_000_000_000;
/// Where each life's monotonic clock starts.
const BOOT: Mono = Mono(1_000_000);

#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub(crate) place: usize,
    pub(crate) spec: ClusterSpec,
    /// `None` while the process is down.
    engine: Option<Engine>,
    pub(crate) disk: Disk,
    pub(crate) now: Now,
    /// Messages that wait for a record.
    pub(crate) after_persisted: Vec<(RecordNumber, usize, Message)>,
    /// Entries that this life has executed.
    pub(crate) executed: usize,
    /// Batches whose clients wait here.
    pub(crate) waiting: BTreeMap<Ticket, Batch>,
    /// Batches submitted here so far, in all lives.
    pub(crate) batches: u8,
    /// The life that others may see.
    pub(crate) shown: Option<Incarnation>,
    /// The engine wants no more to be done.
    pub(crate) stopped: bool,
    lives: u8,
    /// This is a later life, and it acts.
    acted_again: bool,
}

impl Host {
    /// A host with an empty disk, down.
    pub(crate) fn new(place: usize, ahead: u64) -> Self {
        let member = |h: usize| ClusterMember {
            host: HostId(h as u64 + 1),
            address: String::new(),
        };
        let spec = ClusterSpec {
            cluster: ClusterId(7),
            members: (0..HOSTS).map(member).collect(),
            revision: Revision(1),
            only: None,
        };
        Self {
            place,
            spec,
            engine: None,
            disk: Disk::default(),
            now: Now {
                mono: BOOT,
                wall: Ts(WALL + ahead),
            },
            after_persisted: Vec::new(),
            executed: 0,
            waiting: BTreeMap::new(),
            batches: 0,
            shown: None,
            stopped: false,
            lives: 0,
            acted_again: false,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.engine.is_some()
    }

    /// The engine of a host that is up.
    pub(crate) fn engine(&mut self) -> &mut Engine {
        self.engine.as_mut().expect("the host is up")
    }

    /// The same, to look at.
    pub(crate) fn running(&self) -> Option<&Engine> {
        self.engine.as_ref().filter(|_| !self.stopped)
    }

    pub(crate) fn id_of(&self, place: usize) -> HostId {
        self.spec.members[place].host
    }

    pub(crate) fn place_of(&self, id: HostId) -> usize {
        let members = self.spec.members.iter();
        members
            .map(|m| m.host)
            .position(|host| host == id)
            .expect("a member")
    }

    pub(crate) fn next_batch(&mut self) -> Batch {
        self.batches += 1;
        Batch {
            coordinator: self.place as u8,
            number: self.batches,
        }
    }

    /// The process is gone, and what it knew.
    pub(crate) fn crash(&mut self, kept: usize) {
        self.engine = None;
        self.disk.crash(kept);
        self.after_persisted.clear();
        self.waiting.clear();
        self.executed = 0;
        self.shown = None;
        self.stopped = false;
        self.acted_again = false;
    }

    /// A new life, which has not read its log yet; gives what is in there.
    pub(crate) fn boot(&mut self) -> Vec<Record> {
        assert!(self.engine.is_none(), "the process runs already");
        self.lives += 1;
        self.now.mono = BOOT;
        let mut config = EngineConfig::new(self.id_of(self.place), 1);
        config.timings = timings();
        self.engine = Some(Engine::new(config, None, self.now));
        self.disk.open()
    }

    /// True once in a life that is not the first: when it begins to act.
    pub(crate) fn acts_again(&mut self) -> bool {
        let acts = self.lives > 1 && self.running().is_some_and(|e| e.status().acting);
        let first = acts && !self.acted_again;
        self.acted_again |= acts;
        first
    }
}
