//! Faults: which there are, and of which steps each consists.

use std::fmt;

use shoal_types::{HostId, Micros};

use crate::actions::{Action, JobKind};
use crate::limits::{MS, SECOND};
use crate::options::FaultOptions;
use crate::random::Random;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum FaultKind { $($(#[$doc])* $name,)* }

        impl FaultKind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

faults! {
    /// A process is killed and started again.
    Kill = "kill";
    /// A process is killed while its disk is at something in particular.
    KillInJob = "kill in the middle of a job";
    /// A process is killed again and again, also while it starts.
    RestartLoop = "restart loop";
    /// One machine loses its power.
    PowerLoss = "power loss";
    /// A machine loses its power right after a vote of its host on a view.
    PowerLossAtVote = "power loss right after a vote";
    /// All machines lose their power.
    PowerLossOfAll = "power loss of all";
    /// A process stands still.
    Freeze = "freeze";
    /// A machine stands still, clocks included.
    Pause = "pause of a machine";
    /// A process is stopped in good order.
    Leave = "leave";
    /// A host goes and never comes back.
    Gone = "gone for good";
    /// One link is cut in one direction.
    OneWayCut = "one-way cut";
    /// A host is cut off from all others.
    Minority = "host cut off";
    /// The hosts are split into two groups.
    Split = "split";
    /// Each host sees only its neighbours.
    Ring = "ring";
    /// A link comes and goes.
    Flap = "flapping link";
    /// Connections break.
    BrokenLinks = "broken connections";
    /// Packets get lost, so that frames come late.
    PacketLoss = "lost packets";
    /// Messages get lost.
    LostMessages = "lost messages";
    /// Messages come twice.
    TwiceMessages = "duplicated messages";
    /// Messages overtake each other.
    LateMessages = "overtaking messages";
    /// A link is slow.
    SlowLink = "slow link";
    /// Clients do not reach a host.
    CutClients = "host cut off from clients";
    /// A process gets little time to run.
    SlowProcess = "slow process";
    /// A disk is slow.
    SlowDisk = "slow disk";
    /// A disk does nothing for a while.
    StalledDisk = "stalled disk";
    /// A disk is full.
    FullDisk = "full disk";
    /// All disks are full.
    FullDisks = "all disks full";
    /// A write fails.
    FailedWrite = "failed write";
    /// A sync fails.
    FailedSync = "failed sync";
    /// Reads fail.
    FailedReads = "failed reads";
    /// Bits of a file change.
    Damage = "damaged file";
    /// A data folder is replaced by an earlier copy of itself.
    SetBack = "data folder set back to an earlier copy";
    /// A data folder is emptied; who it belongs to is still known.
    Wiped = "data folder wiped";
    /// A wall clock is set, within what is allowed.
    ClockStep = "clock step";
    /// A wall clock is far off from the beginning.
    FarClock = "far clock";
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// Steps with the time after which each is taken.
pub type Plan = Vec<(Micros, Action)>;

impl FaultKind {
    /// True if it makes sense in a cluster of so many.
    pub(crate) fn fits(self, hosts: usize) -> bool {
        match self {
            Self::Ring => hosts >= 4,
            _ => hosts >= 2,
        }
    }

    /// True if it is a rate of the network or a property of a host, and no event.
    pub(crate) fn is_constant(self) -> bool {
        matches!(
            self,
            Self::PacketLoss
                | Self::LostMessages
                | Self::TwiceMessages
                | Self::LateMessages
                | Self::FarClock
        )
    }

    /// The steps of one such fault.
    pub(crate) fn plan(
        self,
        hosts: &[HostId],
        options: &FaultOptions,
        random: &mut Random,
    ) -> Plan {
        let host = *random.choose(hosts);
        let lasts = random.range(options.lasts / 2..options.lasts * 2);
        match self {
            Self::Kill => vec![(0, Action::Kill(host)), (lasts, Action::Start(host))],
            Self::RestartLoop => restart_loop(host, random),
            Self::KillInJob => {
                use JobKind::{Checkpoint, Removal, Upkeep, Write};
                use JobKind::{SnapshotInstall, SnapshotRead, SnapshotStage};
                let job = *random.choose(&[
                    Write,
                    Checkpoint,
                    Checkpoint,
                    Removal,
                    Removal,
                    Upkeep,
                    SnapshotRead,
                    SnapshotStage,
                    SnapshotInstall,
                ]);
                vec![(0, Action::KillInJob { host, job })]
            }
            Self::PowerLoss => vec![(0, Action::PowerOff(host)), (lasts, Action::Start(host))],
            Self::PowerLossAtVote => power_loss_at_vote(host, hosts, lasts, random),
            Self::PowerLossOfAll => {
                let back =
                    |host: &HostId| (lasts + random.range(0..2 * SECOND), Action::Start(*host));
                let mut plan: Plan = hosts.iter().map(back).collect();
                plan.insert(0, (0, Action::PowerOffAll));
                plan
            }
            Self::Freeze | Self::Pause => {
                let clock = self == Self::Pause;
                // A paused machine's wall clock falls behind by as much; more than this is another fault.
                let lasts = if clock { lasts.min(100 * MS) } else { lasts };
                vec![
                    (0, Action::Freeze { host, clock }),
                    (lasts, Action::Thaw(host)),
                ]
            }
            Self::Leave => vec![
                (0, Action::Leave(host)),
                (3 * SECOND + lasts, Action::Start(host)),
            ],
            Self::Gone => vec![(0, Action::Retire(host))],
            Self::OneWayCut => cut(vec![other_of(host, hosts, random)], lasts),
            Self::Minority => {
                let (one_way, in_) = (random.one_in(3), random.one_in(2));
                let pairs = pairs_between(&[host], hosts);
                let pairs = pairs
                    .into_iter()
                    .filter(|(from, _)| !one_way || (*from == host) == in_);
                cut(pairs.collect(), lasts)
            }
            Self::Split => {
                let mut mixed = hosts.to_vec();
                random.shuffle(&mut mixed);
                cut(pairs_between(&mixed[..hosts.len() / 2], hosts), lasts)
            }
            Self::Ring => cut(not_neighbours(hosts, random), lasts),
            Self::Flap => flap(host, hosts, lasts, random),
            Self::BrokenLinks => vec![(0, Action::BreakLinks(host))],
            Self::SlowLink => {
                let (from, to) = other_of(host, hosts, random);
                let by = random.magnitude(2 * MS..600 * MS);
                vec![
                    (0, Action::SlowLink { from, to, by }),
                    (lasts, Action::SlowLink { from, to, by: 0 }),
                ]
            }
            Self::CutClients => vec![
                (0, Action::CutClients(host)),
                (lasts, Action::MendClients(host)),
            ],
            Self::SlowProcess => {
                let turn = random.magnitude(MS..60 * MS);
                vec![
                    (0, Action::SlowProcess { host, turn }),
                    (lasts, Action::SlowProcess { host, turn: 0 }),
                ]
            }
            Self::SlowDisk => {
                let times = random.magnitude(3..300);
                vec![
                    (0, Action::SlowDisk { host, times }),
                    (lasts, Action::SlowDisk { host, times: 1 }),
                ]
            }
            Self::StalledDisk => vec![(0, Action::StallDisk { host, lasts })],
            Self::FullDisk => fill(&[host], lasts, random),
            Self::FullDisks => fill(hosts, lasts, random),
            Self::FailedWrite => vec![(0, Action::FailWrite(host)), (lasts, Action::Start(host))],
            Self::FailedSync => vec![(0, Action::FailSync(host)), (lasts, Action::Start(host))],
            Self::FailedReads => vec![(
                0,
                Action::FailReads {
                    host,
                    times: random.magnitude(1..30),
                },
            )],
            Self::Damage => damage(host, lasts, random),
            Self::SetBack => vec![(0, Action::CopyData(host)), (lasts, Action::SetBack(host))],
            Self::Wiped => vec![(0, Action::Wipe(host))],
            Self::ClockStep => {
                let most = crate::limits::CLOCK_ERROR_MAX;
                let ahead = random.range(0..2 * most) as i64 - most as i64;
                vec![(0, Action::SetClock { host, ahead })]
            }
            Self::PacketLoss
            | Self::LostMessages
            | Self::TwiceMessages
            | Self::LateMessages
            | Self::FarClock => Vec::new(),
        }
    }
}

/// So that there is something to vote on, another host dies at the same time in most cases.
fn power_loss_at_vote(host: HostId, hosts: &[HostId], lasts: Micros, random: &mut Random) -> Plan {
    let mut plan = vec![(0, Action::PowerOffAtVote { host, lasts })];
    let (_, other) = other_of(host, hosts, random);
    if other != host && !random.one_in(4) {
        plan.push((MS, Action::Kill(other)));
        plan.push((lasts, Action::Start(other)));
    }
    plan
}

fn restart_loop(host: HostId, random: &mut Random) -> Plan {
    let mut plan = Vec::new();
    let mut at = 0;
    for _ in 0..random.range(3..9) {
        if random.one_in(3) {
            plan.push((at, Action::KillInStart(host)));
        }
        plan.push((at, Action::Kill(host)));
        at += random.magnitude(MS..300 * MS);
        plan.push((at, Action::Start(host)));
        at += random.magnitude(MS..SECOND);
    }
    plan.push((at + SECOND, Action::Start(host)));
    plan
}

fn cut(pairs: Vec<(HostId, HostId)>, lasts: Micros) -> Plan {
    vec![
        (0, Action::Cut(pairs.clone())),
        (lasts, Action::Mend(pairs)),
    ]
}

/// A host and another one, in any order.
fn other_of(host: HostId, hosts: &[HostId], random: &mut Random) -> (HostId, HostId) {
    let others: Vec<HostId> = hosts
        .iter()
        .copied()
        .filter(|other| *other != host)
        .collect();
    let other = *random.choose(&others);
    if random.one_in(2) {
        (host, other)
    } else {
        (other, host)
    }
}

/// All links between the group and the rest, both ways.
pub(crate) fn pairs_between(group: &[HostId], hosts: &[HostId]) -> Vec<(HostId, HostId)> {
    let rest: Vec<HostId> = hosts
        .iter()
        .copied()
        .filter(|host| !group.contains(host))
        .collect();
    let both = |a: &HostId| {
        rest.iter()
            .flat_map(|b| [(*a, *b), (*b, *a)])
            .collect::<Vec<_>>()
    };
    group.iter().flat_map(both).collect()
}

/// All links but those to the neighbours in a ring; of a chain, if the ring is open.
fn not_neighbours(hosts: &[HostId], random: &mut Random) -> Vec<(HostId, HostId)> {
    let mut ring = hosts.to_vec();
    random.shuffle(&mut ring);
    let open = random.one_in(2);
    let last = ring.len() - 1;
    let linked = |a: usize, b: usize| {
        let near = a.abs_diff(b) == 1;
        near || (!open && a.abs_diff(b) == last)
    };
    let mut pairs = Vec::new();
    for a in 0..ring.len() {
        for b in 0..ring.len() {
            if a != b && !linked(a, b) {
                pairs.push((ring[a], ring[b]));
            }
        }
    }
    pairs
}

fn flap(host: HostId, hosts: &[HostId], lasts: Micros, random: &mut Random) -> Plan {
    let (a, b) = other_of(host, hosts, random);
    let pairs = if random.one_in(2) {
        vec![(a, b), (b, a)]
    } else {
        vec![(a, b)]
    };
    let mut plan = Vec::new();
    let mut at = 0;
    while at < lasts && plan.len() < 60 {
        let cut_for = random.magnitude(MS..SECOND);
        plan.push((at, Action::Cut(pairs.clone())));
        plan.push((at + cut_for, Action::Mend(pairs.clone())));
        at += cut_for + random.magnitude(MS..SECOND);
    }
    plan
}

fn fill(hosts: &[HostId], lasts: Micros, random: &mut Random) -> Plan {
    let mut plan = Vec::new();
    let copies = random.one_in(3);
    for host in hosts {
        let fill = |room| Action::FillDisk {
            host: *host,
            room,
            copies,
        };
        plan.push((0, fill(Some(random.magnitude(1..600_000)))));
        plan.push((lasts, fill(None)));
        plan.push((lasts + random.range(0..SECOND), Action::Start(*host)));
    }
    plan
}

/// On a running host, or on one that is down for a moment.
fn damage(host: HostId, lasts: Micros, random: &mut Random) -> Plan {
    let place = random.any();
    if random.one_in(2) {
        return vec![(0, Action::Damage { host, place })];
    }
    vec![
        (0, Action::Kill(host)),
        (MS, Action::Damage { host, place }),
        (lasts, Action::Start(host)),
    ]
}
