//! What can be done to a cluster from outside, one step at a time. Faults and scenarios are made of
//! these.

use shoal_types::{HostId, MachineVersion, Micros};

/// What a host's disk can be doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobKind {
    /// Writing and syncing a block of the log.
    Write,
    /// Writing a checkpoint.
    Checkpoint,
    /// Making a spare segment or an index.
    Upkeep,
    /// Removing segments.
    Removal,
    /// Reading a chunk of a snapshot for a peer.
    SnapshotRead,
    /// Keeping rows of a snapshot, checking or throwing away what was kept.
    SnapshotStage,
    /// Putting a snapshot in the place of the own state.
    SnapshotInstall,
    /// Looking whether what is kept is still sound.
    Scrub,
}

impl JobKind {
    /// Of so many of these one is hit by a kill, where hosts are killed by chance.
    pub(crate) fn killed_one_in(self) -> u64 {
        match self {
            Self::SnapshotInstall => 6,
            _ => 80,
        }
    }
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Kill -9: the process is gone, what it wrote is in the page cache.
    Kill(HostId),
    /// The machine loses its power: what was not synced may be lost, nobody is told.
    PowerOff(HostId),
    /// All machines at once.
    PowerOffAll,
    /// Boots the machine if need be and starts the process if it does not run.
    Start(HostId),
    /// Kills the process while it starts the next time.
    KillInStart(HostId),
    /// The machine loses its power right after the next vote that the host sends.
    PowerOffAtVote {
        /// Whose.
        host: HostId,
        /// It has power again after so long.
        lasts: Micros,
    },
    /// Kills the process in the middle of the next job of this kind that it gives its disk.
    KillInJob {
        /// Whose.
        host: HostId,
        /// Which kind.
        job: JobKind,
    },
    /// The process stands still; with `clock`, its machine's clocks do as well (a paused virtual
    /// machine).
    Freeze {
        /// Whose.
        host: HostId,
        /// The clocks stand still too.
        clock: bool,
    },
    /// It goes on.
    Thaw(HostId),
    /// It is asked to stop: leaves the view, then ends.
    Leave(HostId),
    /// It is stopped and started again with a release that supports machine versions up to this one.
    Upgrade {
        /// Whose.
        host: HostId,
        /// Up to this one.
        supports: MachineVersion,
    },
    /// It is gone and does not come back in this run.
    Retire(HostId),
    /// Nothing gets from the first to the second host, for each pair.
    Cut(Vec<(HostId, HostId)>),
    /// Ends one [`Action::Cut`].
    Mend(Vec<(HostId, HostId)>),
    /// Clients do not reach this host, nor it them.
    CutClients(HostId),
    /// They do again.
    MendClients(HostId),
    /// Everything between two hosts takes so much longer, in this direction.
    SlowLink {
        /// From here.
        from: HostId,
        /// To there.
        to: HostId,
        /// Longer by so much; 0: as usual.
        by: Micros,
    },
    /// Connections to this host break, and can be made again at once.
    BreakLinks(HostId),
    /// Every operation of the disk takes so many times as long; 1: as usual.
    SlowDisk {
        /// Whose.
        host: HostId,
        /// How many times.
        times: u64,
    },
    /// The disk does nothing for so long.
    StallDisk {
        /// Whose.
        host: HostId,
        /// How long.
        lasts: Micros,
    },
    /// The disk has room for so many more bytes; `None`: for everything.
    FillDisk {
        /// Whose.
        host: HostId,
        /// Bytes.
        room: Option<u64>,
        /// The file system copies what it writes, so that writing over something needs room too.
        copies: bool,
    },
    /// The next write to a file of the log or the checkpoint fails.
    FailWrite(HostId),
    /// The next sync of such a file fails.
    FailSync(HostId),
    /// So many reads fail.
    FailReads {
        /// Whose.
        host: HostId,
        /// How many.
        times: u64,
    },
    /// Bits of a file change; the number decides where.
    Damage {
        /// Whose.
        host: HostId,
        /// Which bits.
        place: u64,
    },
    /// The last thing that a host that is down had written, and perhaps acknowledged, is no longer
    /// readable. No host can tell this from a write that was never finished; the others remember.
    LoseTail(HostId),
    /// Somebody keeps a copy of the data folder.
    CopyData(HostId),
    /// Somebody stops the process, puts the copy in the place of the data folder, and starts it again. Only
    /// while the others run and hear each other: what they remember is gone with their processes.
    SetBack(HostId),
    /// The same with an empty folder.
    Wipe(HostId),
    /// Somebody sets the machine's wall clock: it is off by so much (in microseconds) from now on.
    SetClock {
        /// Whose.
        host: HostId,
        /// Ahead of true time, or behind it.
        ahead: i64,
    },
    /// Every turn of the process takes so much longer; 0: as usual.
    SlowProcess {
        /// Whose.
        host: HostId,
        /// How long.
        turn: Micros,
    },
}
